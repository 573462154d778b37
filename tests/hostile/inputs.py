"""Hostile and heavy inputs, and the property that the function must keep for each.

An input is small when it is sent and expensive when it is naively processed, or it is the honest load of a large fleet. Sizes of
an input are repetitions of the part that its name mentions.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import wire
from collisions import colliding_label_values
from wire import at_times, attribute, attribute_of, attributes, counts, double, fixed64, integer, message, number_point, numbered
from wire import resource, span, traces

METRICS, TRACES = "/v1/metrics", "/v1/traces"
PROTOBUF = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
JSON = {"content-type": "application/json", "content-encoding": "gzip"}
ACCOUNT = "arn:aws:ecs:eu-west-1:111122223333:"
# Two running tasks, of the services `attacker` and `victim`.
ATTACKER, VICTIM = "a" * 32, "b" * 32
NO_LIMIT_ON_AGE = {"SIDECARLESS_MAX_SAMPLE_AGE": "off"}


@dataclass
class Input:
    """One input. `kind` is the function in checks.py that sends it and checks its property."""

    name: str
    kind: str
    make: Callable[..., Any]
    sizes: tuple[int, ...] = ()
    path: str = METRICS
    headers: dict[str, str] = field(default_factory=lambda: PROTOBUF)
    settings: dict[str, str] = field(default_factory=dict)
    caller: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def memory_sizes(self) -> tuple[int, ...]:
        """Sizes of the function, in MB, with which the input is sent."""
        if "memory_mb" in self.options:
            return self.options["memory_mb"]
        if self.kind in ("push_stats", "start"):
            return (128,)
        return (512, 128, 256, 1024) if "memory" in self.kind else (512,)

    @property
    def environment(self) -> dict[str, str]:
        return NO_LIMIT_ON_AGE | self.settings

    def tested_sizes(self) -> list[int]:
        """The first three sizes double; the last is the largest that the function accepts."""
        return sorted({*self.sizes[:3], *self.sizes[-1:]})


INPUTS: list[Input] = []


def add(name: str, kind: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        INPUTS.append(Input(name, kind, make, **more))
        return make

    return register


def request(path: str, body: bytes, headers: dict[str, str], caller: str | None = None) -> dict[str, Any]:
    """The event of a request to the function URL."""
    context: dict[str, Any] = {"http": {"method": "POST", "path": path, "sourceIp": "203.0.113.9"}}
    if caller:
        context["authorizer"] = {"iam": {"accountId": "111122223333", "userArn": caller}}
    encoded = base64.b64encode(body).decode()
    return {"version": "2.0", "rawPath": path, "headers": headers, "requestContext": context, "body": encoded, "isBase64Encoded": True}


def compressed(body: bytes) -> bytes:
    return gzip.compress(body, 6)


def session(role: str, name: str) -> str:
    return f"arn:aws:sts::111122223333:assumed-role/{role}/{name}"


def claim(task_arn: str) -> bytes:
    """A resource that claims to be a task."""
    return resource([("aws.ecs.task.arn", task_arn)])


# ---- CPU time of a request


@add("colliding-points", "push_time", sizes=(10_000, 20_000, 40_000, 160_000))
def _(count: int) -> bytes:
    values = colliding_label_values(b"lbla", count)
    return wire.metrics(wire.gauge(b"".join(number_point(message(7, attribute("lbla", value))) for value in values)))


@add("descending-times", "push_time", sizes=(20_000, 40_000, 80_000, 900_000))
def _(count: int) -> bytes:
    point = message(1, wire.time_placeholder(3) + double(4, 1.0))
    return wire.metrics(wire.gauge(at_times(point, wire.descending_times(count))))


@add("descending-times-of-native-histograms", "push_time", sizes=(20_000, 40_000, 80_000, 320_000))
def _(count: int) -> bytes:
    point = message(1, wire.time_placeholder(3) + fixed64(4, 1) + integer(6, 0))
    return wire.metrics(wire.exponential_histogram(at_times(point, wire.descending_times(count))))


@add("attributes-of-one-exemplar", "push_time", sizes=(10_000, 20_000, 40_000, 1_200_000))
def _(count: int) -> bytes:
    filtered = numbered(message(7, attribute("a0000000", "v")), count)
    return wire.metrics(wire.counter(number_point(message(5, wire.exemplar(1.0, filtered)))))


@add("bounds-and-exemplars-of-one-histogram", "push_time", sizes=(10_000, 20_000, 40_000, 310_000))
def _(count: int) -> bytes:
    bounds = message(7, struct.pack(f"<{count}d", *range(count)))
    exemplars = message(8, wire.exemplar(1e18)) * count
    point = fixed64(3, wire.NOW) + fixed64(4, 1) + double(5, 1.0) + counts([1] * (count + 1)) + bounds + exemplars
    return wire.metrics(wire.histogram(message(1, point)))


@add("attributes-with-the-same-label-name", "push_time", sizes=(5_000, 10_000, 20_000, 160_000))
def _(count: int) -> bytes:
    # Letters outside ASCII become underscores in a label name.
    names = (f"k{chr(0x100 + number // 512)}{chr(0x400 + number % 512)}x" for number in range(count))
    pairs = ((name, f"{'v' * 90}{number:07d}") for number, name in enumerate(names))
    return wire.metrics(wire.gauge(number_point()), resource(pairs))


@add("keys-of-xray-metadata", "push_time", sizes=(10_000, 20_000, 40_000, 1_500_000), path=TRACES)
def _(count: int) -> bytes:
    document = b"{" + numbered(b'"k0000000":1,', count) + b'"k":1}'
    return traces(span(attributes(9, [("aws.xray.metadata.default", document)])))


@add("xray-annotations", "push_time", sizes=(5_000, 10_000, 20_000, 640_000), path=TRACES)
def _(count: int) -> bytes:
    names = message(9, attribute_of("aws.xray.annotations", message(5, numbered(message(1, message(1, b"a0000000")), count))))
    return traces(span(numbered(message(9, attribute("a0000000", "v")), count) + names))


@add("spans-and-resource-attributes-as-annotations", "push_time", sizes=(4_000, 8_000, 16_000, 32_000), path=TRACES)
def _(count: int) -> bytes:
    named = message(5, message(1, message(1, b"otel.resource.r0000001")))
    many = resource(more=numbered(message(1, attribute("r0000000", "v")), count))
    return traces(span(message(9, attribute_of("aws.xray.annotations", named))) * count, many)


@add("lines-of-a-java-message", "push_time", sizes=(50_000, 100_000, 200_000, 2_000_000), path=TRACES)
def _(count: int) -> bytes:
    return wire.exception("E: m\nCaused by: x: y\n" + "aaaaaaaa\n" * count, "java")


@add("resource-attributes-and-scopes", "push_time", sizes=(2_000, 4_000, 8_000, 400_000))
def _(count: int) -> bytes:
    return message(1, resource(more=numbered(message(1, attribute("a0000000", "v")), count)) + b"\x12\x00" * count)


DROP_LABELS = {"SIDECARLESS_WRITE_RELABEL_CONFIGS": "[{action: labeldrop, regex: tmp_.*}]"}


@add("labels-dropped-by-relabelling", "push_time", sizes=(50_000, 100_000, 200_000, 800_000), settings=DROP_LABELS)
def _(count: int) -> bytes:
    return wire.metrics(wire.gauge(number_point(numbered(message(7, attribute("tmp_0000000", "v")), count))))


@add("lowest-scale-of-a-classic-histogram", "push_once", settings={"SIDECARLESS_EXPONENTIAL_HISTOGRAMS": "classic"})
def _() -> bytes:
    buckets = message(8, integer(1, 0) + message(2, b"\x01" * 81))
    point = fixed64(3, wire.NOW) + fixed64(4, 81) + wire.zigzag(6, -(2**31)) + buckets
    return wire.metrics(wire.exponential_histogram(message(1, point)))


# ---- honest requests of the largest size that a collector accepts by default (20 MiB), as batch processors send them

LARGEST_BODY = 20 << 20


def honest_resource(number: int) -> bytes:
    names = ("service.namespace", "service.version", "deployment.environment", "host.name", "container.id", "aws.ecs.task.family")
    pairs = [("service.name", "checkout"), ("service.instance.id", f"{number:032x}"), *((name, f"{name}-of-checkout") for name in names)]
    return resource(pairs)


def filled(parts: Callable[[int], bytes]) -> bytes:
    """As many parts as fit into the largest body."""
    size = len(parts(0))
    return b"".join(parts(number) for number in range((LARGEST_BODY - 100) // (size + 16)))


@add("spans-of-20-mib", "push_honest", path=TRACES)
def _() -> bytes:
    def http_span(number: int) -> bytes:
        pairs = {
            "http.request.method": "GET", "url.full": f"https://shop.example.com/api/v1/orders/{number}?page={number % 7}",
            "http.response.status_code": "200", "server.address": "shop.example.com", "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
            "db.statement": f"SELECT * FROM orders WHERE id = {number}", "thread.name": f"http-nio-8080-exec-{number % 200}", "order.id": f"{number:016x}",
        }
        return wire.span(attributes(9, pairs.items()) + message(13, message(1, wire.TRACE_ID) + message(2, wire.SPAN_ID)))

    return traces(filled(http_span), honest_resource(1))


@add("points-of-20-mib", "push_honest")
def _() -> bytes:
    def latency(number: int) -> bytes:
        pairs = {"http.request.method": "GET", "http.route": f"/api/v1/orders/{number:06d}", "http.response.status_code": "200"}
        buckets = message(7, struct.pack("<14d", *(0.005 * 2**bound for bound in range(14)))) + counts([1] * 15)
        return message(1, fixed64(2, wire.NOW - 10**9) + fixed64(3, wire.NOW) + fixed64(4, 15) + double(5, 1.5) + buckets + attributes(9, pairs.items()))

    return wire.metrics(wire.histogram(filled(latency)), honest_resource(1))


# ---- memory of a request


@add("attribute-copied-to-spans", "push_memory", path=TRACES)
def _() -> bytes:
    return traces(span() * 12_000, resource([("a", "x" * 50_000)]))


@add("attribute-copied-to-histogram-points", "push_memory")
def _() -> bytes:
    return wire.metrics(wire.histogram(at_times(wire.HISTOGRAM_POINT, wire.ascending_times(150))), resource([("a", "x" * 4_000_000)]))


@add("attribute-copied-to-colliding-points", "push_memory")
def _() -> bytes:
    same = attributes(7, [("a.b", "1"), ("a_b", "2")])
    points = b"".join(number_point(same, at) for at in wire.ascending_times(400))
    return wire.metrics(wire.gauge(points), resource([("a", "x" * 4_000_000)]))


@add("labels-copied-to-histogram-points", "push_memory")
def _() -> bytes:
    labels = resource([(f"a{number}", "v" * 1000) for number in range(6)])
    return wire.metrics(wire.histogram(at_times(wire.HISTOGRAM_POINT, wire.ascending_times(200_000))), labels)


@add("null-spans-in-json", "push_memory", path=TRACES, headers=JSON)
def _() -> bytes:
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"null," * 3_900_000 + b"null]}]}]}"


# Each takes six characters in a quotation of serde.
ESCAPED = b"\x7f"


@add("escaped-text-of-the-wrong-type-in-json", "push_memory", path=TRACES, headers=JSON)
def _() -> bytes:
    return b'{"resourceSpans":"' + ESCAPED * 20_900_000 + b'"}'


@add("escaped-text-of-the-wrong-type-in-segments", "push_memory", path="/TraceSegments", headers=JSON)
def _() -> bytes:
    return b'{"TraceSegmentDocuments":"' + ESCAPED * 20_900_000 + b'"}'


@add("escaped-name-of-a-span", "push_memory", path=TRACES, settings={"SIDECARLESS_TRACE_DESTINATION": "xray-otlp"})
def _() -> bytes:
    return traces(message(2, message(1, b"\x6a" * 16) + message(2, b"\x01" * 8) + message(5, ESCAPED * 20_900_000)))


@add("frames-of-a-java-stack", "push_memory", path=TRACES)
def _() -> bytes:
    return wire.exception("E\n" + "\tat a.b(C:1)\n" * 1_450_000, "java")


@add("empty-span-events", "push_memory", path=TRACES)
def _() -> bytes:
    return traces(span(b"\x5a\x00" * 1_000_000))


@add("nested-map-of-empty-values", "push_memory", path=TRACES)
def _() -> bytes:
    value = message(6, b"\x0a\x00" * 9_000_000)
    for _ in range(12):
        value = message(5, message(1, value))
    return traces(span(message(9, attribute_of("a", value))))


@add("log-group-names-in-one-attribute", "push_memory", path=TRACES)
def _() -> bytes:
    return traces(span(), resource([("aws.log.group.names", "a&" * 9_000_000)]))


@add("control-characters", "push_memory", path=TRACES)
def _() -> bytes:
    return traces(span(attributes(9, [("a", b"\x01" * 19_500_000)])))


@add("bounds-printed-with-330-characters", "push_memory")
def _() -> bytes:
    count = 1_200_000
    # Integers read as doubles: the smallest positive numbers.
    bounds = message(7, struct.pack(f"<{count}Q", *range(1, count + 1)))
    point = fixed64(3, wire.NOW) + fixed64(4, 1) + double(5, 1.0) + counts([1] * (count + 1)) + bounds
    return wire.metrics(wire.histogram(message(1, point)))


@add("resource-copied-to-parts-of-an-export", "push_memory", path=TRACES, settings={"SIDECARLESS_TRACE_DESTINATION": "xray-otlp"})
def _() -> bytes:
    return traces(span() * 1_000, resource([("a", "x" * 5_000_000)]))


@add("maps-with-one-entry", "push_memory", path=TRACES)
def _() -> bytes:
    entry = message(1, message(6, message(1, message(1, b""))))
    return traces(span(message(9, attribute_of("a", message(5, entry * 800_000)))))


@add("empty-resources-of-a-signed-caller", "push_memory", settings={"SIDECARLESS_AUTH": "iam"}, caller=session("attacker-role", ATTACKER))
def _() -> bytes:
    return b"\x0a\x00" * 850_000


SIGNED = {"SIDECARLESS_AUTH": "iam"}


@add("empty-resources-of-spans-of-a-signed-caller", "push_memory", path=TRACES, settings=SIGNED, caller=session("attacker-role", ATTACKER))
def _() -> bytes:
    return b"\x0a\x00" * 850_000


@add("resources-with-a-span-of-a-signed-caller", "push_memory", path=TRACES, settings=SIGNED, caller=session("attacker-role", ATTACKER))
def _() -> bytes:
    return message(1, message(2, span())) * 150_000


@add("attributes-of-a-signed-resource", "push_memory", settings=SIGNED, caller=session("attacker-role", ATTACKER))
def _() -> bytes:
    return wire.metrics(wire.gauge(number_point()), resource(more=message(1, message(1, "")) * 2**21))


@add("long-task-ids", "push_cached", options={"pushes": 5})
def _() -> bytes:
    ids = ("-" * 900_000 + uuid.uuid4().hex for _ in range(20))
    return b"".join(message(1, claim(f"{ACCOUNT}task/prod/{task_id}")) for task_id in ids)


# ---- scheduled runs


def task_id(number: int) -> str:
    return f"{number:032x}"


def task_document(containers: bytes, **fields: str) -> bytes:
    """The document /task of task 1."""
    head = {
        "Cluster": "prod", "TaskARN": f"{ACCOUNT}task/prod/{task_id(1)}", "Family": "cart", "Revision": "1",
        "KnownStatus": "RUNNING", "LaunchType": "FARGATE", "AvailabilityZone": "eu-west-1b",
    }
    return json.dumps(head | fields)[:-1].encode() + b',"Containers":' + containers + b"}"


ONE_CONTAINER = b'[{"DockerId":"d0","Name":"c0"}]'
CONTAINER_STATS = {"d0": {"id": "d0", "memory_stats": {"usage": 1, "limit": 2}, "cpu_stats": {"cpu_usage": {"total_usage": 1}}}}
STATS = json.dumps(CONTAINER_STATS).encode()


@add("colliding-series-of-an-exposition", "scrape_time", sizes=(6_000, 12_000, 24_000, 48_000))
def _(count: int) -> bytes:
    return b"".join(b'm{lbla="%s"} 1\n' % value for value in colliding_label_values(b"lbla", count))


@add("20-expositions-of-50000-samples", "scrape_memory", options={"expositions": 20})
def _() -> bytes:
    return "".join(f'm{{a="{number:06d}{"y" * 280}"}} 1\n' for number in range(50_000)).encode()


@add("labels-of-a-sample", "scrape_memory", options={"expositions": 1})
def _() -> bytes:
    return b"m{" + b'a="",' * 3_000_000 + b"} 1\n"


@add("labels-of-exemplars", "scrape_memory", options={"expositions": 6, "content_type": "application/openmetrics-text; version=1.0.0"})
def _() -> bytes:
    exemplar = ",".join(f'{chr(97 + number // 26)}{chr(97 + number % 26)}="1"' for number in range(40))
    rows = "".join(f'c_total{{a="{number}"}} 1 # {{{exemplar}}} 1\n' for number in range(20_000))
    return f"# TYPE c counter\n{rows}# EOF\n".encode()


@add("empty-containers-in-task-metadata", "stats_memory")
def _() -> tuple[bytes, bytes]:
    return task_document(b"[" + b"{}," * 1_300_000 + b"{}]"), b"{}"


@add("containers-with-the-same-id", "stats_memory", settings={"SIDECARLESS_STATS_METRICS": "all"})
def _() -> tuple[bytes, bytes]:
    return task_document(b"[" + numbered(b'{"DockerId":"d0","Name":"c0000000"},', 100_000)[:-1] + b"]"), STATS


@add("padded-documents-of-64-tasks", "stats_memory", options={"tasks": 64, "at_once": True})
def _() -> tuple[bytes, bytes]:
    return task_document(ONE_CONTAINER) + b" " * 4_000_000, STATS + b" " * 4_000_000


def honest_exposition(series: int) -> bytes:
    name = "http_server_request_duration_seconds_bucket"
    labels = 'http_route="/api/v1/things/{}",http_request_method="GET",le="{}"'
    return "".join(f"{name}{{{labels.format(number // 10, number % 10)}}} {number}\n" for number in range(series)).encode()


@add("300-tasks-with-2000-series", "scrape_load", options={"tasks": 300, "series": 2_000, "memory_mb": (512, 256)})
def _() -> bytes:
    return honest_exposition(2_000)


# Without shards: one invocation scrapes all tasks.
INLINE = {"SIDECARLESS_MAX_INLINE_TASKS": "1000"}


@add("1000-tasks-with-500-series", "scrape_load", settings=INLINE, options={"tasks": 1_000, "series": 500, "memory_mb": (512, 256)})
def _() -> bytes:
    return honest_exposition(500)


@add("16-slow-expositions", "scrape_slow", options={"fast": 48, "slow": 16})
def _() -> bytes:
    return b"m 1\n"


@add("22-expositions-that-stall", "scrape_stalled", options={"fast": 48, "slow": 22, "sent": 3_000_000, "memory_mb": (512, 128)})
def _() -> bytes:
    return honest_exposition(1_000)


@add("ec2-response-of-1600-kb", "scrape_ec2", options={"hosts": 200, "bytes": 8_000})
def _() -> None:
    return None


@add("task-metadata-of-another-task", "identity_stats")
def _() -> tuple[bytes, bytes]:
    false = {"Cluster": "other", "ServiceName": "victim", "TaskARN": f"arn:aws:ecs:us-east-1:999999999999:task/other/{task_id(1)}"}
    return task_document(ONE_CONTAINER, **false), STATS


# ---- identity of pushes


def claims(cluster: str, caller: str | None = None) -> dict[str, Any]:
    body = wire.metrics(wire.gauge(number_point(), "m"), claim(f"{ACCOUNT}task/{cluster}/{VICTIM}"))
    return request(METRICS, compressed(body), PROTOBUF, caller)


@add("claim-in-another-cluster", "identity_kept")
def _() -> list[dict[str, Any]]:
    return [claims("nowhere"), claims("prod")]


@add("claim-of-a-signed-caller", "identity_withheld", settings={"SIDECARLESS_AUTH": "iam"})
def _() -> list[dict[str, Any]]:
    return [claims("prod", session("attacker-role", "free"))]


# ---- log lines and responses


@add("long-path", "log_push", settings={"SIDECARLESS_AUTH": "token", "SIDECARLESS_TOKENS_SHA256": "0" * 64})
def _() -> dict[str, Any]:
    return request("/" + "x" * 1_000_000 + METRICS, b"", {})


@add("long-cluster-name", "log_push", options={"cluster_not_found": True})
def _() -> dict[str, Any]:
    body = wire.metrics(wire.gauge(number_point()), claim(f"{ACCOUNT}task/{'c' * 1_000_000}/{VICTIM}"))
    return request(METRICS, body, {"content-type": "application/x-protobuf"})


@add("long-text-of-the-wrong-type-in-json", "log_push")
def _() -> dict[str, Any]:
    return request(TRACES, compressed(b'{"resourceSpans":"' + b"x" * 15_000_000 + b'"}'), JSON)


@add("long-text-of-the-wrong-type-in-task-metadata", "log_stats")
def _() -> tuple[bytes, bytes]:
    return task_document(b'"' + b"x" * 4_000_000 + b'"'), STATS


# ---- spool


@add("empty-series-in-a-spool-message", "spool_memory")
def _() -> dict[str, Any]:
    data = base64.b64encode(wire.snappy(b"\x0a\x00" * 8_000_000)).decode()
    first_ms = wire.NOW // 10**6
    spooled = {"sidecarless": "spool", "v": 1, "destination": "amp", "error": "x", "first_attempt_ms": first_ms, "items": 1, "data": data}
    return messages([json.dumps(spooled)])


def messages(bodies: list[str]) -> dict[str, Any]:
    """SQS event with a message for each body."""
    return {
        "Records": [
            {
                "messageId": f"m{number}", "receiptHandle": "r1", "body": body, "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "eu-west-1",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:spool",
            }
            for number, body in enumerate(bodies)
        ]
    }


def broken_messages(**fields: Any) -> dict[str, Any]:
    """As many messages as the function receives at once, with invalid fields."""
    valid = {"sidecarless": "spool", "v": 1, "destination": "amp", "error": "x", "first_attempt_ms": 1, "items": 1, "data": ""}
    return messages([json.dumps(valid | fields)] * 10)


@add("messages-with-a-long-destination", "log_push")
def _() -> dict[str, Any]:
    return broken_messages(destination="\u001b" * 60_000)


@add("messages-with-a-long-text-of-the-wrong-type", "log_push")
def _() -> dict[str, Any]:
    return broken_messages(items="\\" * 400_000)


@add("messages-with-a-long-type", "log_push")
def _() -> dict[str, Any]:
    return broken_messages(sidecarless="x" * 400_000)


@add("shards-with-long-texts", "log_push")
def _() -> dict[str, Any]:
    return broken_messages(sidecarless="shard", cluster="\u202e" * 100_000, tasks="x" * 100_000, due_ms=1)


@add("messages-without-json", "log_push")
def _() -> dict[str, Any]:
    return messages(["\u001b" * 100_000] * 10)


# ---- log events of Container Insights

INSIGHTS = {"SIDECARLESS_SOURCES": "endpoint,prometheus,insights"}


def log_events(document: bytes) -> dict[str, Any]:
    return {"awslogs": {"data": base64.b64encode(compressed(document)).decode()}}


def log_data(events: bytes) -> dict[str, Any]:
    group = b"/aws/ecs/containerinsights/prod/performance"
    return log_events(b'{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"%s","logEvents":%s}' % (group, events))


@add("log-events-with-long-names", "spool_memory", settings=INSIGHTS)
def _() -> dict[str, Any]:
    name = "s" * 900_000
    counts = {"DesiredTaskCount": 1, "RunningTaskCount": 1, "PendingTaskCount": 1, "DeploymentCount": 1, "TaskSetCount": 1}
    event = {"Type": "Service", "ServiceName": name, "ClusterName": "prod", "Timestamp": wire.NOW // 10**6} | counts
    return log_data(json.dumps([{"id": str(number), "timestamp": 1, "message": json.dumps(event)} for number in range(20)]).encode())


@add("log-event-with-many-unknown-fields", "spool_memory", settings=INSIGHTS)
def _() -> dict[str, Any]:
    message = json.dumps("{" + ",".join(f'"{number}":[[]]' for number in range(1_500_000)) + "}")
    return log_data(b'[{"message":%s}]' % message.encode())


@add("log-events-that-are-a-long-text", "spool_memory", settings=INSIGHTS)
def _() -> dict[str, Any]:
    return log_data(b'"' + "\u00ad".encode() * 12_000_000 + b'"')


@add("long-texts-in-log-data", "log_push", settings=INSIGHTS)
def _() -> dict[str, Any]:
    return log_events(json.dumps({"messageType": "DATA_MESSAGE", "logGroup": "\u202e" * 1_000_000, "logEvents": []}).encode())
