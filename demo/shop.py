"""One service of a sample shop: storefront calls cart, and cart calls pricing.

The service is instrumented with the OpenTelemetry SDK, which is configured only by OTEL_* variables, as in an ECS task. It also
serves its CPU, memory and network usage in the format of the task metadata endpoint v4, for the Docker label
`sidecarless.stats.port` and for pushes, and some of these values as a Prometheus exposition. With DEMO_PUSH_SECONDS, it sends them
with the helper for Python at this interval.

usage: shop.py ADDRESS PORT STATS_PORT TASK_ARN [NEXT_URL]
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.urllib import URLLibInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import traffic_count

ADDRESS, PORT, STATS_PORT, TASK_ARN = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
NEXT = sys.argv[5] if len(sys.argv) > 5 else None
NAME = os.environ["OTEL_SERVICE_NAME"]
TASK_ID = TASK_ARN.rsplit("/", 1)[-1]
DOCKER_ID = f"{TASK_ID}-3071244590"

traffic_count.start()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # type: ignore[attr-defined]
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
URLLibInstrumentor().instrument()
orders = metrics.get_meter("shop").create_counter("shop.requests", unit="{request}", description="Requests served")


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    response: dict[str, Any] = {"service": NAME}
    if NEXT:
        with urllib.request.urlopen(NEXT, timeout=10) as upstream:
            response["upstream"] = json.loads(upstream.read())
    # Uses some CPU time, so that CPU metrics are above 0.
    response["price"] = sum(number * number for number in range(200_000)) % 100
    orders.add(1, {"path": environ.get("PATH_INFO", "")})
    trace_id = trace.get_current_span().get_span_context().trace_id
    start_response("200 OK", [("content-type", "application/json"), ("x-trace-id", f"{trace_id:032x}")])
    return [json.dumps(response).encode()]


def cpu() -> dict[str, Any]:
    """Returns the CPU time of this process. The total has a resolution of nanoseconds, user and kernel time of 10 ms."""
    times = os.times()
    usage = {
        "total_usage": time.process_time_ns(),
        "usage_in_usermode": round(times.user * 1e9),
        "usage_in_kernelmode": round(times.system * 1e9),
    }
    return {"cpu_usage": usage, "online_cpus": os.cpu_count()}


class Sample:
    """Usage at one point in time. Docker reports each sample together with the previous one."""

    def __init__(self) -> None:
        self.at = time.time()
        self.cpu = cpu()
        with open("/proc/self/statm") as statm:
            self.memory = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self.network = {"rx_bytes": traffic_count.received, "tx_bytes": traffic_count.sent}
        with open("/proc/self/io") as io:
            counted = dict(line.split(": ") for line in io.read().splitlines())
        self.disk = {"read": int(counted["read_bytes"]), "write": int(counted["write_bytes"])}

    def time(self) -> str:
        return datetime.fromtimestamp(self.at, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


previous = current = Sample()


def keep_sampling() -> None:
    """Takes a sample every second, as ECS does on EC2. On Fargate, ECS takes one every ten seconds."""
    global previous, current
    while True:
        time.sleep(1)
        previous, current = current, Sample()


def stats() -> dict[str, Any]:
    seconds = max(current.at - previous.at, 0.001)
    rate = {side: (current.network[f"{side}_bytes"] - previous.network[f"{side}_bytes"]) / seconds for side in ("rx", "tx")}
    container = {
        "read": current.time(), "preread": previous.time(), "name": NAME, "id": DOCKER_ID,
        "cpu_stats": current.cpu,
        "precpu_stats": previous.cpu,
        "memory_stats": {"usage": current.memory, "limit": 512 << 20, "stats": {"inactive_file": 0}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 259, "minor": 0, "op": side, "value": value} for side, value in current.disk.items()
            ]
        },
        "networks": {"eth1": current.network},
        "network_rate_stats": {"rx_bytes_per_sec": rate["rx"], "tx_bytes_per_sec": rate["tx"]},
    }
    return {DOCKER_ID: container}


def task() -> dict[str, Any]:
    started = datetime.fromtimestamp(previous.at, timezone.utc).isoformat().replace("+00:00", "Z")
    container = {
        "DockerId": DOCKER_ID, "Name": NAME, "DockerName": NAME, "Image": f"shop/{NAME}:1.0", "ImageID": "sha256:" + "1" * 64,
        "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Limits": {"CPU": 256, "Memory": 512},
        "CreatedAt": started, "StartedAt": started, "Type": "NORMAL",
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": [ADDRESS]}],
    }
    return {
        "Cluster": "shop", "TaskARN": TASK_ARN, "Family": NAME, "Revision": "1", "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING", "Limits": {"CPU": 0.25, "Memory": 512}, "AvailabilityZone": "eu-west-1a",
        "LaunchType": "FARGATE", "ServiceName": f"{NAME}-svc", "Containers": [container],
    }


def exposition() -> str:
    """Returns metrics in the Prometheus text format 0.0.4."""
    return (
        "# HELP process_cpu_seconds_total User and system CPU time.\n# TYPE process_cpu_seconds_total counter\n"
        f"process_cpu_seconds_total {time.process_time()}\n"
        "# HELP process_resident_memory_bytes Resident memory.\n# TYPE process_resident_memory_bytes gauge\n"
        f"process_resident_memory_bytes {current.memory}\n"
    )


class MetadataHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        routes: dict[str, tuple[str, Callable[[], str]]] = {
            "/v4/task": ("application/json", lambda: json.dumps(task())),
            "/v4/task/stats": ("application/json", lambda: json.dumps(stats())),
            "/metrics": ("text/plain; version=0.0.4; charset=utf-8", exposition),
        }
        content_type, document = routes.get(self.path, ("text/plain", None))
        body = document().encode() if document else b"not found"
        self.send_response(200 if document else 404)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


# The port of the service is bound first, so that the service is reachable when the stats endpoint responds.
service = make_server(ADDRESS, PORT, OpenTelemetryMiddleware(application), Server, QuietHandler)
threading.Thread(target=keep_sampling, daemon=True).start()
threading.Thread(target=ThreadingHTTPServer((ADDRESS, STATS_PORT), MetadataHandler).serve_forever, daemon=True).start()
if interval := os.environ.get("DEMO_PUSH_SECONDS"):
    sys.path.append(str(Path(__file__).resolve().parent.parent / "helpers"))
    import sidecarless_stats

    sidecarless_stats.start(float(interval))
service.serve_forever()
