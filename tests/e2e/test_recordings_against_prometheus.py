"""Every recorded request goes through the function into a real Prometheus, which must not refuse a single series."""

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


def of_today(request: ExportMetricsServiceRequest, case: str) -> bytes:
    """The same request with its last point at the present, and a label that keeps the cases apart."""
    newest = max((point.time_unix_nano for point in points(request)), default=0)
    for point in points(request):
        # Points without a time stay so: they are refused by name.
        if point.time_unix_nano:
            point.time_unix_nano += time.time_ns() - newest
        for exemplar in getattr(point, "exemplars", []):
            exemplar.time_unix_nano = point.time_unix_nano
    for resource in request.resource_metrics:
        resource.resource.attributes.append(attribute("recorded.case", case))
    return request.SerializeToString()


def test_prometheus_takes_whatever_the_translation_makes(stack: Stack) -> None:
    pushed, refused = 0, {}
    with gzip.open(RECORDINGS, "rt") as lines:
        for line in lines:
            recording = json.loads(line)
            request = ExportMetricsServiceRequest.FromString(base64.b64decode(recording["request"]))
            status, _, answer = stack.push("/v1/metrics", of_today(request, recording["case"]))
            assert status == 200, (recording["case"], answer)
            message = ExportMetricsServiceResponse.FromString(answer).partial_success.error_message
            assert "AMP answered" not in message, (recording["case"], message)
            pushed += 1
            if message:
                refused[recording["case"]] = message
    print(f"\n{pushed} recorded requests pushed, none refused by Prometheus; {len(refused)} refused in part by reason")
    cases = wait_for("the cases in Prometheus", lambda: query(stack.amp, 'count(count by (recorded_case) ({recorded_case!=""}))'))
    assert float(cases[0]["value"][1]) > pushed * 0.8
