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
  let isComplete = true;
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
      continue;
    }
    isComplete = isComplete && !isRunning(container);
    if (container.StartedAt && container.FinishedAt) {
      const begin = nanos(container.StartedAt), end = nanos(container.FinishedAt);
      if (begin === undefined || end === undefined) continue;
      found.push(['container.duration', { ...attributes, ...containerAttributes(container) }, Number(end - begin) / 1e9]);
    }
  }
  for (const [name, value] of Object.entries(taskValues(task, running, isComplete))) {
    if (value !== undefined) found.push([name, attributes, value]);
  }
  return found;
};

/** Without a status, the times of a container tell. */
const isRunning = (container) => container.KnownStatus
  ? ['RUNNING', 'RESOURCES_PROVISIONED'].includes(container.KnownStatus)
  : Boolean(container.StartedAt) && !container.FinishedAt;

/** Returns a number, also from a text; undefined for any other value. */
function number(value) {
  if (typeof value === 'string' && value.trim()) value = Number(value);
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

const positive = (value) => (number(value) > 0 ? number(value) : undefined);
const sum = (list) => list.reduce((total, item) => total + item, 0);

/** A sum of which a running container lacks its part is unknown: without the part, it looks like a reset. */
function taskValues(task, running, isComplete) {
  const limits = task.Limits || {}, stats = running.map(([, values]) => values);
  const total = (values) => (values.length && isComplete && !values.includes(undefined) ? sum(values) : undefined);
  // On instances, the agent reports the least CPU shares of Linux for a container without a reservation.
  const isOnInstance = ['EC2', 'EXTERNAL', 'MANAGED_INSTANCES'].includes(task.LaunchType);
  const reserved = (key) => {
    const units = running.map(([container]) => positive((container.Limits || {})[key]));
    return sum(units.filter((value) => value && !(key === 'CPU' && isOnInstance && value === 2))) || undefined;
  };
  const vcpu = total(stats.map(vcpus));
  // Under awsvpc each container reports the traffic of the task.
  const networks = (task.Containers || []).flatMap((container) => container.Networks || []);
  const isShared = task.LaunchType === 'FARGATE' || networks.some((network) => network.NetworkMode === 'awsvpc');
  const rate = (name) => {
    const rates = stats.map((values) => number((values.network_rate_stats || {})[name]));
    const known = rates.filter((value) => value !== undefined);
    if (isShared) return known.length ? Math.max(...known) : undefined;
    return total(rates);
  };
  return {
    'ecs.task.memory.usage': total(stats.map(memoryUsage)),
    'ecs.task.memory.utilized': total(stats.map(memoryInUse)),
    'ecs.task.memory.reserved': positive(limits.Memory) ?? reserved('Memory'),
    'ecs.task.cpu.usage.vcpu': vcpu,
    'ecs.task.cpu.utilized': vcpu === undefined ? undefined : vcpu * 1024,
    'ecs.task.cpu.reserved': positive(limits.CPU) ? positive(limits.CPU) * 1024 : reserved('CPU'),
    'ecs.task.network.rate.rx': rate('rx_bytes_per_sec'),
    'ecs.task.network.rate.tx': rate('tx_bytes_per_sec'),
    'ecs.task.storage.read_bytes': total(stats.map((values) => storage(values, 'read'))),
    'ecs.task.storage.write_bytes': total(stats.map((values) => storage(values, 'write'))),
  };
}

function isWindows(stats) {
  return positive(stats.num_procs) !== undefined || 'privateworkingset' in (stats.memory_stats || {})
    || 'read_size_bytes' in (stats.storage_stats || {});
}

const memoryUsage = (stats) => number((stats.memory_stats || {})[isWindows(stats) ? 'privateworkingset' : 'usage']);

/** Returns MiB. The page cache is `cache` under cgroup v1 and `inactive_file` under v2. */
function memoryInUse(stats) {
  const usage = memoryUsage(stats), detail = (stats.memory_stats || {}).stats || {};
  if (usage === undefined) return undefined;
  const inactive = number(detail.inactive_file) || 0;
  const cache = isWindows(stats) ? 0 : number(detail.cache) ?? (inactive < usage ? inactive : 0);
  return Math.floor(Math.max(usage - cache, 0) / MIB);
}

function vcpus(stats) {
  const usage = (key) => ((stats[key] || {}).cpu_usage || {}).total_usage;
  const now = number(usage('cpu_stats')), before = positive(usage('precpu_stats'));
  const read = nanos(stats.read || ''), preread = nanos(stats.preread || '');
  // The first sample of a container has no previous one. After a restart the counter is lower.
  if (now === undefined || before === undefined || read === undefined || preread === undefined) return undefined;
  const elapsed = stats.preread.startsWith('0001-') ? 0 : Number(read - preread);
  return elapsed > 0 ? Math.max(now - before, 0) * (isWindows(stats) ? 100 : 1) / elapsed : undefined;
}

function storage(stats, operation) {
  if (isWindows(stats)) return number((stats.storage_stats || {})[`${operation}_size_bytes`]);
  const list = (stats.blkio_stats || {}).io_service_bytes_recursive;
  // Null is a container that has not used its storage.
  if (list === undefined || !(list || []).every((entry) => entry && entry.op)) return undefined;
  const values = (list || []).filter((entry) => entry.op.toLowerCase() === operation).map((entry) => number(entry.value));
  return values.includes(undefined) ? undefined : sum(values);
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
