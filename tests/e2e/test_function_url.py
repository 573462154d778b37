"""The Function URL server of the demo behaves like the AWS service."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from demo.function_url import FunctionUrlServer


class Emulator(ThreadingHTTPServer):
    """Fake aws-lambda-rie: responds with `reply`, records events, and counts concurrent invocations."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Invocation)
        self.reply: Any = {"statusCode": 200, "body": ""}
        self.events: list[Any] = []
        self.running = self.max_running = 0


class Invocation(BaseHTTPRequestHandler):
    server: Emulator

    def do_POST(self) -> None:
        emulator = self.server
        emulator.running += 1
        emulator.max_running = max(emulator.max_running, emulator.running)
        emulator.events.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        time.sleep(0.01)
        emulator.running -= 1
        reply = emulator.reply
        self.send_response(200)
        self.end_headers()
        self.wfile.write(reply.encode() if isinstance(reply, str) else json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    server = Emulator()
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def connection(emulator: Emulator) -> Iterator[http.client.HTTPConnection]:
    server = FunctionUrlServer(0, f"http://127.0.0.1:{emulator.server_port}")
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    server.shutdown()
    server.server_close()


def send(connection: http.client.HTTPConnection, *request: Any, **options: Any) -> tuple[int, bytes]:
    connection.request(*request, **options)
    response = connection.getresponse()
    return response.status, response.read()


@pytest.mark.parametrize(
    "content_type, body, expected, is_base64",
    [
        ("application/x-protobuf", b"\x0a\x00", base64.b64encode(b"\x0a\x00").decode(), True),
        ("application/json; charset=utf-8", b"{}", "{}", False),
        ("text/plain", "ü".encode(), "ü", False),
        ("application/json", b"\x1f\x8b", "\x1f\ufffd", False),
        (None, b"plain", base64.b64encode(b"plain").decode(), True),
    ],
)
def test_body_is_text_or_base64_by_content_type(
    connection: http.client.HTTPConnection, emulator: Emulator, content_type: str | None, body: bytes, expected: str, is_base64: bool
) -> None:
    send(connection, "POST", "/v1/traces", body, {"Content-Type": content_type} if content_type else {})
    [event] = emulator.events
    assert (event["body"], event["isBase64Encoded"]) == (expected, is_base64)


def test_event_contains_the_request(connection: http.client.HTTPConnection, emulator: Emulator) -> None:
    send(connection, "GET", "/a%20b?x=1&y=", headers={"X-Shop": "tea"})
    [event] = emulator.events
    assert (event["rawPath"], event["rawQueryString"]) == ("/a b", "x=1&y=")
    assert event["queryStringParameters"] == {"x": "1", "y": ""}
    assert event["headers"]["x-shop"] == "tea"
    assert event["requestContext"]["http"]["method"] == "GET"
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
    assert "body" not in event and event["isBase64Encoded"] is False


def test_chunked_body_is_read_completely(connection: http.client.HTTPConnection, emulator: Emulator) -> None:
    send(connection, "POST", "/", iter([b"ab", b"cd"]), {"content-type": "text/plain"}, encode_chunked=True)
    assert emulator.events[0]["body"] == "abcd"


@pytest.mark.parametrize(
    "reply, status, body",
    [
        ({"statusCode": 202, "body": "accepted"}, 202, b"accepted"),
        ({"statusCode": 200, "body": "AAE=", "isBase64Encoded": True}, 200, b"\x00\x01"),
        ({"statusCode": 204}, 204, b""),
        ({"some": "JSON"}, 200, b'{"some": "JSON"}'),
        ({"errorMessage": "no", "errorType": "Error"}, 502, b"Internal Server Error"),
        ("Task timed out after 2.00 seconds", 502, b"Internal Server Error"),
    ],
)
def test_function_result_becomes_an_http_response(
    connection: http.client.HTTPConnection, emulator: Emulator, reply: Any, status: int, body: bytes
) -> None:
    emulator.reply = reply
    assert send(connection, "POST", "/", b"x") == (status, body)


def test_event_over_6_mb_does_not_reach_the_function(connection: http.client.HTTPConnection, emulator: Emulator) -> None:
    status, _ = send(connection, "POST", "/v1/traces", bytes(5 << 20))
    assert (status, emulator.events) == (413, [])


def test_requests_and_invocations_are_serialized(connection: http.client.HTTPConnection, emulator: Emulator) -> None:
    """The emulator crashes on concurrent invocations."""

    def call(path: str) -> None:
        send(http.client.HTTPConnection(connection.host, connection.port, timeout=10), "POST", path, b"{}")

    paths = ["/v1/traces", "/2015-03-31/functions/function/invocations"] * 5
    calls = [threading.Thread(target=call, args=[path]) for path in paths]
    for each in calls:
        each.start()
    for each in calls:
        each.join()
    assert (len(emulator.events), emulator.max_running) == (10, 1)
