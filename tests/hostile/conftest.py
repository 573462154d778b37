"""Finds the binary, and prints the table of the results."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

RESULTS: dict[str, Any] = {}


@pytest.fixture(scope="session")
def binary() -> Path:
    return Path(os.environ.get("SIDECARLESS_BINARY_PATH") or ROOT / "target/release/sidecarless-function")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"\n{'input':62} {'status':8} {'peak MB':>8} {'CPU s':>7}  holds")
    # Failures last, where the end of a log is shown.
    for name, result in sorted(RESULTS.items(), key=lambda entry: not entry[1].holds):
        holds = "yes" if result.holds else "no: " + "; ".join(result.broken)
        terminalreporter.write_line(f"{name:62} {result.status:8} {result.peak_mb:8.0f} {result.cpu_s:7.2f}  {holds}")
    if RESULTS:
        holding = sum(result.holds for result in RESULTS.values())
        peak, cpu = max(result.peak_mb for result in RESULTS.values()), max(result.cpu_s for result in RESULTS.values())
        terminalreporter.write_line(f"{holding} of {len(RESULTS)} inputs hold; highest peak {peak:.0f} MB, longest CPU time {cpu:.1f} s")
