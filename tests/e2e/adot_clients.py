"""The AWS Distro for OpenTelemetry (ADOT) for Python and for Node, started as on ECS: the distribution instruments a service that calls AWS,
sends its data to the function, and samples by rules that the function reads from X-Ray."""

from __future__ import annotations

import json
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aws_proxy import AwsProxy, Call, Fault
from conftest import ROOT, TOKEN

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, free_port, wait_for

SERVICES = Path(__file__).parent / "adot"
PYTHON = ROOT / ".tools" / "python-adot" / "bin"
NODE_MODULES = ROOT / ".tools" / "node-adot" / "node_modules"
REGISTER = "@aws/aws-distro-opentelemetry-node-autoinstrumentation/register"
INSTALLED = {
    "node": bool(shutil.which("node")) and NODE_MODULES.is_dir(),
    "python": (PYTHON / "opentelemetry-instrument").exists(),
}
# Document of a task on Fargate, as its metadata endpoint returns it.
TASK: dict[str, Any] = json.loads((ROOT / "tests" / "golden" / "task.json").read_text())
# Paths, and the share of their requests that is sampled, by the name of the sampling rule.
RULES = {"health-checks": ("/health", 0.0), "everything": ("*", 1.0)}


class SamplingProxy(AwsProxy):
    """Forwards calls to moto, except those of samplers, because moto has no sampling rules."""

    def respond(self, call: Call) -> Fault:
        responses = {
            "/GetSamplingRules": {"SamplingRuleRecords": [{"CreatedAt": 0, "ModifiedAt": 0, "SamplingRule": rule} for rule in rules()]},
            "/SamplingTargets": {"SamplingTargetDocuments": [], "LastRuleModification": 0.0, "UnprocessedStatistics": []},
        }
        if call.path not in responses:
            return super().respond(call)
        self.calls.append(call)
        return Fault(200, json.dumps(responses[call.path]).encode(), {"content-type": "application/json"})

    def statistics(self) -> list[dict[str, Any]]:
        """Returns what the samplers have reported for each rule."""
        bodies = [json.loads(call.body) for call in self.calls if call.path == "/SamplingTargets"]
        return [document for body in bodies for document in body["SamplingStatisticsDocuments"]]


def rules() -> Iterator[dict[str, Any]]:
    """Returns the sampling rules of the account, with a default rule that samples nothing."""
    anything = dict.fromkeys(("Host", "HTTPMethod", "ResourceARN", "ServiceName", "ServiceType", "URLPath"), "*")
    numbers = {"Priority": 10000, "FixedRate": 0.0, "ReservoirSize": 0, "Version": 1}
    default = {**anything, **numbers, "RuleName": "Default", "RuleARN": "*", "Attributes": {}}
    yield default
    for priority, (name, (path, rate)) in enumerate(RULES.items(), start=1):
        yield {**default, "RuleName": name, "Priority": priority, "URLPath": path, "FixedRate": rate, "ServiceName": "adot-*"}


class TaskMetadata(BaseHTTPRequestHandler):
    """The task metadata endpoint, which the resource detectors of the distributions read."""

    def do_GET(self) -> None:
        body = json.dumps(TASK if self.path.endswith("/task") else TASK["Containers"][0]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def task_metadata() -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), TaskMetadata)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    return server


@dataclass
class Client:
    """A running service, and what the requests to it have returned and written to X-Ray."""

    language: str
    url: str
    aws: str
    traces: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    # Results of the health checks.
    checks: list[tuple[int, str, bool]] = field(default_factory=list)

    @property
    def service(self) -> str:
        return f"adot-{self.language}"

    def request(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str, bool]:
        """Sends a request. Returns the status, the trace ID, and whether the trace is sampled."""
        try:
            response = urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers or {}), timeout=30)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            trace_id, flags = response.headers["x-trace"].split("-")
            return response.status, trace_id, flags == "01"

    def trace(self, path: str, count: int, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
        """Sends a request. Returns the documents of its trace when X-Ray has all of them."""
        _, trace_id, _ = self.request(path, headers)

        def complete() -> list[dict[str, Any]] | None:
            documents = ecs.trace_documents(self.aws, trace_id)
            return documents if len(documents) >= count else None

        return wait_for(f"{count} documents of {path} from {self.service}", complete)


def create_resources(aws: str) -> str:
    """Creates the bucket, the table and the queue that the services use. Returns the URL of the queue."""
    ecs.client("s3", aws).create_bucket(Bucket="orders", CreateBucketConfiguration={"LocationConstraint": REGION})
    ecs.client("dynamodb", aws).create_table(
        TableName="orders", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    return str(ecs.client("sqs", aws).create_queue(QueueName="orders")["QueueUrl"])


def variables(language: str, url: str) -> dict[str, str]:
    """Returns the variables of docs/quickstart.md, with short intervals."""
    # The samplers cannot send headers, so the token is the password in the URL.
    sampler = url.replace("http://", f"http://sampler:{TOKEN}@")
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/",
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{TOKEN}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "10" if language == "python" else "10000",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_RESOURCE_ATTRIBUTES": f"service.name=adot-{language}",
        "OTEL_TRACES_SAMPLER": "xray",
        "OTEL_TRACES_SAMPLER_ARG": f"endpoint={sampler}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_METRIC_EXPORT_TIMEOUT": "1000",
    }


def start(peers: Peers, language: str, url: str, aws: str, others: dict[str, str]) -> Client:
    """Starts the service of a language, which sends to the function at `url`."""
    client = Client(language, f"http://127.0.0.1:{free_port()}", aws)
    port = client.url.rsplit(":", 1)[-1]
    environment = {
        **CREDENTIALS, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": aws, **variables(language, url), **others,
    }
    if language == "python":
        environment["PATH"] = f"{PYTHON}:{os.environ['PATH']}"
        command = [str(PYTHON / "opentelemetry-instrument"), "flask", "--app", str(SERVICES / "service.py"), "run", "--port", port]
    else:
        environment["NODE_PATH"] = str(NODE_MODULES)
        command = ["node", "--require", REGISTER, str(SERVICES / "service.cjs"), port]
    peers.start(client.service, command, environment)
    return client


def wait_for_rules(client: Client) -> None:
    """Waits until the sampler has the rules. Without rules, it samples one request a second, and 5 % of the others."""
    wait_for(f"{client.service} has sampling rules", lambda: all(client.request("/ready")[2] for _ in range(10)), seconds=60)
