"""A Lambda Function URL in front of the runtime interface emulator: HTTP in, payload 2.0 events on, replies back.

The rules are those of the AWS Lambda Developer Guide, "Invoking Lambda function URLs": header names in lower case, repeated
headers joined with commas, bodies as base64 unless their content type is text, 413 for more than 6 MB, 502 when the function
fails. Lambda's Invoke API is at INVOKE_PATH, for events as they are.

The emulator crashes when it is called twice at a time, so every call has to come through here, where one waits for the other.

usage: function_url.py PORT EMULATOR_URL
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote

# The largest event of a synchronous invocation: 6 MB, and a little for what surrounds the body.
EVENT_LIMIT = 6 * 1024 * 1024 + 100
# Bodies of these types reach the function as text.
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
INVOKE_PATH = "/2015-03-31/functions/function/invocations"


class Door(ThreadingHTTPServer):
    """Listens on 127.0.0.1 and hands events to the emulator, one at a time."""

    daemon_threads = True

    def __init__(self, port: int, emulator: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.emulator = emulator
        self.one_at_a_time = threading.Lock()

    def invoke(self, event: bytes) -> bytes:
        request = urllib.request.Request(self.emulator + INVOKE_PATH, data=event, method="POST")
        with self.one_at_a_time, urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def handle_any(self) -> None:
        try:
            body = read_body(self)
        except ValueError:
            self.close_connection = True
            return self.answer(400, {}, b'{"Message":"the body is not framed as HTTP/1.1 asks for"}')
        if self.path == INVOKE_PATH:
            return self.invoked(body)
        event = json.dumps(payload(self, body)).encode()
        if len(event) > EVENT_LIMIT:
            return self.answer(413, {}, b'{"Message":"Request must be smaller than 6291556 bytes"}')
        try:
            reply = json.loads(self.server.invoke(event))
        except (OSError, ValueError):
            # The process has ended, or its time was up, which the emulator tells in a sentence that is no JSON.
            return self.answer(502, {}, b"Internal Server Error")
        if is_error(reply):
            return self.answer(502, {}, b"Internal Server Error")
        self.answer(*http_answer(reply))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_any

    def invoked(self, event: bytes) -> None:
        """The Invoke API: what the function gives is the answer, whatever it is."""
        try:
            self.answer(200, {"content-type": "application/json"}, self.server.invoke(event))
        except OSError as error:
            self.answer(502, {}, str(error).encode())

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        print(f"{self.command} {self.path}: {format % arguments}", flush=True)


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """The whole body; a ValueError when it is not framed as HTTP/1.1 asks for."""
    if "chunked" in request.headers.get("transfer-encoding", "").lower():
        return b"".join(chunks(request.rfile))
    return request.rfile.read(int(request.headers.get("content-length") or 0))


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """RFC 9112, section 7.1; trailers are skipped."""
    while length := int(stream.readline().split(b";")[0], 16):
        yield stream.read(length)
        stream.readline()
    while stream.readline().strip():
        pass


def is_error(reply: Any) -> bool:
    """Whether the function failed: the emulator tells it as a reply, with 200 like any other."""
    return isinstance(reply, dict) and "errorMessage" in reply and "errorType" in reply


def payload(request: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
    """The event, payload format 2.0, for a URL without IAM."""
    raw_path, _, query = request.path.partition("?")
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    now = time.time()
    path = unquote(raw_path)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "demo",
            "domainName": headers.get("host", ""),
            "domainPrefix": "demo",
            "http": {
                "method": request.command,
                "path": path,
                "protocol": request.request_version,
                "sourceIp": request.client_address[0],
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
    if body:
        text = headers.get("content-type", "").lower().startswith(TEXT_TYPES)
        event["body"] = body.decode(errors="replace") if text else base64.b64encode(body).decode()
        event["isBase64Encoded"] = not text
    return event


def http_answer(reply: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a reply. One without statusCode is a body of JSON as a whole."""
    if not isinstance(reply, dict) or "statusCode" not in reply:
        return 200, {"content-type": "application/json"}, json.dumps(reply).encode()
    given = {name.lower(): str(value) for name, value in (reply.get("headers") or {}).items()}
    headers = {"content-type": "application/json"} | given
    text = reply.get("body") or ""
    body = base64.b64decode(text) if reply.get("isBase64Encoded") else text.encode()
    return int(reply["statusCode"]), headers, body


if __name__ == "__main__":
    Door(int(sys.argv[1]), sys.argv[2]).serve_forever()
