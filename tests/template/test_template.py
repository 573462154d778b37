"""Checks of template.yaml after expansion that cfn-lint and `sam validate` do not make.

Run `pytest tests/template` in an environment with aws-sam-cli and pytest.
"""

import copy
import fnmatch
import functools
import json
import os
import re
import textwrap
from pathlib import Path

import boto3
import botocore.session
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "template.yaml").read_text()

# Actions without resource-level permissions, or without them for our call (Service Authorization Reference). ListTasks supports
# the container instance as a resource, but requires `*` to list the tasks of a cluster.
WITHOUT_RESOURCE_LEVEL = {
    "ecs:ListClusters",
    "ecs:ListTasks",
    "ecs:ListServices",
    "ecs:DescribeTaskDefinition",
    "ec2:DescribeInstances",
    "cloudwatch:GetMetricData",
    "cloudwatch:PutMetricData",
    "xray:PutTraceSegments",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutSpans",
    "xray:PutSpansForIndexing",
}

CLOUDWATCH = {"cloudwatch:GetMetricData"}

# Actions that Lambda needs for a function in a VPC (AWS Lambda Developer Guide, "Giving Lambda functions access to resources
# in an Amazon VPC", "Required IAM permissions").
NETWORK = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}

# Those without resource-level permissions (Service Authorization Reference, "Amazon EC2").
NETWORK_WITHOUT_RESOURCE_LEVEL = {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"}

# Actions without resource-level permissions that only the OTLP endpoint of X-Ray requires.
OTLP_TRACES = {"xray:PutSpans", "xray:PutSpansForIndexing"}

# Action without resource-level permissions that only the OTLP endpoint of CloudWatch requires.
OTLP_METRICS = {"cloudwatch:PutMetricData"}

# Service model of an IAM prefix, if its name differs.
MODELS = {"aps": "amp"}

# Actions that are not operations in the SDK.
NOT_IN_A_MODEL = {"aps:RemoteWrite", "lambda:InvokeFunction", *OTLP_TRACES}


@pytest.fixture(scope="module")
def resources():
    return expanded()["Resources"]


def expanded():
    return copy.deepcopy(translated())


@functools.cache
def translated():
    template = copy.deepcopy(yaml_parse(SOURCE))
    # `sam package` replaces the folder with such a URL.
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/key"
    session = boto3.session.Session(region_name="us-east-1")
    translator = Translator({}, Parser(), boto_session=session)
    return translator.translate(template, {})


def stack(**parameters):
    """Returns the resources that CloudFormation creates for these parameters. Functions that need AWS are not resolved."""
    return created("Resources", parameters)


def outputs(**parameters):
    """Returns the values of the outputs of a stack with these parameters."""
    return {name: output["Value"] for name, output in created("Outputs", parameters).items()}


def created(section, parameters):
    template = expanded()
    values = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    assert set(parameters) <= set(values), parameters
    values |= parameters | {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333", "AWS::StackName": "mine"}
    resolve = Resolve(values, template["Conditions"])
    present = {name: one for name, one in template[section].items() if resolve.is_true(one.get("Condition"))}
    return {name: resolve(one) for name, one in present.items()}


class Resolve:
    """Resolves CloudFormation functions. References that only AWS can resolve are kept."""

    def __init__(self, values, conditions):
        self.values, self.conditions = values, conditions

    def is_true(self, condition):
        return condition is None or self(self.conditions[condition])

    def __call__(self, node):
        if isinstance(node, list):
            return [item for item in map(self, node) if item != {"Ref": "AWS::NoValue"}]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, argument), = node.items()
            function = getattr(self, "of_" + name.replace("Fn::", "").lower(), None)
            if function and name[0].isupper():
                return function(argument)
        resolved = {key: self(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value != {"Ref": "AWS::NoValue"}}

    def of_ref(self, name):
        return self.values.get(name, {"Ref": name})

    def of_condition(self, name):
        return self.is_true(name) if name in self.conditions else {"Condition": name}

    def of_equals(self, sides):
        left, right = map(self, sides)
        return str(left) == str(right)

    def of_not(self, condition):
        return not self(condition[0])

    def of_and(self, conditions):
        return all(map(self, conditions))

    def of_or(self, conditions):
        return any(map(self, conditions))

    def of_eachmemberequals(self, argument):
        members, text = map(self, argument)
        return all(member == text for member in members.split(","))

    def of_if(self, argument):
        condition, then, otherwise = argument
        return self(then if self.is_true(condition) else otherwise)

    def of_join(self, argument):
        parts = self(argument[1])
        return argument[0].join(parts) if isinstance(parts, list) else parts

    def of_split(self, argument):
        return self(argument[1]).split(argument[0])

    def of_select(self, argument):
        return self(argument[1])[int(argument[0])]

    def of_sub(self, argument):
        text, local = argument if isinstance(argument, list) else (argument, {})
        variables = self.values | self(local)
        return re.sub(r"\$\{([^}!]+)\}", lambda name: str(variables.get(name[1], name[0])), text)


def of_type(resources, kind):
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def only(resources, kind):
    matches = list(of_type(resources, kind).values())
    assert len(matches) == 1, f"{kind}: {len(matches)}"
    return matches[0]["Properties"]


def statements(resources):
    for policy in of_type(resources, "AWS::IAM::Policy").values():
        yield from policy["Properties"]["PolicyDocument"]["Statement"]
    for role in of_type(resources, "AWS::IAM::Role").values():
        for policy in role["Properties"].get("Policies", []):
            yield from policy.get("Fn::If", (None, policy))[1]["PolicyDocument"]["Statement"]


def actions(statement):
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


def function_role(resources):
    return list(statements({"FunctionRole": resources["FunctionRole"]}))


def test_only_lambda_retries_events(resources):
    schedule = only(resources, "AWS::Scheduler::Schedule")
    assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    asynchronous = only(resources, "AWS::Lambda::EventInvokeConfig")
    assert asynchronous["MaximumRetryAttempts"] == 2
    assert asynchronous["MaximumEventAgeInSeconds"] == 3600, "AMP accepts samples of the last hour"


def test_retries_of_scheduled_runs_are_late():
    """EventBridge Scheduler has a precision of 60 s, and Lambda retries a run a minute after it failed."""
    delay_ms = re.search(r"const MAX_START_DELAY_MS: i64 = ([0-9_]+);", (ROOT / "src/handlers/schedule.rs").read_text())
    assert 60_000 < int(delay_ms[1]) < 120_000


def test_failed_events_go_to_the_dead_letter_queue(resources):
    asynchronous = only(resources, "AWS::Lambda::EventInvokeConfig")
    queue = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert asynchronous["DestinationConfig"]["OnFailure"]["Destination"] == queue
    (statement,) = [each for each in function_role(resources) if each["Resource"] == queue]
    assert actions(statement) == ["sqs:SendMessage"]


def test_schedule_sends_the_scrape_event_and_has_no_fixed_name(resources):
    schedule = only(resources, "AWS::Scheduler::Schedule")
    assert schedule["Target"]["Input"] == '{"sidecarless":"scrape","at":"<aws.scheduler.scheduled-time>"}'
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert "Name" not in schedule


def test_scheduled_runs_do_not_overlap(resources):
    assert resources["Function"]["Properties"]["Timeout"] < 60


def test_visibility_timeout_covers_six_function_timeouts(resources):
    timeout = resources["Function"]["Properties"]["Timeout"]
    mapping = only(resources, "AWS::Lambda::EventSourceMapping")
    window = mapping.get("MaximumBatchingWindowInSeconds", 0)
    visibility = resources["SpoolQueue"]["Properties"]["VisibilityTimeout"]
    assert visibility >= 6 * timeout + window


def test_spool_batches_support_partial_failures(resources):
    mapping = only(resources, "AWS::Lambda::EventSourceMapping")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 1000
    assert mapping["BatchSize"] * 1_048_576 < 6 * 1_000_000, "a batch of the largest messages must fit in an event"
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["SpoolQueue", "Arn"]}


def test_dead_letter_queue_retains_messages_longer_than_the_spool(resources):
    spool = resources["SpoolQueue"]["Properties"]
    assert spool["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert spool["RedrivePolicy"]["maxReceiveCount"] >= 5
    dead = resources["DeadLetterQueue"]["Properties"]
    assert dead["MessageRetentionPeriod"] > spool["MessageRetentionPeriod"]


def test_created_workspace_accepts_late_samples_and_is_retained(resources):
    workspace = resources["Workspace"]
    assert workspace["Properties"]["WorkspaceConfiguration"]["OutOfOrderTimeWindowInSeconds"] == 600
    assert workspace["Condition"] == "CreateWorkspace"
    assert workspace["DeletionPolicy"] == "RetainExceptOnCreate"


def test_every_action_exists(resources):
    session = botocore.session.get_session()
    services = set(session.get_available_services())
    for statement in statements(resources):
        for action in actions(statement):
            if action in NOT_IN_A_MODEL:
                continue
            prefix, name = action.split(":")
            service = MODELS.get(prefix, prefix)
            assert service in services, action
            assert name in session.get_service_model(service).operation_names, action


def test_function_role_has_only_these_actions():
    granted = [action for statement in function_role(stack()) for action in actions(statement)]
    repeated = [action for action in granted if granted.count(action) > 1]
    assert sorted(set(granted)) == sorted(
        WITHOUT_RESOURCE_LEVEL - OTLP_TRACES - OTLP_METRICS - CLOUDWATCH
        | {
            "ecs:DescribeTasks",
            "ecs:DescribeContainerInstances",
            "ecs:DescribeServices",
            "ecs:DescribeClusters",
            "ecs:ListContainerInstances",
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
    assert set(repeated) == {"sqs:SendMessage"}, "to the spool, and to the dead-letter queue"


def test_wildcards_are_used_only_without_resource_level_permissions(resources):
    for statement in statements(resources):
        assert not any("*" in action for action in actions(statement)), statement
        if statement.get("Resource") == "*":
            assert set(actions(statement)) <= WITHOUT_RESOURCE_LEVEL | NETWORK_WITHOUT_RESOURCE_LEVEL, statement


def test_function_uses_the_role_defined_in_the_template(resources):
    assert resources["Function"]["Properties"]["Role"] == {"Fn::GetAtt": ["FunctionRole", "Arn"]}
    roles = of_type(resources, "AWS::IAM::Role")
    services = {
        name: [s["Principal"]["Service"] for s in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]]
        for name, role in roles.items()
    }
    assert sorted(map(str, services.values())) == ["['lambda.amazonaws.com']", "[['scheduler.amazonaws.com']]"]
    assert "ManagedPolicyArns" not in resources["FunctionRole"]["Properties"], "AWS managed policies do not restrict resources"


def test_network_permissions_are_granted_only_in_a_vpc():
    inside = {"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}
    for network, granted in [({}, set()), (inside, NETWORK)]:
        resources = stack(**network)
        assert {action for each in function_role(resources) for action in actions(each)} & NETWORK == granted
        assert ("VpcConfig" in resources["Function"]["Properties"]) == bool(network)


def test_both_roles_have_the_permissions_boundary():
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    for parameters, expected in [({}, None), ({"PermissionsBoundaryArn": boundary}, boundary)]:
        roles = of_type(stack(**parameters), "AWS::IAM::Role")
        assert [role["Properties"].get("PermissionsBoundary") for role in roles.values()] == [expected] * 2


KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"


def test_key_encrypts_all_data_of_the_stack():
    with_key, without = stack(KmsKeyArn=KEY, OtlpLogs="on"), stack(OtlpLogs="on")
    properties = {
        "AWS::Lambda::Function": "KmsKeyArn", "AWS::Logs::LogGroup": "KmsKeyId", "AWS::SQS::Queue": "KmsMasterKeyId", "AWS::APS::Workspace": "KmsKeyArn",
    }
    for kind, name in properties.items():
        assert of_type(with_key, kind)
        assert {one["Properties"].get(name) for one in of_type(with_key, kind).values()} == {KEY}, kind
        assert {one["Properties"].get(name) for one in of_type(without, kind).values()} == {None}, kind
    for queue in of_type(without, "AWS::SQS::Queue").values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
    for queue in of_type(with_key, "AWS::SQS::Queue").values():
        assert "SqsManagedSseEnabled" not in queue["Properties"], "SQS accepts one of the two"


def test_key_is_used_by_the_function_only_if_set():
    for parameters, granted in [({}, set()), ({"KmsKeyArn": KEY}, {"kms:Decrypt", "kms:GenerateDataKey"})]:
        keys = [each for each in function_role(stack(**parameters)) if each["Sid"] == "Key"]
        assert {action for each in keys for action in actions(each)} == granted
        assert all(each["Resource"] == KEY for each in keys)


def test_ipv6_applies_to_the_function_and_the_load_balancer():
    network = {"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}
    for ipv6, allowed, kind in [("off", None, "ipv4"), ("on", True, "dualstack")]:
        resources = stack(Ipv6=ipv6, Ingress="alb", **network)
        assert resources["Function"]["Properties"]["VpcConfig"].get("Ipv6AllowedForDualStack") == allowed
        assert resources["LoadBalancer"]["Properties"]["IpAddressType"] == kind


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_log_level_is_that_of_lambda(level):
    """Lambda drops lines below its level, and the function reads it as AWS_LAMBDA_LOG_LEVEL."""
    function = stack(LogLevel=level)["Function"]["Properties"]
    assert function["LoggingConfig"]["ApplicationLogLevel"] == level
    assert "SIDECARLESS_LOG" not in function["Environment"]["Variables"]
    assert 'const LAMBDA_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";' in (ROOT / "src/log/mod.rs").read_text()


def test_settings_can_be_replaced_unless_their_parameter_is_set():
    """`Settings` replaces variables that have the default of their setting, and only those."""
    defaults = dict(re.findall(r'name: "(\w+)",\s+values: "[^"]*",\s+default: "([^"]*)"', settings_table()))
    variables = stack()["Function"]["Properties"]["Environment"]["Variables"]
    # What the stack creates.
    of_stack = {"AWS_PROMETHEUS_ENDPOINT", "SIDECARLESS_SPOOL_QUEUE_URL"}
    replaced = {name: value for name, value in variables.items() if name not in of_stack | ALLOCATOR}
    assert len(replaced) > 20
    assert {name: value for name, value in replaced.items() if value not in ("", defaults[name])} == {}


def test_settings_parameter_is_the_only_one_that_can_be_read():
    for parameters, expected in [({}, []), ({"SettingsParameter": "/shop/settings"}, ["arn:aws:ssm:eu-west-1:111122223333:parameter/shop/settings"])]:
        resources = stack(**parameters)
        granted = [each for each in function_role(resources) if "ssm:GetParameter" in actions(each)]
        assert [each["Resource"] for each in granted] == expected
        variable = resources["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_SETTINGS_PARAMETER"]
        assert variable == parameters.get("SettingsParameter", "")


def test_network_actions_cover_shared_subnets_and_all_interfaces():
    """Lambda needs to delete any interface of the account, and a VPC of another account can share its subnets."""
    (connect,) = [each for each in function_role(stack(SubnetIds="subnet-1", SecurityGroupIds="sg-1")) if each["Sid"] == "Connect"]
    for arn, is_allowed in [
        ("arn:aws:ec2:eu-west-1:111122223333:network-interface/*", True), ("arn:aws:ec2:eu-west-1:444455556666:subnet/subnet-1", True),
        ("arn:aws:ec2:eu-west-1:444455556666:security-group/sg-1", True), ("arn:aws:ec2:eu-west-1:444455556666:network-interface/eni-1", False),
        ("arn:aws:ec2:eu-west-2:111122223333:network-interface/eni-1", False),
    ]:
        assert any(fnmatch.fnmatchcase(arn, pattern) for pattern in connect["Resource"]) == is_allowed, arn


def test_every_action_has_a_comment():
    lines = [line for line in SOURCE.splitlines() if re.match(r"\s+- [a-z0-9]+:[A-Z]\w+", line)]
    assert len(lines) >= 18
    for line in lines:
        assert re.search(r" # \w{3,}", line), line


def settings_table() -> str:
    return "".join(path.read_text() for path in sorted((ROOT / "src/settings/table").glob("*.rs")))


# Variables of glibc: mallopt(3), and "Memory Allocation Tunables" of its manual.
ALLOCATOR = {"GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}


def test_environment_variables_are_settings(resources):
    settings = set(re.findall(r'"((?:SIDECARLESS|AWS_PROMETHEUS)_[A-Z0-9_]+)"', settings_table()))
    variables = set(resources["Function"]["Properties"]["Environment"]["Variables"])
    assert variables - settings == ALLOCATOR, "the function does not start with an unknown setting"


def test_allowed_values_match_the_settings():
    parameters = yaml_parse(SOURCE)["Parameters"]
    for setting, parameter in [
        ("SIDECARLESS_STATS_NAMES", "StatsNames"), ("SIDECARLESS_COMPAT", "Compat"),
    ]:
        row = re.search(rf"name: \"{setting}\",\s+values: \"([^\"]+)\",\s+default: \"([^\"]*)\"", settings_table())
        values, default = re.findall(r"`([^`]+)`", row[1]), row[2]
        assert set(parameters[parameter]["AllowedValues"]) <= set(values), parameter
        assert parameters[parameter]["Default"] == default, parameter


def test_reserved_concurrency_exceeds_the_spool_concurrency(resources):
    mapping = only(resources, "AWS::Lambda::EventSourceMapping")
    needed = mapping["ScalingConfig"]["MaximumConcurrency"] + 1
    description = yaml_parse(SOURCE)["Parameters"]["ReservedConcurrency"]["Description"]
    assert f"At least {needed}" in description
    default = yaml_parse(SOURCE)["Parameters"]["ReservedConcurrency"]["Default"]
    assert default >= needed + 4 and f"The default of {default} leaves at least four for requests" in description


def test_every_alarm_notifies_the_topic(resources):
    """tests/e2e/test_alarms.py causes what the alarms watch."""
    assert only(resources, "AWS::Scheduler::Schedule")["GroupName"] == {"Ref": "ScheduleGroup"}, "an alarm uses the metrics of this group"
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
        assert (alarm["Properties"]["AlarmActions"], alarm["Properties"]["OKActions"]) == (topic, topic), name


def test_alarms_are_documented(resources):
    page = (ROOT / "docs/dashboards.md").read_text().split("## CloudWatch alarms\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == set(of_type(resources, "AWS::CloudWatch::Alarm"))
    named = set(re.findall(r"`(\w+Alarm)`", "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))))
    assert named <= set(resources)


def test_insights_are_polled_without_subscription_filters():
    resources = stack()
    assert not of_type(resources, "AWS::Logs::SubscriptionFilter")
    assert "SIDECARLESS_INSIGHTS_DELAY" not in resources["Function"]["Properties"]["Environment"]["Variables"]
    assert "InsightsPermission" not in resources


@pytest.mark.parametrize("clusters", [["shop"], ["shop", "back-office"], ["a", "b", "c", "d"]])
def test_each_insights_cluster_has_a_subscription_filter(clusters):
    resources = stack(**{f"InsightsCluster{number}": cluster for number, cluster in enumerate(clusters, start=5 - len(clusters))})
    assert resources["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_INSIGHTS_DELAY"] == "off", "must not be polled as well"
    filters = [one["Properties"] for one in of_type(resources, "AWS::Logs::SubscriptionFilter").values()]
    groups = [f"/aws/ecs/containerinsights/{cluster}/performance" for cluster in clusters]
    assert sorted(one["LogGroupName"] for one in filters) == sorted(groups)
    permission = resources["InsightsPermission"]["Properties"]
    assert permission["Principal"] == "logs.amazonaws.com"
    assert permission["SourceAccount"] == "111122223333"
    for group in groups:
        arn = f"arn:aws:logs:eu-west-1:111122223333:log-group:{group}:*"
        assert fnmatch.fnmatchcase(arn, permission["SourceArn"].replace(":*", ":[*]")), "the log group must be allowed to invoke the function"
    assert not fnmatch.fnmatchcase("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/other:*", permission["SourceArn"])
    for one in of_type(resources, "AWS::Logs::SubscriptionFilter").values():
        assert one["DependsOn"] == "InsightsPermission", "CloudWatch Logs invokes the function when the filter is created"


def test_subscription_filters_use_the_pattern_of_the_function():
    pattern = re.search(r'const PATTERN: &str =\s*r#"(.*?)"#', (ROOT / "src/scrape/insights.rs").read_text(), re.S)
    filters = of_type(stack(InsightsCluster1="shop"), "AWS::Logs::SubscriptionFilter").values()
    assert [one["Properties"]["FilterPattern"] for one in filters] == [pattern[1]]


def test_stopped_tasks_are_either_received_or_polled():
    for setting, rule, polled in [("off", False, "on"), ("on", True, "off")]:
        resources = stack(TaskStateChangeEvents=setting)
        assert resources["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_STOPPED_TASKS"] == polled
        assert ("TaskStateChangeRule" in resources, "TaskStateChangePermission" in resources) == (rule, rule)


def test_rule_matches_the_sample_events_and_may_invoke_the_function():
    resources = stack(TaskStateChangeEvents="on")
    rule = resources["TaskStateChangeRule"]["Properties"]
    tasks, services = rule["EventPattern"]["$or"]
    for name, alternative in [("task-stopped", tasks), ("deployment-failed", services), ("service-action", services)]:
        sample = json.loads((ROOT / f"events/{name}.json").read_text())
        assert sample["source"] in rule["EventPattern"]["source"] and sample["detail-type"] in alternative["detail-type"]
    assert tasks["detail"] == {"lastStatus": ["STOPPED"]} and "detail" not in services
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": ["Function", "Arn"]}
    permission = resources["TaskStateChangePermission"]["Properties"]
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["TaskStateChangeRule", "Arn"]}


def test_otlp_permissions_are_granted_only_for_xray_otlp():
    for destination, granted in [("xray", set()), ("xray-otlp", OTLP_TRACES)]:
        resources = stack(TraceDestination=destination, CloudWatchInterval="off")
        policies = of_type(resources, "AWS::IAM::Policy").values()
        granted_actions = {action for one in policies for each in one["Properties"]["PolicyDocument"]["Statement"] for action in actions(each)}
        assert granted_actions == granted
        assert resources["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_TRACE_DESTINATION"] == destination


def test_put_metric_data_is_granted_only_for_cloudwatch():
    for destinations, granted in [("amp", set()), ("cloudwatch", OTLP_METRICS), ("amp,cloudwatch", OTLP_METRICS)]:
        resources = stack(MetricsTo=destinations, CloudWatchInterval="off")
        policies = of_type(resources, "AWS::IAM::Policy").values()
        granted_actions = {action for one in policies for each in one["Properties"]["PolicyDocument"]["Statement"] for action in actions(each)}
        assert granted_actions == granted
        assert resources["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_METRICS_TO"] == destinations


def test_otlp_logs_have_a_separate_log_group_if_enabled():
    off = stack(OtlpLogs="off")
    assert not {"OtlpLogGroup", "OtlpLogStream", "OtlpLogsPolicy"} & set(off)
    assert off["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_LOG_GROUP"] == ""
    on = stack(OtlpLogs="on")
    (statement,) = on["OtlpLogsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert actions(statement) == ["logs:PutLogEvents"] and statement["Resource"] != "*"
    assert on["OtlpLogGroup"]["Properties"]["LogGroupName"] == "/sidecarless/mine/otlp"
    assert on["OtlpLogStream"]["Properties"]["LogStreamName"] == "otlp"


def test_state_of_ecs_is_readable_in_this_account_and_region():
    (policy,) = stack()["FunctionRole"]["Properties"]["Policies"]
    statements = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    for sid, kind, granted in [("FindServices", "service", ["ecs:DescribeServices"]), ("FindClusters", "cluster", ["ecs:DescribeClusters", "ecs:ListContainerInstances"])]:
        assert actions(statements[sid]) == granted
        assert statements[sid]["Resource"].endswith(f":{kind}/*"), statements[sid]["Resource"]


def test_cloudwatch_metrics_are_readable_unless_the_interval_is_off():
    for interval, granted in [("off", set()), ("2", CLOUDWATCH), ("10", CLOUDWATCH)]:
        resources = stack(CloudWatchInterval=interval)
        policies = of_type(resources, "AWS::IAM::Policy").values()
        granted_actions = {action for one in policies for each in one["Properties"]["PolicyDocument"]["Statement"] for action in actions(each)}
        assert granted_actions == granted
        assert resources["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_CLOUDWATCH_INTERVAL"] == interval


def test_cloudwatch_intervals_are_those_of_the_setting():
    parameter = yaml_parse(SOURCE)["Parameters"]["CloudWatchInterval"]
    assert parameter["AllowedValues"] == ["off", *map(str, range(1, 11))]
    row = re.search(r'name: "SIDECARLESS_CLOUDWATCH_INTERVAL",\s+values: "`1` to `10`, or `off`",\s+default: "([^"]*)"', settings_table())
    assert parameter["Default"] == row[1]


EXISTING = {
    "RemoteWriteUrl": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
    "WorkspaceArn": "arn:aws:aps:eu-west-1:111122223333:workspace/ws-1",
}
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alerts"


def test_workspace_is_created_or_an_existing_one_is_used():
    created, existing = stack(), stack(**EXISTING)
    assert created["Function"]["Properties"]["Environment"]["Variables"]["AWS_PROMETHEUS_ENDPOINT"].startswith("${Workspace.Prom")
    assert created["Rules"]["Properties"]["Workspace"] == {"Fn::GetAtt": ["Workspace", "Arn"]}
    assert "Workspace" not in existing
    assert existing["Function"]["Properties"]["Environment"]["Variables"]["AWS_PROMETHEUS_ENDPOINT"] == EXISTING["RemoteWriteUrl"]
    assert existing["Rules"]["Properties"]["Workspace"] == EXISTING["WorkspaceArn"]
    write = next(each for each in function_role(existing) if each["Sid"] == "Write")
    assert write["Resource"] == EXISTING["WorkspaceArn"]


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [
        ("WorkspaceParametersSetTogether", "RemoteWriteUrl", "WorkspaceArn"),
        ("VpcParametersSetTogether", "SubnetIds", "SecurityGroupIds"),
        ("CertificateParametersSetTogether", "LoadBalancerCertificateArn", "LoadBalancerDomainName"),
    ],
)
def test_related_parameters_are_set_together(rule, one, other):
    (assertion,) = expanded()["Rules"][rule]["Assertions"]
    for names, is_valid in [(set(), True), ({one, other}, True), ({one}, False), ({other}, False)]:
        values = {name: "a,b" if name in names else "" for name in (one, other)}
        assert Resolve(values, {})(assertion["Assert"]) == is_valid, names


def test_rules_are_loaded_unless_disabled():
    assert "Rules" not in stack(LoadRules="off")
    rules = stack()["Rules"]["Properties"]
    assert rules["Name"] == "mine", "stacks that share a workspace must not overwrite each other's rules"
    groups = yaml_parse(rules["Data"])["groups"]
    assert [group["name"] for group in groups] == ["sidecarless-recording", "sidecarless-tasks", "sidecarless-health"]


def test_alerts_go_to_the_configured_topic():
    assert "AlertManagerDefinition" not in stack()["Workspace"]["Properties"]
    definition = yaml_parse(stack(AlertTopicArn=TOPIC)["Workspace"]["Properties"]["AlertManagerDefinition"])
    config = yaml_parse(definition["alertmanager_config"])
    (receiver,) = config["receivers"]
    assert config["route"]["receiver"] == receiver["name"]
    assert receiver["sns_configs"][0]["topic_arn"] == TOPIC
    assert receiver["sns_configs"][0]["sigv4"] == {"region": "eu-central-1"}, "AMP requires the region, and the topic may be in another region"
    alerts = {rule.get("alert") for group in yaml_parse((ROOT / "prometheus/rules.yaml").read_text())["groups"] for rule in group["rules"]}
    for inhibited in config["inhibit_rules"]:
        for matcher in inhibited["source_matchers"] + inhibited["target_matchers"]:
            assert matcher.split(" = ")[1] in alerts, matcher


@pytest.mark.parametrize("file, key", [("rules.yaml", "      Data: |"), ("alertmanager.yaml", "          - |")])
def test_template_contains_the_text_of_the_files(file, key):
    """Run `UPDATE=1 pytest tests/template` to write the text of prometheus/ to the template."""
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    text = textwrap.indent((ROOT / "prometheus" / file).read_text(), indent)
    block = re.search(rf"^{re.escape(key)}\n((?:{indent}.*\n|\n(?=\n*{indent}))+)", SOURCE, re.M)
    if os.environ.get("UPDATE") and block[1] != text:
        (ROOT / "template.yaml").write_text(SOURCE[: block.start(1)] + text + SOURCE[block.end(1) :])
    assert block[1] == text
