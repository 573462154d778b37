"""The collectors of the comparison: command line and configuration of each. All of them sign their requests to AMP and X-Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from .aws import Loopback
from .function import Process

CREDENTIALS = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
# Interval of the scrapes. A real one is longer; the CPU time per sample hardly depends on it.
SCRAPE_INTERVAL_S = 2
START_TIMEOUT_S = 30.0

PROMETHEUS_FILE = """\
global: {scrape_interval: 60s}
remote_write:
  - url: AWS/api/v1/remote_write
    sigv4: {region: eu-west-1}
"""
SCRAPES = """\
scrape_configs:
  - job_name: shop
    scrape_interval: INTERVALs
    scrape_timeout: INTERVALs
    static_configs: [{targets: [TARGETS]}]
"""


@dataclass(frozen=True)
class Collector:
    """A collector. `AWS`, `PORT` and `FOLDER` are replaced in the arguments and files."""

    name: str
    binary: Path
    # Registry and version.
    package: str
    arguments: list[str]
    # Path to which clients send spans and data points; none if it does not forward them to X-Ray or AMP.
    paths: dict[str, str]
    scrapes: bool
    # Time without a request after which everything that was received has been forwarded: more than the interval of its batches.
    quiet_s: float
    # Spans in a request, if the collector drops those of a larger one.
    max_spans: int | None = None
    files: dict[str, str] = field(default_factory=dict)
    # File to which the scrape configuration is added.
    scrape_file: str = ""

    def command(self) -> str:
        return " ".join([self.binary.name, *self.arguments])


def collectors(rotel: Path, vmagent: Path, prometheus: Path, packages: dict[str, str]) -> list[Collector]:
    return [
        Collector(
            "Rotel", rotel, f"{packages['rotel']} from PyPI",
            ["start", "--otlp-http-endpoint", "127.0.0.1:PORT", "--otlp-grpc-endpoint", "127.0.0.1:0", "--pid-file", "FOLDER/pid",
             "--log-file", "FOLDER/log", "--exporter", "aws-xray", "--xray-exporter-custom-endpoint", "AWS"],
            # Drops the spans of larger requests ("Too many batch items split"), because calls of X-Ray have at most 50 documents.
            {"spans": "/v1/traces"}, False, 0.5, max_spans=50,
        ),
        Collector(
            "vmagent", vmagent, f"{packages['victoria-metrics']} from Debian",
            ["-httpListenAddr=127.0.0.1:PORT", "-remoteWrite.url=AWS/api/v1/remote_write", "-remoteWrite.forcePromProto",
             "-remoteWrite.tmpDataPath=FOLDER/queue", "-remoteWrite.aws.useSigv4", "-opentelemetry.usePrometheusNaming",
             "-promscrape.config=FOLDER/scrape.yml"],
            {"points": "/opentelemetry/v1/metrics"}, True, 2.0, files={"scrape.yml": ""}, scrape_file="scrape.yml",
        ),
        Collector(
            "Prometheus agent", prometheus, f"{packages['prometheus']} from Debian",
            ["--agent", "--config.file=FOLDER/prometheus.yml", "--storage.agent.path=FOLDER/wal", "--web.listen-address=127.0.0.1:PORT"],
            {}, True, 7.0, files={"prometheus.yml": PROMETHEUS_FILE}, scrape_file="prometheus.yml",
        ),
    ]


class Running(Process):
    """A collector that runs."""

    def __init__(self, collector: Collector, loopback: Loopback, folder: Path, targets: list[str] | None = None) -> None:
        self.collector, self.loopback, self.folder = collector, loopback, folder
        self.port = free_port()
        for name, content in collector.files.items():
            if name == collector.scrape_file and targets:
                quoted = ", ".join(f'"{target}"' for target in targets)
                content += SCRAPES.replace("INTERVAL", str(SCRAPE_INTERVAL_S)).replace("TARGETS", quoted)
            (folder / name).write_text(self.replaced(content))

    def replaced(self, text: str) -> str:
        text = text.replace("AWS/", f"http://127.0.0.1:{self.loopback.port}/").replace("PORT", str(self.port))
        text = f"http://127.0.0.1:{self.loopback.port}" if text == "AWS" else text
        return text.replace("FOLDER", str(self.folder))

    def __enter__(self) -> "Running":
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | CREDENTIALS
        command = [str(self.collector.binary.absolute()), *map(self.replaced, self.collector.arguments)]
        with (self.folder / "output").open("wb") as output:
            started_ns = time.monotonic_ns()
            self.process = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=output, stderr=output)
        self.start_ms = (self.answered_ns() - started_ns) / 1e6
        self.start_cpu_ms = self.cpu_ns() / 1e6
        return self

    def answered_ns(self) -> int:
        """Returns when the port accepted a connection."""
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return time.monotonic_ns()
            except ConnectionRefusedError:
                time.sleep(0.0002)
        self.process.kill()
        raise SystemExit(f"{self.collector.name} does not start:\n{(self.folder / 'output').read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
