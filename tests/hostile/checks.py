"""Sends an input to the function, measures it, and checks its property. There is one function for each kind of input."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pushed_stats
import wire
from inputs import METRICS, PROTOBUF, STATS, VICTIM, Input, compressed, request, session, task_id
from process import CPU_LIMIT_S, Died, Endless, Process
from servers import EcsTask, Handler, Servers, scraped_task

SCHEDULED_RUN = {"sidecarless": "scrape"}
# Maximum peak, as a share of the size of the function. The rest is a margin for memory that the function does not count.
MAX_PEAK_SHARE = 0.75
# Linear growth is 2 with each doubling, sorting slightly more.
MAX_GROWTH = 2.6
# Below, the noise of the measurement is larger than the growth.
MIN_CPU_S = 0.05
# Measurements of each size. Other processes on the machine can only add CPU time, so the lowest counts.
MEASUREMENTS = 3
# An input that stays below at the largest size is not worth an attack, however it grows.
CHEAP_CPU_S = 0.5
MAX_CPU_ONCE_S = 1.0
MAX_CACHE_GROWTH_MB = 20
MAX_LOG_BYTES = 8192
MAX_RESPONSE_BYTES = 65_536
# Job and metric of a target without malice. In most compressed requests, snappy writes the word once as it is.
HEALTHY = "zq7wk2xv9"


@dataclass
class Result:
    """Measured values. `broken` has one entry for each part of the property that does not hold."""

    status: str = ""
    peak_mb: float = 0.0
    cpu_s: float = 0.0
    broken: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.broken

    def expect(self, condition: bool, otherwise: str) -> None:
        if not condition:
            self.broken.append(otherwise)


# CPU time in seconds of each size, in the order of the sizes.
Times = list[tuple[int, float]]


@dataclass
class Run:
    """Measurement of one input, in a new process."""

    input: Input
    binary: Path
    folder: Path
    memory_mb: int
    result: Result = field(default_factory=Result)

    def process(self, servers: Servers) -> Process:
        environment = {name: value.replace("{port}", str(servers.port)) for name, value in self.input.environment.items()}
        return Process(self.binary, servers, environment, self.folder / "function.log", self.memory_mb)

    def send(self, process: Process, event: Any) -> bytes:
        """Returns the response, or an empty one if the process died or did not respond."""
        try:
            response, cpu_s = process.invoke(event)
        except Died as error:
            self.result.status, self.result.peak_mb = "died", math.inf
            self.result.expect(False, f"the process died: {error}")
            return b""
        except Endless:
            self.result.status, self.result.cpu_s = "endless", max(self.result.cpu_s, CPU_LIMIT_S)
            self.result.peak_mb = max(self.result.peak_mb, process.peak_mb())
            self.result.expect(False, f"no response within {CPU_LIMIT_S:.1f} s of CPU time")
            return b""
        self.result.status = status(response)
        self.result.cpu_s = max(self.result.cpu_s, cpu_s)
        self.result.peak_mb = max(self.result.peak_mb, process.peak_mb())
        return response

    def push(self, process: Process, body: bytes) -> bytes:
        return self.send(process, request(self.input.path, compressed(body), self.input.headers, self.input.caller))

    def expect_next_push(self, process: Process) -> None:
        """The next valid request must be accepted."""
        if self.result.status in ("died", "endless"):
            return
        body = wire.metrics(wire.gauge(wire.number_point()))
        caller = session("attacker-role", "a" * 32) if self.input.settings.get("SIDECARLESS_AUTH") == "iam" else None
        try:
            response, _ = process.invoke(request(METRICS, compressed(body), PROTOBUF, caller))
            self.result.expect(status(response) == "200", f"the next request was answered with {status(response)}")
        except (Died, Endless):
            self.result.expect(False, "the next request was not answered")

    def expect_peak(self) -> None:
        limit = self.memory_mb * MAX_PEAK_SHARE
        self.result.expect(self.result.peak_mb <= limit, f"peak of {self.result.peak_mb:.0f} MB, limit {limit:.0f}")


def status(response: bytes) -> str:
    content = json.loads(response)
    if "errorType" in content:
        return "error"
    return str(content.get("statusCode", "ok"))


# ---- requests


def push_time(run: Run) -> None:
    """CPU time grows linearly with the size."""

    def measure_sizes() -> Times:
        times = []
        for size in run.input.tested_sizes():
            with Servers() as servers, run.process(servers) as process:
                before, run.result.cpu_s = run.result.cpu_s, 0.0
                run.push(process, run.input.make(size))
                times.append((size, run.result.cpu_s))
                run.result.cpu_s = max(before, run.result.cpu_s)
                run.expect_next_push(process)
            if run.result.status in ("died", "endless"):
                break
        return times

    expect_linear(run.result, measure_sizes)


def expect_linear(result: Result, measure_sizes: Callable[[], Times]) -> None:
    """Compares the lowest CPU times of the sizes. Measures again only if the growth is too large."""
    lowest: dict[int, float] = {}
    for _ in range(MEASUREMENTS):
        for size, cpu_s in measure_sizes():
            lowest[size] = min(cpu_s, lowest.get(size, math.inf))
        broken = excessive_growth(sorted(lowest.items()))
        if not broken or result.broken:
            break
    result.broken += broken


def excessive_growth(times: Times) -> list[str]:
    """Describes every step from one size to the next whose growth is above the limit."""
    broken = []
    if not times or max(cpu_s for _, cpu_s in times) < CHEAP_CPU_S:
        return broken
    for (size, cpu_s), (next_size, next_cpu_s) in zip(times, times[1:]):
        growth = (next_cpu_s / max(cpu_s, MIN_CPU_S)) ** (1 / math.log2(next_size / size))
        if growth > MAX_GROWTH:
            broken.append(f"CPU time grows {growth:.1f}-fold per doubling from {size} to {next_size}")
    return broken


def push_growth(run: Run) -> None:
    """CPU time grows linearly with the number of repetitions, and the peak is limited."""

    def measure_sizes() -> Times:
        times = []
        with Servers() as servers, run.process(servers) as process:
            # The first request of a process is slower.
            run.push(process, run.input.make(run.input.sizes[0]))
            for size in run.input.sizes:
                run.result.cpu_s = 0.0
                run.push(process, run.input.make(size))
                times.append((size, run.result.cpu_s))
            run.expect_peak()
            run.expect_next_push(process)
        return times

    expect_linear(run.result, measure_sizes)


def push_once(run: Run) -> None:
    """CPU time is short."""
    with Servers() as servers, run.process(servers) as process:
        run.push(process, run.input.make())
        run.result.expect(run.result.cpu_s <= MAX_CPU_ONCE_S, f"{run.result.cpu_s:.1f} s of CPU time, limit {MAX_CPU_ONCE_S}")
        run.expect_next_push(process)


def push_honest(run: Run) -> None:
    """The request is accepted in full, and the peak is limited."""
    with Servers() as servers, run.process(servers) as process:
        response = json.loads(run.push(process, run.input.make()) or b"{}")
        run.result.expect(response.get("statusCode") == 200, f"status {response.get('statusCode')}: {response.get('body')!r}"[:200])
        run.result.expect(not response.get("body"), f"partial success: {response.get('body')!r}"[:200])
        run.expect_peak()


def push_memory(run: Run) -> None:
    """Peak memory stays within three quarters of the function's size."""
    with Servers() as servers, run.process(servers) as process:
        run.push(process, run.input.make())
        run.expect_peak()
        run.expect_next_push(process)


