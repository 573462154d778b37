"""Measurements, each in the unit of its table row."""

from __future__ import annotations

import json
import statistics
import time
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from .aws import REMOTE_WRITE, TRACE_SEGMENTS, Loopback
from .function import Function

# Invocations before the measurement, which open connections and let the allocator reserve memory.
WARM_UP = 20
# CPU time is measured in rounds. The result is the lowest round, because other processes on the machine compete for caches
# and cores, and can only increase the CPU time.
ROUNDS = 10
ROUND_CPU_NS = 250_000_000
COLD_STARTS = 20
# Tasks that push stats, within the burst of lookups of one client, and pushes of one round.
STATS_TASKS = 20
STATS_ROUND = 200
# Task and time in `benches/payload/tasks.rs`.
STATS_TASK = b"5f0e6c1d2b3a49788e7d6c5b4a392817"
STATS_READ = b"2026-11-22T23:25:00Z"


@dataclass
class Push:
    """Cost of one kind of request."""

    items: int
    cpu_us_per_item: float
    cpu_ms: float
    wall_ms: float
    requests: float
    bytes: float


async def push(binary: Path, loopback: Loopback, event: bytes, items: int) -> Push:
    with Function(binary, loopback) as function:
        await loopback.ready()
        for _ in range(WARM_UP):
            check(await loopback.invoke(event))
        loopback.reset_sinks()
        rounds = [await one_round(function, loopback, event) for _ in range(ROUNDS)]
    invocations = sum(count for count, _, _ in rounds)
    cpu_ms = min(cpu / count for count, cpu, _ in rounds) / 1e6
    wall_ms = min(wall / count for count, _, wall in rounds) / 1e6
    sent = [loopback.sinks[path] for path in (REMOTE_WRITE, TRACE_SEGMENTS)]
    requests, size = sum(sink.requests for sink in sent), sum(sink.bytes for sink in sent)
    return Push(items, cpu_ms * 1000 / items, cpu_ms, wall_ms, requests / invocations, size / invocations)


async def stats_push(binary: Path, loopback: Loopback, event: bytes) -> float:
    """Returns the CPU time of one push of task stats in microseconds. The function ignores repeated stats, so each push has another task
    or a later time."""
    now_s = time.time()
    pushes = [stats_event(event, task, now_s + second) for second in range(-290, -5, 6) for task in range(STATS_TASKS)]
    with Function(binary, loopback) as function:
        await loopback.ready()
        for push in pushes[:STATS_TASKS]:
            check_stats(await loopback.invoke(push))
        costs = []
        for start in range(STATS_TASKS, len(pushes), STATS_ROUND):
            before, chunk = function.cpu_ns(), pushes[start : start + STATS_ROUND]
            for push in chunk:
                check_stats(await loopback.invoke(push))
            costs.append((function.cpu_ns() - before) / len(chunk) / 1000)
    return min(costs)


def stats_event(event: bytes, task: int, at_s: float) -> bytes:
    """Returns the event of another task, with stats that were read at this time."""
    at = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return event.replace(STATS_TASK, b"%032x" % (task + 1)).replace(STATS_READ, at.encode())


def check_stats(reply: bytes) -> None:
    response: dict[str, Any] = json.loads(reply)
    assert json.loads(response["body"]).get("samples", 0) > 0, f"stats not accepted: {reply[:400]!r}"


async def one_round(function: Function, loopback: Loopback, event: bytes) -> tuple[int, int, int]:
    """Returns the invocations, and CPU and wall time in nanoseconds. The function requests the next event either before its
    response is read or during the next invocation; over a round the difference is negligible."""
    count, cpu, wall = 0, function.cpu_ns(), time.monotonic_ns()
    while function.cpu_ns() - cpu < ROUND_CPU_NS or count < 5:
        check(await loopback.invoke(event))
        count += 1
    return count, function.cpu_ns() - cpu, time.monotonic_ns() - wall


def check(reply: bytes) -> None:
    response: dict[str, Any] = json.loads(reply)
    assert response.get("statusCode") == 200 and not response.get("body"), f"request not fully accepted: {reply[:400]!r}"


async def memory_mb(binary: Path, loopback: Loopback, event: bytes) -> tuple[float, float, float]:
    """Returns the idle memory, the peak after one event, and the peak after ten events."""
    with Function(binary, loopback) as function:
        await loopback.ready()
        at_rest = function.memory_mb("VmRSS")
        check(await loopback.invoke(event))
        once = function.memory_mb("VmHWM")
        for _ in range(9):
            check(await loopback.invoke(event))
        return at_rest, once, function.memory_mb("VmHWM")


async def cold_start_ms(binary: Path, loopback: Loopback) -> tuple[float, float]:
    """Returns the median time from exec to the first request for an event, and its CPU time."""
    walls, cpus = [], []
    for _ in range(COLD_STARTS):
        with Function(binary, loopback) as function:
            walls.append((await loopback.ready() - function.started_ns) / 1e6)
            cpus.append(function.cpu_ns() / 1e6)
    return statistics.median(walls), statistics.median(cpus)


async def first_push_ms(binary: Path, loopback: Loopback, event: bytes) -> float:
    """Returns the CPU time of the first invocation of an environment, without its start."""
    costs = []
    for _ in range(5):
        with Function(binary, loopback) as function:
            await loopback.ready()
            before = function.cpu_ns()
            check(await loopback.invoke(event))
            costs.append((function.cpu_ns() - before) / 1e6)
    return statistics.median(costs)


def zipped_mb(binary: Path) -> float:
    """Returns the size of the zip file that `sam build` creates: one file, deflate."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(binary, "bootstrap")
    return len(packed.getvalue()) / 1e6
