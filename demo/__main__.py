"""The main job on real input; see scripts/demo."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import dashboard, ecs, show
from .peers import CREDENTIALS, REGION, ROOT, Missing, Peers, forget_settings, function, moto, post, prometheus, query, say, wait_for
from .sources import LAG_SECONDS, Sources

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
    say("starting Prometheus (as AMP) and moto (as ECS, EC2, CloudWatch Logs and X-Ray)")
    amp, aws = prometheus(peers), moto(peers)
    say("registering three services in ECS, and a task for each other way of being seen")
    shop, others = ecs.run_tasks(aws), Sources(aws)
    others.run_tasks()
    token = secrets.token_urlsafe(32)
    settings = {
        "AWS_ENDPOINT_URL": aws,
        "AWS_PROMETHEUS_ENDPOINT": f"{amp}/api/v1/write",
        "SIDECARLESS_TOKENS_SHA256": hashlib.sha256(token.encode()).hexdigest(),
        "SIDECARLESS_CLUSTERS": ecs.CLUSTER,
        "SIDECARLESS_SCRAPE_RANGES": "127.0.0.0/8",
        "SIDECARLESS_INSIGHTS_LAG": f"{LAG_SECONDS}s",
        "SIDECARLESS_INSIGHTS_MEMORY_USAGE": "on",
    }
    say("starting the function under the Lambda runtime interface emulator")
    url = function(peers, binary, settings)
    say("starting the processes of all tasks, with the stock OpenTelemetry SDK")
    ecs.start_processes(peers, shop, url, token)
    others.start_processes(peers, url, token)
    tasks = [*shop, *others.tasks]
    ecs.wait_for_processes(tasks)
    trace_ids, stopped_at = rounds(peers, shop, others)
    say(f"reading back what arrived of {len(trace_ids)} orders")
    running = [task for task in tasks if task is not others.importer]
    facts = {
        "stopped": wait_for(
            "why the importer stopped, and the end of its series", lambda: ended(amp, others.importer, stopped_at)
        ),
        "tasks": wait_for("stats of all tasks with stats in Prometheus", lambda: task_rows(amp, tasks)),
        "up": wait_for("up of all endpoints in Prometheus", lambda: ups(amp, scraped(running))),
        "requests": wait_for(
            "the request counters of all three services in Prometheus", lambda: request_rows(amp, len(trace_ids))
        ),
        "trace": wait_for("a trace through all three services in X-Ray", lambda: complete_trace(aws, trace_ids)),
        "dashboard": wait_for(
            "data in all panels of the dashboard", lambda: dashboard.panels(amp, {task.service for task in with_stats(tasks)})
        ),
        "targets": targets(binary, settings, running),
        "check": check(binary, settings),
        "page": wait_for("the page of reviews in Prometheus", lambda: page_row(amp, others.reviews)),
        "addresses": {"prometheus": amp, "moto": aws, "function_url": url, "storefront": shop[0].url},
    }
    draw(facts)
    return facts


def rounds(peers: Peers, shop: list[ecs.Task], others: Sources) -> tuple[list[str], float]:
    """Traffic and ticks. Before the last tick the importer runs out of memory. Returns the orders' traces, and when it ended."""
    trace_ids: list[str] = []
    stopped_at = 0.0
    endpoints = len(scraped([*shop, *others.tasks]))
    for number in range(TICKS):
        say(f"traffic through the shop, and tick {number + 1} of {TICKS}")
        trace_ids += traffic(shop, others, BUSY_SECONDS)
        if number == TICKS - 1:
            say("the importer runs out of memory")
            stopped_at = others.run_out_of_memory()
            endpoints -= 1
        at = int(time.time())
        others.log_events(at)
        tick(peers, at, endpoints)
    return trace_ids, stopped_at


def traffic(shop: list[ecs.Task], others: Sources, seconds: float) -> list[str]:
    """Orders one after the other, and requests to the other tasks; returns the ids of the orders' traces."""
    end = time.monotonic() + seconds
    trace_ids = []
    while time.monotonic() < end:
        trace_ids.append(ecs.buy(shop[0]))
        others.visit()
    return trace_ids


def tick(peers: Peers, at: int, endpoints: int) -> None:
    """Fires the scheduler's event at the emulator, as EventBridge Scheduler would."""
    event = json.loads((ROOT / "events" / "tick.json").read_text())
    event["at"] = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(at))
    status, _, body = post(peers.invoke_url, json.dumps(event).encode())
    summary = json.loads(body)
    if status != 200 or summary.get("targets_up", 0) < endpoints or summary.get("undelivered") != 0:
        raise Missing(f"a tick that scrapes {endpoints} targets and delivers all samples: {summary}")


def with_stats(tasks: list[ecs.Task]) -> list[ecs.Task]:
    """Those of which there are stats of the task as a whole."""
    return [task for task in tasks if task.source != "prometheus"]


def scraped(tasks: list[ecs.Task]) -> list[ecs.Task]:
    """Those that serve their stats themselves."""
    return [task for task in tasks if task.source == "endpoint"]


