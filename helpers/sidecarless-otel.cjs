/*
 * Observable gauges with the task and container metrics that sidecarless writes by default, for an OpenTelemetry SDK.
 *
 *     new NodeSDK({ instrumentations: [require('./sidecarless-otel.cjs').instrumentation()] })
 *
 * or, after the start of another SDK, `require('./sidecarless-otel.cjs').register()`.
 *
 * Node 14 or later, with @opentelemetry/api 1.3 or later. helpers/README.md describes the behavior, docs/metrics.md the metrics.
 */
'use strict';

const http = require('http');
const net = require('net');
const { context, createContextKey, metrics } = require('@opentelemetry/api');

// One process of the task holds this port of the loopback address, and reports. The others try again at each collection.
const ELECTION_PORT = 23190;
const METADATA_TIMEOUT_MS = 3000;
const MIB = 1 << 20;
// The key of suppressTracing in @opentelemetry/core: the requests to the metadata endpoint are not traced.
const SUPPRESS_TRACING = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

// Without units: the function would append them to the names.
const METRICS = [
  'ecs.task.memory.usage', 'ecs.task.memory.utilized', 'ecs.task.memory.reserved',
  'ecs.task.cpu.usage.vcpu', 'ecs.task.cpu.utilized', 'ecs.task.cpu.reserved',
  'ecs.task.network.rate.rx', 'ecs.task.network.rate.tx',
  'ecs.task.storage.read_bytes', 'ecs.task.storage.write_bytes', 'container.duration',
];

const registered = new WeakSet();
let election;
let reported;

/** Registers the gauges with a meter provider, by default the global one. Does nothing outside ECS. Never throws. */
exports.register = (provider = metrics.getMeterProvider()) => {
  const metadata = process.env.ECS_CONTAINER_METADATA_URI_V4;
  if (!metadata || registered.has(provider)) return;
  registered.add(provider);
  try {
    const meter = provider.getMeter('sidecarless');
    const gauges = METRICS.map((name) => meter.createObservableGauge(name));
    meter.addBatchObservableCallback(async (result) => {
      const found = await collect(metadata).catch(report);
      for (const [name, attributes, value] of found || []) result.observe(gauges[METRICS.indexOf(name)], value, attributes);
    }, gauges);
  } catch (error) {
    report(error);
  }
};

/** Returns an instrumentation for the list of an SDK, which passes its meter provider when it starts. */
exports.instrumentation = () => ({
  instrumentationName: 'sidecarless',
  instrumentationVersion: '1',
  enable() {},
  disable() {},
  getConfig: () => ({ enabled: true }),
  setConfig() {},
  setTracerProvider() {},
  setMeterProvider: (provider) => exports.register(provider),
});

async function collect(metadata) {
  return context.with(context.active().setValue(SUPPRESS_TRACING, true), async () => {
    const text = await read(metadata + '/task');
    // Under host networking all tasks of an instance share the port, so that each process has to report.
    if (!text.includes('"NetworkMode":"host"') && !await isElected()) return [];
    return exports.series(JSON.parse(text), JSON.parse(await read(metadata + '/task/stats')));
  });
}

function isElected() {
  if (election) return true;
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy());
    // The listener stays: an error without one would end the process.
    server.on('error', () => resolve(false));
    // `exclusive`: otherwise the primary of a cluster shares the port among its workers.
    server.listen({ port: ELECTION_PORT, host: '127.0.0.1', exclusive: true }, () => {
      election = server.unref();
      resolve(true);
    });
  });
}

function read(url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false }, (response) => {
      const chunks = [];
      response.on('error', reject).on('data', (chunk) => chunks.push(chunk)).on('end', () => {
        clearTimeout(timer);
        if (response.statusCode === 200) return resolve(Buffer.concat(chunks).toString());
        reject(new Error(`status ${response.statusCode} from the metadata endpoint`));
      });
    });
    const timer = setTimeout(() => request.destroy(new Error('the metadata endpoint timed out')), METADATA_TIMEOUT_MS).unref();
    request.on('error', (error) => { clearTimeout(timer); reject(error); });
  });
}

function report(error) {
  const reason = error.message || String(error);
  if (reason === reported) return;
  reported = reason;
  console.error(`sidecarless: task stats were not read: ${reason}`);
}

/** Returns name, attributes and value of each series of both documents, as src/translate/stats computes them. */
exports.series = (task, stats) => {
  const attributes = taskAttributes(task);
  const found = [], running = [], ids = new Set(), names = new Set();
  for (const container of task.Containers || []) {
    let values = (stats || {})[container.DockerId];
    if (!values || !values.id) values = undefined;
    const id = container.DockerId, name = `${container.Name}\n${Boolean(values)}`;
    const repeatsId = Boolean(id) && ids.has(id);
    ids.add(id);
    if (['CNI_PAUSE', 'NAMESPACE_PAUSE'].includes(container.Type)) continue;
    const repeatsName = names.has(name);
    names.add(name);
    // A second container with the same name or ID does not count.
    if (repeatsId || repeatsName) continue;
    if (values) {
      running.push([container, values]);
    } else if (container.StartedAt && container.FinishedAt) {
      const begin = nanos(container.StartedAt), end = nanos(container.FinishedAt);
      if (begin === undefined || end === undefined) continue;
      found.push(['container.duration', { ...attributes, ...containerAttributes(container) }, Number(end - begin) / 1e9]);
    }
  }
  for (const [name, value] of Object.entries(taskValues(task, running))) found.push([name, attributes, value]);
  return found;
};

