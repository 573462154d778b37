"""usage: python3 -m benches.process BINARY EVENTS TICK_LOG [--write PAGE] [--only WORD]

BINARY is the release binary, EVENTS the folder that `cargo bench --bench events` has written (with what it printed in
about.json), TICK_LOG what `cargo bench --bench ten_thousand_tasks` printed; an empty one leaves the tick out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from . import measure, memory_size, table
from .aws import Loopback
from .table import Row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("events", type=Path)
    parser.add_argument("tick_log", type=Path)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    options = parser.parse_args()
    rows, sizes = asyncio.run(measured(options.binary, options.events))
    rows += tick_rows(options.tick_log.read_text())
    printed = table.markdown(rows) + "\n\n" + memory_size.markdown(sizes)
    print(printed)
    if options.write:
        table.write(options.write, printed)


async def measured(binary: Path, events: Path) -> tuple[list[Row], list[memory_size.Load]]:
    loopback = await Loopback.start()
    about: dict[str, Any] = json.loads((events / "about.json").read_text())
    event = {name: (events / f"{name}.json").read_bytes() for name in about}
    pushes = {}
    for name, of in about.items():
        if name.endswith("20mb"):
            continue
        say(f"pushing {name}")
        pushes[name] = await measure.push(binary, loopback, event[name], of["items"])
    say("starting cold")
    wall, cpu = await measure.cold_start_ms(binary, loopback)
    first = await measure.first_push_ms(binary, loopback, event["spans"])
    say("weighing")
    largest = ("spans-6mb", "points-6mb", "spans-20mb", "points-20mb")
    peaks = [await measure.memory_mb(binary, loopback, event[name]) for name in largest]
    samples, plain = about["points"]["samples"], about["points"]["plain_write_bytes"]
    rows = [
        Row("CPU per span, pushes of 500 to X-Ray", "µs", pushes["spans"].cpu_us_per_item, 7, 4),
        Row("the same, compressed with gzip", "µs", pushes["spans-gzip"].cpu_us_per_item),
        Row("the same, 6 MB in one event", "µs", pushes["spans-6mb"].cpu_us_per_item),
        Row("CPU per data point, pushes of 1,000 to AMP", "µs", pushes["points"].cpu_us_per_item, 6, 3.5),
        Row("the same, compressed with gzip", "µs", pushes["points-gzip"].cpu_us_per_item),
        Row("the same, 6 MB in one event", "µs", pushes["points-6mb"].cpu_us_per_item),
        Row("cold start: exec to the first request for an event", "ms", wall, 11, 8),
        Row("CPU time of it", "ms", cpu),
        Row("CPU time of the first push of 500 spans", "ms", first),
        Row("memory at rest", "MB", min(peak[0] for peak in peaks), 13, 9),
        Row("memory at a 6 MB event of spans", "MB", peaks[0][1], 64, 40),
        Row("memory at a 6 MB event of data points", "MB", peaks[1][1], 64, 40),
        Row("the same after ten such events", "MB", max(peak[2] for peak in peaks[:2])),
        Row("memory at 20 MB of spans, inflated from one event", "MB", peaks[2][1]),
        Row("memory at 20 MB of data points, inflated from one event", "MB", peaks[3][1]),
        Row("bootstrap, zipped", "MB", measure.zipped_mb(binary), 4.5, 3.5),
        Row("remote write bytes against prost and snappy", "", pushes["points"].bytes / plain, 1.0, 0.9),
        Row("remote write bytes per sample", "bytes", pushes["points"].bytes / samples),
        Row("X-Ray bytes per span", "bytes", pushes["spans"].bytes / pushes["spans"].items),
    ]
    at_peak = {"spans-6mb": peaks[0][1], "points-6mb": peaks[1][1]}
    kinds = {"pushes of 500 spans": "spans", "pushes of 1,000 data points": "points"}
    kinds |= {"pushes of 6 MB of spans": "spans-6mb", "pushes of 6 MB of data points": "points-6mb"}
    loads = [memory_size.Load.of(what, pushes[name], at_peak.get(name, 0)) for what, name in kinds.items()]
    return rows, loads


def tick_rows(log: str) -> list[Row]:
    """From the two lines of the benchmark: the tick, and its shards."""
    times = [int(ms) for ms in re.findall(r"^(?:tick|shards): .* in (\d+) ms;", log, re.MULTILINE)]
    processor = re.search(r"^processor: (\d+) ms", log, re.MULTILINE)
    peak = re.search(r"VmHWM:\s+(\d+) kB", log)
    if len(times) != 2 or processor is None or peak is None:
        return []
    return [
        Row("tick over 10,000 tasks, stand-ins included", "s", sum(times) / 1000, 10, 5),
        Row("CPU per task of it, of the function", "µs", int(processor[1]) / 10),
        Row("memory at it", "MB", int(peak[1]) * 1024 / 1e6),
    ]


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
