"""MiniStack as the AWS account that template.yaml is deployed into.

MiniStack runs the function's bootstrap as a plain process in its own process group: stopping the group, as `Peers` does,
leaves none behind.

What it lacks, and what stands in for it:

- No AMP: the stack is given a workspace that exists already, which is a Prometheus.
- No X-Ray, and ECS tasks without addresses: moto has both. The function finds it by AWS_ENDPOINT_URL, which is set on the
  deployed function, since the template has no parameter for what only a test needs.
- No rule sees an event of aws.ecs, and subscription filters know no JSON patterns: the test says what it does instead.
- The host name of a Function URL leads nowhere: the same function is reached by MiniStack's path of it.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from demo.peers import CREDENTIALS, REGION, ROOT, Peers, free_port, get, wait_for

BUCKET, KEY = "deployment", "sidecarless.zip"


def ministack(peers: Peers) -> str:
    """Starts it; returns its address."""
    port = free_port()
    program = os.environ.get("MINISTACK") or str(next((ROOT / ".tools").glob("ministack-*/bin/ministack")))
    # Its own account, region and files: nothing of it is to be seen by a MiniStack of the developer's.
    env = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_REGION": REGION, "TMPDIR": str(peers.folder)}
    peers.start("ministack", [program], env)
    base = f"http://127.0.0.1:{port}"
    wait_for("MiniStack is ready", lambda: get(f"{base}/_ministack/health"), 60)
    return base


class Account:
    """Calls of the services in it."""

    def __init__(self, base: str) -> None:
        self.base = base

    def client(self, service: str) -> Any:
        keys = {name.lower(): value for name, value in CREDENTIALS.items()}
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.client(service, endpoint_url=self.base, region_name=REGION, config=config, **keys)

    def upload(self, binary: Path) -> None:
        """The zip that `sam build` and `sam package` make: one file named bootstrap that may be executed."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            bootstrap = zipfile.ZipInfo("bootstrap")
            bootstrap.external_attr = 0o755 << 16
            zipped.writestr(bootstrap, binary.read_bytes())
        s3 = self.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=archive.getvalue())

    def deploy(self, stack: str, parameters: dict[str, str]) -> dict[str, str]:
        """Creates the stack; returns its outputs."""
        self.client("cloudformation").create_stack(
            StackName=stack, TemplateBody=packaged(), Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )

        def complete() -> dict[str, Any] | None:
            seen: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
            assert not re.search("FAILED|ROLLBACK", seen["StackStatus"]), self.failures(stack)
            return seen if seen["StackStatus"] == "CREATE_COMPLETE" else None

        seen = wait_for("the stack is complete", complete)
        return {output["OutputKey"]: output["OutputValue"] for output in seen["Outputs"]}

    def failures(self, stack: str) -> list[str]:
        events = self.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
        return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed]

    def resources(self, stack: str) -> dict[str, str]:
        """Logical to physical ids of what the stack holds."""
        listed = self.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}

    def set_variables(self, function: str, variables: dict[str, str]) -> None:
        """Adds to the environment of the deployed function."""
        functions = self.client("lambda")
        given = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        functions.update_function_configuration(FunctionName=function, Environment={"Variables": given | variables})


def packaged() -> str:
    """template.yaml with the one change that `sam package` makes: code in a bucket in place of the folder."""
    template = (ROOT / "template.yaml").read_text()
    changed, changes = re.subn(r"(?m)^(\s+CodeUri:) \.$", rf"\1 s3://{BUCKET}/{KEY}", template)
    assert changes == 1, "template.yaml names the folder of its code once"
    return changed
