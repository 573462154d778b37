"""Requests and scheduled runs while destinations fail at random and environments are killed at any moment. In the end, all
acknowledged data is stored exactly once.

CHAOS_SECONDS is the duration (default 30). CHAOS_SEED repeats a run, except for thread scheduling.
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
from environments import EnvironmentKilled, Fleet
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from random_fault_proxy import FAULT_RATES, RandomFaultProxy

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, get, moto, prometheus, wait_for

SECONDS = float(os.environ.get("CHAOS_SECONDS", "30"))
SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbits(32))
# Timeout of an invocation. Longer than the five seconds after which undelivered data is spooled.
TIMEOUT = 10.0
# Time within which an environment becomes idle, in seconds.
IDLE_WAIT = 2.0
POINTS = 10
SPANS = 5
TARGETS = 3
# Number of batches from the queue that are processed concurrently.
POLLERS = 3


@dataclass
class PushLog:
    """Items that were sent and acknowledged. A key identifies a sample or a span."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    pushed: set[Any] = field(default_factory=set)
    acknowledged: set[Any] = field(default_factory=set)
    # Start and end of each scheduled run that reported that all data was delivered or spooled.
    runs: list[tuple[float, float]] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def send(self, keys: set[Any], push: Callable[[], Any]) -> None:
        with self.lock:
            self.pushed |= keys
        try:
            response = push()
        except EnvironmentKilled:
            outcome = "killed"
        else:
            outcome = str(response.get("statusCode", response))
            if outcome == "200" and not response["body"]:
                with self.lock:
                    self.acknowledged |= keys
                return
        with self.lock:
            self.failures[outcome] += 1


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


