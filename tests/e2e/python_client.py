"""A Python program with the unmodified OpenTelemetry SDK and its HTTP, database and AWS instrumentations.

usage: python_client.py NEXT_URL AWS_URL; prints the trace ID
"""

from __future__ import annotations

import sqlite3
import sys
import urllib.request

import boto3
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.instrumentation.urllib import URLLibInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
for instrumentor in (URLLibInstrumentor(), SQLite3Instrumentor(), BotocoreInstrumentor()):
    instrumentor.instrument()

next_url, aws_url = sys.argv[1:]
with trace.get_tracer("client").start_as_current_span("order", kind=trace.SpanKind.SERVER) as span:
    sqlite3.connect(":memory:").cursor().execute("SELECT 1")
    boto3.client("sqs", endpoint_url=aws_url, region_name="eu-west-1").list_queues()
    with urllib.request.urlopen(next_url, timeout=10) as response:
        response.read()
    print(f"{span.get_span_context().trace_id:032x}")
provider.shutdown()
