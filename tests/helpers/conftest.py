"""Fixtures: the test program of each language."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from cases import Case, run_all  # noqa: E402
from languages import LANGUAGES, Missing, Program  # noqa: E402


class Programs:
    """The test programs, each of which is compiled once."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.factory = factory
        self.built: dict[str, Program | Missing] = {}
        self.lock = threading.RLock()

    def get(self, language: str) -> Program:
        with self.lock:
            program = self.build(language)
        if isinstance(program, Missing):
            pytest.skip(str(program))
        return program

    def build(self, language: str) -> Program | Missing:
        if language not in self.built:
            try:
                self.built[language] = LANGUAGES[language](self.factory.mktemp(language))
                print(f"show: helper tested with {self.built[language].version}")
            except Missing as missing:
                self.built[language] = missing
                print(f"show: helper for {language} not tested: {missing}")
        return self.built[language]

    def available(self) -> dict[str, Program]:
        """Returns the programs of all installed languages."""
        with self.lock:
            built = {language: self.build(language) for language in LANGUAGES}
        return {language: program for language, program in built.items() if isinstance(program, Program)}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory)


@pytest.fixture(scope="session", autouse=True)
def runs(request: pytest.FixtureRequest, programs: Programs) -> Iterator[Future[dict[str, dict[str, Case]]]]:
    """The cases of all installed languages. They start before the first test and run beside it, because they mostly wait."""
    is_needed = any("results" in getattr(item, "fixturenames", ()) for item in request.session.items)
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(lambda: run_all(programs.available() if is_needed else {}))
