"""Each helper against the stand-ins: what it sends, and that no failure reaches the application.

The cases of all languages run at the same time. Their tasks have host networking, because otherwise one process of all would send.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from conftest import Programs
from languages import LANGUAGES, Program
from process import application, wait_until
from standin import ROUTE, TOKEN, Metadata, Receiver, Recorded, Reply, Standin, closed_url, running, sender_environment, split

# End of a process while many others run.
MAX_EXIT_SECONDS = 10
# Time for two more attempts.
PAUSE = 2.5
REASON = "task 5f0e has no docker label sidecarless.stats=push"


@dataclass
class Case:
    """A program, its peers and its result. The application ends when the peers have got the requests, and after the pause."""

    metadata: Metadata
    receiver: Receiver
    # Environment variables that differ from those of a correct task.
    variables: dict[str, str]
    pushes: int = 0
    reads: int = 0
    reports_before_end: int = 0
    pause: float = 0
    other: Standin | None = None
    status: int | None = None
    stdout: str = ""
    stderr: str = ""
    reports: list[str] = field(default_factory=list)
    seconds_to_exit: float = 0

    def run(self, program: Program) -> None:
        environment = {**sender_environment(self.metadata.uri, self.receiver.url + "/"), **self.variables}
        with application(program, environment) as process:
            wait_until(lambda: "started" in process.stdout)
            wait_until(lambda: len(process.reports) >= self.reports_before_end)
            wait_until(lambda: len(self.receiver.pushes()) >= self.pushes and len(self.metadata.requests) >= self.reads)
            time.sleep(self.pause)
            self.seconds_to_exit = process.finish(MAX_EXIT_SECONDS)
            self.status = process.child.poll()
            self.stdout, self.stderr, self.reports = process.stdout, process.stderr, process.reports

    @property
    def standins(self) -> list[Standin]:
        return [standin for standin in (self.metadata, self.receiver, self.other) if standin]


def new_cases() -> dict[str, Case]:
    def case(*replies: Reply, pushes: int = 0, reads: int = 0, reports: int = 0, pause: float = 0, stats: Reply | None = None, **variables: str) -> Case:
        return Case(Metadata("host", stats), Receiver(*replies), variables, pushes, reads, reports, pause)

    statuses = [Reply(401, b"missing token"), Reply(403, REASON.encode()), Reply(429), Reply(503, b"busy\nnow"), Reply(404, b"x" * 100_000)]
    elsewhere, hanging, proxy = Receiver(), Reply(hangs=True), closed_url()
    # Both documents in three rounds.
    rounds = 6
    found = {
        "correct": case(pushes=3),
        # Two pushes with the first status, and one more at the end, so that the last one has its response.
        "statuses": case(statuses[0], *statuses, pushes=len(statuses) + 2),
        "recovers": case(Reply(503), Reply(), pushes=3),
        "redirect": case(Reply(307, headers={"location": elsewhere.url + ROUTE}), pushes=3),
        "hanging receiver": case(hanging, pushes=2, reports=1),
        "hanging metadata": case(stats=hanging, reads=4, reports=1),
        "metadata fails": case(stats=Reply(500, b"no stats"), reads=rounds),
        "metadata closed": case(reports=1, pause=PAUSE, ECS_CONTAINER_METADATA_URI_V4=closed_url()),
        "closed port": case(reads=rounds, SIDECARLESS_URL=closed_url()),
        "no scheme": case(reads=rounds, SIDECARLESS_URL="not a url"),
        "no host": case(reads=rounds, SIDECARLESS_URL="http://"),
        "invalid port": case(reads=rounds, SIDECARLESS_URL="http://127.0.0.1:99999999"),
        "no URL": case(pause=PAUSE, SIDECARLESS_URL=""),
        "not in ECS": case(pause=PAUSE, ECS_CONTAINER_METADATA_URI_V4=""),
        "no token": case(pushes=2, SIDECARLESS_TOKEN=""),
        "proxy": case(pushes=2, http_proxy=proxy, HTTP_PROXY=proxy, no_proxy="localhost", NO_PROXY="localhost"),
    }
    found["redirect"].other = elsewhere
    # Only the receiver is excluded from the proxy.
    found["proxy"].variables["SIDECARLESS_URL"] = found["proxy"].receiver.url.replace("127.0.0.1", "localhost")
    return found


@pytest.fixture(scope="module")
def runs(programs: Programs) -> Iterator[dict[str, dict[str, Case]]]:
    """The finished cases of each installed language."""
    available = programs.available()
    languages = {language: new_cases() for language in available}
    # Case by case, so that the long cases of all languages begin first.
    order = sorted(((case, available[language]) for language, cases in languages.items() for case in cases.values()), key=lambda pair: -pair[0].pushes)
    standins = [standin for case, _ in order for standin in case.standins]
    with running(*standins), ThreadPoolExecutor(16 * (os.cpu_count() or 1)) as pool:
        list(pool.map(lambda pair: pair[0].run(pair[1]), order))
        yield languages


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest, programs: Programs) -> str:
    programs.get(request.param)
    return str(request.param)


@pytest.fixture
def results(runs: dict[str, dict[str, Case]], language: str) -> dict[str, Case]:
    return runs[language]


def assert_correct(push: Recorded, metadata: Metadata) -> None:
    assert (push.method, push.path.lstrip("/")) == ("POST", ROUTE.lstrip("/"))
    assert push.headers["authorization"] == f"Bearer {TOKEN}"
    assert push.headers["content-type"] == "application/json"
    assert push.headers["content-length"] == str(len(push.body))
    assert push.body == metadata.task + metadata.stats
    task, stats = split(push.body)
    assert task["TaskARN"] and stats


def assert_regular(pushes: list[Recorded], interval: float = 1) -> None:
    """At most one push per interval, with tolerance for a busy machine."""
    gaps = [after.time - before.time for before, after in pairwise(pushes)]
    assert all(gap > interval * 0.6 for gap in gaps), gaps


def test_both_documents_are_sent_once_per_interval(results: dict[str, Case]) -> None:
    case = results["correct"]
    pushes = case.receiver.pushes()
    assert len(pushes) >= 3
    for push in pushes:
        assert_correct(push, case.metadata)
        assert push.path == ROUTE
        assert push.headers["user-agent"].startswith("sidecarless-stats-")
    assert_regular(pushes)
    assert case.reports == []


def test_no_failure_reaches_the_application(results: dict[str, Case]) -> None:
    for name, case in results.items():
        assert (case.status, case.stdout) == (0, "started\nfinished\n"), f"{name}: {case.stdout} {case.stderr}"
        assert TOKEN not in case.stderr, name


def test_helper_does_not_keep_the_process_alive(results: dict[str, Case]) -> None:
    """Also while a request waits for its response."""
    for name, case in results.items():
        assert case.seconds_to_exit < MAX_EXIT_SECONDS / 2, f"{name}: {case.seconds_to_exit:.1f} s"


def test_each_status_is_reported_once_with_its_reason(results: dict[str, Case]) -> None:
    reports = results["statuses"].reports
    assert [report[:10] for report in reports] == ["status 401", "status 403", "status 429", "status 503", "status 404"]
    assert reports[0].endswith("/v1/ecs/task-stats: missing token")
    assert REASON in reports[1]
    assert reports[3].endswith(": busy now")
    assert all(len(report) < 300 for report in reports)


def test_later_success_is_not_reported(results: dict[str, Case]) -> None:
    assert len(results["recovers"].receiver.pushes()) >= 3
    assert len(results["recovers"].reports) == 1


@pytest.mark.parametrize("name", ["closed port", "no scheme", "no host", "invalid port", "metadata closed", "metadata fails", "hanging metadata"])
def test_failure_is_reported_once(results: dict[str, Case], name: str) -> None:
    assert len(results[name].reports) == 1, results[name].stderr
    assert not results[name].receiver.requests
    if name == "metadata fails":
        assert results[name].reports[0].endswith("/task/stats: no stats")


def test_hanging_push_ends_and_is_repeated(results: dict[str, Case]) -> None:
    first, second = results["hanging receiver"].receiver.pushes()[:2]
    assert 8 < second.time - first.time < 20
    assert len(results["hanging receiver"].reports) == 1, results["hanging receiver"].stderr


def test_redirect_does_not_send_the_token_elsewhere(results: dict[str, Case]) -> None:
    case = results["redirect"]
    assert case.receiver.pushes() and case.other and not case.other.requests
    assert [report[:10] for report in case.reports] == ["status 307"]


@pytest.mark.parametrize("name", ["no URL", "not in ECS"])
def test_helper_is_idle_without_its_environment(results: dict[str, Case], name: str) -> None:
    assert not results[name].metadata.requests and not results[name].receiver.requests
    assert results[name].reports == []


def test_push_without_a_token_has_no_authorization(results: dict[str, Case]) -> None:
    pushes = results["no token"].receiver.pushes()
    assert pushes and all("authorization" not in push.headers for push in pushes)


def test_metadata_requests_do_not_use_the_proxy(results: dict[str, Case]) -> None:
    assert results["proxy"].receiver.pushes() and results["proxy"].reports == []
