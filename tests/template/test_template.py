"""template.yaml as CloudFormation sees it: what cfn-lint and `sam validate` let pass.

Run with `pytest tests/template` where aws-sam-cli and pytest are installed.
"""

import copy
import fnmatch
import itertools
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
    "xray:PutSpans",
    "xray:PutSpansForIndexing",
}

# Those that Lambda needs for a function inside a VPC (AWS Lambda Developer Guide, "Giving Lambda functions access to resources
# in an Amazon VPC", "Required IAM permissions"), which names no resource for them.
NETWORK = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}

# Those without a resource level that only the OTLP endpoint of X-Ray asks for.
OTLP_TRACES = {"xray:PutSpans", "xray:PutSpansForIndexing"}

# The service model that holds the operations of an IAM prefix, where its name differs.
MODELS = {"aps": "amp"}

# Actions that are no operation of the service's SDK.
NOT_IN_A_MODEL = {"aps:RemoteWrite", "lambda:InvokeFunction", *OTLP_TRACES}


@pytest.fixture(scope="module")
def resources():
    return expanded()["Resources"]


def expanded():
    template = copy.deepcopy(yaml_parse(SOURCE))
    # What `sam package` writes for the folder.
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/key"
    session = boto3.session.Session(region_name="us-east-1")
    translator = Translator({}, Parser(), boto_session=session)
    return translator.translate(template, {})


def stack(**given):
    """Resources that CloudFormation would make for these parameters, as far as functions of them alone can be resolved."""
    template = expanded()
    values = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    assert set(given) <= set(values), given
    values |= given | {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333", "AWS::StackName": "mine"}
    resolve = Resolve(values, template["Conditions"])
    made = {name: resource for name, resource in template["Resources"].items() if resolve.holds(resource.get("Condition"))}
    return {name: resolve(resource) for name, resource in made.items()}


class Resolve:
    """CloudFormation's functions, but for what only AWS knows, which stays as it is."""

    def __init__(self, values, conditions):
        self.values, self.conditions = values, conditions

    def holds(self, condition):
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
        return self.holds(name) if name in self.conditions else {"Condition": name}

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
        return self(then if self.holds(condition) else otherwise)

    def of_join(self, argument):
        parts = self(argument[1])
        return argument[0].join(parts) if isinstance(parts, list) else parts

    def of_split(self, argument):
        return self(argument[1]).split(argument[0])

    def of_select(self, argument):
        return self(argument[1])[int(argument[0])]

    def of_sub(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})
        known = self.values | self(own)
        return re.sub(r"\$\{([^}!]+)\}", lambda name: str(known.get(name[1], name[0])), text)


def of_type(resources, kind):
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def only(resources, kind):
    found = list(of_type(resources, kind).values())
    assert len(found) == 1, f"{kind}: {len(found)}"
    return found[0]["Properties"]


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


def test_a_public_url_has_both_permissions_and_an_iam_url_neither(resources):
    permissions = [
        (p["Properties"], p.get("Condition"))
        for p in of_type(resources, "AWS::Lambda::Permission").values()
        if p["Properties"]["Principal"] == "*"
    ]
    assert sorted(p["Action"] for p, _ in permissions) == ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"]
    for properties, condition in permissions:
        assert condition == "TokenAuth"
        if properties["Action"] == "lambda:InvokeFunctionUrl":
            assert properties["FunctionUrlAuthType"] == "NONE"
        else:
            assert properties["InvokedViaFunctionUrl"] is True, "else anyone may call Invoke itself"
    assert only(resources, "AWS::Lambda::Url")["AuthType"] == {"Fn::If": ["IamAuth", "AWS_IAM", "NONE"]}
    variables = resources["Function"]["Properties"]["Environment"]["Variables"]
    assert variables["SIDECARLESS_AUTH"] == {"Ref": "UrlAuth"}


def test_the_url_and_the_setting_agree_on_who_may_push():
    template = yaml_parse(SOURCE)
    assert template["Parameters"]["UrlAuth"]["AllowedValues"] == ["token", "iam"]
    assert template["Conditions"]["IamAuth"] == {"Fn::Equals": [{"Ref": "UrlAuth"}, "iam"]}
    assert template["Conditions"]["TokenAuth"] == {"Fn::Not": [{"Condition": "IamAuth"}]}


