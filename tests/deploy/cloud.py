"""MiniStack as the AWS account to which template.yaml is deployed.

MiniStack runs the function's bootstrap as a process in its process group. `Peers` stops the group, and thereby the function.

Limitations of MiniStack, and the replacements:

- No AMP: the stack uses an existing workspace, which is a Prometheus server.
- No X-Ray, and ECS tasks without addresses: moto supports both. AWS_ENDPOINT_URL is set on the deployed function, because
  the template has no parameters that only tests need.
- Rules do not match events of aws.ecs, and subscription filters do not support JSON patterns: see the tests for replacements.
- Target groups that CloudFormation creates have no targets: the test registers the function.
- The host name of a Function URL does not resolve: the tests use the MiniStack path of the function.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "deploy"))

from pack import zip_file  # noqa: E402

from demo.peers import CREDENTIALS, REGION, ROOT, Peers, free_port, get, wait_for  # noqa: E402

BUCKET, KEY, TEMPLATE_KEY, PLAIN_TEMPLATE_KEY = "deployment", "sidecarless.zip", "template.yaml", "sidecarless.yaml"


def ministack(peers: Peers) -> str:
    """Starts MiniStack and returns its address."""
    port = free_port()
    program = os.environ.get("MINISTACK") or str(next((ROOT / ".tools").glob("python-ministack/bin/ministack")))
    # Separate account, region and files, so that it does not affect a MiniStack of the developer.
    env = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_REGION": REGION, "TMPDIR": str(peers.folder)}
    peers.start("ministack", [program], env)
    base = f"http://127.0.0.1:{port}"
    wait_for("MiniStack is ready", lambda: get(f"{base}/_ministack/health"), 60)
    return base


class Account:
    """Service calls in the MiniStack account."""

    def __init__(self, base: str) -> None:
        self.base = base

    def client(self, service: str) -> Any:
        keys = {name.lower(): value for name, value in CREDENTIALS.items()}
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.client(service, endpoint_url=self.base, region_name=REGION, config=config, **keys)

    def upload(self, binary: Path) -> None:
        """Uploads what `sam deploy` uploads, the template and the code, and the plain template of a release."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=code_archive(binary))
        s3.put_object(Bucket=BUCKET, Key=TEMPLATE_KEY, Body=packaged().encode())
        s3.put_object(Bucket=BUCKET, Key=PLAIN_TEMPLATE_KEY, Body=(ROOT / "deploy" / "sidecarless.yaml").read_bytes())

    def deploy(self, stack: str, parameters: dict[str, str]) -> dict[str, str]:
        """Creates the stack of template.yaml and returns its outputs."""
        request = request_of(stack, parameters, f"{self.base}/{BUCKET}/{TEMPLATE_KEY}")
        self.client("cloudformation").create_stack(Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"], **request)
        return self.outputs(stack, "CREATE_COMPLETE")

    def deploy_plain(self, stack: str, parameters: dict[str, str], update: bool = False) -> dict[str, str]:
        """Creates or updates the stack of the plain template and returns its outputs."""
        cloudformation = self.client("cloudformation")
        code = {"CodeBucket": BUCKET, "CodeKey": KEY}
        request = request_of(stack, parameters | code, f"{self.base}/{BUCKET}/{PLAIN_TEMPLATE_KEY}")
        (cloudformation.update_stack if update else cloudformation.create_stack)(Capabilities=["CAPABILITY_IAM"], **request)
        return self.outputs(stack, "UPDATE_COMPLETE" if update else "CREATE_COMPLETE")

    def outputs(self, stack: str, status: str) -> dict[str, str]:
        """Waits for the status and returns the outputs of the stack."""

        def complete() -> dict[str, Any] | None:
            described: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
            assert not re.search("FAILED|ROLLBACK", described["StackStatus"]), self.failures(stack)
            return described if described["StackStatus"] == status else None

        described = wait_for(f"the stack is {status}", complete)
        return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

    def failures(self, stack: str) -> list[str]:
        events = self.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
        return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed]

    def resources(self, stack: str) -> dict[str, str]:
        """Returns the physical ID of each resource of the stack by its logical ID."""
        listed = self.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}

    def set_variables(self, function: str, variables: dict[str, str]) -> None:
        """Adds environment variables to the deployed function."""
        functions = self.client("lambda")
        current = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        functions.update_function_configuration(FunctionName=function, Environment={"Variables": current | variables})


def request_of(stack: str, parameters: dict[str, str], template: str) -> dict[str, Any]:
    pairs = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    return {"StackName": stack, "TemplateURL": template, "Parameters": pairs}


def code_archive(binary: Path) -> bytes:
    """Returns the zip file of a release."""
    return zip_file(binary.read_bytes(), "bootstrap")


def packaged() -> str:
    """Returns template.yaml with the change that `sam package` makes: the code is in a bucket instead of the folder."""
    template = (ROOT / "template.yaml").read_text()
    changed, changes = re.subn(r"(?m)^(\s+CodeUri:) \.$", rf"\1 s3://{BUCKET}/{KEY}", template)
    assert changes == 1, "template.yaml must contain its code folder once"
    return changed
