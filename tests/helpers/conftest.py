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
from exports import run_failing_cases, sdk_programs  # noqa: E402
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the tests of the background cases last, so that they do not wait."""
    items.sort(key=lambda item: bool({"runs", "failing_exports"} & set(getattr(item, "fixturenames", ()))))


def uses(request: pytest.FixtureRequest, fixture: str) -> bool:
    return any(fixture in getattr(item, "fixturenames", ()) for item in request.session.items)


@pytest.fixture(scope="session")
def background(request: pytest.FixtureRequest, programs: Programs) -> Iterator[tuple[Future[dict[str, dict[str, Case]]], Future[None]]]:
    """The cases of all installed languages, and the failures of exports. They start before the first test and run in
    parallel with the tests, because they mostly wait."""
    with ThreadPoolExecutor(2) as pool:
        cases = pool.submit(lambda: run_all(programs.available() if uses(request, "runs") else {}))
        exports = pool.submit(lambda: run_failing_cases(sdk_programs(programs.available())) if uses(request, "failing_exports") else None)
        yield cases, exports


@pytest.fixture(scope="session", autouse=True)
def started_in_background(background: object) -> None:
    pass


@pytest.fixture
def runs(background: tuple[Future[dict[str, dict[str, Case]]], Future[None]]) -> Future[dict[str, dict[str, Case]]]:
    return background[0]


@pytest.fixture
def failing_exports(background: tuple[Future[dict[str, dict[str, Case]]], Future[None]]) -> Future[None]:
    return background[1]
