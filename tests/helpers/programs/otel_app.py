"""An application with the OpenTelemetry SDK that exports the gauges until its standard input ends: INTERVAL."""

import sys

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

import sidecarless_otel

# Before the provider is set: the gauges are registered with it later.
sidecarless_otel.instrument()
reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=float(sys.argv[1]) * 1000)
metrics.set_meter_provider(MeterProvider([reader]))
print("started", flush=True)
sys.stdin.read()
print("finished", flush=True)
