"""The shop's tasks in ECS (moto), and the processes that stand for them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

import boto3

from .peers import CREDENTIALS, REGION, ROOT, Missing, Peers, free_port, get, wait_for

CLUSTER = "shop"
SERVICES = ["storefront", "cart", "pricing"]


@dataclass
class Task:
    """A task as ECS knows it, and where its process listens."""

    service: str
    address: str
    port: int
    stats_port: int
    arn: str = field(default="")

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
    """Registers a task definition per service and runs a Fargate task of each."""
    ecs, ec2 = client("ecs", moto), client("ec2", moto)
    ecs.create_cluster(clusterName=CLUSTER)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "DISABLED"}}
    tasks = []
    for number, service in enumerate(SERVICES, start=1):
        address = f"127.0.1.{number}"
        task = Task(service, address, free_port(address), free_port(address))
        ecs.register_task_definition(
            family=service, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[{
                "name": service, "image": f"shop/{service}:1.0", "cpu": 256, "memory": 512, "essential": True,
                "dockerLabels": {"sidecarless.stats.port": str(task.stats_port), "sidecarless.stats.path": "/v4"},
                "portMappings": [{"containerPort": task.port, "hostPort": task.port, "protocol": "tcp"}],
            }],
        )
        started = ecs.run_task(
            cluster=CLUSTER, taskDefinition=service, launchType="FARGATE", networkConfiguration=network,
            group=f"service:{service}-svc", tags=[{"key": "demo-address", "value": address}],
        )
        task.arn = started["tasks"][0]["taskArn"]
        tasks.append(task)
    return tasks


def start_processes(peers: Peers, tasks: list[Task], endpoint: str, token: str) -> None:
    """Starts the process of each task, the last of the chain first."""
    below = ""
    for task in reversed(tasks):
        attributes = {
            "service.instance.id": task.id, "cloud.provider": "aws", "cloud.platform": "aws_ecs", "cloud.region": REGION,
            "aws.ecs.cluster.arn": task.arn.rsplit(":task/", 1)[0] + f":cluster/{CLUSTER}", "aws.ecs.task.arn": task.arn,
            "aws.ecs.task.family": task.service, "aws.ecs.launchtype": "fargate",
        }
        peers.start(
            task.service,
            [sys.executable, str(ROOT / "demo" / "shop.py"), task.address, str(task.port), str(task.stats_port), task.arn]
            + ([below] if below else []),
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
            },
        )
        below = task.url
    for task in tasks:
        wait_for(f"{task.service} serves", lambda: get(f"http://{task.address}:{task.stats_port}/v4/task"))


def trace_documents(moto: str, trace_id: str) -> list[dict[str, Any]]:
    """The segment documents of a W3C trace id, as BatchGetTraces gives them back."""
    xray = client("xray", moto)
    answer = xray.batch_get_traces(TraceIds=[f"1-{trace_id[:8]}-{trace_id[8:]}"])
    return [json.loads(segment["Document"]) for trace in answer["Traces"] for segment in trace["Segments"]]


def buy(storefront: Task) -> str:
    """One request through the whole shop; returns its trace id."""
    import urllib.request

    with urllib.request.urlopen(storefront.url, timeout=30) as answer:
        trace_id = answer.headers["x-trace-id"]
        body = json.loads(answer.read())
    if body["asked"]["asked"]["service"] != SERVICES[-1]:
        raise Missing(f"the request went through the shop: {body}")
    return str(trace_id)