def task_rows(amp: str, tasks: list[ecs.Task]) -> list[dict[str, Any]] | None:
    names = {
        "cpu": "ecs_task_cpu_utilized", "vcpu": "ecs_task_cpu_usage_vcpu", "memory_mib": "ecs_task_memory_utilized",
        "memory": "ecs_task_memory_usage", "rx": "ecs_task_network_rate_rx", "tx": "ecs_task_network_rate_tx",
    }
    # The highest of the ticks: a task that idles while it is looked at is no failure. Container Insights lies four minutes
    # behind at the most.
    values = {key: by_task(query(amp, f"max_over_time({name}[10m])")) for key, name in names.items()}
    rows = [
        {
            "service": task.service, "task": task.id, "source": task.source, "launch_type": task.launch_type,
            **{key: values[key].get(task.id, 0.0) for key in names},
        }
        for task in with_stats(tasks)
    ]
    return rows if all(row["cpu"] > 0 and row["memory"] > 0 for row in rows) else None


def ended(amp: str, task: ecs.Task, stopped_at: float) -> dict[str, Any] | None:
    """Why a task stopped, once that is known and none of its own series goes on."""
    selector = f'{{aws_ecs_task_id="{task.id}"}}'
    told = query(amp, f"ecs_task_stopped_info{selector}")
    killed = query(amp, f"ecs_container_oom_killed{selector} == 1")
    exits = query(amp, f"ecs_container_exit_code{selector}")
    before = query(amp, f"max_over_time(ecs_task_cpu_utilized{selector}[10m])")
    still = query(amp, f'{{__name__=~"up|ecs_task_(cpu|memory|network).*|container_.*", aws_ecs_task_id="{task.id}"}}')
    if not (told and killed and exits and before) or still:
        found = {"stopped_info": len(told), "oom_killed": len(killed), "scraped before": len(before)}
        raise ValueError(f"{found}, still there: {sorted({series['metric']['__name__'] for series in still})}")
    labels = told[0]["metric"]
    seconds = time.time() - stopped_at
    if seconds >= 60:
        raise Missing(f"the series of {task.service} to end within a minute: it took {seconds:.0f} s")
    return {
        "service": task.service, "task": task.id, "stop_code": labels["stop_code"], "reason": labels["reason"],
        "container_reason": exits[0]["metric"]["reason"], "exit_code": int(exits[0]["value"][1]), "seconds": seconds,
    }


def page_row(amp: str, task: ecs.Task) -> dict[str, Any] | None:
    """What a task said on its page for Prometheus."""
    selector = f'{{aws_ecs_task_id="{task.id}"}}'
    names = {"cpu_seconds": "process_cpu_seconds_total", "memory": "process_resident_memory_bytes", "up": "up"}
    values = {key: by_task(query(amp, name + selector)).get(task.id, 0.0) for key, name in names.items()}
    row = {"service": task.service, "task": task.id, "source": task.source, "launch_type": task.launch_type, **values}
    return row if all(values.values()) else None


def targets(binary: Path, settings: dict[str, str], tasks: list[ecs.Task]) -> str:
    """What `sidecarless targets` prints of the same cluster: each task in its line."""
    environment = {**os.environ, "AWS_REGION": REGION, **CREDENTIALS, **settings}
    done = subprocess.run([binary, "targets"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    unlisted = [task.service for task in tasks if task.id not in done.stdout]
    if done.returncode != 0 or unlisted:
        raise Missing(f"`sidecarless targets` with {unlisted or 'nothing amiss'}: {done.returncode} {done.stdout}{done.stderr}")
    return done.stdout


def check(binary: Path, settings: dict[str, str]) -> str:
    """What `sidecarless check` prints of the same account: nothing fails."""
    environment = {**os.environ, "AWS_REGION": REGION, **CREDENTIALS, **settings}
    done = subprocess.run([binary, "check"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise Missing(f"`sidecarless check` with nothing amiss: {done.stdout}{done.stderr}")
    return done.stdout


def by_task(result: list[dict[str, Any]]) -> dict[str, float]:
    return {series["metric"]["aws_ecs_task_id"]: float(series["value"][1]) for series in result}


def ups(amp: str, tasks: list[ecs.Task]) -> dict[str, float] | None:
    up = by_task(query(amp, "up"))
    return up if all(up.get(task.id) for task in tasks) else None


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
    stopped, page = facts["stopped"], facts["page"]
    rows = [
        [row["service"], row["task"][:12], row["launch_type"], row["source"], f"{row['cpu']:.1f}", f"{row['vcpu']:.3f}",
         show.size(row["memory"]), f"{show.size(row['rx'])}/s", f"{show.size(row['tx'])}/s",
         f"stopped: {stopped['container_reason']}, exit code {stopped['exit_code']}" if row["task"] == stopped["task"] else "running"]
        for row in facts["tasks"]
    ]
    # Its page tells of a process, in seconds of CPU since it began.
    rows.append([page["service"], page["task"][:12], page["launch_type"], page["source"], f"{page['cpu_seconds']:.1f} s", "-",
                 show.size(page["memory"]), "-", "-", "running"])
    show.table(
        "Tasks, from Prometheus",
        ["service", "task", "launch type", "source", "CPU units", "vCPU", "memory", "network in", "network out", "state"],
        rows,
    )
    print(f"  {stopped['service']} stopped ({stopped['stop_code']}, {stopped['reason']}); "
          f"its series had ended {stopped['seconds']:.1f} s later.")
    print(f"\n{show.paint('bold', 'The same tasks, from `sidecarless targets`')}")
    print("".join(f"  {line}\n" for line in facts["targets"].splitlines()), end="")
    print(f"\n{show.paint('bold', 'Is everything as it has to be, from `sidecarless check`')}")
    print("".join(f"  {line}\n" for line in facts["check"].splitlines()), end="")
    show.table(
        "Panels of the ECS task dashboard, from Prometheus",
        ["panel", "shows"],
        [[row["panel"], row["shows"]] for row in facts["dashboard"]],
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
