"""The OpenTelemetry SDKs for Python and Node send requests that helpers/signing signs, to the function behind a front that verifies signatures
as a Function URL of type AWS_IAM and as VPC Lattice do."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import BINARY, ROOT, Stack, settings

from demo import ecs
from demo.function_url import http_response
from demo.peers import Peers, function, moto, post, prometheus, query, wait_for

sys.path.append(str(ROOT / "tests" / "helpers"))

from signature import LATTICE, SignedReceiver, TaskCredentials  # noqa: E402
from standin import Recorded, Reply, running  # noqa: E402

HERE = Path(__file__).parent
SIGNING = ROOT / "helpers" / "signing"
NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"
ROLE = "arn:aws:sts::123456789012:assumed-role/cart/0123456789abcdef0123456789abcdef"
PYTHON = [sys.executable, str(HERE / "signed_client.py")]
NODE = ["node", "--require", str(SIGNING / "sidecarless-signing.cjs"), str(HERE / "node" / "signed.cjs")]
CLIENTS = {
    "python-session": [*PYTHON, "session"], "python-register": [*PYTHON, "register"], "node-proto": [*NODE, "proto"], "node-json": [*NODE, "json"],
}


class Front(SignedReceiver):
    """Invokes the function with the event of an accepted request."""

    def __init__(self, role: TaskCredentials, service: str, invoke_url: str) -> None:
        super().__init__(role.known, service)
        self.invoke_url = invoke_url

    def accept(self, request: Recorded) -> Reply:
        event = lattice_event(request) if self.service == LATTICE else url_event(request, self.keys[-1])
        status, _, response = post(self.invoke_url, json.dumps(event).encode())
        assert status == 200, response
        status, headers, body = http_response(json.loads(response))
        headers.pop("content-length", None)
        return Reply(status, body, headers)


def url_event(request: Recorded, key: str) -> dict[str, Any]:
    """Event of a Function URL of type AWS_IAM (AWS Lambda Developer Guide, "Invoking Lambda function URLs")."""
    iam = {
        "accessKey": key, "accountId": "123456789012", "callerId": f"AROAEXAMPLE:{ROLE.rsplit('/', 1)[-1]}", "cognitoIdentity": None,
        "principalOrgId": "o-example", "userArn": ROLE, "userId": f"AROAEXAMPLE:{ROLE.rsplit('/', 1)[-1]}",
    }
    http = {"method": request.method, "path": request.path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""}
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": request.path, "rawQueryString": "", "headers": request.headers,
        "requestContext": {"accountId": "123456789012", "authorizer": {"iam": iam}, "http": http, "stage": "$default", "timeEpoch": int(time.time() * 1000)},
        "body": base64.b64encode(request.body).decode(), "isBase64Encoded": True,
    }


def lattice_event(request: Recorded) -> dict[str, Any]:
    """Event of VPC Lattice, version 2.0 (VPC Lattice User Guide, "Lambda functions as targets")."""
    identity = {"type": "AWS_IAM", "principal": ROLE, "sessionName": ROLE.rsplit("/", 1)[-1], "sourceVpcArn": "arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-1"}
    arn = "arn:aws:vpc-lattice:eu-west-1:123456789012"
    return {
        "version": "2.0", "path": request.path, "method": request.method, "headers": {name: [value] for name, value in request.headers.items()},
        "requestContext": {
            "serviceNetworkArn": f"{arn}:servicenetwork/sn-1", "serviceArn": f"{arn}:service/svc-1", "identity": identity, "region": "eu-west-1",
            "timeEpoch": str(int(time.time() * 1_000_000)),
        },
        "body": base64.b64encode(request.body).decode(), "isBase64Encoded": True,
    }


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A function that requires IAM."""
    with Peers(tmp_path_factory.mktemp("signed")) as peers:
        amp, aws = prometheus(peers), moto(peers)
        url = function(peers, BINARY, {**settings(f"{amp}/api/v1/write", aws), "SIDECARLESS_AUTH": "iam"})
        yield Stack(peers, amp, aws, url)


def run(client: str, url: str, service: str, role: TaskCredentials, **variables: str) -> subprocess.CompletedProcess[str]:
    if client.startswith("node") and not (shutil.which("node") and NODE_MODULES.is_dir()):
        pytest.skip("the OpenTelemetry SDK for Node is not installed")
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(SIGNING), "NODE_PATH": str(NODE_MODULES), "NO_PROXY": "*",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_LOGS_EXPORTER": "none",
        "OTEL_RESOURCE_ATTRIBUTES": f"service.name=signed-{client}-{service}", "AWS_SIGV4_SERVICE": service, **role.variables, **variables,
    }
    ran = subprocess.run(CLIENTS[client], env=environment, capture_output=True, text=True, timeout=90)
    assert ran.returncode == 0, ran.stderr
    return ran


@pytest.mark.parametrize("service", ["lambda", LATTICE])
@pytest.mark.parametrize("client", CLIENTS)
def test_signed_exports_arrive(signed: Stack, client: str, service: str) -> None:
    role = TaskCredentials(token="an authorization token")
    front = Front(role, service, signed.peers.invoke_url)
    with running(role, front):
        ran = run(client, front.url, service, role)
    assert front.refused == [] and sorted(request.path for request in front.requests) == ["/v1/metrics", "/v1/traces"], ran.stderr
    assert {request.status for request in front.requests} == {200}
    assert {request.headers["content-encoding"] for request in front.requests} == {"gzip"}
    (document,) = wait_for("the span in X-Ray", lambda: ecs.trace_documents(signed.aws, ran.stdout.strip()))
    assert document["name"] == "signed"
    promql = f'signed_orders_total{{job="signed-{client}-{service}"}}'
    (series,) = wait_for(promql, lambda: query(signed.amp, promql))
    assert series["value"][1] == "3"
    print(f"\nshow: {client}, signed for {service}: a span in X-Ray and a counter in Prometheus", end="")


@pytest.mark.parametrize("client", ["python-session", "node-proto"])
def test_exports_with_a_wrong_signature_are_refused(signed: Stack, client: str) -> None:
    role = TaskCredentials()
    front = Front(role, "lambda", signed.peers.invoke_url)
    key = {"AWS_ACCESS_KEY_ID": "ASIA0000000000000000", "AWS_SECRET_ACCESS_KEY": "wrong", "AWS_SESSION_TOKEN": "token-0="}
    with running(role, front):
        # Makes the key known.
        role.reply(Recorded("GET", "/v2/credentials/role", {}, b""))
        run(client, front.url, "lambda", role, AWS_REGION="eu-west-2")
        run(client, front.url, "lambda", role, **key)
        run(client, front.url, LATTICE, role)
    assert set(front.refused) == {"signed for lambda in eu-west-2", "the signature is wrong", f"signed for {LATTICE} in eu-west-1"}
    assert {request.status for request in front.requests} == {403}


def test_function_refuses_a_request_without_a_caller(signed: Stack) -> None:
    assert signed.push("/v1/traces", b"")[0] == 401
