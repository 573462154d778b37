"""Every recorded request is sent through the function to Prometheus, which must not reject any series."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

from conftest import ROOT, Stack
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse

from demo.events import attribute
from demo.peers import query, wait_for

RECORDINGS = ROOT / "tests" / "golden" / "metrics.jsonl.gz"


def points(request: ExportMetricsServiceRequest) -> Iterator[Any]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind:
                    yield from getattr(metric, kind).data_points


def move_to_present(request: ExportMetricsServiceRequest, case: str) -> bytes:
    """Returns the request with its newest point at the current time, and with a label for the case."""
    newest = max((point.time_unix_nano for point in points(request)), default=0)
    for point in points(request):
        # Points without a time are kept: they are rejected with a reason.
        if point.time_unix_nano:
            point.time_unix_nano += time.time_ns() - newest
        for exemplar in getattr(point, "exemplars", []):
            exemplar.time_unix_nano = point.time_unix_nano
    for resource in request.resource_metrics:
        resource.resource.attributes.append(attribute("recorded.case", case))
    return request.SerializeToString()


def test_prometheus_accepts_all_translated_series(stack: Stack) -> None:
    sent, rejected = 0, {}
    with gzip.open(RECORDINGS, "rt") as lines:
        for line in lines:
            recording = json.loads(line)
            request = ExportMetricsServiceRequest.FromString(base64.b64decode(recording["request"]))
            status, _, response = stack.push("/v1/metrics", move_to_present(request, recording["case"]))
            assert status == 200, (recording["case"], response)
            message = ExportMetricsServiceResponse.FromString(response).partial_success.error_message
            assert "AMP returned" not in message, (recording["case"], message)
            sent += 1
            if message:
                rejected[recording["case"]] = message
    print(f"\nshow: {sent} recorded requests sent, none rejected by Prometheus; {len(rejected)} partially rejected with a reason")
    cases = wait_for("the cases in Prometheus", lambda: query(stack.amp, 'count(count by (recorded_case) ({recorded_case!=""}))'))
    assert float(cases[0]["value"][1]) > sent * 0.8