def push_stats(run: Run) -> None:
    """CPU time is short, peak, log and response are limited, and the task's next valid push of its stats is accepted."""
    with Servers() as servers, run.process(servers) as process:
        servers.tasks[0].labels = {"sidecarless.stats": "push"}
        before = process.log_bytes()
        response = run.push(process, run.input.make())
        if run.result.status in ("died", "endless"):
            return
        run.result.expect(run.result.cpu_s <= MAX_CPU_ONCE_S, f"{run.result.cpu_s:.1f} s of CPU time, limit {MAX_CPU_ONCE_S}")
        run.expect_peak()
        expect_log(run, process, before, response)
        run.expect_next_push(process)
        valid, _ = process.invoke(request(run.input.path, compressed(pushed_stats.task_document() + STATS), run.input.headers))
        run.result.expect(status(valid) == "200", f"the next push of stats was answered with {valid!r}"[:300])


def push_cached(run: Run) -> None:
    """The names that a sender chooses are not kept: memory does not grow from the second request to the last."""
    with Servers() as servers, run.process(servers) as process:
        resident = []
        for _ in range(run.input.options["pushes"]):
            if run.push(process, run.input.make()):
                resident.append(process.resident_mb())
        grown = resident[-1] - resident[1] if len(resident) > 1 else math.inf
        run.result.expect(grown <= MAX_CACHE_GROWTH_MB, f"{grown:.0f} MB kept after the requests, limit {MAX_CACHE_GROWTH_MB}")


