"""All values of one version, by the keys of the metrics."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from . import measure
from .measure import Bench, Push
from .memory_size import Load

# Kinds of events, and the metric of each.
PER_ITEM = {
    "spans": "span", "spans-gzip": "span-gzip", "spans-6mb": "span-6mb",
    "points": "point", "points-gzip": "point-gzip", "points-6mb": "point-6mb",
}
PER_PUSH = {"spans-5": "5-spans", "points-20": "20-points"}
PEAKS = {
    "spans-6mb": "spans-peak", "points-6mb": "points-peak", "spans-20mb": "spans-20mb-peak", "points-20mb": "points-20mb-peak",
}
# Targets and samples of each. Scrapes are measured without TLS only.
SCRAPE_PEAKS = {"run-peak": (100, 500), "large-run-peak": (300, 2_000)}


class Events:
    """Events of `cargo bench --bench events`, and their descriptions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: dict[str, dict[str, Any]] = json.loads((folder / "about.json").read_text())

    def __getitem__(self, name: str) -> bytes:
        return (self.folder / f"{name}.json").read_bytes()

    def items(self, name: str) -> int:
        items: int = self.about[name]["items"]
        return items


async def values(bench: Bench, events: Events) -> tuple[dict[str, float], list[Load]]:
    values: dict[str, float] = {}
    pushes: dict[str, Push] = {}
    for name in PER_ITEM | PER_PUSH:
        log(f"sending {name}")
        [pushes[name]] = await bench.push(events[name], events.items(name))
    values |= {key: pushes[name].cpu_us_per_item for name, key in PER_ITEM.items()}
    values |= {key: pushes[name].cpu_ms * 1000 for name, key in PER_PUSH.items()}
    log("sending stats")
    [stats] = await bench.stats_push(events["stats"])
    assert stats is not None, "stats are not accepted"
    values["stats"] = stats
    if not bench.has_tls:
        log("scraping")
        [values["sample"]] = await bench.scrape_us()
        for key, size in SCRAPE_PEAKS.items():
            [values[key]] = await bench.scrape_peak_mb(*size)
    log("measuring cold starts")
    if not bench.has_tls:
        [(values["start"], values["start-cpu"])] = await bench.cold_start_ms()
    [values["first-push"]] = await bench.first_push_ms(events["spans"])
    [values["first-small-push"]] = await bench.first_push_ms(events["spans-5"])
    log("measuring memory")
    peaks = {name: (await bench.memory_mb(events[name]))[0] for name in PEAKS}
    values["idle"] = min(idle for idle, _, _ in peaks.values())
    values |= {key: peaks[name][1] for name, key in PEAKS.items()}
    values["ten-peak"] = max(peaks["spans-6mb"][2], peaks["points-6mb"][2])
    values["zip"] = measure.zipped_mb(bench.sides[0][0].binary)
    values |= sizes(pushes, events)
    return values, loads(pushes, values)


def sizes(pushes: dict[str, Push], events: Events) -> dict[str, float]:
    about, points, spans = events.about["points"], pushes["points"], pushes["spans"]
    return {
        "plain-ratio": points.bytes / about["plain_write_bytes"],
        "sample-bytes": points.bytes / about["samples"],
        "span-bytes": spans.bytes / spans.items,
    }


def loads(pushes: dict[str, Push], values: dict[str, float]) -> list[Load]:
    peaks = {"spans-6mb": values["spans-peak"], "points-6mb": values["points-peak"]}
    kinds = {"requests of 500 spans": "spans", "requests of 1,000 data points": "points"}
    kinds |= {"requests of 6 MB of spans": "spans-6mb", "requests of 6 MB of data points": "points-6mb"}
    return [Load.from_push(label, pushes[name], peaks.get(name, 0)) for label, name in kinds.items()]


def scheduled_run(output: str) -> dict[str, float]:
    """Values from the output of the benchmark `ten_thousand_tasks`: the scheduled run and its shards."""
    times = [int(ms) for ms in re.findall(r"^(?:scheduled run|shards): .* in (\d+) ms;", output, re.MULTILINE)]
    processor = re.search(r"^processor: (\d+) ms", output, re.MULTILINE)
    peak = re.search(r"VmHWM:\s+(\d+) kB", output)
    if len(times) != 2 or processor is None or peak is None:
        return {}
    return {"tasks": sum(times) / 1000, "tasks-cpu": int(processor[1]) / 10, "tasks-peak": int(peak[1]) * 1024 / 1e6}


def log(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
