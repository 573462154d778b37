"""`sidecarless check`: all checks pass, and each problem is reported as one failed check with a fix."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import time
from typing import Any
from urllib.request import Request, urlopen
from wsgiref.handlers import format_date_time

import pytest
from conftest import CLI

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, moto, post, prometheus, query, wait_for

PROTECTED = "ecs:DescribeTasks"


@dataclass
class Account:
    """An account in which all checks pass, and the credentials to use."""

    amp: str
    aws: str
    spool: str
    keys: dict[str, str] = field(default_factory=lambda: dict(CREDENTIALS))

    def check(self, **overrides: str) -> dict[str, dict[str, Any]]:
        """Returns the result of each check, and verifies the exit code."""
        env = os.environ | self.keys | {
            "AWS_REGION": REGION, "AWS_ENDPOINT_URL": self.aws, "AWS_PROMETHEUS_ENDPOINT": f"{self.amp}/api/v1/write",
            "SIDECARLESS_SPOOL_QUEUE_URL": self.spool, "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8",
        } | overrides
        done = subprocess.run([str(CLI), "check", "--json"], env=env, capture_output=True, text=True, timeout=90)
        report = json.loads(done.stdout)
        assert done.returncode == (0 if report["ok"] else 1), done.stderr
        return {result["name"]: result for result in report["checks"]}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with Peers(tmp_path_factory.mktemp("peers")) as peers:
        amp, aws = prometheus(peers), moto(peers)
        ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER)
        # Prometheus accepts connections. The check requires no more of a target.
        ecs.run_task(aws, ecs.new_task("checked", "127.0.0.1"), ecs.stats_labels(int(amp.rsplit(":", 1)[1])))
        ecs.client("logs", aws).create_log_group(logGroupName=f"/aws/ecs/containerinsights/{ecs.CLUSTER}/performance")
        yield Account(amp, aws, ecs.client("sqs", aws).create_queue(QueueName="spool")["QueueUrl"])


def failed(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: f"{result['message']} -> {result['fix']}" for name, result in results.items() if result["status"] == "FAIL"}


def test_all_checks_pass_and_write_a_sample_and_a_segment(account: Account) -> None:
    results = account.check()
    assert failed(results) == {}
    passed = [name for name, result in results.items() if result["status"] == "ok"]
    assert {"ecs:DescribeTasks", "reach a target", "aps:RemoteWrite", "xray:PutTraceSegments", "sqs:SendMessage", "clock"} <= set(passed)
    wait_for("the sample in Prometheus", lambda: query(account.amp, "sidecarless_check"))
    summaries = ecs.client("xray", account.aws).get_trace_summaries(StartTime=time() - 60, EndTime=time() + 1)["TraceSummaries"]
    assert summaries, "no trace with the segment in X-Ray"
    print(f"\nshow: check: {len(passed)} ok, {len(results) - len(passed)} skipped, 0 failed")


def test_wrong_workspace_url_fails(account: Account) -> None:
    for url, fix in [
        (f"{account.amp}/api/v1/nothing", "AWS_PROMETHEUS_ENDPOINT is not a remote write URL: use https://aps-workspaces."),
        ("http://127.0.0.1:9/api/v1/write", "set AWS_PROMETHEUS_ENDPOINT to the remote write URL of a workspace"),
    ]:
        failures = failed(account.check(AWS_PROMETHEUS_ENDPOINT=url))
        assert list(failures) == ["aps:RemoteWrite"] and fix in failures["aps:RemoteWrite"], failures
        print(f"show: check, wrong URL: FAIL aps:RemoteWrite {failures['aps:RemoteWrite']}")


def test_missing_permission_fails(account: Account) -> None:
    """moto evaluates IAM policies. The user in this test is denied one action."""
    iam = ecs.client("iam", account.aws)
    iam.create_user(UserName="sidecarless")
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": PROTECTED, "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="sidecarless", PolicyName="all-but-one", PolicyDocument=policy)
    key = iam.create_access_key(UserName="sidecarless")["AccessKey"]
    limited = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    enforce_iam_after(account, 0)
    try:
        failures = failed(Account(account.amp, account.aws, account.spool, limited).check(AWS_SESSION_TOKEN=""))
    finally:
        enforce_iam_after(account, 2**31)
    assert list(failures) == [PROTECTED], failures
    assert f"is not authorized to perform: {PROTECTED}" in failures[PROTECTED], failures
    assert failures[PROTECTED].endswith(f"-> allow {PROTECTED} on arn:aws:ecs:{REGION}:123456789012:task/* in the policy of the role"), failures
    print(f"show: check, missing permission: FAIL {PROTECTED} {failures[PROTECTED]}")


def enforce_iam_after(account: Account, calls: int) -> None:
    status, _, _ = post(f"{account.aws}/moto-api/reset-auth", str(calls).encode(), {"content-type": "text/plain"})
    assert status == 200


class SkewedClock(BaseHTTPRequestHandler):
    """Forwards requests to moto, and adds ten minutes to the date of the response."""

    protocol_version = "HTTP/1.1"
    aws = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        with urlopen(Request(self.aws + self.path, body, headers)) as response:
            content = response.read()
        self.send_response_only(200)
        self.send_header("date", format_date_time(time() + 600))
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def test_wrong_clock_fails(account: Account) -> None:
    SkewedClock.aws = account.aws
    server = ThreadingHTTPServer(("127.0.0.1", 0), SkewedClock)
    Thread(target=server.serve_forever, daemon=True).start()
    failures = failed(account.check(AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{server.server_address[1]}"))
    server.shutdown()
    assert list(failures) == ["clock"] and "s behind AWS -> set this machine's clock" in failures["clock"], failures
    print(f"show: check, wrong clock: FAIL clock {failures['clock']}")


def test_invalid_settings_fail_and_skip_the_other_checks(account: Account, tmp_path: Path) -> None:
    failures = failed(account.check(SIDECARLESS_SPOL_QUEUE_URL="x"))
    assert list(failures) == ["settings"] and "SIDECARLESS_SPOL_QUEUE_URL" in failures["settings"], failures
