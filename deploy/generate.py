#!/usr/bin/env python3
"""Writes the files of deploy/ that follow from template.yaml.

- sidecarless.yaml: the template without the SAM transform, so that deploying it needs no build tools. The code is a zip file in S3.
- terraform/parameters.tf and cdk/lib/parameters.ts: the parameters of the template as variables and properties.

Run it in an environment with aws-sam-translator (scripts/package does), or run `UPDATE=1 pytest tests/template`.
"""

import json
import re
import textwrap
from pathlib import Path

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parent.parent
HEADER = "Written by deploy/generate.py from template.yaml. Do not edit."
CODE = {
    "CodeBucket": {
        "Type": "String",
        "Description": "S3 bucket, in the region of the stack, that contains the zip file of the function.",
    },
    "CodeKey": {
        "Type": "String",
        "Description": "Key of the zip file of a release for Architecture. Change it to update the function.",
    },
}


class Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and no aliases, which CloudFormation does not read."""

    def ignore_aliases(self, data):
        return True


def represent_text(dumper, text):
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, represent_text)


def plain_template(source):
    """Returns the expanded template as a mapping."""
    template = yaml_parse(source)
    version = template["Metadata"].pop("AWS::ServerlessRepo::Application")["SemanticVersion"]
    template["Metadata"]["sidecarless"] = {"Version": version}
    template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].insert(
        0, {"Label": {"default": "Code"}, "Parameters": list(CODE)}
    )
    template["Parameters"] = {**CODE, **template["Parameters"]}
    function = template["Resources"]["Function"]
    function["Properties"]["CodeUri"] = {"Bucket": {"Ref": "CodeBucket"}, "Key": {"Ref": "CodeKey"}}
    del function["Metadata"]
    session = boto3.session.Session(region_name="us-east-1")
    expanded = Translator({}, Parser(), boto_session=session).translate(template, {})
    # Without this, the output contains the types of the parser.
    return json.loads(json.dumps(expanded))


def template_text(source):
    body = yaml.dump(plain_template(source), Dumper=Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    return f"# {HEADER}\n{body}"


def parameters(source):
    """Returns the parameters that a user sets: the module and the construct set those of the code."""
    return yaml_parse(source)["Parameters"]


def snake_case(name):
    """Returns a name of Terraform. The names of services are one word each, as in `xray_role_arn`."""
    words = name.replace("XRay", "Xray").replace("CloudWatch", "Cloudwatch")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()


def camel_case(name):
    words = name.replace("XRay", "Xray").replace("CloudWatch", "Cloudwatch")
    return words[0].lower() + words[1:]


TERRAFORM_TYPES = {"String": "string", "Number": "number", "CommaDelimitedList": "list(string)"}
TYPESCRIPT_TYPES = {"String": "string", "Number": "number", "CommaDelimitedList": "string[]"}


def terraform_text(source):
    lines = [f"# {HEADER}", ""]
    for name, parameter in parameters(source).items():
        lines += [
            f'variable "{snake_case(name)}" {{',
            f"  type        = {TERRAFORM_TYPES[parameter['Type']]}",
            "  default     = null",
            f"  description = {json.dumps(description(parameter))}",
            "}",
            "",
        ]
    width = max(map(len, parameters(source)))
    lines += ["locals {", "  # Parameters of the template. A variable that is null is omitted, so that the default of the template applies.", "  parameters = {"]
    for name, parameter in parameters(source).items():
        variable = f"var.{snake_case(name)}"
        value = f'{variable} == null ? null : join(",", {variable})' if parameter["Type"] == "CommaDelimitedList" else variable
        lines.append(f"    {name.ljust(width)} = {value}")
    return "\n".join([*lines, "  }", "}", ""])


def description(parameter):
    """Returns the description with the values and the default that the template declares."""
    text = parameter["Description"]
    if allowed := parameter.get("AllowedValues"):
        text += f" One of {', '.join(map(str, allowed))}."
    default = parameter.get("Default")
    return text if default in (None, "") else f"{text} Default: {default}."


def typescript_text(source):
    lines = [f"// {HEADER}", "", "/** Parameters of the template. The defaults are those of the template. */", "export interface SidecarlessParameters {"]
    for name, parameter in parameters(source).items():
        comment = textwrap.wrap(description(parameter), 115)
        lines += ["  /**", *(f"   * {line}" for line in comment), "   */", f"  readonly {camel_case(name)}?: {typescript_type(parameter)};"]
    lines += ["}", "", "/** Name of each parameter in the template. */", "export const PARAMETER_NAMES: { readonly [key in keyof SidecarlessParameters]-?: string } = {"]
    lines += [f"  {camel_case(name)}: {json.dumps(name)}," for name in parameters(source)]
    return "\n".join([*lines, "};", ""])


def typescript_type(parameter):
    if parameter["Type"] == "String" and "AllowedValues" in parameter:
        return " | ".join(json.dumps(value) for value in parameter["AllowedValues"])
    return TYPESCRIPT_TYPES[parameter["Type"]]


WRITTEN = {
    "deploy/sidecarless.yaml": template_text,
    "deploy/terraform/parameters.tf": terraform_text,
    "deploy/cdk/lib/parameters.ts": typescript_text,
}


def main():
    source = (ROOT / "template.yaml").read_text()
    for path, text in WRITTEN.items():
        (ROOT / path).write_text(text(source))


if __name__ == "__main__":
    main()
