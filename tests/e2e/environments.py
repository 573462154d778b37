"""Execution environments that can be killed: each has its own Runtime API and process, handles one invocation at a time, and
is killed with SIGKILL at any moment and restarted.

Runtime API: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FUNCTION_ARN = "arn:aws:lambda:eu-west-1:123456789012:function:sidecarless"


class EnvironmentKilled(Exception):
    """The environment was killed before it responded."""


class Environment:
    """One environment. It starts a new process after a kill."""

    def __init__(self, binary: Path, env: dict[str, str], log: Path, timeout: float) -> None:
        self.events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.responses: dict[str, queue.Queue[bytes | None]] = {}
        self.timeout = timeout
        self.busy = threading.Event()
        self.command, self.log = [str(binary)], open(log, "ab")
        self.api = Server(("127.0.0.1", 0), type("Api", (RuntimeApi,), {"environment": self}))
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.env = {
            **os.environ, **env, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": "sidecarless", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/sidecarless",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"2026/11/22/[$LATEST]{uuid.uuid4().hex}",
        }
        self.alive = threading.Lock()
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, env=self.env, stdout=self.log, stderr=self.log)

    def invoke(self, event: dict[str, Any]) -> Any:
        """Returns the response. Callers must not invoke concurrently. Raises EnvironmentKilled if there is no response."""
        invocation = str(uuid.uuid4())
        response_queue: queue.Queue[bytes | None] = queue.Queue()
        self.responses[invocation] = response_queue
        self.busy.set()
        try:
            self.events.put((invocation, json.dumps(event).encode()))
            response = response_queue.get(timeout=self.timeout)
        except queue.Empty:
            # Lambda stops invocations that time out.
            self.kill()
            response = None
        finally:
            self.busy.clear()
            del self.responses[invocation]
        if response is None:
            raise EnvironmentKilled
        return json.loads(response)

    def kill(self) -> None:
        """Kills the process without warning, and starts another."""
        with self.alive:
            self.process.kill()
            self.process.wait()
            # The current invocation gets no response.
            while not self.events.empty():
                self.events.get_nowait()
            for response_queue in list(self.responses.values()):
                response_queue.put(None)
            self.process = self.start()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.api.shutdown()
        self.log.close()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignores errors: killed processes close their connections."""


class RuntimeApi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    environment: Environment

    def do_GET(self) -> None:
        """Responds with the next event. If the process was killed meanwhile, the event goes back to the queue."""
        process = self.environment.process
        while True:
            try:
                invocation, event = self.environment.events.get(timeout=0.05)
            except queue.Empty:
                invocation = ""
            if process is not self.environment.process:
                self.close_connection = True
                if invocation:
                    self.environment.events.put((invocation, event))
                return
            if invocation:
                break
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.environment.timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
        }
        self.respond(200, event, headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        invocation = self.path.split("/invocation/")[-1].split("/")[0]
        waiting = self.environment.responses.get(invocation)
        self.respond(202, b"{}", {})
        if waiting is not None:
            waiting.put(body)

    def respond(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Fleet:
    """Several environments. An event goes to a free environment."""

    def __init__(self, count: int, binary: Path, env: dict[str, str], folder: Path, timeout: float) -> None:
        self.all = [Environment(binary, env, folder / f"environment-{n}.log", timeout) for n in range(count)]
        self.free: queue.Queue[Environment] = queue.Queue()
        for environment in self.all:
            self.free.put(environment)

    @contextmanager
    def one(self) -> Iterator[Environment]:
        environment = self.free.get()
        try:
            yield environment
        finally:
            self.free.put(environment)

    def invoke(self, event: dict[str, Any]) -> Any:
        with self.one() as environment:
            return environment.invoke(event)

    def stop(self) -> None:
        for environment in self.all:
            environment.stop()