def spool_memory(run: Run) -> None:
    """Peak memory of a spool message stays within three quarters of the function's size."""
    with Servers() as servers, run.process(servers) as process:
        run.send(process, run.input.make())
        run.expect_peak()
        run.expect_next_push(process)


# ---- scheduled runs


def prometheus_labels(path: str, job: str) -> dict[str, str]:
    return {"ECS_PROMETHEUS_EXPORTER_PORT": "PORT", "ECS_PROMETHEUS_METRICS_PATH": path, "ECS_PROMETHEUS_JOB_NAME": job}


STATS_LABELS = {"sidecarless.stats.port": "PORT"}


def hostile_task(run: Run, servers: Servers) -> EcsTask:
    """The task whose page is the input. A scrape rule of the input names its endpoint, or else a docker label."""
    is_in_rule = "SIDECARLESS_SCRAPE_RULES" in run.input.settings
    return scraped_task(1, servers.port, {} if is_in_rule else prometheus_labels("/hostile", "hostile"))


def add_healthy_target(servers: Servers) -> None:
    servers.tasks.append(scraped_task(10_000, servers.port, prometheus_labels("/healthy", HEALTHY)))
    servers.tasks[-1].service = "healthy"
    servers.pages["/healthy"] = f"{HEALTHY} 1\n".encode()


def expect_healthy_target(run: Run, servers: Servers) -> None:
    series = list(all_series(servers, HEALTHY))
    up = [values for labels, values in series if labels.get("__name__") == "up" and labels.get("job") == HEALTHY]
    run.result.expect(up == [[1.0]], "the healthy target is not up")
    run.result.expect(any(labels.get("__name__") == HEALTHY for labels, _ in series), "the samples of the healthy target are not written")


def all_series(servers: Servers, word: str = "") -> Iterator[tuple[dict[str, str], list[float]]]:
    """Written series, of the requests that contain the word."""
    for body in servers.writes:
        if word.encode() in body or word.encode() in wire.unsnappy(body):
            yield from wire.written_series(body)


def scrape_time(run: Run) -> None:
    """CPU time of a scrape grows linearly with the size of the exposition."""

    def measure_sizes() -> Times:
        times = []
        for size in run.input.tested_sizes():
            with Servers() as servers:
                servers.tasks = [hostile_task(run, servers)]
                servers.pages["/hostile"] = run.input.make(size)
                add_healthy_target(servers)
                with run.process(servers) as process:
                    before, run.result.cpu_s = run.result.cpu_s, 0.0
                    answered = run.send(process, SCHEDULED_RUN)
                    times.append((size, run.result.cpu_s))
                    run.result.cpu_s = max(before, run.result.cpu_s)
            if not answered:
                break
            expect_healthy_target(run, servers)
        return times

    expect_linear(run.result, measure_sizes)


