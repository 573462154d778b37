/*
 * Sends the task metadata and task stats of the ECS task in which this process runs to sidecarless.
 *
 *     require('./sidecarless-stats.cjs').start();
 *
 * Node 14 or later, no dependency. helpers/README.md describes the environment variables and the behavior.
 */
'use strict';

const http = require('http');
const https = require('https');
const net = require('net');

// One process of the task holds this port of the loopback address, and sends. The others try again at each interval. The port is
// below the ephemeral range of Linux, so that no outgoing connection has it.
const ELECTION_PORT = 23190;
const METADATA_TIMEOUT_MS = 3000;
const PUSH_TIMEOUT_MS = 8000;
const MAX_REASON = 200;
// User name and password of a URL, also of one that was cut: a response or an error may repeat them.
const USER = /[^\s/"'<>]+@|\/\/[^\s/"'<>]*$/g;

let started = false;
let election;
let reported;

/** Sends at this interval in seconds. Does nothing outside ECS or without SIDECARLESS_URL. */
exports.start = (interval = 60) => {
  // Secrets that were stored from a file often end with a line break.
  const [metadata, url, token] = ['ECS_CONTAINER_METADATA_URI_V4', 'SIDECARLESS_URL', 'SIDECARLESS_TOKEN']
    .map((name) => (process.env[name] || '').trim());
  if (!metadata || !url || started) return;
  started = true;
  const period = Math.max(Number(interval) || 60, 1) * 1000;
  const target = url.replace(/\/+$/, '') + '/v1/ecs/task-stats';
  const run = () => push(metadata, target, token).catch(report).finally(() => setTimeout(run, period).unref());
  setTimeout(run, Math.random() * Math.min(period, 10000)).unref();
};

async function push(metadata, url, token) {
  const task = await call(metadata + '/task', { timeout: METADATA_TIMEOUT_MS });
  // Under host networking all tasks of an instance share the port, so that each process has to send.
  if (!task.includes('"NetworkMode":"host"') && !await isElected()) return;
  const stats = await call(metadata + '/task/stats', { timeout: METADATA_TIMEOUT_MS });
  const headers = { 'content-type': 'application/json', 'user-agent': 'sidecarless-stats-node' };
  if (token) headers.authorization = `Bearer ${token}`;
  await call(url, { method: 'POST', timeout: PUSH_TIMEOUT_MS, headers }, Buffer.concat([task, stats]));
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

// Not `fetch`, whose connection keeps the process alive.
function call(url, { timeout, ...options }, body) {
  return new Promise((resolve, reject) => {
    const client = url.startsWith('https:') ? https : http;
    const request = client.request(url, { agent: false, ...options }, (response) => {
      const chunks = [];
      response.on('error', reject).on('data', (chunk) => chunks.push(chunk)).on('end', () => {
        clearTimeout(timer);
        const content = Buffer.concat(chunks);
        if (response.statusCode >= 200 && response.statusCode < 300) return resolve(content);
        const reason = content.toString().replace(/\s+/g, ' ').slice(0, MAX_REASON);
        reject(new Error(`status ${response.statusCode} from ${url}: ${reason}`));
      });
    });
    const timer = setTimeout(() => request.destroy(new Error(`${url} timed out`)), timeout).unref();
    request.on('socket', (socket) => socket.unref());
    request.on('error', (error) => { clearTimeout(timer); reject(error); });
    request.end(body);
  });
}

function report(error) {
  const reason = (error.message || String(error)).replace(USER, '***@');
  if (reason === reported) return;
  reported = reason;
  console.error(`sidecarless: task stats were not sent: ${reason}`);
}
