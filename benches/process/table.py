"""Renders results as Markdown tables, and writes them to docs/performance.md."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from .targets import METRICS, Goal, Metric

# A value that a version does not have.
ABSENT = "-"


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def cell(value: float | None) -> str:
    return ABSENT if value is None else number(value)


def goals(goal: Goal, sign: str = "") -> list[str]:
    return ["" if value is None else sign + number(value) for value in (goal.target, goal.stretch)]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def measured(values: Mapping[str, float]) -> str:
    """The table of one version, in the order of the metrics."""
    head = ["metric", "unit", "measured", "target", "stretch target", "result"]
    rows = []
    for metric, value in ((METRICS[key], values[key]) for key in METRICS if key in values):
        rows.append([metric.name, metric.unit, f"**{number(value)}**", *goals(metric.goal), metric.goal.result(value)])
    return f"{about()}\n\n" + markdown(head, rows)


def compared(old: Mapping[str, float | None], new: Mapping[str, float | None]) -> str:
    """The table of two versions. A target with a multiplication sign is one of the ratio."""
    head = ["metric", "unit", "old", "new", "ratio", "target", "stretch target", "result"]
    rows = [compared_row(METRICS[key], old.get(key), new.get(key)) for key in METRICS if key in old or key in new]
    return f"{about()}\n\n" + markdown(head, rows)


def compared_row(metric: Metric, old: float | None, new: float | None) -> list[str]:
    ratio = new / old if old and new is not None else None
    if metric.ratio.target is not None:
        goal, value, sign = metric.ratio, ratio, "× "
    else:
        goal, value, sign = metric.goal, new, ""
    result = "" if value is None else goal.result(value)
    shown_ratio = ABSENT if ratio is None else f"**{ratio:.2f}**"
    return [metric.name, metric.unit, cell(old), cell(new), shown_ratio, *goals(goal, sign), result]


def about() -> str:
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", cpu, re.MULTILINE)
    cores = len(re.findall(r"^processor\s*:", cpu, re.MULTILINE))
    return f"{date.today().isoformat()}, {model[1] if model else platform.machine()}, {cores} cores, Linux {platform.release()}."


def write(page: Path, name: str, table: str) -> None:
    """Replaces the text between the markers of this name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise SystemExit(f"{page}: missing markers for the table, {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}")
