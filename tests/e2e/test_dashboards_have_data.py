"""Every query of every panel in grafana/ returns data from a Prometheus that contains only data from the function."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from conftest import BINARY, ROOT, TOKEN, Stack, settings
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from test_broken_bodies import gauge
from test_spool import SpoolStack, flaky_destination

from demo import ecs
from demo.__main__ import run_scheduled, run_shop, stats_targets
from demo.peers import ACCOUNT, REGION, Peers, function, get, moto, post, prometheus, query, wait_for
from demo.sources import INSIGHTS_DELAY_SECONDS, UNTOUCHED_CLUSTER, Sources

DASHBOARDS = ["fleet", "service", "sidecarless"]
# Values of the variables of Grafana and of the dashboards.
VARIABLES = {"__range": "3h", "memory": "512", "cluster": ".*", "service": ".*", "job": ".*"}
STEP_SECONDS = 15


@pytest.fixture(scope="module")
def amp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # Use the stable semantic conventions for HTTP metric names.
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    with Peers(tmp_path_factory.mktemp("dashboards")) as peers:
        yield fill(peers)
    del os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"]


def fill(peers: Peers) -> str:
    """Runs the demo shop, and causes each kind of failure once. Returns the address of Prometheus."""
    base, aws = prometheus(peers), moto(peers)
    shop, others = ecs.run_tasks(aws), Sources(aws)
    others.run_tasks()
    # No server listens on its stats port.
    ecs.run_task(aws, ecs.new_task("unreachable", "127.0.1.14"), ecs.stats_labels(9))
    # It declares that it pushes its stats, and sends nothing.
    ecs.run_task(aws, ecs.new_task("silent", "127.0.1.20"), {"sidecarless.stats": "push"})
    sqs = ecs.client("sqs", aws)
    queue = sqs.create_queue(QueueName="spool")["QueueUrl"]
    amp_proxy, amp_url = flaky_destination(base)
    env = settings(f"{amp_url}/api/v1/write", aws) | {
        "SIDECARLESS_CLUSTERS": f"{ecs.CLUSTER},{UNTOUCHED_CLUSTER}", "SIDECARLESS_INSIGHTS_DELAY": f"{INSIGHTS_DELAY_SECONDS}s",
        "SIDECARLESS_SPOOL_QUEUE_URL": queue, "SIDECARLESS_CLOUDWATCH_INTERVAL": "1",
    }
    stack = Stack(peers, base, aws, function(peers, BINARY, env))
    ecs.start_processes(peers, shop, stack.url, TOKEN)
    others.start_processes(peers, stack.url, TOKEN)
    ecs.wait_for_processes([*shop, *others.tasks])
    endpoints = len(stats_targets([*shop, *others.tasks])) - 1
    assert run_shop(peers, shop, others)
    for name in ["deployment-failed", "service-action"]:
        send_event(peers, name)
    assert stack.push("/v1/metrics", delta())[0] == 200
    assert stack.push("/v1/traces", b"", authorization="Bearer guessed")[0] == 401
    amp_proxy.outage.set()
    assert stack.push("/v1/metrics", gauge("kept", 1))[0] == 200
    amp_proxy.outage.clear()
    spooled = SpoolStack(stack, queue, sqs, amp_proxy, amp_proxy)
    wait_for("the spool is empty", lambda: spooled.redeliver() == [] and query(base, "kept"))

    def self_metrics() -> list[dict[str, Any]]:
        """Invokes the function, because it writes its self-metrics after an invocation, at most once a minute."""
        run_scheduled(peers, int(time.time()), endpoints)
        return query(base, "sidecarless_redelivered_total")

    wait_for("self-metrics in Prometheus", self_metrics, 90)
    return base


def send_event(peers: Peers, name: str) -> None:
    """Sends a sample event to the function, as if it had just happened."""
    event = json.loads((ROOT / "events" / f"{name}.json").read_text()) | {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    event["resources"] = [f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/{ecs.CLUSTER}/cart-svc"]
    status, _, body = post(peers.invoke_url, json.dumps(event).encode())
    assert status == 200 and json.loads(body)["delivered"] == 1, body


def delta() -> bytes:
    """Returns a request with a delta counter, which is rejected."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="rejected")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 1, True
    metric.sum.data_points.add(as_int=1, time_unix_nano=time.time_ns(), start_time_unix_nano=time.time_ns() - 10**9)
    return request.SerializeToString()


