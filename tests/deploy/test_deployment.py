"""Tests of the deployed stack, in order: a request, an outage, events, a scheduled run, deletion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import pytest
from conftest import CLI, ROOT, STACK, Deployed

from demo import ecs
from demo.peers import get, post, query, stop, wait_for
from demo.sources import LOG_GROUP, LOG_STREAM, UNTOUCHED_CLUSTER, insights_events

sys.path.append(str(ROOT / "tests" / "helpers"))

from standin import running, sender_environment  # noqa: E402
from task_metadata import start_migrated  # noqa: E402

SERVICE = "storefront"
# Panels of the dashboard "ECS fleet" that need only the ECS API.
STATE_PANELS = [
    "Clusters", "Services", "Tasks", "Services below desired", "Deployments under way", "Deployments failed", "Unhealthy tasks",
    "Tasks without usage", "vCPU reserved", "Memory reserved", "Pending tasks", "State of services", "Tasks by status", "Tasks by service",
    "Tasks by source of usage", "Reserved vCPU by service",
]
# Columns of the table Services before those with usage.
STATE_COLUMNS = 7
# A request takes a fraction of a second. Must be less than the time until the next scheduled run.
QUIET_S = 5


def show(text: str) -> None:
    """Prints a line that scripts/test shows."""
    print(f"\nshow: {text}", end="")


@pytest.fixture(scope="session")
def task(deployed: Deployed) -> ecs.Task:
    """A task in ECS (moto) and its process, which uses the unmodified SDK, configured only by the stack output."""
    ecs.create_cluster(deployed.moto, ecs.CLUSTER, insights=True)
    task = ecs.new_task(SERVICE, "127.0.3.1")
    ecs.run_task(deployed.moto, task, ecs.stats_labels(task.stats_port))
    program = [sys.executable, str(ROOT / "demo" / "shop.py"), task.address, str(task.port), str(task.stats_port), task.arn]
    paces = {"OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_METRIC_EXPORT_INTERVAL": "2000"}
    env = {**deployed.block(), **paces, "OTEL_SERVICE_NAME": SERVICE, "PYTHONPATH": str(ROOT)}
    deployed.processes.append(deployed.peers.start(SERVICE, program, env))
    ecs.wait_for_processes([task])
    return task


def order(task: ecs.Task) -> str:
    """Sends one request to the task and returns its trace ID."""
    with urllib.request.urlopen(task.url, timeout=30) as response:
        return str(response.headers["x-trace-id"])


def in_xray(deployed: Deployed, trace_id: str) -> list[dict[str, Any]]:
    return wait_for("the trace in X-Ray", lambda: ecs.trace_documents(deployed.moto, trace_id), 90)


def message_count(deployed: Deployed, queue: str) -> int:
    """Returns the number of messages in a queue, visible or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    response = deployed.account.client("sqs").get_queue_attributes(QueueUrl=deployed.resources[queue], AttributeNames=names)
    return sum(int(response["Attributes"][name]) for name in names)


def samples(deployed: Deployed, selector: str) -> list[float]:
    """Returns the timestamps of all samples of the last ten minutes."""
    return [at for series in query(deployed.amp, f"{selector}[10m]") for at, _ in series["values"]]


def test_sdk_delivers_data_with_the_stack_output(deployed: Deployed, task: ecs.Task) -> None:
    show(f"{len(deployed.resources)} resources deployed: {', '.join(sorted(deployed.resources))}")
    documents = in_xray(deployed, order(task))
    assert [document["name"] for document in documents] == [SERVICE]
    requests = wait_for("the SDK's counter in Prometheus", lambda: query(deployed.amp, "shop_requests_total"))
    assert [(one["metric"]["service_name"], one["value"][1]) for one in requests] == [(SERVICE, "1")]
    show(f"sent by the SDK: shop_requests_total {requests[0]['value'][1]}, and the segment {documents[0]['name']} in X-Ray")


def test_request_without_valid_token_is_rejected(deployed: Deployed) -> None:
    for headers in ({}, {"authorization": "Bearer guessed"}):
        status, _, _ = post(f"{deployed.url}v1/traces", b"", {"content-type": "application/x-protobuf", **headers})
        assert status == 401, headers


def test_queue_redelivers_data_after_an_outage(deployed: Deployed, task: ecs.Task) -> None:
    outage_start = time.time()
    deployed.amp_proxy.outage.set()
    deployed.xray_proxy.outage.set()
    trace_id = order(task)
    wait_for("both proxies refuse requests", lambda: deployed.amp_proxy.refused and deployed.xray_proxy.refused)
    wait_for("a message with spans and one with samples in the spool", lambda: message_count(deployed, "SpoolQueue") >= 2)
    assert not ecs.trace_documents(deployed.moto, trace_id)
    # Wait until the first redelivery has failed. The next one is delayed by the function.
    wait_for("a failed redelivery", lambda: "message will be retried" in function_log(deployed))
    outage_end = time.time()
    deployed.amp_proxy.outage.clear()
    deployed.xray_proxy.outage.clear()

    in_xray(deployed, trace_id)
    wait_for("the spool is empty", lambda: message_count(deployed, "SpoolQueue") == 0, 90)
    during = wait_for(
        "samples from the time of the outage", lambda: [at for at in samples(deployed, "shop_requests_total") if outage_start < at < outage_end]
    )
    assert message_count(deployed, "DeadLetterQueue") == 0
    redelivered = wait_for("log lines of both redeliveries", lambda: (count := function_log(deployed).count("spooled items delivered")) > 1 and count)
    show(
        f"outage of {outage_end - outage_start:.0f} s: {redelivered} messages redelivered by the event source mapping, the last after"
        f" {time.time() - outage_start:.0f} s; the trace and {len(during)} samples from the outage were delivered"
    )


