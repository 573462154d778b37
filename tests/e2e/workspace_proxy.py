"""A workspace of AMP: Prometheus behind a proxy that checks signatures with an independent implementation, SigV4Auth of botocore."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from demo.peers import CREDENTIALS, REGION

PREFIX = "/workspaces/ws-1"
# Paths that Prometheus has under another name.
PATHS = {"/api/v1/remote_write": "/api/v1/write"}


def signature(method: str, url: str, headers: dict[str, str], body: bytes) -> str:
    """Returns the header that the credentials of the demo have for this request."""
    names = re.search(r"SignedHeaders=([^,]+)", headers.get("authorization", ""))
    request = AWSRequest(method, url, data=body)
    for name in (names[1].split(";") if names else []):
        if name not in ("host", "x-amz-date", "x-amz-security-token"):
            request.headers[name] = headers.get(name, "")
    at = datetime.strptime(headers.get("x-amz-date", "20200101T000000Z"), "%Y%m%dT%H%M%SZ")
    credentials = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: at, create=True):
        botocore.auth.SigV4Auth(credentials, "aps", REGION).add_auth(request)
    return str(request.headers["Authorization"])


class WorkspaceProxy:
    """Forwards queries with a valid signature, and responds to others as AMP does. Writes are forwarded."""

    def __init__(self, prometheus: str) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                path = self.path.removeprefix(PREFIX)
                # The function of an emulated account has other credentials. tests/e2e/test_signature.py checks its signatures.
                is_checked = path not in PATHS
                if is_checked and signature("POST", f"{proxy.base}{self.path}", headers, body) != headers.get("authorization"):
                    message = "The request signature we calculated does not match the signature you provided."
                    self.respond(403, {"x-amzn-errortype": "InvalidSignatureException"}, json.dumps({"message": message}).encode())
                    return
                kept = {name: value for name, value in headers.items() if name.startswith("content-") or name.startswith("x-prom")}
                request = urllib.request.Request(prometheus + PATHS.get(path, path), data=body, headers=kept, method="POST")
                try:
                    with urllib.request.urlopen(request, timeout=30) as response:
                        self.respond(response.status, {"content-type": "application/json"}, response.read())
                except urllib.error.HTTPError as error:
                    self.respond(error.code, {"content-type": "application/json"}, error.read())

            def respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.workspace = self.base + PREFIX
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
