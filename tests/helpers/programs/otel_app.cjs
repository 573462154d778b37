// An application with the OpenTelemetry SDK that exports the gauges until its standard input ends: INTERVAL.
'use strict';

const { NodeSDK } = require('@opentelemetry/sdk-node');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');

const helper = require(`${process.env.HELPERS}/sidecarless-otel.cjs`);
const { OTLPMetricExporter } = require('@opentelemetry/exporter-metrics-otlp-proto');
const { PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');

const interval = Number(process.argv[2]) * 1000;
const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: interval, exportTimeoutMillis: interval });
const sdk = new NodeSDK({ metricReaders: [reader], instrumentations: [new HttpInstrumentation(), helper.instrumentation()] });
sdk.start();
console.log('started');
process.stdin.on('end', async () => {
  await sdk.shutdown();
  console.log('finished');
}).resume();
