"""Executes the commands of docs/quickstart.md in an empty folder, in their order, and prints how long each step takes.

MiniStack is the account, moto has ECS and X-Ray, and Prometheus is the workspace, behind a proxy that checks signatures. The task that the
page configures is a process with the variables of the page, and the health check of the page is the one that pushes its stats.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "deploy"), str(ROOT / "tests" / "helpers"), str(ROOT / "tests" / "e2e")]

from cloud import Account, ministack  # noqa: E402
from standin import running, sender_environment  # noqa: E402
from task_metadata import start_migrated  # noqa: E402
from workspace_proxy import WorkspaceProxy  # noqa: E402

from demo import ecs  # noqa: E402
from demo.peers import ACCOUNT, CREDENTIALS, REGION, Peers, clear_settings, moto, prometheus, query, stop, wait_for  # noqa: E402

PAGE = (ROOT / "docs" / "quickstart.md").read_text().split("## Remote sampling")[0]
BLOCK = re.compile(r"^( *)```(sh|console|json)\n(.*?)^ *```\n", re.M | re.S)
BINARY = Path(os.environ.get("SIDECARLESS_BINARY_PATH") or ROOT / "target" / "debug" / "sidecarless-function").resolve()
CLI = Path(os.environ.get("SIDECARLESS_CLI_PATH") or ROOT / "target" / "debug" / "sidecarless").resolve()
# Blocks that are not run, by their first words, and why.
NOT_RUN = {
    "gh release download": "a release, of which the next block makes the files from the sources",
    "curl --proto": "installs build tools from the internet",
    "aws amp delete-workspace": "MiniStack has no AMP",
}
# Parts of commands that are replaced: the clone is local, the binaries are those of the tests.
REPLACED = {
    "git clone https://github.com/OWNER/sidecarless": f"git clone --quiet {shlex.quote(str(ROOT))} sidecarless",
    "cargo install --locked --path . --bin sidecarless": f'install -D {shlex.quote(str(CLI))} "$HOME/bin/sidecarless"',
}
# Time until the first scheduled run has written.
FIRST_RUN_S = 150
clear_settings()


@dataclass
class Shell:
    """A shell that stays open: each block has the variables, the functions and the folder of those before."""

    folder: Path
    env: dict[str, str]
    durations: list[tuple[str, float]] = field(default_factory=list)

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        state = shlex.quote(str(self.folder / ".state"))
        before = f"set -a; [ ! -f {state} ] || . {state}"
        after = f'{{ export -p; declare -f; printf "cd %q\\n" "$PWD"; }} > {state}'
        script = f"{before}\nset -euo pipefail\n{commands}\nset +eu\n{after}"
        return subprocess.run(["bash", "-c", script], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120, check=False)

    def step(self, name: str, commands: str) -> str:
        """Runs a block until it succeeds. Only queries may fail at first, because they wait for the scheduled run."""
        started = time.monotonic()
        limit = started + (FIRST_RUN_S if "sidecarless query" in commands else 0)
        while (done := self.run(commands)).returncode != 0:
            assert time.monotonic() < limit, f"{commands}\n{done.stdout}{done.stderr}"
            time.sleep(2)
        self.durations.append((name, time.monotonic() - started))
        return done.stdout


@dataclass
class Quickstart:
    shell: Shell
    peers: Peers
    account: Account
    amp: str
    moto: str


@pytest.fixture
def quickstart(tmp_path: Path) -> Iterator[Quickstart]:
    with Peers(tmp_path / "peers") as peers:
        account, amp, aws = Account(ministack(peers)), prometheus(peers), moto(peers)
        proxy = WorkspaceProxy(amp)
        folder = tmp_path / "empty"
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "aws").write_text(f"#!/bin/sh\nexec {sys.executable} {ROOT / 'tests/quickstart/aws_cli.py'} \"$@\"\n")
        (folder / "bin" / "aws").chmod(0o755)
        # An account that runs tasks has a cluster with one, and this role.
        ecs.create_cluster(aws, ecs.CLUSTER, insights=False)
        ecs.run_task(aws, ecs.new_task("invoices", "127.0.3.6", source="none"), {})
        account.client("iam").create_role(RoleName="ecsTaskExecutionRole", AssumeRolePolicyDocument="{}")
        parameters = {
            "RemoteWriteUrl": f"{proxy.workspace}/api/v1/remote_write", "WorkspaceArn": f"arn:aws:aps:{REGION}:{ACCOUNT}:workspace/ws-1",
            "LoadRules": "off", "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
        }
        variables = {"AWS_ENDPOINT_URL": aws, "AWS_ENDPOINT_URL_SQS": account.base, "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8"}
        env = {
            **CREDENTIALS, "HOME": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "SIDECARLESS_BINARY_PATH": str(BINARY), "SIDECARLESS_CLI_PATH": str(CLI), "QUICKSTART_ACCOUNT": account.base,
            "QUICKSTART_PARAMETERS": json.dumps(parameters), "QUICKSTART_VARIABLES": json.dumps(variables),
        }
        yield Quickstart(Shell(folder, env), peers, account, amp, aws)
        proxy.close()


def variable(shell: Shell, name: str) -> str:
    return shell.run(f'printf %s "${name}"').stdout


def start_task(started: Quickstart, snippet: str) -> ecs.Task:
    """Runs a task with the variables of the page, and the header that the page stores as a secret."""
    task = ecs.new_task("cart", "127.0.3.7")
    ecs.run_task(started.moto, task, {})
    variables = {one["name"]: one["value"] for one in json.loads("{" + snippet + "}")["environment"]}
    assert {"OTEL_BSP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_RESOURCE_ATTRIBUTES"} <= set(variables)
    secret = started.account.client("ssm").get_parameter(Name="/otlp/headers", WithDecryption=True)["Parameter"]["Value"]
    variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": variable(started.shell, "URL"), "OTEL_EXPORTER_OTLP_HEADERS": secret}
    # Otherwise the SDK for Python, which reads seconds, would wait for hours, and the test for the interval of metrics.
    variables |= {"OTEL_EXPORTER_OTLP_TIMEOUT": "10", "OTEL_METRIC_EXPORT_INTERVAL": "2000", "PYTHONPATH": str(ROOT)}
    # The program names itself by this variable.
    variables["OTEL_SERVICE_NAME"] = variables["OTEL_RESOURCE_ATTRIBUTES"].removeprefix("service.name=")
    program = [sys.executable, str(ROOT / "demo" / "shop.py"), task.address, str(task.port), str(task.stats_port), task.arn]
    process = started.peers.start("cart", program, variables)
    ecs.wait_for_processes([task])
    with urllib.request.urlopen(task.url, timeout=30) as response:
        trace_id = str(response.headers["x-trace-id"])
    wait_for("the SDK's metrics", lambda: query(started.amp, 'shop_requests_total{service_name="cart"}'), 30)
    # OTEL_BSP_SCHEDULE_DELAY is that of the page.
    documents = wait_for("the trace in X-Ray", lambda: ecs.trace_documents(started.moto, trace_id), 40)
    stop(process)
    print(f"\nshow: sent by the task of step 3: shop_requests_total, and {len(documents)} segment in X-Ray", end="")
    return task


def push_stats(started: Quickstart, snippet: str) -> None:
    """Runs the health check of the page in a task that declares the push."""
    page = json.loads("{" + snippet + "}")
    assert page["dockerLabels"] == {"sidecarless.stats": "push"}
    token = started.account.client("ssm").get_parameter(Name="/sidecarless/token", WithDecryption=True)["Parameter"]["Value"]
    endpoint, _ = start_migrated(CLI, started.moto, "checkout")
    with running(endpoint):
        sender = sender_environment(endpoint.url + "/v4/container", variable(started.shell, "URL"), token)
        _, line = page["healthCheck"]["command"]
        subprocess.run(["/bin/sh", "-c", line], env={"PATH": os.environ["PATH"], **sender}, timeout=page["healthCheck"]["timeout"], check=True)


def test_every_command_of_the_page_succeeds(quickstart: Quickstart) -> None:
    shell, skipped, snippets = quickstart.shell, [], {"3": start_task, "4": push_stats}
    for section in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        title, number = section.splitlines()[0], section[0]
        for _, kind, block in BLOCK.findall(section):
            commands = block
            reason = next((reason for words, reason in NOT_RUN.items() if commands.strip().startswith(words)), "")
            name = f"{title}: {commands.strip().splitlines()[0][:60]}"
            if reason:
                skipped.append(f"{name} ({reason})")
            elif kind == "json":
                started = time.monotonic()
                snippets.pop(number)(quickstart, block)
                shell.durations.append((f"{title}: the task of the page", time.monotonic() - started))
            else:
                for part, replacement in REPLACED.items():
                    commands = commands.replace(part, replacement)
                commands = commands.replace("scripts/package dist arm64 template", "PACKAGE_VERSION=v0.1.0 scripts/package dist arm64 template")
                output = shell.step(name, commands)
                if "sidecarless query" in commands:
                    print(f"\nshow: {name}\n{output}", end="")
    assert not snippets, "the page has both parts of a task definition"
    for name, seconds in shell.durations:
        print(f"\nshow: {seconds:6.1f} s  {name}", end="")
    print(f"\nshow: {sum(seconds for _, seconds in shell.durations):6.1f} s  all {len(shell.durations)} steps", end="")
    for name in skipped:
        print(f"\nshow: not run: {name}", end="")
    assert len(skipped) == len(NOT_RUN)
    remaining = quickstart.account
    assert remaining.client("s3").list_buckets()["Buckets"] == [] and remaining.client("lambda").list_functions()["Functions"] == []
    assert remaining.client("ssm").describe_parameters()["Parameters"] == []
