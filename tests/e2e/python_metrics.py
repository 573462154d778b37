"""A Python program with the unmodified OpenTelemetry SDK that exports a counter and a histogram once."""

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=60_000)])
meter = provider.get_meter("client")
meter.create_counter("client.orders").add(3)
meter.create_histogram("client.duration", unit="s").record(0.25)
provider.shutdown()
