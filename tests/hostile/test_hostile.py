"""Every input keeps its property, except the inputs in known_failures.json. A listed input must still fail, so that the list only
shrinks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import conftest
import pytest
from checks import CHECKS, measure
from inputs import INPUTS, Input

# Maps an input to its status, peak memory, CPU time, and what does not hold.
KNOWN_FAILURES: dict[str, str] = json.loads(conftest.KNOWN_FAILURES.read_text())


def test_input_names_are_unique_and_kinds_exist() -> None:
    names = [entry.name for entry in INPUTS]
    assert len(names) == len(set(names))
    assert {entry.kind for entry in INPUTS} == set(CHECKS)


def test_known_failures_are_inputs() -> None:
    assert set(KNOWN_FAILURES) <= {entry.name for entry in INPUTS}


@pytest.mark.parametrize("entry", INPUTS, ids=lambda entry: entry.name)
def test_input(entry: Input, binary: Path, tmp_path: Path) -> None:
    result = conftest.RESULTS[entry.name] = measure(entry, binary, tmp_path)
    if os.environ.get("UPDATE"):
        return
    if entry.name in KNOWN_FAILURES:
        assert not result.holds, f"{entry.name} holds now: remove it from known_failures.json"
    else:
        assert result.holds, "; ".join(result.broken)
