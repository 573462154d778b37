"""What people who join meet first: forms, updates, the workflow, and a version that is the same everywhere."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")

# What the manifest of an ecosystem is called.
MANIFESTS = {"cargo": "Cargo.toml", "github-actions": ".github/workflows/*.yml", "pip": "requirements*.txt", "npm": "package.json"}


def workflow():
    return yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def cargo_version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def test_the_version_is_the_same_everywhere():
    template = (ROOT / "template.yaml").read_text()
    assert re.search(r"SemanticVersion: (\S+)", template)[1] == cargo_version()
    newest = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest[0] == "Unreleased" or newest[0] == cargo_version()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_forms_are_what_github_takes(form):
    asked = yaml.safe_load(form.read_text())
    assert asked["name"] and asked["description"]
    for field in asked["body"]:
        assert field["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert field["attributes"].get("label") or field["type"] == "markdown"
    ids = [field["id"] for field in asked["body"] if "id" in field]
    assert len(ids) == len(set(ids))
    assert any(field.get("validations", {}).get("required") for field in asked["body"])


def test_updates_are_looked_for_where_there_is_something_to_update():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())
    assert updates["version"] == 2
    assert {update["package-ecosystem"] for update in updates["updates"]} == set(MANIFESTS)
    for update in updates["updates"]:
        for directory in update.get("directories") or [update["directory"]]:
            pattern = directory.strip("/") + "/" + MANIFESTS[update["package-ecosystem"]]
            assert list(ROOT.glob(pattern.lstrip("/"))), pattern


def test_every_manifest_has_its_updates():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    looked = {(update["package-ecosystem"], directory.strip("/")) for update in updates for directory in update.get("directories") or [update["directory"]]}
    for ecosystem, pattern in [("cargo", "*/Cargo.toml"), ("npm", "tests/*/*/package.json"), ("pip", "*/requirements*.txt")]:
        for manifest in ROOT.glob(pattern):
            assert (ecosystem, str(manifest.parent.relative_to(ROOT))) in looked, manifest


def test_the_workflow_runs_what_contributors_run_and_builds_for_both_processors():
    jobs = workflow()["jobs"]
    assert {"run": "scripts/test"} in jobs["test"]["steps"]
    architectures = {entry["architecture"] for entry in jobs["zip"]["strategy"]["matrix"]["include"]}
    assert architectures == set(yaml_allowed("Architecture"))
    text = "\n".join(step.get("run", "") for step in jobs["zip"]["steps"])
    assert "sha256sum" in text and "--locked" in text
    assert set(jobs["release"]["needs"]) == {"test", "deny", "zip"}, "nothing is released that has not passed"


def yaml_allowed(parameter):
    block = re.search(rf"^  {parameter}:\n(?:    .*\n)+", (ROOT / "template.yaml").read_text(), re.M)[0]
    return re.search(r"AllowedValues: \[(.*)\]", block)[1].split(", ")


def test_a_token_of_the_workflow_can_write_only_where_something_is_released():
    assert workflow()["permissions"] == {"contents": "read"}
    writing = [name for name, job in workflow()["jobs"].items() if "write" in str(job.get("permissions", ""))]
    assert writing == ["release"]


def test_scripts_that_pages_name_are_there():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for script in re.findall(r"\b((?:scripts|grafana)/[a-z-]+)(?=[`\s])", page.read_text()):
            path = ROOT / script
            assert path.exists(), f"{page.name}: {script}"
