"""Starts programs with the environment of a container."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from languages import HELPERS, Program

PREFIX = "sidecarless: task stats were not sent: "


def wait_until(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Returns whether the condition became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def container_environment(variables: dict[str, str]) -> dict[str, str]:
    """Only these variables and PATH, so that no setting of the developer reaches the program."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp"), "HELPERS": str(HELPERS), **variables}


class Process:
    """A running program, whose standard input is open and whose output is recorded."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self.output, self.errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            command, env=container_environment(variables), stdin=subprocess.PIPE, stdout=self.output, stderr=self.errors, start_new_session=True
        )

    @property
    def stdout(self) -> str:
        return os.pread(self.output.fileno(), 1 << 20, 0).decode()

    @property
    def stderr(self) -> str:
        return os.pread(self.errors.fileno(), 1 << 20, 0).decode()

    @property
    def reports(self) -> list[str]:
        """Lines of the helper on stderr. Other lines fail the test."""
        lines = self.stderr.splitlines()
        assert all(line.startswith(PREFIX) for line in lines), self.stderr
        return [line.removeprefix(PREFIX) for line in lines]

    def finish(self, limit: float) -> float:
        """Lets the application end, and returns the seconds that its process took to end."""
        started = time.monotonic()
        assert self.child.stdin
        self.child.stdin.close()
        try:
            self.child.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        return time.monotonic() - started

    def kill(self) -> None:
        """Kills the process group, as the kernel does when a container stops."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()


@contextmanager
def started(command: list[str], variables: dict[str, str]) -> Iterator[Process]:
    process = Process(command, variables)
    try:
        yield process
    finally:
        process.kill()
        if process.child.stdin:
            process.child.stdin.close()


def application(program: Program, variables: dict[str, str], interval: float = 1):
    """The test program of a language."""
    return started([*program.command, str(interval)], {**program.environment, **variables})
