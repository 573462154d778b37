"""Checks helpers/README.md against the helpers and the health check lines."""

from __future__ import annotations

import json
import re
from typing import Any

from languages import HELPERS, ROOT

README = (HELPERS / "README.md").read_text()
LANGUAGES = {"Python": "python", "Node": "js", "Java": "java", "Go": "go", ".NET": "csharp", "Ruby": "ruby"}


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def json_lines(value: dict[str, Any]) -> int:
    """Lines of the members of an object in formatted JSON."""
    return len(json.dumps(value, indent=2).splitlines()) - 2


def code_lines(text: str) -> int:
    return sum(bool(line.strip()) for line in text.splitlines())


def rows(heading: str) -> list[list[str]]:
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")][1:]


def linked_files(row: list[str]) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", " ".join(row))


def test_every_helper_is_listed() -> None:
    files = {path.name for path in HELPERS.iterdir() if path.is_file()} - {"README.md"}
    listed = [file for heading in ("Helpers by language", "OpenTelemetry") for row in rows(heading) for file in linked_files(row)]
    assert sorted(listed) == sorted(files)
    checks = [file for row in rows("Health checks") for file in linked_files(row) if file.startswith("health-check/")]
    assert sorted(checks) == sorted(f"health-check/{path.name}" for path in (HELPERS / "health-check").iterdir())


def test_every_signing_file_is_listed() -> None:
    readme = (HELPERS / "signing" / "README.md").read_text()
    table = readme.split("| language |")[1].split("\n\n")[0]
    assert sorted(re.findall(r"\]\(([^)]+)\)", table)) == sorted({path.name for path in (HELPERS / "signing").iterdir() if path.is_file()} - {"README.md"})
    for number, language in enumerate(LANGUAGES):
        # Java is set up by a file.
        count = table.splitlines()[number + 2].split("|")[4].strip()
        example = next(iter(blocks(LANGUAGES[language], readme)), "")
        assert count == str(code_lines(example)) or language == "Java", language


def test_tables_count_the_lines_of_the_examples() -> None:
    for heading in ("Helpers by language", "OpenTelemetry"):
        section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
        for language, _, count, *_ in rows(heading):
            (example,) = blocks(LANGUAGES[language], section)
            assert int(count) == code_lines(example), language


def test_each_example_is_the_one_of_the_helper() -> None:
    for row in rows("Helpers by language"):
        (example,) = blocks(LANGUAGES[row[0]], README.split("## OpenTelemetry")[0])
        helper = (HELPERS / linked_files(row)[0]).read_text()
        assert example.splitlines()[-1] in helper


def test_health_check_commands_are_the_tested_lines() -> None:
    objects = [json.loads(block) for block in blocks("json")]
    commands = [value for value in objects if isinstance(value, list)] + [value["healthCheck"]["command"] for value in objects if "healthCheck" in value]
    lines = {path.stem: path.read_text().removesuffix("\n") for path in (HELPERS / "health-check").iterdir()}
    assert sorted(commands) == sorted(["CMD-SHELL", lines[name]] for name in ("busybox-wget", "gnu-wget", "curl"))


def test_lines_of_change_are_counted() -> None:
    counted = {row[0]: row[1:3] for row in rows("Lines of change")}
    objects = [json.loads(block) for block in blocks("json")]
    common = json_lines(objects[0])
    check = next(json_lines(value) for value in objects if "healthCheck" in value)
    scraping = (ROOT / "docs/scraping.md").read_text()
    (endpoint,) = blocks("python", scraping)
    (label,) = re.findall(r'^"dockerLabels": {"sidecarless.stats.port".*$', scraping, re.M)
    definition = json.loads((ROOT / "tests/data/migrate/fargate.json").read_text())["taskDefinition"]
    (sidecar,) = [container for container in definition["containerDefinitions"] if "otel" in container["name"]]
    assert counted["health check"] == [str(common + check), "0"]
    assert counted["helper"][0] == str(common)
    assert counted["scraping (stats endpoint)"] == [str(json_lines(json.loads(f"{{{label}}}"))), str(code_lines(endpoint))]
    assert counted["ADOT sidecar"] == [str(len(json.dumps(sidecar, indent=2).splitlines())), "0"]
