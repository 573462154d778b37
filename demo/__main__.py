"""The main job on real input; see scripts/demo."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import ecs, show
from .peers import ROOT, Missing, Peers, forget_settings, function, moto, post, prometheus, query, say, wait_for

TICKS = 3
# Between ticks the shop is kept busy for as long as its tasks need for a new sample of their own CPU time.
BUSY_SECONDS = 2.5
# What a span of each service shows in its trace: one that serves, and one that asks, but for the last of the chain.
SPANS = 2 * len(ecs.SERVICES) - 1


def main() -> int:
    arguments = argparse.ArgumentParser(prog="scripts/demo")
    arguments.add_argument("--keep", action="store_true", help="leave everything running and print the addresses")
    arguments.add_argument("--json", type=Path, help="write what arrived to this file")
    arguments.add_argument("--binary", type=Path, required=True, help="the release binary")
    options = arguments.parse_args()
    forget_settings()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stopped)
    folder = Path(tempfile.mkdtemp(prefix="sidecarless-demo-"))
    try:
        with Peers(folder) as peers:
            show_all(peers, options)
    except (Missing, OSError) as missing:
        print(f"\nMISSING: {missing}", file=sys.stderr)
        print(complaints(folder / "function.log"), file=sys.stderr)
        print(f"logs are in {folder}", file=sys.stderr)
        return 1
    except SystemExit:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def complaints(log: Path) -> str:
    """The last of what the function and the emulator warned of, each once."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    told = [line[:500] for line in lines if re.search(r'"level":"(WARN|ERROR)"|exited', line)]
    return "\n".join(list(dict.fromkeys(told))[-10:])


def stopped(number: int, _: object) -> None:
    """A stop from outside, a closed terminal included, leaves nothing running."""
    sys.exit(128 + number)


def show_all(peers: Peers, options: argparse.Namespace) -> None:
    started = time.monotonic()
    facts = run(peers, options.binary)
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2))
    print(f"\nEverything expected has arrived ({time.monotonic() - started:.0f} s).")
    if options.keep:
        keep(facts, peers.folder)


def run(peers: Peers, binary: Path) -> dict[str, Any]:
    say("starting Prometheus (as AMP) and moto (as ECS and X-Ray)")
    amp, aws = prometheus(peers), moto(peers)
    say("registering three services in ECS")
    tasks = ecs.run_tasks(aws)
    token = secrets.token_urlsafe(32)
    say("starting the function under the Lambda runtime interface emulator")
    url = function(peers, binary, {
        "AWS_ENDPOINT_URL": aws,
        "AWS_PROMETHEUS_ENDPOINT": f"{amp}/api/v1/write",
        "SIDECARLESS_TOKENS_SHA256": hashlib.sha256(token.encode()).hexdigest(),
        "SIDECARLESS_CLUSTERS": ecs.CLUSTER,
        "SIDECARLESS_SCRAPE_RANGES": "127.0.0.0/8",
    })
    say("starting the shop: three processes with the stock OpenTelemetry SDK")
    ecs.start_processes(peers, tasks, url, token)
    trace_ids: list[str] = []
    for number in range(TICKS):
        say(f"traffic through the shop, and tick {number + 1} of {TICKS}")
        trace_ids += traffic(tasks, BUSY_SECONDS)
        tick(peers)
    say(f"reading back what arrived of {len(trace_ids)} orders")
    facts = {
        "tasks": wait_for("metrics of all three tasks in Prometheus", lambda: task_rows(amp, tasks)),
        "up": wait_for("up of all three tasks in Prometheus", lambda: ups(amp)),
        "requests": wait_for(
            "the request counters of all three services in Prometheus", lambda: request_rows(amp, len(trace_ids))
        ),
        "trace": wait_for("a trace through all three services in X-Ray", lambda: complete_trace(aws, trace_ids)),
        "addresses": {"prometheus": amp, "moto": aws, "function_url": url, "storefront": tasks[0].url},
    }
    draw(facts)
    return facts


