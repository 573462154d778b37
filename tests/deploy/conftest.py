"""Fixture: template.yaml deployed to MiniStack, with Prometheus as AMP and moto as X-Ray and ECS."""

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
from fault_proxy import FaultProxy  # noqa: E402

from demo import ecs  # noqa: E402
from demo.peers import ACCOUNT, REGION, Peers, clear_settings, moto, prometheus  # noqa: E402
from demo.sources import LOG_GROUP, UNTOUCHED_CLUSTER  # noqa: E402

STACK = "sidecarless"
BINARY = Path(os.environ.get("SIDECARLESS_BINARY_PATH") or ROOT / "target" / "release" / "sidecarless-function")
CLI = Path(os.environ.get("SIDECARLESS_CLI_PATH") or ROOT / "target" / "debug" / "sidecarless")
# scripts/deploy-test compiles the CDK construct into this folder, if npm is available.
CONSTRUCT = os.environ.get("SIDECARLESS_CDK_PATH")
clear_settings()


def interrupted(number: int, _: object) -> None:
    """Ends the tests like Ctrl-C, so that all processes that they started are stopped."""
    raise KeyboardInterrupt(signal.Signals(number).name)


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, interrupted)


@dataclass
class Deployed:
    peers: Peers
    account: Account
    amp: str
    moto: str
    amp_proxy: FaultProxy
    xray_proxy: FaultProxy
    outputs: dict[str, str]
    resources: dict[str, str]
    token: str
    at: float
    # Processes of the tasks, which send data as long as they run.
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Function URL by its MiniStack path. Its host name, which starts with the ID, does not resolve."""
        name = self.outputs["OtlpEndpoint"].split("//")[1].split(".")[0]
        return f"{self.account.base}/_aws/lambda-url/{name}/"

    def block(self) -> dict[str, str]:
        """Stack output for a task definition, with the token and a reachable address."""
        text = self.outputs["OtelEnvironmentToken"].replace("TOKEN", self.token)
        text = text.replace(self.outputs["OtlpEndpoint"], self.url)
        return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with Peers(tmp_path_factory.mktemp("peers")) as peers:
        account = Account(ministack(peers))
        amp, aws = prometheus(peers), moto(peers)
        amp_proxy, xray_proxy = FaultProxy(amp), FaultProxy(aws)
        token = secrets.token_urlsafe(32)
        account.upload(BINARY)
        # AWS creates it when Container Insights is enabled for the cluster.
        account.client("logs").create_log_group(logGroupName=LOG_GROUP)
        outputs = account.deploy(STACK, {
            "TokensSha256": hashlib.sha256(token.encode()).hexdigest(),
            "Clusters": f"{ecs.CLUSTER},{UNTOUCHED_CLUSTER}",
            "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
            "RemoteWriteUrl": f"{amp_proxy.url}/workspaces/ws-deployed/api/v1/remote_write",
            "WorkspaceArn": f"arn:aws:aps:{REGION}:{ACCOUNT}:workspace/ws-deployed",
            # MiniStack does not support AMP.
            "LoadRules": "off",
            "InsightsCluster1": ecs.CLUSTER,
            "TaskStateChangeEvents": "on",
        })
        at = time.time()
        resources = account.resources(STACK)
        account.set_variables(resources["Function"], {
            "AWS_ENDPOINT_URL": aws,
            "AWS_ENDPOINT_URL_SQS": account.base,
            "AWS_ENDPOINT_URL_XRAY": xray_proxy.url,
            # The test tasks have loopback addresses.
            "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8",
        })
        yield Deployed(peers, account, amp, aws, amp_proxy, xray_proxy, outputs, resources, token, at)
        amp_proxy.close()
        xray_proxy.close()
