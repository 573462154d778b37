// A Node program that samples spans by X-Ray sampling rules, with the remote sampler of OpenTelemetry.
// usage: node sampler.cjs ENDPOINT; once it has rules, prints the number of sampled spans out of 20
const { AWSXRayRemoteSampler } = require("@opentelemetry/sampler-aws-xray");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { ROOT_CONTEXT, SpanKind } = require("@opentelemetry/api");

const resource = resourceFromAttributes({ "service.name": process.env.OTEL_SERVICE_NAME });
const sampler = new AWSXRayRemoteSampler({ endpoint: process.argv[2], pollingInterval: 10, resource });
setTimeout(() => {
  const decisions = Array.from({ length: 20 }, (_, n) => sampler.shouldSample(ROOT_CONTEXT, n.toString(16).padStart(32, "1"), "GET /", SpanKind.SERVER, {}, []));
  console.log(decisions.filter(({ decision }) => decision === 2).length);
}, 2000);
// The sampler first requests sampling targets after ten seconds.
setTimeout(() => process.exit(0), 13_000);