const sum = (list, value) => list.reduce((total, item) => total + (value(item) || 0), 0);

function taskValues(task, running) {
  const limits = task.Limits || {};
  const limit = (name) => sum(running, ([container]) => (container.Limits || {})[name]);
  const reserved = limits.CPU == null ? limit('CPU') : limits.CPU * 1024;
  const vcpu = sum(running, ([, stats]) => vcpus(stats));
  // Under awsvpc each container reports the traffic of the task.
  const networks = (task.Containers || []).flatMap((container) => container.Networks || []);
  const isShared = task.LaunchType === 'FARGATE' || networks.some((network) => network.NetworkMode === 'awsvpc');
  const rate = (name) => {
    const rates = running.map(([, stats]) => (stats.network_rate_stats || {})[name] || 0);
    return isShared ? Math.max(0, ...rates) : sum(rates, (value) => value);
  };
  return {
    'ecs.task.memory.usage': sum(running, ([, stats]) => (stats.memory_stats || {}).usage),
    'ecs.task.memory.utilized': sum(running, ([, stats]) => Math.floor(memoryInUse(stats.memory_stats || {}) / MIB)),
    'ecs.task.memory.reserved': limits.Memory == null ? limit('Memory') : limits.Memory,
    'ecs.task.cpu.usage.vcpu': vcpu,
    'ecs.task.cpu.utilized': reserved > 0 ? vcpu * 1024 : 0,
    'ecs.task.cpu.reserved': reserved,
    'ecs.task.network.rate.rx': rate('rx_bytes_per_sec'),
    'ecs.task.network.rate.tx': rate('tx_bytes_per_sec'),
    'ecs.task.storage.read_bytes': sum(running, ([, stats]) => storage(stats, 'read')),
    'ecs.task.storage.write_bytes': sum(running, ([, stats]) => storage(stats, 'write')),
  };
}

/** The page cache is `cache` under cgroup v1 and `inactive_file` under v2. */
function memoryInUse(memory) {
  const detail = memory.stats || {};
  const cache = detail.cache == null ? detail.inactive_file : detail.cache;
  return Math.max((memory.usage || 0) - (cache || 0), 0);
}

function vcpus(stats) {
  const now = (stats.cpu_stats || {}).cpu_usage, before = (stats.precpu_stats || {}).cpu_usage;
  // The first sample of a container has no previous one. After a restart the counter is lower.
  if (!now || !before || !stats.preread || stats.preread.startsWith('0001-')) return 0;
  const read = nanos(stats.read || ''), preread = nanos(stats.preread);
  if (read === undefined || preread === undefined) return 0;
  const elapsed = Number(read - preread);
  return elapsed > 0 ? Math.max((now.total_usage || 0) - (before.total_usage || 0), 0) / elapsed : 0;
}

function storage(stats, operation) {
  const entries = (stats.blkio_stats || {}).io_service_bytes_recursive || [];
  return sum(entries.filter((entry) => entry && (entry.op || '').toLowerCase() === operation), (entry) => entry.value);
}

/** Returns nanoseconds since 1970; undefined for an invalid time. */
function nanos(time) {
  const match = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/.exec(time);
  const milliseconds = match ? Date.parse(`${match[1]}T${match[2]}${match[4].toUpperCase()}`) : NaN;
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * 1000000n + BigInt((match[3] || '').padEnd(9, '0'));
}

function taskAttributes(task) {
  const arn = task.TaskARN || '', parts = arn.split(':'), last = (text) => text.slice(text.lastIndexOf('/') + 1);
  const launchType = task.LaunchType || '';
  return withoutEmpty({
    'aws.ecs.cluster.name': last(task.Cluster || ''),
    'aws.ecs.task.arn': arn,
    'aws.ecs.task.id': last(arn),
    'aws.ecs.task.family': task.Family,
    'aws.ecs.task.version': task.Revision,
    'aws.ecs.task.revision': task.Revision,
    'aws.ecs.service.name': task.ServiceName,
    'cloud.availability_zone': task.AvailabilityZone,
    'cloud.region': parts.length > 5 ? parts[3] : '',
    'cloud.account.id': parts.length > 5 ? parts[4] : '',
    'aws.ecs.task.launch_type': launchType,
    'aws.ecs.launchtype': launchType.toLowerCase(),
  });
}

function containerAttributes(container) {
  const image = (container.Image || '').split('@')[0], colon = image.lastIndexOf(':');
  // A colon before the last slash precedes the port of the registry.
  const hasTag = colon > image.lastIndexOf('/');
  return withoutEmpty({
    'container.name': container.Name,
    'container.image.name': hasTag ? image.slice(0, colon) : image,
    'container.image.tag': hasTag ? image.slice(colon + 1) : 'latest',
    'aws.ecs.container.exit_code': container.ExitCode == null ? '' : String(container.ExitCode),
  });
}

function withoutEmpty(attributes) {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value));
}
