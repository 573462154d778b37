"""Prometheus and the function scrape the same expositions, and write the same series with the same values."""

from __future__ import annotations

import json
import math
import os
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import CLI, ROOT, settings

from demo import ecs
from demo.peers import CREDENTIALS, REGION, Peers, free_port, get, moto, query, wait_for

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ADDRESS = "127.0.3.1"
# Task labels, which Prometheus does not have, and series whose values differ between scrapes.
IDENTITY = ("by", "instance", "container_name")
PREFIXES = ("aws_ecs_", "cloud_", "container_image_")
VARYING = ("scrape_duration_seconds", "scrape_series_added")

HISTOGRAM = "".join(f'h_bucket{{le="{le}"}} {n}\n' for n, le in enumerate(["0.1", "1", "10.0", "+Inf"]))
# `NOW` is replaced with the time of the scrape in milliseconds, `SECONDS` with the time in seconds.
TEXT_EXPOSITIONS = [
    "a 1\n",
    "a 1\nb 2.5e-3\nc -0\n",
    "# HELP a What it is.\n# TYPE a counter\na 1\n",
    "# HELP a with \\\\ and \\n in it\n# TYPE a gauge\na 1\n",
    "# just a remark\n\n\na 1\n",
    "#\n# \na 1\n",
    'a{x="1",y="2",} 3\n',
    'a{ x = "1" , y = "2" } 3\n',
    'a {x="1"} 3\n',
    'a{x=""} 3\n',
    'a{} 3\n',
    'a{x="\\"quoted\\" \\\\ \\n"} 1\n',
    'a{x="été ☃ 𝄞"} 1\n',
    "a NaN\nb +Inf\nc -Inf\n",
    "a 0x1p4\n",
    "a 1_000\n",
    "a 1e400\n",
    "a .5\nb 5.\n",
    "a 1 NOW\n",
    "a 1 NOW\nb 2\n",
    "a\t1\n",
    "a  1  \n",
    " a 1\n",
    "a 1",
    "",
    "\n",
    "a 1\r\nb 2\r\n",
    "a\n",
    "a one\n",
    "a 1 2 3\n",
    "1a 1\n",
    "a{1x=\"1\"} 1\n",
    "a{x=1} 1\n",
    "a{x='1'} 1\n",
    'a{x="1} 1\n',
    'a{x="1" y="2"} 1\n',
    'a{x="1",x="2"} 1\n',
    "a{x=\"\\q\"} 1\n",
    "a:b:c 1\n",
    "_a 1\n",
    "a-b 1\n",
    "a 1\na 2\n",
    'a 1\na{x=""} 2\n',
    HISTOGRAM + "h_sum 12.5\nh_count 3\n",
    's{quantile="0.5"} 1\ns{quantile="0.99"} NaN\ns_sum 2\ns_count 3\n',
    'a{job="own",instance="own"} 1\n',
    'a{job="own",exported_job="theirs"} 1\n',
    "# TYPE a nonsense\na 1\n",
    "# TYPE a\na 1\n",
    "up 5\n",
    'a{__name__="b"} 1\n',
    "".join(f'many{{number="{n}"}} {n}\n' for n in range(2_000)),
    "go_gc_duration_seconds{quantile=\"0\"} 4.9351e-05\ngo_goroutines 33\nprocess_start_time_seconds 1.66600000057e+09\n",
]
OPENMETRICS_EXPOSITIONS = [
    "a 1\n# EOF\n",
    "a 1\n",
    "a 1\n# EOF",
    "a 1\n# EOF\nb 2\n",
    "# TYPE a counter\n# HELP a It counts.\na_total 1\n# EOF\n",
    "# TYPE a counter\na_total 1\na_created 1600000000\n# EOF\n",
    "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# EOF\n",
    "# TYPE a info\na_info{version=\"1.2\"} 1\n# EOF\n",
    "# TYPE a stateset\na{a=\"x\"} 1\na{a=\"y\"} 0\n# EOF\n",
    "# TYPE a unknown\na 1\n# EOF\n",
    "a 1 SECONDS\n# EOF\n",
    "a  1\n# EOF\n",
    "a 1 \n# EOF\n",
    "# remark\na 1\n# EOF\n",
    "\na 1\n# EOF\n",
    '# TYPE a counter\na_total 5 # {trace_id="abc"} 1\n# EOF\n',
    '# TYPE a counter\na_total 5 # {trace_id="abc"} 1 SECONDS\n# EOF\n',
    '# TYPE a counter\na_total 5 # {} 1\n# EOF\n',
    '# TYPE h histogram\nh_bucket{le="1.0"} 1 # {trace_id="a"} 0.5\nh_bucket{le="+Inf"} 2 # {trace_id="b"} 7\nh_sum 7.5\nh_count 2\n# EOF\n',
    '# TYPE g gaugehistogram\ng_bucket{le="+Inf"} 2\ng_gsum 1\ng_gcount 2\n# EOF\n',
    "a{x=\"1\"} 1\na{x=\"2\"} 2\n# EOF\n",
    "a NaN\nb +Inf\n# EOF\n",
    "# EOF\n",
    "",
]


