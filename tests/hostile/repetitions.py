"""Every part of an input that can repeat or be long, repeated n times: the CPU time must grow linearly with n.

The parts are the repeated fields of the OTLP messages, the attributes that the function interprets, and the repeated parts of
the other formats. They are small, so that the time is the cost of the repetition. The name of an input contains the repeated part.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator

import wire
from inputs import INPUTS, JSON, METRICS, PROTOBUF, TRACES, Input, add
from inputs import task_document
from wire import attribute, attribute_of, double, fixed64, message, number_point, numbered, resource, span, traces

SEGMENTS = "/TraceSegments"
# Sizes of a repetition. Each is twice the one before it; the last takes about half of the largest request.
SIZES = (20_000, 40_000, 80_000)
# Sizes of two parts that are repeated in the same request.
PRODUCT_SIZES = (4_000, 8_000, 16_000)

Repeated = Callable[[int], bytes]


def distinct(field: int) -> Repeated:
    """Attributes with different keys."""
    return lambda count: numbered(message(field, attribute("a0000000", "v")), count)


def same(field: int) -> Repeated:
    """Attributes with the same key and different values."""
    return lambda count: numbered(message(field, attribute("a", "v0000000")), count)


def every_attribute(name: str, field: int, wrap: Callable[[bytes], bytes]) -> Iterator[tuple[str, Repeated]]:
    """The ways to repeat an attribute of a message, each as the body of a request."""
    yield f"{name}: attributes", lambda count: wrap(distinct(field)(count))
    yield f"{name}: attributes with the same key", lambda count: wrap(same(field)(count))
    yield f"{name}: values of an array", lambda count: wrap(
        message(field, attribute_of("a", message(5, numbered(message(1, message(1, "0000000")), count))))
    )
    yield f"{name}: entries of a map", lambda count: wrap(
        message(field, attribute_of("a", message(6, numbered(message(1, attribute("a0000000", "v")), count))))
    )
    yield f"{name}: nested arrays", lambda count: wrap(message(field, attribute_of("a", nested(min(count, 90)))) * (count // 90))
    yield f"{name}: bytes of a key", lambda count: wrap(message(field, attribute("é" * count, "v")))
    yield f"{name}: bytes of a value", lambda count: wrap(message(field, attribute("a", "é" * count)))


def nested(depth: int) -> bytes:
    value = message(1, "v")
    for _ in range(depth):
        value = message(5, message(1, value))
    return value


# ---- traces

# Attributes that the function interprets. Each gets text with the separators that its parser looks for.
INTERPRETED = """
aws.account_id aws.dynamodb.table_names aws.ecs.cluster.arn aws.ecs.container.arn aws.ecs.task.arn aws.http.error_message
aws.local.service aws.log.group.arns aws.log.group.names aws.operation aws.queue.url aws.remote.service aws.request_id aws.table.name
aws.xray.annotations client.address container.id container.image.tags db.connection_string db.name db.query.text db.statement db.system db.user
enduser.id exception.message exception.type http.client_ip http.host http.method http.response_content_length http.scheme http.target http.url
http.user_agent http.request.header.x-forwarded-for messaging.url net.peer.ip net.peer.name peer.service rpc.method rpc.service rpc.system server.address service.instance.id
service.name telemetry.auto.version telemetry.sdk.language url.full url.path url.query user_agent.original aws.xray.metadata.default
""".split()
SEPARATORS = ["a&", "a/", "a,", "a;", "a ", "a:", "(a", '"a\\', "%41", "a=b;", "'a''", "--\n", "/*", "[{", "\r\n", "arn:aws:", "http://a@b?#"]
LANGUAGES = ["java", "php", "python", "javascript", "dotnet", "go", "rust", "ruby", "other"]
STACK_LINES = [
    "\tat a.b.C.d(C.java:1)\n", "Caused by: x: y\n", "    at a (b.js:1:2)\n", '  File "a.py", line 1, in b\n    c()\n', "   at A.B() in a.cs:line 1\n",
    "goroutine 1 [running]:\nmain.a()\n\t/a.go:1 +0x1\n", "   1: a::b\n             at a.rs:1:2\n", "a.rb:1:in `b'\n", "m\n", "\n", "---> x: y\n",
    "Traceback (most recent call last):\n", "During handling of the above exception, another exception occurred:\n", "\t... 12 more\n", "\tSuppressed: x: y\n", "#0 a.php(1): b()\n",
]


def trace_repetitions() -> Iterator[tuple[str, Repeated]]:
    yield "resource spans", lambda count: traces(span()) * (count // 4)
    yield "scope spans", lambda count: message(1, resource() + message(2, span()) * (count // 4))
    yield "empty scope spans", lambda count: message(1, resource() + b"\x12\x00" * count)
    yield "spans", lambda count: traces(span() * (count // 4))
    yield "links", lambda count: traces(span(message(13, message(1, wire.TRACE_ID) + message(2, wire.SPAN_ID)) * count))
    yield "events", lambda count: traces(span(message(11, fixed64(1, wire.NOW) + message(2, "e")) * count))
    exception = attribute("exception.type", "E") + b""
    yield "exception events", lambda count: traces(span(message(11, message(2, "exception") + message(3, exception)) * (count // 4)))
    yield from every_attribute("resource of spans", 1, lambda more: traces(span(), resource(more=more)))
    yield from every_attribute("scope of spans", 3, lambda more: traces(message(1, message(1, "s") + more) + span()))
    yield from every_attribute("span", 9, lambda more: traces(span(more)))
    yield from every_attribute("event", 3, lambda more: traces(span(message(11, message(2, "e") + more))))
    yield from every_attribute("link", 4, lambda more: traces(span(message(13, message(1, wire.TRACE_ID) + more))))
    for separator in SEPARATORS:
        yield f"interpreted attributes with the text {separator!r}", lambda count, text=separator: traces(
            span(b"".join(message(9, attribute(key, text * (count // 8))) for key in INTERPRETED)),
            resource([(key, text * (count // 8)) for key in INTERPRETED]),
        )
    yield "interpreted attributes", lambda count: traces(
        span(b"".join(message(9, attribute(key, "v")) for key in INTERPRETED) * (count // 40)),
        resource([(key, "v") for key in INTERPRETED] * (count // 40)),
    )
    for language in LANGUAGES:
        yield f"lines of a {language} stack", lambda count, of=language: stacks(of, lambda line: line * (count // 16))
        yield f"characters of a line of a {language} stack", lambda count, of=language: stacks(of, lambda line: line.rstrip() * (count // 16))


def stacks(language: str, text: Callable[[str], str]) -> bytes:
    events = b"".join(
        message(11, message(2, b"exception") + wire.attributes(3, [("exception.type", "E"), ("exception.stacktrace", "E: m\n" + text(line))]))
        for line in STACK_LINES
    )
    return traces(span(events + message(15, wire.integer(3, wire.ERROR))), resource([("telemetry.sdk.language", language)]))


# ---- metrics


def metric_repetitions() -> Iterator[tuple[str, Repeated]]:
    point = number_point()
    yield "resource metrics", lambda count: wire.metrics(wire.gauge(point)) * (count // 4)
    yield "scope metrics", lambda count: message(1, resource() + message(2, wire.gauge(point)) * (count // 4))
    yield "empty scope metrics", lambda count: message(1, resource() + b"\x12\x00" * count)
    yield "metrics", lambda count: wire.metrics(numbered(wire.gauge(point, "m0000000"), count // 4))
    yield "metrics with the same name", lambda count: wire.metrics(wire.gauge(point) * (count // 4))
    yield "bytes of a metric name", lambda count: wire.metrics(wire.gauge(point, "é/" * count))
    yield "bytes of a unit", lambda count: wire.metrics(message(2, message(1, "g") + message(3, "By/" * count) + message(5, point)))
    yield "points of the same series and time", lambda count: wire.metrics(wire.gauge(point * count))
    for kind, wrap, template in (
        ("gauge", wire.gauge, message(1, wire.time_placeholder(3) + double(4, 1.0))),
        ("sum", wire.counter, message(1, wire.time_placeholder(3) + double(4, 1.0))),
        ("histogram", wire.histogram, wire.HISTOGRAM_POINT),
        ("exponential histogram", wire.exponential_histogram, message(1, wire.time_placeholder(3) + fixed64(4, 1) + wire.integer(6, 0))),
        ("summary", summary, message(1, wire.time_placeholder(3) + fixed64(4, 1) + double(5, 1.0))),
    ):
        yield f"{kind}: points with ascending times", lambda count, w=wrap, t=template: wire.metrics(w(wire.at_times(t, wire.ascending_times(count))))
        yield f"{kind}: points with descending times", lambda count, w=wrap, t=template: wire.metrics(w(wire.at_times(t, wire.descending_times(count))))
    yield from every_attribute("resource of metrics", 1, lambda more: wire.metrics(wire.gauge(point), resource(more=more)))
    yield from every_attribute("scope of metrics", 3, lambda more: wire.metrics(message(1, message(1, "s") + more) + wire.gauge(point)))
    yield from every_attribute("number point", 7, lambda more: wire.metrics(wire.gauge(number_point(more))))
    yield from every_attribute("exemplar", 7, lambda more: wire.metrics(wire.counter(number_point(message(5, wire.exemplar(1.0, more))))))
    yield "exemplars of a number point", lambda count: wire.metrics(wire.counter(number_point(message(5, wire.exemplar(1.0)) * count)))
    head = fixed64(3, wire.NOW) + fixed64(4, 1) + double(5, 1.0)
    yield from every_attribute("histogram point", 9, lambda more: wire.metrics(wire.histogram(message(1, head + wire.counts([1]) + more))))
    yield "exemplars of a histogram point", lambda count: wire.metrics(
        wire.histogram(message(1, head + wire.counts([1]) + message(8, wire.exemplar(1.0)) * count))
    )
    yield "bounds of a histogram point", lambda count: wire.metrics(wire.histogram(message(1, head + bounds(count))))
    yield "histogram points with 100 bounds", lambda count: wire.metrics(
        wire.histogram(wire.at_times(message(1, wire.time_placeholder(3) + head[9:] + bounds(100)), wire.ascending_times(count // 100)))
    )
    yield "buckets of an exponential histogram point", lambda count: wire.metrics(wire.exponential_histogram(message(1, head[:18] + buckets(count))))
    yield from every_attribute("summary point", 7, lambda more: wire.metrics(summary(message(1, head + more))))
    yield "quantiles of a summary point", lambda count: wire.metrics(summary(message(1, head + message(6, double(1, 0.5) + double(2, 1.0)) * count)))


def metric_products() -> Iterator[tuple[str, Repeated]]:
    """Two repeated parts of which one is copied to the other in the result."""
    many = lambda count: resource(more=distinct(1)(count))  # noqa: E731
    scope = lambda count: message(1, message(1, "s") + distinct(3)(count))  # noqa: E731
    points = lambda count: wire.gauge(wire.at_times(message(1, wire.time_placeholder(3) + double(4, 1.0)), wire.ascending_times(count)))  # noqa: E731
    head = fixed64(3, wire.NOW) + fixed64(4, 1) + double(5, 1.0)
    yield "resource attributes and scope metrics", lambda count: message(1, many(count) + message(2, wire.gauge(number_point())) * count)
    yield "resource attributes and metrics", lambda count: wire.metrics(numbered(wire.gauge(number_point(), "m0000000"), count), many(count))
    yield "resource attributes and points", lambda count: wire.metrics(points(count), many(count))
    yield "scope attributes and metrics", lambda count: wire.metrics(scope(count) + numbered(wire.gauge(number_point(), "m0000000"), count))
    yield "scope attributes and points", lambda count: wire.metrics(scope(count) + points(count))
    yield "point attributes and bounds", lambda count: wire.metrics(wire.histogram(message(1, head + bounds(count) + distinct(9)(count))))
    yield "bounds and exemplars", lambda count: wire.metrics(wire.histogram(message(1, head + bounds(count) + message(8, wire.exemplar(1e18)) * count)))
    yield "point attributes and quantiles", lambda count: wire.metrics(
        summary(message(1, head + message(6, double(1, 0.5) + double(2, 1.0)) * count + distinct(7)(count)))
    )
    yield "metric name and points", lambda count: wire.metrics(wire.gauge(wire.at_times(message(1, wire.time_placeholder(3)), wire.ascending_times(count)), "m" * count))


def summary(points: bytes) -> bytes:
    return message(2, message(1, b"s") + message(11, points))


def bounds(count: int) -> bytes:
    return wire.counts([1] * (count + 1)) + message(7, struct.pack(f"<{count}d", *range(count)))


def buckets(count: int) -> bytes:
    side = wire.zigzag(1, 0) + message(2, b"\x01" * count)
    return wire.zigzag(6, 3) + message(8, side) + message(9, side)


# ---- JSON

JSON_SPAN = '{"traceId":"6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a","spanId":"0101010101010101","name":"x","startTimeUnixNano":"%d",%s"kind":2}'


def json_trace(members: str = "", resource_members: str = "") -> bytes:
    spans = JSON_SPAN % (wire.NOW, members)
    return ('{"resourceSpans":[{"resource":{%s},"scopeSpans":[{"spans":[%s]}]}]}' % (resource_members, spans)).encode()


def json_repetitions() -> Iterator[tuple[str, Repeated]]:
    yield "JSON: attributes", lambda count: json_trace(json_list("attributes", '{"key":"a","value":{"stringValue":"v"}}', count // 2))
    yield "JSON: events", lambda count: json_trace(json_list("events", '{"name":"e"}', count))
    yield "JSON: empty events", lambda count: json_trace(json_list("events", "{}", count))
    yield "JSON: unknown members", lambda count: json_trace("".join(f'"u{number}":[{number}],' for number in range(count)))
    yield "JSON: escapes of a text", lambda count: json_trace('"traceState":"' + "\\u00e9" * count + '",')
    yield "JSON: digits of a number", lambda count: json_trace('"droppedAttributesCount":' + "1" * count + ",")
    yield "JSON: spaces", lambda count: json_trace(" \n" * count)
    yield "JSON: open arrays", lambda count: json_trace('"u":' + "[" * count + ",")
    yield "JSON: open objects", lambda count: json_trace('"u":' + '{"a":' * count + ",")


def json_list(name: str, element: str, count: int) -> str:
    return f'"{name}":[{",".join([element] * count)}],'


# ---- segments of X-Ray SDKs


def segment(**members: object) -> str:
    start = wire.NOW / 1e9
    fixed = {"trace_id": f"1-{int(start):x}-{'6a' * 12}", "id": "0101010101010101", "name": "x", "start_time": start, "end_time": start + 1}
    return json.dumps(fixed | members)


def documents(texts: list[str]) -> bytes:
    return json.dumps({"TraceSegmentDocuments": texts}).encode()


def segment_repetitions() -> Iterator[tuple[str, Repeated]]:
    yield "segment documents", lambda count: documents([segment()] * (count // 4))
    yield "empty segment documents", lambda count: documents([""] * count)
    yield "annotations of a segment", lambda count: documents([segment(annotations={f"a{number}": 1 for number in range(count)})])
    yield "metadata of a segment", lambda count: documents([segment(metadata={f"a{number}": {"k": 1} for number in range(count)})])
    yield "subsegments of a segment", lambda count: documents([segment(subsegments=[{"id": "01" * 8, "name": "s"}] * (count // 4))])
    yield "escapes of a segment", lambda count: documents([segment(user="\x01" * count)])
    yield "empty subsegments of a segment", lambda count: daemon_segment(",".join(["{}"] * count))


def daemon_segment(subsegments: str) -> bytes:
    """A segment in the format of the X-Ray daemon, which an SDK sends without escapes."""
    text = segment(subsegments=[])
    return b'{"format":"json","version":1}\n' + text.replace("[]", f"[{subsegments}]").encode()


# Each part of a segment that is split needs memory, also for a subsegment of three bytes.
for many in (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000):
    add(f"{many}-empty-subsegments", "push_memory", path=SEGMENTS, headers=JSON)(lambda count=many: daemon_segment(",".join(["{}"] * count)))


# ---- expositions and task metadata


def exposition_repetitions() -> Iterator[tuple[str, Repeated]]:
    yield "series of an exposition", lambda count: numbered(b'm{a="0000000"} 1\n', count)
    yield "series with descending timestamps", lambda count: b"".join(b"m 1 %d\n" % (wire.NOW // 10**6 - number) for number in range(count))
    yield "samples of one series", lambda count: b"m 1\n" * count
    yield "families of an exposition", lambda count: numbered(b"# HELP m0000000 h\n# TYPE m0000000 gauge\nm0000000 1\n", count)
    yield "types of a family", lambda count: b"# TYPE m gauge\n" * count + b"m 1\n"
    yield "comments of an exposition", lambda count: b"# \n" * count
    yield "labels of a series", lambda count: b"m{" + numbered(b'a0000000="v",', count) + b"} 1\n"
    yield "equal labels of a series", lambda count: b"m{" + b'a="v",' * count + b"} 1\n"
    yield "escapes of a label value", lambda count: b'm{a="' + b'\\"' * count + b'"} 1\n'
    yield "characters of a line", lambda count: b"m" * count + b" 1\n"
    yield "digits of a sample", lambda count: b"m " + b"1" * count + b"\n"
    yield "buckets of a histogram", lambda count: b"# TYPE h histogram\n" + numbered(b'h_bucket{le="0000000"} 1\n', count)


def stats_repetitions() -> Iterator[tuple[str, Callable[[int], tuple[bytes, bytes]]]]:
    def task(containers: int = 1, **members: object) -> bytes:
        listed = [{"DockerId": f"d{number}", "Name": f"c{number}", **members} for number in range(containers)]
        return task_document(json.dumps(listed).encode())

    def stats(containers: int = 1, **members: object) -> bytes:
        one = {"memory_stats": {"usage": 1, "limit": 2}, "cpu_stats": {"cpu_usage": {"total_usage": 1}}} | members
        return json.dumps({f"d{number}": one for number in range(containers)}).encode()

    yield "containers of a task", lambda count: (task(count // 10), stats(count // 10))
    yield "labels of a container", lambda count: (task(Labels={f"l{number}": "v" for number in range(count)}), stats())
    yield "networks of a container", lambda count: (task(Networks=[{"NetworkMode": "awsvpc"}] * (count // 4)), stats(networks={f"n{number}": {"rx_bytes": 1} for number in range(count // 4)}))
    yield "processors of a container", lambda count: (task(), stats(cpu_stats={"cpu_usage": {"total_usage": 1, "percpu_usage": [1] * count}}))
    device = {"major": 1, "minor": 2, "op": "Read", "value": 1}
    yield "devices of a container", lambda count: (task(), stats(blkio_stats={"io_service_bytes_recursive": [device] * (count // 4)}))
    yield "characters of an image", lambda count: (task(Image="a/" * count + ":"), stats())


def add_all(kind: str, repetitions: Iterator[tuple[str, Callable[[int], object]]], sizes: tuple[int, ...] = SIZES, **more: object) -> None:
    for name, make in repetitions:
        INPUTS.append(Input(name, kind, make, sizes=sizes, **more))  # type: ignore[arg-type]


add_all("push_growth", trace_repetitions(), path=TRACES, headers=PROTOBUF)
add_all("push_growth", metric_repetitions(), path=METRICS, headers=PROTOBUF)
add_all("push_growth", metric_products(), PRODUCT_SIZES, path=METRICS, headers=PROTOBUF)
add_all("push_growth", json_repetitions(), path=TRACES, headers=JSON)
add_all("push_growth", segment_repetitions(), path=SEGMENTS, headers=JSON)
add_all("scrape_growth", exposition_repetitions())
add_all("stats_growth", stats_repetitions())
