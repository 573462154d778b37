"""Task stats that tasks push: each sender runs as in a container, against the metadata endpoint of its task (a stand-in), ECS (moto) and
the function. The series in Prometheus are those of a scrape of the same documents."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
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
from signature import LATTICE, SignedReceiver, TaskCredentials  # noqa: E402
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


class Https(standin.Receiver):
    """An HTTPS endpoint of the function."""

    def __init__(self, url: str) -> None:
        super().__init__(tls="trusted")
        self.function = url

    def reply(self, request: standin.Recorded) -> standin.Reply:
        return standin.forward(request, self.function)


class NameServer(threading.Thread):
    """A DNS server that answers each query for an IPv4 address with 127.0.0.1."""

    def __init__(self, port: int = 53) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.names: set[bytes] = set()

    def run(self) -> None:
        while True:
            query, client = self.socket.recvfrom(512)
            # The question follows the header of 12 bytes: labels, type and class (RFC 1035, section 4).
            end = query.index(b"\0", 12) + 5
            self.names.add(query[13 : end - 5])
            is_ipv4 = query[end - 4 : end - 2] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if is_ipv4 else b""
            header = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_ipv4 else b"\0\0") + b"\0\0\0\0"
            self.socket.sendto(header + query[12:end] + answer, client)


@pytest.fixture
def empty_image(tmp_path: Path) -> Iterator[Path]:
    """The root of a container from `scratch`, with the files that ECS adds, and the command line."""
    if "INTERP" in subprocess.run(["readelf", "--program-headers", CLI], capture_output=True, text=True, check=True).stdout:
        pytest.skip("the command line is not static: build it with scripts/rustc-static")
    if os.geteuid() != 0:
        pytest.skip("only root can change its root folder and be a name server")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc" / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    shutil.copy(CLI, root / "sidecarless")
    yield root
    (root / "sidecarless").unlink()


def run_in(root: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    chroot = shutil.which("chroot", path=f"{os.environ['PATH']}:/usr/sbin") or "chroot"
    return subprocess.run([chroot, root, "/sidecarless", "push-stats", *arguments], env=variables, capture_output=True, text=True, timeout=60)


def test_static_command_line_pushes_from_an_empty_image(stack: Stack, scraped: dict[tuple[str, str], float], empty_image: Path) -> None:
    endpoint = stack.run_task("static", PUSH)
    names = NameServer()
    names.start()
    front = Https(stack.url)
    with running(front):
        variables = stack.variables(endpoint) | {"SIDECARLESS_URL": front.url}
        # This name is in no file.
        variables["ECS_CONTAINER_METADATA_URI_V4"] = variables["ECS_CONTAINER_METADATA_URI_V4"].replace("127.0.0.1", "metadata.test")
        # Without certificates in the image, it trusts the built-in ones, which are not those of this endpoint.
        without = run_in(empty_image, variables, "--once")
        assert without.returncode == 1 and "UnknownIssuer" in without.stderr, without
        assert run_in(empty_image, variables, "--health-check").returncode == 0
        assert not front.requests
        (empty_image / "etc" / "ssl" / "certs").mkdir(parents=True)
        certificates = empty_image / "etc" / "ssl" / "certs" / "ca-certificates.crt"
        shutil.copy(f"{standin.certificate('untrusted')}.crt", certificates)
        assert run_in(empty_image, variables, "--once").returncode == 1 and not front.requests, "the certificate must be verified"
        shutil.copy(f"{standin.certificate('trusted')}.crt", certificates)
        pushed = run_in(empty_image, variables, "--once")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    assert names.names == {b"metadata\x04test"}
    stack.expect_series(endpoint, scraped)
    print(f"\nshow: the static command line in an empty image: {len(scraped)} series, equal to those of a scrape", end="")


@pytest.mark.parametrize("service", ["lambda", LATTICE])
def test_command_line_signs_without_a_token(stack: Stack, service: str) -> None:
    role, metadata = TaskCredentials(token="an authorization token"), standin.Metadata()
    receiver = SignedReceiver(role.known, service)
    with running(role, metadata, receiver):
        variables = sender_environment(metadata.uri, receiver.url, "") | role.variables | {"AWS_SIGV4_SERVICE": service}
        done = subprocess.run([CLI, "push-stats", "--once"], env=variables, capture_output=True, text=True, timeout=60)
        del variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        variables["AWS_EC2_METADATA_DISABLED"] = "true"
        failed = subprocess.run([CLI, "push-stats", "--once"], env=variables, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, receiver.refused) == (0, "", [])
    (request,) = receiver.requests
    assert request.body == metadata.task + metadata.stats
    assert failed.returncode == 1 and "SIDECARLESS_TOKEN is not set, and the task role cannot sign" in failed.stderr
