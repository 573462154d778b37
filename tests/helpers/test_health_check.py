"""The health check lines of helpers/health-check, run as the container agent does: by the shell of an image, with its environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from languages import HELPERS, Missing, busybox
from standin import ROUTE, TOKEN, Metadata, Receiver, Reply, Standin, closed_url, compact, running, sender_environment, split, trust

LINES = {path.stem: path.read_text().removesuffix("\n") for path in sorted((HELPERS / "health-check").glob("*.sh"))}
NO_CHECK = "; exit 0"
# The recommended `timeout` of the health check. Docker counts a longer run as failed.
TIMEOUT = 15


class Check:
    """The line of an image, whose shell and programs are the only ones on PATH."""

    def __init__(self, folder: Path, line: str, shell: str, programs: list[str]) -> None:
        self.folder, self.line = folder, line
        folder.mkdir()
        for program in [shell, *programs]:
            path = program_path("busybox" if shell == "busybox" and program != "openssl" else program)
            (folder / ("sh" if program == shell else program)).symlink_to(path)

    def run(self, variables: dict[str, str], own: str = "exit 0") -> subprocess.CompletedProcess[str]:
        """`own` is the check of the user."""
        command = [str(self.folder / "sh"), "-c", self.line.removesuffix("exit 0") + own]
        return subprocess.run(command, env={"PATH": str(self.folder), **variables}, capture_output=True, text=True, timeout=60)


def program_path(name: str) -> str:
    if name == "python3":
        # The first one on PATH may be a script that selects a version.
        return os.path.realpath(sys.executable)
    path = busybox() if name == "busybox" else shutil.which(name)
    if not path:
        raise Missing(f"{name} is not installed")
    return path


# Images of each line: shell and programs. /bin/sh is dash in Debian images and bash in Amazon Linux images.
IMAGES = {
    # Like the image alpine, BusyBox verifies certificates with another program, which is `openssl` in Debian.
    "busybox-wget": [("busybox", ["wget", "timeout", "openssl"])],
    "gnu-wget": [("dash", ["wget", "timeout"]), ("bash", ["wget", "timeout"])],
    "curl": [("dash", ["curl"]), ("bash", ["curl"])],
    "python": [("dash", ["python3", "timeout"])],
    "node": [("dash", ["node", "timeout"])],
}
CHECKS = {f"{name}-{shell}": (LINES[name], shell, programs) for name, images in IMAGES.items() for shell, programs in images}


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check | Missing]:
    found: dict[str, Check | Missing] = {}
    folder = tmp_path_factory.mktemp("images")
    for name, image in CHECKS.items():
        try:
            found[name] = Check(folder / name, *image)
        except Missing as missing:
            found[name] = missing
    return found


@pytest.fixture(params=CHECKS)
def check(request: pytest.FixtureRequest, checks: dict[str, Check | Missing]) -> Check:
    check = checks[request.param]
    if isinstance(check, Missing):
        pytest.skip(str(check))
    return check


def test_each_line_is_tested() -> None:
    assert set(LINES) == set(IMAGES)


@pytest.mark.parametrize("name", LINES)
def test_line_fits_into_a_task_definition(name: str) -> None:
    """One line; no background process, which the application would have to reap; no braces, which templates would expand."""
    line = LINES[name]
    assert "\n" not in line and line.endswith(NO_CHECK) and len(line) < 1024
    assert "${" not in line
    assert "&" not in line.replace("&&", "").replace("2>&1", "")


def test_both_documents_are_sent(check: Check) -> None:
    metadata, receiver = Metadata(), Receiver()
    with running(metadata, receiver):
        ran = check.run(sender_environment(metadata.uri, receiver.url))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    (push,) = receiver.requests
    assert (push.method, push.path) == ("POST", ROUTE)
    assert push.headers["authorization"] == f"Bearer {TOKEN}"
    assert push.headers["content-type"] == "application/json"
    # 0: not sent yet.
    assert push.status in (0, 200)
    assert push.body == metadata.task + metadata.stats


def test_push_over_https_requires_a_trusted_certificate(check: Check) -> None:
    metadata, trusted, untrusted = Metadata(), Receiver(tls="trusted"), Receiver(tls="untrusted")
    with running(metadata, trusted, untrusted):
        for receiver in (trusted, untrusted):
            assert check.run({**sender_environment(metadata.uri, receiver.url), **trust()}).returncode == 0
    assert len(trusted.pushes()) == 1 and not untrusted.requests


def test_token_may_end_with_a_line_break(check: Check) -> None:
    metadata, receiver = Metadata(), Receiver()
    with running(metadata, receiver):
        check.run(sender_environment(metadata.uri, receiver.url, TOKEN + "\n"))
    assert [push.headers["authorization"] for push in receiver.pushes()] == [f"Bearer {TOKEN}"]


def test_base_url_may_end_with_a_slash(check: Check) -> None:
    """The function ignores what precedes the route."""
    metadata, receiver = Metadata(), Receiver()
    with running(metadata, receiver):
        check.run(sender_environment(metadata.uri, receiver.url + "/"))
    assert [push.path.endswith(ROUTE) for push in receiver.pushes()] == [True]


def test_documents_of_ten_containers_are_sent(check: Check) -> None:
    """A task definition has at most ten containers. The documents of each are about 5 KB."""
    metadata, receiver = Metadata(), Receiver()
    task, stats = split(metadata.task + metadata.stats)
    container, values = task["Containers"][0], next(iter(filter(None, stats.values())))
    task["Containers"] = [{**container, "DockerId": f"id-{number}", "Labels": {"padding": "x" * 3000}} for number in range(10)]
    stats = {f"id-{number}": values for number in range(10)}
    metadata.replies["GET", "/v4/container/task"] = Reply(body=compact(task))
    metadata.replies["GET", "/v4/container/task/stats"] = Reply(body=compact(stats))
    with running(metadata, receiver):
        ran = check.run(sender_environment(metadata.uri, receiver.url))
    assert ran.returncode == 0
    (push,) = receiver.requests
    assert len(push.body) > 40_000 and push.body == compact(task) + compact(stats)
    assert [json.dumps(value) for value in split(push.body)] == [json.dumps(task), json.dumps(stats)]


def unreachable() -> dict[str, tuple[dict[str, str], list[Standin]]]:
    """Environments in which nothing can be sent, and their stand-ins; the receiver is the last one."""
    metadata, receiver = Metadata(), Receiver()
    broken, hanging = Metadata(reply=Reply(500, b"no stats")), Metadata(reply=Reply(hangs=True))
    silent = Receiver(Reply(hangs=True))
    good = sender_environment(metadata.uri, receiver.url)
    cases: dict[str, tuple[dict[str, str], list[Standin]]] = {
        "no environment": ({}, []),
        "malformed URL": ({**good, "SIDECARLESS_URL": "not a url"}, [metadata, receiver]),
        "closed port": (sender_environment(metadata.uri, closed_url()), [metadata]),
        "hanging receiver": (sender_environment(metadata.uri, silent.url), [metadata, silent]),
        "metadata closed": (sender_environment(closed_url(), receiver.url), [receiver]),
        "metadata fails": (sender_environment(broken.uri, receiver.url), [broken, receiver]),
        "metadata hangs": (sender_environment(hanging.uri, receiver.url), [hanging, receiver]),
    }
    for status in (401, 503):
        refusing = Receiver(Reply(status, b"refused"))
        cases[f"status {status}"] = (sender_environment(metadata.uri, refusing.url), [metadata, refusing])
    return cases


def test_check_succeeds_in_time_if_nothing_can_be_sent(checks: dict[str, Check | Missing]) -> None:
    runs = [(name, case, check) for name, check in checks.items() if isinstance(check, Check) for case in unreachable().items()]
    standins = {id(standin): standin for _, (_, (_, standins)), _ in runs for standin in standins}.values()

    def run(check: Check, variables: dict[str, str]) -> tuple[subprocess.CompletedProcess[str], float]:
        started = time.monotonic()
        return check.run(variables), time.monotonic() - started

    with running(*standins), ThreadPoolExecutor(32) as pool:
        results = pool.map(lambda item: run(item[2], item[1][1][0]), runs)
        for (name, (case, (_, peers)), _), (ran, seconds) in zip(runs, results):
            assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", ""), f"{name}: {case}"
            assert seconds < TIMEOUT, f"{name}: {case}"
            if case.startswith("metadata"):
                assert not peers[-1].requests, f"{name}: {case}: an empty or partial body was sent"


@pytest.mark.parametrize("status", [200, 503])
def test_own_check_decides_the_result(check: Check, status: int, tmp_path: Path) -> None:
    metadata, receiver = Metadata(), Receiver(Reply(status))
    environment = sender_environment(metadata.uri, receiver.url)
    with running(metadata, receiver):
        healthy = check.run(environment, f"test -d {tmp_path}")
        unhealthy = check.run(environment, f"test -f {tmp_path} || exit 1")
    assert (healthy.returncode, unhealthy.returncode) == (0, 1)
    assert len(receiver.pushes()) == 2
