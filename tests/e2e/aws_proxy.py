"""Proxy in front of moto, in the role of all AWS services. It records calls, responds with faults, and accepts writes to AMP."""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from demo.peers import post

REMOTE_WRITE = "/api/v1/remote_write"


@dataclass
class Call:
    """A request of the function to an AWS service."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def service(self) -> str:
        """Signing name: the service in the scope of the credentials (IAM User Guide, "Elements of an AWS API request signature")."""
        scope = re.search(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request", self.headers.get("authorization", ""))
        return scope[1] if scope else ""

    @property
    def operation(self) -> str:
        """Name of the operation: in the target (AWS JSON), in the action (query), or the path (REST)."""
        target = self.headers.get("x-amz-target", "")
        form = urllib.parse.parse_qs(self.body.decode(errors="replace")) if "urlencoded" in self.headers.get("content-type", "") else {}
        return target.rpartition(".")[2] or form.get("Action", [self.path])[0]


@dataclass
class Fault:
    """Response to all calls of a service: status, body and error code."""

    status: int
    body: bytes = b"unavailable"
    headers: dict[str, str] = field(default_factory=dict)


def coded(status: int, code: str, message: str = "no") -> Fault:
    """Returns the fault of a service with a JSON protocol."""
    body = json.dumps({"__type": code, "message": message}).encode()
    return Fault(status, body, {"content-type": "application/x-amz-json-1.0"})


class AwsProxy:
    """Forwards calls to `moto`, except calls of services that have a fault. AMP is accepted here."""

    def __init__(self, moto: str) -> None:
        self.moto = moto
        self.calls: list[Call] = []
        # By signing name: `aps`, `sqs`, `xray`, ...
        self.faults: dict[str, Fault] = {}
        # Changes to responses in JSON, by operation: what moto does not implement.
        self.edits: dict[str, Callable[[Any], None]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"proxy": self}))
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> AwsProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def respond(self, call: Call) -> Fault:
        self.calls.append(call)
        if call.service in self.faults:
            return self.faults[call.service]
        if call.path == REMOTE_WRITE:
            return Fault(200, b"")
        not_forwarded = ("host", "content-length", "connection", "accept-encoding")
        headers = {name: value for name, value in call.headers.items() if name not in not_forwarded}
        status, answered, body = post(self.moto + call.path, call.body, headers)
        kept = {name: value for name, value in answered.items() if name.lower() in ("content-type", "x-amzn-requestid")}
        if call.operation in self.edits:
            document = json.loads(body)
            self.edits[call.operation](document)
            body = json.dumps(document).encode()
        return Fault(status, body, kept)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: AwsProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        response = self.proxy.respond(Call(self.path, headers, body))
        self.send_response(response.status)
        for name, value in {**response.headers, "content-length": str(len(response.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, *_: Any) -> None:
        pass
