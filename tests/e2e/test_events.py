"""Sample events through the Runtime API, and the errors for invalid settings and events."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import BINARY, CLI, ROOT, Stack, settings
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from test_broken_bodies import gauge

from demo.events import traces
from demo.peers import Peers, function, post

EVENTS = ROOT / "events"


def invoke(peers: Peers, event: Any, token: str = "") -> Any:
    """Invokes the function and returns its response. `token` replaces the token in the sample event."""
    text = json.dumps(event).replace("Bearer demo-token", f"Bearer {token}")
    status, _, body = post(peers.invoke_url, text.encode())
    assert status == 200
    return json.loads(body)


def sample(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


@pytest.fixture(scope="module")
def without_prometheus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    variables = settings("", stack.aws)
    with Peers(tmp_path_factory.mktemp("without-prometheus")) as peers:
        yield Stack(peers, "", stack.aws, function(peers, BINARY, variables))


@pytest.mark.parametrize("name", ["scheduled-run.json", "scheduled-run-rule.json"])
def test_scheduled_run_returns_a_summary(stack: Stack, name: str) -> None:
    event = sample(name)
    if "time" in event:
        event["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    summary = invoke(stack.peers, event)
    assert (summary["tasks"], summary["targets_down"], summary["undelivered"]) == (0, 0, 0)


@pytest.mark.parametrize("name", ["push-traces.json", "push-metrics.json"])
def test_response_uses_the_encoding_of_the_request(stack: Stack, name: str) -> None:
    reply = invoke(stack.peers, sample(name), token="end-to-end")
    assert (reply["statusCode"], reply["headers"]["content-type"]) == (200, "application/x-protobuf")


def test_unknown_event_is_an_error_with_its_keys(stack: Stack) -> None:
    error = invoke(stack.peers, {"surprise": True})
    assert "`surprise`" in error["errorMessage"]
    assert "errorMessage" not in invoke(stack.peers, sample("scheduled-run.json"))


def test_without_remote_write_metrics_are_rejected_with_a_reason(without_prometheus: Stack) -> None:
    assert without_prometheus.push("/v1/traces", traces())[0] == 200
    status, _, body = without_prometheus.push("/v1/metrics", gauge("lost", 1))
    rejected = ExportMetricsServiceResponse.FromString(body).partial_success
    assert (status, rejected.rejected_data_points) == (200, 1)
    assert "AWS_PROMETHEUS_ENDPOINT" in rejected.error_message


def test_without_remote_write_a_scheduled_run_is_skipped(without_prometheus: Stack) -> None:
    assert "AWS_PROMETHEUS_ENDPOINT" in invoke(without_prometheus.peers, sample("scheduled-run.json"))["skipped"]


def test_all_invalid_settings_are_reported_together() -> None:
    invalid = {"SIDECARLESS_AUTH": "maybe", "SIDECARLESS_CLUSTER": "shop", "AWS_REGION": "eu-west-1"}
    command = [str(CLI), "invoke", str(EVENTS / "scheduled-run.json")]
    result = subprocess.run(command, env=invalid, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0
    assert "SIDECARLESS_AUTH" in result.stderr
    assert "did you mean SIDECARLESS_CLUSTERS?" in result.stderr