def function_log(deployed: Deployed) -> str:
    """Returns the log of the function from the log group of the stack."""
    group = deployed.resources["LogGroup"]
    events = deployed.account.client("logs").filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events)


def test_container_insights_events_are_received(deployed: Deployed, task: ecs.Task) -> None:
    other = replace(task, service="mailer")
    ecs.run_task(deployed.moto, other, {})
    at_ms = int(time.time()) // 60 * 60_000
    events = [{"timestamp": at_ms, "message": json.dumps(event)} for event in insights_events(other, at_ms)]
    logs = deployed.account.client("logs")
    (created,) = logs.describe_subscription_filters(logGroupName=LOG_GROUP)["subscriptionFilters"]
    # MiniStack supports patterns of words only, so the filter has no pattern here. tests/template checks the pattern.
    logs.put_subscription_filter(**{key: created[key] for key in ("logGroupName", "filterName", "destinationArn")}, filterPattern="")
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=LOG_STREAM)
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=LOG_STREAM, logEvents=events)
    metric = f'ecs_task_memory_utilized{{aws_ecs_task_id="{other.id}"}}'
    series = wait_for("the memory metric of the task in Prometheus", lambda: query(deployed.amp, metric))
    show(f"received from the subscription filter: ecs_task_memory_utilized {series[0]['value'][1]} MiB of {other.service}")


def test_stopped_task_event_is_received(deployed: Deployed, task: ecs.Task) -> None:
    sample = json.loads((ROOT / "events" / "task-stopped.json").read_text())
    events, name = deployed.account.client("events"), deployed.resources["TaskStateChangeRule"]
    pattern = json.loads(events.describe_rule(Name=name)["EventPattern"])
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    arn = task.arn.replace(task.id, "0" * 32)
    stopped = sample["detail"] | {"taskArn": arn, "executionStoppedAt": now, "stoppedAt": now}
    stopped["clusterArn"] = task.arn.rsplit(":", 1)[0] + f":cluster/{ecs.CLUSTER}"
    for status, matches in [("STOPPED", True), ("RUNNING", False)]:
        event = json.dumps(sample | {"detail": stopped | {"lastStatus": status}})
        assert events.test_event_pattern(EventPattern=json.dumps(pattern), Event=event)["Result"] is matches, status
    # Only AWS may send events of aws.ecs, also in MiniStack. Change the source of the rule for the test.
    events.put_rule(Name=name, EventPattern=json.dumps(pattern | {"source": ["test"]}))
    entry = {"Source": "test", "DetailType": sample["detail-type"], "Detail": json.dumps(stopped)}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    metric = f'ecs_task_stopped_info{{aws_ecs_task_id="{"0" * 32}"}}'
    series = wait_for("the stop reason in Prometheus", lambda: query(deployed.amp, metric))
    assert [one["metric"]["stop_code"] for one in series] == [stopped["stopCode"]]
    show(f"received from the rule: ecs_task_stopped_info, stop_code {series[0]['metric']['stop_code']}")


def test_deployment_event_is_received(deployed: Deployed, task: ecs.Task) -> None:
    events, name = deployed.account.client("events"), deployed.resources["TaskStateChangeRule"]
    pattern = json.loads(events.describe_rule(Name=name)["EventPattern"])
    arn = f"{task.arn.rsplit(':', 1)[0]}:service/{ecs.CLUSTER}/{SERVICE}-svc"
    for file, metric in [("deployment-failed", "ecs_service_deployment_event_info"), ("service-action", "ecs_service_action_event_info")]:
        sample = json.loads((ROOT / "events" / f"{file}.json").read_text())
        assert events.test_event_pattern(EventPattern=json.dumps(pattern | {"source": ["aws.ecs"]}), Event=json.dumps(sample))["Result"], file
        # The rule has the source of the test before this one.
        entry = {"Source": "test", "DetailType": sample["detail-type"], "Detail": json.dumps(sample["detail"]), "Resources": [arn]}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
        series = wait_for(f"the event of {file} in Prometheus", lambda: query(deployed.amp, f'{metric}{{aws_ecs_service_name="{SERVICE}-svc"}}'))
        assert [one["metric"]["event_name"] for one in series] == [sample["detail"]["eventName"]]
        show(f"received from the rule: {metric}, event_name {series[0]['metric']['event_name']}")


