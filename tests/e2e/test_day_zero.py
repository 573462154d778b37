"""Three tasks that were not changed for the function: what it writes about them, and what dashboards show."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import BINARY, CLI, ROOT, settings
from test_dashboards_have_data import board, points, substituted

from demo import dashboard, ecs
from demo.__main__ import run_scheduled
from demo.peers import CREDENTIALS, REGION, Peers, function, moto, prometheus, query, wait_for
from demo.sources import UNTOUCHED_CLUSTER, measure

SERVICES = ["invoices", "letters", "payroll"]
# The only query of the public dashboard for ECS tasks that needs no usage.
FILLED_QUERIES = ["Running ECS tasks"]
# Panels of the dashboard "ECS fleet" that need the usage of tasks, or tasks that stopped or started within the range.
EMPTY_PANELS = {
    "vCPU in use", "Memory in use", "vCPU by service", "Network received by service", "Network sent by service",
    "Tasks closest to their memory limit", "Stopped tasks in five minutes, by reason",
    "Stopped tasks", "Exit codes of stopped containers", "CPU of container instances, in vCPU", "Memory of container instances",
    # The deployments are completed.
    "Deployments under way and failed",
    # No task declares that it pushes.
    "Tasks whose stats stopped",
}


@dataclass
class Fleet:
    amp: str
    log: Path
    # Settings of the function.
    environment: dict[str, str]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Peers(tmp_path_factory.mktemp("day-zero")) as peers:
        amp, aws = prometheus(peers), moto(peers)
        ecs.create_cluster(aws, UNTOUCHED_CLUSTER, insights=False)
        for number, service in enumerate(SERVICES):
            task = ecs.new_task(service, f"127.0.4.{number + 1}", source="none")
            task.cluster = UNTOUCHED_CLUSTER
            ecs.run_task(aws, task, {})
            measure(aws, task)
        environment = settings(f"{amp}/api/v1/write", aws) | {"SIDECARLESS_CLUSTERS": UNTOUCHED_CLUSTER, "SIDECARLESS_CLOUDWATCH_INTERVAL": "1"}
        function(peers, BINARY, environment)
        run_scheduled(peers, int(time.time()), endpoints=0)
        wait_for("the state of the tasks in Prometheus", lambda: len(query(amp, "ecs_task_info")) == len(SERVICES))
        yield Fleet(amp, peers.folder / "function.log", environment)


def test_untouched_tasks_have_series_of_their_state(fleet: Fleet) -> None:
    names = {series["metric"]["__name__"]: int(series["value"][1]) for series in query(fleet.amp, 'count by (__name__) ({__name__=~"ecs_.*"})')}
    usage = {name for name in names if name.startswith("ecs_task_") and "utilized" in name}
    assert not usage and names["ecs_service_desired_task_count"] == names["ecs_task_cpu_reserved"] == len(SERVICES), names
    print(f"\nshow: {len(SERVICES)} untouched tasks have {sum(names.values())} series of {len(names)} metrics", end="")


def test_public_dashboard_shows_the_number_of_tasks_only(fleet: Fleet) -> None:
    queries = dashboard.STATS | dashboard.GRAPHS
    filled = [title for title, promql in queries.items() if query(fleet.amp, promql)]
    assert filled == FILLED_QUERIES
    assert query(fleet.amp, queries["Running ECS tasks"])[0]["value"][1] == str(len(SERVICES))
    print(f"\nshow: {len(filled)} of {len(queries)} queries of the public dashboard for ECS tasks return data: {', '.join(filled)}", end="")


def test_fleet_dashboard_shows_state_and_cloudwatch_usage(fleet: Fleet) -> None:
    panels = {panel["title"]: panel["targets"] for panel in board("fleet")["panels"]}
    empty = {title for title, targets in panels.items() if not any(points(fleet.amp, target) for target in targets)}
    assert empty == EMPTY_PANELS
    (services,) = [panel for panel in board("fleet")["panels"] if panel["title"] == "State of services"]
    unfilled = [target["expr"] for target in services["targets"] if len(query(fleet.amp, substituted(target["expr"]))) != len(SERVICES)]
    assert not unfilled, "each column has a value for each service"
    print(f"\nshow: {len(panels) - len(empty)} of {len(panels)} panels of the dashboard ECS fleet show untouched tasks", end="")


PAGE = ROOT / "docs" / "day-zero.md"
# Values that differ between two runs, and their placeholders on the page.
VARIABLE = [
    (r"arn:aws:sts::\S+", "arn:aws:sts::111122223333:assumed-role/operators/alice"),
    (r"\b1-[0-9a-f]{8}-[0-9a-f]{24}\b", "1-6b0b6cae-00000000000001a224a08adf"),
    (r'"timestamp":"[^"]*"', '"timestamp":"2026-11-29T00:07:10.508679Z"'),
    (r'"duration_ms":\d+', '"duration_ms":147'),
    (r'"scheduled_ms":\d+', '"scheduled_ms":1795910820000'),
]
TASK_IDS = ["bffda5a096e441b9a6ebd48e8006c320", "14f4cc7a58a64ce3807caf0e90ff30b4", "ec4eba9fa0ad4bb4884fd90f678cbd5e"]


def run(command: str, fleet: Fleet) -> tuple[int, str]:
    env = os.environ | CREDENTIALS | fleet.environment | {"AWS_REGION": REGION}
    ran = subprocess.run([str(CLI), command], env=env, capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stdout


def shown(output: str) -> str:
    """Returns output as the page shows it. Tasks are listed by family."""
    for pattern, text in VARIABLE:
        output = re.sub(pattern, text, output)
    ids = dict.fromkeys(re.findall(r"\b[0-9a-f]{32}\b", output))
    for found, documented in zip(ids, TASK_IDS, strict=False):
        output = output.replace(found, documented)
    return output


def test_page_shows_the_output_for_untouched_tasks(fleet: Fleet) -> None:
    targets, check = run("targets", fleet), run("check", fleet)
    assert (targets[0], check[0]) == (0, 1), "only the check fails"
    log = "".join(line for line in fleet.log.read_text().splitlines(keepends=True) if line.startswith("{"))
    page = expected = PAGE.read_text()
    for name, output in [("targets", targets[1]), ("check", check[1]), ("log", log)]:
        before, rest = expected.split(f"<!-- {name} -->")
        after = rest.split(f"<!-- /{name} -->")[1]
        expected = f"{before}<!-- {name} -->\n\n```text\n{shown(output)}```\n\n<!-- /{name} -->{after}"
    if os.environ.get("UPDATE") == "1":
        PAGE.write_text(expected)
    else:
        assert page == expected, "docs/day-zero.md: UPDATE=1 writes it"
    assert len(set(TASK_IDS) & set(re.findall(r"\b[0-9a-f]{32}\b", expected))) == len(SERVICES)
    print(f"\nshow: docs/day-zero.md has {targets[1].count('none  ')} tasks in `targets`, {len(check[1].splitlines())} checks and {len(log.splitlines())} log lines", end="")
