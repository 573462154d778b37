"""Service models of botocore: which operation a request calls, its parameters, and the errors of an operation."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import Any

import botocore.session
from aws_proxy import Call
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator
from conftest import ROOT

# Services that the function and the command line call, by signing name, which is the name of most models.
SERVICES = ("ecs", "ec2", "logs", "monitoring", "sqs", "sts", "xray")
MODELS = {"monitoring": "cloudwatch"}
# Endpoints without an operation: remote write (Amazon Managed Service for Prometheus User Guide) and OTLP (Amazon CloudWatch User
# Guide, "OTLP endpoints").
NOT_IN_A_MODEL = {"/v1/traces", "/v1/logs"}

_SESSION = botocore.session.get_session()


def model(service: str) -> ServiceModel:
    return _SESSION.get_service_model(MODELS.get(service, service))


def protocol(service: ServiceModel) -> str:
    """Returns the protocol in which the function calls a service: JSON rather than CBOR."""
    return "json" if "json" in service.metadata.get("protocols", []) else str(service.metadata["protocol"])


def called_operations() -> dict[str, set[str]]:
    """Returns the operations in the source code: methods of SDK clients, actions in query strings, targets, and paths of X-Ray."""
    code = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.rs")))
    methods = {name.replace("_", "") for name in re.findall(r"\.([a-z_0-9]+)\(\)", code)}
    actions = {action.lower() for action in re.findall(r"Action=(\w+)&", code)}
    called = {service: set() for service in SERVICES}
    for service in SERVICES:
        for name in model(service).operation_names:
            path = model(service).operation_model(name).http["requestUri"]
            by_path = service == "xray" and f'"{path}"' in code
            by_target = f'"{model(service).metadata.get("targetPrefix")}.{name}"' in code
            if name.lower() in methods | actions or by_path or by_target:
                called[service].add(name)
    # The SDK calls AssumeRole for the function.
    if "AssumeRoleProvider" in code:
        called["sts"].add("AssumeRole")
    return called


def operation(call: Call) -> OperationModel:
    """Returns the operation of a call. Fails if the service has no such operation, or the protocol is another."""
    service = model(call.service)
    if protocol(service) == "rest-json":
        (name,) = [name for name in service.operation_names if service.operation_model(name).http["requestUri"] == call.path]
        assert service.operation_model(name).http["method"] == "POST"
        return service.operation_model(name)
    if protocol(service) == "json":
        prefix, _, name = call.headers["x-amz-target"].rpartition(".")
        assert prefix == service.metadata["targetPrefix"], call.headers
        assert call.headers["content-type"] == f"application/x-amz-json-{service.metadata['jsonVersion']}"
        return service.operation_model(name)
    assert call.path == "/", call.path
    return service.operation_model(call.operation)


def parameters(call: Call) -> dict[str, Any]:
    """Returns the input of a call, as the service reads it."""
    service, shape = model(call.service), operation(call).input_shape
    if protocol(service) in ("json", "rest-json"):
        return dict(json.loads(call.body))
    form = dict(urllib.parse.parse_qsl(call.body.decode(), keep_blank_values=True, strict_parsing=True))
    del form["Action"]
    assert form.pop("Version") == service.metadata["apiVersion"]
    is_ec2 = service.metadata["protocol"] == "ec2"
    value = from_form(shape, "", form, is_ec2) if shape else {}
    assert not form, f"{call.operation} has no parameters {sorted(form)}"
    return dict(value or {})


def from_form(shape: Shape, prefix: str, form: dict[str, str], is_ec2: bool) -> Any:
    """Removes the fields of a shape from a form, and returns their value; None if there are none."""
    if isinstance(shape, StructureShape):
        members = {
            name: from_form(member, f"{prefix}.{field_name(name, member, is_ec2)}".lstrip("."), form, is_ec2)
            for name, member in shape.members.items()
        }
        return {name: value for name, value in members.items() if value is not None} or None
    if isinstance(shape, ListShape):
        is_flat = is_ec2 or shape.serialization.get("flattened")
        values: list[Any] = []
        while True:
            key = f"{prefix}.{len(values) + 1}" if is_flat else f"{prefix}.member.{len(values) + 1}"
            value = from_form(shape.member, key, form, is_ec2)
            if value is None:
                return values or None
            values.append(value)
    assert not isinstance(shape, MapShape), "no call has a map"
    text = form.pop(prefix, None)
    if text is None:
        return None
    return {"integer": int, "long": int, "boolean": lambda text: text == "true"}.get(shape.type_name, str)(text)


def field_name(name: str, member: Shape, is_ec2: bool) -> str:
    """Returns the name of a member in a form (Smithy, "AWS EC2 query protocol" and "AWS query protocol")."""
    serialized = member.serialization.get("name")
    if not is_ec2:
        return str(serialized or name)
    return str(member.serialization.get("queryName") or (serialized or name)[0].upper() + (serialized or name)[1:])


def problems(call: Call) -> list[str]:
    """Returns what the model does not allow in a call: unknown or missing members, types, enumerations, lengths and ranges."""
    shape, value = operation(call).input_shape, parameters(call)
    if shape is None:
        return [f"unexpected parameters {value}"] if value else []
    report = ParamValidator().validate(value, shape)
    found = [report.generate_report()] if report.has_errors() else []
    return [f"{call.operation}: {problem}" for problem in found + limits(shape, value, "")]


def limits(shape: Shape, value: Any, path: str) -> list[str]:
    """Checks enumerations, maximum values and patterns, which botocore leaves to the service."""
    if isinstance(shape, StructureShape):
        members = [(shape.members[name], member, f"{path}.{name}") for name, member in value.items() if name in shape.members]
    elif isinstance(shape, ListShape):
        members = [(shape.member, member, f"{path}[{number}]") for number, member in enumerate(value)]
    elif isinstance(shape, MapShape):
        members = [(shape.value, member, f"{path}.{key}") for key, member in value.items()]
    else:
        members = []
    found = [problem for member in members for problem in limits(*member)]
    allowed = getattr(shape, "enum", [])
    if allowed and value not in allowed:
        found.append(f"{path} is {value!r}, which is none of {allowed}")
    size = value if isinstance(value, int | float) else len(value)
    if "max" in shape.metadata and size > shape.metadata["max"]:
        found.append(f"{path} is larger than {shape.metadata['max']}")
    return found


def error_codes(service: str, name: str) -> set[str]:
    """Returns the error codes of an operation."""
    return {shape.error_code for shape in model(service).operation_model(name).error_shapes}