def scrape_growth(run: Run) -> None:
    """CPU time of a scrape grows linearly with the number of repetitions, and the peak is limited."""
    with Servers() as servers:
        servers.tasks = [hostile_task(run, servers)]
        add_healthy_target(servers)

        def serve(size: int) -> None:
            servers.pages["/hostile"] = run.input.make(size)

        expect_linear(run.result, lambda: run_times(run, servers, serve))


def stats_growth(run: Run) -> None:
    """CPU time of a stats scrape grows linearly with the number of repetitions, and the peak is limited."""
    with Servers() as servers:
        servers.tasks = [scraped_task(1, servers.port, STATS_LABELS)]
        add_healthy_target(servers)

        def serve(size: int) -> None:
            servers.pages["/task"], servers.pages["/task/stats"] = run.input.make(size)

        expect_linear(run.result, lambda: run_times(run, servers, serve))


def run_times(run: Run, servers: Servers, serve: Callable[[int], None]) -> Times:
    """Measures a scheduled run for each size. A target without malice must be up in all of them."""
    times: Times = []
    with run.process(servers) as process:
        for size in run.input.sizes[:1] + run.input.sizes:
            servers.writes.clear()
            serve(size)
            run.result.cpu_s = 0.0
            if not run.send(process, SCHEDULED_RUN):
                return times[1:]
            expect_healthy_target(run, servers)
            times.append((size, run.result.cpu_s))
        run.expect_peak()
    # The first run of a process is slower.
    return times[1:]


def scrape_memory(run: Run) -> None:
    """Many expositions of one task: the peak is limited, and a target next to them is up."""
    with Servers() as servers:
        count, page = run.input.options["expositions"], run.input.make()
        rules = "; ".join(f"service=cart port={servers.port} path=/hostile/{number}" for number in range(count))
        run.input.settings["SIDECARLESS_SCRAPE_RULES"] = rules
        servers.tasks = [scraped_task(1, servers.port, {})]
        if content_type := run.input.options.get("content_type"):
            content = page

            def page(handler: Handler) -> None:
                handler.respond(200, content, {"content-type": content_type})

        servers.pages = {f"/hostile/{number}": page for number in range(count)}
        add_healthy_target(servers)
        with run.process(servers) as process:
            if run.send(process, SCHEDULED_RUN):
                expect_healthy_target(run, servers)
            run.expect_peak()


def serve_stats(run: Run, servers: Servers) -> None:
    """Tasks with the documents of the input, each with its own id."""
    task, stats = run.input.make()
    count = run.input.options.get("tasks", 1)
    servers.tasks = [scraped_task(number, servers.port, STATS_LABELS) for number in range(1, count + 1)]
    barrier = threading.Barrier(2 * count) if run.input.options.get("at_once") else None
    for number, described in enumerate(servers.tasks, 1):
        own = task.replace(task_id(1).encode(), task_id(number).encode())
        for path, content in (("/task", own), ("/task/stats", stats)):
            servers.pages[described.address, path] = content if barrier is None else last_byte_together(content, barrier)


def last_byte_together(content: bytes, barrier: threading.Barrier) -> Callable[[Handler], None]:
    """Sends the last byte when every connection has sent everything else, or after two seconds."""

    def respond(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:-1])
        try:
            barrier.wait(2)
        except threading.BrokenBarrierError:
            pass
        handler.wfile.write(content[-1:])

    return respond


def stats_memory(run: Run) -> None:
    """Documents of a stats endpoint: the peak is limited, and a target next to it is up."""
    with Servers() as servers:
        serve_stats(run, servers)
        add_healthy_target(servers)
        with run.process(servers) as process:
            if run.send(process, SCHEDULED_RUN):
                expect_healthy_target(run, servers)
            run.expect_peak()


