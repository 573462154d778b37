"""The metadata endpoint of a task in ECS (moto), and a task of the definition that `sidecarless migrate` writes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from standin import GOLDEN, Recorded, Reply, Standin, compact

from demo import ecs

MIGRATED = Path(__file__).resolve().parent.parent / "data" / "migrate" / "fargate.json"
# Age of both readings on Fargate.
INTERVALS = {"read": timedelta(), "preread": timedelta(seconds=10)}


@dataclass
class Metadata(Standin):
    """The metadata endpoint of a task, whose only container was read just now. `network_mode` is `host`, because the election of a
    sender would include the tasks of other tests on this machine."""

    task: ecs.Task
    network_mode: str = "host"

    def __post_init__(self) -> None:
        super().__init__({})

    def document(self, name: str) -> Any:
        return json.loads((GOLDEN / name).read_text().replace("5f0e6c1d2b3a49788e7d6c5b4a392817", self.task.id))

    def reply(self, request: Recorded) -> Reply:
        task, stats = self.document("task.json"), self.document("task-stats.json")
        task |= {"TaskARN": self.task.arn, "Family": self.task.service, "Revision": "1"}
        task["Containers"] = task["Containers"][:1]
        container = task["Containers"][0]
        container["Networks"][0]["NetworkMode"] = self.network_mode
        now = datetime.now(timezone.utc)
        read = {key: (now - before).isoformat().replace("+00:00", "Z") for key, before in INTERVALS.items()}
        documents = {"/task": task, "/task/stats": {container["DockerId"]: stats[container["DockerId"]] | read}}
        return Reply(body=compact(documents[request.path.removeprefix("/v4/container")]))


def start_migrated(cli: Path, aws: str, family: str) -> tuple[Metadata, dict[str, Any]]:
    """Runs a task of the definition that `sidecarless migrate` writes. Returns its metadata endpoint and its container definition."""
    done = subprocess.run([cli, "migrate", MIGRATED], capture_output=True, text=True, timeout=60, check=False)
    # 1: that the image has a shell is a decision of the user.
    assert done.returncode == 1, done.stderr
    client, task = ecs.client("ecs", aws), ecs.new_task(family, "127.0.0.1")
    client.register_task_definition(**json.loads(done.stdout) | {"family": family})
    ecs.start_task(aws, task, {"demo-address": task.address}, networkConfiguration=ecs.network_configuration(aws))
    registered = client.describe_task_definition(taskDefinition=family)["taskDefinition"]["containerDefinitions"]
    return Metadata(task), next(container for container in registered if container["name"] == "cart")
