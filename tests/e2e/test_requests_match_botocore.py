"""Every request to ECS, EC2, CloudWatch, CloudWatch Logs, SQS, STS and X-Ray satisfies the service model of botocore.

The function and the command line call moto through a proxy that records the requests. moto ignores what it does not know, so the
requests are compared with the models as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import botocore
import botocore.retries.standard as retries
import pytest
from aws_proxy import REMOTE_WRITE, AwsProxy, Call, Fault
from botocore_models import NOT_IN_A_MODEL, SERVICES, called_operations, error_codes, operation, parameters, problems
from conftest import BINARY, CLI, ROOT, TOKEN, settings
from test_broken_bodies import gauge

from demo import ecs
from demo.events import traces
from demo.peers import ACCOUNT, CREDENTIALS, REGION, Peers, function, moto, post

ERROR_CODES = json.loads((ROOT / "tests/data/aws_error_codes.json").read_text())


def record_calls(folder: Path) -> list[Call]:
    with Peers(folder) as peers:
        aws = moto(peers)
        create_tasks(aws)
        with AwsProxy(aws) as proxy:
            queues = create_queues(aws)
            variables = settings(proxy.url + REMOTE_WRITE, proxy.url) | {
                "SIDECARLESS_SPOOL_QUEUE_URL": queues[0], "SIDECARLESS_TAG_LABELS": "team,cluster.env", "SIDECARLESS_MAX_SAMPLE_AGE": "off",
                "SIDECARLESS_SCRAPE_INTERVAL": "30s", "SIDECARLESS_AMP_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/writer",
                "SIDECARLESS_AMP_EXTERNAL_ID": "shop",
            }
            url = function(peers, BINARY, variables)
            call_all(peers, proxy, url)
            redrive(proxy, variables)
            read_cloudwatch(aws, variables)
            return proxy.calls


def create_tasks(aws: str) -> None:
    """Two tasks: on Fargate, and on an EC2 host. Their cluster sends Container Insights events."""
    ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER, tags=[{"key": "env", "value": "test"}])
    task = ecs.new_task("cart", "127.0.5.1")
    ecs.run_task(aws, task, ecs.stats_labels(task.stats_port), {"team": "a"})
    ec2 = ecs.client("ec2", aws)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    (host,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    document = {"region": REGION, "instanceId": host["InstanceId"], "accountId": ACCOUNT}
    ecs.client("ecs", aws).register_container_instance(cluster=ecs.CLUSTER, instanceIdentityDocument=json.dumps(document))
    on_host = ecs.new_task("basket", "127.0.5.2", launch_type="EC2")
    ecs.register_task_definition(aws, on_host, "host", ecs.stats_labels(on_host.stats_port), [{"containerPort": on_host.stats_port}])
    ecs.start_task(aws, on_host, {"demo-host-port": str(on_host.stats_port)})
    ecs.client("logs", aws).create_log_group(logGroupName=f"/aws/ecs/containerinsights/{ecs.CLUSTER}/performance")


def create_queues(aws: str) -> tuple[str, str]:
    sqs = ecs.client("sqs", aws)
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 10})
    spool = sqs.create_queue(QueueName="spool", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    message = {"sidecarless": "spool", "v": 1, "destination": "amp", "error": "503", "first_attempt_ms": 1, "items": 1, "data": "AA=="}
    sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(message))
    return spool, dead


def call_all(peers: Peers, proxy: AwsProxy, url: str) -> None:
    invoke = lambda event: json.loads(post(peers.invoke_url, json.dumps(event).encode())[2])  # noqa: E731
    headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {TOKEN}"}
    assert invoke({"sidecarless": "scrape"})["shards_sent"] > 0
    assert post(f"{url}/v1/traces", traces(), headers)[0] == 200
    rules = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    assert post(f"{url}/GetSamplingRules", b"{}", rules)[0] == 200
    statistics = {"RuleName": "Default", "ClientID": "0" * 24, "Timestamp": time.time(), "RequestCount": 1, "SampledCount": 1, "BorrowCount": 0}
    targets = json.dumps({"SamplingStatisticsDocuments": [statistics]}).encode()
    assert post(f"{url}/SamplingTargets", targets, rules)[0] == 200
    assert invoke({"sidecarless": "check"})
    proxy.faults = {"aps": Fault(503)}
    assert post(f"{url}/v1/metrics", gauge("shelf", 1), headers)[0] == 200, "spooled"
    spooled = [call for call in proxy.calls if call.operation == "SendMessage"][-1]
    record = {"messageId": "m", "receiptHandle": "handle", "body": parameters(spooled)["MessageBody"], "eventSource": "aws:sqs"}
    assert len(invoke({"Records": [record]})["batchItemFailures"]) == 1, "deferred"
    proxy.faults = {}


def redrive(proxy: AwsProxy, variables: dict[str, str]) -> None:
    env = os.environ | CREDENTIALS | variables | {"AWS_REGION": REGION}
    ran = subprocess.run([str(CLI), "redrive"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "moved to the spool: 1" in ran.stdout, ran.stderr


def read_cloudwatch(aws: str, variables: dict[str, str]) -> None:
    """Runs once with a service that has no stats source."""
    ecs.run_task(aws, ecs.new_task("pricing", "127.0.5.3"), {})
    env = os.environ | CREDENTIALS | variables | {"AWS_REGION": REGION, "SIDECARLESS_SOURCES": "endpoint", "SIDECARLESS_CLOUDWATCH_INTERVAL": "1"}
    command = [str(CLI), "invoke", str(ROOT / "events/scheduled-run.json")]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(ran.stdout)["cloudwatch_metrics"] == 2, ran.stderr


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    recorded = record_calls(tmp_path_factory.mktemp("calls"))
    return [call for call in recorded if call.service != "aps" and call.path not in NOT_IN_A_MODEL]


def test_every_request_satisfies_its_model(calls: list[Call]) -> None:
    assert {call.service for call in calls} <= set(SERVICES), "a service without a model"
    found = [problem for call in calls for problem in problems(call)]
    assert not found, "\n".join(found)
    names = Counter(f"{call.service}:{operation(call).name}" for call in calls)
    print(f"\nshow: {len(calls)} requests satisfy the models of botocore {botocore.__version__}: {', '.join(sorted(names))}", end="")


def test_every_operation_of_the_source_code_is_called(calls: list[Call]) -> None:
    recorded = {(call.service, operation(call).name) for call in calls}
    called = {(service, name) for service, names in called_operations().items() for name in names}
    assert len(called) > 15
    assert called == recorded


def changed(call: Call, **members: Any) -> Call:
    """Returns a call with other members; None removes one."""
    value = {name: member for name, member in (json.loads(call.body) | members).items() if member is not None}
    return Call(call.path, call.headers, json.dumps(value).encode())


@pytest.mark.parametrize(
    ("operation_name", "members", "problem"),
    [
        ("DescribeTasks", {"tasks": None}, 'Missing required parameter in input: "tasks"'),
        ("DescribeTasks", {"taskArns": []}, 'Unknown parameter in input: "taskArns"'),
        ("DescribeTasks", {"tasks": "t1"}, "Invalid type for parameter tasks"),
        ("DescribeTasks", {"include": ["LABELS"]}, "which is none of ['TAGS']"),
        ("GetMetricData", {"StartTime": None}, 'Missing required parameter in input: "StartTime"'),
        ("GetMetricData", {"ScanBy": "Ascending"}, "which is none of ['TimestampDescending', 'TimestampAscending']"),
        ("FilterLogEvents", {"limit": 10_001}, ".limit is larger than 10000"),
    ],
)
def test_other_requests_do_not_satisfy_their_model(calls: list[Call], operation_name: str, members: dict[str, Any], problem: str) -> None:
    call = next(call for call in calls if call.operation == operation_name)
    assert problem in "".join(problems(changed(call, **members)))


def test_unknown_fields_of_a_form_are_found(calls: list[Call]) -> None:
    call = next(call for call in calls if call.service == "ec2")
    with pytest.raises(AssertionError, match="has no parameters"):
        problems(Call(call.path, call.headers, call.body + b"&Filters.1.Name=x"))


def test_list_of_error_codes_is_complete() -> None:
    """tests/aws_errors.rs compares the classes with src/aws/error.rs."""
    modeled = {code for service, names in called_operations().items() for name in names for code in error_codes(service, name)}
    assert set(ERROR_CODES["modeled"]) == modeled, f"botocore {botocore.__version__}"
    throttled = set(retries.ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
    assert set(ERROR_CODES["throttled"]) == throttled
    assert {code for code, kind in ERROR_CODES["modeled"].items() if kind == "Throttled"} >= throttled & modeled
