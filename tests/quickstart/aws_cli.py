#!/usr/bin/env python3
"""The commands of the AWS CLI that docs/quickstart.md uses, against MiniStack, because the AWS CLI is not a package of the tests.

Names of operations, options and members, and the output of `--query`, follow from the models of botocore, which the AWS CLI uses as well.

QUICKSTART_ACCOUNT is the address of MiniStack. A stack gets the parameters in QUICKSTART_PARAMETERS in addition, and its function the
variables in QUICKSTART_VARIABLES: MiniStack has no AMP, and the peers of the test have addresses on this machine.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore import xform_name
from botocore.config import Config
from botocore.model import Shape

ACCOUNT = os.environ["QUICKSTART_ACCOUNT"]


def client(service: str) -> Any:
    config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(service, endpoint_url=ACCOUNT, region_name=os.environ.get("AWS_REGION", "eu-west-1"), config=config)


def options(words: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Returns the positional arguments, and the values of each option. A word after an option with a value is positional."""
    positional: list[str] = []
    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word[2:]
            found[name] = []
        elif name and (not found[name] or name in ("names", "parameter-overrides", "capabilities")):
            found[name].append(word)
        else:
            positional.append(word)
    return positional, found


def parsed(shape: Shape, words: list[str]) -> Any:
    """Returns the value of an option."""
    words = [Path(word[7:]).read_text() if word.startswith("file://") else word for word in words]
    if shape.type_name == "boolean":
        return True
    if shape.type_name == "list" and not words[0].startswith("["):
        return words
    if shape.type_name in ("list", "structure", "map"):
        return json.loads(words[0])
    return int(words[0]) if shape.type_name in ("integer", "long") else words[0]


def call(service: str, operation: str, words: list[str]) -> None:
    positional, found = options(words)
    aws = client(service)
    names = {xform_name(name, "-"): name for name in aws.meta.service_model.operation_names}
    members = aws.meta.service_model.operation_model(names[operation]).input_shape.members
    by_option = {xform_name(name, "-"): name for name in members}
    query, text = found.pop("query", None), found.pop("output", ["json"]) == ["text"]
    found.pop("cli-binary-format", None)
    arguments = {by_option[option]: parsed(members[by_option[option]], values) for option, values in found.items()}
    response = getattr(aws, xform_name(names[operation]))(**arguments)
    response.pop("ResponseMetadata", None)
    for outfile in positional:
        (stream,) = [name for name, value in response.items() if hasattr(value, "read")]
        with open(outfile, "wb") as file:
            file.write(response.pop(stream).read())
    result = json.loads(json.dumps(response, default=str))
    result = jmespath.search(query[0], result) if query else result
    output = "\t".join(map(str, result if isinstance(result, list) else [result])) if text else json.dumps(result, indent=4)
    # The host name of a Function URL does not resolve: MiniStack has a path for it.
    print(re.sub(r"https://([a-z0-9]+)\.lambda-url\.[^/\s\"]+/", rf"{ACCOUNT}/_aws/lambda-url/\1/", output))


def s3(command: str, words: list[str]) -> None:
    aws = client("s3")
    (*files, address), _ = options([word for word in words if word != "--recursive"])
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if command == "mb":
        aws.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_REGION"]})
    elif command == "cp":
        aws.put_object(Bucket=bucket, Key=key or Path(files[0]).name, Body=Path(files[0]).read_bytes())
    elif command == "rm":
        for one in aws.list_objects_v2(Bucket=bucket).get("Contents", []):
            aws.delete_object(Bucket=bucket, Key=one["Key"])
    else:
        aws.delete_bucket(Bucket=bucket)


def deploy(words: list[str]) -> None:
    """`aws cloudformation deploy`: uploads the template, creates the stack and waits."""
    _, found = options(words)
    (stack,), (bucket,), (template,) = found["stack-name"], found["s3-bucket"], found["template-file"]
    client("s3").put_object(Bucket=bucket, Key="template.yaml", Body=Path(template).read_bytes())
    parameters = dict(pair.split("=", 1) for pair in found["parameter-overrides"]) | json.loads(os.environ["QUICKSTART_PARAMETERS"])
    pairs = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=stack, TemplateURL=f"{ACCOUNT}/{bucket}/template.yaml", Parameters=pairs, Capabilities=found["capabilities"]
    )
    while (status := cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]) != "CREATE_COMPLETE":
        if re.search("FAILED|ROLLBACK", status):
            sys.exit(f"{status}: {cloudformation.describe_stack_events(StackName=stack)['StackEvents']}")
        time.sleep(0.2)
    listed = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    (name,) = [one["PhysicalResourceId"] for one in listed if one["LogicalResourceId"] == "Function"]
    variables = client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables |= json.loads(os.environ["QUICKSTART_VARIABLES"])
    client("lambda").update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def wait_for_deletion(words: list[str]) -> None:
    (stack,) = options(words)[1]["stack-name"]
    summaries = client("cloudformation").list_stacks
    while any(one["StackName"] == stack and one["StackStatus"] != "DELETE_COMPLETE" for one in summaries()["StackSummaries"]):
        time.sleep(0.2)


def main() -> None:
    service, operation, *words = sys.argv[1:]
    if service == "s3":
        s3(operation, words)
    elif (service, operation) == ("cloudformation", "deploy"):
        deploy(words)
    elif (service, operation) == ("cloudformation", "wait"):
        wait_for_deletion(words[1:])
    else:
        call(service, operation, words)


if __name__ == "__main__":
    main()
