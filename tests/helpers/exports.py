"""Applications with an OpenTelemetry SDK, the receiver of their exports, and the cases in which the helpers fail."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from languages import HELPERS, PROGRAMS, ROOT, Program, on_path
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from process import application, wait_until
from standin import Metadata, Reply, Standin, closed_url, running

NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"
PREFIX = "sidecarless: task stats were not read: "
# Longer than a request that hangs: the SDK limits a collection to the interval of its exports.
INTERVAL = 4


def sdk_programs(available: dict[str, Program]) -> dict[str, Program]:
    """Returns the test programs with an SDK, of the installed languages."""
    found = {"python": Program([sys.executable, str(PROGRAMS / "otel_app.py")], "Python", {"PYTHONPATH": str(HELPERS)})}
    if "node" in available and NODE_MODULES.is_dir():
        found["node"] = Program([on_path("node"), str(PROGRAMS / "otel_app.cjs")], "Node", {"NODE_PATH": str(NODE_MODULES)})
    return found


class Collector(Standin):
    """An OTLP receiver."""

    def __init__(self) -> None:
        super().__init__({("POST", "/v1/metrics"): Reply(body=b""), ("POST", "/v1/traces"): Reply(body=b"")})

    def exports(self) -> list[dict[tuple[str, str], tuple[float, dict[str, str]]]]:
        """Returns value and attributes by metric and container, for each export."""
        return [self.decode(request.body) for request in self.requests if request.path == "/v1/metrics"]

    @staticmethod
    def decode(body: bytes) -> dict[tuple[str, str], tuple[float, dict[str, str]]]:
        found = {}
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                assert not metric.unit, "the function appends a unit to the name"
                for point in metric.gauge.data_points:
                    attributes = {attribute.key: attribute.value.string_value for attribute in point.attributes}
                    value = point.as_double if point.HasField("as_double") else point.as_int
                    found[metric.name, attributes.get("container.name", "")] = value, attributes
        return found

    @property
    def environment(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_LOGS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "200"}


def failing_cases() -> dict[str, Metadata | str]:
    """The metadata endpoint, or its URL, of each case."""
    return {
        "fails": Metadata("host", Reply(500, b"no stats")), "hangs": Metadata("host", Reply(hangs=True)),
        "not JSON": Metadata("host", Reply(body=b"{")), "closed": closed_url(), "not in ECS": "",
    }


def assert_one_report(program: Program, case: str, metadata: Metadata | str, collector: Collector) -> None:
    uri = metadata.uri if isinstance(metadata, Metadata) else metadata
    with application(program, {"ECS_CONTAINER_METADATA_URI_V4": uri, **collector.environment}, INTERVAL) as process:
        assert wait_until(lambda: "started" in process.stdout)
        assert wait_until(lambda: process.stderr or case == "not in ECS")
        # Time for one more collection.
        time.sleep(INTERVAL + 1)
        assert process.finish(15) < 12 and process.child.poll() == 0
        lines = process.stderr.splitlines()
        assert process.stdout == "started\nfinished\n"
    assert len(lines) == (0 if case == "not in ECS" else 1), f"{program.version}: {case}: {lines}"
    assert all(line.startswith(PREFIX) for line in lines)
    assert not any(collector.exports())


def run_failing_cases(programs: dict[str, Program]) -> None:
    """Raises the first failed assertion."""
    runs = [(program, *case, Collector()) for program in programs.values() for case in failing_cases().items()]
    standins = [standin for run in runs for standin in run if isinstance(standin, Standin)]
    with running(*standins), ThreadPoolExecutor(len(runs) + 1) as pool:
        list(pool.map(lambda run: assert_one_report(*run), runs))
