"""Tests of the CDK construct: its stacks are synthesized, and one is deployed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cloud import code_archive
from conftest import BINARY, CONSTRUCT, ROOT, Deployed
from test_deployment import show

from demo import ecs
from demo.events import TRACE_ID, traces
from demo.peers import ACCOUNT, REGION, post, wait_for

STACK = "from-cdk"
pytestmark = pytest.mark.skipif(not CONSTRUCT, reason="the construct is not compiled: npm is not available")


@dataclass
class Synthesized:
    """A cloud assembly."""

    folder: Path
    token: str

    def template(self, stack: str) -> dict[str, Any]:
        template: dict[str, Any] = json.loads((self.folder / f"{stack}.template.json").read_text())
        return template

    def files(self, stack: str) -> dict[str, Path]:
        """Returns the files to upload by their keys."""
        assets = json.loads((self.folder / f"{stack}.assets.json").read_text())["files"].values()
        return {
            destination["objectKey"]: self.folder / asset["source"]["path"]
            for asset in assets for destination in asset["destinations"].values()
        }


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory, deployed: Deployed) -> Synthesized:
    folder, token = tmp_path_factory.mktemp("cdk"), secrets.token_urlsafe(32)
    zip_file = folder / "function.zip"
    zip_file.write_bytes(code_archive(BINARY))
    properties = {
        "tokensSha256": hashlib.sha256(token.encode()).hexdigest(),
        "architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
        "remoteWriteUrl": f"{deployed.amp}/workspaces/ws-cdk/api/v1/remote_write",
        "workspaceArn": f"arn:aws:aps:{REGION}:{ACCOUNT}:workspace/ws-cdk",
        "loadRules": "off",
        "sources": "push",
        "cloudwatchInterval": "off",
    }
    program = ["node", str(ROOT / "tests/deploy/cdk/app.cjs"), f"{CONSTRUCT}/dist", str(zip_file), str(folder / "out"), json.dumps(properties)]
    environment = {**os.environ, "NODE_PATH": f"{CONSTRUCT}/node_modules", "CDK_DISABLE_VERSION_CHECK": "1"}
    subprocess.run(program, env=environment, check=True, timeout=120, capture_output=True)
    return Synthesized(folder / "out", token)


@pytest.fixture(scope="module")
def endpoint(deployed: Deployed, synthesized: Synthesized) -> Iterator[str]:
    account, s3 = deployed.account, deployed.account.client("s3")
    bucket = f"cdk-hnb659fds-assets-{account.client('sts').get_caller_identity()['Account']}-{REGION}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    for key, path in synthesized.files(STACK).items():
        s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    account.client("cloudformation").create_stack(
        StackName=STACK, TemplateBody=json.dumps(synthesized.template(STACK)), Capabilities=["CAPABILITY_IAM"]
    )
    outputs = account.outputs(STACK, "CREATE_COMPLETE")
    # The host name of the URL does not resolve: use the path of MiniStack.
    yield f"{account.base}/_aws/lambda-url/{outputs['Endpoint'].split('//')[1].split('.')[0]}/"
    account.client("cloudformation").delete_stack(StackName=STACK)


def test_construct_is_deployed_and_delivers_spans(deployed: Deployed, synthesized: Synthesized, endpoint: str) -> None:
    function = next(one for one in deployed.account.client("lambda").list_functions()["Functions"] if one["FunctionName"].startswith(STACK))
    deployed.account.set_variables(function["FunctionName"], {"AWS_ENDPOINT_URL": deployed.moto, "AWS_ENDPOINT_URL_SQS": deployed.account.base})
    trace_id = secrets.token_hex(16)
    headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {synthesized.token}"}
    assert post(f"{endpoint}v1/traces", traces().replace(TRACE_ID, bytes.fromhex(trace_id)), headers)[0] == 200
    documents = wait_for("the trace in X-Ray", lambda: ecs.trace_documents(deployed.moto, trace_id))
    show(f"delivered by the stack of the CDK construct: {len(documents)} segments")


def test_construct_passes_parameters_and_the_template(synthesized: Synthesized) -> None:
    template = synthesized.template("ingress-alb")
    (stack,) = [one for one in template["Resources"].values() if one["Type"] == "AWS::CloudFormation::Stack"]
    parameters = stack["Properties"]["Parameters"]
    assert {"Ingress": "alb", "LoadBalancerSubnetIds": "subnet-1,subnet-2", "MemorySize": "1024"}.items() <= parameters.items()
    assert len(parameters["Name"]) <= 64 and parameters["CodeKey"].endswith(".zip")
    templates = [path for key, path in synthesized.files("ingress-alb").items() if key.endswith(".yaml")]
    assert [path.read_text() for path in templates] == [(ROOT / "deploy/sidecarless.yaml").read_text()]


@pytest.mark.parametrize(
    ("ingress", "actions"),
    [
        ("url", []), ("alb", []), ("url-iam", ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]),
        ("lattice", ["vpc-lattice-svcs:Invoke"]),
    ],
)
def test_grant_allows_what_signed_requests_need(synthesized: Synthesized, ingress: str, actions: list[str]) -> None:
    policies = [one for one in synthesized.template(f"ingress-{ingress}")["Resources"].values() if one["Type"] == "AWS::IAM::Policy"]
    granted = [statement["Action"] for policy in policies for statement in policy["Properties"]["PolicyDocument"]["Statement"]]
    assert granted == ([actions if len(actions) > 1 else actions[0]] if actions else [])
