"""The function as a process, and its CPU time and memory."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from types import TracebackType

from . import template
from .aws import Loopback

# Kernel: include/linux/posix-timers.h. CPU-time clock of another process, as in clock_getcpuclockid(3): user and system time
# of all its threads, in nanoseconds. /proc/PID/stat has a resolution of hundredths of a second only.
CPUCLOCK_SCHED = 2


class Process:
    """A process that is measured."""

    process: subprocess.Popen[bytes]

    def cpu_ns(self) -> int:
        """Returns the CPU time since the process started."""
        return time.clock_gettime_ns((~self.process.pid << 3) | CPUCLOCK_SCHED)

    def memory_mb(self, field: str) -> float:
        """Returns `VmRSS` or `VmHWM`, in MB of 10^6 bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        assert match, f"{field} is missing in /proc/PID/status"
        return int(match[1]) * 1024 / 1e6

    def reset_peak(self) -> None:
        """Resets VmHWM (proc(5), clear_refs)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()


class Function(Process):
    """One execution environment of the function with Lambda defaults, except for the endpoints, disabled authentication,
    and the limit on sample age, because the timestamps of the payloads never change. `variables` are those that template.yaml sets."""

    def __init__(self, binary: Path, loopback: Loopback, memory_mb: int = 512, variables: dict[str, str] | None = None) -> None:
        base = f"http://127.0.0.1:{loopback.port}"
        self.environment = (template.variables() if variables is None else variables) | {
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
            # Collectors look up tasks in a separate processor. A lookup takes one ECS call per task and hour, and adds a few labels.
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
