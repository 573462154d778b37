"""`sidecarless query`: instant queries of a real Prometheus, behind a proxy that checks the signature as AMP does."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from conftest import CLI, Stack
from test_broken_bodies import gauge
from workspace_proxy import WorkspaceProxy

from demo.peers import CREDENTIALS, REGION, wait_for


@pytest.fixture(scope="module")
def proxy(stack: Stack) -> Iterator[WorkspaceProxy]:
    for shelf, value in [("shelf_a", 1.5), ("shelf_b", 20)]:
        assert stack.push("/v1/metrics", gauge(shelf, value))[0] == 200
    proxy = WorkspaceProxy(stack.amp)
    yield proxy
    proxy.close()


def query(proxy: WorkspaceProxy, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | CREDENTIALS | {"AWS_REGION": REGION} | variables
    return subprocess.run([CLI, "query", "--url", proxy.workspace, *arguments], env=env, capture_output=True, text=True, timeout=60)


def test_series_are_a_table(proxy: WorkspaceProxy) -> None:
    promql = '{__name__=~"shelf_.+"}'
    done = wait_for("both series", lambda: (done := query(proxy, promql)) and done.stdout.count("shelf_") == 2 and done)
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert header == "VALUE  SERIES"
    assert {row.split("{")[0] for row in rows} == {"  1.5  shelf_a", "   20  shelf_b"}
    print(f"\nshow: sidecarless query '{promql}'\n{done.stdout}", end="")


def test_json_is_the_data_of_the_response(proxy: WorkspaceProxy) -> None:
    done = query(proxy, "--json", "shelf_b > 1")
    data = json.loads(done.stdout)
    assert (done.returncode, data["resultType"], data["result"][0]["value"][1]) == (0, "vector", "20")
    assert query(proxy, "1 + 1").stdout == "2\n", "a scalar"
    times = query(proxy, "shelf_a[5m]").stdout.splitlines()
    assert times[0].split() == ["VALUE", "TIME", "SERIES"] and len(times) == 2


def test_errors_say_what_to_do(proxy: WorkspaceProxy) -> None:
    denied = query(proxy, "up", AWS_SECRET_ACCESS_KEY="another")
    assert denied.returncode == 2 and "denies access" in denied.stderr and "aps:QueryMetrics" in denied.stderr
    syntax = query(proxy, "sum by (a")
    assert syntax.returncode == 2 and "rejects the query: " in syntax.stderr and "parse error" in syntax.stderr, syntax.stderr
    other = query(proxy, "up", "--region", "us-east-1")
    assert other.returncode == 2 and "denies access" in other.stderr, "the region of the signature"
    missing = subprocess.run([CLI, "query", "up"], env=os.environ | CREDENTIALS | {"AWS_REGION": REGION}, capture_output=True, text=True)
    assert missing.returncode == 2 and missing.stderr.startswith("sidecarless: no workspace: set --workspace")


def test_empty_result_says_what_to_check(proxy: WorkspaceProxy) -> None:
    done = query(proxy, "no_such_metric")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no series match the query; check:" in done.stderr and "docs/metrics.md" in done.stderr