def traffic(tasks: list[ecs.Task], seconds: float) -> list[str]:
    """Orders one after the other; returns the ids of their traces."""
    end = time.monotonic() + seconds
    trace_ids = []
    while time.monotonic() < end:
        trace_ids.append(ecs.buy(tasks[0]))
    return trace_ids


def tick(peers: Peers) -> None:
    """Fires the scheduler's event at the emulator, as EventBridge Scheduler would."""
    event = json.loads((ROOT / "events" / "tick.json").read_text())
    event["at"] = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
    status, _, body = post(peers.invoke_url, json.dumps(event).encode())
    summary = json.loads(body)
    if status != 200 or summary.get("targets_up") != len(ecs.SERVICES) or summary.get("undelivered") != 0:
        raise Missing(f"a tick that scrapes three targets and delivers all samples: {summary}")


def task_rows(amp: str, tasks: list[ecs.Task]) -> list[dict[str, Any]] | None:
    names = {
        "cpu": "ecs_task_cpu_utilized", "vcpu": "ecs_task_cpu_usage_vcpu", "memory_mib": "ecs_task_memory_utilized",
        "memory": "ecs_task_memory_usage", "rx": "ecs_task_network_rate_rx", "tx": "ecs_task_network_rate_tx",
    }
    # The highest of the ticks: a task that idles while it is looked at is no failure.
    values = {key: by_task(query(amp, f"max_over_time({name}[5m])")) for key, name in names.items()}
    rows = [
        {"service": task.service, "task": task.id, **{key: values[key].get(task.id, 0.0) for key in names}} for task in tasks
    ]
    return rows if all(row["cpu"] > 0 and row["memory"] > 0 for row in rows) else None


def by_task(result: list[dict[str, Any]]) -> dict[str, float]:
    return {series["metric"]["aws_ecs_task_id"]: float(series["value"][1]) for series in result}


def ups(amp: str) -> dict[str, float] | None:
    up = by_task(query(amp, "up"))
    return up if len(up) == len(ecs.SERVICES) and all(up.values()) else None


def request_rows(amp: str, orders: int) -> list[dict[str, Any]] | None:
    total = {series["metric"]["job"]: float(series["value"][1]) for series in query(amp, "sum by (job) (shop_requests_total)")}
    rate = query(amp, "sum by (job) (rate(shop_requests_total[1m]))")
    per_second = {series["metric"]["job"]: float(series["value"][1]) for series in rate}
    rows = [{"service": name, "requests": total.get(name, 0.0), "rate": per_second.get(name, 0.0)} for name in ecs.SERVICES]
    return rows if all(row["requests"] >= orders for row in rows) else None


def complete_trace(aws: str, trace_ids: list[str]) -> list[dict[str, Any]] | None:
    documents = ecs.trace_documents(aws, trace_ids[-1])
    return documents if len(documents) >= SPANS else None


def draw(facts: dict[str, Any]) -> None:
    show.table(
        "Tasks, from Prometheus",
        ["service", "task", "CPU units", "vCPU", "memory", "network in", "network out"],
        [
            [row["service"], row["task"][:12], f"{row['cpu']:.1f}", f"{row['vcpu']:.3f}", show.size(row["memory"]),
             f"{show.size(row['rx'])}/s", f"{show.size(row['tx'])}/s"]
            for row in facts["tasks"]
        ],
    )
    show.table(
        "Requests, pushed by the SDK, from Prometheus",
        ["service", "requests", "per second"],
        [[row["service"], f"{row['requests']:.0f}", f"{row['rate']:.2f}"] for row in facts["requests"]],
    )
    show.waterfall(facts["trace"])


def keep(facts: dict[str, Any], folder: Path) -> None:
    print("\nStill running; stop with Ctrl-C:")
    for name, address in facts["addresses"].items():
        print(f"  {name:<14} {address}")
    print(f"  {'logs':<14} {folder}")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
