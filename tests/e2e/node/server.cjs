// A Node HTTP service with the unmodified OpenTelemetry SDK. It calls AWS and the next service, and responds.
// usage: node server.cjs PORT NEXT_URL AWS_URL proto|json
const [port, next, aws, encoding] = process.argv.slice(2);
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { AwsInstrumentation } = require("@opentelemetry/instrumentation-aws-sdk");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const exporter = encoding === "json" ? "http" : "proto";
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${exporter}`);

const sdk = new NodeSDK({ traceExporter: new OTLPTraceExporter(), instrumentations: [new HttpInstrumentation(), new AwsInstrumentation()] });
sdk.start();

const http = require("http");
const { ListQueuesCommand, SQSClient } = require("@aws-sdk/client-sqs");
const sqs = new SQSClient({ endpoint: aws, region: "eu-west-1" });
http
  .createServer(async (request, response) => {
    await sqs.send(new ListQueuesCommand({}));
    http.get(next, (below) => {
      below.resume();
      below.on("end", () => response.end("ok"));
    });
  })
  .listen(Number(port), "127.0.0.1");
