"""`sidecarless estimate` for the demo tasks in moto (Fargate and EC2 instances), and with an unreachable account."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

from conftest import CLI

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, moto
from demo.sources import Sources

# 730 hours with 0.25 vCPU and 0.5 GB on x86_64.
SIDECAR_USD = 730 * (0.25 * 0.04048 + 0.5 * 0.004445)


def estimate(aws: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | CREDENTIALS | {"AWS_ENDPOINT_URL": aws, "AWS_REGION": REGION} | settings
    return subprocess.run([CLI, "estimate", *arguments], env=env, capture_output=True, text=True, timeout=60)


def test_estimate_covers_all_tasks_of_the_account(tmp_path: Path) -> None:
    with Peers(tmp_path) as peers:
        aws = moto(peers)
        others = Sources(aws)
        tasks = ecs.run_tasks(aws)
        others.run_tasks()
        tasks += [*others.tasks, others.invoices]
        done = estimate(aws, "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        fargate = Counter(task.launch_type for task in tasks)["FARGATE"]
        assert 0 < fargate < len(tasks)
        assert result["fleet"]["tasks"] == len(tasks)
        assert {group["launch_type"]: group["tasks"] for group in result["fleet"]["groups"]} == {
            "fargate": fargate, "instances": len(tasks) - fargate,
        }
        assert abs(result["sidecars"]["total_usd"] - fargate * SIDECAR_USD) < 1e-6
        text = estimate(aws).stdout
        assert text.startswith(f"{len(tasks)} tasks with {len(tasks)} containers: {fargate} on Fargate (x86_64)"), text
        print(f"\nshow: estimate of {len(tasks)} tasks:\n{text}", end="")
        in_cloudwatch = {"SIDECARLESS_METRICS_TO": "cloudwatch", "SIDECARLESS_SELF_METRICS": "emf"}
        text = estimate(aws, **in_cloudwatch).stdout
        assert " OTLP data points of 1,000 bytes, at $0.50" in text and " and 0 OTLP samples" in text, text
        assert " metrics about the function in EMF" in text and "sidecarless_* series" not in text, text
        text = estimate(aws, "--metrics-to", "amp", **in_cloudwatch).stdout
        assert " OTLP data points of " not in text and " and 0 OTLP samples" not in text, text


def test_unreachable_account_exits_with_code_1() -> None:
    done = estimate("http://127.0.0.1:9")
    assert (done.returncode, "error: ListClusters failed for the account" in done.stdout) == (1, True), done
