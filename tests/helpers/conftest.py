"""Fixtures: the test program of each language."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from languages import LANGUAGES, Missing, Program  # noqa: E402


class Programs:
    """The test programs, each of which is compiled once."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.factory = factory
        self.built: dict[str, Program | Missing] = {}

    def get(self, language: str) -> Program:
        if language not in self.built:
            try:
                self.built[language] = LANGUAGES[language](self.factory.mktemp(language))
                print(f"show: helper tested with {self.built[language].version}")
            except Missing as missing:
                self.built[language] = missing
                print(f"show: helper for {language} not tested: {missing}")
        program = self.built[language]
        if isinstance(program, Missing):
            pytest.skip(str(program))
        return program

    def available(self) -> dict[str, Program]:
        """Returns the programs of all installed languages."""
        found = {}
        for language in LANGUAGES:
            try:
                found[language] = self.get(language)
            except pytest.skip.Exception:
                pass
        return found


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory)
