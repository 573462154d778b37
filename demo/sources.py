"""Tasks for each source and network mode that the shop tasks do not use, and one without a source."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterable
from typing import Any

from . import ecs
from .peers import ACCOUNT, REGION, ROOT, ExpectationFailed, Peers, get

# Container port of the task with bridge networking, for which Docker assigns a host port.
CONTAINER_PORT = 9000
# Its tasks are as they were before the function was deployed: no Docker label, no SDK, and Container Insights is off.
UNTOUCHED_CLUSTER = "back-office"
LOG_GROUP = f"/aws/ecs/containerinsights/{ecs.CLUSTER}/performance"
LOG_STREAM = "FargateTelemetry-1"
# Default of SIDECARLESS_INSIGHTS_DELAY.
INSIGHTS_DELAY_SECONDS = 180
PUSH_LABEL = {"sidecarless.stats": "push"}
# The function ignores a push within five seconds of the previous one.
PUSH_SECONDS = 6


class Sources:
    """The additional tasks: Container Insights, EC2 with bridge networking, out of memory, Prometheus endpoint, pushes by a health
    check and by the helper for Python, and untouched."""

    def __init__(self, moto: str) -> None:
        self.moto = moto
        self.mailer = ecs.new_task("mailer", "127.0.1.11", source="insights")
        self.search = ecs.new_task("search", "127.0.2.1", launch_type="EC2")
        self.importer = ecs.new_task("importer", "127.0.1.12")
        self.reviews = ecs.new_task("reviews", "127.0.1.13", source="prometheus")
        self.orders = ecs.new_task("orders", "127.0.1.16", source="push")
        self.payments = ecs.new_task("payments", "127.0.1.17", source="push")
        self.invoices = ecs.new_task("invoices", "127.0.1.15", source="none")
        self.invoices.cluster = UNTOUCHED_CLUSTER
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._variables: dict[str, dict[str, str]] = {}
        self._windows: set[int] = set()

    @property
    def tasks(self) -> list[ecs.Task]:
        """The tasks with a process."""
        return [self.mailer, self.search, self.importer, self.reviews, self.orders, self.payments]

    def run_tasks(self) -> None:
        """Runs the tasks in the cluster of the shop, and the untouched one in a cluster of its own."""
        ecs.create_cluster(self.moto, UNTOUCHED_CLUSTER, insights=False)
        ecs.run_task(self.moto, self.invoices, {})
        measure(self.moto, self.invoices)
        ecs.run_task(self.moto, self.mailer, {})
        run_on_instance(self.moto, self.search)
        ecs.run_task(self.moto, self.importer, ecs.stats_labels(self.importer.stats_port), {"demo-out-of-memory": "yes"})
        ecs.run_task(self.moto, self.reviews, {
            "prometheus.io/scrape": "true", "prometheus.io/port": str(self.reviews.stats_port), "prometheus.io/path": "/metrics",
        })
        check = {"command": ["CMD-SHELL", health_check_line()], "interval": 60, "timeout": 15, "retries": 10}
        ecs.run_task(self.moto, self.orders, PUSH_LABEL, container={"healthCheck": check})
        ecs.run_task(self.moto, self.payments, PUSH_LABEL)
        logs = ecs.client("logs", self.moto)
        logs.create_log_group(logGroupName=LOG_GROUP)
        logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=LOG_STREAM)

    def start_processes(self, peers: Peers, endpoint: str, token: str) -> None:
        for task in self.tasks:
            self._variables[task.service] = push_variables(task, endpoint, token) if task.source == "push" else {}
            helper = {"DEMO_PUSH_SECONDS": str(PUSH_SECONDS)} if task is self.payments else {}
            variables = self._variables[task.service] | helper
            self._processes[task.service] = ecs.start_process(peers, task, endpoint, token, variables=variables)

    def visit(self) -> None:
        """Sends a request to each running task."""
        for task in self.tasks:
            if self._processes[task.service].poll() is None:
                urllib.request.urlopen(task.url, timeout=30).close()

    def check_health(self) -> None:
        """Runs the health check of the task definition of `orders`, as the agent does: in the container, with its environment."""
        described = ecs.client("ecs", self.moto).describe_task_definition(taskDefinition=self.orders.service)
        kind, line = described["taskDefinition"]["containerDefinitions"][0]["healthCheck"]["command"]
        variables = {"PATH": os.environ["PATH"], **self._variables[self.orders.service]}
        done = subprocess.run(["/bin/sh", "-c", line], env=variables, capture_output=True, text=True, timeout=60, check=False)
        if (kind, done.returncode, done.stdout + done.stderr) != ("CMD-SHELL", 0, ""):
            raise ExpectationFailed(f"the health check of orders is healthy, without output: {done}")

    def log_events(self, run_at: int) -> None:
        """Writes Container Insights events into the one-minute window that a scheduled run at this time reads."""
        window = run_at // 60 * 60 - INSIGHTS_DELAY_SECONDS
        if window in self._windows:
            return
        self._windows.add(window)
        messages = [json.dumps(event) for event in insights_events(self.mailer, window * 1000)]
        ecs.client("logs", self.moto).put_log_events(
            logGroupName=LOG_GROUP, logStreamName=LOG_STREAM,
            logEvents=[{"timestamp": window * 1000, "message": message} for message in messages],
        )

    def run_out_of_memory(self) -> float:
        """Kills the importer as the kernel does, and reports the stop to ECS. Returns the time of the stop."""
        process = self._processes[self.importer.service]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ecs.client("ecs", self.moto).stop_task(cluster=ecs.CLUSTER, task=self.importer.arn)
        return time.time()


def health_check_line() -> str:
    """Returns the line for images with curl, or for images with wget if this machine has no curl."""
    name = "curl" if shutil.which("curl") else "gnu-wget"
    return (ROOT / "helpers" / "health-check" / f"{name}.sh").read_text().strip()


def push_variables(task: ecs.Task, endpoint: str, token: str) -> dict[str, str]:
    """Returns the variable that ECS sets in each container, and the two of the task definition."""
    metadata = f"http://{task.address}:{task.stats_port}/v4"
    return {"ECS_CONTAINER_METADATA_URI_V4": metadata, "SIDECARLESS_URL": endpoint, "SIDECARLESS_TOKEN": token}


def measure(moto: str, task: ecs.Task) -> None:
    """Writes the usage of a service to CloudWatch, as ECS does every minute for every service."""
    dimensions = [{"Name": "ClusterName", "Value": task.cluster}, {"Name": "ServiceName", "Value": f"{task.service}-svc"}]
    this_minute = int(time.time()) // 60 * 60
    ecs.client("cloudwatch", moto).put_metric_data(Namespace="AWS/ECS", MetricData=[
        {"MetricName": name, "Dimensions": dimensions, "Timestamp": this_minute - 60 * minute, "Value": value + minute % 3, "Unit": "Percent"}
        for name, value in [("CPUUtilization", 37.0), ("MemoryUtilization", 61.0)] for minute in range(15)
    ])


def run_on_instance(moto: str, task: ecs.Task) -> None:
    """Runs a task with bridge networking: it has the address of its host, and a host port that Docker assigns."""
    ec2 = ecs.client("ec2", moto)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, PrivateIpAddress=task.address)["Instances"][0]
    document = {"instanceId": instance["InstanceId"], "region": REGION, "accountId": ACCOUNT}
    ecs.client("ecs", moto).register_container_instance(cluster=ecs.CLUSTER, instanceIdentityDocument=json.dumps(document))
    ports = [{"containerPort": CONTAINER_PORT, "hostPort": 0, "protocol": "tcp"}]
    ecs.register_task_definition(moto, task, "bridge", ecs.stats_labels(CONTAINER_PORT), ports)
    ecs.start_task(moto, task, {"demo-host-port": str(task.stats_port)})


def insights_events(task: ecs.Task, at_ms: int) -> Iterable[dict[str, Any]]:
    """Returns the events that Container Insights logs each minute for a task and its container."""
    (stats,) = json.loads(get(f"http://{task.address}:{task.stats_port}/v4/task/stats")).values()
    used = stats["cpu_stats"]["cpu_usage"]["total_usage"] - stats["precpu_stats"]["cpu_usage"]["total_usage"]
    rates, network = stats["network_rate_stats"], stats["networks"]["eth1"]
    usage = {
        # The process samples itself every second.
        "CpuUtilized": used / 1e9 * 1024, "CpuReserved": 256.0,
        "MemoryUtilized": stats["memory_stats"]["usage"] >> 20, "MemoryReserved": 512,
        "StorageReadBytes": 0, "StorageWriteBytes": 0,
        "NetworkRxBytes": round(rates["rx_bytes_per_sec"]), "NetworkRxDropped": 0, "NetworkRxErrors": 0,
        "NetworkRxPackets": network["rx_bytes"] // 1500,
        "NetworkTxBytes": round(rates["tx_bytes_per_sec"]), "NetworkTxDropped": 0, "NetworkTxErrors": 0,
        "NetworkTxPackets": network["tx_bytes"] // 1500,
    }
    identity = {
        "Version": "0", "TaskId": task.id, "TaskDefinitionFamily": task.service, "TaskDefinitionRevision": "1",
        "ServiceName": f"{task.service}-svc", "ClusterName": ecs.CLUSTER, "Timestamp": at_ms,
    }
    yield {
        **identity, "Type": "Task", "AccountID": ACCOUNT, "Region": REGION, "AvailabilityZone": f"{REGION}a",
        "KnownStatus": "RUNNING", "LaunchType": "FARGATE", "PullStartedAt": at_ms, "PullStoppedAt": at_ms,
        "CreatedAt": at_ms, "StartedAt": at_ms, **usage, "EphemeralStorageUtilized": 0.33, "EphemeralStorageReserved": 21.47,
        "CloudWatchMetrics": [],
    }
    yield {
        **identity, "Type": "Container", "ContainerName": task.service, "Image": f"shop/{task.service}:1.0",
        "ContainerKnownStatus": "RUNNING", **usage,
    }
