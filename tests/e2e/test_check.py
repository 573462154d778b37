"""`sidecarless check` against real peers: all well, and each thing that is wrong in its own line, with what mends it."""

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
from conftest import BINARY

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, moto, post, prometheus, query, wait_for

PROTECTED = "ecs:DescribeTasks"


@dataclass
class Account:
    """An account in which everything is as it has to be, and what a role needs in it."""

    amp: str
    aws: str
    spool: str
    keys: dict[str, str] = field(default_factory=lambda: dict(CREDENTIALS))

    def check(self, **different: str) -> dict[str, dict[str, Any]]:
        """Findings by what was checked; the exit code and the text agree with them."""
        env = os.environ | self.keys | {
            "AWS_REGION": REGION, "AWS_ENDPOINT_URL": self.aws, "AWS_PROMETHEUS_ENDPOINT": f"{self.amp}/api/v1/write",
            "SIDECARLESS_SPOOL_QUEUE_URL": self.spool, "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8",
        } | different
        done = subprocess.run([str(BINARY), "check", "--json"], env=env, capture_output=True, text=True, timeout=90)
        answer = json.loads(done.stdout)
        assert done.returncode == (0 if answer["well"] else 1), done.stderr
        return {finding["check"]: finding for finding in answer["findings"]}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with Peers(tmp_path_factory.mktemp("peers")) as peers:
        amp, aws = prometheus(peers), moto(peers)
        ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER)
        # Prometheus takes connections: that is all that is asked of a target.
        ecs.run_task(aws, ecs.new_task("checked", "127.0.0.1"), ecs.stats_labels(int(amp.rsplit(":", 1)[1])))
        ecs.client("logs", aws).create_log_group(logGroupName=f"/aws/ecs/containerinsights/{ecs.CLUSTER}/performance")
        yield Account(amp, aws, ecs.client("sqs", aws).create_queue(QueueName="spool")["QueueUrl"])


def failed(findings: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {check: f"{it['says']} -> {it['fix']}" for check, it in findings.items() if it["outcome"] == "FAIL"}


def test_all_is_well_and_its_sample_and_segment_are_there(account: Account) -> None:
    findings = account.check()
    assert failed(findings) == {}
    tried = [check for check, finding in findings.items() if finding["outcome"] == "ok"]
    assert {"ecs:DescribeTasks", "reach a target", "aps:RemoteWrite", "xray:PutTraceSegments", "sqs:SendMessage", "clock"} <= set(tried)
    wait_for("the sample in Prometheus", lambda: query(account.amp, "sidecarless_check"))
    summaries = ecs.client("xray", account.aws).get_trace_summaries(StartTime=time() - 60, EndTime=time() + 1)["TraceSummaries"]
    assert summaries, "there is no trace of the segment"
    print(f"\nshow: check: {len(tried)} ok, {len(findings) - len(tried)} skipped, 0 failed")


def test_a_wrong_address_of_the_workspace_is_red(account: Account) -> None:
    for url, mends in [
        (f"{account.amp}/api/v1/nothing", "there is no remote write at AWS_PROMETHEUS_ENDPOINT"),
        ("http://127.0.0.1:9/api/v1/write", "AWS_PROMETHEUS_ENDPOINT has to be the address of a workspace"),
    ]:
        red = failed(account.check(AWS_PROMETHEUS_ENDPOINT=url))
        assert list(red) == ["aps:RemoteWrite"] and mends in red["aps:RemoteWrite"], red
        print(f"show: check, wrong URL: FAIL aps:RemoteWrite {red['aps:RemoteWrite']}")


def test_a_permission_that_is_missing_is_red(account: Account) -> None:
    """moto asks IAM like AWS does, of a user who may do all but one thing."""
    iam = ecs.client("iam", account.aws)
    iam.create_user(UserName="sidecarless")
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": PROTECTED, "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="sidecarless", PolicyName="all-but-one", PolicyDocument=policy)
    key = iam.create_access_key(UserName="sidecarless")["AccessKey"]
    limited = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    asks_iam_from(account, 0)
    try:
        red = failed(Account(account.amp, account.aws, account.spool, limited).check(AWS_SESSION_TOKEN=""))
    finally:
        asks_iam_from(account, 2**31)
    assert list(red) == [PROTECTED], red
    assert f"is not authorized to perform: {PROTECTED}" in red[PROTECTED], red
    assert red[PROTECTED].endswith(f"-> allow {PROTECTED} on arn:aws:ecs:{REGION}:123456789012:task/* in the policy of the role"), red
    print(f"show: check, missing permission: FAIL {PROTECTED} {red[PROTECTED]}")


def asks_iam_from(account: Account, calls: int) -> None:
    status, _, _ = post(f"{account.aws}/moto-api/reset-auth", str(calls).encode(), {"content-type": "text/plain"})
    assert status == 200


class AnotherTime(BaseHTTPRequestHandler):
    """Hands requests on to moto, and says in its answers that it is ten minutes later."""

    protocol_version = "HTTP/1.1"
    aws = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        with urlopen(Request(self.aws + self.path, body, headers)) as answer:
            answered = answer.read()
        self.send_response_only(200)
        self.send_header("date", format_date_time(time() + 600))
        self.send_header("content-length", str(len(answered)))
        self.end_headers()
        self.wfile.write(answered)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_wrong_clock_is_red(account: Account) -> None:
    AnotherTime.aws = account.aws
    server = ThreadingHTTPServer(("127.0.0.1", 0), AnotherTime)
    Thread(target=server.serve_forever, daemon=True).start()
    red = failed(account.check(AWS_ENDPOINT_URL_STS=f"http://127.0.0.1:{server.server_address[1]}"))
    server.shutdown()
    assert list(red) == ["clock"] and "s behind AWS -> set this machine's clock" in red["clock"], red
    print(f"show: check, wrong clock: FAIL clock {red['clock']}")


def test_settings_that_cannot_be_read_are_red_and_stop_the_rest(account: Account, tmp_path: Path) -> None:
    red = failed(account.check(SIDECARLESS_SPOL_QUEUE_URL="x"))
    assert list(red) == ["settings"] and "SIDECARLESS_SPOL_QUEUE_URL" in red["settings"], red
