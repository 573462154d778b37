"""The OpenTelemetry helpers of Python and Node in an application with the SDK, against the stand-ins.

tests/e2e/test_helper_metrics.py compares their values with the function.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from concurrent.futures import Future

import pytest
from conftest import Programs
from exports import NODE_MODULES, Collector, sdk_programs
from languages import HELPERS, PROGRAMS, Program, on_path
from process import application, wait_until
from standin import DOCUMENTS, GOLDEN, Metadata, running, split

sys.path.insert(0, str(HELPERS))

import sidecarless_otel  # noqa: E402


@pytest.fixture(params=["python", "node"])
def program(request: pytest.FixtureRequest, programs: Programs) -> Program:
    found = sdk_programs(programs.available())
    if request.param not in found:
        pytest.skip(f"Node is not installed, or its SDK is not in {NODE_MODULES}")
    return found[request.param]


def test_exports_have_all_default_metrics(program: Program) -> None:
    metadata, collector = Metadata(), Collector()
    variables = {"ECS_CONTAINER_METADATA_URI_V4": metadata.uri, **collector.environment}
    with running(metadata, collector), application(program, variables) as process:
        assert wait_until(lambda: len([export for export in collector.exports() if export]) >= 2)
        assert process.finish(10) < 8 and process.child.poll() == 0
        assert (process.stdout, process.stderr) == ("started\nfinished\n", "")
    task, stats = split(metadata.task + metadata.stats)
    expected = sidecarless_otel.series(task, stats)
    # The documents of another task may lack values, such as those of its storage.
    assert {name for name, _, _ in expected} == set(sidecarless_otel.METRICS) or DOCUMENTS != GOLDEN
    first = next(export for export in collector.exports() if export)
    assert len(first) == len(expected)
    for name, attributes, value in expected:
        exported, exported_attributes = first[name, attributes.get("container.name", "")]
        assert math.isclose(exported, value, rel_tol=1e-12), name
        assert exported_attributes == attributes and attributes["aws.ecs.task.id"] == task["TaskARN"].rsplit("/", 1)[1]
    # Each collection reads both documents once.
    assert len(metadata.requests) <= 2 * (len(collector.exports()) + 1)
    assert not [request for request in collector.requests if request.path == "/v1/traces"], "the metadata requests were traced"


def test_failure_is_reported_once_and_stops_no_export(failing_exports: Future[None]) -> None:
    failing_exports.result()


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
