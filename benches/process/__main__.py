"""usage: python3 -m benches.process BINARY EVENTS [--run-log LOG] [--write PAGE] [--quick] [--tls]
       python3 -m benches.process BINARY EVENTS --against OLD [--commit COMMIT] [--quick] [--tls]

BINARY is the release binary. EVENTS is the folder that `cargo bench --bench events` wrote, with its output in about.json.
LOG is the output of `cargo bench --bench ten_thousand_tasks`. OLD is an older binary, and COMMIT the one whose template.yaml has
its variables; without it, both have the variables of this template.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from . import memory_size, one, table, template, two
from .measure import QUICK, Bench, Effort, Version
from .tls import Certificates


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("events", type=Path)
    parser.add_argument("--run-log", type=Path)
    parser.add_argument("--against", type=Path, metavar="OLD")
    parser.add_argument("--commit")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    options = parser.parse_args()
    versions = [Version(options.binary, template.variables())]
    if options.against:
        versions.insert(0, Version(options.against, template.variables(options.commit)))
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder)) if options.tls else None
        effort = QUICK if options.quick else Effort()
        print(asyncio.run(tables(options, versions, effort, certificates)))


async def tables(options: argparse.Namespace, versions: list[Version], effort: Effort, certificates: Certificates | None) -> str:
    bench = await Bench.start(versions, effort, certificates)
    events = one.Events(options.events)
    if options.against:
        return table.compared(*await two.values(bench, events))
    values, loads = await one.values(bench, events)
    if options.run_log:
        values |= one.scheduled_run(options.run_log.read_text())
    printed = table.measured(values) + "\n\n" + memory_size.markdown(loads)
    if options.write:
        table.write(options.write, "measured", printed)
    return printed


if __name__ == "__main__":
    main()
