"""The OpenTelemetry helpers of Python and Node in an application with the SDK, against the stand-ins.

tests/e2e/test_helper_metrics.py compares their values with those of the function.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Programs
from languages import HELPERS, PROGRAMS, ROOT, Program, on_path
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from process import application, wait_until
from standin import Metadata, Reply, Standin, closed_url, running, split

sys.path.insert(0, str(HELPERS))

import sidecarless_otel  # noqa: E402

NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"
PREFIX = "sidecarless: task stats were not read: "
TASK_ID = "5f0e6c1d2b3a49788e7d6c5b4a392817"


@pytest.fixture(scope="module")
def sdk_programs(programs: Programs) -> dict[str, Program]:
    """The test programs with an SDK."""
    found = {"python": Program([sys.executable, str(PROGRAMS / "otel_app.py")], "Python", {"PYTHONPATH": str(HELPERS)})}
    if "node" in programs.available() and NODE_MODULES.is_dir():
        found["node"] = Program([on_path("node"), str(PROGRAMS / "otel_app.cjs")], "Node", {"NODE_PATH": str(NODE_MODULES)})
    return found


@pytest.fixture(params=["python", "node"])
def program(request: pytest.FixtureRequest, sdk_programs: dict[str, Program]) -> Program:
    if request.param not in sdk_programs:
        pytest.skip(f"Node is not installed, or its SDK is not in {NODE_MODULES}")
    return sdk_programs[request.param]


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


def test_exports_have_all_default_metrics(program: Program) -> None:
    metadata, collector = Metadata(), Collector()
    variables = {"ECS_CONTAINER_METADATA_URI_V4": metadata.uri, **collector.environment}
    with running(metadata, collector), application(program, variables) as process:
        assert wait_until(lambda: len([export for export in collector.exports() if export]) >= 2)
        assert process.finish(10) < 8 and process.child.poll() == 0
        assert (process.stdout, process.stderr) == ("started\nfinished\n", "")
    expected = sidecarless_otel.series(*split(metadata.task + metadata.stats))
    first = next(export for export in collector.exports() if export)
    assert {name for name, _ in first} == set(sidecarless_otel.METRICS)
    assert len(first) == len(expected)
    for name, attributes, value in expected:
        exported, exported_attributes = first[name, attributes.get("container.name", "")]
        assert math.isclose(exported, value, rel_tol=1e-12), name
        assert exported_attributes == attributes and attributes["aws.ecs.task.id"] == TASK_ID
    # Each collection reads both documents once.
    assert len(metadata.requests) <= 2 * (len(collector.exports()) + 1)
    assert not [request for request in collector.requests if request.path == "/v1/traces"], "the metadata requests were traced"


def failing_cases() -> dict[str, Metadata | str]:
    """The metadata endpoint, or its URL, of each case."""
    return {
        "fails": Metadata("host", Reply(500, b"no stats")), "hangs": Metadata("host", Reply(hangs=True)),
        "not JSON": Metadata("host", Reply(body=b"{")), "closed": closed_url(), "not in ECS": "",
    }


def assert_one_report(program: Program, case: str, metadata: Metadata | str, collector: Collector) -> None:
    uri = metadata.uri if isinstance(metadata, Metadata) else metadata
    # An export has to wait for a request that hangs.
    interval = 4 if case == "hangs" else 1
    with application(program, {"ECS_CONTAINER_METADATA_URI_V4": uri, **collector.environment}, interval) as process:
        assert wait_until(lambda: "started" in process.stdout)
        if case == "not in ECS":
            time.sleep(2.5)
        else:
            assert wait_until(lambda: process.stderr)
            time.sleep(1.5)
        assert process.finish(15) < 12 and process.child.poll() == 0
        lines = process.stderr.splitlines()
        assert process.stdout == "started\nfinished\n"
    assert len(lines) == (0 if case == "not in ECS" else 1), f"{program.version}: {case}: {lines}"
    assert all(line.startswith(PREFIX) for line in lines)
    assert not any(collector.exports())


def test_failure_is_reported_once_and_stops_no_export(sdk_programs: dict[str, Program]) -> None:
    runs = [(program, *case, Collector()) for program in sdk_programs.values() for case in failing_cases().items()]
    standins = [standin for run in runs for standin in run if isinstance(standin, Standin)]
    with running(*standins), ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(lambda run: assert_one_report(*run), runs))


def test_one_process_of_a_task_exports(program: Program) -> None:
    metadata, collectors = Metadata(), (Collector(), Collector())
    environments = [{"ECS_CONTAINER_METADATA_URI_V4": metadata.uri, **collector.environment} for collector in collectors]
    with running(metadata, *collectors), application(program, environments[0]), application(program, environments[1]):
        # Each process asked for the task at least twice, and one of them for the stats.
        assert wait_until(lambda: len(metadata.requests) >= 6)
        exporting = [collector for collector in collectors if any(collector.exports())]
    assert len(exporting) == 1


def test_node_computes_the_values_of_python(programs: Programs) -> None:
    """For documents that are valid, but unusual."""
    programs.get("node")
    if not NODE_MODULES.is_dir():
        pytest.skip(f"the SDK for Node is not in {NODE_MODULES}")
    metadata = Metadata()
    task, stats = split(metadata.task + metadata.stats)
    running_id = next(key for key, value in stats.items() if value)
    documents = [(task, stats), ({}, {}), ({"Containers": None}, None), (task, {}), ({**task, "Limits": None}, stats)]
    for change in [
        {"read": "not a time"}, {"preread": "0001-01-01T00:00:00Z"}, {"cpu_stats": None}, {"precpu_stats": {}}, {"memory_stats": None},
        {"blkio_stats": {"io_service_bytes_recursive": [{"op": "read", "value": 5}, None, {"op": "Read", "value": 7}, {"op": "Total"}]}},
        {"memory_stats": {"usage": 5 << 20, "stats": {"cache": 9 << 20}}}, {"memory_stats": {"usage": 5 << 20, "stats": {"inactive_file": 1}}},
        {"network_rate_stats": None}, {"id": ""}, {"read": "2026-03-04T09:30:10.123456789+01:00"},
    ]:
        documents.append((task, {**stats, running_id: {**stats[running_id], **change}}))
    for change in [{"Type": "CNI_PAUSE"}, {"Image": "host:5000/a/b@sha256:1"}, {"DockerId": ""}, {"Limits": {"CPU": 2}}, {"StartedAt": "x"}]:
        first, *others = task["Containers"]
        documents.append(({**task, "Containers": [{**first, **change}, *others, first]}, stats))
    documents.append(({**task, "LaunchType": "EC2"}, stats))
    lines = "\n".join(json.dumps({"task": task, "stats": stats}) for task, stats in documents)
    environment = {"HELPERS": str(HELPERS), "NODE_PATH": str(NODE_MODULES)}
    ran = subprocess.run([on_path("node"), str(PROGRAMS / "series.cjs")], input=lines, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    for line, (task, stats) in zip(ran.stdout.splitlines(), documents, strict=True):
        expected = [[name, attributes, value] for name, attributes, value in sidecarless_otel.series(task, stats)]
        assert sorted(json.loads(line), key=repr_of_series) == sorted(expected, key=repr_of_series)


def repr_of_series(series: list) -> str:
    return f"{series[0]} {sorted(series[1].items())}"
