"""Minimal servers for the Runtime API, ECS with one task, AMP and X-Ray, on one loopback port.

The servers read only the length of requests, to use little CPU. Their CPU time is not part of the result, which is the CPU
time of the function's process.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import deque
from dataclasses import dataclass, field

from .tls import Certificates

NEXT = b"/2018-06-01/runtime/invocation/next"
REMOTE_WRITE = b"/api/v1/remote_write"
TRACE_SEGMENTS = b"/TraceSegments"
# Task of `benches/payload/resource.rs`. The function looks it up once, on its first request.
ARN = "arn:aws:ecs:eu-west-1:111122223333:"
TASK = {
    "taskArn": f"{ARN}task/shop/5f0e6c1d2b3a49788e7d6c5b4a392817", "clusterArn": f"{ARN}cluster/shop", "lastStatus": "RUNNING",
    "taskDefinitionArn": f"{ARN}task-definition/checkout:42", "group": "service:checkout", "launchType": "FARGATE",
    "availabilityZone": "eu-west-1b",
}
CONTAINERS = [f"app-{number}" for number in range(3)]
DEFINITION = {
    "taskDefinitionArn": f"{ARN}task-definition/checkout:42", "family": "checkout", "revision": 42,
    "containerDefinitions": [{"name": name, "dockerLabels": {"sidecarless.stats": "push"}} for name in CONTAINERS],
}
# Tasks that push their stats.
STATS_TASKS = [f"{number + 1:032x}" for number in range(20)]
# Timeout of an invocation: the default of the function.
TIMEOUT_MS = 50_000


def ecs_response(operation: bytes, body: bytes) -> bytes:
    """Returns the response of ECS. Every task exists, and those that push their stats are listed."""
    if operation == b"ListTasks":
        return json.dumps({"taskArns": [f"{ARN}task/shop/{name}" for name in STATS_TASKS]}).encode()
    if operation != b"DescribeTasks":
        return json.dumps({"taskDefinition": DEFINITION}).encode()
    names = [task.rpartition("/")[2] for task in json.loads(body)["tasks"]]
    return json.dumps({"tasks": [described_task(name) for name in names], "failures": []}).encode()


def described_task(name: str) -> dict[str, object]:
    """Returns a task with the containers of `benches/payload/tasks.rs`."""
    containers = [{"name": app, "runtimeId": f"{name}-{3_071_244_590 + number:010}"} for number, app in enumerate(CONTAINERS)]
    return {**TASK, "taskArn": f"{ARN}task/shop/{name}", "containers": containers}


@dataclass
class Sink:
    """Requests that arrived at one destination."""

    requests: int = 0
    bytes: int = 0
    last_ns: int = 0
    # Body of each request, if they are needed.
    bodies: list[bytes] | None = None

    def receive(self, body: bytes) -> None:
        self.requests += 1
        self.bytes += len(body)
        self.last_ns = time.monotonic_ns()
        if self.bodies is not None:
            self.bodies.append(body)


@dataclass
class Loopback:
    """Sends events to the function and counts its requests."""

    port: int = 0
    # Variables with which the function uses TLS.
    environment: dict[str, str] = field(default_factory=dict)
    sinks: dict[bytes, Sink] = field(default_factory=dict)
    first_next_ns: int | None = None
    processes: int = 0
    _events: deque[bytes] = field(default_factory=deque)
    _waiting: "Connection | None" = None
    _response: "asyncio.Future[bytes] | None" = None
    _ready: "asyncio.Event" = field(default_factory=asyncio.Event)

    @classmethod
    async def start(cls, certificates: Certificates | None = None) -> "Loopback":
        """Starts the servers. With certificates, AMP, X-Ray and ECS have TLS as well, on another port."""
        loopback = cls()
        loopback.port = await loopback.listen(None)
        if certificates is not None:
            url = f"https://127.0.0.1:{await loopback.listen(certificates.server())}"
            endpoints = {"AWS_ENDPOINT_URL": url, "AWS_PROMETHEUS_ENDPOINT": url + REMOTE_WRITE.decode()}
            loopback.environment = endpoints | {"SSL_CERT_FILE": str(certificates.authority)}
        loopback.reset_sinks()
        return loopback

    async def listen(self, tls: ssl.SSLContext | None) -> int:
        """Returns the port."""
        server = await asyncio.get_running_loop().create_server(lambda: Connection(self), "127.0.0.1", 0, ssl=tls)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def reset_sinks(self) -> None:
        """Sets all counts to zero."""
        self.sinks = {REMOTE_WRITE: Sink(), TRACE_SEGMENTS: Sink()}

    def expect_start(self) -> None:
        """Expects the next GET /next to be the first of a new process. Later requests of older processes are ignored."""
        self.processes += 1
        self.first_next_ns, self._waiting = None, None
        self._ready = asyncio.Event()

    async def ready(self) -> int:
        """Waits for the first request for an event, and returns its time."""
        await asyncio.wait_for(self._ready.wait(), 30)
        assert self.first_next_ns is not None
        return self.first_next_ns

    async def invoke(self, event: bytes) -> bytes:
        """Sends one event and waits for the response."""
        self._response = asyncio.get_running_loop().create_future()
        self._events.append(event)
        self._send_event()
        return await asyncio.wait_for(self._response, 60)

    def next_requested(self, connection: "Connection") -> None:
        if connection.process != self.processes:
            return
        if self.first_next_ns is None:
            self.first_next_ns = time.monotonic_ns()
            self._ready.set()
        self._waiting = connection
        self._send_event()

    def _send_event(self) -> None:
        if self._waiting is None or not self._events:
            return
        deadline = f"lambda-runtime-deadline-ms: {time.time_ns() // 1_000_000 + TIMEOUT_MS}\r\n".encode()
        arn = b"lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:111122223333:function:f\r\n"
        head = b"lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n" + deadline + arn
        connection, self._waiting = self._waiting, None
        connection.respond(200, self._events.popleft(), head)

    def response_received(self, body: bytes) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_result(body)


class Connection(asyncio.Protocol):
    """HTTP/1.1 with content lengths, as hyper sends it."""

    def __init__(self, loopback: Loopback) -> None:
        self.loopback = loopback
        self.head, self.path, self.operation, self.missing = b"", b"", b"", 0
        self.body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.process = transport, self.loopback.processes

    def data_received(self, data: bytes) -> None:
        if self.missing == 0:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.head, self.path, self.missing = b"", head.split(b" ", 2)[1], int(header(head, b"content-length") or 0)
            self.operation = header(head, b"x-amz-target").rpartition(b".")[2]
        self.body.append(data)
        self.missing -= len(data)
        if self.missing <= 0:
            body, self.body, self.missing = b"".join(self.body), [], 0
            self.handle_request(body)

    def handle_request(self, body: bytes) -> None:
        sink = self.loopback.sinks.get(self.path)
        if sink is not None:
            sink.receive(body)
            self.respond(200, b"{}" if self.path == TRACE_SEGMENTS else b"")
        elif self.operation:
            self.respond(200, ecs_response(self.operation, body), b"content-type: application/x-amz-json-1.1\r\n")
        elif self.path == NEXT:
            self.loopback.next_requested(self)
        else:
            self.respond(202, b"{}")
            self.loopback.response_received(body)

    def respond(self, status: int, body: bytes, headers: bytes = b"") -> None:
        head = b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n%s\r\n" % (status, len(body), headers)
        self.transport.writelines((head, body))


def header(head: bytes, wanted: bytes) -> bytes:
    """Returns the value of a header, or an empty string."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == wanted:
            return value.strip()
    return b""
