"""Checks the GitHub issue forms, dependency updates, the CI workflow, and the version."""

import fnmatch
import json
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
    assert json.loads((ROOT / "deploy/cdk/package.json").read_text())["version"] == cargo_version()
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
    for ecosystem, pattern in [("cargo", "*/Cargo.toml"), ("npm", "tests/*/*/package.json"), ("npm", "deploy/*/package.json"), ("pip", "*/requirements*.txt")]:
        for manifest in ROOT.glob(pattern):
            assert (ecosystem, str(manifest.parent.relative_to(ROOT))) in updated, manifest


def test_workflow_runs_all_tests_and_builds_for_both_architectures():
    jobs = workflow()["jobs"]
    assert {"run": "scripts/test"} in jobs["test"]["steps"]
    assert set(jobs["zip"]["strategy"]["matrix"]["architecture"]) == set(yaml_allowed("Architecture"))
    assert any(step.get("run") == "scripts/package dist ${{ matrix.architecture }}" for step in jobs["zip"]["steps"])
    assert {one["architecture"] for one in jobs["static"]["strategy"]["matrix"]["include"]} == set(yaml_allowed("Architecture"))
    assert any(step.get("run") == "scripts/package dist static" for step in jobs["static"]["steps"])
    assert set(jobs["release"]["needs"]) == {"test", "deny", "zip", "static"}, "a release must depend on all checks"


def yaml_allowed(parameter):
    block = re.search(rf"^  {parameter}:\n(?:    .*\n)+", (ROOT / "template.yaml").read_text(), re.M)[0]
    return re.search(r"AllowedValues: \[(.*)\]", block)[1].split(", ")


def test_only_the_release_job_has_write_permission():
    assert workflow()["permissions"] == {"contents": "read"}
    writers = [name for name, job in workflow()["jobs"].items() if "write" in str(job.get("permissions", ""))]
    assert writers == ["release"]


def steps():
    return [(name, step) for name, job in workflow()["jobs"].items() for step in job["steps"]]


def test_every_action_is_pinned_by_commit():
    used = re.findall(r"uses: *(.*)", (ROOT / ".github/workflows/ci.yml").read_text())
    assert len(used) == sum("uses" in step for _, step in steps()) > 0
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), f"not pinned by commit with its version: {action}"


def test_checkouts_do_not_persist_credentials():
    checkouts = [step for _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) >= len(workflow()["jobs"])
    for step in checkouts:
        assert step["with"]["persist-credentials"] is False


def test_every_released_file_is_attested():
    release = workflow()["jobs"]["release"]
    assert release["permissions"] == {"contents": "write", "id-token": "write", "attestations": "write"}
    names = [step.get("uses", step.get("run", "")).split("@")[0] for step in release["steps"]]
    attested = names.index("actions/attest-build-provenance")
    checked = names.index("cd dist && sha256sum --check sidecarless-*.sha256")
    (published,) = [place for place, name in enumerate(names) if name.startswith("gh release create")]
    assert names.index("scripts/package dist template cdk") < checked < attested < published, "attest the checked files before they are published"
    patterns = release["steps"][attested]["with"]["subject-path"].split()
    script = (ROOT / "scripts/package").read_text()
    for name in re.findall(r'"\$FOLDER/(sidecarless-[^"]+)"', script):
        assert any(fnmatch.fnmatch(f"dist/{name}", pattern) for pattern in patterns), name


def test_workflow_checks_advisories_weekly():
    # YAML 1.1 reads the key `on` as true.
    assert workflow()[True]["schedule"]
    (step,) = [step for _, step in steps() if step.get("uses", "").startswith("EmbarkStudios/cargo-deny-action@")]
    assert step["with"]["command"] == "check"
    assert set(step["with"]["command-arguments"].split()) == {"advisories", "bans", "licenses", "sources"}


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("requirements*.txt")), ids=lambda path: path.stem)
def test_every_python_package_has_a_hash(path):
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    packages = "\n".join(lines).replace("\\\n", " ").splitlines()
    for package in packages:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+", package.split(" ;")[0]), package
    named = re.findall(r"^[\w-]+", path.with_suffix(".in").read_text(), re.M)
    assert {canonical(name) for name in named} <= {canonical(package.split("==")[0]) for package in packages}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_scripts_install_only_packages_with_hashes():
    text = (ROOT / "scripts/lib.sh").read_text()
    assert re.search(r"^PIP_INSTALL=\(install .*--require-hashes --only-binary :all:", text, re.M)
    files = [path for folder in ("scripts", ".github/workflows", "demo", "grafana") for path in (ROOT / folder).glob("*") if path.is_file()]
    for path in files:
        for line in path.read_text(errors="replace").splitlines():
            assert not re.search(r"\bpip\w*\W+install\b", line), f"{path.name}: install with PIP_INSTALL: {line}"


def test_scripts_named_in_pages_exist():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for script in re.findall(r"\b((?:scripts|grafana)/[a-z-]+)(?=[`\s])", page.read_text()):
            path = ROOT / script
            assert path.exists(), f"{page.name}: {script}"
