"""The deployed stack at work, in the order of a first day: a push, an outage, events, a tick, the end."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import pytest
from conftest import ROOT, STACK, Deployed

from demo import ecs
from demo.peers import get, post, query, stop, wait_for
from demo.sources import LOG_GROUP, LOG_STREAM, insights_events

SERVICE = "storefront"
# A push takes a fraction of a second. Less than what is left until the next tick.
QUIET_S = 5


def show(text: str) -> None:
    """A line that scripts/test passes on."""
    print(f"\nshow: {text}", end="")


@pytest.fixture(scope="session")
def task(deployed: Deployed) -> ecs.Task:
    """A task in ECS (moto) and its process: the stock SDK, set up by nothing but what the stack's output says."""
    ecs.client("ecs", deployed.moto).create_cluster(clusterName=ecs.CLUSTER)
    task = ecs.new_task(SERVICE, "127.0.3.1")
    ecs.run_task(deployed.moto, task, ecs.stats_labels(task.stats_port))
    program = [sys.executable, str(ROOT / "demo" / "shop.py"), task.address, str(task.port), str(task.stats_port), task.arn]
    paces = {"OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_METRIC_EXPORT_INTERVAL": "2000"}
    env = {**deployed.block(), **paces, "OTEL_SERVICE_NAME": SERVICE, "PYTHONPATH": str(ROOT)}
    deployed.processes.append(deployed.peers.start(SERVICE, program, env))
    ecs.wait_for_processes([task])
    return task


def order(task: ecs.Task) -> str:
    """One request to the task; returns the id of its trace."""
    with urllib.request.urlopen(task.url, timeout=30) as answer:
        return str(answer.headers["x-trace-id"])


def in_xray(deployed: Deployed, trace_id: str) -> list[dict[str, Any]]:
    return wait_for("the trace in X-Ray", lambda: ecs.trace_documents(deployed.moto, trace_id), 90)


def waiting(deployed: Deployed, queue: str) -> int:
    """Messages in a queue, out of sight or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = deployed.account.client("sqs").get_queue_attributes(QueueUrl=deployed.resources[queue], AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def samples(deployed: Deployed, selector: str) -> list[float]:
    """The times of all samples of the last ten minutes."""
    return [at for series in query(deployed.amp, f"{selector}[10m]") for at, _ in series["values"]]


def test_an_sdk_pushes_with_what_the_stack_puts_out(deployed: Deployed, task: ecs.Task) -> None:
    show(f"{len(deployed.resources)} resources deployed: {', '.join(sorted(deployed.resources))}")
    documents = in_xray(deployed, order(task))
    assert [document["name"] for document in documents] == [SERVICE]
    requests = wait_for("the SDK's counter in Prometheus", lambda: query(deployed.amp, "shop_requests_total"))
    assert [(one["metric"]["service_name"], one["value"][1]) for one in requests] == [(SERVICE, "1")]
    show(f"pushed by the SDK: shop_requests_total {requests[0]['value'][1]}, and the segment {documents[0]['name']} in X-Ray")


def test_a_push_without_the_token_stays_outside(deployed: Deployed) -> None:
    for headers in ({}, {"authorization": "Bearer guessed"}):
        status, _, _ = post(f"{deployed.url}v1/traces", b"", {"content-type": "application/x-protobuf", **headers})
        assert status == 401, headers


def test_what_an_outage_keeps_out_is_redelivered_by_the_queue(deployed: Deployed, task: ecs.Task) -> None:
    began = time.time()
    deployed.amp_door.shut.set()
    deployed.xray_door.shut.set()
    trace_id = order(task)
    wait_for("both destinations turn pushes away", lambda: deployed.amp_door.turned_away and deployed.xray_door.turned_away)
    wait_for("a message of spans and one of samples in the spool", lambda: waiting(deployed, "SpoolQueue") >= 2)
    assert not ecs.trace_documents(deployed.moto, trace_id)
    # Past the first delivery by the event source mapping, which fails: the next one is the function's backing off.
    wait_for("a message that comes again", lambda: "comes again" in function_log(deployed))
    ended = time.time()
    deployed.amp_door.shut.clear()
    deployed.xray_door.shut.clear()

    in_xray(deployed, trace_id)
    wait_for("an empty spool", lambda: waiting(deployed, "SpoolQueue") == 0, 90)
    during = wait_for(
        "samples of the time of the outage", lambda: [at for at in samples(deployed, "shop_requests_total") if began < at < ended]
    )
    assert waiting(deployed, "DeadLetterQueue") == 0
    redelivered = wait_for("the log of both", lambda: (seen := function_log(deployed).count("spooled items delivered")) > 1 and seen)
    show(
        f"outage of {ended - began:.0f} s: {redelivered} messages redelivered by the event source mapping, the last after"
        f" {time.time() - began:.0f} s; the trace and {len(during)} samples of that time are there"
    )


def function_log(deployed: Deployed) -> str:
    """What the function has logged so far, from the stack's log group."""
    group = deployed.resources["LogGroup"]
    events = deployed.account.client("logs").filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events)


