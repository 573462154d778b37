"""The measured values of the function, and the target of each. docs/performance.md and `scripts/bench` show no others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A target, and a more ambitious one. An empty goal has neither."""

    target: float | None = None
    stretch: float | None = None

    def result(self, value: float) -> str:
        if self.target is None:
            return ""
        if self.stretch is not None and value <= self.stretch:
            return "stretch target met"
        return "target met" if value <= self.target else f"missed by {value / self.target - 1:.0%}"


@dataclass(frozen=True)
class Metric:
    """One measured value."""

    name: str
    unit: str
    # Of the value itself.
    goal: Goal = Goal()
    # Of the ratio to the same value of an older version.
    ratio: Goal = Goal()


METRICS = {
    "span": Metric("CPU time per span, requests of 500 to X-Ray", "µs", Goal(7, 4), Goal(0.85, 0.65)),
    "span-gzip": Metric("same, compressed with gzip", "µs"),
    "span-6mb": Metric("same, 6 MB in one event", "µs"),
    "point": Metric("CPU time per data point, requests of 1,000 to AMP", "µs", Goal(6, 3.5), Goal(0.75, 0.60)),
    "point-gzip": Metric("same, compressed with gzip", "µs"),
    "point-6mb": Metric("same, 6 MB in one event", "µs"),
    "sample": Metric("CPU time per scraped sample, second and later scrapes", "µs", ratio=Goal(0.50, 0.35)),
    "stats": Metric("CPU time per push of task stats, three containers", "µs", Goal(120, 80)),
    "5-spans": Metric("CPU time of one push of 5 spans", "µs", ratio=Goal(0.65, 0.5)),
    "20-points": Metric("CPU time of one push of 20 data points", "µs", ratio=Goal(0.65, 0.5)),
    "start": Metric("cold start, from exec to the first request for an event", "ms", Goal(11, 8), Goal(0.6, 0.4)),
    "start-cpu": Metric("CPU time of a cold start", "ms"),
    "first-push": Metric("CPU time of the first request of 500 spans", "ms"),
    "first-small-push": Metric("CPU time of the first push of 5 spans", "ms"),
    "idle": Metric("memory when idle", "MB", Goal(13, 9)),
    "spans-peak": Metric("peak memory, 6 MB event of spans", "MB", Goal(64, 40), Goal(0.8)),
    "points-peak": Metric("peak memory, 6 MB event of data points", "MB", Goal(64, 40), Goal(0.6)),
    "ten-peak": Metric("peak memory after ten such events", "MB"),
    "spans-20mb-peak": Metric("peak memory, one event of spans, 20 MB after decompression", "MB"),
    "points-20mb-peak": Metric("peak memory, one event of data points, 20 MB after decompression", "MB"),
    "run-peak": Metric("peak memory, scheduled runs with 100 targets of 500 samples", "MB", ratio=Goal(0.5)),
    "large-run-peak": Metric("peak memory, scheduled runs with 300 targets of 2,000 samples", "MB", ratio=Goal(0.5)),
    "zip": Metric("zip file of the function", "MB", Goal(4.0, 3.5)),
    "plain-ratio": Metric("remote write bytes, relative to prost and snappy", "", Goal(1.0, 0.9)),
    "sample-bytes": Metric("remote write bytes per sample", "bytes"),
    "span-bytes": Metric("X-Ray bytes per span", "bytes", ratio=Goal(0.9)),
    "tasks": Metric("scheduled run over 10,000 tasks, including the test servers", "s", Goal(10, 5)),
    "tasks-cpu": Metric("CPU time of the function per task of this run", "µs"),
    "tasks-peak": Metric("peak memory of this run", "MB"),
}
