"""A program that exports a span and a counter with the OpenTelemetry SDK for Python, signed as helpers/signing/README.md says.

usage: python signed_client.py session|register; prints the trace ID
"""

import sys

import sidecarless_signing
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if sys.argv[1] == "register":
    sidecarless_signing.register()
    exporters = OTLPSpanExporter(), OTLPMetricExporter()
else:
    session = sidecarless_signing.session()
    exporters = OTLPSpanExporter(session=session), OTLPMetricExporter(session=session)

traces = TracerProvider()
traces.add_span_processor(BatchSpanProcessor(exporters[0]))
metrics = MeterProvider([PeriodicExportingMetricReader(exporters[1], export_interval_millis=60_000)])
with traces.get_tracer("signed").start_as_current_span("signed") as span:
    metrics.get_meter("signed").create_counter("signed.orders").add(3)
traces.shutdown()
metrics.shutdown()
print(f"{span.get_span_context().trace_id:032x}")
