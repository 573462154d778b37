"""Task stats that tasks push: each sender runs as in a container, against the metadata endpoint of its task (a stand-in), ECS (moto) and
the function. The series in Prometheus are those of a scrape of the same documents."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import BINARY, CLI, ROOT, TOKEN, settings

from demo import ecs
from demo.peers import Peers, function, moto, post, prometheus, query, wait_for

sys.path.append(str(ROOT / "tests" / "helpers"))

import standin  # noqa: E402
from languages import HELPERS, LANGUAGES, Missing, busybox, on_path  # noqa: E402
from process import wait_until  # noqa: E402
from standin import running, sender_environment  # noqa: E402
from task_metadata import Metadata, start_migrated  # noqa: E402

LINES = {path.stem: path.read_text().strip() for path in sorted((HELPERS / "health-check").glob("*.sh"))}
PUSH = {"sidecarless.stats": "push"}
# Shell and programs of an image. Nothing else is on PATH.
IMAGES = {"busybox": ("busybox", ["wget", "timeout"]), "curl": ("dash", ["curl"])}
METRICS = '__name__=~"ecs_task_(cpu|memory|network|storage).*|container_.*"'


@dataclass
class Stack:
    peers: Peers
    amp: str
    aws: str
    url: str
    endpoints: list[Metadata] = field(default_factory=list)

    def run_task(self, family: str, labels: dict[str, str]) -> Metadata:
        """Runs a task with the container `cart`, and starts its metadata endpoint."""
        task = ecs.new_task(family, "127.0.0.1")
        endpoint = self.add(Metadata(task))
        ports = {name: value.replace("PORT", endpoint.url.rsplit(":", 1)[-1]) for name, value in labels.items()}
        ecs.run_task(self.aws, task, ports, container={"name": "cart"})
        return endpoint

    def add(self, endpoint: Metadata) -> Metadata:
        self.endpoints.append(endpoint)
        return endpoint

    def variables(self, endpoint: Metadata) -> dict[str, str]:
        return sender_environment(endpoint.url + "/v4/container", self.url, TOKEN)

    def series(self, endpoint: Metadata) -> dict[tuple[str, str], float]:
        """Returns the values in Prometheus by metric and container."""
        rows = query(self.amp, f'{{{METRICS}, aws_ecs_task_id="{endpoint.task.id}"}}')
        return {(row["metric"]["__name__"], row["metric"].get("container_name", "")): float(row["value"][1]) for row in rows}

    def expect_series(self, endpoint: Metadata, scraped: dict[tuple[str, str], float]) -> None:
        pushed = wait_for(f"the pushed series of {endpoint.task.service}", lambda: self.series(endpoint))
        assert pushed == scraped


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Peers(tmp_path_factory.mktemp("peers")) as peers:
        amp, aws = prometheus(peers), moto(peers)
        url = function(peers, BINARY, settings(f"{amp}/api/v1/write", aws))
        ecs.create_cluster(aws, ecs.CLUSTER, insights=False)
        stack = Stack(peers, amp, aws, url)
        yield stack
        with running(*stack.endpoints):
            pass


@pytest.fixture(scope="module")
def scraped(stack: Stack) -> dict[tuple[str, str], float]:
    """Series of a task whose documents are scraped."""
    endpoint = stack.run_task("scraped", {"sidecarless.stats.port": "PORT", "sidecarless.stats.path": "/v4/container"})
    event = json.loads((ROOT / "events" / "scheduled-run.json").read_text())
    event["at"] = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
    assert post(stack.peers.invoke_url, json.dumps(event).encode())[0] == 200
    series = wait_for("the scraped series", lambda: stack.series(endpoint))
    assert series["ecs_task_memory_utilized", ""] > 0 and ("ecs_task_cpu_utilized", "") in series
    return series


def image(folder: Path, name: str) -> Path:
    """Returns a folder with the programs of an image, and `sh`."""
    shell, programs = IMAGES[name]
    try:
        for program in [shell, *programs]:
            path = busybox() if shell == "busybox" else on_path(program)
            (folder / ("sh" if program == shell else program)).symlink_to(path)
    except Missing as missing:
        pytest.skip(str(missing))
    return folder


@pytest.mark.parametrize("programs", IMAGES)
def test_health_check_of_migrate_pushes(stack: Stack, scraped: dict[tuple[str, str], float], programs: str, tmp_path: Path) -> None:
    endpoint, container = start_migrated(CLI, stack.aws, f"migrated-{programs}")
    stack.add(endpoint)
    variables = {variable["name"]: variable["value"] for variable in container["environment"]}
    assert container["dockerLabels"] == PUSH and "SIDECARLESS_TOKEN" in {secret["name"] for secret in container["secrets"]}
    assert variables["SIDECARLESS_URL"] == "https://FUNCTION_URL"
    kind, line = container["healthCheck"]["command"]
    folder = image(tmp_path, programs)
    # The agent replaces the secret, and the user the URL.
    variables |= {"PATH": str(folder), **stack.variables(endpoint)}
    started = time.monotonic()
    check = subprocess.run([folder / "sh", "-c", line], env=variables, capture_output=True, text=True, timeout=60)
    seconds = time.monotonic() - started
    assert (kind, check.returncode, check.stdout, check.stderr) == ("CMD-SHELL", 0, "", "")
    assert seconds < container["healthCheck"]["timeout"]
    stack.expect_series(endpoint, scraped)
    print(f"\nshow: the health check of `sidecarless migrate` with {programs}: {len(scraped)} series, equal to those of a scrape, {seconds:.2f} s", end="")


@pytest.mark.parametrize("language", LANGUAGES)
def test_helper_pushes(stack: Stack, scraped: dict[tuple[str, str], float], language: str, tmp_path: Path) -> None:
    try:
        program = LANGUAGES[language](tmp_path)
    except Missing as missing:
        pytest.skip(str(missing))
    endpoint = stack.run_task(language, PUSH)
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HELPERS": str(HELPERS), **program.environment, **stack.variables(endpoint)}
    command = [*program.command, "1"]
    with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            stack.expect_series(endpoint, scraped)
            output, errors = process.communicate(b"", timeout=30)
        finally:
            process.kill()
    assert (process.returncode, output.split(), errors) == (0, [b"started", b"finished"], b"")
    print(f"\nshow: the helper with {program.version}: {len(scraped)} series, equal to those of a scrape", end="")


@pytest.mark.parametrize("line", LINES)
def test_health_check_line_of_the_helpers_pushes(stack: Stack, scraped: dict[tuple[str, str], float], line: str) -> None:
    """With the programs of this machine. tests/helpers runs each line with those of its images only."""
    program = {"busybox-wget": "wget", "gnu-wget": "wget", "python": "python3"}.get(line, line)
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    endpoint = stack.run_task(f"line-{line}", PUSH)
    variables = {"PATH": os.environ["PATH"], **stack.variables(endpoint)}
    check = subprocess.run(["/bin/sh", "-c", LINES[line]], env=variables, capture_output=True, text=True, timeout=60)
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")
    stack.expect_series(endpoint, scraped)


def push_stats(stack: Stack, endpoint: Metadata, mode: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CLI, "push-stats", mode], env=stack.variables(endpoint), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("mode", ["--once", "--health-check"])
def test_command_line_pushes(stack: Stack, scraped: dict[tuple[str, str], float], mode: str) -> None:
    endpoint = stack.run_task(f"command{mode}", PUSH)
    done = push_stats(stack, endpoint, mode)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert json.loads(done.stdout)["samples"] >= len(scraped)
    stack.expect_series(endpoint, scraped)


def test_push_that_is_not_declared_is_refused(stack: Stack) -> None:
    """The command line reports the reason, and as a health check it is still healthy."""
    endpoint = stack.run_task("undeclared", {})
    for mode, code in [("--once", 1), ("--health-check", 0)]:
        done = push_stats(stack, endpoint, mode)
        assert (done.returncode, done.stdout) == (code, "")
        assert "status 403" in done.stderr and "sidecarless.stats=push" in done.stderr
    assert not stack.series(endpoint)


def test_second_push_within_seconds_is_ignored(stack: Stack) -> None:
    endpoint = stack.run_task("twice", PUSH)
    first, second = (json.loads(push_stats(stack, endpoint, "--once").stdout) for _ in range(2))
    assert first["samples"] > 0
    assert second == {"samples": 0, "ignored": "the task has sent newer stats"}


def test_one_command_line_of_a_task_sends_until_it_ends() -> None:
    """Two containers of a task run the command line. The second sends when the first has ended."""
    metadata, receivers = standin.Metadata(), [standin.Receiver(), standin.Receiver()]
    commands = []

    def senders() -> list[int]:
        return [index for index, receiver in enumerate(receivers) if receiver.pushes()]

    with running(metadata, *receivers):
        try:
            for receiver in receivers:
                variables = sender_environment(metadata.uri, receiver.url)
                commands.append(subprocess.Popen([CLI, "push-stats", "--interval", "10"], env=variables, stderr=subprocess.PIPE))
            # The sender reads two documents, the other one reads one of them before it sees that there is a sender.
            assert wait_until(lambda: senders() and len(metadata.requests) >= 3)
            (first,) = senders()
            commands[first].kill()
            assert wait_until(lambda: len(senders()) == 2)
        finally:
            for command in commands:
                command.kill()
        assert [command.communicate()[1] for command in commands] == [b"", b""]
    for receiver in receivers:
        for push in receiver.pushes():
            assert standin.split(push.body) == tuple(json.loads(document) for document in standin.documents())
