"""template.yaml as CloudFormation sees it: what cfn-lint and `sam validate` let pass.

Run with `pytest tests/template` where aws-sam-cli and pytest are installed.
"""

import copy
import re
from pathlib import Path

import boto3
import botocore.session
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "template.yaml").read_text()

# Actions whose API has no resource level, or none for the call that is made (Service Authorization Reference). ListTasks
# knows the container instance as a resource, but is authorized against `*` when it lists the tasks of a cluster.
WITHOUT_RESOURCE_LEVEL = {
    "ecs:ListClusters",
    "ecs:ListTasks",
    "ecs:DescribeTaskDefinition",
    "ec2:DescribeInstances",
    "xray:PutTraceSegments",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
}

# The service model that holds the operations of an IAM prefix, where its name differs.
MODELS = {"aps": "amp"}

# Actions that are no operation of the service's SDK.
NOT_IN_A_MODEL = {"aps:RemoteWrite"}


@pytest.fixture(scope="module")
def resources():
    template = copy.deepcopy(yaml_parse(SOURCE))
    # What `sam package` writes for the folder.
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/key"
    session = boto3.session.Session(region_name="us-east-1")
    translator = Translator({}, Parser(), boto_session=session)
    return translator.translate(template, {})["Resources"]


def of_type(resources, kind):
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def only(resources, kind):
    found = list(of_type(resources, kind).values())
    assert len(found) == 1, f"{kind}: {len(found)}"
    return found[0]["Properties"]


def statements(resources):
    for role in of_type(resources, "AWS::IAM::Role").values():
        for policy in role["Properties"].get("Policies", []):
            yield from policy["PolicyDocument"]["Statement"]


def actions(statement):
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def function_role(resources):
    role = resources["FunctionRole"]["Properties"]
    (policy,) = role["Policies"]
    return policy["PolicyDocument"]["Statement"]


def test_a_public_url_has_both_permissions_and_an_iam_url_neither(resources):
    permissions = [
        (p["Properties"], p.get("Condition"))
        for p in of_type(resources, "AWS::Lambda::Permission").values()
        if p["Properties"]["Principal"] == "*"
    ]
    assert sorted(p["Action"] for p, _ in permissions) == ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"]
    for properties, condition in permissions:
        assert condition == "TokenUrl"
        if properties["Action"] == "lambda:InvokeFunctionUrl":
            assert properties["FunctionUrlAuthType"] == "NONE"
        else:
            assert properties["InvokedViaFunctionUrl"] is True, "else anyone may call Invoke itself"
    assert only(resources, "AWS::Lambda::Url")["AuthType"] == {"Fn::If": ["IamUrl", "AWS_IAM", "NONE"]}
    variables = resources["Function"]["Properties"]["Environment"]["Variables"]
    assert variables["SIDECARLESS_AUTH"] == {"Ref": "UrlAuth"}


def test_the_url_and_the_setting_agree_on_who_may_push():
    template = yaml_parse(SOURCE)
    assert template["Parameters"]["UrlAuth"]["AllowedValues"] == ["token", "iam"]
    assert template["Conditions"]["IamUrl"] == {"Fn::Equals": [{"Ref": "UrlAuth"}, "iam"]}
    assert template["Conditions"]["TokenUrl"] == {"Fn::Not": [{"Condition": "IamUrl"}]}


def test_nothing_tries_a_tick_twice(resources):
    schedule = only(resources, "AWS::Scheduler::Schedule")
    assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    asynchronous = only(resources, "AWS::Lambda::EventInvokeConfig")
    assert asynchronous["MaximumRetryAttempts"] == 0
    assert asynchronous["MaximumEventAgeInSeconds"] == 60


def test_the_tick_is_what_the_function_knows_and_has_no_name_of_its_own(resources):
    schedule = only(resources, "AWS::Scheduler::Schedule")
    assert schedule["Target"]["Input"] == '{"sidecarless":"tick","at":"<aws.scheduler.scheduled-time>"}'
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert "Name" not in schedule


def test_ticks_do_not_overlap(resources):
    assert resources["Function"]["Properties"]["Timeout"] < 60


def test_a_message_stays_hidden_for_as_long_as_lambda_may_work_on_it(resources):
    timeout = resources["Function"]["Properties"]["Timeout"]
    mapping = only(resources, "AWS::Lambda::EventSourceMapping")
    window = mapping.get("MaximumBatchingWindowInSeconds", 0)
    visibility = resources["SpoolQueue"]["Properties"]["VisibilityTimeout"]
    assert visibility >= 6 * timeout + window


def test_the_spool_is_read_in_parts(resources):
    mapping = only(resources, "AWS::Lambda::EventSourceMapping")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 1000
    assert mapping["BatchSize"] * 1_048_576 < 6 * 1_000_000, "a batch of the largest messages fits an event"
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["SpoolQueue", "Arn"]}


