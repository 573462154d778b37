"""What each memory size makes of a load: Lambda gives CPU in proportion to it, and bills its GB-seconds.

"At 1,769 MB, a function has the equivalent of one vCPU" (AWS Lambda Developer Guide, "Configure Lambda function memory").
The function runs on one thread, so a share of one vCPU stretches its CPU time; waiting for peers it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from .measure import Push

MB_PER_VCPU = 1769
SIZES_MB = (128, 256, 512, 1024, 1769)
# Answers of AMP and X-Ray within a region, which a push waits for whatever its CPU share is.
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
    def of(cls, name: str, push: Push, peak_mb: float) -> "Load":
        return cls(name, push.cpu_ms, WAIT_MS, peak_mb)

    def duration_ms(self, size_mb: int) -> float:
        return self.cpu_ms * max(1.0, MB_PER_VCPU / size_mb) + self.wait_ms

    def cell(self, size_mb: int) -> str:
        duration = self.duration_ms(size_mb)
        cost = 1e6 * (duration / 1000 * size_mb / 1024 * PER_GB_S + PER_REQUEST)
        # The runtime and the kernel's own share are inside the limit as well.
        if self.peak_mb * 1.1 > size_mb * 1.048576:
            return "out of memory"
        return f"{duration:,.0f} ms, ${cost:,.2f}"


def markdown(loads: list[Load]) -> str:
    head = "| a million of | " + " | ".join(f"{size:,} MB" for size in SIZES_MB) + " |"
    lines = [head, "|---" * (len(SIZES_MB) + 1) + "|"]
    lines += [f"| {load.name} | " + " | ".join(load.cell(size) for size in SIZES_MB) + " |" for load in loads]
    return "\n".join(lines)
