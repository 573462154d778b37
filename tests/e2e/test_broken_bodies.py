"""Invalid requests get a response with a reason, and do not affect later requests."""

from __future__ import annotations

import gzip
import time
import zlib

import pytest
from conftest import TOKEN, Stack
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse

from demo.peers import get, post, query, wait_for


def gauge(name: str, value: float) -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.gauge.data_points.add(as_double=value, time_unix_nano=time.time_ns())
    return request.SerializeToString()


GOOD = gauge("good", 1)
ZIPPED = gzip.compress(GOOD * 50)
BROKEN = [
    ("no protobuf", b"hello, world", {}, 400, "invalid OTLP protobuf"),
    ("truncated protobuf", GOOD[:-3], {}, 400, "invalid OTLP protobuf"),
    ("truncated gzip", ZIPPED[:-9], {"content-encoding": "gzip"}, 400, "invalid gzip body"),
    ("garbage that claims to be gzip", b"\xff\xfe" * 20, {"content-encoding": "gzip"}, 400, "invalid OTLP protobuf"),
    ("a gzip bomb", gzip.compress(bytes(64 << 20)), {"content-encoding": "gzip"}, 413, "decompressed body is larger than"),
    ("a request of empty messages", gzip.compress(b"\x0a\x00" * 8_000_000), {"content-encoding": "gzip"}, 413, "it needs more than"),
    ("an unknown compression", GOOD, {"content-encoding": "br"}, 415, "unsupported content-encoding `br`"),
    ("invalid JSON", b"{", {"content-type": "application/json"}, 400, "invalid OTLP JSON"),
    ("JSON with a short ID", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abc"}]}]}]}',
     {"content-type": "application/json", "path": "/v1/traces"}, 400, "traceId"),
    ("no token", GOOD, {"authorization": ""}, 401, "bearer token"),
    ("a token off by one", GOOD, {"authorization": f"Bearer {TOKEN[:-1]}x"}, 401, "unknown bearer token"),
    ("an unknown path", GOOD, {"path": "/v2/metrics"}, 404, "unknown path"),
    ("logs", b"", {"path": "/v1/logs"}, 404, "OTEL_LOGS_EXPORTER=none"),
]


@pytest.mark.parametrize("case, body, headers, status, reason", BROKEN, ids=[row[0] for row in BROKEN])
def test_invalid_request_gets_a_reason(stack: Stack, case: str, body: bytes, headers: dict[str, str], status: int, reason: str) -> None:
    headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {TOKEN}", **headers}
    path = headers.pop("path", "/v1/metrics")
    received_status, response_headers, response = post(stack.url + path, body, {name: value for name, value in headers.items() if value})
    assert received_status == status, response
    if response_headers["content-type"] == "application/json":
        message = response.decode()
    else:
        message = Status.FromString(response).message
    assert reason in message


def test_get_request_returns_405(stack: Stack) -> None:
    with pytest.raises(OSError, match="405"):
        get(stack.url + "/v1/traces")


def test_valid_requests_are_delivered_after_invalid_ones(stack: Stack) -> None:
    for _, body, _, _, _ in BROKEN:
        stack.push("/v1/metrics", body)
    for name, encoding, body in [
        ("good_plain", "identity", gauge("good.plain", 1)),
        ("good_gzip", "gzip", gzip.compress(gauge("good.gzip", 2))),
        ("good_deflate", "deflate", zlib.compress(gauge("good.deflate", 3))),
        ("good_despite_its_header", "gzip", gauge("good.despite.its.header", 4)),
    ]:
        status, _, response = stack.push("/v1/metrics", body, content_encoding=encoding)
        assert (status, ExportMetricsServiceResponse.FromString(response).partial_success.rejected_data_points) == (200, 0)
        wait_for(f"{name} in Prometheus", lambda name=name: query(stack.amp, name))
