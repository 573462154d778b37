"""Checks deploy/: the plain template, the Terraform module and the CDK construct follow from template.yaml."""

import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
import zipfile

import hcl2
import pytest
import yaml
from test_template import ROOT, SOURCE, Resolve, expanded

spec = importlib.util.spec_from_file_location("generate", ROOT / "deploy/generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)

MODULE = ROOT / "deploy/terraform"


def plain():
    return yaml.safe_load((ROOT / "deploy/sidecarless.yaml").read_text())


@pytest.mark.parametrize("path", generate.WRITTEN)
def test_written_files_follow_from_the_template(path):
    """Run `UPDATE=1 pytest tests/template` to write them."""
    text = generate.WRITTEN[path]((ROOT / "template.yaml").read_text())
    if os.environ.get("UPDATE"):
        (ROOT / path).write_text(text)
    assert (ROOT / path).read_text() == text


def test_plain_template_needs_no_build_and_no_transform():
    template = plain()
    assert "Transform" not in template
    assert not [one["Type"] for one in template["Resources"].values() if one["Type"].startswith("AWS::Serverless")]
    assert template["Resources"]["Function"]["Properties"]["Code"] == {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
    assert template["Metadata"]["sidecarless"]["Version"] == re.search(r"SemanticVersion: (\S+)", SOURCE)[1]


def test_plain_template_fits_the_limits_of_cloudformation():
    """AWS CloudFormation User Guide, "Understand CloudFormation quotas"."""
    template, size = plain(), (ROOT / "deploy/sidecarless.yaml").stat().st_size
    assert size < 1_000_000, "from S3"
    assert len(template["Parameters"]) <= 200 and len(template["Outputs"]) <= 200 and len(template["Resources"]) <= 500
    assert all(len(one["Description"]) <= 4_000 for one in template["Parameters"].values())


def test_plain_template_creates_the_resources_of_the_sam_template():
    sam, names = expanded()["Resources"], plain()["Resources"]
    assert {name: one["Type"] for name, one in names.items()} == {name: one["Type"] for name, one in sam.items()}
    assert set(plain()["Parameters"]) - set(expanded()["Parameters"]) == {"CodeBucket", "CodeKey"}
    assert plain()["Conditions"].keys() == expanded()["Conditions"].keys() and plain()["Rules"].keys() == expanded()["Rules"].keys()


def blocks(kind):
    """Returns the blocks of a kind in all files of the module, by label."""
    found = {}
    for path in sorted(MODULE.glob("*.tf")):
        with path.open() as file:
            for block in hcl2.load(file).get(kind, []):
                for label, content in block.items():
                    found[label.strip('"')] = content
    return found


def test_terraform_variables_are_the_parameters():
    variables = blocks("variable")
    parameters = expanded()["Parameters"]
    own = {"stack_name", "zip", "bucket", "prefix", "tags"}
    assert set(variables) - own == {generate.snake_case(name) for name in parameters}
    for name, parameter in parameters.items():
        variable = variables[generate.snake_case(name)]
        assert variable["type"].strip("${}") == generate.TERRAFORM_TYPES[parameter["Type"]], name
        assert variable["default"] == "null" or variable["default"] is None, "the default is in the template only"
        assert json.loads(variable["description"]).startswith(parameter["Description"]), name


def test_terraform_module_passes_each_parameter():
    passed = blocks("locals")["parameters"]
    text = passed if isinstance(passed, str) else json.dumps(passed)
    assert set(expanded()["Parameters"]) == set(re.findall(r"\b([A-Z]\w+)\b(?=[\"\s:=])", text))
    for name in expanded()["Parameters"]:
        assert f"var.{generate.snake_case(name)}" in text, name
    stack = blocks("resource")["aws_cloudformation_stack"]
    stack = stack.get('"this"', stack.get("this"))
    assert "local.parameters" in stack["parameters"] and "CodeBucket" in stack["parameters"] and "CodeKey" in stack["parameters"]


def test_terraform_outputs_exist_in_the_template():
    text = "".join(path.read_text() for path in MODULE.glob("*.tf"))
    used = re.findall(r'outputs, "(\w+)"', text)
    assert used and set(used) <= set(expanded()["Outputs"])
    assert (MODULE / "../sidecarless.yaml").exists() and '"${path.module}/../sidecarless.yaml"' in text


def test_construct_uses_outputs_and_actions_of_the_template():
    text = (ROOT / "deploy/cdk/lib/index.ts").read_text()
    assert set(re.findall(r'output\("(\w+)"\)', text)) <= set(expanded()["Outputs"])
    page = (ROOT / "docs/iam.md").read_text()
    for action in re.findall(r'"((?:lambda|vpc-lattice-svcs):\w+)"', text):
        assert f'"{action}"' in page, action


def test_names_fit_the_limits_of_their_resources():
    """The stack name has at most 128 characters; Name is for resources that allow fewer."""
    template = expanded()
    defaults = {name: one.get("Default") for name, one in template["Parameters"].items()}
    values = defaults | {"AWS::StackName": "s" * 128, "Name": "n" * 64, "InsightsCluster1": "c" * 255}
    limits = {"Alias": 100, "Name": 64, "LogGroupName": 512, "MetricNamespace": 255, "PolicyName": 128, "LogStreamName": 512}
    named = 0
    for resource, one in template["Resources"].items():
        resolved = Resolve(values, template["Conditions"])(one)["Properties"] if "Properties" in one else {}
        for key, limit in limits.items():
            if isinstance(resolved.get(key), str):
                named += 1
                assert len(resolved[key]) <= limit, f"{resource}.{key}"
        own = {"AWS::Lambda::Function": "FunctionName", "AWS::IAM::Role": "RoleName", "AWS::SQS::Queue": "QueueName", "AWS::CloudWatch::Alarm": "AlarmName"}
        assert own.get(one["Type"]) not in resolved, f"{resource}: CloudFormation generates a name that fits"
    assert named >= 5
    assert re.fullmatch(template["Parameters"]["Name"]["AllowedPattern"], "n" * 64)
    assert not re.fullmatch(template["Parameters"]["Name"]["AllowedPattern"], "n" * 65)


def test_archives_contain_one_executable_file_and_are_reproducible(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x7fELF" + bytes(range(256)) * 100)
    for kind, name in [("zip", "bootstrap"), ("tar", "sidecarless")]:
        archives = [tmp_path / f"{number}.{kind}" for number in (1, 2)]
        for archive in archives:
            os.utime(binary, (archive.stat().st_mtime if archive.exists() else 10**9 * (1 + archives.index(archive)),) * 2)
            subprocess.run([sys.executable, str(ROOT / "deploy/pack.py"), kind, str(binary), name, str(archive)], check=True)
        assert archives[0].read_bytes() == archives[1].read_bytes()
        if kind == "zip":
            (entry,) = zipfile.ZipFile(archives[0]).infolist()
            found, mode = entry.filename, entry.external_attr >> 16
        else:
            (member,) = tarfile.open(archives[0]).getmembers()
            found, mode = member.name, stat.S_IFREG | member.mode
        assert (found, mode) == (name, stat.S_IFREG | 0o755)


def code_blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs/deploy.md").read_text(), re.M | re.S)


def test_examples_use_existing_variables_and_properties():
    (terraform,) = code_blocks("hcl")
    arguments = set(hcl2.loads(terraform)["module"][0]['"sidecarless"']) - {"source", "__is_block__"}
    variables = blocks("variable")
    assert arguments <= set(variables)
    required = {name for name, one in variables.items() if "default" not in one}
    assert required == {"bucket", "zip"} and required <= arguments
    example = code_blocks("ts")[0]
    properties = re.findall(r"^  (\w+):", example, re.M)
    declared = re.findall(r"readonly (\w+)\??:", (ROOT / "deploy/cdk/lib/parameters.ts").read_text() + (ROOT / "deploy/cdk/lib/index.ts").read_text())
    assert properties and set(properties) <= set(declared)


def test_commands_name_files_of_a_release():
    page, script = (ROOT / "docs/deploy.md").read_text(), (ROOT / "scripts/package").read_text()
    written = re.findall(r'"\$FOLDER/(sidecarless-[^"]+)"', script)
    patterns = [re.sub(r"\\\$VERSION", r"(?:v[\\d.]+|VERSION)", re.escape(name)).replace(r"\$1", r"(?:arm64|x86_64|ARCHITECTURE)") for name in written]
    named = set(re.findall(r"sidecarless-(?:cli-|cdk-)?(?:v0\.1\.0|VERSION)[\w.-]*", page))
    for name in named:
        assert any(re.fullmatch(pattern, name.removesuffix(".sha256")) for pattern in patterns), name
