"""Each helper against the stand-ins: its requests, and the application during failures."""

from __future__ import annotations

from concurrent.futures import Future
from itertools import pairwise

import pytest
from cases import MAX_EXIT_SECONDS, REASON, SECRET, Case
from conftest import Programs
from languages import LANGUAGES
from standin import ROUTE, TOKEN, Metadata, Recorded, split


@pytest.fixture(params=LANGUAGES)
def results(request: pytest.FixtureRequest, programs: Programs, runs: Future[dict[str, dict[str, Case]]]) -> dict[str, Case]:
    programs.get(request.param)
    return runs.result()[request.param]


def assert_correct(push: Recorded, metadata: Metadata) -> None:
    assert (push.method, push.path.lstrip("/")) == ("POST", ROUTE.lstrip("/"))
    assert push.headers["authorization"] == f"Bearer {TOKEN}"
    assert push.headers["content-type"] == "application/json"
    assert push.headers["content-length"] == str(len(push.body))
    assert push.body == metadata.task + metadata.stats
    # 0: not sent yet.
    assert push.status in (0, 200)
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


def test_push_over_https_requires_a_trusted_certificate(results: dict[str, Case]) -> None:
    if "untrusted certificate" not in results:
        pytest.skip("the .NET runtime 3.1 needs OpenSSL 1.1, which Debian 12 does not have")
    untrusted = results["untrusted certificate"]
    assert len(untrusted.reports) == 1 and not untrusted.receiver.requests
    assert results["trusted certificate"].receiver.pushes() and results["trusted certificate"].reports == []


@pytest.mark.parametrize("name", ["no URL", "not in ECS"])
def test_helper_is_idle_without_its_environment(results: dict[str, Case], name: str) -> None:
    assert not results[name].metadata.requests and not results[name].receiver.requests
    assert results[name].reports == []


def test_push_without_a_token_has_no_authorization(results: dict[str, Case]) -> None:
    pushes = results["no token"].receiver.pushes()
    assert pushes and all("authorization" not in push.headers for push in pushes)


def test_token_may_end_with_a_line_break(results: dict[str, Case]) -> None:
    pushes = results["token with a line break"].receiver.pushes()
    assert pushes and all(push.headers["authorization"] == f"Bearer {TOKEN}" for push in pushes)


def test_user_of_a_url_is_not_reported(results: dict[str, Case]) -> None:
    for name in ["redirect", "redirect that is cut", "user in the URL"]:
        assert len(results[name].reports) == 1, results[name].stderr
        assert SECRET[:2] not in results[name].stderr, results[name].stderr
    assert 'href="https://***@elsewhere.example/login"' in results["redirect"].reports[0]


def test_invalid_token_is_neither_sent_nor_reported(results: dict[str, Case]) -> None:
    """Some HTTP clients report an invalid header with its value."""
    case = results["invalid token"]
    assert not case.receiver.requests
    assert TOKEN not in case.stderr and len(case.reports) == 1


def test_metadata_requests_do_not_use_the_proxy(results: dict[str, Case]) -> None:
    assert results["proxy"].receiver.pushes() and results["proxy"].reports == []
