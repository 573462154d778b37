"""Every input keeps its property."""

from __future__ import annotations

from pathlib import Path

import conftest
import layouts  # noqa: F401  (adds its inputs)
import pytest
import relabelling  # noqa: F401  (adds its inputs)
import repetitions  # noqa: F401  (adds its inputs)
import settings  # noqa: F401  (adds its inputs)
from checks import CHECKS, measure
from inputs import INPUTS, Input


def test_input_names_are_unique_and_kinds_exist() -> None:
    names = [entry.name for entry in INPUTS]
    assert len(names) == len(set(names))
    assert {entry.kind for entry in INPUTS} == set(CHECKS)


def case_name(entry: Input, memory_mb: int) -> str:
    return entry.name if memory_mb == entry.memory_sizes[0] else f"{entry.name} ({memory_mb} MB)"


CASES = {case_name(entry, memory_mb): (entry, memory_mb) for entry in INPUTS for memory_mb in entry.memory_sizes}


@pytest.mark.parametrize("case", CASES)
def test_input(case: str, binary: Path, tmp_path: Path) -> None:
    entry, memory_mb = CASES[case]
    result = measure(entry, memory_mb, binary, tmp_path)
    conftest.RESULTS[case] = result
    assert result.holds, "; ".join(result.broken)
