// An HTTP service in Node with the stock OpenTelemetry SDK: it asks the next service, and answers.
// usage: node server.cjs PORT NEXT_URL proto|json
const [port, next, encoding] = process.argv.slice(2);
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const exporter = encoding === "json" ? "http" : "proto";
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${exporter}`);

const sdk = new NodeSDK({ traceExporter: new OTLPTraceExporter(), instrumentations: [new HttpInstrumentation()] });
sdk.start();

const http = require("http");
http
  .createServer((request, response) => {
    http.get(next, (below) => {
      below.resume();
      below.on("end", () => response.end("ok"));
    });
  })
  .listen(Number(port), "127.0.0.1");
