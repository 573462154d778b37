"""Stand-ins for the task metadata endpoint and for the push route of the function.

`Receiver` records each request and returns the response that the test sets. To run the same tests against the real function, set these variables: all
receivers without a set reply then forward each push to the function and return its response.

- HELPER_RECEIVER_URL: base URL of the function
- HELPER_RECEIVER_TOKEN: its token
- HELPER_DOCUMENTS: folder with task.json and task-stats.json of a task that the function accepts; by default tests/golden
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ROUTE = "/v1/ecs/task-stats"
FUNCTION_URL = os.environ.get("HELPER_RECEIVER_URL", "")
TOKEN = os.environ.get("HELPER_RECEIVER_TOKEN", "a-token")
DOCUMENTS = Path(os.environ.get("HELPER_DOCUMENTS") or GOLDEN)
BOUND: list[socket.socket] = []


def compact(document: Any) -> bytes:
    """Writes a document as the ECS agent does: without spaces."""
    return json.dumps(document, separators=(",", ":")).encode()


def documents(network_mode: str = "awsvpc") -> tuple[bytes, bytes]:
    """Returns both documents of a task with this network mode."""
    task = json.loads((DOCUMENTS / "task.json").read_text())
    for container in task["Containers"]:
        for network in container.get("Networks", []):
            network["NetworkMode"] = network_mode
    return compact(task), compact(json.loads((DOCUMENTS / "task-stats.json").read_text()))


@dataclass
class Recorded:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    time: float = field(default_factory=time.monotonic)
    # Status of the response.
    status: int = 0


@dataclass
class Reply:
    """Response of a stand-in. A hanging one reads the request and does not respond."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False


@lru_cache
def certificate(name: str) -> Path:
    """Returns a file with a key and its self-signed certificate for the loopback address."""
    path = Path(tempfile.mkdtemp(prefix="certificate-")) / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    # rustls rejects the certificate of an authority as that of a server.
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*command, *names, "-keyout", str(path), "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    atexit.register(shutil.rmtree, path.parent, True)
    return path


TRUSTED = "trusted"


def trust() -> dict[str, str]:
    """Returns environment variables with which programs trust the certificate `TRUSTED`, and no other."""
    public = Path(f"{certificate(TRUSTED)}.crt")
    # Configuration of GNU wget.
    wgetrc = public.with_name("wgetrc")
    wgetrc.write_text(f"ca_certificate = {public}\n")
    return {"SSL_CERT_FILE": str(public), "CURL_CA_BUNDLE": str(public), "NODE_EXTRA_CA_CERTS": str(public), "WGETRC": str(wgetrc)}


class Standin:
    """An HTTP server on a free port of the loopback interface, or an HTTPS server with this certificate."""

    def __init__(self, replies: dict[tuple[str, str], Reply], tls: str | None = None) -> None:
        self.replies = replies
        self.requests: list[Recorded] = []
        self.stopped = threading.Event()
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                standin.answer(self)

            do_GET = do_POST = do_HEAD = do_PUT = answer

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # BusyBox verifies names only, not addresses.
        self.origin = "https://localhost" if tls else "http://127.0.0.1"
        if tls:
            tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls_context.load_cert_chain(certificate(tls))
            self.server.socket = tls_context.wrap_socket(self.server.socket, server_side=True)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = read_body(handler)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Recorded(handler.command, handler.path, headers, body)
        self.requests.append(request)
        reply = self.reply(request)
        if reply.hangs:
            self.stopped.wait(60)
            handler.close_connection = True
            return
        request.status = reply.status
        handler.send_response(reply.status)
        for name, value in {**reply.headers, "content-length": str(len(reply.body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(reply.body)

    def reply(self, request: Recorded) -> Reply:
        return self.replies.get((request.method, request.path), Reply(404, b"not found"))

    @property
    def url(self) -> str:
        return f"{self.origin}:{self.server.server_address[1]}"

    def close(self) -> None:
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("content-length") or 0))
    chunks = []
    while size := int(handler.rfile.readline(), 16):
        chunks.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(chunks)


class Metadata(Standin):
    """The task metadata endpoint of one container."""

    def __init__(self, network_mode: str = "awsvpc", reply: Reply | None = None) -> None:
        self.task, self.stats = documents(network_mode)
        super().__init__({
            ("GET", "/v4/container/task"): Reply(body=self.task),
            ("GET", "/v4/container/task/stats"): reply or Reply(body=self.stats),
        })

    @property
    def uri(self) -> str:
        return self.url + "/v4/container"


def forward(request: Recorded, url: str) -> Reply:
    """Sends a push to the function, and returns its response."""
    headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
    forwarded = urllib.request.Request(url.rstrip("/") + request.path, request.body, headers, method=request.method)
    try:
        with urllib.request.urlopen(forwarded, timeout=10) as response:
            return Reply(response.status, response.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.read())


class Receiver(Standin):
    """The function: one route, with a reply for each push; the last one is repeated."""

    def __init__(self, *replies: Reply, tls: str | None = None) -> None:
        super().__init__({}, tls)
        self.forwards = bool(FUNCTION_URL) and not replies
        self.queue = list(replies) or [Reply()]

    def reply(self, request: Recorded) -> Reply:
        if (request.method, request.path) != ("POST", ROUTE):
            return super().reply(request)
        if self.forwards:
            return forward(request, FUNCTION_URL)
        return self.queue.pop(0) if len(self.queue) > 1 else self.queue[0]

    def pushes(self) -> list[Recorded]:
        return [request for request in self.requests if request.method == "POST"]


@contextmanager
def running(*standins: Standin) -> Iterator[None]:
    try:
        yield
    finally:
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(Standin.close, standins))


def closed_url() -> str:
    """Returns a URL that refuses connections: its port is bound, so that no other server gets it, but nothing listens."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    BOUND.append(bound)
    return f"http://127.0.0.1:{bound.getsockname()[1]}"


def sender_environment(metadata: str, url: str, token: str = TOKEN) -> dict[str, str]:
    """Returns the environment variables of a sender."""
    return {"ECS_CONTAINER_METADATA_URI_V4": metadata, "SIDECARLESS_URL": url, "SIDECARLESS_TOKEN": token}


def split(body: bytes) -> tuple[Any, Any]:
    """Returns the two JSON values that follow each other."""
    text = body.decode()
    first, end = json.JSONDecoder().raw_decode(text)
    second, end = json.JSONDecoder().raw_decode(text, end)
    assert not text[end:].strip()
    return first, second
