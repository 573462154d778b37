"""Signs requests to sidecarless with the credentials of the task role, for Ingress=url-iam and Ingress=lattice.

    import sidecarless_signing
    OTLPSpanExporter(session=sidecarless_signing.session())

Python 3.8 or later, no dependency but `requests`, which the OTLP exporters use. helpers/signing/README.md describes the variables.
"""

import datetime
import hashlib
import hmac
import json
import os
import re
import threading
import urllib.parse
import urllib.request

# Host names of Function URLs and of VPC Lattice services.
HOST = re.compile(r"\.(lambda-url|vpc-lattice-svcs)\.([a-z0-9-]+)\.on\.aws$")
# Credentials are replaced this many seconds before they expire.
REFRESH = 300
CREDENTIALS_TIMEOUT = 3


def session(credentials=None):
    """Returns a session of `requests` that signs every request. `credentials` is a function that returns key, secret and token."""
    import requests

    signed = requests.Session()
    signed.auth = _auth(credentials or TaskCredentials())
    return signed


def register(url=None, credentials=None):
    """Signs every request of `requests` in this process to the host of `url`, by default that of OTEL_EXPORTER_OTLP_ENDPOINT. For
    exporters and samplers that take no session."""
    import requests

    host = urllib.parse.urlsplit(url or os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]).netloc.rpartition("@")[2]
    sign, send = _auth(credentials or TaskCredentials()), requests.Session.send

    def signed_send(self, request, **options):
        if urllib.parse.urlsplit(request.url).netloc == host:
            sign(request)
        return send(self, request, **options)

    requests.Session.send = signed_send


def _auth(credentials):
    def sign(request):
        import requests

        try:
            found = credentials()
        except (OSError, ValueError, KeyError) as error:
            # Exporters expect errors of `requests` only.
            raise requests.ConnectionError("no credentials of the task role: %s" % error)
        request.headers.update(signature(request.method, request.url, request.body or b"", found))
        return request

    return sign


def signature(method, url, body, credentials, now=None):
    """Returns the headers that sign a request (AWS IAM User Guide, "Create a signed AWS API request")."""
    key, secret, token = credentials
    parts = urllib.parse.urlsplit(url)
    service, region = scope(parts.hostname or "")
    now = now or datetime.datetime.now(datetime.timezone.utc)
    time, date = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    # VPC Lattice does not support signed payloads, and Lambda requires them.
    body = body.encode() if isinstance(body, str) else body
    digest = "UNSIGNED-PAYLOAD" if service == "vpc-lattice-svcs" else hashlib.sha256(body).hexdigest()
    headers = {"host": parts.netloc.rpartition("@")[2], "x-amz-content-sha256": digest, "x-amz-date": time}
    if token:
        headers["x-amz-security-token"] = token
    names = ";".join(sorted(headers))
    path = "/" + "/".join(urllib.parse.quote(part, safe="") for part in parts.path.split("/") if part)
    query = "&".join(sorted(filter(None, parts.query.split("&"))))
    lines = ["%s:%s\n" % (name, headers[name]) for name in sorted(headers)]
    request = "\n".join([method, path, query, "".join(lines), names, digest])
    credential_scope = "/".join([date, region, service, "aws4_request"])
    text = "\n".join(["AWS4-HMAC-SHA256", time, credential_scope, hashlib.sha256(request.encode()).hexdigest()])
    signing_key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        signing_key = _hmac(signing_key, part)
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        key, credential_scope, names, _hmac(signing_key, text).hex(),
    )
    del headers["host"]
    return headers


def scope(host):
    """Returns service and region of a host. Of an own domain, they are in AWS_SIGV4_SERVICE and AWS_REGION."""
    found = HOST.search(host)
    if found:
        return ("lambda" if found[1] == "lambda-url" else found[1]), found[2]
    return os.environ.get("AWS_SIGV4_SERVICE", "lambda"), os.environ.get("AWS_REGION", "")


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class TaskCredentials:
    """Credentials of the task role, from the endpoint of ECS, or from the environment variables of the AWS SDKs."""

    def __init__(self):
        self.lock, self.found, self.refresh_at = threading.Lock(), None, 0

    def __call__(self):
        with self.lock:
            now = datetime.datetime.now(datetime.timezone.utc).timestamp()
            if self.found is None or now >= self.refresh_at:
                self.found, self.refresh_at = self.read()
            return self.found

    def read(self):
        if os.environ.get("AWS_ACCESS_KEY_ID"):
            names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
            return tuple(os.environ.get(name, "") for name in names), 0
        path, url = (os.environ.get("AWS_CONTAINER_CREDENTIALS_" + name) for name in ("RELATIVE_URI", "FULL_URI"))
        if not path and not url:
            raise ValueError("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set, so the task has no role")
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        request = urllib.request.Request("http://169.254.170.2" + path if path else url, headers={"Authorization": token} if token else {})
        # The endpoint is never behind the proxy of HTTP_PROXY.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=CREDENTIALS_TIMEOUT) as response:
            document = json.load(response)
        expiration = datetime.datetime.strptime(document["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
        return (document["AccessKeyId"], document["SecretAccessKey"], document.get("Token", "")), expiration.timestamp() - REFRESH
