"""Pushed metrics for the OTLP endpoint of CloudWatch, with a stand-in that verifies the signature with the code of botocore."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from botocore.credentials import Credentials
from conftest import BINARY, ROOT, Stack, settings
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from test_broken_bodies import gauge

from demo.peers import CREDENTIALS, Peers, free_port, function, moto

sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from signature import verify  # noqa: E402
from standin import Recorded  # noqa: E402

TOKEN = "a-session-token"
KNOWN = {
    CREDENTIALS["AWS_ACCESS_KEY_ID"]: Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], TOKEN)
}


class Endpoints(BaseHTTPRequestHandler):
    """AMP, and the OTLP endpoint of CloudWatch."""

    metrics: list[Recorded] = []
    samples: list[bytes] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path == "/v1/metrics":
            self.metrics.append(Recorded("POST", self.path, headers, body))
        else:
            self.samples.append(body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    port = free_port()
    server = HTTPServer(("127.0.0.1", port), Endpoints)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Peers(tmp_path) as peers:
        aws, amp = moto(peers), f"http://127.0.0.1:{port}"
        more = {
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_ENDPOINT_URL_CLOUDWATCH": amp,
            "SIDECARLESS_METRICS_TO": "amp,cloudwatch",
            "SIDECARLESS_SELF_METRICS": "off",
        }
        url = function(peers, BINARY, settings(f"{amp}/workspaces/ws-1/api/v1/remote_write", aws) | more)
        yield Stack(peers, amp, aws, url)
    server.shutdown()


def test_points_are_signed_for_monitoring_and_decode(stack: Stack) -> None:
    status, _, _ = stack.push("/v1/metrics", gauge("forwarded", 1))
    assert status == 200
    (request,) = Endpoints.metrics
    assert request.headers["content-type"] == "application/x-protobuf"
    assert verify(request, KNOWN, "monitoring", "eu-west-1") in KNOWN
    received = ExportMetricsServiceRequest.FromString(request.body)
    names = [metric.name for one in received.resource_metrics for scope in one.scope_metrics for metric in scope.metrics]
    assert names == ["forwarded"]
    assert len(Endpoints.samples) == 1, "AMP has them once"
