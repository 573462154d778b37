"""The function as a process, and what the kernel says of it."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from types import TracebackType

from .aws import Loopback

# Kernel: include/linux/posix-timers.h. The CPU-time clock of another process, which clock_getcpuclockid(3) makes: user and
# system time of all its threads, in nanoseconds, where /proc/PID/stat has hundredths of a second.
CPUCLOCK_SCHED = 2


class Function:
    """One execution environment of the function. Everything is Lambda's default but the endpoints, the open door, and that
    samples may be older than an hour, as the payloads are always of the same time."""

    def __init__(self, binary: Path, loopback: Loopback, memory_mb: int = 512) -> None:
        base = f"http://127.0.0.1:{loopback.port}"
        self.environment = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{loopback.port}",
            "AWS_LAMBDA_FUNCTION_NAME": "sidecarless",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_STREAM_NAME": "s",
            "AWS_LAMBDA_LOG_GROUP_NAME": "g",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "AWS_SESSION_TOKEN": "t" * 800,
            "AWS_ENDPOINT_URL": base,
            "AWS_PROMETHEUS_ENDPOINT": f"{base}/api/v1/remote_write",
            "SIDECARLESS_AUTH": "none",
            # What collectors do in a processor of their own. It is a call of ECS per task and hour, and a few labels more.
            "SIDECARLESS_IDENTITY": "off",
            "SIDECARLESS_MAX_SAMPLE_AGE": "off",
            "SIDECARLESS_SPOOL_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/spool",
        }
        self.binary = binary
        self.loopback = loopback

    def __enter__(self) -> "Function":
        self.loopback.expect_start()
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen([self.binary], env=self.environment, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()

    def cpu_ns(self) -> int:
        """CPU time since the process began."""
        return time.clock_gettime_ns((~self.process.pid << 3) | CPUCLOCK_SCHED)

    def memory_mb(self, field: str) -> float:
        """`VmRSS` or `VmHWM`, in MB of 10^6 bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found, f"the kernel does not say {field}"
        return int(found[1]) * 1024 / 1e6

    def forget_peak(self) -> None:
        """VmHWM begins anew (proc(5), clear_refs)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
