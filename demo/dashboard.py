"""Queries of the public dashboard for ECS tasks in AMP: seven panels, which must all return data."""

from __future__ import annotations

import json
import time
import urllib.parse
from typing import Any

from .peers import get, query

FAMILY = "aws_ecs_task_family"


def by_family(metric: str) -> str:
    return f"sum by ({FAMILY}) (avg_over_time({metric}[1m]))"


STATS = {
    "Running ECS tasks": "count(count by (aws_ecs_task_id) (ecs_task_cpu_reserved))",
    "Total memory usage, MB": "sum(ecs_task_memory_usage) / 2^20",
    "Total vCPU usage": "sum(ecs_task_cpu_usage_vcpu)",
}
GRAPHS = {
    "CPU usage": by_family("ecs_task_cpu_utilized"),
    "Memory usage, percent": f"100 * {by_family('ecs_task_memory_utilized')} / {by_family('ecs_task_memory_reserved')}",
    "Network received, B/s": by_family("ecs_task_network_rate_rx"),
    "Network sent, B/s": by_family("ecs_task_network_rate_tx"),
}


def panels(amp: str, families: set[str]) -> list[dict[str, Any]] | None:
    """Returns the value of each panel: a number, or a line for each task family. Returns None while a panel lacks data."""
    rows = []
    for title, promql in STATS.items():
        result = query(amp, promql)
        if not result:
            return None
        rows.append({"panel": title, "query": promql, "value": f"{float(result[0]['value'][1]):.3g}"})
    for title, promql in GRAPHS.items():
        lines = {line["metric"].get(FAMILY): line["values"] for line in graph(amp, promql)}
        if not families <= lines.keys():
            return None
        points = sum(len(values) for values in lines.values())
        rows.append({"panel": title, "query": promql, "value": f"{len(lines)} families, {points} points"})
    return rows


def graph(amp: str, promql: str) -> list[dict[str, Any]]:
    """Queries the last ten minutes, because Container Insights data is some minutes old."""
    now = time.time()
    parameters = {"query": promql, "start": now - 600, "end": now, "step": 15}
    return list(json.loads(get(f"{amp}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"))["data"]["result"])
