"""What AMP or X-Ray cannot take now waits in SQS (moto), and arrives later as if nothing had been."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import BINARY, Stack, settings
from test_broken_bodies import gauge

from demo import ecs
from demo.events import TRACE_ID, traces
from demo.peers import Peers, free_port, function, get, moto, post, prometheus, query, wait_for

# A minute shows what fifteen seconds show.
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "15"))

# How long the function leaves a destination alone that has just failed, and a little more.
CIRCUIT_SECONDS = 11


class Door(BaseHTTPRequestHandler):
    """Stands before a peer, and is shut during an outage."""

    peer = ""
    shut = threading.Event()
    attempts = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.shut.is_set():
            type(self).attempts += 1
            return self.answer(503, b"shut")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
        status, _, answer = post(self.peer + self.path, body, headers)
        self.answer(status, answer)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Spooled:
    stack: Stack
    queue: str
    sqs: Any
    amp: type[Door]
    xray: type[Door]

    def messages(self) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"], VisibilityTimeout=0
        )
        return list(answer.get("Messages", []))

    def redeliver(self) -> list[str]:
        """Hands all messages to the function as the event source mapping would; returns the bodies that come again."""
        messages = self.messages()
        records = [
            {
                "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
                "attributes": message["Attributes"], "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:spool", "awsRegion": "eu-west-1",
            }
            for message in messages
        ]
        status, _, answer = post(self.stack.peers.invoke_url, json.dumps({"Records": records}).encode())
        assert status == 200, answer
        failed = {failure["itemIdentifier"] for failure in json.loads(answer)["batchItemFailures"]}
        for message in messages:
            if message["MessageId"] not in failed:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages if message["MessageId"] in failed]


def door(peer: str) -> tuple[type[Door], str]:
    port = free_port()
    kind = type("ShutDoor", (Door,), {"peer": peer, "shut": threading.Event(), "attempts": 0})
    threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port), kind).serve_forever, daemon=True).start()
    return kind, f"http://127.0.0.1:{port}"


@pytest.fixture
def spooled(tmp_path: Path) -> Iterator[Spooled]:
    with Peers(tmp_path) as peers:
        amp, aws = prometheus(peers), moto(peers)
        sqs = ecs.client("sqs", aws)
        queue = sqs.create_queue(QueueName="spool")["QueueUrl"]
        (amp_door, amp_url), (xray_door, xray_url) = door(amp), door(aws)
        env = settings(f"{amp_url}/api/v1/write", aws)
        url = function(peers, BINARY, env | {"SIDECARLESS_SPOOL_QUEUE_URL": queue, "AWS_ENDPOINT_URL_XRAY": xray_url})
        yield Spooled(Stack(peers, amp, aws, url), queue, sqs, amp_door, xray_door)


def test_an_outage_costs_nothing_that_was_acknowledged(spooled: Spooled) -> None:
    spooled.amp.shut.set()
    spooled.xray.shut.set()
    pushed = [gauge(f"spooled.gauge.{number}", number) for number in range(5)]
    for body in pushed:
        status, _, answer = spooled.stack.push("/v1/metrics", body)
        assert (status, answer) == (200, b""), "acknowledged, because it is durable"
    status, _, _ = spooled.stack.push("/v1/traces", traces())
    assert status == 200
    assert len(spooled.messages()) == 6
    attempts = spooled.amp.attempts
    assert len(spooled.redeliver()) == 6, "nothing is lost while the outage lasts"
    assert spooled.amp.attempts <= attempts + 1, "an outage costs an attempt per interval, not per message"

    spooled.amp.shut.clear()
    spooled.xray.shut.clear()
    time.sleep(CIRCUIT_SECONDS)
    # Backed off messages are out of sight; their time-outs are moto's to keep.
    for message in wait_for("messages in sight again", lambda: spooled.messages() or None, 120):
        assert json.loads(message["Body"])["sidecarless"] == "spool"
    wait_for("all messages redelivered", lambda: not spooled.redeliver() and not in_queue(spooled), 150)

    for number in range(5):
        result = query(spooled.stack.amp, f"spooled_gauge_{number}")
        assert [float(series["value"][1]) for series in result] == [float(number)]
    documents = ecs.trace_documents(spooled.stack.aws, TRACE_ID.hex())
    assert sorted(document["name"] for document in documents) == ["checkout", "stock.example.com"]


def test_an_outage_under_load_loses_no_acknowledged_point(spooled: Spooled) -> None:
    """AMP is away for a while in the middle of a steady load; OUTAGE_SECONDS is how long."""
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
    spooled.amp.shut.set()
    push_for(OUTAGE_SECONDS, "during")
    spooled.amp.shut.clear()
    push_for(CIRCUIT_SECONDS + 2, "after")
    wait_for("all messages redelivered", lambda: not spooled.redeliver() and not in_queue(spooled), 150)

    names = json.loads(get(f"{spooled.stack.amp}/api/v1/label/__name__/values"))["data"]
    arrived = {int(name.rsplit("_", 1)[1]) for name in names if name.startswith("load_gauge_")}
    told = {number for phase in acknowledged.values() for number in phase}
    counts = ", ".join(f"{len(numbers)} {phase}" for phase, numbers in acknowledged.items())
    print(
        f"\nshow: {OUTAGE_SECONDS:.0f} s without AMP under load: points acknowledged {counts}; refused {refused}; "
        f"attempts while it was away {spooled.amp.attempts}; missing {len(told - arrived)}"
    )
    assert not told - arrived
    assert all(acknowledged.values()) and not refused
    assert spooled.amp.attempts < 15 + 2 * OUTAGE_SECONDS, "a handful of attempts per interval, not one per push"


def in_queue(spooled: Spooled) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = spooled.sqs.get_queue_attributes(QueueUrl=spooled.queue, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def test_poison_comes_again_until_the_dead_letter_queue_takes_it(spooled: Spooled) -> None:
    for body in ['{"sidecarless":"spool","v":99}', "not JSON", '{"sidecarless":"other"}']:
        spooled.sqs.send_message(QueueUrl=spooled.queue, MessageBody=body)
    assert len(spooled.redeliver()) == 3
    log = spooled.stack.peers.log("function")
    assert log.count("cannot be delivered") == 3
