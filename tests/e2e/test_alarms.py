"""Each alarm of template.yaml fires if its cause happens, and is quiet otherwise.

The function runs with the cause. Its log lines pass the metric filters of the template, its responses become the metrics that AWS
derives from them, and the alarms are evaluated on both. Three alarms watch what happens without the function; their data points are
those of the documentation. Responses are counted for the function URL and for the load balancer, of which a stack has one.
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aws_proxy import REMOTE_WRITE, AwsProxy, Fault, coded
from conftest import BINARY, ROOT, TOKEN, settings
from log_filters import is_alarming, matches, parameters, resources
from test_broken_bodies import gauge

from demo import ecs
from demo.events import traces
from demo.peers import Peers, function, moto, post

ALARMS = resources("AWS::CloudWatch::Alarm")
FILTERS = resources("AWS::Logs::MetricFilter")
FUNCTION = resources("AWS::Serverless::Function")["Function"]
ATTEMPTS = FUNCTION["EventInvokeConfig"]["MaximumRetryAttempts"] + 1

# Dimensions of the metrics that AWS writes, and of the metrics of filters, which have none.
QUEUES = {"DeadLetterAlarm": "DeadLetterQueue", "SpoolAgeAlarm": "SpoolQueue"}
SCHEDULED = {"sidecarless": "scrape"}

Metrics = dict[str, float | None]


@dataclass
class Environment:
    """A function, its AWS services, and its log and responses."""

    peers: Peers
    proxy: AwsProxy
    url: str
    queues: dict[str, str]
    sqs: Any
    responses: list[Any] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def invoke(self, event: Any) -> Any:
        _, _, body = post(self.peers.invoke_url, json.dumps(event).encode())
        self.responses.append(json.loads(body))
        return self.responses[-1]

    def push(self, path: str, body: bytes) -> int:
        headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {TOKEN}"}
        self.statuses.append(post(self.url + path, body, headers)[0])
        return self.statuses[-1]

    def receive(self, queue: str) -> list[dict[str, Any]]:
        names = ["ApproximateReceiveCount"]
        response = self.sqs.receive_message(QueueUrl=self.queues[queue], MaxNumberOfMessages=10, AttributeNames=names, VisibilityTimeout=0)
        return list(response.get("Messages", []))

    def redeliver(self) -> list[str]:
        """Invokes the function with the messages of the spool, as Lambda does. Returns the IDs of those that stay."""
        messages = self.receive("SpoolQueue")
        records = [
            {
                "messageId": one["MessageId"], "receiptHandle": one["ReceiptHandle"], "body": one["Body"], "eventSource": "aws:sqs",
                "attributes": one["Attributes"],
            }
            for one in messages
        ]
        failed = self.invoke({"Records": records})["batchItemFailures"] if records else []
        return [one["itemIdentifier"] for one in failed]

    def lines(self) -> list[dict[str, Any]]:
        """Returns the log lines of the function. The emulator writes lines of its own to the same file."""
        lines = [json.loads(line) for line in self.peers.log("function").splitlines() if line.startswith("{")]
        return [line for line in lines if "level" in line]

    def metrics(self) -> Metrics:
        """Returns the sums of a minute, by metric name; None if AWS writes no data point."""
        errors = sum("errorMessage" in response for response in self.responses)
        server_errors = sum(status >= 500 for status in self.statuses)
        counted = server_errors if self.statuses else None
        metrics: Metrics = {"Errors": errors, "Url5xxCount": counted, "HTTPCode_Target_5XX_Count": counted}
        lines = self.lines()
        for one in FILTERS.values():
            (transformation,) = one["MetricTransformations"]
            count = sum(matches(one["FilterPattern"], line) for line in lines)
            metrics[transformation["MetricName"]] = count * float(transformation["MetricValue"]) or None
        return metrics


Cause = Callable[[Environment], Metrics]


def healthy(environment: Environment) -> Metrics:
    environment.invoke(SCHEDULED)
    assert environment.push("/v1/metrics", gauge("shelf", 1)) == 200
    assert environment.push("/v1/traces", traces()) == 200
    assert environment.redeliver() == []
    dead = len(environment.receive("DeadLetterQueue"))
    return environment.metrics() | {"ApproximateNumberOfMessagesVisible": dead, "ApproximateAgeOfOldestMessage": 0}


def amp_and_spool_down(environment: Environment) -> Metrics:
    environment.proxy.faults = {"aps": Fault(503), "sqs": Fault(503)}
    assert "samples could not be delivered: spool unavailable: 503" in environment.invoke(SCHEDULED)["errorMessage"]
    return environment.metrics()


def amp_denies_access(environment: Environment) -> Metrics:
    environment.proxy.faults = {"aps": coded(403, "AccessDeniedException", "not authorized to perform: aps:RemoteWrite")}
    environment.invoke(SCHEDULED)
    return environment.metrics()


def amp_rejects_samples(environment: Environment) -> Metrics:
    environment.proxy.faults = {"aps": Fault(400, b"out of order sample")}
    environment.invoke(SCHEDULED)
    return environment.metrics()


def amp_limits_series(environment: Environment) -> Metrics:
    environment.proxy.faults = {"aps": Fault(429, b"per-user series limit of 5 exceeded")}
    environment.invoke(SCHEDULED)
    return environment.metrics()


def xray_rejects_segments(environment: Environment) -> Metrics:
    environment.invoke(SCHEDULED)
    environment.proxy.faults = {"xray": coded(400, "InvalidRequestException")}
    assert environment.push("/v1/traces", traces()) == 200
    return environment.metrics()


def xray_denies_access(environment: Environment) -> Metrics:
    environment.invoke(SCHEDULED)
    environment.proxy.faults = {"xray": coded(403, "AccessDeniedException", "not authorized to perform: xray:PutTraceSegments")}
    assert environment.push("/v1/traces", traces()) == 200, "spooled, because a corrected policy loses nothing"
    return environment.metrics()


def nothing_discovered(environment: Environment) -> Metrics:
    environment.proxy.faults = {"ecs": coded(400, "AccessDeniedException")}
    assert "no task could be discovered" in environment.invoke(SCHEDULED)["errorMessage"]
    return environment.metrics()


def no_destination_for_requests(environment: Environment) -> Metrics:
    environment.invoke(SCHEDULED)
    environment.proxy.faults = {"aps": Fault(503), "sqs": Fault(503)}
    assert environment.push("/v1/metrics", gauge("shelf", 1)) == 503
    return environment.metrics()


def no_destination_for_spans(environment: Environment) -> Metrics:
    environment.invoke(SCHEDULED)
    environment.proxy.faults = {"xray": Fault(503), "sqs": Fault(503)}
    assert environment.push("/v1/traces", traces()) == 503
    return environment.metrics()


def schedule_disabled(environment: Environment) -> Metrics:
    assert environment.push("/v1/traces", traces()) == 200
    return environment.metrics()


def late_runs(environment: Environment) -> Metrics:
    """Lambda throttles the function, and starts its runs minutes later."""
    late = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 300))
    assert "300 s late" in environment.invoke({**SCHEDULED, "at": late})["skipped"]
    return environment.metrics()


def log_events_fail(environment: Environment) -> Metrics:
    """Lambda repeats the event, and then drops it. It writes its record to the dead-letter queue before."""
    environment.invoke(SCHEDULED)
    environment.proxy.faults = {"aps": Fault(503), "sqs": Fault(503)}
    event = {"Version": "0", "Type": "Task", "ClusterName": ecs.CLUSTER, "TaskId": "0" * 32, "Timestamp": int(time.time() * 1000)}
    event |= {"TaskDefinitionFamily": "shop", "TaskDefinitionRevision": "1", "CpuUtilized": 1.0, "CpuReserved": 256.0}
    data = {
        "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": f"/aws/ecs/containerinsights/{ecs.CLUSTER}/performance",
        "logStream": "s", "subscriptionFilters": ["f"], "logEvents": [{"id": "1", "timestamp": 1, "message": json.dumps(event)}],
    }
    text = base64.b64encode(gzip.compress(json.dumps(data).encode())).decode()
    failed = [environment.invoke({"awslogs": {"data": text}}) for _ in range(ATTEMPTS)]
    assert all("samples could not be delivered" in response["errorMessage"] for response in failed), failed
    assert FUNCTION["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"] == {"GetAtt": "DeadLetterQueue.Arn"}
    return environment.metrics() | {"AsyncEventsDropped": 1, "ApproximateNumberOfMessagesVisible": 1}


def amp_stays_down(environment: Environment) -> Metrics:
    environment.invoke(SCHEDULED)
    environment.proxy.faults = {"aps": Fault(503)}
    assert environment.push("/v1/metrics", gauge("shelf", 1)) == 200
    assert environment.redeliver(), "the message stays in the spool, and its age grows"
    return environment.metrics() | {"ApproximateAgeOfOldestMessage": 300}


def poison_message(environment: Environment) -> Metrics:
    environment.invoke(SCHEDULED)
    environment.sqs.send_message(QueueUrl=environment.queues["SpoolQueue"], MessageBody='{"sidecarless": "spool"}')
    for _ in range(resources("AWS::SQS::Queue")["SpoolQueue"]["RedrivePolicy"]["maxReceiveCount"]):
        assert len(environment.redeliver()) == 1
    assert environment.redeliver() == []
    return environment.metrics() | {"ApproximateNumberOfMessagesVisible": len(environment.receive("DeadLetterQueue"))}


def throttled(environment: Environment) -> Metrics:
    """Lambda does not invoke the function. A throttled invocation is counted (AWS Lambda Developer Guide, "Types of metrics")."""
    return environment.metrics() | {"Throttles": 1}


def schedule_not_allowed(environment: Environment) -> Metrics:
    """The role of the schedule may not invoke the function (EventBridge Scheduler User Guide, "Monitoring ... with CloudWatch")."""
    return environment.metrics() | {"TargetErrorCount": 1}


# Every cause, and the alarms that fire. Other alarms do not.
CAUSES: dict[Cause, set[str]] = {
    healthy: set(),
    amp_and_spool_down: {"ErrorsAlarm", "ErrorLinesAlarm", "MissedRunsAlarm"},
    amp_denies_access: {"ErrorLinesAlarm"},
    amp_rejects_samples: {"ErrorLinesAlarm"},
    amp_limits_series: {"ErrorLinesAlarm"},
    xray_rejects_segments: {"ErrorLinesAlarm"},
    xray_denies_access: {"ErrorLinesAlarm"},
    nothing_discovered: {"ErrorsAlarm", "ErrorLinesAlarm", "MissedRunsAlarm"},
    no_destination_for_requests: {"ServerErrorsAlarm", "LoadBalancerErrorsAlarm"},
    no_destination_for_spans: {"ServerErrorsAlarm", "LoadBalancerErrorsAlarm"},
    schedule_disabled: {"MissedRunsAlarm"},
    late_runs: {"MissedRunsAlarm"},
    log_events_fail: {"ErrorsAlarm", "ErrorLinesAlarm", "DroppedEventsAlarm", "DeadLetterAlarm"},
    amp_stays_down: {"SpoolAgeAlarm"},
    poison_message: {"DeadLetterAlarm", "ErrorLinesAlarm"},
    throttled: {"ThrottlesAlarm", "MissedRunsAlarm"},
    schedule_not_allowed: {"ScheduleTargetErrorsAlarm", "MissedRunsAlarm"},
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Peers(tmp_path_factory.mktemp("aws")) as peers:
        aws = moto(peers)
        ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER)
        # Nothing listens on its ports, so a run writes `up` 0.
        task = ecs.new_task("cart", "127.0.4.1")
        ecs.run_task(aws, task, ecs.stats_labels(task.stats_port))
        yield aws


def queues(sqs: Any, name: str) -> dict[str, str]:
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = resources("AWS::SQS::Queue")["SpoolQueue"]["RedrivePolicy"] | {"deadLetterTargetArn": arn}
    spool = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy)})["QueueUrl"]
    return {"SpoolQueue": spool, "DeadLetterQueue": dead}


def observe(cause: Cause, aws: str, folder: Path, **variables: str) -> Metrics:
    """Returns the metrics of a minute in which the cause happened, in a function of its own: a failure opens a circuit breaker."""
    sqs = ecs.client("sqs", aws)
    with AwsProxy(aws) as proxy, Peers(folder) as peers:
        of_cause = queues(sqs, cause.__name__)
        spool = {"SIDECARLESS_SPOOL_QUEUE_URL": of_cause["SpoolQueue"], "SIDECARLESS_MAX_SAMPLE_AGE": "off"}
        url = function(peers, BINARY, settings(proxy.url + REMOTE_WRITE, proxy.url) | spool | variables)
        return cause(Environment(peers, proxy, url, of_cause, sqs))


def firing(metrics: Metrics) -> set[str]:
    """Returns the alarms that fire if every minute of the last five has these metrics."""
    return {name for name, alarm in ALARMS.items() if is_alarming(alarm, [metrics.get(alarm["MetricName"])] * 5)}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_cause_fires_its_alarms(cause: Cause, aws: str, tmp_path: Path) -> None:
    alarms = firing(observe(cause, aws, tmp_path))
    print(f"\nshow: {cause.__name__:28} {', '.join(sorted(alarms)) or 'no alarm'}", end="")
    assert alarms == CAUSES[cause]


def test_every_alarm_has_a_cause() -> None:
    assert set().union(*CAUSES.values()) == set(ALARMS)
    assert all(alarms for cause, alarms in CAUSES.items() if cause is not healthy)


@pytest.mark.parametrize("level, lines", [("", 0), ("INFO", 0), ("DEBUG", 3)])
def test_successful_requests_are_logged_only_at_debug(level: str, lines: int, aws: str, tmp_path: Path) -> None:
    """Lambda sets the variable to the parameter LogLevel of the template. The run and two requests deliver items."""
    assert firing(observe(healthy, aws, tmp_path, AWS_LAMBDA_LOG_LEVEL=level)) == set()
    log = (tmp_path / "function.log").read_text()
    assert "scheduled run completed" in log
    assert log.count('"level":"DEBUG","message":"items delivered"') == log.count("items delivered") == lines


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_watches_the_metric_as_aws_writes_it(name: str) -> None:
    alarm = ALARMS[name]
    written = {
        "AWS/Lambda": ("Sum", [{"Name": "FunctionName", "Value": {"Ref": "Function"}}]),
        "AWS/ApplicationELB": ("Sum", [{"Name": "LoadBalancer", "Value": {"GetAtt": "LoadBalancer.LoadBalancerFullName"}}]),
        "AWS/Scheduler": ("Sum", [{"Name": "ScheduleGroup", "Value": {"Ref": "ScheduleGroup"}}]),
        "AWS/SQS": ("Maximum", [{"Name": "QueueName", "Value": {"GetAtt": f"{QUEUES.get(name)}.QueueName"}}]),
    }
    own = {"Sub": "sidecarless/${AWS::StackName}"}
    expected = ("Sum", None) if alarm["Namespace"] == own else written[alarm["Namespace"]]
    assert (alarm["Statistic"], alarm.get("Dimensions")) == expected
    of_filters = [one["MetricTransformations"][0] for one in FILTERS.values()]
    assert (alarm["Namespace"] == own) == any(
        (one["MetricNamespace"], one["MetricName"]) == (own, alarm["MetricName"]) for one in of_filters
    ), "an own metric is written by a filter"
    assert (alarm["TreatMissingData"] == "breaching") == (alarm["ComparisonOperator"] == "LessThanThreshold")
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 300, "five minutes"


def test_filters_read_the_log_of_the_function() -> None:
    assert {json.dumps(one["LogGroupName"]) for one in FILTERS.values()} == {json.dumps(FUNCTION["LoggingConfig"]["LogGroup"])}
    assert FUNCTION["LoggingConfig"]["LogFormat"] == "JSON"
    assert FUNCTION["LoggingConfig"]["ApplicationLogLevel"] == {"Ref": "LogLevel"}
    level = parameters()["LogLevel"]
    assert (level["Default"], level["AllowedValues"]) == ("INFO", ["INFO", "DEBUG"]), "the line of scheduled runs has the level INFO"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.a = "x" }', True), ('{ $.a = "y" }', False), ('{ $.a = "x*" }', True), ('{ $.a != "y" }', True), ("{ $.n = 0 }", True),
        ("{ $.n = 1 }", False), ("{ $.absent = 0 }", False), ('{ ($.a = "x") && ($.n = 1) }', False), ('{ ($.a = "x") || ($.n = 1) }', True),
        ('{ $.b.c = "d" }', True),
    ],
)
def test_filter_patterns_are_evaluated(pattern: str, expected: bool) -> None:
    assert matches(pattern, {"a": "x", "n": 0, "b": {"c": "d"}}) == expected
