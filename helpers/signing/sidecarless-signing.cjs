/**
 * Signs requests to sidecarless with the credentials of the task role, for Ingress=url-iam and Ingress=lattice.
 *
 *     require('./sidecarless-signing.cjs');
 *
 * or NODE_OPTIONS="--require ./sidecarless-signing.cjs". Signs every request of the modules `http` and `https` to the hosts of
 * OTEL_EXPORTER_OTLP_ENDPOINT and SIDECARLESS_URL. Node 18.17 or later, no dependency. helpers/signing/README.md describes the variables.
 */
'use strict';

const crypto = require('crypto');
const http = require('http');

// Host names of Function URLs and of VPC Lattice services.
const HOST = /\.(lambda-url|vpc-lattice-svcs)\.([a-z0-9-]+)\.on\.aws(:\d+)?$/;
// Credentials are replaced this long before they expire.
const REFRESH_MS = 300_000;
const CREDENTIALS_TIMEOUT_MS = 3_000;

const hosts = [process.env.OTEL_EXPORTER_OTLP_ENDPOINT, process.env.SIDECARLESS_URL]
  .filter((url) => url && URL.canParse(url))
  .map((url) => new URL(url).host);

const addRequest = http.Agent.prototype.addRequest;
let credentials = taskCredentials;

/** Replaces the credentials of the task role by those that a function returns, such as a provider of the AWS SDK. */
exports.useCredentials = (provider) => {
  credentials = provider;
};

http.Agent.prototype.addRequest = function (request, ...others) {
  const host = String(request.getHeader('host') || '');
  if (!hosts.includes(host) || request.headersSent) return addRequest.call(this, request, ...others);
  // The signature contains a digest of the body, so the request starts when its body ends.
  const { write, end } = request;
  const chunks = [];
  const keep = (chunk, encoding) => {
    if (chunk && typeof chunk !== 'function') chunks.push(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : Buffer.from(chunk));
  };
  request.write = (chunk, encoding, callback) => {
    keep(chunk, typeof encoding === 'string' ? encoding : undefined);
    const written = typeof encoding === 'function' ? encoding : callback;
    if (written) process.nextTick(written);
    return true;
  };
  request.end = (chunk, encoding, callback) => {
    keep(chunk, typeof encoding === 'string' ? encoding : undefined);
    const ended = [chunk, encoding, callback].find((argument) => typeof argument === 'function');
    const body = Buffer.concat(chunks);
    Object.assign(request, { write, end });
    const start = (found) => {
      if (request.destroyed) return;
      const headers = signature(request.method, request.path, host, body, found);
      for (const [name, value] of Object.entries(headers)) request.setHeader(name, value);
      addRequest.call(this, request, ...others);
      end.call(request, body, ended);
    };
    // Without a socket, a request does not emit its error itself.
    const fail = (error) => request.destroyed || (request.destroy(), request.emit('error', error));
    Promise.resolve().then(credentials).then(start).catch(fail);
    return request;
  };
};

/** Returns the headers that sign a request (AWS IAM User Guide, "Create a signed AWS API request"). */
function signature(method, target, host, body, found, now = new Date()) {
  const [service, region] = scope(host);
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const date = time.slice(0, 8);
  // VPC Lattice does not support signed payloads, and Lambda requires them.
  const digest = service === 'vpc-lattice-svcs' ? 'UNSIGNED-PAYLOAD' : sha256(body);
  const headers = { host, 'x-amz-content-sha256': digest, 'x-amz-date': time };
  if (found.sessionToken) headers['x-amz-security-token'] = found.sessionToken;
  const [path, query = ''] = target.split('?');
  const lines = [
    method,
    '/' + path.split('/').filter(Boolean).map(encodeURIComponent).join('/'),
    query.split('&').filter(Boolean).sort().join('&'),
    ...Object.entries(headers).map(([name, value]) => `${name}:${value}`),
    '',
    Object.keys(headers).join(';'),
    digest,
  ];
  const parts = [date, region, service, 'aws4_request'];
  const text = ['AWS4-HMAC-SHA256', time, parts.join('/'), sha256(lines.join('\n'))].join('\n');
  const key = parts.reduce((secret, part) => hmac(secret, part), `AWS4${found.secretAccessKey}`);
  const credential = `Credential=${found.accessKeyId}/${parts.join('/')}`;
  headers.authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${Object.keys(headers).join(';')}, Signature=${hmac(key, text).toString('hex')}`;
  delete headers.host;
  return headers;
}

/** Returns service and region of a host. Of an own domain, they are in AWS_SIGV4_SERVICE and AWS_REGION. */
function scope(host) {
  const found = HOST.exec(host);
  if (found) return [found[1] === 'lambda-url' ? 'lambda' : found[1], found[2]];
  return [process.env.AWS_SIGV4_SERVICE || 'lambda', process.env.AWS_REGION || ''];
}

const sha256 = (data) => crypto.createHash('sha256').update(data).digest('hex');
const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();

exports.signature = signature;

let cached;

/** Returns the credentials of the task role, from the endpoint of ECS, or from the environment variables of the AWS SDKs. */
async function taskCredentials() {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: sessionToken } = process.env;
  if (accessKeyId) return { accessKeyId, secretAccessKey, sessionToken };
  if (!cached || Date.now() >= cached.refreshAt) {
    const document = await readCredentials();
    const { AccessKeyId, SecretAccessKey, Token, Expiration } = document;
    if (!AccessKeyId) throw new Error('the endpoint of ECS returned no credentials of the task role');
    const found = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token };
    cached = { found, refreshAt: Date.parse(Expiration) - REFRESH_MS };
  }
  return cached.found;
}

function readCredentials() {
  const { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: path, AWS_CONTAINER_CREDENTIALS_FULL_URI: full, AWS_CONTAINER_AUTHORIZATION_TOKEN: token } = process.env;
  if (!path && !full) throw new Error('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set, so the task has no role');
  return new Promise((resolve, reject) => {
    const options = { timeout: CREDENTIALS_TIMEOUT_MS, headers: token ? { authorization: token } : {} };
    const request = http.get(path ? `http://169.254.170.2${path}` : full, options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch (error) {
          reject(new Error(`the endpoint of ECS returned status ${response.statusCode} and no credentials`));
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error('the endpoint of ECS did not respond')));
    request.on('error', reject);
  });
}
