"""Runs the function against a sample shop and checks the data that arrives; started by scripts/demo."""

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
from .peers import (
    CREDENTIALS, REGION, ROOT, ExpectationFailed, Peers, clear_settings, function, log, moto, post, prometheus, query, wait_for,
)
from .services import service_rows
from .sources import INSIGHTS_DELAY_SECONDS, UNTOUCHED_CLUSTER, Sources

RUNS = 3
# Time for which the shop receives requests between two scheduled runs: enough for a new CPU sample of each task.
BUSY_SECONDS = 2.5
# Spans of one trace: a server span for each service, and a client span for each service except the last.
SPANS = 2 * len(ecs.SERVICES) - 1


def main() -> int:
    arguments = argparse.ArgumentParser(prog="scripts/demo")
    arguments.add_argument("--keep", action="store_true", help="leave everything running and print the addresses")
    arguments.add_argument("--json", type=Path, help="write the received data to this file")
    arguments.add_argument("--binary", type=Path, required=True, help="the binary of the function")
    arguments.add_argument("--cli", type=Path, required=True, help="the binary of the command line")
    options = arguments.parse_args()
    clear_settings()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stopped)
    folder = Path(tempfile.mkdtemp(prefix="sidecarless-demo-"))
    try:
        with Peers(folder) as peers:
            show_all(peers, options)
    except (ExpectationFailed, OSError) as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        print(warnings(folder / "function.log"), file=sys.stderr)
        print(f"logs are in {folder}", file=sys.stderr)
        return 1
    except SystemExit:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def warnings(path: Path) -> str:
    """Returns the last ten distinct warnings and errors of the function and the emulator."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    matches = [line[:500] for line in lines if re.search(r'"level":"(WARN|ERROR)"|exited', line)]
    return "\n".join(list(dict.fromkeys(matches))[-10:])


def stopped(number: int, _: object) -> None:
    """Exits when a signal arrives, for example because the terminal was closed, so that no process keeps running."""
    sys.exit(128 + number)


def show_all(peers: Peers, options: argparse.Namespace) -> None:
    started = time.monotonic()
    results = run(peers, options.binary, options.cli)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    print(f"\nAll expected data has arrived ({time.monotonic() - started:.0f} s).")
    if options.keep:
        keep(results, peers.folder)


def run(peers: Peers, binary: Path, cli: Path) -> dict[str, Any]:
    log("starting Prometheus (as AMP) and moto (as ECS, EC2, CloudWatch Logs and X-Ray)")
    amp, aws = prometheus(peers), moto(peers)
    log("registering three services in ECS, one or two for each other source, and one without a source")
    shop, others = ecs.run_tasks(aws), Sources(aws)
    others.run_tasks()
    token = secrets.token_urlsafe(32)
    settings = {
        "AWS_ENDPOINT_URL": aws,
        "AWS_PROMETHEUS_ENDPOINT": f"{amp}/api/v1/write",
        "SIDECARLESS_TOKENS_SHA256": hashlib.sha256(token.encode()).hexdigest(),
        "SIDECARLESS_CLUSTERS": f"{ecs.CLUSTER},{UNTOUCHED_CLUSTER}",
        "SIDECARLESS_CLOUDWATCH_INTERVAL": "1",
        "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8",
        "SIDECARLESS_INSIGHTS_DELAY": f"{INSIGHTS_DELAY_SECONDS}s",
        "SIDECARLESS_INSIGHTS_MEMORY_USAGE": "on",
    }
    log("starting the function under the Lambda runtime interface emulator")
    url = function(peers, binary, settings)
    log("starting the processes of all tasks with the OpenTelemetry SDK")
    ecs.start_processes(peers, shop, url, token)
    others.start_processes(peers, url, token)
    tasks = [*shop, *others.tasks]
    ecs.wait_for_processes(tasks)
    trace_ids, stopped_at = run_shop(peers, shop, others)
    log(f"querying the data of {len(trace_ids)} orders")
    running = [task for task in tasks if task is not others.importer]
    results = {
        "stopped": wait_for(
            "the stop reason of the importer, and the end of its series", lambda: stop_details(amp, others.importer, stopped_at)
        ),
        "tasks": wait_for("task metrics in Prometheus", lambda: task_rows(amp, tasks)),
        "services": wait_for("the state of all services in Prometheus", lambda: service_rows(amp, [*tasks, others.invoices])),
        "up": wait_for("`up` of all endpoints in Prometheus", lambda: up_by_task(amp, stats_targets(running))),
        "requests": wait_for(
            "the request counters of all three services in Prometheus", lambda: request_rows(amp, len(trace_ids))
        ),
        "trace": wait_for("a trace through all three services in X-Ray", lambda: complete_trace(aws, trace_ids)),
        "dashboard": wait_for(
            "data in all panels of the dashboard", lambda: dashboard.panels(amp, {task.service for task in with_task_metrics(tasks)})
        ),
        "targets": targets(cli, settings, [*running, others.invoices]),
        "check": check(cli, settings),
        "exposition": wait_for("the exposition of reviews in Prometheus", lambda: exposition_row(amp, others.reviews)),
        "addresses": {"prometheus": amp, "moto": aws, "function_url": url, "storefront": shop[0].url},
    }
    draw(results)
    return results


def run_shop(peers: Peers, shop: list[ecs.Task], others: Sources) -> tuple[list[str], float]:
    """Sends traffic and starts scheduled runs. The importer runs out of memory before the last run.

    Returns the trace ids of the orders, and the time at which the importer stopped.
    """
    trace_ids: list[str] = []
    stopped_at = 0.0
    endpoints = len(stats_targets([*shop, *others.tasks]))
    for number in range(RUNS):
        log(f"traffic through the shop, and scheduled run {number + 1} of {RUNS}")
        trace_ids += traffic(shop, others, BUSY_SECONDS)
        others.check_health()
        if number == RUNS - 1:
            log("the importer runs out of memory")
            stopped_at = others.run_out_of_memory()
            endpoints -= 1
        at = int(time.time())
        others.log_events(at)
        run_scheduled(peers, at, endpoints)
    return trace_ids, stopped_at


def traffic(shop: list[ecs.Task], others: Sources, seconds: float) -> list[str]:
    """Sends orders one after the other, and requests to the other tasks. Returns the trace ids of the orders."""
    end = time.monotonic() + seconds
    trace_ids = []
    while time.monotonic() < end:
        trace_ids.append(ecs.buy(shop[0]))
        others.visit()
    return trace_ids


def run_scheduled(peers: Peers, at: int, endpoints: int) -> None:
    """Sends the event of EventBridge Scheduler to the emulator."""
    event = json.loads((ROOT / "events" / "scheduled-run.json").read_text())
    event["at"] = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(at))
    status, _, body = post(peers.invoke_url, json.dumps(event).encode())
    summary = json.loads(body)
    if status != 200 or summary.get("targets_up", 0) < endpoints or summary.get("undelivered") != 0:
        raise ExpectationFailed(f"a scheduled run that scrapes {endpoints} targets and delivers all samples: {summary}")


def with_task_metrics(tasks: list[ecs.Task]) -> list[ecs.Task]:
    """Returns the tasks that have task metrics."""
    return [task for task in tasks if task.source != "prometheus"]


def stats_targets(tasks: list[ecs.Task]) -> list[ecs.Task]:
    """Returns the tasks that serve a stats endpoint."""
    return [task for task in tasks if task.source == "endpoint"]


def task_rows(amp: str, tasks: list[ecs.Task]) -> list[dict[str, Any]] | None:
    names = {
        "cpu": "ecs_task_cpu_utilized", "vcpu": "ecs_task_cpu_usage_vcpu", "memory_mib": "ecs_task_memory_utilized",
        "memory": "ecs_task_memory_usage", "rx": "ecs_task_network_rate_rx", "tx": "ecs_task_network_rate_tx",
    }
    # The maximum of all runs, because a task can be idle during one of them. Container Insights data is at most four minutes
    # old.
    values = {key: by_task(query(amp, f"max_over_time({name}[10m])")) for key, name in names.items()}
    rows = [
        {
            "service": task.service, "task": task.id, "source": task.source, "launch_type": task.launch_type,
            **{key: values[key].get(task.id, 0.0) for key in names},
        }
        for task in with_task_metrics(tasks)
    ]
    return rows if all(row["cpu"] > 0 and row["memory"] > 0 for row in rows) else None


def stop_details(amp: str, task: ecs.Task, stopped_at: float) -> dict[str, Any] | None:
    """Returns the stop reason of a task when it is available and all series of the task have ended."""
    selector = f'{{aws_ecs_task_id="{task.id}"}}'
    stopped_info = query(amp, f"ecs_task_stopped_info{selector}")
    killed = query(amp, f"ecs_container_oom_killed{selector} == 1")
    exits = query(amp, f"ecs_container_exit_code{selector}")
    before = query(amp, f"max_over_time(ecs_task_cpu_utilized{selector}[10m])")
    still = query(amp, f'{{__name__=~"up|ecs_task_(cpu|memory|network).*|container_.*", aws_ecs_task_id="{task.id}"}}')
    if not (stopped_info and killed and exits and before) or still:
        counts = {"stopped_info": len(stopped_info), "oom_killed": len(killed), "scraped before": len(before)}
        raise ValueError(f"{counts}, series that have not ended: {sorted({series['metric']['__name__'] for series in still})}")
    labels = stopped_info[0]["metric"]
    seconds = time.time() - stopped_at
    if seconds >= 60:
        raise ExpectationFailed(f"the series of {task.service} to end within a minute: it took {seconds:.0f} s")
    return {
        "service": task.service, "task": task.id, "stop_code": labels["stop_code"], "reason": labels["reason"],
        "container_reason": exits[0]["metric"]["reason"], "exit_code": int(exits[0]["value"][1]), "seconds": seconds,
    }


def exposition_row(amp: str, task: ecs.Task) -> dict[str, Any] | None:
    """Returns the metrics from the exposition of a task."""
    selector = f'{{aws_ecs_task_id="{task.id}"}}'
    names = {"cpu_seconds": "process_cpu_seconds_total", "memory": "process_resident_memory_bytes", "up": "up"}
    values = {key: by_task(query(amp, name + selector)).get(task.id, 0.0) for key, name in names.items()}
    row = {"service": task.service, "task": task.id, "source": task.source, "launch_type": task.launch_type, **values}
    return row if all(values.values()) else None


def targets(cli: Path, settings: dict[str, str], tasks: list[ecs.Task]) -> str:
    """Returns the output of `sidecarless targets`, which must list every task."""
    environment = {**os.environ, "AWS_REGION": REGION, **CREDENTIALS, **settings}
    done = subprocess.run([cli, "targets"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    unlisted = [task.service for task in tasks if task.id not in done.stdout]
    if done.returncode != 0 or unlisted:
        output = f"{done.returncode} {done.stdout}{done.stderr}"
        raise ExpectationFailed(f"`sidecarless targets` lists all tasks (missing: {unlisted}): {output}")
    return done.stdout


def check(cli: Path, settings: dict[str, str]) -> str:
    """Returns the output of `sidecarless check`, in which only the check for tasks without a source fails: there is one."""
    environment = {**os.environ, "AWS_REGION": REGION, **CREDENTIALS, **settings}
    done = subprocess.run([cli, "check"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    failed = [line.split("  ")[1].strip() for line in done.stdout.splitlines() if line.startswith("FAIL")]
    if failed != ["container statistics"]:
        raise ExpectationFailed(f"`sidecarless check` reports the task without a source only: {done.stdout}{done.stderr}")
    return done.stdout


def by_task(result: list[dict[str, Any]]) -> dict[str, float]:
    return {series["metric"]["aws_ecs_task_id"]: float(series["value"][1]) for series in result}


def up_by_task(amp: str, tasks: list[ecs.Task]) -> dict[str, float] | None:
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


def draw(results: dict[str, Any]) -> None:
    stopped, exposition = results["stopped"], results["exposition"]
    rows = [
        [row["service"], row["task"][:12], row["launch_type"], row["source"], f"{row['cpu']:.1f}", f"{row['vcpu']:.3f}",
         show.size(row["memory"]), f"{show.size(row['rx'])}/s", f"{show.size(row['tx'])}/s",
         f"stopped: {stopped['container_reason']}, exit code {stopped['exit_code']}" if row["task"] == stopped["task"] else "running"]
        for row in results["tasks"]
    ]
    # The exposition has metrics of one process, with CPU time in seconds since its start.
    rows.append([
        exposition["service"], exposition["task"][:12], exposition["launch_type"], exposition["source"],
        f"{exposition['cpu_seconds']:.1f} s", "-", show.size(exposition["memory"]), "-", "-", "running",
    ])
    show.table(
        "Tasks, from Prometheus",
        ["service", "task", "launch type", "source", "CPU units", "vCPU", "memory", "network in", "network out", "state"],
        rows,
    )
    print(f"  {stopped['service']} stopped ({stopped['stop_code']}, {stopped['reason']}); "
          f"its series ended {stopped['seconds']:.1f} s later.")
    draw_services(results["services"])
    print(f"\n{show.paint('bold', 'The same tasks, from `sidecarless targets`')}")
    print("".join(f"  {line}\n" for line in results["targets"].splitlines()), end="")
    print(f"\n{show.paint('bold', 'Configuration check, from `sidecarless check`')}")
    print("".join(f"  {line}\n" for line in results["check"].splitlines()), end="")
    show.table(
        "Panels of the ECS task dashboard, from Prometheus",
        ["panel", "value"],
        [[row["panel"], row["value"]] for row in results["dashboard"]],
    )
    show.table(
        "Requests reported by the SDK, from Prometheus",
        ["service", "requests", "per second"],
        [[row["service"], f"{row['requests']:.0f}", f"{row['rate']:.2f}"] for row in results["requests"]],
    )
    show.waterfall(results["trace"])


def draw_services(rows: list[dict[str, Any]]) -> None:
    show.table(
        "Services, from Prometheus: nothing in a task is needed for them",
        ["service", "cluster", "desired", "running", "healthy", "vCPU reserved", "MiB reserved", "CPU %", "memory %", "usage from"],
        [
            [row["service"], row["cluster"], *(
                "-" if row[key] is None else f"{row[key]:{form}}" for key, form in [
                    ("desired", ".0f"), ("running", ".0f"), ("healthy", ".0f"), ("cpu_reserved", ".2f"), ("memory_reserved", ".0f"),
                    ("cpu", ".1f"), ("memory", ".1f"),
                ]
            ), row["source"]]
            for row in rows
        ],
    )


def keep(results: dict[str, Any], folder: Path) -> None:
    print("\nStill running. Press Ctrl-C to stop:")
    for name, address in results["addresses"].items():
        print(f"  {name:<14} {address}")
    print(f"  {'logs':<14} {folder}")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
