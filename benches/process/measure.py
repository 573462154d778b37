"""Measurements, each in the unit of its table row."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from .aws import REMOTE_WRITE, STATS_TASKS, TRACE_SEGMENTS, Loopback
from .function import Function
from .scrape import scrape_cpu_us_per_sample, scrape_peak_mb
from .tls import Certificates

# Time between two pushes of `slow_push_us`.
PAUSE_S = 1.0
# Pushes of stats in one round.
STATS_ROUND = 200
# Task and time in `benches/payload/tasks.rs`.
STATS_TASK = b"5f0e6c1d2b3a49788e7d6c5b4a392817"
STATS_READ = b"2026-11-22T23:25:00Z"


@dataclass(frozen=True)
class Version:
    """A binary of the function, and the variables that its template sets."""

    binary: Path
    variables: dict[str, str]


@dataclass(frozen=True)
class Effort:
    """How often each value is measured."""

    # Invocations before the measurement, which open connections and let the allocator reserve memory.
    warm_up: int = 20
    # CPU time is measured in rounds. The result is the lowest round, because other processes on the machine compete for caches
    # and cores, and can only increase the CPU time.
    rounds: int = 10
    round_cpu_ns: int = 250_000_000
    # The time of a start depends on when the kernel schedules the process, in both directions. The result is the median.
    starts: int = 20
    first_pushes: int = 5
    # Processes that scrape.
    scrapers: int = 3
    # Peaks depend on the times at which bytes arrive, in both directions. The result is the median.
    peaks: int = 1


QUICK = Effort(rounds=3, round_cpu_ns=50_000_000, starts=5, first_pushes=3, scrapers=1)


@dataclass
class Push:
    """Cost of one kind of request."""

    items: int
    cpu_us_per_item: float
    cpu_ms: float
    wall_ms: float
    requests: float
    bytes: float
    # Highest memory since the start.
    peak_mb: float


class Bench:
    """Measures several versions of the function. They take turns, so that a change in the load of the machine affects all of them.
    Each result is a list with one value per version."""

    def __init__(self, versions: list[Version], loopbacks: list[Loopback], effort: Effort, has_tls: bool) -> None:
        self.sides = list(zip(versions, loopbacks))
        self.effort, self.has_tls = effort, has_tls

    @classmethod
    async def start(cls, versions: list[Version], effort: Effort, certificates: Certificates | None = None) -> "Bench":
        loopbacks = [await Loopback.start(certificates) for _ in versions]
        return cls(versions, loopbacks, effort, certificates is not None)

    def function(self, side: tuple[Version, Loopback]) -> Function:
        version, loopback = side
        function = Function(version.binary, loopback, variables=version.variables)
        function.environment |= loopback.environment
        return function

    async def push(self, event: bytes, items: int) -> list[Push]:
        with ExitStack() as stack:
            functions = [stack.enter_context(self.function(side)) for side in self.sides]
            for function in functions:
                await function.loopback.ready()
                for _ in range(self.effort.warm_up):
                    check(await function.loopback.invoke(event))
                function.loopback.reset_sinks()
            rounds = [[await self.round(function, event) for function in functions] for _ in range(self.effort.rounds)]
            return [result(items, list(own), function) for own, function in zip(zip(*rounds), functions)]

    async def round(self, function: Function, event: bytes) -> tuple[int, int, int]:
        """Returns the invocations, and CPU and wall time in nanoseconds. The function requests the next event either before its
        response is read or during the next invocation; over a round the difference is negligible."""
        count, cpu, wall = 0, function.cpu_ns(), time.monotonic_ns()
        while function.cpu_ns() - cpu < self.effort.round_cpu_ns or count < 5:
            check(await function.loopback.invoke(event))
            count += 1
        return count, function.cpu_ns() - cpu, time.monotonic_ns() - wall

    async def slow_push_us(self, event: bytes, pushes: int) -> list[float]:
        """Returns the CPU time of one push in microseconds if there is a pause before each, in which caches are used by others."""
        return [await self.one_slow_push_us(side, event, pushes) for side in self.sides]

    async def one_slow_push_us(self, side: tuple[Version, Loopback], event: bytes, pushes: int) -> float:
        with self.function(side) as function:
            await function.loopback.ready()
            check(await function.loopback.invoke(event))
            before = function.cpu_ns()
            for _ in range(pushes):
                await asyncio.sleep(PAUSE_S)
                check(await function.loopback.invoke(event))
            return (function.cpu_ns() - before) / pushes / 1000

    async def stats_push(self, event: bytes) -> list[float | None]:
        """Returns the CPU time of one push of task stats in microseconds; None if a version does not accept them. The function ignores
        repeated stats, so each push has another task or a later time."""
        now_s = time.time()
        pushes = [stats_event(event, task, now_s + second) for second in range(-290, -5, 6) for task in STATS_TASKS]
        costs: dict[int, list[float]] = {}
        with ExitStack() as stack:
            functions = [stack.enter_context(self.function(side)) for side in self.sides]
            for number, function in enumerate(functions):
                await function.loopback.ready()
                if accepts_stats(await function.loopback.invoke(pushes[0])):
                    costs[number] = []
            for start in range(1, len(pushes), STATS_ROUND):
                for number, own in costs.items():
                    own.append(await stats_round(functions[number], pushes[start : start + STATS_ROUND]))
        # The first round looks the tasks up.
        return [min(costs[number][1:]) if number in costs else None for number in range(len(self.sides))]

    async def scrape_us(self) -> list[float]:
        """Returns the CPU time per sample in microseconds."""
        runs = [[await scrape_cpu_us_per_sample(it.binary, variables=it.variables) for it, _ in self.sides] for _ in range(self.effort.scrapers)]
        return [min(own) for own in zip(*runs)]

    async def scrape_peak_mb(self, targets: int, samples: int) -> list[float]:
        return [await scrape_peak_mb(version.binary, targets, samples, version.variables) for version, _ in self.sides]

    async def memory_mb(self, event: bytes, events: int = 10) -> list[tuple[float, float, float]]:
        """Returns the idle memory, the peak after one event, and the peak after several events."""
        runs = [[await self.one_memory_mb(side, event, events) for side in self.sides] for _ in range(self.effort.peaks)]
        return [(median(own, 0), median(own, 1), median(own, 2)) for own in zip(*runs)]

    async def one_memory_mb(self, side: tuple[Version, Loopback], event: bytes, events: int) -> tuple[float, float, float]:
        with self.function(side) as function:
            await function.loopback.ready()
            at_rest = function.memory_mb("VmRSS")
            check(await function.loopback.invoke(event))
            once = function.memory_mb("VmHWM")
            for _ in range(events - 1):
                check(await function.loopback.invoke(event))
            return at_rest, once, function.memory_mb("VmHWM")

    async def cold_start_ms(self) -> list[tuple[float, float]]:
        """Returns the time from exec to the first request for an event, and its CPU time."""
        runs = [[await self.one_start_ms(side) for side in self.sides] for _ in range(self.effort.starts)]
        return [(median(own, 0), median(own, 1)) for own in zip(*runs)]

    async def one_start_ms(self, side: tuple[Version, Loopback]) -> tuple[float, float]:
        with self.function(side) as function:
            ready = await function.loopback.ready()
            return (ready - function.started_ns) / 1e6, function.cpu_ns() / 1e6

    async def first_push_ms(self, event: bytes) -> list[float]:
        """Returns the CPU time of the first invocation of an environment, without its start."""
        runs = [[await self.one_first_push_ms(side, event) for side in self.sides] for _ in range(self.effort.first_pushes)]
        return [statistics.median(own) for own in zip(*runs)]

    async def one_first_push_ms(self, side: tuple[Version, Loopback], event: bytes) -> float:
        with self.function(side) as function:
            await function.loopback.ready()
            before = function.cpu_ns()
            check(await function.loopback.invoke(event))
            return (function.cpu_ns() - before) / 1e6


def result(items: int, rounds: list[tuple[int, int, int]], function: Function) -> Push:
    invocations = sum(count for count, _, _ in rounds)
    cpu_ms = min(cpu / count for count, cpu, _ in rounds) / 1e6
    wall_ms = min(wall / count for count, _, wall in rounds) / 1e6
    sent = [function.loopback.sinks[path] for path in (REMOTE_WRITE, TRACE_SEGMENTS)]
    requests, size = sum(sink.requests for sink in sent), sum(sink.bytes for sink in sent)
    peak = function.memory_mb("VmHWM")
    return Push(items, cpu_ms * 1000 / items, cpu_ms, wall_ms, requests / invocations, size / invocations, peak)


def median(runs: Sequence[tuple[float, ...]], field: int) -> float:
    return statistics.median(run[field] for run in runs)


def check(reply: bytes) -> None:
    response: dict[str, Any] = json.loads(reply)
    assert response.get("statusCode") == 200 and not response.get("body"), f"request not fully accepted: {reply[:400]!r}"


async def stats_round(function: Function, pushes: list[bytes]) -> float:
    before = function.cpu_ns()
    for push in pushes:
        reply = await function.loopback.invoke(push)
        assert accepts_stats(reply), f"stats not accepted: {reply[:400]!r}"
    return (function.cpu_ns() - before) / len(pushes) / 1000


def accepts_stats(reply: bytes) -> bool:
    """Older versions have no such route."""
    response: dict[str, Any] = json.loads(reply)
    return response["statusCode"] != 404 and json.loads(response["body"]).get("samples", 0) > 0


def stats_event(event: bytes, task: str, at_s: float) -> bytes:
    """Returns the event of another task, with stats that were read at this time."""
    at = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return event.replace(STATS_TASK, task.encode()).replace(STATS_READ, at.encode())


def zipped_mb(binary: Path) -> float:
    """Returns the size of the zip file that `sam build` creates: one file, deflate."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(binary, "bootstrap")
    return len(packed.getvalue()) / 1e6
