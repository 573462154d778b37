"""Checks docs/iam.md against template.yaml: each granted action has a row, and each row is granted."""

import re

import pytest
from test_template import ROOT, actions, expanded, of_type

PAGE = (ROOT / "docs/iam.md").read_text()

# CloudFormation condition, and the parameter that the page names for it.
PARAMETERS = {
    None: "always",
    "OtlpMetrics": "MetricsTo",
    "OtlpTraces": "TraceDestination",
    "HasAmpRole": "AmpRoleArn",
    "HasXRayRole": "XRayRoleArn",
    "OtlpLogsEnabled": "OtlpLogs",
    "CloudWatchEnabled": "CloudWatchInterval",
    "InVpc": "SubnetIds",
    "HasKmsKey": "KmsKeyArn",
    "HasSettingsParameter": "SettingsParameter",
    "PublicUrl": "Ingress",
    "HasLoadBalancer": "Ingress",
    "HasLattice": "Ingress",
    "InsightsSubscribed": "InsightsCluster1",
    "TaskStateChangeEventsEnabled": "TaskStateChangeEvents",
}


def rows(heading):
    """Returns the cells of the table below a heading, without the header row."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_function_role_table_equals_the_granted_actions():
    granted = {
        (statement["Sid"], action, PARAMETERS[condition], "any" if statement["Resource"] == "*" else "some")
        for condition, statement in granted_to_the_function()
        for action in actions(statement)
    }
    documented = {
        (sid.strip("`"), action.strip("`"), parameter(when), "any" if on == "any" else "some")
        for sid, action, _, on, when in rows("Function role")
    }
    assert documented == granted
    assert len(rows("Function role")) == len(documented)


def test_invoke_table_equals_the_invoke_permissions():
    resources = expanded()["Resources"]
    permissions = of_type(resources, "AWS::Lambda::Permission").items()
    callers = {(name, one["Properties"]["Action"], PARAMETERS[one.get("Condition")]) for name, one in permissions}
    (statement,) = resources["FunctionScheduleRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    callers |= {("FunctionScheduleRole", action, "always") for action in actions(statement)}
    documented = {(name.strip("`"), action.strip("`"), parameter(when)) for name, action, _, when in rows("Invoke permissions")}
    assert documented == callers


# Files with the calls of scheduled runs for series about the state of ECS, which `sidecarless targets` does not list.
STATE_FILES = {"services.rs", "container_instances.rs"}


# Operations that a command calls, by source file.
@pytest.mark.parametrize(("command", "folder"), [("sidecarless redrive`", "src/deliver/redrive.rs"), ("sidecarless targets", "src/discovery")])
def test_command_permissions_equal_the_called_operations(command, folder):
    path = ROOT / folder
    files = [path] if path.is_file() else [file for file in path.rglob("*.rs") if file.name not in STATE_FILES]
    code = "\n".join(file.read_text() for file in files)
    called = {"".join(map(str.title, name.split("_"))) for name in re.findall(r"(?:sqs|client)\.((?:get|list|describe|receive|send|delete)_\w+)\(\)", code)}
    called |= set(re.findall(r"Action=(Describe\w+)&", code))
    (needs,) = [needs for name, needs in rows("Operator permissions") if command in name and "--list" not in name and "--tasks" not in name]
    assert {action.split(":")[1] for action in re.findall(r"`(\w+:\w+)`", needs)} == called


def granted_to_the_function():
    resources = expanded()["Resources"]
    for policy in resources["FunctionRole"]["Properties"]["Policies"]:
        condition, policy, _ = policy.get("Fn::If", (None, policy, None))
        for statement in policy["PolicyDocument"]["Statement"]:
            yield condition, statement
    for policy in of_type(resources, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield policy.get("Condition"), statement


def parameter(when):
    """Returns the first parameter in a cell."""
    return when if when == "always" else re.match(r"`(\w+)`", when).group(1)
