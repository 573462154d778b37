"""Checks the GitHub issue forms, dependency updates, the CI workflow, and the version."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")

# Manifest file name of each ecosystem.
MANIFESTS = {"cargo": "Cargo.toml", "github-actions": ".github/workflows/*.yml", "pip": "requirements*.txt", "npm": "package.json"}


def workflow():
    return yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def cargo_version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def test_version_is_the_same_everywhere():
    template = (ROOT / "template.yaml").read_text()
    assert re.search(r"SemanticVersion: (\S+)", template)[1] == cargo_version()
    newest = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest[0] == "Unreleased" or newest[0] == cargo_version()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_issue_forms_are_valid(form):
    content = yaml.safe_load(form.read_text())
    assert content["name"] and content["description"]
    for field in content["body"]:
        assert field["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert field["attributes"].get("label") or field["type"] == "markdown"
    ids = [field["id"] for field in content["body"] if "id" in field]
    assert len(ids) == len(set(ids))
    assert any(field.get("validations", {}).get("required") for field in content["body"])


def test_dependency_updates_match_existing_manifests():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())
    assert updates["version"] == 2
    assert {update["package-ecosystem"] for update in updates["updates"]} == set(MANIFESTS)
    for update in updates["updates"]:
        for directory in update.get("directories") or [update["directory"]]:
            pattern = directory.strip("/") + "/" + MANIFESTS[update["package-ecosystem"]]
            assert list(ROOT.glob(pattern.lstrip("/"))), pattern


def test_every_manifest_has_dependency_updates():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    updated = {(update["package-ecosystem"], directory.strip("/")) for update in updates for directory in update.get("directories") or [update["directory"]]}
    for ecosystem, pattern in [("cargo", "*/Cargo.toml"), ("npm", "tests/*/*/package.json"), ("pip", "*/requirements*.txt")]:
        for manifest in ROOT.glob(pattern):
            assert (ecosystem, str(manifest.parent.relative_to(ROOT))) in updated, manifest


def test_workflow_runs_all_tests_and_builds_for_both_architectures():
    jobs = workflow()["jobs"]
    assert {"run": "scripts/test"} in jobs["test"]["steps"]
    architectures = {entry["architecture"] for entry in jobs["zip"]["strategy"]["matrix"]["include"]}
    assert architectures == set(yaml_allowed("Architecture"))
    text = "\n".join(step.get("run", "") for step in jobs["zip"]["steps"])
    assert "sha256sum" in text and "--locked" in text
    assert set(jobs["release"]["needs"]) == {"test", "deny", "zip"}, "a release must depend on all checks"


def yaml_allowed(parameter):
    block = re.search(rf"^  {parameter}:\n(?:    .*\n)+", (ROOT / "template.yaml").read_text(), re.M)[0]
    return re.search(r"AllowedValues: \[(.*)\]", block)[1].split(", ")


def test_only_the_release_job_has_write_permission():
    assert workflow()["permissions"] == {"contents": "read"}
    writers = [name for name, job in workflow()["jobs"].items() if "write" in str(job.get("permissions", ""))]
    assert writers == ["release"]


def test_scripts_named_in_pages_exist():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for script in re.findall(r"\b((?:scripts|grafana)/[a-z-]+)(?=[`\s])", page.read_text()):
            path = ROOT / script
            assert path.exists(), f"{page.name}: {script}"
