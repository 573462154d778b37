"""Duration and cost of a load for each memory size: Lambda allocates CPU in proportion to memory, and bills GB-seconds.

"At 1,769 MB, a function has the equivalent of one vCPU" (AWS Lambda Developer Guide, "Configure Lambda function memory").
The function runs on one thread, so a share of one vCPU extends its CPU time, but not the time it waits for responses.
"""

from __future__ import annotations

from dataclasses import dataclass

from .measure import Push

MB_PER_VCPU = 1769
SIZES_MB = (128, 256, 512, 1024, 1769)
# Response time of AMP and X-Ray within a region. It does not depend on the CPU share.
WAIT_MS = 30
# arm64, US East (N. Virginia): USD per GB-second and per request.
PER_GB_S, PER_REQUEST = 0.0000133334, 0.0000002


@dataclass
class Load:
    """One kind of invocation."""

    name: str
    cpu_ms: float
    wait_ms: float
    peak_mb: float

    @classmethod
    def from_push(cls, name: str, push: Push, peak_mb: float) -> "Load":
        return cls(name, push.cpu_ms, WAIT_MS, peak_mb)

    def duration_ms(self, size_mb: int) -> float:
        return self.cpu_ms * max(1.0, MB_PER_VCPU / size_mb) + self.wait_ms

    def cell(self, size_mb: int) -> str:
        duration = self.duration_ms(size_mb)
        cost = 1e6 * (duration / 1000 * size_mb / 1024 * PER_GB_S + PER_REQUEST)
        # The memory limit also includes the runtime and the kernel.
        if self.peak_mb * 1.1 > size_mb * 1.048576:
            return "out of memory"
        return f"{duration:,.0f} ms, ${cost:,.2f}"


def markdown(loads: list[Load]) -> str:
    head = "| cost of a million | " + " | ".join(f"{size:,} MB" for size in SIZES_MB) + " |"
    lines = [head, "|---" * (len(SIZES_MB) + 1) + "|"]
    lines += [f"| {load.name} | " + " | ".join(load.cell(size) for size in SIZES_MB) + " |" for load in loads]
    return "\n".join(lines)