def scrape_load(run: Run) -> None:
    """Honest load of many tasks: the peak is limited, all targets are up, and all samples are written."""
    tasks, series = run.input.options["tasks"], run.input.options["series"]
    with Servers() as servers:
        servers.tasks = [scraped_task(number, servers.port, prometheus_labels("/metrics", "cart")) for number in range(1, tasks + 1)]
        servers.pages["/metrics"] = run.input.make()
        with run.process(servers) as process:
            if run.send(process, SCHEDULED_RUN):
                up = samples = 0
                for labels, values in all_series(servers):
                    up += labels["__name__"] == "up" and values == [1.0]
                    samples += len(values) * labels["__name__"].endswith("_bucket")
                run.result.expect(up == tasks, f"{up} of {tasks} targets are up")
                run.result.expect(samples == tasks * series, f"{samples} of {tasks * series} samples are written")
            run.expect_peak()


def scrape_slow(run: Run) -> None:
    """Slow targets do not delay healthy ones."""

    def drip(handler: Handler, servers: Servers) -> None:
        while not servers.stopped:
            handler.wfile.write(b"aaaa")
            time.sleep(0.1)

    scrape_beside(run, drip)


def scrape_stalled(run: Run) -> None:
    """Targets that send a part of a page and then nothing keep no memory that healthy ones wait for."""
    sent = b"#" * run.input.options["sent"]

    def stall(handler: Handler, servers: Servers) -> None:
        handler.wfile.write(sent)
        while not servers.stopped:
            time.sleep(0.1)

    scrape_beside(run, stall)
    run.expect_peak()


