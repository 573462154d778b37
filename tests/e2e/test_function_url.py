"""The stand-in for Function URLs does as AWS does, so that what runs behind it here runs behind a real one."""

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
    """Stands for aws-lambda-rie: answers with `reply`, keeps the events, and knows when it is called twice at a time."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Invocation)
        self.reply: Any = {"statusCode": 200, "body": ""}
        self.events: list[Any] = []
        self.inside = self.most_inside = 0


class Invocation(BaseHTTPRequestHandler):
    server: Emulator

    def do_POST(self) -> None:
        emulator = self.server
        emulator.inside += 1
        emulator.most_inside = max(emulator.most_inside, emulator.inside)
        emulator.events.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        time.sleep(0.01)
        emulator.inside -= 1
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
def door(emulator: Emulator) -> Iterator[http.client.HTTPConnection]:
    server = FunctionUrlServer(0, f"http://127.0.0.1:{emulator.server_port}")
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    server.shutdown()
    server.server_close()


def send(door: http.client.HTTPConnection, *request: Any, **more: Any) -> tuple[int, bytes]:
    door.request(*request, **more)
    answer = door.getresponse()
    return answer.status, answer.read()


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
def test_a_body_is_text_or_base64_by_its_content_type(
    door: http.client.HTTPConnection, emulator: Emulator, content_type: str | None, body: bytes, expected: str, is_base64: bool
) -> None:
    send(door, "POST", "/v1/traces", body, {"Content-Type": content_type} if content_type else {})
    [event] = emulator.events
    assert (event["body"], event["isBase64Encoded"]) == (expected, is_base64)


def test_an_event_has_the_request_in_it(door: http.client.HTTPConnection, emulator: Emulator) -> None:
    send(door, "GET", "/a%20b?x=1&y=", headers={"X-Shop": "tea"})
    [event] = emulator.events
    assert (event["rawPath"], event["rawQueryString"]) == ("/a b", "x=1&y=")
    assert event["queryStringParameters"] == {"x": "1", "y": ""}
    assert event["headers"]["x-shop"] == "tea"
    assert event["requestContext"]["http"]["method"] == "GET"
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
    assert "body" not in event and event["isBase64Encoded"] is False


def test_a_body_in_chunks_arrives_whole(door: http.client.HTTPConnection, emulator: Emulator) -> None:
    send(door, "POST", "/", iter([b"ab", b"cd"]), {"content-type": "text/plain"}, encode_chunked=True)
    assert emulator.events[0]["body"] == "abcd"


@pytest.mark.parametrize(
    "reply, status, body",
    [
        ({"statusCode": 202, "body": "taken"}, 202, b"taken"),
        ({"statusCode": 200, "body": "AAE=", "isBase64Encoded": True}, 200, b"\x00\x01"),
        ({"statusCode": 204}, 204, b""),
        ({"some": "JSON"}, 200, b'{"some": "JSON"}'),
        ({"errorMessage": "no", "errorType": "Error"}, 502, b"Internal Server Error"),
        ("Task timed out after 2.00 seconds", 502, b"Internal Server Error"),
    ],
)
def test_a_reply_becomes_an_answer(
    door: http.client.HTTPConnection, emulator: Emulator, reply: Any, status: int, body: bytes
) -> None:
    emulator.reply = reply
    assert send(door, "POST", "/", b"x") == (status, body)


def test_an_event_beyond_6_mb_never_reaches_the_function(door: http.client.HTTPConnection, emulator: Emulator) -> None:
    status, _ = send(door, "POST", "/v1/traces", bytes(5 << 20))
    assert (status, emulator.events) == (413, [])


def test_requests_and_invocations_wait_for_each_other(door: http.client.HTTPConnection, emulator: Emulator) -> None:
    """The emulator crashes otherwise."""

    def call(path: str) -> None:
        send(http.client.HTTPConnection(door.host, door.port, timeout=10), "POST", path, b"{}")

    paths = ["/v1/traces", "/2015-03-31/functions/function/invocations"] * 5
    calls = [threading.Thread(target=call, args=[path]) for path in paths]
    for each in calls:
        each.start()
    for each in calls:
        each.join()
    assert (len(emulator.events), emulator.most_inside) == (10, 1)
