// A Node program with the unmodified OpenTelemetry SDK that exports a counter and a histogram once.
// usage: node metrics.cjs proto|json
const exporter = process.argv[2] === "json" ? "http" : "proto";
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${exporter}`);
const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { envDetector, resourceFromAttributes, detectResources } = require("@opentelemetry/resources");

const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 60_000 });
const resource = resourceFromAttributes({}).merge(detectResources({ detectors: [envDetector] }));
const provider = new MeterProvider({ readers: [reader], resource });
const meter = provider.getMeter("client");
meter.createCounter("client.orders").add(3);
meter.createHistogram("client.duration", { unit: "s" }).record(0.25);
provider.shutdown();