def test_nothing_tries_a_tick_twice(resources):
    schedule = only(resources, "AWS::Scheduler::Schedule")
    assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    asynchronous = only(resources, "AWS::Lambda::EventInvokeConfig")
    assert asynchronous["MaximumRetryAttempts"] == 0
    assert asynchronous["MaximumEventAgeInSeconds"] == 60


def test_the_tick_is_what_the_function_knows_and_has_no_name_of_its_own(resources):
    schedule = only(resources, "AWS::Scheduler::Schedule")
    assert schedule["Target"]["Input"] == '{"sidecarless":"scrape","at":"<aws.scheduler.scheduled-time>"}'
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
    assert workspace["Properties"]["WorkspaceConfiguration"]["OutOfOrderTimeWindowInSeconds"] == 600
    assert workspace["Condition"] == "CreateWorkspace"
    assert workspace["DeletionPolicy"] == "RetainExceptOnCreate"


def test_every_action_exists(resources):
    session = botocore.session.get_session()
    known = set(session.get_available_services())
    for statement in statements(resources):
        for action in actions(statement):
            if action in NOT_IN_A_MODEL:
                continue
            prefix, name = action.split(":")
            service = MODELS.get(prefix, prefix)
            assert service in known, action
            assert name in session.get_service_model(service).operation_names, action


def test_the_role_has_no_more_than_these_actions():
    granted = sorted(action for statement in function_role(stack()) for action in actions(statement))
    assert granted == sorted(
        WITHOUT_RESOURCE_LEVEL - OTLP_TRACES
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
            assert set(actions(statement)) <= WITHOUT_RESOURCE_LEVEL | NETWORK, statement


def test_the_function_has_the_one_role_that_is_written_out(resources):
    assert resources["Function"]["Properties"]["Role"] == {"Fn::GetAtt": ["FunctionRole", "Arn"]}
    roles = of_type(resources, "AWS::IAM::Role")
    services = {
        name: [s["Principal"]["Service"] for s in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]]
        for name, role in roles.items()
    }
    assert sorted(map(str, services.values())) == ["['lambda.amazonaws.com']", "[['scheduler.amazonaws.com']]"]
    assert "ManagedPolicyArns" not in resources["FunctionRole"]["Properties"], "AWS' policies name no resources"


def test_a_function_inside_a_vpc_may_make_network_interfaces_and_no_other():
    inside = {"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}
    for network, granted in [({}, set()), (inside, NETWORK)]:
        made = stack(**network)
        assert {action for each in function_role(made) for action in actions(each)} & NETWORK == granted
        assert ("VpcConfig" in made["Function"]["Properties"]) == bool(network)


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
        "InvocationAttemptCount",
        "TargetErrorCount",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateAgeOfOldestMessage",
    }
    silent = alarms["InvocationAttemptCount"]
    assert silent["TreatMissingData"] == "breaching", "a schedule that does not tick has no data"
    assert silent["Period"] * silent["EvaluationPeriods"] == 300
    for name in ["InvocationAttemptCount", "TargetErrorCount"]:
        assert alarms[name]["Namespace"] == "AWS/Scheduler"
        assert alarms[name]["Dimensions"] == [{"Name": "ScheduleGroup", "Value": {"Ref": "ScheduleGroup"}}]
    assert only(resources, "AWS::Scheduler::Schedule")["GroupName"] == {"Ref": "ScheduleGroup"}, "whose metrics those are"
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}, name


