"""The table of targets, as Markdown, and its place in docs/performance.md."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


@dataclass
class Row:
    """One figure. Without a target it is there to be seen."""

    what: str
    unit: str
    value: float
    target: float | None = None
    stretch: float | None = None

    def markdown(self) -> str:
        goals = [number(goal) if goal is not None else "" for goal in (self.target, self.stretch)]
        return f"| {self.what} | {self.unit} | **{number(self.value)}** | {goals[0]} | {goals[1]} | {self.verdict()} |"

    def verdict(self) -> str:
        if self.target is None or self.stretch is None:
            return ""
        if self.value <= self.stretch:
            return "stretch"
        return "target" if self.value <= self.target else f"missed by {self.value / self.target - 1:.0%}"


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def markdown(rows: list[Row]) -> str:
    head = ["| | unit | measured | target | stretch | met |", "|---|---|---|---|---|---|"]
    return "\n".join([f"{date.today().isoformat()}, {machine()}.", "", *head, *(row.markdown() for row in rows)])


def machine() -> str:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    cores = Path("/proc/cpuinfo").read_text().count("\nprocessor") + 1
    return f"{model[1] if model else platform.machine()}, {cores} cores, Linux {platform.release()}"


def write(page: Path, table: str) -> None:
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no place for the table: {BEGIN} and {END}")
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}")
