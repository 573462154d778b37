"""Prometheus applies the relabelling rules of the cases, and its results are those that the file has: tests/relabelling.rs holds the
function to the same file. `UPDATE=1` writes the results of Prometheus to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from demo.peers import Peers, free_port, get, post, wait_for

sys.path.insert(0, str(ROOT / "tests" / "hostile"))
from wire import double, integer, message, snappy, written_series  # noqa: E402

FILE = ROOT / "tests" / "data" / "relabel" / "cases.json"
CASES = json.loads(FILE.read_text())
SERIES: list[dict[str, str]] = CASES["series"]
PROMETHEUS = os.environ.get("DEMO_PROMETHEUS", "prometheus")

Labels = dict[str, str]

FACTORS = {"total": 1, "dropped_total": 1, "pending": -1}


class Receivers(BaseHTTPRequestHandler):
    """A remote write endpoint for each case. The value of a sample is the number of its series before the rules."""

    received: dict[int, dict[int, Labels]] = defaultdict(dict)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        for labels, values in written_series(body):
            for value in values:
                self.received[int(self.path[1:])][int(value)] = labels
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512


@pytest.fixture(scope="module")
def receivers() -> Iterator[int]:
    with Server(("127.0.0.1", 0), Receivers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def configuration(rules: list[str], port: int = 9) -> str:
    """Returns a configuration with one remote write endpoint for each list of rules."""
    queue = "queue_config: {min_shards: 1, max_shards: 1, batch_send_deadline: 100ms}\n  metadata_config: {send: false}"
    endpoints = (
        f"- url: http://127.0.0.1:{port}/{number}\n  {queue}\n  write_relabel_configs:\n{textwrap.indent(text, '    ')}\n"
        for number, text in enumerate(rules)
    )
    return "global: {}\nremote_write:\n" + "".join(endpoints)


def promtool(path: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(PROMETHEUS).with_name("promtool") if "/" in PROMETHEUS else "promtool"
    return subprocess.run([tool, "check", "config", path], capture_output=True, text=True, timeout=60)


def request(at_ms: int) -> bytes:
    body = bytearray()
    for number, labels in enumerate(SERIES):
        pairs = b"".join(message(1, message(1, name) + message(2, value)) for name, value in sorted(labels.items()))
        sample = double(1, float(number)) + integer(2, at_ms)
        body += message(1, pairs + message(2, sample))
    return snappy(bytes(body))


def processed(base: str) -> int:
    """Returns the number of endpoints to which Prometheus has sent, or for which it has dropped, all series."""
    counts: dict[str, float] = defaultdict(float)
    # A sample counts as sent when its request starts, and as pending until the response.
    for line in get(f"{base}/metrics").decode().splitlines():
        name, _, rest = line.partition("{")
        factor = FACTORS.get(name.removeprefix("prometheus_remote_storage_samples_"))
        if factor:
            counts[rest.split('url="')[1].split('"')[0]] += factor * float(rest.rsplit(" ", 1)[1])
    return sum(count >= len(SERIES) for count in counts.values())


def results_of_prometheus(peers: Peers, receivers: int) -> list[dict[str, Labels | None]]:
    config, port = peers.folder / "relabel.yml", free_port()
    config.write_text(configuration([case["rules"] for case in CASES["cases"]], receivers))
    checked = promtool(config)
    assert checked.returncode == 0, checked.stderr
    peers.start("prometheus", [
        PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={peers.folder / 'tsdb-relabel'}",
        f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
    ])
    base = f"http://127.0.0.1:{port}"
    wait_for("Prometheus is ready", lambda: get(f"{base}/-/ready"))
    # An endpoint gets the samples after its start only.
    time.sleep(5)
    headers = {"content-encoding": "snappy", "content-type": "application/x-protobuf", "x-prometheus-remote-write-version": "0.1.0"}
    status, _, response = post(f"{base}/api/v1/write", request(int(time.time() * 1000)), headers)
    assert status < 300, response
    wait_for("all cases are processed", lambda: processed(base) == len(CASES["cases"]), 90)
    return [changes(Receivers.received[number]) for number in range(len(CASES["cases"]))]


def changes(received: dict[int, Labels]) -> dict[str, Labels | None]:
    """Returns the series that rules change, by number; None for a series that they drop."""
    after = {str(number): received.get(number) for number in range(len(SERIES))}
    return {number: labels for number, labels in after.items() if labels != SERIES[int(number)]}


def one_line_each(cases: dict[str, Any]) -> str:
    """Returns the cases as JSON, with one series, case or list of rules on each line."""
    def lines(value: Any) -> str:
        if not isinstance(value, list):
            return json.dumps(value, ensure_ascii=False)
        return "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in value) + "\n]"

    return "{\n" + ",\n".join(f"{json.dumps(name)}: {lines(value)}" for name, value in cases.items()) + "\n}\n"


def test_results_of_the_cases_are_those_of_prometheus(tmp_path: Path, receivers: int) -> None:
    with Peers(tmp_path) as peers:
        results = results_of_prometheus(peers, receivers)
    if os.environ.get("UPDATE"):
        for case, result in zip(CASES["cases"], results, strict=True):
            case["changes"] = result
        FILE.write_text(one_line_each(CASES))
    different = [case["rules"] for case, result in zip(CASES["cases"], results, strict=True) if case["changes"] != result]
    equal = len(results) - len(different)
    print(f"\nshow: {equal} / {len(results)} relabelling cases have the recorded results of Prometheus, with {len(SERIES)} series each")
    assert not different


def test_invalid_rules_are_refused_by_promtool(tmp_path: Path) -> None:
    def check(numbered: tuple[int, str]) -> tuple[str, int]:
        number, rules = numbered
        path = tmp_path / f"{number}.yml"
        path.write_text(configuration([rules]))
        return rules, promtool(path).returncode

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(check, enumerate(CASES["invalid"])))
    accepted = [rules for rules, code in results if code == 0]
    print(f"\nshow: {len(results) - len(accepted)} / {len(results)} invalid rules are refused by promtool")
    assert not accepted
