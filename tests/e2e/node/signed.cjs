// A Node program that exports a span and a counter with the OpenTelemetry SDK. It prints the trace ID.
// usage: node --require helpers/signing/sidecarless-signing.cjs signed.cjs proto|json
const exporter = process.argv[2] === "json" ? "http" : "proto";
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${exporter}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${exporter}`);
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { metrics, trace } = require("@opentelemetry/api");

const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 60_000 });
const sdk = new NodeSDK({ traceExporter: new OTLPTraceExporter(), metricReaders: [reader] });
sdk.start();
const span = trace.getTracer("signed").startSpan("signed");
metrics.getMeter("signed").createCounter("signed.orders").add(3);
span.end();
// A refused export rejects the promise.
sdk.shutdown().catch(console.error).then(() => console.log(span.spanContext().traceId));
