"""Checks the ways in which requests reach the function: resources, permissions and outputs of each value of Ingress."""

import fnmatch
import itertools
import json
import re
from pathlib import Path

import cfnlint
import pytest
from test_template import EXISTING, ROOT, Resolve, expanded, of_type, outputs, settings_table, stack

SUBNETS = {"LoadBalancerSubnetIds": "subnet-1,subnet-2", "LoadBalancerSecurityGroupIds": "sg-1"}
CERTIFICATE = {"LoadBalancerCertificateArn": "arn:aws:acm:eu-west-1:111122223333:certificate/1", "LoadBalancerDomainName": "otlp.example.com"}
PARAMETERS = {"url": {}, "url-iam": {}, "alb": SUBNETS, "lattice": {"ServiceNetworkId": "sn-1"}, "none": {}}
# Sources of the permissions that AWS documents: Elastic Load Balancing, "Use Lambda functions as targets", and VPC Lattice,
# "Lambda functions as targets".
TARGET_GROUPS = {
    "elasticloadbalancing.amazonaws.com": "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/sidecarl-LoadB-1/0123456789abcdef",
    "vpc-lattice.amazonaws.com": "arn:aws:vpc-lattice:eu-west-1:111122223333:targetgroup/tg-0123456789abcdef0",
}
SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas" / "providers"


def ingress(name, **parameters):
    return stack(Ingress=name, **PARAMETERS[name], **parameters)


def callers(resources):
    """Returns the principals that may invoke the function, without those of events."""
    permissions = [one["Properties"] for one in of_type(resources, "AWS::Lambda::Permission").values()]
    return sorted((one["Action"], one["Principal"]) for one in permissions)


@pytest.mark.parametrize(
    ("name", "auth", "allowed"),
    [
        ("url", "token", [("lambda:InvokeFunction", "*"), ("lambda:InvokeFunctionUrl", "*")]),
        ("url-iam", "iam", []),
        ("alb", "token", [("lambda:InvokeFunction", "elasticloadbalancing.amazonaws.com")]),
        ("lattice", "iam", [("lambda:InvokeFunction", "vpc-lattice.amazonaws.com")]),
        ("none", "token", []),
    ],
)
def test_each_ingress_has_its_callers_and_authentication(name, auth, allowed):
    resources = ingress(name)
    assert callers(resources) == allowed
    assert resources["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_AUTH"] == auth
    assert ("Url" in resources) == name.startswith("url")


def test_every_ingress_is_tested():
    assert expanded()["Parameters"]["Ingress"]["AllowedValues"] == list(PARAMETERS)


def test_authentication_is_a_value_of_the_setting():
    values = re.search(r'name: "SIDECARLESS_AUTH",\s+values: "([^"]+)"', settings_table())[1]
    used = {ingress(name)["Function"]["Properties"]["Environment"]["Variables"]["SIDECARLESS_AUTH"] for name in PARAMETERS}
    assert used <= set(re.findall(r"`([^`]+)`", values))


def test_only_a_public_url_is_called_by_anyone():
    resources = ingress("url")
    assert resources["UrlPermission"]["Properties"]["FunctionUrlAuthType"] == resources["Url"]["Properties"]["AuthType"] == "NONE"
    assert resources["UrlInvokePermission"]["Properties"]["InvokedViaFunctionUrl"] is True, "otherwise anyone may call Invoke directly"
    assert ingress("url-iam")["Url"]["Properties"]["AuthType"] == "AWS_IAM"


def test_only_the_url_permission_has_no_source_restriction():
    for name in PARAMETERS:
        for permission in of_type(ingress(name, TaskStateChangeEvents="on", InsightsCluster1="shop"), "AWS::Lambda::Permission").values():
            properties = permission["Properties"]
            assert properties["Principal"] == "*" or "SourceArn" in properties, name


def test_target_groups_may_invoke_the_function():
    for name in ("alb", "lattice"):
        resources = ingress(name)
        ((permission, one),) = of_type(resources, "AWS::Lambda::Permission").items()
        pattern, principal = one["Properties"]["SourceArn"], one["Properties"]["Principal"]
        assert fnmatch.fnmatchcase(TARGET_GROUPS[principal], pattern)
        assert not fnmatch.fnmatchcase(TARGET_GROUPS[principal].replace("1111", "2222"), pattern), "another account"
        (group,) = [one for one in resources.values() if one["Type"].endswith("::TargetGroup")]
        assert group["DependsOn"] == permission, "registering the function requires the permission"
        assert group["Properties"]["Targets"] == [{"Id": {"Fn::GetAtt": ["Function", "Arn"]}}]


def test_load_balancer_is_internal_and_encrypts_with_a_certificate():
    for certificate, port, protocol in [({}, 80, "HTTP"), (CERTIFICATE, 443, "HTTPS")]:
        resources = ingress("alb", **certificate)
        assert resources["LoadBalancer"]["Properties"]["Scheme"] == "internal"
        listener = resources["LoadBalancerListener"]["Properties"]
        assert (listener["Port"], listener["Protocol"], "Certificates" in listener) == (port, protocol, bool(certificate))
        assert resources["LoadBalancerTargetGroup"]["Properties"]["HealthCheckEnabled"] is False


