"""CPU time and memory of scheduled runs that scrape Prometheus targets on loopback.

The pages are those of client libraries: histograms, counters and gauges with three to six labels. Their values change from
scrape to scrape, their series do not. All targets are on one port and have addresses of their own in 127.0.0.0/8.
"""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from .aws import ARN, Connection, Loopback
from .function import Function

# The event of EventBridge, which all versions of the function know.
TICK = json.dumps({"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": {}}).encode()
# Runs before the measurement. The first one finds the targets and has no previous scrape.
WARM_UP = 2
ROUNDS = 5
# Pages of one run. Targets of one service differ in their values only.
PAGES = 8
# Tasks of one call (DescribeTasks).
PAGE_TASKS = 100
DEFINITION_ARN = f"{ARN}task-definition/checkout:42"
LABELS = {"ECS_PROMETHEUS_JOB_NAME": "checkout", "ECS_PROMETHEUS_METRICS_PATH": "/metrics"}
SETTINGS = {
    "SIDECARLESS_CLUSTERS": "shop", "SIDECARLESS_SOURCES": "prometheus", "SIDECARLESS_STOPPED_TASKS": "off",
    "SIDECARLESS_STATE_METRICS": "none", "SIDECARLESS_CLOUDWATCH_INTERVAL": "off", "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8",
    "SIDECARLESS_SELF_METRICS": "off",
    # The name of SIDECARLESS_SCRAPE_CIDRS in versions before 2026-11-28.
    "SIDECARLESS_SCRAPE_RANGES": "127.0.0.0/8",
}
BUCKETS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")