def test_the_block_to_paste_is_one_that_sdks_read():
    template = expanded()
    for name, logs in itertools.product(["OtelEnvironmentToken", "OtelEnvironmentIam"], ["on", "off"]):
        block = Resolve({"OtlpLogs": logs}, template["Conditions"])(template["Outputs"][name]["Value"])
        lines = dict(line.split("=", 1) for line in block.splitlines())
        assert lines["OTEL_LOGS_EXPORTER"] == {"on": "otlp", "off": "none"}[logs]
        assert lines["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
        assert lines["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] == "cumulative"
        assert int(lines["OTEL_EXPORTER_OTLP_TIMEOUT"]) >= 5000, "a cold start and a call to X-Ray fit"
        assert (" " in block) is False, "SDKs take header values percent-encoded"
    assert "Authorization=Bearer%20TOKEN" in SOURCE


def test_insights_are_asked_for_unless_they_are_pushed():
    made = stack()
    assert not of_type(made, "AWS::Logs::SubscriptionFilter")
    assert "SIDECARLESS_INSIGHTS_DELAY" not in made["Function"]["Properties"]["Environment"]["Variables"]
    assert "InsightsPermission" not in made


@pytest.mark.parametrize("clusters", [["shop"], ["shop", "back-office"], ["a", "b", "c", "d"]])
def test_each_cluster_named_has_its_events_handed_over(clusters):
    made = stack(**{f"InsightsCluster{number}": cluster for number, cluster in enumerate(clusters, start=5 - len(clusters))})
    assert made["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_INSIGHTS_DELAY"] == "off", "not asked for as well"
    filters = [one["Properties"] for one in of_type(made, "AWS::Logs::SubscriptionFilter").values()]
    groups = [f"/aws/ecs/containerinsights/{cluster}/performance" for cluster in clusters]
    assert sorted(one["LogGroupName"] for one in filters) == sorted(groups)
    permission = made["InsightsPermission"]["Properties"]
    assert permission["Principal"] == "logs.amazonaws.com"
    assert permission["SourceAccount"] == "111122223333"
    for group in groups:
        arn = f"arn:aws:logs:eu-west-1:111122223333:log-group:{group}:*"
        assert fnmatch.fnmatchcase(arn, permission["SourceArn"].replace(":*", ":[*]")), "its log group may call the function"
    assert not fnmatch.fnmatchcase("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/other:*", permission["SourceArn"])
    for one in of_type(made, "AWS::Logs::SubscriptionFilter").values():
        assert one["DependsOn"] == "InsightsPermission", "CloudWatch Logs tries the function when the filter is made"


def test_events_are_filtered_as_the_function_filters_what_it_asks_for():
    pattern = re.search(r'const PATTERN: &str =\s*r#"(.*?)"#', (ROOT / "src/collect/insights.rs").read_text(), re.S)
    filters = of_type(stack(InsightsCluster1="shop"), "AWS::Logs::SubscriptionFilter").values()
    assert [one["Properties"]["FilterPattern"] for one in filters] == [pattern[1]]


def test_stopped_tasks_are_told_of_by_one_or_looked_for_by_the_other():
    for setting, rule, looked_for in [("off", False, "on"), ("on", True, "off")]:
        made = stack(TaskStateChangeEvents=setting)
        assert made["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_STOPPED_TASKS"] == looked_for
        assert ("TaskStateChangeRule" in made, "TaskStateChangePermission" in made) == (rule, rule)


def test_the_rule_takes_stopped_tasks_and_only_the_rule_may_call():
    made = stack(TaskStateChangeEvents="on")
    rule = made["TaskStateChangeRule"]["Properties"]
    sample = json.loads((ROOT / "events/task-stopped.json").read_text())
    pattern = rule["EventPattern"]
    assert sample["source"] in pattern["source"] and sample["detail-type"] in pattern["detail-type"]
    assert pattern["detail"] == {"lastStatus": [sample["detail"]["lastStatus"]]}
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": ["Function", "Arn"]}
    permission = made["TaskStateChangePermission"]["Properties"]
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["TaskStateChangeRule", "Arn"]}


def test_nobody_but_the_url_may_call_from_anywhere():
    made = stack(TaskStateChangeEvents="on", InsightsCluster1="shop")
    for name, permission in of_type(made, "AWS::Lambda::Permission").items():
        properties = permission["Properties"]
        assert properties["Principal"] == "*" or "SourceArn" in properties, name


def test_rights_for_the_otlp_endpoint_only_where_spans_go_there():
    for destination, granted in [("xray", set()), ("xray-otlp", OTLP_TRACES)]:
        made = stack(TraceDestination=destination)
        policies = of_type(made, "AWS::IAM::Policy").values()
        found = {action for one in policies for each in one["Properties"]["PolicyDocument"]["Statement"] for action in actions(each)}
        assert found == granted
        assert made["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_TRACE_DESTINATION"] == destination


def test_logs_are_passed_on_into_a_group_of_their_own_where_that_is_switched_on():
    off = stack(OtlpLogs="off")
    assert not {"OtlpLogGroup", "OtlpLogStream", "OtlpLogsPolicy"} & set(off)
    assert off["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_LOG_GROUP"] == ""
    on = stack(OtlpLogs="on")
    (statement,) = on["OtlpLogsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert actions(statement) == ["logs:PutLogEvents"] and statement["Resource"] != "*"
    assert on["OtlpLogGroup"]["Properties"]["LogGroupName"] == "/sidecarless/mine/otlp"
    assert on["OtlpLogStream"]["Properties"]["LogStreamName"] == "otlp"


def test_tags_of_clusters_may_be_read_only_where_tags_become_labels():
    for tags, granted in [("", set()), ("team,cluster.env", {"ecs:DescribeClusters"})]:
        policies = of_type(stack(TagLabels=tags), "AWS::IAM::Policy").values()
        found = {action for one in policies for each in one["Properties"]["PolicyDocument"]["Statement"] for action in actions(each)}
        assert found == granted


EXISTING = {
    "RemoteWriteUrl": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
    "WorkspaceArn": "arn:aws:aps:eu-west-1:111122223333:workspace/ws-1",
}
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alerts"


def test_a_workspace_is_made_or_used():
    made, used = stack(), stack(**EXISTING)
    assert made["Function"]["Properties"]["Environment"]["Variables"]["AWS_PROMETHEUS_ENDPOINT"].startswith("${Workspace.Prom")
    assert made["Rules"]["Properties"]["Workspace"] == {"Fn::GetAtt": ["Workspace", "Arn"]}
    assert "Workspace" not in used
    assert used["Function"]["Properties"]["Environment"]["Variables"]["AWS_PROMETHEUS_ENDPOINT"] == EXISTING["RemoteWriteUrl"]
    assert used["Rules"]["Properties"]["Workspace"] == EXISTING["WorkspaceArn"]
    write = next(each for each in function_role(used) if each["Sid"] == "Write")
    assert write["Resource"] == EXISTING["WorkspaceArn"]


@pytest.mark.parametrize(
    ("rule", "one", "other"),
    [("WorkspaceParametersSetTogether", "RemoteWriteUrl", "WorkspaceArn"), ("VpcParametersSetTogether", "SubnetIds", "SecurityGroupIds")],
)
def test_parameters_that_belong_together_are_given_both_or_neither(rule, one, other):
    (assertion,) = expanded()["Rules"][rule]["Assertions"]
    for given, may_be in [(set(), True), ({one, other}, True), ({one}, False), ({other}, False)]:
        values = {name: "a,b" if name in given else "" for name in (one, other)}
        assert Resolve(values, {})(assertion["Assert"]) == may_be, given


def test_rules_are_loaded_unless_that_is_switched_off():
    assert "Rules" not in stack(LoadRules="off")
    rules = stack()["Rules"]["Properties"]
    assert rules["Name"] == "mine", "stacks that share a workspace do not overwrite one another's"
    groups = yaml_parse(rules["Data"])["groups"]
    assert [group["name"] for group in groups] == ["sidecarless-recording", "sidecarless-tasks", "sidecarless-health"]


def test_alerts_go_to_the_topic_that_is_named():
    assert "AlertManagerDefinition" not in stack()["Workspace"]["Properties"]
    definition = yaml_parse(stack(AlertTopicArn=TOPIC)["Workspace"]["Properties"]["AlertManagerDefinition"])
    config = yaml_parse(definition["alertmanager_config"])
    (receiver,) = config["receivers"]
    assert config["route"]["receiver"] == receiver["name"]
    assert receiver["sns_configs"][0]["topic_arn"] == TOPIC
    assert receiver["sns_configs"][0]["sigv4"] == {"region": "eu-central-1"}, "AMP wants it, and the topic's need not be ours"
    alerts = {rule.get("alert") for group in yaml_parse((ROOT / "prometheus/rules.yaml").read_text())["groups"] for rule in group["rules"]}
    for inhibited in config["inhibit_rules"]:
        for matcher in inhibited["source_matchers"] + inhibited["target_matchers"]:
            assert matcher.split(" = ")[1] in alerts, matcher


@pytest.mark.parametrize("file, key", [("rules.yaml", "      Data: |"), ("alertmanager.yaml", "          - |")])
def test_the_template_holds_the_text_of_the_files(file, key):
    """`UPDATE=1 pytest tests/template` writes the text of prometheus/ into the template."""
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    text = textwrap.indent((ROOT / "prometheus" / file).read_text(), indent)
    block = re.search(rf"^{re.escape(key)}\n((?:{indent}.*\n|\n(?=\n*{indent}))+)", SOURCE, re.M)
    if os.environ.get("UPDATE") and block[1] != text:
        (ROOT / "template.yaml").write_text(SOURCE[: block.start(1)] + text + SOURCE[block.end(1) :])
    assert block[1] == text
