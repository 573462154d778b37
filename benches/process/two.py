"""The values of two versions, measured alternately, by the keys of the metrics."""

from __future__ import annotations

from collections.abc import Sequence

from . import measure
from .measure import Bench
from .one import PER_PUSH, SCRAPE_PEAKS, Events, log

Values = dict[str, float | None]


async def values(bench: Bench, events: Events) -> tuple[Values, Values]:
    """Returns the values of the older version and those of the newer one."""
    results: tuple[Values, Values] = {}, {}

    def add(key: str, pair: Sequence[float | None]) -> None:
        results[0][key], results[1][key] = pair

    log("sending spans and data points")
    spans = await bench.push(events["spans"], events.items("spans"))
    add("span", [push.cpu_us_per_item for push in spans])
    add("span-bytes", [push.bytes / push.items for push in spans])
    add("point", [push.cpu_us_per_item for push in await bench.push(events["points"], events.items("points"))])
    for name, key in PER_PUSH.items():
        add(key, [push.cpu_ms * 1000 for push in await bench.push(events[name], events.items(name))])
    log("sending stats")
    add("stats", await bench.stats_push(events["stats"]))
    if not bench.has_tls:
        log("scraping")
        add("sample", await bench.scrape_us())
        for key, size in SCRAPE_PEAKS.items():
            add(key, await bench.scrape_peak_mb(*size))
    log("measuring cold starts")
    if not bench.has_tls:
        starts = await bench.cold_start_ms()
        add("start", [wall for wall, _ in starts])
        add("start-cpu", [cpu for _, cpu in starts])
    add("first-push", await bench.first_push_ms(events["spans"]))
    add("first-small-push", await bench.first_push_ms(events["spans-5"]))
    log("measuring memory")
    spans_peak, points_peak = [await bench.memory_mb(events[name], 1) for name in ("spans-6mb", "points-6mb")]
    add("idle", [idle for idle, _, _ in spans_peak])
    add("spans-peak", [peak for _, peak, _ in spans_peak])
    add("points-peak", [peak for _, peak, _ in points_peak])
    add("zip", [measure.zipped_mb(version.binary) for version, _ in bench.sides])
    return results
