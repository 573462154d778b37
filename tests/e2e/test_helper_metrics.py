"""The OpenTelemetry helpers of Python and Node against the function: the values and labels of their series are those of a scrape."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import BINARY, ROOT, TOKEN, settings

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, function, moto, post, prometheus, query, wait_for
from demo.sources import run_on_instance

sys.path[:0] = [str(ROOT / "helpers")]

import sidecarless_otel  # noqa: E402

NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"
PROGRAMS = ROOT / "tests" / "helpers" / "programs"
# Names in Prometheus of the metrics that the helpers write.
NAMES = "|".join(name.replace(".", "_") for name in sidecarless_otel.METRICS)
with gzip.open(ROOT / "tests/golden/stats.jsonl.gz", "rt") as lines:
    RECORDINGS = [json.loads(line) for line in lines]


class Documents(BaseHTTPRequestHandler):
    """The documents of recording N, at /N/task and /N/task/stats."""

    def do_GET(self) -> None:
        number, _, document = self.path.lstrip("/").partition("/")
        recording = RECORDINGS[int(number)]
        body = json.dumps(recording["task" if document == "task" else "stats"], separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    # The function connects to all targets at once.
    request_queue_size = 128


def start_task(aws: str, number: int, port: int) -> ecs.Task:
    """Runs a task in ECS whose stats endpoint serves a recording. It has `awsvpc` networking on Fargate, otherwise `bridge`."""
    is_fargate = RECORDINGS[number]["task"].get("LaunchType") == "FARGATE"
    labels = {"sidecarless.stats.port": str(port), "sidecarless.stats.path": f"/{number}"}
    task = ecs.Task(f"recording-{number}", "127.0.0.1", port, port, launch_type="FARGATE" if is_fargate else "EC2")
    if is_fargate:
        ecs.run_task(aws, task, labels)
    else:
        # moto places only one task with a given host port on an instance. The tag sets the port that the function sees.
        ports = [{"containerPort": port, "hostPort": 10_000 + number, "protocol": "tcp"}]
        ecs.register_task_definition(aws, task, "bridge", labels, ports)
        ecs.start_task(aws, task, {"demo-host-port": str(port)})
    # The function compares the documents with the task.
    RECORDINGS[number]["task"] |= {"TaskARN": task.arn, "Family": task.service, "Revision": "1", "Cluster": ecs.CLUSTER, "AvailabilityZone": f"{REGION}a"}
    return task


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, list[ecs.Task]]]:
    """Address of Prometheus, URL of the function, and the scraped tasks."""
    server = Server(("127.0.0.1", 0), Documents)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Peers(tmp_path_factory.mktemp("peers")) as peers:
        amp, aws = prometheus(peers), moto(peers)
        url = function(peers, BINARY, settings(f"{amp}/api/v1/write", aws))
        ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER)
        # Instances of the tasks that are not on Fargate, with room for 13 tasks each.
        for number in range(4):
            run_on_instance(aws, ecs.new_task(f"instance-{number}", "127.0.0.1", launch_type="EC2"))
        tasks = [start_task(aws, number, server.server_address[1]) for number in range(len(RECORDINGS))]
        event = json.loads((ROOT / "events" / "scheduled-run.json").read_text())
        event["at"] = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
        _, _, body = post(peers.invoke_url, json.dumps(event).encode())
        assert json.loads(body)["targets_up"] == len(RECORDINGS), body
        yield amp, url, tasks
    server.shutdown()


def series_of_task(amp: str, task: ecs.Task) -> dict[tuple[str, str], float]:
    """Returns the values in Prometheus by metric and container."""
    rows = query(amp, f'{{__name__=~"{NAMES}", aws_ecs_task_family="{task.service}", instance=""}}')
    return {(row["metric"]["__name__"], row["metric"].get("container_name", "")): float(row["value"][1]) for row in rows}


def by_prometheus_name(series: list[Any]) -> dict[tuple[str, str], float]:
    return {(name.replace(".", "_"), attributes.get("container.name", "")): value for name, attributes, value in series}


def assert_equal(computed: dict[tuple[str, str], float], expected: dict[tuple[str, str], float], case: str) -> None:
    assert set(computed) == set(expected), case
    for key, value in expected.items():
        assert math.isclose(computed[key], value, rel_tol=1e-12), f"{case}: {key}: {computed[key]} instead of {value}"


def test_python_gauges_have_the_values_of_a_scrape(scraped: tuple[str, str, list[ecs.Task]]) -> None:
    amp, _, tasks = scraped
    for task, recording in zip(tasks, RECORDINGS):
        computed = by_prometheus_name(sidecarless_otel.series(recording["task"], recording["stats"]))
        assert_equal(computed, series_of_task(amp, task), recording["case"])
    print(f"show: {len(tasks)} recordings equal in Python")


def in_node(recordings: list[Any]) -> list[Any]:
    """Returns the series of each recording."""
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HELPERS": str(ROOT / "helpers"), "NODE_PATH": str(NODE_MODULES)}
    lines = "\n".join(json.dumps(recording) for recording in recordings)
    ran = subprocess.run([shutil.which("node") or "node", str(PROGRAMS / "series.cjs")], input=lines, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("language", ["Python", "Node"])
def test_gauges_of_public_reports_have_the_right_values(language: str) -> None:
    """The cases of tests/metric_cases.rs with documents of a task."""
    if language == "Node" and not (shutil.which("node") and NODE_MODULES.is_dir()):
        pytest.skip("Node or its packages are not installed")
    files = sorted((ROOT / "tests" / "data" / "metric_cases").glob("*.json"))
    cases = [(file.stem, case) for file in files if (case := json.loads(file.read_text()))["kind"] == "stats"]
    runs = [(name, {"task": case["task"], "stats": stats}, expected) for name, case in cases for stats, expected in zip(case["stats"], case["expect"])]
    documents = [documents for _, documents, _ in runs]
    computed = in_node(documents) if language == "Node" else [sidecarless_otel.series(one["task"], one["stats"]) for one in documents]
    checked = 0
    for (name, _, expected), series in zip(runs, computed, strict=True):
        values = {metric: value for (metric, container), value in by_prometheus_name(series).items() if not container}
        for metric, value in expected.items():
            if re.fullmatch(NAMES, metric):
                assert values.get(metric) == (None if value == "absent" else pytest.approx(value)), f"{name}: {metric}"
                checked += 1
    assert checked > 20
    print(f"show: {checked} values of {len(cases)} public reports right in {language}")


@pytest.mark.skipif(not (shutil.which("node") and NODE_MODULES.is_dir()), reason="Node or its packages are not installed")
def test_node_gauges_have_the_values_of_a_scrape(scraped: tuple[str, str, list[ecs.Task]]) -> None:
    amp, _, tasks = scraped
    for task, recording, computed in zip(tasks, RECORDINGS, in_node(RECORDINGS), strict=True):
        assert_equal(by_prometheus_name(computed), series_of_task(amp, task), recording["case"])
    print(f"show: {len(tasks)} recordings equal in Node")


def labels_of_task(amp: str, task: ecs.Task, instance: str) -> dict[str, dict[str, str]]:
    """Returns the labels by metric of the series with this value of `instance`."""
    rows = query(amp, f'{{__name__=~"{NAMES}", aws_ecs_task_id="{task.id}", instance="{instance}"}}')
    return {row["metric"].pop("__name__"): row["metric"] for row in rows}


@pytest.mark.parametrize("program", ["otel_app.py", "otel_app.cjs"])
def test_exported_gauges_have_the_labels_of_a_scrape(scraped: tuple[str, str, list[ecs.Task]], program: str) -> None:
    """With the resource attributes that the ECS detector of an SDK sets."""
    amp, url, tasks = scraped
    command = [sys.executable] if program.endswith(".py") else [shutil.which("node") or pytest.skip("Node is not installed")]
    number = next(number for number, recording in enumerate(RECORDINGS) if len(recording["task"]["Containers"]) == 1)
    task, metadata = tasks[number], f"http://127.0.0.1:{tasks[number].stats_port}/{number}"
    attributes = {
        "service.name": "cart", "service.instance.id": program, "cloud.provider": "aws", "cloud.platform": "aws_ecs",
        "aws.ecs.task.arn": task.arn, "aws.ecs.task.family": task.service, "aws.ecs.launchtype": "fargate",
    }
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "helpers"), "HELPERS": str(ROOT / "helpers"), "NODE_PATH": str(NODE_MODULES),
        "ECS_CONTAINER_METADATA_URI_V4": metadata,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{TOKEN}",
        "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TIMEOUT": "10" if program.endswith(".py") else "10000",
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in attributes.items()),
    }
    process = subprocess.Popen([*command, str(PROGRAMS / program), "1"], env=environment, stdin=subprocess.PIPE)
    try:
        exported = wait_for("the exported gauges in Prometheus", lambda: labels_of_task(amp, task, program))
    finally:
        process.communicate(timeout=30)
    expected = labels_of_task(amp, task, "")
    assert set(exported) == set(expected) and len(expected) == 10
    for name, labels in exported.items():
        assert labels["job"] == "cart"
        assert expected[name].items() <= labels.items()
