"""The moto server with additions that make its ECS tasks match real ones.

Tasks in moto 5.2 have ids with dashes, a random address, one container, no bound ports, no times, sizes and health, and no stop
reason. Clusters and services do not count their tasks. moto also has no sampling rules in X-Ray: this server returns the default rule that every
account has. Tags control the tasks of the demo:

- `demo-address`: address of the network interface
- `demo-host-port`: host port to which the first port mapping of each container is bound
- `demo-out-of-memory`: StopTask reports containers that the kernel has already killed
- `demo-health`: health status of the task and its containers, instead of HEALTHY
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from typing import Any

import moto.ecs.models as ecs
import moto.xray.urls as xray
from moto.server import main

_container_init = ecs.Container.__init__
_task_init = ecs.Task.__init__
_stop_task = ecs.EC2ContainerServiceBackend.stop_task
_describe_clusters = ecs.EC2ContainerServiceBackend.describe_clusters
_describe_services = ecs.EC2ContainerServiceBackend.describe_services


def tag(task: Any, name: str) -> str | None:
    return next((entry["value"] for entry in task.tags if entry["key"] == name), None)


def complete_container(container: Any, task: Any, definition: dict[str, Any], number: int) -> None:
    prefix = task.task_arn.rsplit(":task/", 1)[0]
    container.name = definition["name"]
    container.image = definition["image"]
    container.taskArn = container.task_arn = task.task_arn
    container.containerArn = container.container_arn = f"{prefix}:container/{task.cluster_name}/{task.id}/{number}"
    container.lastStatus = container.last_status = "RUNNING"
    container.runtimeId = container.runtime_id = f"{task.id}-{3_071_244_590 + number}"
    container.exitCode = container.exit_code = None
    container.cpu, container.memory = str(definition.get("cpu", 0)), str(definition.get("memory", 0))
    container.health_status = task.health_status
    host_port, mappings = tag(task, "demo-host-port"), definition.get("portMappings", [])
    container.network_bindings = [
        {"bindIP": "0.0.0.0", "containerPort": mapping["containerPort"], "hostPort": int(host_port), "protocol": "tcp"}
        for mapping in mappings[:1] if host_port
    ]


def task_init(task: Any, *arguments: Any, **keywords: Any) -> None:
    _task_init(task, *arguments, **keywords)
    definition = keywords.get("task_definition") or arguments[1]
    task.id = uuid.uuid4().hex
    task.cpu, task.memory = definition.cpu, definition.memory
    task.availability_zone = f"{task.region_name}a"
    task.health_status, task.connectivity = tag(task, "demo-health") or "HEALTHY", "CONNECTED"
    task.platform_version = "1.4.0" if task.launch_type == "FARGATE" else None
    task.created_at = task.started_at = task.pull_started_at = task.pull_stopped_at = time.time()
    task.version = 3
    task.containers = [ecs.Container(definition) for _ in definition.container_definitions]
    for number, (container, defined) in enumerate(zip(task.containers, definition.container_definitions)):
        complete_container(container, task, defined, number)
    address = tag(task, "demo-address")
    for attachment in task.attachments:
        for detail in attachment["details"]:
            if address and detail["name"] == "privateIPv4Address":
                detail["value"] = address


def stop_task(backend: Any, *arguments: Any, **keywords: Any) -> Any:
    task = _stop_task(backend, *arguments, **keywords)
    task.stopping_at = task.stopped_at = task.execution_stopped_at = time.time()
    task.version += 1
    task.stop_code = "UserInitiated"
    for container in task.containers:
        container.lastStatus = container.last_status = "STOPPED"
        container.exitCode = container.exit_code = 143
    if tag(task, "demo-out-of-memory"):
        set_out_of_memory(task)
    return task


def running(backend: Any, cluster: str) -> list[Any]:
    return [task for task in backend.tasks[cluster].values() if task.desired_status == "RUNNING"]


def describe_clusters(backend: Any, names: list[str]) -> Any:
    clusters, failures = _describe_clusters(backend, names)
    for cluster in clusters:
        services = [service for service in backend.services.values() if service.cluster_name == cluster.name]
        cluster.active_services_count, cluster.running_tasks_count = len(services), len(running(backend, cluster.name))
        cluster.pending_tasks_count = 0
    return clusters, failures


def describe_services(backend: Any, cluster: str, names: list[str]) -> Any:
    """Counts the tasks of each service. A service without enough tasks has a deployment whose tasks fail."""
    services, failures = _describe_services(backend, cluster, names)
    for service in services:
        count = sum(task.group == f"service:{service.name}" for task in running(backend, service.cluster_name))
        service.running_count, service.pending_count = count, max(service.desired_count - count, 0)
        service.deployments[0] |= {
            "runningCount": count, "pendingCount": service.pending_count, "failedTasks": service.pending_count,
            "rolloutState": "IN_PROGRESS" if service.pending_count else "COMPLETED",
        }
    return services, failures


def set_out_of_memory(task: Any) -> None:
    """Sets the fields that ECS reports for a task whose essential container was killed by the kernel."""
    task.stop_code, task.stopped_reason = "EssentialContainerExited", "Essential container in task exited"
    for container in task.containers:
        container.exitCode = container.exit_code = 137
        container.reason = "OutOfMemoryError: Container killed due to memory usage"


def sampling_rules(*_: Any) -> tuple[int, dict[str, str], str]:
    anything = {name: "*" for name in ("Host", "HTTPMethod", "ResourceARN", "ServiceName", "ServiceType", "URLPath")}
    rule = {"RuleName": "Default", "Priority": 10000, "FixedRate": 0.05, "ReservoirSize": 1, "Version": 1, **anything}
    return 200, {}, json.dumps({"SamplingRuleRecords": [{"SamplingRule": rule}]})


def sampling_targets(*_: Any) -> tuple[int, dict[str, str], str]:
    return 200, {}, json.dumps({"SamplingTargetDocuments": [], "UnprocessedStatistics": []})


xray.url_paths["{0}/GetSamplingRules$"] = sampling_rules
xray.url_paths["{0}/SamplingTargets$"] = sampling_targets
ecs.Task.__init__ = task_init
ecs.EC2ContainerServiceBackend.stop_task = stop_task
ecs.EC2ContainerServiceBackend.describe_clusters = describe_clusters
ecs.EC2ContainerServiceBackend.describe_services = describe_services

if __name__ == "__main__":
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