class Targets(Loopback):
    """ECS with one service of many tasks, each of which serves a page."""

    tasks: list[dict[str, Any]]
    pages: list[list[bytes]]
    # Runs so far.
    tick: int = 0
    scraped: int = 0

    @classmethod
    async def serve(cls, targets: int, samples: int) -> "Targets":
        loopback = cls()
        server = await asyncio.get_running_loop().create_server(lambda: TargetConnection(loopback), "0.0.0.0", 0, backlog=1024)
        loopback.port = server.sockets[0].getsockname()[1]
        loopback.reset_sinks()
        loopback.tasks = [task(number) for number in range(targets)]
        numbers = random.Random(7)
        loopback.pages = [[page(samples, numbers) for _ in range(PAGES)] for _ in range(2)]
        return loopback

    async def run(self) -> None:
        """Lets the function scrape all targets once."""
        self.tick += 1
        self.scraped = 0
        reply = json.loads(await self.invoke(TICK))
        assert reply.get("targets_up") == len(self.tasks) == self.scraped, f"targets not scraped: {reply}"

    def page(self, number: int) -> bytes:
        self.scraped += 1
        return self.pages[self.tick % 2][number % PAGES]

    def ecs(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation == "ListTasks":
            first = int(body.get("nextToken") or 0)
            arns = [task["taskArn"] for task in self.tasks] if body.get("desiredStatus") != "STOPPED" else []
            more = {"nextToken": str(first + PAGE_TASKS)} if first + PAGE_TASKS < len(arns) else {}
            return {"taskArns": arns[first : first + PAGE_TASKS], **more}
        if operation == "DescribeTasks":
            wanted = {arn.rpartition("/")[2] for arn in body["tasks"]}
            return {"tasks": [task for task in self.tasks if task["taskArn"].rpartition("/")[2] in wanted], "failures": []}
        if operation == "DescribeTaskDefinition":
            labels = LABELS | {"ECS_PROMETHEUS_EXPORTER_PORT": str(self.port)}
            container = {"name": "app", "dockerLabels": labels}
            return {"taskDefinition": {
                "taskDefinitionArn": DEFINITION_ARN, "family": "checkout", "revision": 42, "networkMode": "awsvpc",
                "containerDefinitions": [container],
            }}
        empty = {"ListClusters": "clusterArns", "ListServices": "serviceArns", "ListContainerInstances": "containerInstanceArns"}
        return {empty[operation]: []} if operation in empty else {"clusters": [], "services": [], "failures": []}


class TargetConnection(Connection):
    """Adds the pages of targets."""

    loopback: Targets

    def handle_request(self, body: bytes) -> None:
        if self.path == b"/metrics":
            address = self.transport.get_extra_info("sockname")[0].split(".")
            content = self.loopback.page(int(address[2]) * 256 + int(address[3]))
            self.respond(200, content, b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n")
        elif self.operation:
            response = self.loopback.ecs(self.operation.decode(), json.loads(body))
            self.respond(200, json.dumps(response).encode(), b"content-type: application/x-amz-json-1.1\r\n")
        else:
            super().handle_request(body)


def task(number: int) -> dict[str, Any]:
    host, last = divmod(number, 256)
    return {
        "taskArn": f"{ARN}task/shop/{number:032x}", "clusterArn": f"{ARN}cluster/shop", "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING", "taskDefinitionArn": DEFINITION_ARN, "group": "service:checkout", "launchType": "FARGATE",
        "availabilityZone": "eu-west-1b", "version": 3,
        "attachments": [{
            "type": "ElasticNetworkInterface", "details": [{"name": "privateIPv4Address", "value": f"127.1.{host}.{last}"}],
        }],
        "containers": [{"name": "app", "lastStatus": "RUNNING", "runtimeId": f"{number:032x}-0527074092"}],
    }


def page(samples: int, numbers: random.Random) -> bytes:
    """Returns a page in text format 0.0.4 with this number of samples."""
    lines: list[str] = []
    left, family = samples, 0
    while left > 0:
        kind = ("histogram", "counter", "gauge")[family % 3]
        name = (f"http_server_{family}_request_duration_seconds", f"shop_{family}_orders_processed_total", f"db_{family}_pool_size")[family % 3]
        lines += [f"# HELP {name} What the library says about number {family}.", f"# TYPE {name} {kind}"]
        of_family = {"histogram": histogram, "counter": counters, "gauge": gauges}[kind](name, numbers)[:left]
        lines += of_family
        left -= len(of_family)
        family += 1
    return ("\n".join(lines) + "\n").encode()


def histogram(name: str, numbers: random.Random) -> list[str]:
    lines = []
    for route in ("/orders", "/orders/{id}", "/orders/{id}/items"):
        labels = f'method="POST",route="{route}",status="200",version="2.7.1"'
        count = 0
        for bound in BUCKETS:
            count += numbers.randrange(5_000)
            lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {count}')
        lines += [f"{name}_sum{{{labels}}} {numbers.random() * 9_000!r}", f"{name}_count{{{labels}}} {count}"]
    return lines


def counters(name: str, numbers: random.Random) -> list[str]:
    return [
        f'{name}{{queue="queue-{number}",currency="EUR",outcome="accepted"}} {numbers.randrange(1 << 33)}' for number in range(20)
    ]


def gauges(name: str, numbers: random.Random) -> list[str]:
    return [
        f'{name}{{pool="orders-{number}",state="idle",database="orders",host="db-1.shop.internal",role="replica",zone="eu-west-1b"}} '
        f"{numbers.random() * 100!r}"
        for number in range(10)
    ]


def scraping(binary: Path, loopback: Targets, variables: dict[str, str] | None) -> Function:
    """Returns the function with the settings that its version has: an unknown one is an error."""
    function, code = Function(binary, loopback, variables=variables), binary.read_bytes()
    function.environment |= {name: value for name, value in SETTINGS.items() if name.encode() in code}
    return function


async def scrape_cpu_us_per_sample(
    binary: Path, targets: int = 100, samples: int = 500, variables: dict[str, str] | None = None
) -> float:
    """Returns the CPU time of the process per scraped sample in microseconds, from the third scrape on: the lowest of several runs.
    `variables` are those that the template of the version sets."""
    loopback = await Targets.serve(targets, samples)
    with scraping(binary, loopback, variables) as function:
        await loopback.ready()
        for _ in range(WARM_UP):
            await loopback.run()
        costs = []
        for _ in range(ROUNDS):
            before = function.cpu_ns()
            await loopback.run()
            costs.append(function.cpu_ns() - before)
    return min(costs) / 1000 / (targets * samples)


async def scrape_peak_mb(
    binary: Path, targets: int = 100, samples: int = 500, variables: dict[str, str] | None = None
) -> float:
    """Returns the peak memory after three runs, in MB of 10^6 bytes."""
    loopback = await Targets.serve(targets, samples)
    with scraping(binary, loopback, variables) as function:
        await loopback.ready()
        for _ in range(3):
            await loopback.run()
        return function.memory_mb("VmHWM")