# Prometheus 2 has exemplars on counters and buckets only, and no comma after the last label in OpenMetrics.
ONLY_PROMETHEUS_3 = ("bad_exemplars_on_unallowed_", "bad_missing_or_extra_commas_2", "TestOpenMetricsParse", "TestOMNullByteHandling 11")


def of_other_suites() -> Iterator[tuple[str, str]]:
    """Returns the test files of OpenMetrics, and the inputs of Prometheus' parser tests."""
    for name in ("openmetrics", "prometheus"):
        lines = (ROOT / "tests" / "data" / "expositions" / f"{name}.jsonl").read_text().splitlines()
        for case in map(json.loads, lines[1:]):
            # Prometheus 2 has neither quoted names, nor files with invalid UTF-8 here.
            if case["case"].startswith(ONLY_PROMETHEUS_3) and "Errors" not in case["case"]:
                continue
            is_supported = "text" in case and '{"' not in case["text"].replace(" ", "")
            if is_supported and not any(f'# {word} "' in case["text"] for word in ("HELP", "TYPE", "UNIT")):
                yield TEXT if case.get("format") == "text" else OPENMETRICS, case["text"]


EXPOSITIONS = [(TEXT, page) for page in TEXT_EXPOSITIONS] + [(OPENMETRICS, page) for page in OPENMETRICS_EXPOSITIONS]
EXPOSITIONS += of_other_suites()


class ExpositionHandler(BaseHTTPRequestHandler):
    """A target with one exposition for each number."""

    def do_GET(self) -> None:
        kind, page = EXPOSITIONS[int(self.path[1:])]
        now = time.time()
        body = page.replace("NOW", str(int(now * 1000))).replace("SECONDS", f"{now:.3f}").encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Target(ThreadingHTTPServer):
    # Maximum number of pending connections. The function opens up to 64 at once. With the Python default of five, the kernel drops
    # the remaining ones, which are retried after one, three and seven seconds.
    request_queue_size = 128


