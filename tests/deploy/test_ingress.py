"""Tests of a stack of the plain template, whose requests come through an internal load balancer, and then through none."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from conftest import Deployed
from test_deployment import show

from demo import ecs
from demo.events import TRACE_ID, traces
from demo.peers import ACCOUNT, REGION, post, wait_for

STACK = "private"


@dataclass
class Private:
    """A stack without a URL."""

    url: str
    token: str
    parameters: dict[str, str]
    outputs: dict[str, str]


@pytest.fixture(scope="module")
def private(deployed: Deployed) -> Iterator[Private]:
    account, token = deployed.account, secrets.token_urlsafe(32)
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number}.0/24")["Subnet"]["SubnetId"] for number in (1, 2)]
    group = ec2.create_security_group(GroupName="tasks", Description="tasks", VpcId=vpc)["GroupId"]
    parameters = {
        "KmsKeyArn": account.client("kms").create_key()["KeyMetadata"]["Arn"],
        "LogLevel": "DEBUG",
        "Ingress": "alb",
        "LoadBalancerSubnetIds": ",".join(subnets),
        "LoadBalancerSecurityGroupIds": group,
        "TokensSha256": hashlib.sha256(token.encode()).hexdigest(),
        "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
        "RemoteWriteUrl": f"{deployed.amp}/workspaces/ws-private/api/v1/remote_write",
        "WorkspaceArn": f"arn:aws:aps:{REGION}:{ACCOUNT}:workspace/ws-private",
        "LoadRules": "off",
        "Sources": "push",
        "CloudWatchInterval": "off",
    }
    outputs = account.deploy_plain(STACK, parameters)
    account.set_variables(account.resources(STACK)["Function"], {"AWS_ENDPOINT_URL": deployed.moto, "AWS_ENDPOINT_URL_SQS": account.base})
    # MiniStack does not register the targets of a target group that CloudFormation creates. tests/template checks them.
    resources = account.resources(STACK)
    arn = account.client("lambda").get_function_configuration(FunctionName=resources["Function"])["FunctionArn"]
    account.client("elbv2").register_targets(TargetGroupArn=resources["LoadBalancerTargetGroup"], Targets=[{"Id": arn}])
    (balancer,) = account.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert balancer["Scheme"] == "internal" and balancer["DNSName"] in outputs["OtlpEndpoint"]
    # Its DNS name does not resolve: use the path of MiniStack.
    yield Private(f"{account.base}/_alb/{balancer['LoadBalancerName']}/", token, parameters, outputs)
    account.client("cloudformation").delete_stack(StackName=STACK)


def test_load_balancer_delivers_spans(deployed: Deployed, private: Private) -> None:
    trace_id, headers = secrets.token_hex(16), {"content-type": "application/x-protobuf"}
    body = traces().replace(TRACE_ID, bytes.fromhex(trace_id))
    for token, status in [("guessed", 401), (private.token, 200)]:
        assert post(f"{private.url}v1/traces", body, headers | {"authorization": f"Bearer {token}"})[0] == status
    documents = wait_for("the trace in X-Ray", lambda: ecs.trace_documents(deployed.moto, trace_id))
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={private.outputs['OtlpEndpoint']}\n" in private.outputs["OtelEnvironmentToken"]
    show(f"plain template without build tools: {len(deployed.account.resources(STACK))} resources deployed")
    show(f"delivered through the load balancer: {len(documents)} segments")


def test_load_balancer_may_invoke_only_this_function(deployed: Deployed, private: Private) -> None:
    function = deployed.account.resources(STACK)["Function"]
    policy = json.loads(deployed.account.client("lambda").get_policy(FunctionName=function)["Policy"])
    principals = [statement["Principal"] for statement in policy["Statement"]]
    assert principals == [{"Service": "elasticloadbalancing.amazonaws.com"}]


def test_key_and_log_level_apply_to_the_stack(deployed: Deployed, private: Private) -> None:
    account, key = deployed.account, private.parameters["KmsKeyArn"]
    resources = account.resources(STACK)
    function = account.client("lambda").get_function_configuration(FunctionName=resources["Function"])
    # MiniStack ignores the key of a function and the permissions boundary of a role.
    assert function["LoggingConfig"]["ApplicationLogLevel"] == "DEBUG"
    for queue in ("SpoolQueue", "DeadLetterQueue"):
        attributes = account.client("sqs").get_queue_attributes(QueueUrl=resources[queue], AttributeNames=["All"])["Attributes"]
        assert attributes["KmsMasterKeyId"] == key
    (group,) = account.client("logs").describe_log_groups(logGroupNamePrefix=resources["LogGroup"])["logGroups"]
    assert group["kmsKeyId"] == key


def test_update_to_none_removes_the_endpoint(deployed: Deployed, private: Private) -> None:
    outputs = deployed.account.deploy_plain(STACK, private.parameters | {"Ingress": "none"}, update=True)
    assert not {"OtlpEndpoint", "OtelEnvironmentToken", "OtelEnvironmentIam"} & set(outputs)
    assert deployed.account.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    kinds = [name for name in deployed.account.resources(STACK) if name.startswith(("Url", "LoadBalancer", "Lattice"))]
    assert kinds == []
    show(f"updated to Ingress=none: {len(deployed.account.resources(STACK))} resources, no endpoint")


def lattice_event(body: bytes, identity: dict[str, str]) -> dict[str, object]:
    """An event of version 2 (Amazon VPC Lattice User Guide, "Lambda functions as targets in VPC Lattice")."""
    account = f"arn:aws:vpc-lattice:{REGION}:{ACCOUNT}"
    return {
        "version": "2.0", "path": "/v1/traces", "method": "POST", "isBase64Encoded": True, "body": base64.b64encode(body).decode(),
        "headers": {"content-type": ["application/x-protobuf"], "host": ["svc.example.vpc-lattice-svcs.eu-west-1.on.aws"]},
        "requestContext": {
            "serviceNetworkArn": f"{account}:servicenetwork/sn-0bf3f2882e9cc805a", "serviceArn": f"{account}:service/svc-0a40eebed65f8d69c",
            "targetGroupArn": f"{account}:targetgroup/tg-6d0ecf831eec9f09", "region": REGION, "timeEpoch": "1795390199177430",
            "identity": {"sourceVpcArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-0b8276c84697e7339", **identity},
        },
    }


def test_event_of_vpc_lattice_needs_a_caller(deployed: Deployed, private: Private) -> None:
    """MiniStack has no VPC Lattice, so its events are sent to the function."""
    name, functions = deployed.account.resources(STACK)["Function"], deployed.account.client("lambda")
    deployed.account.set_variables(name, {"SIDECARLESS_AUTH": "iam"})
    trace_id = secrets.token_hex(16)
    body = traces().replace(TRACE_ID, bytes.fromhex(trace_id))
    signed = {"type": "AWS_IAM", "principal": f"arn:aws:sts::{ACCOUNT}:assumed-role/checkout/0123456789abcdef"}
    for identity, status in [({}, 401), (signed, 200)]:
        response = functions.invoke(FunctionName=name, Payload=json.dumps(lattice_event(body, identity)).encode())
        assert json.loads(response["Payload"].read())["statusCode"] == status, identity
    documents = wait_for("the trace in X-Ray", lambda: ecs.trace_documents(deployed.moto, trace_id))
    show(f"delivered from an event of VPC Lattice: {len(documents)} segments")