class MetadataHandler(BaseHTTPRequestHandler):
    """Task metadata and stats of a task."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Target)
        name = "task-stats.json" if self.path.endswith("/stats") else "task.json"
        document = json.loads((ROOT / "tests" / "golden" / name).read_bytes())
        body = json.dumps(document if name == "task-stats.json" else {**document, "TaskARN": self.server.arn}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Chaos:
    def __init__(self, fleet: Fleet, proxies: dict[str, RandomFaultProxy], sqs: Any, queue_url: str) -> None:
        self.fleet, self.proxies, self.sqs, self.queue = fleet, proxies, sqs, queue_url
        self.log = PushLog()
        self.stopping, self.drained = threading.Event(), threading.Event()
        self.redelivered = 0

    def push_points(self, pusher: int) -> None:
        random_, last, value = random.Random(f"{SEED} points {pusher}"), 0, 0
        while not self.stopping.is_set():
            last, value = max(last + 1, time.time_ns() // 10**6), value + 1
            keys, body = points(pusher, last, value)
            self.log.send(keys, lambda body=body: self.fleet.invoke(push_event("/v1/metrics", body)))
            time.sleep(random_.uniform(0, 0.1))

    def push_spans(self, pusher: int) -> None:
        random_ = random.Random(f"{SEED} spans {pusher}")
        while not self.stopping.is_set():
            keys, body = spans(random_)
            self.log.send(keys, lambda body=body: self.fleet.invoke(push_event("/v1/traces", body)))
            time.sleep(random_.uniform(0, 0.1))

    def run_scheduled(self) -> None:
        while not self.stopping.is_set():
            with self.fleet.one() as environment:
                start = time.time()
                try:
                    summary = environment.invoke({"sidecarless": "scrape"})
                except EnvironmentKilled:
                    summary = {}
                if summary.get("targets_up") == TARGETS and summary.get("undelivered") == 0 and summary["rejected"] == 0:
                    self.log.runs.append((start, time.time()))
            time.sleep(1)

    def kill(self) -> None:
        random_ = random.Random(f"{SEED} kill")
        while not self.stopping.wait(random_.uniform(0.2, 2)):
            busy = random_.choice([True, False])
            environment = random_.choice(self.environments(busy) or self.fleet.all)
            during = environment.busy.is_set()
            environment.kill()
            self.log.kills["during" if during else "between"] += 1

    def environments(self, busy: bool) -> list[Any]:
        """Waits for environments with or without an invocation. During outages, all are busy most of the time."""
        end = time.monotonic() + IDLE_WAIT
        while not (found := [one for one in self.fleet.all if one.busy.is_set() == busy]) and time.monotonic() < end:
            time.sleep(0.001)
        return found

    def outages(self) -> None:
        random_ = random.Random(f"{SEED} outages")
        while not self.stopping.wait(random_.uniform(2, 6)):
            proxy = self.proxies[random_.choice(["amp", "xray"])]
            proxy.outage = True
            self.stopping.wait(random_.uniform(1, 8))
            proxy.outage = False

    def poll(self, poller: int) -> None:
        """Event source mapping. Visibility timeouts are a few seconds instead of up to an hour, to keep the test short."""
        random_ = random.Random(f"{SEED} poll {poller}")
        while not self.drained.is_set():
            response = self.sqs.receive_message(
                QueueUrl=self.queue, MaxNumberOfMessages=5, AttributeNames=["ApproximateReceiveCount"], VisibilityTimeout=15
            )
            messages = response.get("Messages", [])
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
                result = self.fleet.invoke({"Records": records})
                failed = {failure["itemIdentifier"] for failure in result["batchItemFailures"]}
            except EnvironmentKilled:
                failed = {message["MessageId"] for message in messages}
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                | ({"VisibilityTimeout": random_.randint(1, 3)} if message["MessageId"] in failed else {})
                for number, message in enumerate(messages)
            ]
            retried = [entry for entry in entries if "VisibilityTimeout" in entry]
            done = [entry for entry in entries if "VisibilityTimeout" not in entry]
            if retried:
                self.sqs.change_message_visibility_batch(QueueUrl=self.queue, Entries=retried)
            if done:
                self.sqs.delete_message_batch(QueueUrl=self.queue, Entries=done)
            with self.log.lock:
                self.redelivered += len(done)

    def message_count(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def run(self) -> None:
        workers = [(self.push_points, (n,)) for n in range(3)] + [(self.push_spans, (n,)) for n in range(2)]
        workers += [(self.run_scheduled, ()), (self.kill, ()), (self.outages, ())]
        threads = [threading.Thread(target=work, args=arguments, daemon=True) for work, arguments in workers]
        pollers = [threading.Thread(target=self.poll, args=(n,), daemon=True) for n in range(POLLERS)]
        for thread in [*threads, *pollers]:
            thread.start()
        time.sleep(SECONDS)
        self.stopping.set()
        for proxy in self.proxies.values():
            proxy.disabled.set()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        wait_for("the queue is empty", lambda: self.message_count() == 0, 180 + SECONDS)
        self.drained.set()
        for thread in pollers:
            thread.join(timeout=30)


def samples(amp: str, selector: str) -> dict[tuple[str, ...], list[tuple[int, float]]]:
    """Returns all raw samples by the labels that identify the series."""
    query = urllib.parse.urlencode({"query": f"{selector}[2h]"})
    result = json.loads(get(f"{amp}/api/v1/query?{query}", timeout=60))["data"]["result"]
    labels = ("pusher", "series", "instance")
    return {
        tuple(series["metric"].get(label, "") for label in labels): [(round(at * 1000), float(value)) for at, value in series["values"]]
        for series in result
    }


def test_acknowledged_data_is_stored_exactly_once(tmp_path: Path) -> None:
    print(f"\nshow: chaos: seed {SEED}, {SECONDS:.0f} s")
    with Peers(tmp_path) as peers:
        amp, aws = prometheus(peers), moto(peers)
        sqs = ecs.client("sqs", aws)
        queue = sqs.create_queue(QueueName="spool")["QueueUrl"]
        run_targets(aws)
        proxies = {name: RandomFaultProxy(peer, SEED + n) for n, (name, peer) in enumerate([("amp", amp), ("xray", aws)])}
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
        server = Target((task.address, task.stats_port), MetadataHandler)
        server.arn = task.arn
        threading.Thread(target=server.serve_forever, daemon=True).start()


def audit(chaos: Chaos, amp: str, aws: str) -> None:
    log = chaos.log
    stored: Counter[Any] = Counter()
    for (pusher, series, _), values in samples(amp, "chaos_gauge").items():
        stored.update(("sample", pusher, series, at_ms, value) for at_ms, value in values)
    stored.update(spans_in(aws, {key[1] for key in log.pushed if key[0] == "span"}))
    missing, duplicates = log.acknowledged - set(stored), {key for key, count in stored.items() if count > 1}
    unexpected = set(stored) - log.pushed

    scrape_times = [at_ms / 1000 for values in samples(amp, 'up{job="sidecarless-stats"}').values() for at_ms, _ in values]
    missing_runs = [run for run in log.runs if sum(run[0] - 0.01 <= at <= run[1] + 0.01 for at in scrape_times) != TARGETS]

    counts = Counter(key[0] for key in log.acknowledged)
    pushed = Counter(key[0] for key in log.pushed)
    faults = {name: sum(proxy.fault_counts.get(name, 0) for proxy in chaos.proxies.values()) for name in FAULT_RATES}
    print(f"show: chaos: injected faults {faults}, requests not acknowledged {dict(log.failures)}, messages redelivered {chaos.redelivered}")
    print(
        f"show: chaos: sent {pushed['span']} spans, {pushed['sample']} samples; acknowledged {counts['span']}, {counts['sample']}; "
        f"{len(log.runs)} scheduled runs; delivered {len(stored)}; missing {len(missing) + len(missing_runs)}, duplicates {len(duplicates)}; "
        f"kills survived {sum(log.kills.values())} ({log.kills['during']} during an invocation)"
    )
    assert not unexpected, sorted(unexpected)[:5]
    assert not missing, sorted(missing)[:5]
    assert not duplicates, sorted(duplicates)[:5]
    assert not missing_runs, missing_runs[:5]
    assert counts["span"] > SECONDS and counts["sample"] > 5 * SECONDS and log.runs, "too few items were acknowledged"
    assert log.kills["during"] and log.kills["between"] and chaos.redelivered, "too few kills or redeliveries"


def spans_in(aws: str, traces: set[str]) -> Counter[Any]:
    """Counts the different segments of each span. X-Ray stores one document per ID, however often it is sent."""
    segments: dict[tuple[str, str], set[str]] = defaultdict(set)
    for trace in traces:
        for document in ecs.trace_documents(aws, trace):
            segments[trace, document["id"]].add(json.dumps(document, sort_keys=True))
    return Counter({("span", trace, span): len(documents) for (trace, span), documents in segments.items()})
