"""The function's process: sends events, and measures CPU time, memory and log."""

from __future__ import annotations

import json
import queue
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

from servers import TIMEOUT_S, Servers

from benches.process.function import Function

# Address space of the process. Larger allocations fail and abort the process, so that an input cannot exhaust this machine.
ADDRESS_SPACE = 4 << 30
# CPU time after which an invocation counts as endless: a function of 512 MB has 0.29 of a core for its timeout of 50 s.
CPU_LIMIT_S = 0.29 * TIMEOUT_S
# Wall time after which an invocation counts as endless. Generous, because other processes may use this machine.
WALL_LIMIT_S = 180.0


class Died(Exception):
    """The process ended during an invocation."""


class Endless(Exception):
    """The invocation reached the limit of CPU time or the timeout."""


class Process(Function):
    """A function without authentication, which reads its tasks from ECS."""

    def __init__(self, binary: Path, servers: Servers, settings: dict[str, str], log: Path, memory_mb: int) -> None:
        super().__init__(binary, servers, memory_mb)  # type: ignore[arg-type]
        self.servers, self.log_path, self.start_cpu_s = servers, log, 0.0
        del self.environment["SIDECARLESS_IDENTITY"]
        self.environment |= {
            "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8", "SIDECARLESS_SOURCES": "endpoint,prometheus", "SIDECARLESS_STOPPED_TASKS": "off",
            # Series of the function itself would be among the written ones.
            "SIDECARLESS_SELF_METRICS": "off", "SIDECARLESS_CLUSTERS": "prod",
        }
        self.environment |= settings

    def __enter__(self) -> Process:
        self.run(resource.RLIMIT_AS, ADDRESS_SPACE)
        until = time.monotonic() + 60
        while not self.servers.started.wait(0.01) and self.process.poll() is None and time.monotonic() < until:
            pass
        if not self.servers.started.is_set():
            raise Died(self.log_path.read_text(errors="replace")[-500:])
        return self

    def run(self, kind: int, limit: int) -> None:
        self.servers.expect_start()
        set_limit = lambda: resource.setrlimit(kind, (limit, limit))  # noqa: E731
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([self.binary], env=self.environment, stdout=log, stderr=log, preexec_fn=set_limit)

    def start(self, max_mb: float) -> bool:
        """Returns whether the process starts, and not whether it ends with an error. It dies if it needs more memory: the peak of a
        process that has ended is unknown."""
        self.run(resource.RLIMIT_DATA, int(max_mb) << 20)
        until = time.monotonic() + WALL_LIMIT_S
        while not self.servers.started.wait(0.01):
            self.start_cpu_s = self.cpu_ns() / 1e9 if self.process.poll() is None else self.start_cpu_s
            if self.process.poll() is not None or self.start_cpu_s > CPU_LIMIT_S or time.monotonic() > until:
                return False
        self.start_cpu_s = self.cpu_ns() / 1e9
        return True

    def invoke(self, event: Any) -> tuple[bytes, float]:
        """Returns the response and the CPU time in seconds."""
        before, until = self.cpu_ns(), time.monotonic() + WALL_LIMIT_S
        self.servers.events.put(event if isinstance(event, bytes) else json.dumps(event).encode())
        while True:
            try:
                response = self.servers.responses.get(timeout=0.05)
                return response, (self.cpu_ns() - before) / 1e9
            except queue.Empty:
                pass
            if self.process.poll() is not None:
                raise Died(f"exit status {self.process.returncode}")
            if (self.cpu_ns() - before) / 1e9 > CPU_LIMIT_S or time.monotonic() > until:
                raise Endless

    def peak_mb(self) -> float:
        """Peak memory in MiB, as Lambda counts memory. The peak of a process that died is unknown."""
        return self.memory_mb("VmHWM") * 1e6 / 2**20

    def resident_mb(self) -> float:
        return self.memory_mb("VmRSS") * 1e6 / 2**20

    def log_bytes(self) -> int:
        return self.log_path.stat().st_size
