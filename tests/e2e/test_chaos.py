"""Pushes and ticks while destinations fail at random and environments are killed at any moment: what was acknowledged is
there in the end, once.

CHAOS_SECONDS says for how long (30), CHAOS_SEED repeats a run, as far as threads can be repeated.
"""

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import threading
import time
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from conftest import BINARY, ROOT
from environments import Fleet, Killed
from faulty import CALM, Faulty
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, get, moto, prometheus, wait_for

SECONDS = float(os.environ.get("CHAOS_SECONDS", "30"))
SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbits(32))
# Of an invocation: long enough for the five seconds that a delivery is tried before it is spooled.
TIMEOUT = 10.0
POINTS = 10
SPANS = 5
TARGETS = 3
# Batches of the queue that are under way at the same time.
POLLERS = 3


@dataclass
class Books:
    """What was pushed, and what was acknowledged. Keys are what a sample or a span is told from all others by."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    pushed: set[Any] = field(default_factory=set)
    acknowledged: set[Any] = field(default_factory=set)
    # Begin and end of each tick that said it had delivered or spooled everything.
    ticks: list[tuple[float, float]] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def enter(self, keys: set[Any], push: Callable[[], Any]) -> None:
        with self.lock:
            self.pushed |= keys
        try:
            reply = push()
        except Killed:
            outcome = "killed"
        else:
            outcome = str(reply.get("statusCode", reply))
            if outcome == "200" and not reply["body"]:
                with self.lock:
                    self.acknowledged |= keys
                return
        with self.lock:
            self.refused[outcome] += 1


def push_event(path: str, body: bytes) -> dict[str, Any]:
    return {
        "version": "2.0", "rawPath": path, "headers": {"content-type": "application/x-protobuf"},
        "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "203.0.113.9"}},
        "body": base64.b64encode(body).decode(), "isBase64Encoded": True,
    }


def points(pusher: int, at_ms: int, value: int) -> tuple[set[Any], bytes]:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="chaos.gauge")
    for series in range(POINTS):
        point = metric.gauge.data_points.add(as_double=value, time_unix_nano=at_ms * 10**6)
        for key, text in (("pusher", str(pusher)), ("series", str(series))):
            point.attributes.add(key=key).value.string_value = text
    keys = {("sample", str(pusher), str(series), at_ms, float(value)) for series in range(POINTS)}
    return keys, request.SerializeToString()


def spans(random_: random.Random) -> tuple[set[Any], bytes]:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    trace = int(time.time()).to_bytes(4, "big") + random_.randbytes(12)
    keys = set()
    for _ in range(SPANS):
        now, span_id = time.time_ns(), random_.randbytes(8)
        scope.spans.add(trace_id=trace, span_id=span_id, name="chaos", kind=2, start_time_unix_nano=now, end_time_unix_nano=now + 10**6)
        keys.add(("span", trace.hex(), span_id.hex()))
    return keys, request.SerializeToString()


class Target(ThreadingHTTPServer):
    arn: str


class Stats(BaseHTTPRequestHandler):
    """What a task says of itself."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Target)
        name = "task-stats.json" if self.path.endswith("/stats") else "task.json"
        recorded = json.loads((ROOT / "tests" / "golden" / name).read_bytes())
        body = json.dumps(recorded if name == "task-stats.json" else {**recorded, "TaskARN": self.server.arn}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Chaos:
    def __init__(self, fleet: Fleet, proxies: dict[str, Faulty], sqs: Any, queue_url: str) -> None:
        self.fleet, self.proxies, self.sqs, self.queue = fleet, proxies, sqs, queue_url
        self.books = Books()
        self.over, self.drained = threading.Event(), threading.Event()
        self.redelivered = 0

    def push_points(self, pusher: int) -> None:
        random_, last, value = random.Random(f"{SEED} points {pusher}"), 0, 0
        while not self.over.is_set():
            last, value = max(last + 1, time.time_ns() // 10**6), value + 1
            keys, body = points(pusher, last, value)
            self.books.enter(keys, lambda body=body: self.fleet.invoke(push_event("/v1/metrics", body)))
            time.sleep(random_.uniform(0, 0.1))

    def push_spans(self, pusher: int) -> None:
        random_ = random.Random(f"{SEED} spans {pusher}")
        while not self.over.is_set():
            keys, body = spans(random_)
            self.books.enter(keys, lambda body=body: self.fleet.invoke(push_event("/v1/traces", body)))
            time.sleep(random_.uniform(0, 0.1))

    def tick(self) -> None:
        while not self.over.is_set():
            with self.fleet.one() as environment:
                begun = time.time()
                try:
                    summary = environment.invoke({"sidecarless": "scrape"})
                except Killed:
                    summary = {}
                if summary.get("targets_up") == TARGETS and summary.get("undelivered") == 0 and summary["rejected"] == 0:
                    self.books.ticks.append((begun, time.time()))
            time.sleep(1)

    def kill(self) -> None:
        random_ = random.Random(f"{SEED} kill")
        while not self.over.wait(random_.uniform(0.2, 2)):
            wanted = random_.choice([True, False])
            environments = [one for one in self.fleet.all if one.busy.is_set() == wanted] or self.fleet.all
            environment = random_.choice(environments)
            during = environment.busy.is_set()
            environment.kill()
            self.books.kills["during" if during else "between"] += 1

    def outages(self) -> None:
        random_ = random.Random(f"{SEED} outages")
        while not self.over.wait(random_.uniform(2, 6)):
            proxy = self.proxies[random_.choice(["amp", "xray"])]
            proxy.outage = True
            self.over.wait(random_.uniform(1, 8))
            proxy.outage = False

    def poll(self, poller: int) -> None:
        """The event source mapping. An hour of back-off is a few seconds here: who keeps waiting learns nothing more."""
        random_ = random.Random(f"{SEED} poll {poller}")
        while not self.drained.is_set():
            answer = self.sqs.receive_message(
                QueueUrl=self.queue, MaxNumberOfMessages=5, AttributeNames=["ApproximateReceiveCount"], VisibilityTimeout=15
            )
            messages = answer.get("Messages", [])
            if not messages:
                time.sleep(0.2)
                continue
            records = [
                {
                    "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
                    "attributes": message["Attributes"], "eventSource": "aws:sqs",
                }
                for message in messages
            ]
            try:
                reply = self.fleet.invoke({"Records": records})
                failed = {failure["itemIdentifier"] for failure in reply["batchItemFailures"]}
            except Killed:
                failed = {message["MessageId"] for message in messages}
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                | ({"VisibilityTimeout": random_.randint(1, 3)} if message["MessageId"] in failed else {})
                for number, message in enumerate(messages)
            ]
            again = [entry for entry in entries if "VisibilityTimeout" in entry]
            done = [entry for entry in entries if "VisibilityTimeout" not in entry]
            if again:
                self.sqs.change_message_visibility_batch(QueueUrl=self.queue, Entries=again)
            if done:
                self.sqs.delete_message_batch(QueueUrl=self.queue, Entries=done)
            with self.books.lock:
                self.redelivered += len(done)

    def waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def run(self) -> None:
        workers = [(self.push_points, (n,)) for n in range(3)] + [(self.push_spans, (n,)) for n in range(2)]
        workers += [(self.tick, ()), (self.kill, ()), (self.outages, ())]
        threads = [threading.Thread(target=work, args=arguments, daemon=True) for work, arguments in workers]
        pollers = [threading.Thread(target=self.poll, args=(n,), daemon=True) for n in range(POLLERS)]
        for thread in [*threads, *pollers]:
            thread.start()
        time.sleep(SECONDS)
        self.over.set()
        for proxy in self.proxies.values():
            proxy.calm.set()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        wait_for("an empty queue", lambda: self.waiting() == 0, 180 + SECONDS)
        self.drained.set()
        for thread in pollers:
            thread.join(timeout=30)


def samples(amp: str, selector: str) -> dict[tuple[str, ...], list[tuple[int, float]]]:
    """Every raw sample, by the labels that tell series apart here."""
    query = urllib.parse.urlencode({"query": f"{selector}[2h]"})
    result = json.loads(get(f"{amp}/api/v1/query?{query}", timeout=60))["data"]["result"]
    labels = ("pusher", "series", "instance")
    return {
        tuple(series["metric"].get(label, "") for label in labels): [(round(at * 1000), float(value)) for at, value in series["values"]]
        for series in result
    }


def test_what_was_acknowledged_is_there_once_whatever_happens(tmp_path: Path) -> None:
    print(f"\nshow: chaos: seed {SEED}, {SECONDS:.0f} s")
    with Peers(tmp_path) as peers:
        amp, aws = prometheus(peers), moto(peers)
        sqs = ecs.client("sqs", aws)
        queue = sqs.create_queue(QueueName="spool")["QueueUrl"]
        run_targets(aws)
        proxies = {name: Faulty(peer, SEED + n) for n, (name, peer) in enumerate([("amp", amp), ("xray", aws)])}
        env = {
            **CREDENTIALS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": aws, "AWS_ENDPOINT_URL_XRAY": proxies["xray"].url,
            "AWS_PROMETHEUS_ENDPOINT": f"{proxies['amp'].url}/api/v1/write", "SIDECARLESS_AUTH": "none",
            "SIDECARLESS_SPOOL_QUEUE_URL": queue, "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8",
            "SIDECARLESS_SOURCES": "endpoint", "SIDECARLESS_TARGET_INFO": "off",
        }
        fleet = Fleet(5, BINARY, env, tmp_path, TIMEOUT)
        try:
            chaos = Chaos(fleet, proxies, sqs, queue)
            chaos.run()
            audit(chaos, amp, aws)
        finally:
            fleet.stop()


def run_targets(aws: str) -> None:
    ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER)
    for number in range(1, TARGETS + 1):
        task = ecs.new_task(f"target-{number}", f"127.0.1.{number}")
        ecs.run_task(aws, task, ecs.stats_labels(task.stats_port))
        server = Target((task.address, task.stats_port), Stats)
        server.arn = task.arn
        threading.Thread(target=server.serve_forever, daemon=True).start()


