"""usage: python3 -m benches.process BINARY EVENTS RUN_LOG [--write PAGE]

BINARY is the release binary. EVENTS is the folder that `cargo bench --bench events` wrote, with its output in about.json.
RUN_LOG is the output of `cargo bench --bench ten_thousand_tasks`; if it is empty, the scheduled run is omitted.
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
    parser.add_argument("run_log", type=Path)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    options = parser.parse_args()
    rows, sizes = asyncio.run(measure_all(options.binary, options.events))
    rows += scheduled_run_rows(options.run_log.read_text())
    printed = table.markdown(rows) + "\n\n" + memory_size.markdown(sizes)
    print(printed)
    if options.write:
        table.write(options.write, printed)


async def measure_all(binary: Path, events: Path) -> tuple[list[Row], list[memory_size.Load]]:
    loopback = await Loopback.start()
    about: dict[str, Any] = json.loads((events / "about.json").read_text())
    event = {name: (events / f"{name}.json").read_bytes() for name in about}
    pushes = {}
    for name, details in about.items():
        if name.endswith("20mb") or name == "stats":
            continue
        log(f"sending {name}")
        pushes[name] = await measure.push(binary, loopback, event[name], details["items"])
    log("sending stats")
    stats = await measure.stats_push(binary, loopback, event["stats"])
    log("measuring cold starts")
    wall, cpu = await measure.cold_start_ms(binary, loopback)
    first = await measure.first_push_ms(binary, loopback, event["spans"])
    log("measuring memory")
    largest = ("spans-6mb", "points-6mb", "spans-20mb", "points-20mb")
    peaks = [await measure.memory_mb(binary, loopback, event[name]) for name in largest]
    samples, plain = about["points"]["samples"], about["points"]["plain_write_bytes"]
    rows = [
        Row("CPU time per span, requests of 500 to X-Ray", "µs", pushes["spans"].cpu_us_per_item, 7, 4),
        Row("same, compressed with gzip", "µs", pushes["spans-gzip"].cpu_us_per_item),
        Row("same, 6 MB in one event", "µs", pushes["spans-6mb"].cpu_us_per_item),
        Row("CPU time per data point, requests of 1,000 to AMP", "µs", pushes["points"].cpu_us_per_item, 6, 3.5),
        Row("same, compressed with gzip", "µs", pushes["points-gzip"].cpu_us_per_item),
        Row("same, 6 MB in one event", "µs", pushes["points-6mb"].cpu_us_per_item),
        Row("CPU time per push of task stats, three containers", "µs", stats, 120, 80),
        Row("cold start, from exec to the first request for an event", "ms", wall, 11, 8),
        Row("CPU time of a cold start", "ms", cpu),
        Row("CPU time of the first request of 500 spans", "ms", first),
        Row("memory when idle", "MB", min(peak[0] for peak in peaks), 13, 9),
        Row("peak memory, 6 MB event of spans", "MB", peaks[0][1], 64, 40),
        Row("peak memory, 6 MB event of data points", "MB", peaks[1][1], 64, 40),
        Row("peak memory after ten such events", "MB", max(peak[2] for peak in peaks[:2])),
        Row("peak memory, one event of spans, 20 MB after decompression", "MB", peaks[2][1]),
        Row("peak memory, one event of data points, 20 MB after decompression", "MB", peaks[3][1]),
        Row("zip file of the function", "MB", measure.zipped_mb(binary), 4.5, 3.5),
        Row("remote write bytes, relative to prost and snappy", "", pushes["points"].bytes / plain, 1.0, 0.9),
        Row("remote write bytes per sample", "bytes", pushes["points"].bytes / samples),
        Row("X-Ray bytes per span", "bytes", pushes["spans"].bytes / pushes["spans"].items),
    ]
    at_peak = {"spans-6mb": peaks[0][1], "points-6mb": peaks[1][1]}
    kinds = {"requests of 500 spans": "spans", "requests of 1,000 data points": "points"}
    kinds |= {"requests of 6 MB of spans": "spans-6mb", "requests of 6 MB of data points": "points-6mb"}
    loads = [memory_size.Load.from_push(label, pushes[name], at_peak.get(name, 0)) for label, name in kinds.items()]
    return rows, loads


def scheduled_run_rows(output: str) -> list[Row]:
    """Rows from the output of the benchmark: the scheduled run and its shards."""
    times = [int(ms) for ms in re.findall(r"^(?:scheduled run|shards): .* in (\d+) ms;", output, re.MULTILINE)]
    processor = re.search(r"^processor: (\d+) ms", output, re.MULTILINE)
    peak = re.search(r"VmHWM:\s+(\d+) kB", output)
    if len(times) != 2 or processor is None or peak is None:
        return []
    return [
        Row("scheduled run over 10,000 tasks, including the test servers", "s", sum(times) / 1000, 10, 5),
        Row("CPU time of the function per task of this run", "µs", int(processor[1]) / 10),
        Row("peak memory of this run", "MB", int(peak[1]) * 1024 / 1e6),
    ]


def log(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
