// A program in Node whose spans are sampled by X-Ray's rules, by OpenTelemetry's own remote sampler.
// usage: node sampler.cjs ENDPOINT; prints how many of 20 spans it sampled once it has rules, and ends when told so
const { AWSXRayRemoteSampler } = require("@opentelemetry/sampler-aws-xray");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { ROOT_CONTEXT, SpanKind } = require("@opentelemetry/api");

const resource = resourceFromAttributes({ "service.name": process.env.OTEL_SERVICE_NAME });
const sampler = new AWSXRayRemoteSampler({ endpoint: process.argv[2], pollingInterval: 10, resource });
setTimeout(() => {
  const decisions = Array.from({ length: 20 }, (_, n) => sampler.shouldSample(ROOT_CONTEXT, n.toString(16).padStart(32, "1"), "GET /", SpanKind.SERVER, {}, []));
  console.log(decisions.filter(({ decision }) => decision === 2).length);
}, 2000);
// The first look at targets is after ten seconds.
setTimeout(() => process.exit(0), 13_000);