def test_container_insights_events_are_handed_over(deployed: Deployed, task: ecs.Task) -> None:
    other = replace(task, service="mailer")
    ecs.run_task(deployed.moto, other, {})
    at_ms = int(time.time()) // 60 * 60_000
    events = [{"timestamp": at_ms, "message": json.dumps(event)} for event in insights_events(other, at_ms)]
    logs = deployed.account.client("logs")
    (made,) = logs.describe_subscription_filters(logGroupName=LOG_GROUP)["subscriptionFilters"]
    # MiniStack reads no pattern but words: the same filter without one. tests/template holds the pattern.
    logs.put_subscription_filter(**{key: made[key] for key in ("logGroupName", "filterName", "destinationArn")}, filterPattern="")
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=LOG_STREAM)
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=LOG_STREAM, logEvents=events)
    metric = f'ecs_task_memory_utilized{{aws_ecs_task_id="{other.id}"}}'
    found = wait_for("the task's memory in Prometheus", lambda: query(deployed.amp, metric))
    show(f"handed over by the subscription filter: ecs_task_memory_utilized {found[0]['value'][1]} MiB of {other.service}")


def test_a_stopped_task_is_told_of_at_once(deployed: Deployed, task: ecs.Task) -> None:
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
    # Nobody but AWS may send events of aws.ecs, to MiniStack neither: the same rule for a source that is ours.
    events.put_rule(Name=name, EventPattern=json.dumps(pattern | {"source": ["ours"]}))
    entry = {"Source": "ours", "DetailType": sample["detail-type"], "Detail": json.dumps(stopped)}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    metric = f'ecs_task_stopped_info{{aws_ecs_task_id="{"0" * 32}"}}'
    found = wait_for("why it stopped in Prometheus", lambda: query(deployed.amp, metric))
    assert [one["metric"]["stop_code"] for one in found] == [stopped["stopCode"]]
    show(f"told of by the rule: ecs_task_stopped_info, stop_code {found[0]['metric']['stop_code']}")


def test_the_schedule_fires_and_the_task_is_scraped(deployed: Deployed, task: ecs.Task) -> None:
    of_task = f'{{aws_ecs_task_id="{task.id}"}}'
    found = wait_for("stats of the task", lambda: query(deployed.amp, f"ecs_task_memory_utilized{of_task}"), 90)
    # MiniStack's scheduler counts its minute from the making of the schedule.
    assert min(samples(deployed, f"ecs_task_memory_utilized{of_task}")) > deployed.at + 50, "by nothing but the schedule"
    show(f"scraped at the schedule's first tick: ecs_task_memory_utilized {float(found[0]['value'][1]):.1f} MiB of {task.service}")


def silence(deployed: Deployed) -> None:
    """Ends whoever pushes, and waits until the invocations under way are over.

    MiniStack writes an invocation's log when it ends, and makes the log group for it if there is none: one that ends after
    the stack was deleted would leave a log group behind. AWS lets the function's role make none.
    """
    for process in deployed.processes:
        stop(process)
    wait_for("the log of the tick", lambda: "tick: " in function_log(deployed))
    quiet_since, before = time.monotonic(), ""
    while time.monotonic() - quiet_since < QUIET_S:
        log = function_log(deployed)
        if log != before:
            quiet_since, before = time.monotonic(), log
        time.sleep(0.2)


def test_the_stack_deletes_cleanly(deployed: Deployed) -> None:
    silence(deployed)
    account = deployed.account
    account.client("cloudformation").delete_stack(StackName=STACK)

    def deleted() -> bool:
        stacks = account.client("cloudformation").list_stacks()["StackSummaries"]
        return [stack["StackStatus"] for stack in stacks] == ["DELETE_COMPLETE"]

    wait_for("the stack is deleted", deleted)
    left = {
        "functions": account.client("lambda").list_functions()["Functions"],
        "queues": account.client("sqs").list_queues().get("QueueUrls", []),
        "schedules": account.client("scheduler").list_schedules()["Schedules"],
        "roles": account.client("iam").list_roles()["Roles"],
        "log groups": account.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"],
        "subscription filters": account.client("logs").describe_subscription_filters(logGroupName=LOG_GROUP)["subscriptionFilters"],
        "rules": account.client("events").list_rules()["Rules"],
        "alarms": account.client("cloudwatch").describe_alarms()["MetricAlarms"],
    }
    assert {kind: found for kind, found in left.items() if found} == {}
    with pytest.raises(urllib.error.HTTPError):
        get(f"{deployed.url}healthz")
    show(f"deleted: no {', '.join(left)} left")