def board(name: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / "grafana" / f"{name}.json").read_text()))


def substituted(expression: str) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda name: VARIABLES[name[1]], expression)


def points(amp: str, target: dict[str, Any]) -> int:
    """Returns the number of values that a panel target shows, with the query that Grafana would send."""
    promql = substituted(target["expr"])
    if target.get("instant"):
        return len([one for one in query(amp, promql) if math.isfinite(float(one["value"][1]))])
    now = time.time()
    parameters = {"query": promql, "start": now - 900, "end": now, "step": STEP_SECONDS}
    lines = json.loads(get(f"{amp}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"))["data"]["result"]
    return sum(math.isfinite(float(value)) for line in lines for _, value in line["values"])


def test_every_query_of_every_panel_returns_data(amp: str) -> None:
    empty, queries, cloudwatch_queries = [], 0, 0
    for name in DASHBOARDS:
        for panel in board(name)["panels"]:
            for target in panel.get("targets", []):
                if "expr" not in target:
                    cloudwatch_queries += 1
                    continue
                queries += 1
                if not points(amp, target):
                    empty.append(f"{name}: {panel['title']}: {substituted(target['expr'])}")
        for annotation in board(name).get("annotations", {}).get("list", []):
            queries += 1
            if not points(amp, annotation):
                empty.append(f"{name}: {annotation['name']}: {substituted(annotation['expr'])}")
    summary = f"{queries - len(empty)} of {queries} queries of {len(DASHBOARDS)} dashboards return data"
    print(f"\nshow: {summary}; {cloudwatch_queries} more query CloudWatch")
    assert not empty, "\n".join(empty)
    assert queries >= 58


def test_no_query_returns_only_its_fallback(amp: str) -> None:
    """`or vector(0)` returns a number even if the metric does not exist. No data was dropped in this test."""
    targets = [target for name in DASHBOARDS for panel in board(name)["panels"] for target in panel.get("targets", [])]
    texts = [target["expr"] for target in targets if "expr" in target]
    named = {name for text in texts for name in re.findall(r"\b(?:ecs|sidecarless|http_server|scrape)_\w+(?=[{)[ ])", text)}
    missing = {name for name in named if not query(amp, f"last_over_time({name}[15m])")}
    assert missing == {"sidecarless_dropped_total", "sidecarless_refused_total"}, named


def test_every_variable_has_values(amp: str) -> None:
    queries = [v["query"]["query"] for name in DASHBOARDS for v in board(name)["templating"]["list"] if v["type"] == "query"]
    for definition in queries:
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", definition).groups()  # type: ignore[union-attr]
        url = f"{amp}/api/v1/label/{label}/values?{urllib.parse.urlencode({'match[]': substituted(selector)})}"
        assert json.loads(get(url))["data"], definition
    print(f"\nshow: {len(queries)} of {len(queries)} variables have values", end="")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboard_can_be_drawn(amp: str, name: str) -> None:
    picture = subprocess.run([ROOT / "grafana" / "draw", amp, name], capture_output=True, text=True, timeout=60)
    assert picture.returncode == 0, picture.stderr
    words = [element.text for element in ElementTree.fromstring(picture.stdout).iter("{http://www.w3.org/2000/svg}text")]
    titles = [panel["title"] for panel in board(name)["panels"] if any("expr" in target for target in panel.get("targets", []))]
    drawn = [title for title in titles if any(word and (word == title or title.startswith(word.rstrip("…"))) for word in words)]
    assert drawn == titles
    assert "No data" not in words