def audit(chaos: Chaos, amp: str, aws: str) -> None:
    books = chaos.books
    found: Counter[Any] = Counter()
    for (pusher, series, _), values in samples(amp, "chaos_gauge").items():
        found.update(("sample", pusher, series, at_ms, value) for at_ms, value in values)
    found.update(spans_in(aws, {key[1] for key in books.pushed if key[0] == "span"}))
    missing, doubled = books.acknowledged - set(found), {key for key, count in found.items() if count > 1}
    surprises = set(found) - books.pushed

    ticked = [at_ms / 1000 for values in samples(amp, 'up{job="sidecarless-stats"}').values() for at_ms, _ in values]
    lost_ticks = [tick for tick in books.ticks if sum(tick[0] - 0.01 <= at <= tick[1] + 0.01 for at in ticked) != TARGETS]

    counts = Counter(key[0] for key in books.acknowledged)
    pushed = Counter(key[0] for key in books.pushed)
    met = {name: sum(proxy.met.get(name, 0) for proxy in chaos.proxies.values()) for name in CALM}
    print(f"show: chaos: faults met {met}, pushes not acknowledged {dict(books.refused)}, messages redelivered {chaos.redelivered}")
    print(
        f"show: chaos: pushed {pushed['span']} spans, {pushed['sample']} samples; acknowledged {counts['span']}, {counts['sample']}; "
        f"{len(books.ticks)} ticks; delivered {len(found)}; missing {len(missing) + len(lost_ticks)}, doubled {len(doubled)}; "
        f"kills survived {sum(books.kills.values())} ({books.kills['during']} during an invocation)"
    )
    assert not surprises, sorted(surprises)[:5]
    assert not missing, sorted(missing)[:5]
    assert not doubled, sorted(doubled)[:5]
    assert not lost_ticks, lost_ticks[:5]
    assert counts["span"] > SECONDS and counts["sample"] > 5 * SECONDS and books.ticks, "hardly anything was acknowledged"
    assert books.kills["during"] and books.kills["between"] and chaos.redelivered, "hardly anything happened"


def spans_in(aws: str, traces: set[str]) -> Counter[Any]:
    """Spans with how many different segments each has: X-Ray keeps one document per id, whatever is sent how often."""
    segments: dict[tuple[str, str], set[str]] = defaultdict(set)
    for trace in traces:
        for document in ecs.trace_documents(aws, trace):
            segments[trace, document["id"]].add(json.dumps(document, sort_keys=True))
    return Counter({("span", trace, span): len(documents) for (trace, span), documents in segments.items()})
