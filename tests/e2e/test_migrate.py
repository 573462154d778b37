"""`sidecarless migrate`: the printed task definition can be registered, and has no sidecar."""

from __future__ import annotations

import json
import subprocess

from conftest import CLI, ROOT, Stack

from demo import ecs

DATA = ROOT / "tests" / "data" / "migrate"
# Exit code by file. 1 means that something has no equivalent.
CASES = {"fargate": 1, "content": 1, "bridge": 1, "xray-daemon": 1, "ssm": 1}
SIDECARS = ("collector", "xray-daemon")


def test_new_definition_registers_without_the_sidecar(stack: Stack) -> None:
    client = ecs.client("ecs", stack.aws)
    before = after = unsupported = 0
    for name, code in CASES.items():
        old = json.loads((DATA / f"{name}.json").read_text())
        done = subprocess.run([CLI, "migrate", DATA / f"{name}.json"], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        client.register_task_definition(**json.loads(done.stdout))
        family = old.get("taskDefinition", old)["family"]
        described = client.describe_task_definition(taskDefinition=family)["taskDefinition"]["containerDefinitions"]
        assert described and not [each for each in described if any(part in each["image"] for part in SIDECARS)]
        before += len(old.get("taskDefinition", old)["containerDefinitions"])
        after += len(described)
        unsupported += len(done.stderr.partition("Without equivalent, or decision required:\n")[2].splitlines())
    print(f"\nshow: migrate: {len(CASES)} definitions registered, {before} containers before, {after} after, {unsupported} items without equivalent reported", end="")


def test_definition_without_a_sidecar_is_an_error() -> None:
    definition = json.dumps({"family": "f", "containerDefinitions": [{"name": "app", "image": "nginx"}]})
    done = subprocess.run([CLI, "migrate", "/dev/stdin"], input=definition, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no container has the image of a collector" in done.stderr
