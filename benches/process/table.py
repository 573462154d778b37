"""Renders the table of results and targets as Markdown, and writes it to docs/performance.md."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


@dataclass
class Row:
    """One result. The target is optional."""

    name: str
    unit: str
    value: float
    target: float | None = None
    stretch: float | None = None

    def markdown(self) -> str:
        goals = [number(goal) if goal is not None else "" for goal in (self.target, self.stretch)]
        return f"| {self.name} | {self.unit} | **{number(self.value)}** | {goals[0]} | {goals[1]} | {self.result()} |"

    def result(self) -> str:
        if self.target is None or self.stretch is None:
            return ""
        if self.value <= self.stretch:
            return "stretch target met"
        return "target met" if self.value <= self.target else f"missed by {self.value / self.target - 1:.0%}"


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def markdown(rows: list[Row]) -> str:
    head = ["| metric | unit | measured | target | stretch target | result |", "|---|---|---|---|---|---|"]
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
        raise SystemExit(f"{page}: missing markers for the table, {BEGIN} and {END}")
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}")
