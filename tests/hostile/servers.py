"""Servers of the function on one loopback port: Runtime API, ECS, EC2, STS, SQS, AMP, X-Ray, and the endpoints of tasks.

Tasks have addresses in 127.0.0.0/8 and are distinguished by the Host header.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from inputs import ACCOUNT, ATTACKER, VICTIM, task_id

# Timeout of the function in template.yaml.
TIMEOUT_S = 50
FUNCTION_ARN = "arn:aws:lambda:eu-west-1:111122223333:function:f"


@dataclass
class EcsTask:
    """A running task with one container. `labels` are the docker labels of the container."""

    id: str
    service: str
    role: str
    labels: dict[str, str] = field(default_factory=dict)
    # EC2 host. Without one, the task has its own network interface.
    address: str = "127.0.0.1"
    host: int | None = None

    @property
    def definition(self) -> str:
        revision = zlib.crc32(json.dumps([self.role, self.labels, self.host is None]).encode()) % 10**6
        return f"{ACCOUNT}task-definition/{self.service}:{revision}"

    def description(self) -> dict[str, Any]:
        details = [{"name": "privateIPv4Address", "value": self.address}]
        placement: dict[str, Any] = {"launchType": "FARGATE", "attachments": [{"type": "ElasticNetworkInterface", "details": details}]}
        if self.host is not None:
            placement = {"launchType": "EC2", "containerInstanceArn": f"{ACCOUNT}container-instance/prod/{self.host:032x}"}
        return placement | {
            "taskArn": f"{ACCOUNT}task/prod/{self.id}", "clusterArn": f"{ACCOUNT}cluster/prod", "taskDefinitionArn": self.definition,
            "group": f"service:{self.service}", "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "availabilityZone": "eu-west-1b",
            "containers": [{"name": "c0", "runtimeId": "d0", "lastStatus": "RUNNING"}], "version": 1, "cpu": "256", "memory": "512",
        }

    def described_definition(self) -> dict[str, Any]:
        ports = [{"containerPort": int(port), "hostPort": int(port)} for name, port in self.labels.items() if name.lower().endswith("port")]
        return {
            "taskDefinitionArn": self.definition, "family": self.service, "revision": 1,
            "networkMode": "awsvpc" if self.host is None else "host", "taskRoleArn": f"arn:aws:iam::111122223333:role/{self.role}",
            "containerDefinitions": [{"name": "c0", "dockerLabels": self.labels, "portMappings": ports}],
        }


def pushing_tasks() -> list[EcsTask]:
    return [EcsTask(ATTACKER, "attacker", "attacker-role"), EcsTask(VICTIM, "victim", "victim-role")]


Page = Callable[["Handler"], bytes | None]


class Servers:
    """State of all servers. `pages` maps (address, path) or path to a page: bytes, or a function that returns bytes, or responds and returns None."""

    def __init__(self) -> None:
        self.tasks: list[EcsTask] = pushing_tasks()
        self.pages: dict[Any, bytes | Page] = {}
        self.ec2_hosts: dict[str, bytes] = {}
        self.writes: list[bytes] = []
        self.events: queue.Queue[bytes] = queue.Queue()
        self.responses: queue.Queue[bytes] = queue.Queue()
        self.started = threading.Event()
        self.cluster_not_found = False
        # Number of the scheduled run, for pages that change.
        self.run = 0
        # Value of the SSM parameter.
        self.parameter: str | None = None
        self.stopped = False
        self.http = Http(("0.0.0.0", 0), type("Bound", (Handler,), {"servers": self}))
        self.port: int = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped = True
        self.http.shutdown()
        self.http.server_close()

    def expect_start(self) -> None:
        """For benches.process.function.Function: a new process requests its first event."""
        self.started.clear()

    def ecs(self, operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.cluster_not_found:
            return 400, {"__type": "ClusterNotFoundException", "message": "Cluster not found."}
        cluster = str(body.get("cluster", "prod")).rsplit("/", 1)[-1]
        if operation != "ListClusters" and cluster != "prod":
            return 400, {"__type": "ClusterNotFoundException", "message": "Cluster not found."}
        if operation == "ListClusters":
            return 200, {"clusterArns": [f"{ACCOUNT}cluster/prod"]}
        if operation == "ListTasks":
            start = int(body.get("nextToken", "0"))
            arns = [] if body.get("desiredStatus") == "STOPPED" else [f"{ACCOUNT}task/prod/{task.id}" for task in self.tasks]
            more = {"nextToken": str(start + 100)} if start + 100 < len(arns) else {}
            return 200, {"taskArns": arns[start : start + 100]} | more
        if operation == "DescribeTasks":
            by_id = {task.id: task for task in self.tasks}
            wanted = {str(arn): by_id.get(str(arn).rsplit("/", 1)[-1]) for arn in body["tasks"]}
            missing = [{"arn": arn, "reason": "MISSING"} for arn, task in wanted.items() if task is None]
            return 200, {"tasks": [task.description() for task in wanted.values() if task], "failures": missing}
        if operation == "DescribeTaskDefinition":
            task = next(task for task in self.tasks if task.definition == body["taskDefinition"])
            return 200, {"taskDefinition": task.described_definition()}
        if operation == "DescribeContainerInstances":
            hosts = [(arn, int(str(arn).rsplit("/", 1)[-1], 16)) for arn in body["containerInstances"]]
            instances = [{"containerInstanceArn": arn, "ec2InstanceId": f"i-{host:017x}"} for arn, host in hosts]
            return 200, {"containerInstances": instances, "failures": []}
        return 200, {}


class Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_: object) -> None:
        """Ignores errors: the function closes connections, and may be killed."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    servers: Servers

    def do_GET(self) -> None:
        if self.path.endswith("/invocation/next"):
            return self.next_event()
        address = self.headers.get("host", "").split(":")[0]
        page = self.servers.pages.get((address, self.path), self.servers.pages.get(self.path))
        if page is None:
            return self.respond(404, b"")
        content = page(self) if callable(page) else page
        if content is not None:
            self.respond(200, content, {"content-type": "text/plain; version=0.0.4"})

    def next_event(self) -> None:
        self.servers.started.set()
        while not self.servers.stopped:
            try:
                event = self.servers.events.get(timeout=0.2)
            except queue.Empty:
                continue
            deadline = int((time.time() + TIMEOUT_S) * 1000)
            headers = {"lambda-runtime-aws-request-id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "lambda-runtime-deadline-ms": str(deadline)}
            return self.respond(200, event, headers | {"lambda-runtime-invoked-function-arn": FUNCTION_ARN})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        target = self.headers.get("x-amz-target", "")
        if "/runtime/" in self.path:
            self.respond(202, b"{}")
            if "/invocation/" in self.path:
                self.servers.responses.put(body)
        elif self.path == "/api/v1/remote_write":
            self.servers.writes.append(body)
            self.respond(200, b"")
        elif target.startswith("AmazonEC2ContainerService"):
            status, answer = self.servers.ecs(target.rsplit(".", 1)[-1], json.loads(body))
            self.respond(status, json.dumps(answer).encode(), {"content-type": "application/x-amz-json-1.1"})
        elif target == "AmazonSSM.GetParameter":
            answer = {"Parameter": {"Name": json.loads(body)["Name"], "Type": "String", "Value": self.servers.parameter}}
            self.respond(200, json.dumps(answer).encode(), {"content-type": "application/x-amz-json-1.1"})
        elif target.startswith("AmazonSQS."):
            entries = json.loads(body).get("Entries", [])
            done = [{"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0" * 32} for entry in entries]
            self.respond(200, json.dumps({"Successful": done, "Failed": []}).encode(), {"content-type": "application/x-amz-json-1.0"})
        elif b"Action=DescribeInstances" in body:
            ids = re.findall(r"i-[0-9a-f]{17}", body.decode())
            items = b"".join(self.servers.ec2_hosts.get(instance, b"") for instance in ids)
            head, tail = b"<DescribeInstancesResponse><reservationSet>", b"</reservationSet></DescribeInstancesResponse>"
            self.respond(200, head + items + tail, {"content-type": "text/xml"})
        elif b"Action=GetCallerIdentity" in body:
            arn = "arn:aws:sts::111122223333:assumed-role/sidecarless/sidecarless"
            result = f"<Arn>{arn}</Arn><UserId>AROA:sidecarless</UserId><Account>111122223333</Account>"
            text = f"<GetCallerIdentityResponse><GetCallerIdentityResult>{result}</GetCallerIdentityResult></GetCallerIdentityResponse>"
            self.respond(200, text.encode(), {"content-type": "text/xml"})
        else:
            self.respond(200, b"{}", {"content-type": "application/json"})

    def respond(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def scraped_task(number: int, port: int, labels: dict[str, str], address: str | None = None, host: int | None = None) -> EcsTask:
    """Task with one label for each target; `PORT` in a label is the port of the servers."""
    address = address or f"127.0.{1 + number // 250}.{1 + number % 250}"
    replaced = {name: value.replace("PORT", str(port)) for name, value in labels.items()}
    return EcsTask(task_id(number), "cart", "cart-role", replaced, address, host)
