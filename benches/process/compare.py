"""usage: python3 -m benches.process.compare BINARY EVENTS --rotel BINARY --vmagent BINARY --prometheus BINARY --packages NAME=VERSION...
       [--quick] [--write PAGE]

Compares the function with collectors under the same load.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from pathlib import Path

from . import load, table, template
from .collectors import Collector, collectors
from .measure import QUICK, Bench, Effort, Version
from .one import Events, log
from .table import ABSENT, number

TARGETS, SAMPLES = 100, 500
SLOW_PUSHES = 20

# Values by the label of their row.
Values = dict[str, float | None]

UNITS = {
    "CPU time per span, pushes of 500 to X-Ray": "µs",
    "bytes to X-Ray per span": "bytes",
    "CPU time per data point, pushes of 1,000 to AMP": "µs",
    "bytes to AMP per sample": "bytes",
    f"CPU time per scraped sample, {TARGETS} targets of {SAMPLES}": "µs",
    "CPU time of a push of 5 spans, one per second": "µs",
    "CPU time of a push of 20 data points, one per second": "µs",
    "CPU time without load, per minute": "ms",
    "start": "ms",
    "CPU time of a start": "ms",
    "memory without load": "MB",
    "peak memory, pushes of 500 spans": "MB",
    "peak memory, pushes of 1,000 data points": "MB",
    "peak memory, one push of 6 MB of spans": "MB",
    "peak memory, one push of 6 MB of data points": "MB",
    f"peak memory, scrapes of {TARGETS} targets of {SAMPLES} samples": "MB",
}
(
    SPAN, SPAN_BYTES, POINT, SAMPLE_BYTES, SAMPLE, FEW_SPANS, FEW_POINTS, IDLE_CPU, START, START_CPU, IDLE, SPANS_PEAK, POINTS_PEAK,
    LARGE_SPANS, LARGE_POINTS, SCRAPE_PEAK,
) = UNITS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("events", type=Path)
    parser.add_argument("--rotel", type=Path, required=True)
    parser.add_argument("--vmagent", type=Path, required=True)
    parser.add_argument("--prometheus", type=Path, required=True)
    parser.add_argument("--packages", nargs="+", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    options = parser.parse_args()
    packages = dict(package.split("=", 1) for package in options.packages)
    others = collectors(options.rotel, options.vmagent, options.prometheus, packages)
    effort = QUICK if options.quick else Effort()
    printed = asyncio.run(comparison(options.binary, Events(options.events), others, effort))
    print(printed)
    if options.write:
        table.write(options.write, "comparison", printed)


async def comparison(binary: Path, events: Events, others: list[Collector], effort: Effort) -> str:
    columns = {"sidecarless": await of_function(binary, events, effort)}
    for collector in others:
        columns[collector.name] = await of_collector(collector, events, effort)
    return table.about() + "\n\n" + rendered(columns) + "\n\n" + commands(others)


def rendered(columns: dict[str, Values]) -> str:
    """The lowest value of a row is bold."""
    rows = []
    for label, unit in UNITS.items():
        values = [column.get(label) for column in columns.values()]
        shown = [None if value is None else number(value) for value in values]
        lowest = number(min(value for value in values if value is not None)) if any(shown) else None
        rows.append([label, unit, *(ABSENT if cell is None else f"**{cell}**" if cell == lowest else cell for cell in shown)])
    return table.markdown(["", "unit", *columns], rows)


def commands(others: list[Collector]) -> str:
    lines = ["Versions and command lines, where `AWS` is the address of the servers for AMP and X-Ray:", ""]
    for collector in others:
        lines.append(f"- **{collector.name}** {collector.package}: `{collector.command()}`")
    return "\n".join(lines)


def slow_pushes(effort: Effort) -> int:
    return min(SLOW_PUSHES, 2 * effort.rounds)


async def of_function(binary: Path, events: Events, effort: Effort) -> Values:
    log("measuring the function")
    bench = await Bench.start([Version(binary, template.variables())], effort)
    [spans], [points] = [await bench.push(events[name], events.items(name)) for name in ("spans", "points")]
    [few_spans], [few_points] = [await bench.slow_push_us(events[name], slow_pushes(effort)) for name in ("spans-5", "points-20")]
    [(start, start_cpu)] = await bench.cold_start_ms()
    [(idle, large_spans, _)], [(_, large_points, _)] = [await bench.memory_mb(events[name], 1) for name in ("spans-6mb", "points-6mb")]
    [scraped], [scrape_peak] = await bench.scrape_us(), await bench.scrape_peak_mb(TARGETS, SAMPLES)
    return {
        SAMPLE: scraped, SCRAPE_PEAK: scrape_peak,
        SPAN: spans.cpu_us_per_item, SPAN_BYTES: spans.bytes / spans.items, SPANS_PEAK: spans.peak_mb,
        POINT: points.cpu_us_per_item, SAMPLE_BYTES: points.bytes / events.about["points"]["samples"], POINTS_PEAK: points.peak_mb,
        FEW_SPANS: few_spans, FEW_POINTS: few_points,
        # Lambda freezes the process between invocations.
        IDLE_CPU: 0.0,
        START: start, START_CPU: start_cpu, IDLE: idle, LARGE_SPANS: large_spans, LARGE_POINTS: large_points,
    }


async def of_collector(collector: Collector, events: Events, effort: Effort) -> Values:
    values: Values = {}
    kinds = {"spans": (500, SPAN, SPAN_BYTES, SPANS_PEAK), "points": (1_000, POINT, SAMPLE_BYTES, POINTS_PEAK)}
    for kind, (count, cost, size, peak) in kinds.items():
        if kind not in collector.paths:
            continue
        log(f"sending {kind} to {collector.name}")
        expected = events.about[kind].get("samples", count)
        result = await load.push(collector, effort, kind, events[kind], count, expected)
        values |= {cost: result.cpu_us_per_item, size: result.bytes_per_item * count / expected, peak: result.peak_mb}
        few, label, large = {"spans": ("spans-5", FEW_SPANS, LARGE_SPANS), "points": ("points-20", FEW_POINTS, LARGE_POINTS)}[kind]
        values[label] = await load.slow_push_us(collector, kind, events[few], slow_pushes(effort))
        if kind != "spans" or collector.max_spans is None:
            values[large] = await load.peak_mb(collector, kind, events[f"{kind}-6mb"])
    if collector.scrapes:
        log(f"scrapes of {collector.name}")
        scraped = await load.scrapes(collector, TARGETS, SAMPLES)
        values |= {SAMPLE: scraped.cpu_us_per_item, SCRAPE_PEAK: scraped.peak_mb}
    starts = [await load.start_ms(collector) for _ in range(effort.starts)]
    values[START], values[START_CPU] = [statistics.median(start[index] for start in starts) for index in (0, 1)]
    values[IDLE], values[IDLE_CPU] = await load.idle(collector)
    return values


if __name__ == "__main__":
    main()
