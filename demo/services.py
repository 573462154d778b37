"""State of the services, which needs nothing in their tasks, and their usage, from the best source of each."""

from __future__ import annotations

from typing import Any

from . import ecs
from .peers import query

BY_SERVICE = "by (aws_ecs_service_name)"
STATE = {
    "desired": f"sum {BY_SERVICE} (ecs_service_desired_task_count)",
    "running": f"sum {BY_SERVICE} (ecs_service_running_task_count)",
    "healthy": f'sum {BY_SERVICE} (ecs_task_health_status{{health_status="HEALTHY"}})',
    # The last values, because a task of the demo stops.
    "cpu_reserved": f"sum {BY_SERVICE} (last_over_time(ecs_task_cpu_reserved[10m])) / 1024",
    "memory_reserved": f"sum {BY_SERVICE} (last_over_time(ecs_task_memory_reserved[10m]))",
}


def task_usage(kind: str) -> str:
    used, reserved = (f"last_over_time(ecs_task_{kind}_{what}[10m])" for what in ("utilized", "reserved"))
    return f"100 * sum {BY_SERVICE} ({used}) / sum {BY_SERVICE} ({reserved} and {used})"


def service_usage(kind: str) -> str:
    return f'max {BY_SERVICE} (last_over_time(ecs_service_{kind}_utilization_percent{{stat="average"}}[16m]))'


def service_rows(amp: str, tasks: list[ecs.Task]) -> list[dict[str, Any]] | None:
    """Returns a row for each service. Returns None while a service lacks its state, or the untouched one its usage."""
    state = {key: by_service(amp, promql) for key, promql in STATE.items()}
    usage = {
        source: {kind: by_service(amp, usage_of(kind)) for kind in ("cpu", "memory")}
        for source, usage_of in [("tasks", task_usage), ("CloudWatch", service_usage)]
    }
    rows = []
    for task in tasks:
        service = f"{task.service}-svc"
        sources = [source for source, values in usage.items() if service in values["cpu"] and service in values["memory"]]
        if service not in state["desired"] or (task.source == "none" and not (sources and service in state["cpu_reserved"])):
            return None
        values = {kind: usage[sources[0]][kind][service] if sources else None for kind in ("cpu", "memory")}
        numbers = {key: counts.get(service) for key, counts in state.items()}
        rows.append({"service": service, "cluster": task.cluster, **numbers, **values, "source": sources[0] if sources else "-"})
    return rows


def by_service(amp: str, promql: str) -> dict[str, float]:
    return {series["metric"].get("aws_ecs_service_name", ""): float(series["value"][1]) for series in query(amp, promql)}