def test_what_cannot_be_delivered_ends_in_the_dead_letter_queue_and_outlives_the_spool(resources):
    spool = resources["SpoolQueue"]["Properties"]
    assert spool["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert spool["RedrivePolicy"]["maxReceiveCount"] >= 5
    dead = resources["DeadLetterQueue"]["Properties"]
    assert dead["MessageRetentionPeriod"] > spool["MessageRetentionPeriod"]


def test_a_workspace_of_our_own_takes_samples_out_of_order_and_outlives_the_stack(resources):
    workspace = resources["Workspace"]
    assert workspace["Properties"]["WorkspaceConfiguration"]["OutOfOrderTimeWindowInSeconds"] == 3600
    assert workspace["Condition"] == "OwnWorkspace"
    assert workspace["DeletionPolicy"] == "Retain"


def test_every_action_exists(resources):
    session = botocore.session.get_session()
    known = set(session.get_available_services())
    for statement in function_role(resources):
        for action in actions(statement):
            if action in NOT_IN_A_MODEL:
                continue
            prefix, name = action.split(":")
            service = MODELS.get(prefix, prefix)
            assert service in known, action
            assert name in session.get_service_model(service).operation_names, action


def test_the_role_has_no_more_than_these_actions(resources):
    granted = sorted(action for statement in function_role(resources) for action in actions(statement))
    assert granted == sorted(
        WITHOUT_RESOURCE_LEVEL
        | {
            "ecs:DescribeTasks",
            "ecs:DescribeContainerInstances",
            "logs:FilterLogEvents",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "aps:RemoteWrite",
            "sqs:SendMessage",
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ChangeMessageVisibility",
        }
    )


def test_a_wildcard_stands_only_where_the_api_has_no_resource_level(resources):
    for statement in statements(resources):
        assert not any("*" in action for action in actions(statement)), statement
        if statement.get("Resource") == "*":
            assert set(actions(statement)) <= WITHOUT_RESOURCE_LEVEL, statement


def test_the_function_has_the_one_role_that_is_written_out(resources):
    assert resources["Function"]["Properties"]["Role"] == {"Fn::GetAtt": ["FunctionRole", "Arn"]}
    roles = of_type(resources, "AWS::IAM::Role")
    services = {
        name: [s["Principal"]["Service"] for s in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]]
        for name, role in roles.items()
    }
    assert sorted(map(str, services.values())) == ["['lambda.amazonaws.com']", "[['scheduler.amazonaws.com']]"]
    managed = resources["FunctionRole"]["Properties"]["ManagedPolicyArns"]
    assert managed["Fn::If"][0] == "InVpc" and managed["Fn::If"][2] == {"Ref": "AWS::NoValue"}


def test_every_action_says_what_it_is_for():
    lines = [line for line in SOURCE.splitlines() if re.match(r"\s+- [a-z0-9]+:[A-Z]\w+", line)]
    assert len(lines) >= 18
    for line in lines:
        assert re.search(r" # \w{3,}", line), line


def test_every_variable_is_a_setting(resources):
    table = (ROOT / "src/config/names.rs").read_text()
    settings = set(re.findall(r'const \w+: &str = "([A-Z0-9_]+)";', table))
    variables = set(resources["Function"]["Properties"]["Environment"]["Variables"])
    assert variables - settings == set(), "the function does not start with a setting it does not know"


def test_allowed_values_are_those_of_the_settings():
    table = (ROOT / "src/config/table.rs").read_text()
    parameters = yaml_parse(SOURCE)["Parameters"]
    for constant, parameter in [("AUTH", "UrlAuth"), ("STATS_NAMES", "StatsNames"), ("COMPAT", "Compat")]:
        row = re.search(rf"name: {constant},\s+values: \"([^\"]+)\",\s+default: \"([^\"]*)\"", table)
        known, default = re.findall(r"`([^`]+)`", row[1]), row[2]
        assert set(parameters[parameter]["AllowedValues"]) <= set(known), parameter
        assert parameters[parameter]["Default"] == default, parameter


def test_reserved_concurrency_leaves_room_beside_the_spool(resources):
    mapping = only(resources, "AWS::Lambda::EventSourceMapping")
    needed = mapping["ScalingConfig"]["MaximumConcurrency"] + 1
    about = yaml_parse(SOURCE)["Parameters"]["ReservedConcurrency"]["Description"]
    assert f"At least {needed}" in about


def test_alarms_watch_the_function_and_its_queues(resources):
    alarms = {a["Properties"]["MetricName"]: a["Properties"] for a in of_type(resources, "AWS::CloudWatch::Alarm").values()}
    assert set(alarms) == {
        "Errors",
        "Throttles",
        "Invocations",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateAgeOfOldestMessage",
    }
    silent = alarms["Invocations"]
    assert silent["TreatMissingData"] == "breaching", "a function that is not invoked has no data"
    assert silent["Period"] * silent["EvaluationPeriods"] == 300
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}, name


def test_the_block_to_paste_is_one_that_sdks_read():
    for name in ["OtelEnvironmentToken", "OtelEnvironmentIam"]:
        block = yaml_parse(SOURCE)["Outputs"][name]["Value"]["Fn::Sub"]
        lines = dict(line.split("=", 1) for line in block.splitlines())
        assert lines["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
        assert lines["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] == "cumulative"
        assert int(lines["OTEL_EXPORTER_OTLP_TIMEOUT"]) >= 5000, "a cold start and a call to X-Ray fit"
        assert (" " in block) is False, "SDKs take header values percent-encoded"
    assert "Authorization=Bearer%20TOKEN" in SOURCE
