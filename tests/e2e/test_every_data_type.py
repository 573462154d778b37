"""Sends every OTLP data type, and reads each value back from Prometheus and the spans from X-Ray."""

from __future__ import annotations

import json
import time

from conftest import Stack
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from demo import ecs
from demo.events import TRACE_ID, attribute, traces
from demo.peers import query, wait_for

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE

EXPECTED = [
    ("every_gauge_celsius", 21.5),
    ("every_counter_total", 42),
    ("every_updown", -3),
    ("every_histogram_seconds_count", 6),
    ("every_histogram_seconds_sum", 1.25),
    ('every_histogram_seconds_bucket{le="0.1"}', 3),
    ('every_histogram_seconds_bucket{le="0.5"}', 5),
    ('every_histogram_seconds_bucket{le="+Inf"}', 6),
    ("histogram_count(every_exponential)", 10),
    ("histogram_sum(every_exponential)", 20),
    ("histogram_quantile(0.99, every_exponential) > bool 3", 1),
    ("every_summary_count", 4),
    ("every_summary_sum", 20),
    ('every_summary{quantile="0.5"}', 3),
    ('target_info{job="every"}', 1),
]


def every_type() -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.extend([
        attribute("service.name", "every"), attribute("service.instance.id", "i1"), attribute("cloud.region", "eu-west-1"),
    ])
    metrics = resource.scope_metrics.add().metrics
    at = {"start_time_unix_nano": time.time_ns() - 60 * 10**9, "time_unix_nano": time.time_ns()}
    metrics.add(name="every.gauge", unit="Cel").gauge.data_points.add(as_double=21.5, **at)
    counter = metrics.add(name="every.counter").sum
    counter.aggregation_temporality, counter.is_monotonic = CUMULATIVE, True
    counter.data_points.add(as_int=42, **at)
    updown = metrics.add(name="every.updown").sum
    updown.aggregation_temporality = CUMULATIVE
    updown.data_points.add(as_int=-3, **at)
    histogram = metrics.add(name="every.histogram", unit="s").histogram
    histogram.aggregation_temporality = CUMULATIVE
    histogram.data_points.add(count=6, sum=1.25, explicit_bounds=[0.1, 0.5], bucket_counts=[3, 2, 1], **at)
    exponential = metrics.add(name="every.exponential").exponential_histogram
    exponential.aggregation_temporality = CUMULATIVE
    point = exponential.data_points.add(count=10, sum=20, scale=0, zero_count=4, **at)
    point.positive.bucket_counts.extend([1, 2, 3])
    summary = metrics.add(name="every.summary").summary.data_points.add(count=4, sum=20, **at)
    summary.quantile_values.add(quantile=0.5, value=3)
    return request.SerializeToString()


def test_prometheus_returns_every_value(stack: Stack) -> None:
    status, _, response = stack.push("/v1/metrics", every_type())
    assert (status, response) == (200, b"")
    wait_for("target_info", lambda: query(stack.amp, 'target_info{job="every"}'))
    print(f"\n{'PromQL':<58} {'sent':>8} {'read':>8}")
    for promql, sent in EXPECTED:
        result = query(stack.amp, promql)
        read = float(result[0]["value"][1]) if result else None
        print(f"{promql:<58} {sent:>8} {read!s:>8}")
        assert read == sent, promql


def test_xray_returns_the_sent_spans(stack: Stack) -> None:
    status, _, _ = stack.push("/v1/traces", traces())
    assert status == 200
    documents = wait_for("the trace", lambda: ecs.trace_documents(stack.aws, TRACE_ID.hex()))
    by_name = {document["name"]: document for document in documents}
    assert set(by_name) == {"checkout", "stock.example.com"}, json.dumps(documents)
    server, client = by_name["checkout"], by_name["stock.example.com"]
    assert server["http"]["request"]["url"] == "https://shop.example.com/orders"
    assert server["origin"] == "AWS::ECS::Fargate"
    assert (client["namespace"], client["parent_id"]) == ("remote", server["id"])
    assert client["http"]["response"]["status"] == 200
