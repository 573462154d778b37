"""Checks the signature of a remote write request with an independent implementation: SigV4Auth of botocore."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import BINARY, Stack, settings
from test_broken_bodies import gauge

from demo.peers import CREDENTIALS, REGION, Peers, free_port, function, moto


class Capture(BaseHTTPRequestHandler):
    requests: list[tuple[str, dict[str, str], bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def captured(tmp_path: Path) -> Iterator[tuple[Stack, int]]:
    port = free_port()
    server = HTTPServer(("127.0.0.1", port), Capture)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Peers(tmp_path) as peers:
        aws = moto(peers)
        amp = f"http://127.0.0.1:{port}"
        token = {"AWS_SESSION_TOKEN": "a-session-token"}
        url = function(peers, BINARY, settings(f"{amp}/workspaces/ws-1/api/v1/remote_write", aws) | token)
        yield Stack(peers, amp, aws, url), port
    server.shutdown()


def test_signature_equals_that_of_botocore(captured: tuple[Stack, int], monkeypatch: pytest.MonkeyPatch) -> None:
    stack, port = captured
    status, _, _ = stack.push("/v1/metrics", gauge("signed", 1))
    assert status == 200
    path, headers, body = Capture.requests[-1]
    signed = re.search(r"SignedHeaders=([^,]+)", headers["authorization"])
    assert signed is not None
    names = signed[1].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token", "content-type", "content-encoding"} <= set(names)
    at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    assert abs(at.timestamp() - time.time()) < 60

    request = AWSRequest("POST", f"http://127.0.0.1:{port}{path}", data=body)
    for name in names:
        if name not in ("host", "x-amz-date", "x-amz-security-token"):
            request.headers[name] = headers[name]
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: at.replace(tzinfo=None), raising=False)
    credentials = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], "a-session-token")
    botocore.auth.SigV4Auth(credentials, "aps", REGION).add_auth(request)
    assert request.headers["Authorization"] == headers["authorization"]


def test_body_is_remote_write(captured: tuple[Stack, int]) -> None:
    stack, _ = captured
    stack.push("/v1/metrics", gauge("written", 1))
    _, headers, body = Capture.requests[-1]
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["content-encoding"] == "snappy"
    assert headers["x-prometheus-remote-write-version"] == "0.1.0"
    assert headers["user-agent"].startswith("sidecarless/")
    # Block format starts with the length, frame format with a magic number.
    assert not body.startswith(b"\xff\x06\x00\x00")
