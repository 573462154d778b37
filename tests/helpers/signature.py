"""Stand-ins of AWS for signed requests: the credentials endpoint of ECS, and a verification of signatures with the code of botocore.

Rules: AWS IAM User Guide, "Create a signed AWS API request"; VPC Lattice User Guide, "SIGv4 authenticated requests".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from datetime import datetime, timedelta, timezone

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from standin import Recorded, Reply, Standin

UNSIGNED = "UNSIGNED-PAYLOAD"
LATTICE = "vpc-lattice-svcs"
MAX_AGE = timedelta(minutes=5)
AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]*)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})")


class Refused(Exception):
    """The reason why AWS would refuse a request."""


class TaskCredentials(Standin):
    """The credentials endpoint of ECS. Each response has new credentials, which are valid for a while."""

    def __init__(self, lifetimes: list[float] | None = None, token: str = "") -> None:
        super().__init__({})
        # Seconds until the credentials of each response expire; the last one is repeated.
        self.lifetimes, self.token = lifetimes or [3600.0], token
        self.known: dict[str, Credentials] = {}

    def reply(self, request: Recorded) -> Reply:
        if request.path != "/v2/credentials/role" or request.headers.get("authorization", "") != self.token:
            return Reply(404, b"no credentials")
        number = len(self.known)
        found = Credentials(f"ASIA{number:016}", f"secret/{number}+", f"token-{number}=")
        self.known[found.access_key] = found
        lifetime = self.lifetimes[min(number, len(self.lifetimes) - 1)]
        expiration = datetime.now(timezone.utc) + timedelta(seconds=lifetime)
        document = {
            "RoleArn": "arn:aws:iam::123456789012:role/cart", "AccessKeyId": found.access_key, "SecretAccessKey": found.secret_key,
            "Token": found.token, "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return Reply(body=json.dumps(document).encode())

    @property
    def variables(self) -> dict[str, str]:
        variables = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/v2/credentials/role", "AWS_REGION": "eu-west-1"}
        return variables | ({"AWS_CONTAINER_AUTHORIZATION_TOKEN": self.token} if self.token else {})


def verify(request: Recorded, known: dict[str, Credentials], service: str, region: str = "eu-west-1", now: float | None = None) -> str:
    """Returns the access key of a request. Raises `Refused` with the reason if AWS would not accept it."""
    found = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if not found:
        raise Refused("no signature")
    key, date, signed_region, signed_service, names, signature = found.groups()
    if (signed_region, signed_service) != (region, service):
        raise Refused(f"signed for {signed_service} in {signed_region or 'no region'}")
    if key not in known or known[key].token != request.headers.get("x-amz-security-token"):
        raise Refused("unknown key or token")
    at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    if abs(at.timestamp() - (now or time.time())) > MAX_AGE.total_seconds() or not request.headers["x-amz-date"].startswith(date):
        raise Refused("expired")
    signed = names.split(";")
    if "host" not in signed or any(name.startswith("x-amz-") and name not in signed for name in request.headers):
        raise Refused("a header is not signed")
    digest = request.headers.get("x-amz-content-sha256")
    expected = UNSIGNED if service == LATTICE else hashlib.sha256(request.body).hexdigest()
    if digest != expected and (digest or service == LATTICE):
        raise Refused("the digest is not that of the body")
    if not hmac.compare_digest(signature_of(request, signed, known[key], service, region), signature):
        raise Refused("the signature is wrong")
    return key


def signature_of(request: Recorded, signed: list[str], credentials: Credentials, service: str, region: str) -> str:
    url = f"http://{request.headers['host']}{request.path}"
    headers = {name: request.headers[name] for name in signed if name != "host"}
    auth, copy = SigV4Auth(credentials, service, region), AWSRequest(request.method, url, headers, request.body)
    copy.context["timestamp"] = request.headers["x-amz-date"]
    return str(auth.signature(auth.string_to_sign(copy, auth.canonical_request(copy)), copy))


class SignedReceiver(Standin):
    """An endpoint that accepts signed requests only, as a Function URL of type AWS_IAM or a VPC Lattice service does."""

    def __init__(self, known: dict[str, Credentials], service: str = "lambda", replies: list[Reply] | None = None) -> None:
        super().__init__({})
        self.known, self.service, self.queue = known, service, replies or []
        self.keys: list[str] = []
        self.refused: list[str] = []

    def reply(self, request: Recorded) -> Reply:
        try:
            self.keys.append(verify(request, self.known, self.service))
        except Refused as refused:
            self.refused.append(str(refused))
            return Reply(403, b'{"Message":"Forbidden"}', {"content-type": "application/json"})
        return self.queue.pop(0) if self.queue else self.accept(request)

    def accept(self, request: Recorded) -> Reply:
        return Reply()
