// A Node HTTP service that calls AWS. The AWS Distro for OpenTelemetry instruments it; its own code reads the trace ID and records
// exceptions.
// usage: QUEUE_URL=... node --require @aws/aws-distro-opentelemetry-node-autoinstrumentation/register service.cjs PORT
const http = require("http");
const { trace } = require("@opentelemetry/api");
const { DynamoDBClient, GetItemCommand, PutItemCommand } = require("@aws-sdk/client-dynamodb");
const { PutObjectCommand, S3Client } = require("@aws-sdk/client-s3");
const { ReceiveMessageCommand, SendMessageCommand, SQSClient } = require("@aws-sdk/client-sqs");

const dynamodb = new DynamoDBClient({});
const s3 = new S3Client({});
const sqs = new SQSClient({});
const QueueUrl = process.env.QUEUE_URL;

function charge(number) {
  throw new RangeError(`order ${number} cannot be charged`);
}

const routes = {
  async order(number) {
    await s3.send(new PutObjectCommand({ Bucket: "orders", Key: number, Body: "{}" }));
    await dynamodb.send(new PutItemCommand({ TableName: "orders", Item: { id: { S: number } } }));
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: number }));
    await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
  },
  fail: async (number) => charge(number),
  absent: (number) => dynamodb.send(new GetItemCommand({ TableName: "absent", Key: { id: { S: number } } })),
  async health() {},
  async ready() {},
};

http
  .createServer(async (request, response) => {
    const span = trace.getActiveSpan();
    const { traceId, traceFlags } = span.spanContext();
    response.setHeader("x-trace", `${traceId}-0${traceFlags}`);
    const [, route, number] = request.url.split("/");
    try {
      await routes[route](number);
    } catch (error) {
      span.recordException(error);
      response.statusCode = 500;
    }
    response.end();
  })
  .listen(Number(process.argv[2]), "127.0.0.1");

// The distribution's handler sends what is left, and does not end the process.
process.on("SIGTERM", () => setTimeout(() => process.exit(0), 200));
