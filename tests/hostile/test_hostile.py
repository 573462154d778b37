"""Every input keeps its property, except the inputs in known_failures.json. A listed input must still fail, so that the list only
shrinks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import conftest
import pytest
import repetitions  # noqa: F401  (adds its inputs)
from checks import CHECKS, measure
from inputs import INPUTS, Input

# Maps an input to its status, peak memory, CPU time, and what does not hold.
KNOWN_FAILURES: dict[str, str] = json.loads(conftest.KNOWN_FAILURES.read_text())


def test_input_names_are_unique_and_kinds_exist() -> None:
    names = [entry.name for entry in INPUTS]
    assert len(names) == len(set(names))
    assert {entry.kind for entry in INPUTS} == set(CHECKS)


def test_known_failures_are_inputs() -> None:
    assert set(KNOWN_FAILURES) <= set(CASES)



def case_name(entry: Input, memory_mb: int) -> str:
    return entry.name if memory_mb == entry.memory_sizes[0] else f"{entry.name} ({memory_mb} MB)"


CASES = {case_name(entry, memory_mb): (entry, memory_mb) for entry in INPUTS for memory_mb in entry.memory_sizes}


@pytest.mark.parametrize("case", CASES)
def test_input(case: str, binary: Path, tmp_path: Path) -> None:
    entry, memory_mb = CASES[case]
    result = conftest.RESULTS[case] = measure(entry, memory_mb, binary, tmp_path)
    if os.environ.get("UPDATE"):
        return
    if case in KNOWN_FAILURES:
        assert not result.holds, f"{case} holds now: remove it from known_failures.json"
    else:
        assert result.holds, "; ".join(result.broken)
