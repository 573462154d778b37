"""A Flask service that calls AWS, and knows of telemetry only the trace ID in its responses: the AWS Distro for OpenTelemetry
instruments it.

usage: QUEUE_URL=... opentelemetry-instrument flask --app service.py run
"""

from __future__ import annotations

import os
import urllib.request

import boto3
from flask import Flask, Response
from opentelemetry import trace

app = Flask(__name__)
s3, sqs, dynamodb = (boto3.client(name) for name in ("s3", "sqs", "dynamodb"))
QUEUE = os.environ["QUEUE_URL"]


@app.after_request
def trace_header(response: Response) -> Response:
    context = trace.get_current_span().get_span_context()
    response.headers["x-trace"] = f"{context.trace_id:032x}-{context.trace_flags:02x}"
    return response


@app.get("/order/<number>")
def order(number: str) -> str:
    s3.put_object(Bucket="orders", Key=number, Body=b"{}")
    dynamodb.put_item(TableName="orders", Item={"id": {"S": number}})
    sqs.send_message(QueueUrl=QUEUE, MessageBody=number)
    sqs.receive_message(QueueUrl=QUEUE)
    return "ok"


@app.get("/fail/<number>")
def fail(number: str) -> str:
    return charge(number)


def charge(number: str) -> str:
    try:
        return {}[number]
    except KeyError as error:
        raise RuntimeError(f"order {number} cannot be charged") from error


@app.get("/absent/<number>")
def absent(number: str) -> str:
    dynamodb.get_item(TableName="absent", Key={"id": {"S": number}})
    return "ok"


@app.get("/next/<number>")
def next_service(number: str) -> bytes:
    with urllib.request.urlopen(f"{os.environ['NEXT_URL']}/ready", timeout=10) as response:
        return response.read()


@app.get("/health")
@app.get("/ready")
def ready() -> str:
    return "ok"
