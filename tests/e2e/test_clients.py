"""Data from every available client arrives, in every encoding and compression that the client supports."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import BINARY, ROOT, TOKEN, Stack, settings
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from demo import ecs
from demo.events import attribute
from demo.peers import Peers, function, query, wait_for

HERE = Path(__file__).parent
NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"
RUST_CLIENT = ROOT / ".tools" / "rust-client" / "debug" / "rust-client"
HAS_NODE = bool(shutil.which("node")) and NODE_MODULES.is_dir()
WITH_NODE = pytest.mark.skipif(not HAS_NODE, reason="Node or its packages are not installed")
SPANS = POINTS = 3
# Client, signal, encoding, compression, number of items sent, number of items arrived.
ROWS: list[tuple[str, str, str, str, int, int]] = []


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    yield
    print(f"\nclient  {'client':<8} {'signal':<8} {'encoding':<9} {'compression':<11} sent arrived")
    for name, signal, encoding, compression, sent, arrived in ROWS:
        print(f"client  {name:<8} {signal:<8} {encoding:<9} {compression:<11} {sent:>4} {arrived:>7}")


def arrived(client: str, signal: str, encoding: str, compression: str, sent: int, count: int) -> None:
    ROWS.append((client, signal, encoding, compression, sent, count))
    assert count == sent, ROWS[-1]


def spans(trace_id: bytes, service: str) -> ExportTraceServiceRequest:
    request, now = ExportTraceServiceRequest(), time.time_ns()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(attribute("service.name", service))
    scope = resource.scope_spans.add()
    for number in range(1, SPANS + 1):
        scope.spans.add(
            trace_id=trace_id, span_id=number.to_bytes(8, "big"), name=f"span {number}", kind=2,
            start_time_unix_nano=now - 1_000_000, end_time_unix_nano=now,
        )
    return request


def points(service: str) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.append(attribute("service.name", service))
    gauge = resource.scope_metrics.add().metrics.add(name="client.gauge").gauge
    for number in range(POINTS):
        point = gauge.data_points.add(time_unix_nano=time.time_ns(), as_double=number + 0.5)
        point.attributes.append(attribute("number", str(number)))
    return request


def otlp_json(request: Any) -> bytes:
    """Returns OTLP/JSON: protobuf JSON with hexadecimal IDs and numeric enums."""
    document = MessageToDict(request, use_integers_for_enums=True)
    for resource in document.get("resourceSpans", []):
        for span in resource["scopeSpans"][0]["spans"]:
            for name, size in [("traceId", 16), ("spanId", 8)]:
                span[name] = base64.b64decode(span[name]).hex().rjust(size * 2, "0")
    return json.dumps(document).encode()


# A Function URL treats every JSON body as text, which corrupts compressed JSON.
@pytest.mark.parametrize("encoding, compression", [("protobuf", "none"), ("protobuf", "gzip"), ("protobuf", "zstd"), ("json", "none")])
def test_curl(stack: Stack, tmp_path: Path, encoding: str, compression: str) -> None:
    if compression == "zstd" and not shutil.which("zstd"):
        pytest.skip("zstd is not installed")
    service = f"curl-{encoding}-{compression}"
    trace_id = int(time.time()).to_bytes(4, "big") + os.urandom(12)
    for path, request in [("/v1/traces", spans(trace_id, service)), ("/v1/metrics", points(service))]:
        body = request.SerializeToString() if encoding == "protobuf" else otlp_json(request)
        file = tmp_path / "body"
        file.write_bytes(gzip.compress(body) if compression == "gzip" else body)
        if compression == "zstd":
            subprocess.run(["zstd", "-q", "-f", str(file), "-o", str(file) + ".zst"], check=True)
            file = Path(str(file) + ".zst")
        header = "application/json" if encoding == "json" else "application/x-protobuf"
        command = ["curl", "-sS", "-f", stack.url + path, "-H", f"content-type: {header}", "-H", f"authorization: Bearer {TOKEN}"]
        command += ["--data-binary", f"@{file}"] + ([] if compression == "none" else ["-H", f"content-encoding: {compression}"])
        subprocess.run(command, check=True, timeout=30)
    documents = wait_for("the segments", lambda: ecs.trace_documents(stack.aws, trace_id.hex()))
    arrived("curl", "traces", encoding, compression, SPANS, len(documents))
    series = wait_for("the series", lambda: query(stack.amp, f'client_gauge{{service_name="{service}"}}'))
    assert sorted(one["value"][1] for one in series) == ["0.5", "1.5", "2.5"]
    arrived("curl", "metrics", encoding, compression, POINTS, len(series))


def variables(stack: Stack, service: str, compression: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(NODE_MODULES),
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.name={service}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{TOKEN}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
    }


@WITH_NODE
@pytest.mark.parametrize("encoding, compression", [("protobuf", "none"), ("protobuf", "gzip"), ("json", "none")])
def test_node_metrics(stack: Stack, encoding: str, compression: str) -> None:
    service = f"node-{encoding}-{compression}"
    program = ["node", str(HERE / "node" / "metrics.cjs"), "json" if encoding == "json" else "proto"]
    subprocess.run(program, env=variables(stack, service, compression), check=True, timeout=60)
    check_metrics(stack, "node", service, encoding, compression)


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_python_metrics(stack: Stack, compression: str) -> None:
    service = f"python-{compression}"
    program = [sys.executable, str(HERE / "python_metrics.py")]
    subprocess.run(program, env=variables(stack, service, compression), check=True, timeout=60)
    check_metrics(stack, "python", service, "protobuf", compression)


def check_metrics(stack: Stack, client: str, service: str, encoding: str, compression: str) -> None:
    """Checks the counter and the histogram of the client in Prometheus."""
    queries = [f'client_orders_total{{service_name="{service}"}}', f'client_duration_seconds_count{{service_name="{service}"}}']
    series = [wait_for(f"{client}: {promql}", lambda promql=promql: query(stack.amp, promql))[0] for promql in queries]
    assert [one["value"][1] for one in series] == ["3", "1"]
    arrived(client, "metrics", encoding, compression, 2, len(series))


@pytest.mark.skipif(not RUST_CLIENT.exists(), reason="the client with the Rust SDK is not built")
@pytest.mark.parametrize("encoding, compression", [("protobuf", "none"), ("protobuf", "gzip"), ("json", "none")])
def test_rust_traces_and_metrics(stack: Stack, encoding: str, compression: str) -> None:
    service = f"rust-{encoding}-{compression}"
    environment = variables(stack, service, compression)
    if compression == "none":
        # This SDK rejects `none` as an unknown compression.
        del environment["OTEL_EXPORTER_OTLP_COMPRESSION"]
    ran = subprocess.run([RUST_CLIENT, encoding], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    documents = wait_for("the segments", lambda: ecs.trace_documents(stack.aws, ran.stdout.strip()))
    arrived("rust", "traces", encoding, compression, 2, len(documents))
    check_metrics(stack, "rust", service, encoding, compression)


class Sampling(BaseHTTPRequestHandler):
    """Fake X-Ray for remote samplers, because moto does not support sampling rules."""

    requests: list[str] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        Sampling.requests.append(self.path if "Credential=" in self.headers.get("authorization", "") else "unsigned")
        rule = {
            "RuleName": "Default", "RuleARN": "*", "Priority": 10000, "FixedRate": 0.0, "ReservoirSize": 0, "ServiceName": "*",
            "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": "*", "ResourceARN": "*", "Version": 1, "Attributes": {},
        }
        every = {**rule, "RuleName": "every", "Priority": 1, "FixedRate": 1.0, "ServiceName": "sampled-*"}
        response = {"SamplingTargetDocuments": [], "LastRuleModification": 0.0, "UnprocessedStatistics": []}
        if self.path == "/GetSamplingRules":
            response = {"SamplingRuleRecords": [{"CreatedAt": 0, "ModifiedAt": 0, "SamplingRule": one} for one in (rule, every)]}
        body = json.dumps(response).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@WITH_NODE
def test_xray_remote_sampler(tmp_path: Path) -> None:
    with Peers(tmp_path) as peers, ThreadingHTTPServer(("127.0.0.1", 0), Sampling) as xray:
        threading.Thread(target=xray.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{xray.server_address[1]}"
        url = function(peers, BINARY, {**settings("", address), "AWS_ENDPOINT_URL_XRAY": address})
        # The sampler cannot send headers, so the token is the password in the URL.
        endpoint = url.replace("http://", f"http://sampler:{TOKEN}@")
        programs = {
            service: subprocess.Popen(
                ["node", str(HERE / "node" / "sampler.cjs"), endpoint], stdout=subprocess.PIPE, text=True,
                env={"PATH": os.environ["PATH"], "NODE_PATH": str(NODE_MODULES), "OTEL_SERVICE_NAME": service},
            )
            for service in ("sampled-always", "never")
        }
        sampled = {service: program.communicate(timeout=60)[0].strip() for service, program in programs.items()}
        xray.shutdown()
    assert sampled == {"sampled-always": "20", "never": "0"}
    assert Sampling.requests.count("/GetSamplingRules") == 1, f"rules must be cached: {Sampling.requests}"
    assert "/SamplingTargets" in Sampling.requests and "unsigned" not in Sampling.requests
    print("\nshow: the remote sampler of Node sampled 20 of 20 spans with a rule for all spans, and 0 of 20 with a rule for none", end="")
