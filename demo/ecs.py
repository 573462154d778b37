"""Tasks of the sample shop in ECS (moto), and the processes that act as their containers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import boto3

from .peers import CREDENTIALS, REGION, ROOT, ExpectationFailed, Peers, free_port, get, wait_for

CLUSTER = "shop"
SERVICES = ["storefront", "cart", "pricing"]


@dataclass
class Task:
    """An ECS task, and the addresses on which its process listens."""

    service: str
    address: str
    port: int
    stats_port: int
    arn: str = field(default="")
    # Source of the task metrics: `push`, `endpoint`, `insights` or `prometheus`; `none` if it has none.
    source: str = field(default="endpoint")
    launch_type: str = field(default="FARGATE")
    cluster: str = field(default=CLUSTER)

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}/"


def client(service: str, moto: str) -> Any:
    return boto3.client(
        service, endpoint_url=moto, region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def run_tasks(moto: str) -> list[Task]:
    """Runs one Fargate task of each shop service. Docker labels declare their stats endpoints."""
    create_cluster(moto, CLUSTER, insights=True)
    tasks = [new_task(service, f"127.0.1.{number}") for number, service in enumerate(SERVICES, start=1)]
    for task in tasks:
        run_task(moto, task, stats_labels(task.stats_port))
    return tasks


def create_cluster(moto: str, name: str, insights: bool) -> None:
    settings = [{"name": "containerInsights", "value": "enabled" if insights else "disabled"}]
    client("ecs", moto).create_cluster(clusterName=name, settings=settings)


def new_task(service: str, address: str, source: str = "endpoint", launch_type: str = "FARGATE") -> Task:
    return Task(service, address, free_port(address), free_port(address), "", source, launch_type)


def stats_labels(port: int) -> dict[str, str]:
    return {"sidecarless.stats.port": str(port), "sidecarless.stats.path": "/v4"}


def run_task(
    moto: str, task: Task, labels: dict[str, str], tags: dict[str, str] | None = None, container: dict[str, Any] | None = None
) -> None:
    """Registers a Fargate task definition with these Docker labels and members of the container, and runs one task of it."""
    ports = [{"containerPort": port, "hostPort": port, "protocol": "tcp"} for port in (task.port, task.stats_port)]
    register_task_definition(moto, task, "awsvpc", labels, ports, container)
    start_task(moto, task, {"demo-address": task.address, **(tags or {})}, networkConfiguration=network_configuration(moto))


def network_configuration(moto: str) -> dict[str, Any]:
    """Returns the network of a task with `awsvpc` networking."""
    ec2 = client("ec2", moto)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    return {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "DISABLED"}}


def register_task_definition(
    moto: str, task: Task, network_mode: str, labels: dict[str, str], ports: list[dict[str, Any]],
    container: dict[str, Any] | None = None,
) -> None:
    client("ecs", moto).register_task_definition(
        family=task.service, networkMode=network_mode, requiresCompatibilities=[task.launch_type], cpu="256", memory="512",
        containerDefinitions=[{
            "name": task.service, "image": f"shop/{task.service}:1.0", "cpu": 256, "memory": 512, "essential": True,
            "dockerLabels": labels, "portMappings": ports, **(container or {}),
        }],
    )


def start_task(moto: str, task: Task, tags: dict[str, str], **network: Any) -> None:
    """Creates a service for a task, and runs the task as the service scheduler would."""
    ecs, name = client("ecs", moto), f"{task.service}-svc"
    service = ecs.create_service(
        cluster=task.cluster, serviceName=name, taskDefinition=task.service, desiredCount=1, launchType=task.launch_type,
    )["service"]
    started = ecs.run_task(
        cluster=task.cluster, taskDefinition=task.service, launchType=task.launch_type, group=f"service:{name}",
        startedBy=service["deployments"][0]["id"], tags=[{"key": key, "value": value} for key, value in tags.items()], **network,
    )
    task.arn = started["tasks"][0]["taskArn"]


def start_processes(peers: Peers, tasks: list[Task], endpoint: str, token: str) -> None:
    """Starts the process of each task. Starts with the last service, because each service calls the next one."""
    next_url = ""
    for task in reversed(tasks):
        start_process(peers, task, endpoint, token, next_url)
        next_url = task.url


def start_process(
    peers: Peers, task: Task, endpoint: str, token: str, next_url: str = "", variables: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    attributes = {
        "service.instance.id": task.id, "cloud.provider": "aws", "cloud.platform": "aws_ecs", "cloud.region": REGION,
        "aws.ecs.cluster.arn": task.arn.rsplit(":task/", 1)[0] + f":cluster/{CLUSTER}", "aws.ecs.task.arn": task.arn,
        "aws.ecs.task.family": task.service, "aws.ecs.launchtype": task.launch_type.lower(),
    }
    return peers.start(
        task.service,
        [sys.executable, str(ROOT / "demo" / "shop.py"), task.address, str(task.port), str(task.stats_port), task.arn]
        + ([next_url] if next_url else []),
        {
            "OTEL_SERVICE_NAME": task.service,
            "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in attributes.items()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{token}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            "PYTHONPATH": str(ROOT),
            **(variables or {}),
        },
    )


def wait_for_processes(tasks: list[Task]) -> None:
    for task in tasks:
        wait_for(f"the stats endpoint of {task.service}", lambda: get(f"http://{task.address}:{task.stats_port}/v4/task"))


def trace_documents(moto: str, trace_id: str) -> list[dict[str, Any]]:
    """Returns the segment documents of a trace (W3C trace id) from BatchGetTraces."""
    xray = client("xray", moto)
    response = xray.batch_get_traces(TraceIds=[f"1-{trace_id[:8]}-{trace_id[8:]}"])
    return [json.loads(segment["Document"]) for trace in response["Traces"] for segment in trace["Segments"]]


def buy(storefront: Task) -> str:
    """Sends one request through all services. Returns its trace id."""
    import urllib.request

    with urllib.request.urlopen(storefront.url, timeout=30) as response:
        trace_id = response.headers["x-trace-id"]
        body = json.loads(response.read())
    if body["upstream"]["upstream"]["service"] != SERVICES[-1]:
        raise ExpectationFailed(f"a request that passes all services: {body}")
    return str(trace_id)
