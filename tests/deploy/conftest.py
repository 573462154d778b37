"""template.yaml deployed into MiniStack, with Prometheus as AMP and moto as X-Ray and ECS."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from cloud import Account, ministack  # noqa: E402
from door import Door  # noqa: E402

from demo import ecs  # noqa: E402
from demo.peers import ACCOUNT, REGION, Peers, clear_settings, moto, prometheus  # noqa: E402
from demo.sources import LOG_GROUP  # noqa: E402

STACK = "sidecarless"
BINARY = Path(os.environ.get("SIDECARLESS_BINARY_PATH") or ROOT / "target" / "release" / "sidecarless")
clear_settings()


def interrupted(number: int, _: object) -> None:
    """A stop from outside ends the tests as Ctrl-C does: with everything stopped that they have started."""
    raise KeyboardInterrupt(signal.Signals(number).name)


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, interrupted)


@dataclass
class Deployed:
    peers: Peers
    account: Account
    amp: str
    moto: str
    amp_door: Door
    xray_door: Door
    outputs: dict[str, str]
    resources: dict[str, str]
    token: str
    at: float
    # Those of the tasks, which push as long as they run.
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The Function URL by MiniStack's path; its host name, the first part of which is the id, leads nowhere here."""
        name = self.outputs["OtlpEndpoint"].split("//")[1].split(".")[0]
        return f"{self.account.base}/_aws/lambda-url/{name}/"

    def block(self) -> dict[str, str]:
        """The output to paste into a task definition, with the token filled in and the address that leads somewhere."""
        text = self.outputs["OtelEnvironmentToken"].replace("TOKEN", self.token)
        text = text.replace(self.outputs["OtlpEndpoint"], self.url)
        return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with Peers(tmp_path_factory.mktemp("peers")) as peers:
        account = Account(ministack(peers))
        amp, aws = prometheus(peers), moto(peers)
        amp_door, xray_door = Door(amp), Door(aws)
        token = secrets.token_urlsafe(32)
        account.upload(BINARY)
        # Amazon makes it when Container Insights is switched on for the cluster.
        account.client("logs").create_log_group(logGroupName=LOG_GROUP)
        outputs = account.deploy(STACK, {
            "TokensSha256": hashlib.sha256(token.encode()).hexdigest(),
            "Clusters": ecs.CLUSTER,
            "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
            "RemoteWriteUrl": f"{amp_door.url}/workspaces/ws-deployed/api/v1/remote_write",
            "WorkspaceArn": f"arn:aws:aps:{REGION}:{ACCOUNT}:workspace/ws-deployed",
            # MiniStack has no AMP to load them into.
            "LoadRules": "off",
            "InsightsCluster1": ecs.CLUSTER,
            "TaskStateChangeEvents": "on",
        })
        at = time.time()
        resources = account.resources(STACK)
        account.set_variables(resources["Function"], {
            "AWS_ENDPOINT_URL": aws,
            "AWS_ENDPOINT_URL_SQS": account.base,
            "AWS_ENDPOINT_URL_XRAY": xray_door.url,
            # The tasks of this machine have addresses that no task has.
            "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8",
        })
        yield Deployed(peers, account, amp, aws, amp_door, xray_door, outputs, resources, token, at)
        amp_door.close()
        xray_door.close()