def scrape_beside(run: Run, send_slowly: Callable[[Handler, Servers], None]) -> None:
    """Scrapes healthy targets beside slow ones, which send their body with the function. All healthy ones must be up."""
    fast, slow = run.input.options["fast"], run.input.options["slow"]
    page = run.input.make()
    with Servers() as servers:
        started = threading.Barrier(slow)
        all_started = threading.Event()

        def after_slow_ones(_: Handler) -> bytes:
            """Responds when all slow targets have sent their headers, so that they are first in any queue."""
            all_started.wait(3)
            time.sleep(0.3)
            return page

        def slowly(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("content-length", "4000000")
            handler.end_headers()
            try:
                started.wait(3)
                all_started.set()
            except threading.BrokenBarrierError:
                pass
            send_slowly(handler, servers)

        servers.pages = {"/fast": after_slow_ones, "/slow": slowly}
        # Slow targets are spread among the healthy ones.
        paths = ["/slow" if number * slow // (fast + slow) != (number + 1) * slow // (fast + slow) else "/fast" for number in range(fast + slow)]
        servers.tasks = [scraped_task(number, servers.port, prometheus_labels(path, path[1:])) for number, path in enumerate(paths, 1)]
        with run.process(servers) as process:
            if run.send(process, SCHEDULED_RUN):
                expect_up(run, servers, "fast", fast)


def expect_up(run: Run, servers: Servers, job: str, count: int) -> None:
    up = sum(labels["__name__"] == "up" and labels.get("job") == job and values == [1.0] for labels, values in all_series(servers))
    run.result.expect(up == count, f"{up} of {count} targets are up")


def scrape_ec2(run: Run) -> None:
    """Large DescribeInstances responses are read completely."""
    hosts, size = run.input.options["hosts"], run.input.options["bytes"]
    item = "<item><instancesSet><item><instanceId>{}</instanceId><tagSet><item><key>k</key><value>{}</value></item></tagSet>"
    item += "<privateIpAddress>127.0.0.{}</privateIpAddress></item></instancesSet></item>"
    with Servers() as servers:
        labels = prometheus_labels("/metrics", "cart")
        servers.tasks = [scraped_task(number, servers.port, labels, host=number) for number in range(1, hosts + 1)]
        instances = {number: f"i-{number:017x}" for number in range(1, hosts + 1)}
        servers.ec2_hosts = {instance: item.format(instance, "v" * size, number).encode() for number, instance in instances.items()}
        servers.pages["/metrics"] = b"m 1\n"
        with run.process(servers) as process:
            if run.send(process, SCHEDULED_RUN):
                expect_up(run, servers, "cart", hosts)


# ---- several scheduled runs

RUNS = 4
MAX_KEPT_MB = 40
GONE = f"{HEALTHY}_gone"


def scrape_runs(run: Run) -> None:
    """Pages that change between runs: CPU time grows linearly with their size, the peak is limited, and what is kept for the next run does
    not grow with each run. A healthy target is up, and its series that end are marked."""
    expect_linear(run.result, lambda: [(size, runs_of(run, size)) for size in run.input.sizes if run.result.status not in ("died", "endless")])


def runs_of(run: Run, size: int) -> float:
    """Returns the longest CPU time of the runs after the first one, which does not know any layout."""
    times, resident = [], []
    with Servers() as servers:
        serve_runs(run, servers, size)
        add_healthy_target(servers)
        with run.process(servers) as process:
            for number in range(RUNS):
                servers.run, run.result.cpu_s = number, 0.0
                servers.writes.clear()
                gone = b"" if number % 2 else f"{GONE} 1\n".encode()
                servers.pages["/healthy"] = f"{HEALTHY} 1\n".encode() + gone
                if not run.send(process, SCHEDULED_RUN):
                    return run.result.cpu_s
                times.append(run.result.cpu_s)
                resident.append(process.resident_mb())
                expect_healthy_target(run, servers)
                ended = [values for labels, values in all_series(servers, HEALTHY) if labels.get("__name__") == GONE]
                run.result.expect(len(ended) == 1 and math.isnan(ended[0][0]) == bool(number % 2), f"series of the healthy target: {ended} in run {number}")
            run.expect_peak()
    grown = resident[-1] - resident[1]
    run.result.expect(grown <= MAX_KEPT_MB, f"{grown:.0f} MB more after the last run, limit {MAX_KEPT_MB}")
    return max(times[1:])


def serve_runs(run: Run, servers: Servers, size: int) -> None:
    """Tasks whose pages depend on the number of the run."""
    count, make = run.input.options.get("tasks", 1), run.input.make
    path = "/hostile" + "x" * (run.input.options["path_bytes"] if "path_bytes" in run.input.options else 0)
    servers.tasks = [scraped_task(number, servers.port, prometheus_labels(path, "hostile")) for number in range(1, count + 1)]

    def page(handler: Handler) -> bytes:
        parts = handler.headers["host"].split(":")[0].split(".")
        task = int(parts[2]) * 250 + int(parts[3])
        return make(size, servers.run, task).replace(b"TIME", str(int(time.time() * 1_000)).encode())

    servers.pages[path] = page


# ---- identity


def identity_stats(run: Run) -> None:
    """Labels of a task have the values that ECS reports, or are missing."""
    false = {"other", "victim", "999999999999", "us-east-1"}
    with Servers() as servers:
        serve_stats(run, servers)
        with run.process(servers) as process:
            run.send(process, SCHEDULED_RUN)
        written = [label for labels, _ in all_series(servers) for label in labels.items()]
        wrong = {f"{name}={value}" for name, value in written if value in false or "task/other" in value}
        run.result.expect(not wrong, f"labels of the document: {', '.join(sorted(wrong))}")


def victim_labels(run: Run) -> dict[str, str]:
    """Labels that the last of the requests writes for the victim."""
    with Servers() as servers, run.process(servers) as process:
        for event in run.input.make():
            servers.writes.clear()
            run.send(process, event)
        series = [labels for labels, _ in all_series(servers) if labels.get("__name__") == "m"]
    names = ("aws_ecs_service_name", "aws_ecs_task_family")
    return {name: value for labels in series for name, value in labels.items() if name in names}


def identity_kept(run: Run) -> None:
    """A false claim of one sender does not remove the labels of later requests of the task."""
    labels = victim_labels(run)
    expected = {"aws_ecs_service_name": "victim", "aws_ecs_task_family": "victim"}
    run.result.expect(labels == expected, f"labels of task {VICTIM[:4]}...: {labels}")


def identity_withheld(run: Run) -> None:
    """A signed caller that is not the task does not get its labels."""
    labels = victim_labels(run)
    run.result.expect("victim" not in labels.values(), f"labels of the victim: {labels}")


# ---- logs


def expect_log(run: Run, process: Process, before: int, response: bytes) -> None:
    written = process.log_bytes() - before
    run.result.expect(written <= MAX_LOG_BYTES, f"{written} bytes of log, limit {MAX_LOG_BYTES}")
    run.result.expect(len(response) <= MAX_RESPONSE_BYTES, f"response of {len(response)} bytes, limit {MAX_RESPONSE_BYTES}")


def log_push(run: Run) -> None:
    """Log and response of a request have a limit."""
    with Servers() as servers, run.process(servers) as process:
        servers.cluster_not_found = run.input.options.get("cluster_not_found", False)
        before = process.log_bytes()
        expect_log(run, process, before, run.send(process, run.input.make()))


def log_stats(run: Run) -> None:
    """Log and response of a scheduled run have a limit."""
    with Servers() as servers:
        serve_stats(run, servers)
        with run.process(servers) as process:
            before = process.log_bytes()
            expect_log(run, process, before, run.send(process, SCHEDULED_RUN))


# ---- settings


def start(run: Run) -> None:
    """The function starts, or ends with an error that names the settings. CPU time, memory and log are limited."""
    with Servers() as servers:
        variables = dict(run.input.make())
        servers.parameter = variables.pop("parameter", None)
        process = run.process(servers)
        process.environment |= {name: value.replace("{port}", str(servers.port)) for name, value in variables.items()}
        is_started = process.start(run.memory_mb * MAX_PEAK_SHARE)
        run.result.status, run.result.cpu_s = "started" if is_started else f"exit {process.process.returncode}", process.start_cpu_s
        run.result.expect(run.result.cpu_s <= MAX_CPU_ONCE_S, f"{run.result.cpu_s:.1f} s of CPU time, limit {MAX_CPU_ONCE_S}")
        expect_log(run, process, 0, b"")
        log, errors = process.log_path.read_text(errors="replace"), run.input.options["errors"]
        if is_started:
            run.result.peak_mb = process.peak_mb()
            run.result.expect(not errors, "it starts with an invalid setting")
            run.send(process, SCHEDULED_RUN)
            run.expect_next_push(process)
        else:
            run.result.expect(process.process.returncode == 1, f"the process died: {log[-300:]}")
            run.result.expect(errors is None or bool(errors), f"it does not start: {log[-300:]}")
            missing = [error for error in errors or () if error not in log]
            run.result.expect(not missing, f"the log does not contain {missing}: {log[-300:]}")
        process.__exit__()


CHECKS: dict[str, Callable[[Run], None]] = {
    check.__name__: check
    for check in (
        push_time, push_growth, push_once, push_honest, push_memory, push_stats, push_cached, spool_memory, scrape_time, scrape_growth, stats_growth, scrape_memory, stats_memory, scrape_load,
        scrape_slow, scrape_stalled, scrape_ec2, scrape_runs, identity_stats, identity_kept, identity_withheld, log_push, log_stats, start,
    )
}


def measure(entry: Input, memory_mb: int, binary: Path, folder: Path) -> Result:
    run = Run(entry, binary, folder, memory_mb)
    CHECKS[entry.kind](run)
    return run.result
