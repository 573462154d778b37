"""Finds the binary, prints the table of the results, and writes known_failures.json with UPDATE=1."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

KNOWN_FAILURES = Path(__file__).parent / "known_failures.json"
RESULTS: dict[str, Any] = {}


@pytest.fixture(scope="session")
def binary() -> Path:
    return Path(os.environ.get("SIDECARLESS_BINARY_PATH") or ROOT / "target/release/sidecarless-function")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"\n{'input':47} {'status':8} {'peak MB':>8} {'CPU s':>7}  holds")
    for name, result in RESULTS.items():
        holds = "yes" if result.holds else "no: " + "; ".join(result.broken)
        terminalreporter.write_line(f"{name:47} {result.status:8} {result.peak_mb:8.0f} {result.cpu_s:7.2f}  {holds}")
    if RESULTS:
        holding = sum(result.holds for result in RESULTS.values())
        peak, cpu = max(result.peak_mb for result in RESULTS.values()), max(result.cpu_s for result in RESULTS.values())
        terminalreporter.write_line(f"{holding} of {len(RESULTS)} inputs hold; highest peak {peak:.0f} MB, longest CPU time {cpu:.1f} s")
    if os.environ.get("UPDATE"):
        known = json.loads(KNOWN_FAILURES.read_text()) | {name: measured(result) for name, result in RESULTS.items()}
        failures = {name: known[name] for name in sorted(known) if name not in RESULTS or not RESULTS[name].holds}
        KNOWN_FAILURES.write_text(json.dumps(failures, indent=2) + "\n")


def measured(result: Any) -> str:
    return f"{result.status}, {result.peak_mb:.0f} MB, {result.cpu_s:.2f} s: {'; '.join(result.broken)}"[:300]
