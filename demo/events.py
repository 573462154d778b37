"""Writes events/push-*.json: events of a function URL that receives OTLP from an OpenTelemetry SDK."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from .peers import ROOT

# 2026-11-22T23:25:00Z, as in events/scheduled-run-rule.json.
AT_NS = 1_795_389_900 * 10**9
TRACE_ID = bytes.fromhex("6b037ced4f3a9d1e8c2b7a5061d3e4f9")


def attribute(key: str, value: str | int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))


RESOURCE = [
    attribute("service.name", "checkout"), attribute("service.version", "1.4.2"),
    attribute("service.instance.id", "5f0e6c1d2b3a49788e7d6c5b4a392817"), attribute("cloud.provider", "aws"),
    attribute("cloud.platform", "aws_ecs"), attribute("aws.ecs.launchtype", "fargate"),
    attribute("telemetry.sdk.name", "opentelemetry"), attribute("telemetry.sdk.language", "python"),
]


def traces() -> bytes:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(RESOURCE)
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "checkout"
    server = scope_spans.spans.add(
        trace_id=TRACE_ID, span_id=bytes.fromhex("00f067aa0ba902b7"), name="POST /orders", kind=2,
        start_time_unix_nano=AT_NS, end_time_unix_nano=AT_NS + 250_000_000,
    )
    server.attributes.extend([
        attribute("http.request.method", "POST"), attribute("url.scheme", "https"), attribute("url.path", "/orders"),
        attribute("server.address", "shop.example.com"), attribute("http.response.status_code", 201),
    ])
    client = scope_spans.spans.add(
        trace_id=TRACE_ID, span_id=bytes.fromhex("53995c3f42cd8ad8"), parent_span_id=server.span_id, name="GET", kind=3,
        start_time_unix_nano=AT_NS + 40_000_000, end_time_unix_nano=AT_NS + 190_000_000,
    )
    client.attributes.extend([
        attribute("http.request.method", "GET"), attribute("url.full", "https://stock.example.com/items/7"),
        attribute("server.address", "stock.example.com"), attribute("http.response.status_code", 200),
    ])
    return request.SerializeToString()


def metrics() -> bytes:
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    resource_metrics.resource.attributes.extend(RESOURCE)
    scope_metrics = resource_metrics.scope_metrics.add()
    scope_metrics.scope.name = "checkout"
    cumulative = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    times = {"start_time_unix_nano": AT_NS - 60 * 10**9, "time_unix_nano": AT_NS}
    counter = scope_metrics.metrics.add(name="orders", unit="{order}")
    counter.sum.aggregation_temporality, counter.sum.is_monotonic = cumulative, True
    counter.sum.data_points.add(as_int=7, attributes=[attribute("payment", "card")], **times)
    gauge = scope_metrics.metrics.add(name="queue.length", unit="{order}")
    gauge.gauge.data_points.add(as_double=3.0, **times)
    histogram = scope_metrics.metrics.add(name="http.server.request.duration", unit="s")
    histogram.histogram.aggregation_temporality = cumulative
    histogram.histogram.data_points.add(
        count=6, sum=1.25, explicit_bounds=[0.1, 0.5], bucket_counts=[3, 2, 1],
        attributes=[attribute("http.route", "/orders")], **times,
    )
    return request.SerializeToString()


def event(path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    host = "abc123.lambda-url.eu-west-1.on.aws"
    headers = {"content-type": "application/x-protobuf", "content-length": str(len(body)), "host": host,
               "authorization": "Bearer demo-token", "user-agent": "OTel-OTLP-Exporter-Python/1.45.1",
               "x-forwarded-for": "203.0.113.9", "x-forwarded-port": "443", "x-forwarded-proto": "https", **headers}
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": {
            "accountId": "anonymous", "apiId": "abc123", "domainName": host, "domainPrefix": "abc123",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9",
                     "userAgent": headers["user-agent"]},
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599", "routeKey": "$default", "stage": "$default",
            "time": "22/Nov/2026:23:25:00 +0000", "timeEpoch": AT_NS // 10**6,
        },
        "body": base64.b64encode(body).decode(), "isBase64Encoded": True,
    }


if __name__ == "__main__":
    written = {
        "push-traces.json": event("/v1/traces", gzip.compress(traces(), mtime=0), {"content-encoding": "gzip"}),
        "push-metrics.json": event("/v1/metrics", metrics(), {}),
    }
    for name, content in written.items():
        (ROOT / "events" / name).write_text(json.dumps(content, indent=2) + "\n")
        print(f"events/{name}")
