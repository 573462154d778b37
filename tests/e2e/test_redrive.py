"""`sidecarless redrive`: readable messages in the dead-letter queue (moto) go back to the spool."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import CLI

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, moto

MINUTE_AGO_MS = 1_795_389_900_000


@dataclass
class Queues:
    aws: str
    sqs: Any
    spool: str
    dead: str

    def run(self, *arguments: str, spool: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {"AWS_ENDPOINT_URL": self.aws, "AWS_REGION": REGION, "SIDECARLESS_SPOOL_QUEUE_URL": spool or self.spool}
        command = [str(CLI), "redrive", *arguments]
        return subprocess.run(command, env=os.environ | CREDENTIALS | env, capture_output=True, text=True, timeout=60)

    def message_counts(self, queue: str) -> list[str]:
        # The command hides the messages that it reads for a minute. They are still in the queue.
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return [attributes[name] for name in names]


@pytest.fixture
def queues(tmp_path: Path) -> Iterator[Queues]:
    with Peers(tmp_path) as peers:
        aws = moto(peers)
        sqs = ecs.client("sqs", aws)
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 10})
        spool = sqs.create_queue(QueueName="spool", Attributes={"RedrivePolicy": policy})["QueueUrl"]
        yield Queues(aws, sqs, spool, dead)


def dead_letter(number: int) -> str:
    return json.dumps(
        {
            "sidecarless": "spool", "v": 1, "destination": "amp", "error": f"503: busy {number}", "first_attempt_ms": MINUTE_AGO_MS,
            "items": number, "data": base64.b64encode(b"\x00").decode(),
        }
    )


def test_readable_messages_are_redriven_and_others_stay(queues: Queues) -> None:
    good = [dead_letter(number) for number in range(12)]
    for body in [*good, "not JSON", good[0].replace('"v": 1', '"v": 9')]:
        queues.sqs.send_message(QueueUrl=queues.dead, MessageBody=body)

    moved = queues.run()

    assert moved.returncode == 1, "expected exit code 1 for unreadable messages"
    assert moved.stdout.endswith("moved to the spool: 12, unreadable and not moved: 2\n"), moved.stdout + moved.stderr
    assert "7 items since 2026-11-22T23:25:00Z" in moved.stdout and "503: busy 7" in moved.stdout
    assert "unsupported version 9 of a spool message: this function reads version 1" in moved.stdout
    redriven = [queues.sqs.receive_message(QueueUrl=queues.spool, MaxNumberOfMessages=10)["Messages"] for _ in range(2)]
    assert sorted(message["Body"] for batch in redriven for message in batch) == sorted(good), "each message exactly once and unchanged"
    assert queues.message_counts(queues.dead) == ["0", "2"]


def test_failed_events_are_redriven(queues: Queues) -> None:
    """Lambda sends records of events that failed three times (AWS Lambda Developer Guide, "Capturing records ...")."""
    record = {
        "version": "1.0", "timestamp": "2026-11-22T23:28:00.000Z", "requestPayload": {"awslogs": {"data": "H4sI"}},
        "requestContext": {"requestId": "8476a536", "functionArn": "f", "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "responsePayload": {"errorMessage": "7 samples could not be delivered: AMP unavailable: 503"},
    }
    queues.sqs.send_message(QueueUrl=queues.dead, MessageBody=json.dumps(record))
    moved = queues.run()
    assert (moved.returncode, moved.stdout.splitlines()[-1]) == (0, "moved to the spool: 1, unreadable and not moved: 0"), moved.stderr
    assert "event of 2026-11-22T23:28:00.000Z  RetriesExhausted after 3 attempts  7 samples could not be" in moved.stdout
    assert queues.message_counts(queues.dead) == ["0", "0"]
    (message,) = queues.sqs.receive_message(QueueUrl=queues.spool)["Messages"]
    assert json.loads(message["Body"]) == record, "the function repeats it"


def test_list_option_moves_no_messages(queues: Queues) -> None:
    queues.sqs.send_message(QueueUrl=queues.dead, MessageBody=dead_letter(3))
    listed = queues.run("--list")
    assert (listed.returncode, listed.stdout.splitlines()[-1]) == (0, "readable: 1, unreadable: 0")
    assert queues.message_counts(queues.spool) == ["0", "0"]
    assert queues.message_counts(queues.dead) == ["0", "1"]


def test_queue_without_a_dead_letter_queue_is_an_error(queues: Queues) -> None:
    result = queues.run(spool=queues.dead)
    assert result.returncode == 2
    assert f"the queue {queues.dead} has no dead-letter queue" in result.stderr
