"""CPU time and memory of a collector under load.

A collector responds before it forwards what it received. A round therefore ends with the last request to AMP or X-Ray, and its CPU
time includes that of all requests.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import payloads, remote_write
from .aws import REMOTE_WRITE, TRACE_SEGMENTS, Loopback, Sink, header
from .collectors import SCRAPE_INTERVAL_S, Collector, Running
from .measure import PAUSE_S, Effort
from .pages import Pages

SINKS = {"spans": TRACE_SEGMENTS, "points": REMOTE_WRITE}
# Poll of the CPU time. A request takes less from the sink's point of view than the collector needs to complete it.
POLL_S, SETTLED_S = 0.02, 0.06
IDLE_S = 6.0
# Scrapes of every target before the measurement, and during it.
SCRAPES_BEFORE, SCRAPES = 3, 5
TIMEOUT_S = 120.0
# Share of the items and bytes that must be forwarded. vmagent writes no `target_info`.
MIN_FORWARDED = 0.97


@dataclass
class Result:
    """Cost of one kind of item."""

    cpu_us_per_item: float
    bytes_per_item: float
    peak_mb: float


class Client:
    """A client that sends one request after the other on one connection."""

    def __init__(self, running: Running, kind: str, body: bytes) -> None:
        collector = running.collector
        self.running, self.path = running, collector.paths[kind]
        self.bodies = payloads.split_spans(body, collector.max_spans) if kind == "spans" and collector.max_spans else [body]

    async def __aenter__(self) -> "Client":
        # The default limit of a buffer is for responses only.
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.running.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def push(self) -> None:
        for body in self.bodies:
            await self.send(payloads.at_present(body))

    async def send(self, body: bytes) -> None:
        head = f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-protobuf\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()
        response = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), TIMEOUT_S)
        await self.reader.readexactly(int(header(response, b"content-length") or 0))
        if response.split(b" ", 2)[1] not in (b"200", b"204"):
            raise SystemExit(f"{self.running.collector.name} does not accept a request: {response.decode()}")


async def forwarded(running: Running, sink: Sink, bytes: float = 1) -> int:
    """Waits until everything has been forwarded, and at least this number of bytes since the start. Returns the CPU time of the
    collector when it had completed the last request."""
    cpu = 0
    seen, until = -1, time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        quiet_s = (time.monotonic_ns() - sink.last_ns) / 1e9
        if sink.requests != seen and quiet_s > SETTLED_S:
            cpu, seen = running.cpu_ns(), sink.requests
        if sink.requests == seen and quiet_s > running.collector.quiet_s and sink.bytes >= bytes:
            return cpu
        await asyncio.sleep(POLL_S)
    raise SystemExit(f"{running.collector.name} has forwarded {sink.bytes} of {bytes:.0f} bytes, or does not stop")


def items(kind: str, bodies: list[bytes]) -> int:
    """Returns the spans or samples of requests."""
    if kind == "spans":
        return sum(body.count(b'\\"trace_id\\":') for body in bodies)
    return sum(map(remote_write.samples, bodies))


async def push(collector: Collector, effort: Effort, kind: str, event: bytes, count: int, expected: int) -> Result:
    """Measures pushes one after the other. `expected` is the number of spans or samples that each must cause."""
    loopback, body = await Loopback.start(), payloads.body(event)
    sink = loopback.sinks[SINKS[kind]]
    with tempfile.TemporaryDirectory() as folder, Running(collector, loopback, Path(folder)) as running:
        async with Client(running, kind, body) as client:
            sink.bodies, sink.last_ns = [], time.monotonic_ns()
            await client.push()
            await forwarded(running, sink)
            arrived, sink.bodies = items(kind, sink.bodies), None
            if arrived < expected * MIN_FORWARDED:
                raise SystemExit(f"{collector.name} forwards {arrived} instead of {expected} items")
            # Larger batches are compressed a little better.
            per_push, pushes, costs = sink.bytes * MIN_FORWARDED, 1 + effort.warm_up, []
            for _ in range(effort.warm_up):
                await client.push()
            await forwarded(running, sink, pushes * per_push)
            before, pushes_before = sink.bytes, pushes
            for _ in range(effort.rounds):
                number, start = 0, running.cpu_ns()
                while running.cpu_ns() - start < effort.round_cpu_ns:
                    await client.push()
                    number += 1
                pushes += number
                costs.append((await forwarded(running, sink, pushes * per_push) - start) / number / count)
            size = (sink.bytes - before) / (pushes - pushes_before) / count
        return Result(min(costs) / 1000, size, running.memory_mb("VmHWM"))


async def slow_push_us(collector: Collector, kind: str, event: bytes, pushes: int) -> float:
    """Returns the CPU time of one push that is forwarded before the next one arrives, less that of an idle collector."""
    loopback = await Loopback.start()
    sink = loopback.sinks[SINKS[kind]]
    with tempfile.TemporaryDirectory() as folder, Running(collector, loopback, Path(folder)) as running:
        async with Client(running, kind, payloads.body(event)) as client:
            sink.last_ns = time.monotonic_ns()
            await client.push()
            await forwarded(running, sink)
            idle = await idle_share(running)
            cpu, started = running.cpu_ns(), time.monotonic_ns()
            for _ in range(pushes):
                seen, next_s = sink.requests, time.monotonic() + PAUSE_S
                await client.push()
                while sink.requests == seen or time.monotonic() < next_s:
                    await asyncio.sleep(POLL_S)
            used = running.cpu_ns() - cpu - idle * (time.monotonic_ns() - started)
    return used / pushes / 1000


async def peak_mb(collector: Collector, kind: str, event: bytes) -> float:
    """Returns the peak memory of one large push."""
    loopback = await Loopback.start()
    sink = loopback.sinks[SINKS[kind]]
    with tempfile.TemporaryDirectory() as folder, Running(collector, loopback, Path(folder)) as running:
        async with Client(running, kind, payloads.body(event)) as client:
            sink.last_ns = time.monotonic_ns()
            await client.push()
            await forwarded(running, sink)
        return running.memory_mb("VmHWM")


async def scrapes(collector: Collector, targets: int, samples: int) -> Result:
    """Measures scrapes of all targets, without the first ones."""
    loopback, pages = await Loopback.start(), Pages(samples)
    addresses = await pages.start(targets)
    sink = loopback.sinks[REMOTE_WRITE]
    with tempfile.TemporaryDirectory() as folder, Running(collector, loopback, Path(folder), addresses) as running:
        await served(pages, SCRAPES_BEFORE * targets)
        cpu, size, first = running.cpu_ns(), sink.bytes, pages.served
        await served(pages, first + SCRAPES * targets)
        count = (pages.served - first) * samples
        cost = (running.cpu_ns() - cpu) / count / 1000
        pages.server.close()
        return Result(cost, (sink.bytes - size) / count, running.memory_mb("VmHWM"))


async def served(pages: Pages, number: int) -> None:
    until = time.monotonic() + TIMEOUT_S + number / max(1, pages.targets) * SCRAPE_INTERVAL_S
    while pages.served < number:
        if time.monotonic() > until:
            raise SystemExit(f"only {pages.served} of {number} scrapes")
        await asyncio.sleep(POLL_S)


async def idle(collector: Collector) -> tuple[float, float]:
    """Returns the memory in MB and the CPU time in milliseconds per minute of a collector without load."""
    loopback = await Loopback.start()
    with tempfile.TemporaryDirectory() as folder, Running(collector, loopback, Path(folder)) as running:
        await asyncio.sleep(1)
        share = await idle_share(running)
        return running.memory_mb("VmRSS"), share * 60_000


async def idle_share(running: Running) -> float:
    """Returns the share of one core that the collector takes without load."""
    cpu, started = running.cpu_ns(), time.monotonic_ns()
    await asyncio.sleep(IDLE_S)
    return (running.cpu_ns() - cpu) / (time.monotonic_ns() - started)


async def start_ms(collector: Collector) -> tuple[float, float]:
    """Returns the time until the port accepts a connection, and the CPU time until then."""
    loopback = await Loopback.start()
    with tempfile.TemporaryDirectory() as folder, Running(collector, loopback, Path(folder)) as running:
        return running.start_ms, running.start_cpu_ms