def test_load_balancer_requires_subnets_and_security_groups():
    rule = expanded()["Rules"]["LoadBalancerHasSubnetsAndSecurityGroups"]
    for name, values, is_valid in [("alb", SUBNETS, True), ("alb", SUBNETS | {"LoadBalancerSubnetIds": ""}, False), ("url", dict.fromkeys(SUBNETS, ""), True)]:
        resolve = Resolve({"Ingress": name, **values}, {})
        (assertion,) = rule["Assertions"]
        assert (not resolve(rule["RuleCondition"]) or resolve(assertion["Assert"])) == is_valid


def test_lattice_service_admits_signed_requests_of_the_account():
    resources = ingress("lattice")
    assert resources["LatticeService"]["Properties"]["AuthType"] == "AWS_IAM"
    (statement,) = resources["LatticeAuthPolicy"]["Properties"]["Policy"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "vpc-lattice-svcs:Invoke")
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}
    assert resources["LatticeTargetGroup"]["Properties"]["Config"] == {"LambdaEventStructureVersion": "V2"}, "version 1 has no caller"
    assert resources["LatticeListener"]["Properties"]["Protocol"] == "HTTPS"


def test_lattice_service_is_associated_if_a_network_is_given():
    for network in ("", "sn-1"):
        assert ("LatticeAssociation" in stack(Ingress="lattice", ServiceNetworkId=network)) == bool(network)
    assert not [one for one in stack(ServiceNetworkId="sn-1").values() if one["Type"].startswith("AWS::VpcLattice")]


@pytest.mark.parametrize(
    ("name", "parameters", "endpoint", "block"),
    [
        ("url", {}, {"Fn::GetAtt": ["Url", "FunctionUrl"]}, "OtelEnvironmentToken"),
        ("url-iam", {}, {"Fn::GetAtt": ["Url", "FunctionUrl"]}, "OtelEnvironmentIam"),
        ("alb", {}, "http://${LoadBalancer.DNSName}/", "OtelEnvironmentToken"),
        ("alb", CERTIFICATE, "https://otlp.example.com/", "OtelEnvironmentToken"),
        ("lattice", {}, "https://${LatticeService.DnsEntry.DomainName}/", "OtelEnvironmentIam"),
    ],
)
def test_outputs_contain_the_endpoint_of_the_ingress(name, parameters, endpoint, block):
    values = outputs(Ingress=name, **PARAMETERS[name], **parameters)
    assert values["OtlpEndpoint"] == endpoint
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}\n" in values[block]
    assert [key for key in values if key.startswith("OtelEnvironment")] == [block]


def test_stack_without_ingress_has_no_endpoint():
    assert not {"OtlpEndpoint", "OtelEnvironmentToken", "OtelEnvironmentIam"} & set(outputs(Ingress="none"))


def test_otel_environment_output_is_valid_for_sdks():
    for name, logs in itertools.product(["url", "url-iam", "alb", "lattice"], ["on", "off"]):
        values = outputs(Ingress=name, OtlpLogs=logs, **PARAMETERS[name])
        (block,) = [value for key, value in values.items() if key.startswith("OtelEnvironment")]
        lines = dict(line.split("=", 1) for line in block.splitlines())
        assert lines["OTEL_LOGS_EXPORTER"] == {"on": "otlp", "off": "none"}[logs]
        assert lines["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
        assert lines["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] == "cumulative"
        assert int(lines["OTEL_EXPORTER_OTLP_TIMEOUT"]) >= 5000, "must cover a cold start and a call to X-Ray"
        without_reference = block.replace(str({"Fn::GetAtt": ["Url", "FunctionUrl"]}), "")
        assert " " not in without_reference, "header values must be percent-encoded for SDKs"
        assert ("Authorization=Bearer%20TOKEN" in block) == (name in ("url", "alb"))


def schema(region):
    return set(json.loads((SCHEMAS / f"{region}.json").read_text()))


# Types that not all regions have, and the parameters without which a stack has none of them.
CONDITIONAL = {
    "AWS::Lambda::Url": lambda: ingress("none"),
    "AWS::APS::Workspace": lambda: stack(LoadRules="off", **EXISTING),
    "AWS::VpcLattice::Service": lambda: ingress("none"),
}


def test_regions_without_a_feature_are_listed():
    """The resource schemas of CloudFormation for each region, as cfn-lint contains them."""
    section = (ROOT / "docs/limits.md").read_text().split("## Regions\n")[1].split("\n## ")[0]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*\|$", section, re.M)]
    listed = {row[0].strip("`"): set(re.findall(r"`([a-z0-9-]+)`", row[1])) for row in table}
    regions = [path.stem for path in SCHEMAS.glob("*.json") if path.stem != "sam" and "iso" not in path.stem]
    missing = {kind: {region for region in regions if kind not in schema(region)} for kind in CONDITIONAL}
    assert listed == missing


def test_every_other_resource_exists_in_all_regions():
    """The template can be created in each region, without what the region does not have."""
    types = {one["Type"] for one in stack(Ingress="none", LoadRules="off", TaskStateChangeEvents="on", OtlpLogs="on", **EXISTING).values()}
    types |= {one["Type"] for one in ingress("alb", LoadRules="off", **EXISTING).values()}
    for path in SCHEMAS.glob("*.json"):
        if path.stem != "sam" and "iso" not in path.stem:
            assert types <= schema(path.stem), path.stem
    for kind, without in CONDITIONAL.items():
        assert not of_type(without(), kind), kind
