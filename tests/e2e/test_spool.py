"""Data that AMP or X-Ray cannot accept is stored in SQS (moto), and is delivered after the outage."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import BINARY, Stack, settings
from test_broken_bodies import gauge

from demo import ecs
from demo.events import TRACE_ID, traces
from demo.peers import Peers, free_port, function, get, moto, post, prometheus, query, wait_for

# A longer outage does not test more.
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "15"))

# Longer than the time for which the circuit breaker skips requests to a destination after a failure.
CIRCUIT_SECONDS = 11


class FlakyDestination(BaseHTTPRequestHandler):
    """Proxy in front of a server, which responds with 503 during an outage."""

    peer = ""
    outage = threading.Event()
    attempts = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.outage.is_set():
            type(self).attempts += 1
            return self.respond(503, b"outage")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
        status, _, response = post(self.peer + self.path, body, headers)
        self.respond(status, response)

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class SpoolStack:
    stack: Stack
    queue: str
    sqs: Any
    amp: type[FlakyDestination]
    xray: type[FlakyDestination]
    deferred: list[str] = field(default_factory=list)

    def show_deferred(self) -> None:
        """Makes messages visible that the function has deferred for half a minute or longer."""
        for handle in self.deferred:
            self.sqs.change_message_visibility(QueueUrl=self.queue, ReceiptHandle=handle, VisibilityTimeout=0)

    def messages(self) -> list[dict[str, Any]]:
        response = self.sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"], VisibilityTimeout=0
        )
        return list(response.get("Messages", []))

    def redeliver(self) -> list[str]:
        """Invokes the function with all messages, like the event source mapping. Returns the bodies of failed messages."""
        messages = self.messages()
        records = [
            {
                "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
                "attributes": message["Attributes"], "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:spool", "awsRegion": "eu-west-1",
            }
            for message in messages
        ]
        status, _, response = post(self.stack.peers.invoke_url, json.dumps({"Records": records}).encode())
        assert status == 200, response
        failed = {failure["itemIdentifier"] for failure in json.loads(response)["batchItemFailures"]}
        for message in messages:
            if message["MessageId"] not in failed:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        self.deferred = [message["ReceiptHandle"] for message in messages if message["MessageId"] in failed]
        return [message["Body"] for message in messages if message["MessageId"] in failed]


def flaky_destination(peer: str) -> tuple[type[FlakyDestination], str]:
    port = free_port()
    handler = type("Destination", (FlakyDestination,), {"peer": peer, "outage": threading.Event(), "attempts": 0})
    threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever, daemon=True).start()
    return handler, f"http://127.0.0.1:{port}"


@pytest.fixture
def spooled(tmp_path: Path) -> Iterator[SpoolStack]:
    with Peers(tmp_path) as peers:
        amp, aws = prometheus(peers), moto(peers)
        sqs = ecs.client("sqs", aws)
        queue = sqs.create_queue(QueueName="spool")["QueueUrl"]
        (amp_proxy, amp_url), (xray_proxy, xray_url) = flaky_destination(amp), flaky_destination(aws)
        env = settings(f"{amp_url}/api/v1/write", aws)
        url = function(peers, BINARY, env | {"SIDECARLESS_SPOOL_QUEUE_URL": queue, "AWS_ENDPOINT_URL_XRAY": xray_url})
        yield SpoolStack(Stack(peers, amp, aws, url), queue, sqs, amp_proxy, xray_proxy)


def test_acknowledged_data_survives_an_outage(spooled: SpoolStack) -> None:
    spooled.amp.outage.set()
    spooled.xray.outage.set()
    bodies = [gauge(f"spooled.gauge.{number}", number) for number in range(5)]
    for body in bodies:
        status, _, response = spooled.stack.push("/v1/metrics", body)
        assert (status, response) == (200, b""), "must be acknowledged, because it is stored"
    status, _, _ = spooled.stack.push("/v1/traces", traces())
    assert status == 200
    assert len(spooled.messages()) == 6
    attempts = spooled.amp.attempts
    assert len(spooled.redeliver()) == 6, "no message may be lost during the outage"
    assert spooled.amp.attempts <= attempts + 1, "expected one attempt per interval, not one per message"

    spooled.amp.outage.clear()
    spooled.xray.outage.clear()
    time.sleep(CIRCUIT_SECONDS)
    assert not spooled.messages() and message_count(spooled) == 6, "deferred messages must not be visible"
    spooled.show_deferred()
    for message in wait_for("messages are visible", lambda: spooled.messages() or None):
        assert json.loads(message["Body"])["sidecarless"] == "spool"
    wait_for("all messages are redelivered", lambda: not spooled.redeliver() and not message_count(spooled), 150)

    for number in range(5):
        result = query(spooled.stack.amp, f"spooled_gauge_{number}")
        assert [float(series["value"][1]) for series in result] == [float(number)]
    documents = ecs.trace_documents(spooled.stack.aws, TRACE_ID.hex())
    assert sorted(document["name"] for document in documents) == ["checkout", "stock.example.com"]


def test_acknowledged_points_survive_an_outage_under_load(spooled: SpoolStack) -> None:
    """AMP is unavailable for OUTAGE_SECONDS under a steady load."""
    acknowledged: dict[str, list[int]] = {"before": [], "during": [], "after": []}
    refused = 0
    series = iter(range(10**6))

    def push_for(seconds: float, phase: str) -> None:
        nonlocal refused
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            number = next(series)
            status, _, body = spooled.stack.push("/v1/metrics", gauge(f"load.gauge.{number}", number))
            if (status, body) == (200, b""):
                acknowledged[phase].append(number)
            else:
                refused += 1
            time.sleep(0.05)

    push_for(3, "before")
    spooled.amp.outage.set()
    push_for(OUTAGE_SECONDS, "during")
    spooled.amp.outage.clear()
    push_for(CIRCUIT_SECONDS + 2, "after")
    wait_for("all messages are redelivered", lambda: not spooled.redeliver() and not message_count(spooled), 150)

    names = json.loads(get(f"{spooled.stack.amp}/api/v1/label/__name__/values"))["data"]
    arrived = {int(name.rsplit("_", 1)[1]) for name in names if name.startswith("load_gauge_")}
    all_acknowledged = {number for phase in acknowledged.values() for number in phase}
    counts = ", ".join(f"{len(numbers)} {phase}" for phase, numbers in acknowledged.items())
    print(
        f"\nshow: {OUTAGE_SECONDS:.0f} s without AMP under load: points acknowledged {counts}; refused {refused}; "
        f"attempts during the outage {spooled.amp.attempts}; missing {len(all_acknowledged - arrived)}"
    )
    assert not all_acknowledged - arrived
    assert all(acknowledged.values()) and not refused
    assert spooled.amp.attempts < 15 + 2 * OUTAGE_SECONDS, "expected a few attempts per interval, not one per request"


def message_count(spooled: SpoolStack) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = spooled.sqs.get_queue_attributes(QueueUrl=spooled.queue, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def test_poison_messages_are_returned_until_sqs_redrives_them(spooled: SpoolStack) -> None:
    for body in ['{"sidecarless":"spool","v":99}', "not JSON", '{"sidecarless":"other"}']:
        spooled.sqs.send_message(QueueUrl=spooled.queue, MessageBody=body)
    assert len(spooled.redeliver()) == 3
    log = spooled.stack.peers.log("function")
    assert log.count("cannot be delivered") == 3
