"""CloudFormation template and CloudWatch as far as the alarms need them: metric filters on JSON lines, and the state of an alarm."""

from __future__ import annotations

import fnmatch
import json
import re
from typing import Any

import yaml
from conftest import ROOT


class Loader(yaml.SafeLoader):
    """Reads `!Ref X` as {"Ref": "X"}, and other functions likewise."""


def short_form(loader: Loader, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


Loader.add_multi_constructor("!", short_form)


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Returns the properties of the resources of a type."""
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader)
    return {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == kind}


def parameters() -> dict[str, dict[str, Any]]:
    template: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), Loader)
    return dict(template["Parameters"])


def matches(pattern: str, line: dict[str, Any]) -> bool:
    """Evaluates a filter pattern: comparisons of fields with texts or numbers, `&&`, `||` and parentheses
    (Amazon CloudWatch Logs User Guide, "Filter pattern syntax for metric filters")."""
    tokens = re.findall(r'"[^"]*"|\$[\w.]+|&&|\|\||!=|[=(){}]|-?\d+(?:\.\d+)?|\S', pattern)
    assert tokens[0] == "{" and tokens[-1] == "}", f"not a pattern for JSON: {pattern}"
    value, rest = disjunction(tokens[1:-1], line)
    assert not rest, f"not evaluated: {rest}"
    return value


def disjunction(tokens: list[str], line: dict[str, Any]) -> tuple[bool, list[str]]:
    value, tokens = conjunction(tokens, line)
    while tokens and tokens[0] == "||":
        other, tokens = conjunction(tokens[1:], line)
        value = value or other
    return value, tokens


def conjunction(tokens: list[str], line: dict[str, Any]) -> tuple[bool, list[str]]:
    value, tokens = comparison(tokens, line)
    while tokens and tokens[0] == "&&":
        other, tokens = comparison(tokens[1:], line)
        value = value and other
    return value, tokens


def comparison(tokens: list[str], line: dict[str, Any]) -> tuple[bool, list[str]]:
    if tokens[0] == "(":
        value, tokens = disjunction(tokens[1:], line)
        assert tokens[0] == ")", tokens
        return value, tokens[1:]
    field, operator, literal, *rest = tokens
    actual: Any = line
    for name in field.removeprefix("$.").split("."):
        actual = actual.get(name) if isinstance(actual, dict) else None
    if actual is None:
        return False, rest
    wanted = json.loads(literal)
    same = fnmatch.fnmatchcase(str(actual), wanted) if isinstance(wanted, str) else actual == wanted
    assert operator in ("=", "!="), operator
    return same == (operator == "="), rest


def is_alarming(alarm: dict[str, Any], datapoints: list[float | None]) -> bool:
    """Evaluates the newest data points of an alarm, one for each period; None is missing data
    (Amazon CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data")."""
    compare = {"GreaterThanThreshold": lambda a, b: a > b, "LessThanThreshold": lambda a, b: a < b}[alarm["ComparisonOperator"]]
    newest = datapoints[-alarm["EvaluationPeriods"] :]
    missing = {"breaching": True, "notBreaching": False}[alarm["TreatMissingData"]]
    breaching = [missing if value is None else compare(value, alarm["Threshold"]) for value in newest]
    return sum(breaching) >= alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
