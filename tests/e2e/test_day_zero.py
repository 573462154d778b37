"""Three tasks that were not changed for the function: what it writes about them, and what dashboards show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import BINARY, settings
from test_dashboards_have_data import board, points, substituted

from demo import dashboard, ecs
from demo.__main__ import run_scheduled
from demo.peers import Peers, function, moto, prometheus, query, wait_for
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
        yield Fleet(amp, peers.folder / "function.log")


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