@pytest.fixture(scope="module")
def target() -> Iterator[int]:
    with Target((ADDRESS, 0), ExpositionHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def scraping_prometheus(peers: Peers, target: int) -> str:
    """Starts a Prometheus that scrapes all expositions and accepts remote write."""
    jobs = [
        {
            "job_name": f"page-{number}", "metrics_path": f"/{number}", "scrape_interval": "2s", "scrape_timeout": "2s",
            "static_configs": [{"targets": [f"{ADDRESS}:{target}"], "labels": {"by": "prometheus"}}],
        }
        for number in range(len(EXPOSITIONS))
    ]
    config, port = peers.folder / "prometheus.yml", free_port()
    config.write_text(json.dumps({"scrape_configs": jobs}))
    peers.start("prometheus", [
        os.environ.get("DEMO_PROMETHEUS", "prometheus"), f"--config.file={config}",
        f"--storage.tsdb.path={peers.folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage",
    ])
    base = f"http://127.0.0.1:{port}"
    wait_for("Prometheus is ready", lambda: get(f"{base}/-/ready"))
    return base


def run_scheduled(aws: str, amp: str, target: int) -> dict[str, Any]:
    """Runs one scheduled run for a task whose expositions are declared by scrape rules."""
    rules = ";".join(f"family=pages port={target} path=/{number} job=page-{number}" for number in range(len(EXPOSITIONS)))
    function_settings = {
        "SIDECARLESS_SCRAPE_RULES": rules, "SIDECARLESS_EXTERNAL_LABELS": "by=sidecarless", "SIDECARLESS_SOURCES": "prometheus",
        "SIDECARLESS_CLUSTERS": ecs.CLUSTER, "SIDECARLESS_SELF_METRICS": "off",
    }
    environment = {**os.environ, **CREDENTIALS, "AWS_REGION": REGION, **settings(f"{amp}/api/v1/write", aws), **function_settings}
    event = (ROOT / "events" / "scheduled-run.json").read_text()
    ran = subprocess.run([CLI, "invoke", "-"], input=event, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def series(base: str, by: str) -> dict[str, dict[str, str]]:
    """Returns the value of each series by its exposition and its labels."""
    values: dict[str, dict[str, str]] = {f"page-{number}": {} for number in range(len(EXPOSITIONS))}
    for one in query(base, f'{{by="{by}",job!=""}}'):
        labels = one["metric"]
        if labels["__name__"] in VARYING:
            continue
        own = {name: value for name, value in labels.items() if name not in IDENTITY and not name.startswith(PREFIXES)}
        values[labels["job"]][json.dumps(own, sort_keys=True)] = str(float(one["value"][1]))
    return values


def exemplars(base: str, by: str) -> set[str]:
    now = time.time()
    parameters = urllib.parse.urlencode({"query": f'{{by="{by}"}}', "start": now - 300, "end": now + 5})
    response = json.loads(get(f"{base}/api/v1/query_exemplars?{parameters}"))
    return {
        json.dumps([one["seriesLabels"]["job"], one["seriesLabels"]["__name__"], exemplar["labels"], float(exemplar["value"])])
        for one in response["data"] for exemplar in one["exemplars"]
        # AMP rejects exemplars without labels, so the function drops them.
        if exemplar["labels"]
    }


def test_scraped_series_equal_the_series_of_prometheus(target: int, tmp_path: Path) -> None:
    with Peers(tmp_path) as peers:
        aws, amp = moto(peers), scraping_prometheus(peers, target)
        ecs.client("ecs", aws).create_cluster(clusterName=ecs.CLUSTER)
        task = ecs.Task("pages", ADDRESS, target, free_port(ADDRESS))
        ecs.run_task(aws, task, {})
        wait_for("Prometheus has scraped every exposition", lambda: len(query(amp, 'up{by="prometheus"}')) == len(EXPOSITIONS))

        summary = run_scheduled(aws, amp, target)

        assert summary["targets_up"] + summary["targets_down"] == len(EXPOSITIONS), summary
        wait_for("the function's series", lambda: len(query(amp, 'up{by="sidecarless"}')) == len(EXPOSITIONS))
        theirs, ours = series(amp, "prometheus"), series(amp, "sidecarless")
        differing = {
            f"{job}: {EXPOSITIONS[int(job[5:])]}": (dict(theirs[job].items() - ours[job].items()), dict(ours[job].items() - theirs[job].items()))
            for job in theirs if theirs[job] != ours[job]
        }
        assert not differing, json.dumps(differing, indent=1, default=str)
        assert exemplars(amp, "sidecarless") == exemplars(amp, "prometheus") != set()
        samples = sum(len(page) for page in ours.values())
        broken = sum(1 for page in ours.values() for name, value in page.items() if '"up"' in name and math.isclose(float(value), 0))
        print(f"\nshow: {len(EXPOSITIONS)} expositions, {broken} of them malformed, {samples} series: Prometheus and the function agree")
