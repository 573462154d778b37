"""CPU and memory of a service without a stats source, and the traffic of Service Connect, from CloudWatch (moto) to Prometheus.

moto requires the dimensions in the order in which they were stored, and ignores the namespace. It does not keep the configuration of
Service Connect, so a proxy adds it to the responses of DescribeServices.
"""

from __future__ import annotations

import json
import time
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aws_proxy import AwsProxy
from conftest import BINARY, settings

from demo import ecs
from demo.peers import Peers, function, get, moto, post, prometheus

# Values of two tasks for each minute, by CloudWatch metric.
VALUES = {"CPUUtilization": [10.0, 50.0], "MemoryUtilization": [140.0, 20.0]}
EXPECTED = {
    ("ecs_service_cpu_utilization_percent", "average"): 30.0,
    ("ecs_service_cpu_utilization_percent", "minimum"): 10.0,
    ("ecs_service_cpu_utilization_percent", "maximum"): 50.0,
    ("ecs_service_memory_utilization_percent", "average"): 80.0,
    ("ecs_service_memory_utilization_percent", "minimum"): 20.0,
    ("ecs_service_memory_utilization_percent", "maximum"): 140.0,
}


def put_points(aws: str, service: str, minutes: list[int]) -> None:
    dimensions = [{"Name": "ClusterName", "Value": ecs.CLUSTER}, {"Name": "ServiceName", "Value": service}]
    points = [
        {"MetricName": name, "Dimensions": dimensions, "Timestamp": datetime.fromtimestamp(minute, UTC), "Value": value, "Unit": "Percent"}
        for name, values in VALUES.items() for minute in minutes for value in values
    ]
    ecs.client("cloudwatch", aws).put_metric_data(Namespace="AWS/ECS", MetricData=points)


def samples(amp: str, name: str) -> list[dict[str, Any]]:
    """Returns the samples of the last 15 minutes."""
    query = urllib.parse.urlencode({"query": f"{name}[15m]"})
    return list(json.loads(get(f"{amp}/api/v1/query?{query}"))["data"]["result"])


@pytest.mark.parametrize("interval", [1, 2])
def test_service_without_a_source_has_cpu_and_memory(tmp_path: Path, interval: int) -> None:
    with Peers(tmp_path) as peers:
        amp, aws = prometheus(peers), moto(peers)
        ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER)
        ecs.run_task(aws, ecs.new_task("cart", "127.0.6.1"), {})
        # The scheduled minute is a multiple of the interval. It is not over, because a run that starts late scrapes and reads nothing of CloudWatch.
        now = int(time.time()) // 60
        scheduled = (now + -now % interval) * 60
        put_points(aws, "cart-svc", [scheduled - 60 * minute for minute in range(1, 8)])
        put_points(aws, "other-svc", [scheduled - 180])
        variables = settings(f"{amp}/api/v1/write", aws) | {
            "SIDECARLESS_SOURCES": "endpoint", "SIDECARLESS_CLOUDWATCH_INTERVAL": str(interval), "SIDECARLESS_SELF_METRICS": "off",
        }
        function(peers, BINARY, variables)
        at = datetime.fromtimestamp(scheduled, UTC).isoformat()
        summary = json.loads(post(peers.invoke_url, json.dumps({"sidecarless": "scrape", "at": at}).encode())[2])
        assert summary["cloudwatch_metrics"] == 2, summary

        found = [series for name in {name for name, _ in EXPECTED} for series in samples(amp, name)]
        values = {(one["metric"]["__name__"], one["metric"]["stat"]): {float(value) for _, value in one["values"]} for one in found}
        assert values == {key: {value} for key, value in EXPECTED.items()}
        ends = [scheduled - 60 * minute for minute in range(interval + 2, 2, -1)]
        assert all([time for time, _ in one["values"]] == ends for one in found), found
        assert {(one["metric"]["aws_ecs_cluster_name"], one["metric"]["aws_ecs_service_name"]) for one in found} == {(ecs.CLUSTER, "cart-svc")}


# Values of two tasks for each minute, by CloudWatch metric.
RECEIVED = {"RequestCount": [90.0, 30.0], "ActiveConnectionCount": [4.0, 3.0]}
OF_TARGETS = {"HTTPCode_Target_2XX_Count": [88.0, 30.0], "HTTPCode_Target_5XX_Count": [2.0, 0.0], "TargetResponseTime": [10.0, 30.0]}
CONNECT = {
    "ecs_service_connect_request_count cart-svc cart-http sum": 120.0,
    "ecs_service_connect_active_connection_count cart-svc cart-http sum": 7.0,
    "ecs_service_connect_target_response_count 2xx cart-http sum": 118.0,
    "ecs_service_connect_target_response_count 5xx cart-http sum": 2.0,
    "ecs_service_connect_target_response_time_seconds cart-http average": 0.02,
    "ecs_service_connect_target_response_time_seconds cart-http minimum": 0.01,
    "ecs_service_connect_target_response_time_seconds cart-http maximum": 0.03,
}


def put(aws: str, metrics: dict[str, list[float]], minute: int, **dimensions: str) -> None:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    points = [
        {"MetricName": name, "Dimensions": named, "Timestamp": datetime.fromtimestamp(minute, UTC), "Value": value}
        for name, values in metrics.items() for value in values
    ]
    ecs.client("cloudwatch", aws).put_metric_data(Namespace="AWS/ECS", MetricData=points)


def connect(described: dict[str, Any]) -> None:
    for deployment in described["services"][0]["deployments"]:
        deployment["serviceConnectConfiguration"] = {"enabled": True, "services": [{"portName": "http", "discoveryName": "cart-http"}]}


def test_discovery_name_has_the_traffic_of_service_connect(tmp_path: Path) -> None:
    with Peers(tmp_path) as peers, AwsProxy(moto(peers)) as proxy:
        amp, aws = prometheus(peers), proxy.moto
        ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER)
        ecs.run_task(aws, ecs.new_task("cart", "127.0.6.1"), {})
        proxy.edits["DescribeServices"] = connect
        scheduled = int(time.time()) // 60 * 60
        start = scheduled - 240
        put(aws, RECEIVED, start, ClusterName=ecs.CLUSTER, DiscoveryName="cart-http", ServiceName="cart-svc")
        put(aws, OF_TARGETS, start, TargetDiscoveryName="cart-http")
        variables = settings(f"{amp}/api/v1/write", proxy.url) | {
            "SIDECARLESS_SOURCES": "endpoint", "SIDECARLESS_CLOUDWATCH_INTERVAL": "1",
            "SIDECARLESS_CLOUDWATCH_METRICS": "service-connect", "SIDECARLESS_SELF_METRICS": "off",
        }
        function(peers, BINARY, variables)
        at = datetime.fromtimestamp(scheduled, UTC).isoformat()
        summary = json.loads(post(peers.invoke_url, json.dumps({"sidecarless": "scrape", "at": at}).encode())[2])
        assert summary["cloudwatch_metrics"] == 12, summary
        assert [call.operation for call in proxy.calls].count("GetMetricData") == 1

        found = samples(amp, '{__name__=~"ecs_service_connect_.*"}')
        labels = ("__name__", "code", "aws_ecs_service_name", "discovery_name", "stat")
        values = {" ".join(one["metric"][name] for name in labels if name in one["metric"]): one["values"] for one in found}
        assert values == {series: [[start + 60, format(value, "g")]] for series, value in CONNECT.items()}
