"""Emulates a Lambda function URL in front of the runtime interface emulator: converts HTTP requests to payload 2.0 events.

It follows the AWS Lambda Developer Guide, "Invoking Lambda function URLs": header names in lower case, repeated headers joined
with commas, bodies in base64 unless their content type is text, 413 for more than 6 MB, 502 if the function fails. The Invoke
API of Lambda is available at INVOKE_PATH and passes events unchanged.

The emulator crashes on concurrent invocations. All invocations must use this server, which serializes them.

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

# Maximum event size of a synchronous invocation: 6 MB plus some overhead for the fields around the body.
EVENT_LIMIT = 6 * 1024 * 1024 + 100
# The function receives bodies of these types as text.
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
INVOKE_PATH = "/2015-03-31/functions/function/invocations"


class FunctionUrlServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1 and sends events to the emulator, one at a time."""

    daemon_threads = True

    def __init__(self, port: int, emulator: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.emulator = emulator
        self.invocation_lock = threading.Lock()

    def invoke(self, event: bytes) -> bytes:
        request = urllib.request.Request(self.emulator + INVOKE_PATH, data=event, method="POST")
        with self.invocation_lock, urllib.request.urlopen(request, timeout=120) as response:
            return bytes(response.read())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FunctionUrlServer

    def handle_any(self) -> None:
        try:
            body = read_body(self)
        except ValueError:
            self.close_connection = True
            return self.respond(400, {}, b'{"Message":"invalid HTTP/1.1 body framing"}')
        if self.path == INVOKE_PATH:
            return self.handle_invoke(body)
        event = json.dumps(payload(self, body)).encode()
        if len(event) > EVENT_LIMIT:
            return self.respond(413, {}, b'{"Message":"Request must be smaller than 6291556 bytes"}')
        try:
            response = json.loads(self.server.invoke(event))
        except (OSError, ValueError):
            # The process exited or timed out. The emulator then responds with plain text instead of JSON.
            return self.respond(502, {}, b"Internal Server Error")
        if is_error(response):
            return self.respond(502, {}, b"Internal Server Error")
        self.respond(*http_response(response))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_any

    def handle_invoke(self, event: bytes) -> None:
        """Handles the Invoke API: returns the response of the function unchanged."""
        try:
            self.respond(200, {"content-type": "application/json"}, self.server.invoke(event))
        except OSError as error:
            self.respond(502, {}, str(error).encode())

    def respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
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
    """Reads the full body. Raises ValueError if its HTTP/1.1 framing is invalid."""
    if "chunked" in request.headers.get("transfer-encoding", "").lower():
        return b"".join(chunks(request.rfile))
    return request.rfile.read(int(request.headers.get("content-length") or 0))


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Decodes chunked transfer coding (RFC 9112, section 7.1). Trailers are skipped."""
    while length := int(stream.readline().split(b";")[0], 16):
        yield stream.read(length)
        stream.readline()
    while stream.readline().strip():
        pass


def is_error(response: Any) -> bool:
    """Returns whether the function failed. The emulator reports a failure in the body of a 200 response."""
    return isinstance(response, dict) and "errorMessage" in response and "errorType" in response


def payload(request: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
    """Returns the event in payload format 2.0 for a URL without IAM authentication."""
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


def http_response(response: Any) -> tuple[int, dict[str, str], bytes]:
    """Returns status, headers and body of a response. A response without statusCode is sent as a JSON body."""
    if not isinstance(response, dict) or "statusCode" not in response:
        return 200, {"content-type": "application/json"}, json.dumps(response).encode()
    custom = {name.lower(): str(value) for name, value in (response.get("headers") or {}).items()}
    headers = {"content-type": "application/json"} | custom
    text = response.get("body") or ""
    body = base64.b64decode(text) if response.get("isBase64Encoded") else text.encode()
    return int(response["statusCode"]), headers, body


if __name__ == "__main__":
    FunctionUrlServer(int(sys.argv[1]), sys.argv[2]).serve_forever()