def test_health_check_of_a_migrated_task_pushes_its_stats(deployed: Deployed, task: ecs.Task) -> None:
    endpoint, container = start_migrated(CLI, deployed.moto, "migrated")
    with running(endpoint):
        # The agent replaces the secret, and the user the URL.
        variables = {"PATH": os.environ["PATH"], **sender_environment(endpoint.url + "/v4/container", deployed.url, deployed.token)}
        kind, line = container["healthCheck"]["command"]
        done = subprocess.run(["/bin/sh", "-c", line], env=variables, timeout=container["healthCheck"]["timeout"], check=False)
    assert (kind, done.returncode) == ("CMD-SHELL", 0)
    selector = f'ecs_task_memory_utilized{{aws_ecs_task_id="{endpoint.task.id}"}}'
    series = wait_for("the pushed stats in Prometheus", lambda: query(deployed.amp, selector))
    show(f"pushed by the health check of a migrated task: ecs_task_memory_utilized {float(series[0]['value'][1]):.1f} MiB")


def untouched_task(deployed: Deployed) -> ecs.Task:
    """Runs a task without a Docker label in a cluster without Container Insights."""
    ecs.create_cluster(deployed.moto, UNTOUCHED_CLUSTER, insights=False)
    task = ecs.new_task("invoices", "127.0.3.2", source="none")
    task.cluster = UNTOUCHED_CLUSTER
    ecs.run_task(deployed.moto, task, {})
    return task


def test_fleet_dashboard_shows_the_state_of_an_untouched_task(deployed: Deployed) -> None:
    untouched = untouched_task(deployed)
    wait_for("the state of the task", lambda: query(deployed.amp, f'ecs_task_info{{aws_ecs_task_id="{untouched.id}",stats_source="none"}}'), 130)
    panels = {panel["title"]: panel["targets"] for panel in json.loads((ROOT / "grafana" / "fleet.json").read_text())["panels"]}
    shown = []
    for title in STATE_PANELS:
        expressions = [target["expr"].replace("$cluster", UNTOUCHED_CLUSTER) for target in panels[title]]
        if all(query(deployed.amp, expression) for expression in expressions[:STATE_COLUMNS]):
            shown.append(title)
    assert shown == STATE_PANELS
    show(f"shown for a task without a label: {', '.join(shown)}")


def test_schedule_runs_and_the_task_is_scraped(deployed: Deployed, task: ecs.Task) -> None:
    selector = f'{{aws_ecs_task_id="{task.id}"}}'
    series = wait_for("stats of the task", lambda: query(deployed.amp, f"ecs_task_memory_utilized{selector}"), 90)
    # The MiniStack scheduler runs a minute after the schedule is created.
    assert min(samples(deployed, f"ecs_task_memory_utilized{selector}")) > deployed.at + 50, "scraped before the schedule ran"
    show(f"scraped in the first scheduled run: ecs_task_memory_utilized {float(series[0]['value'][1]):.1f} MiB of {task.service}")


def stop_clients(deployed: Deployed) -> None:
    """Stops all clients, and waits until running invocations have ended.

    MiniStack writes the log of an invocation when it ends, and creates a missing log group. An invocation that ends after the
    stack was deleted would therefore create a log group. In AWS, the role of the function has no permission for this.
    """
    for process in deployed.processes:
        stop(process)
    wait_for("the log of the scheduled run", lambda: "scheduled run completed" in function_log(deployed))
    quiet_since, before = time.monotonic(), ""
    while time.monotonic() - quiet_since < QUIET_S:
        log = function_log(deployed)
        if log != before:
            quiet_since, before = time.monotonic(), log
        time.sleep(0.2)


def test_stack_deletion_removes_all_resources(deployed: Deployed) -> None:
    stop_clients(deployed)
    account = deployed.account
    account.client("cloudformation").delete_stack(StackName=STACK)

    def deleted() -> bool:
        stacks = account.client("cloudformation").list_stacks()["StackSummaries"]
        return [stack["StackStatus"] for stack in stacks] == ["DELETE_COMPLETE"]

    wait_for("the stack is deleted", deleted)
    remaining = {
        "functions": account.client("lambda").list_functions()["Functions"],
        "queues": account.client("sqs").list_queues().get("QueueUrls", []),
        "schedules": account.client("scheduler").list_schedules()["Schedules"],
        "roles": account.client("iam").list_roles()["Roles"],
        "log groups": account.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"],
        "subscription filters": account.client("logs").describe_subscription_filters(logGroupName=LOG_GROUP)["subscriptionFilters"],
        "rules": account.client("events").list_rules()["Rules"],
        "alarms": account.client("cloudwatch").describe_alarms()["MetricAlarms"],
    }
    assert {kind: resources for kind, resources in remaining.items() if resources} == {}
    with pytest.raises(urllib.error.HTTPError):
        get(f"{deployed.url}healthz")
    show(f"deleted: no remaining {', '.join(remaining)}")
