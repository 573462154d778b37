"""Checks that dashboards and rules use existing metrics, and that Grafana can load them."""

import json
import math
import os
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["fleet", "service", "sidecarless"]

# Metrics that are not in the tables of docs/metrics.md, and metrics that SDKs write for http.server.request.duration.
OTHER_METRICS = {
    "up",
    "scrape_duration_seconds",
    "http_server_request_duration_seconds_count",
    "http_server_request_duration_seconds_bucket",
}


def board(name):
    return json.loads((ROOT / f"grafana/{name}.json").read_text())


def rules():
    groups = yaml.safe_load((ROOT / "prometheus/rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def known_metrics():
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/metrics.md").read_text(), re.M)
    return set(listed) | OTHER_METRICS | {rule["record"] for rule in rules() if "record" in rule}


def metrics(expression):
    """Returns the metric names in an expression, without labels and functions."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\boffset \w+", "", bare)
    words = re.findall(r"[a-zA-Z_][\w:]*(?!\w|\s*\()", bare)
    return {word for word in words if word not in {"and", "or", "unless", "by", "bool"}}


def expressions(board):
    queries = [(panel["title"], target) for panel in board["panels"] for target in panel.get("targets", [])]
    queries += [(annotation["name"], annotation) for annotation in board.get("annotations", {}).get("list", [])]
    for title, query in queries:
        if "expr" in query:
            yield title, query["expr"].replace("$__range", "3h").replace("$memory", "512")


@pytest.mark.parametrize("name", NAMES)
def test_panels_use_existing_metrics(name):
    queries = list(expressions(board(name)))
    assert queries
    for title, expression in queries:
        assert metrics(expression) and metrics(expression) <= known_metrics(), f"{title}: {metrics(expression) - known_metrics()}"


def test_rules_use_existing_metrics():
    for rule in rules():
        assert metrics(rule["expr"]) and metrics(rule["expr"]) <= known_metrics(), rule


def test_ranges_suffice_for_every_interval_of_cloudwatch():
    """A sample is followed by the next one after the interval, the lag, the precision of the schedule, and a run."""
    table = (ROOT / "src/settings/table/discovery.rs").read_text().split('"SIDECARLESS_CLOUDWATCH_INTERVAL"')[1]
    interval = int(re.search(r"values::minutes_or_off\(text, 1\.\.=(\d+)\)", table)[1])
    lag = int(re.search(r"const LAG_MS: i64 = ([\d_]+);", (ROOT / "src/handlers/run/cloudwatch.rs").read_text())[1]) // 60_000
    run = math.ceil(int(re.search(r"^ {6}Timeout: (\d+)$", (ROOT / "template.yaml").read_text(), re.M)[1]) / 60)
    longest = interval + lag + 1 + run
    queries = [expression for name in NAMES for _, expression in expressions(board(name))] + [rule["expr"] for rule in rules()]
    ranges = [each for query in queries for each in re.findall(r"last_over_time\(ecs_service_\w+_percent\{[^}]*\}\[(\d+)m\]\)", query)]
    named = sum(len(re.findall(r"\becs_service_(?:\w+_percent|connect_\w+)", query)) for query in queries)
    assert len(ranges) == named > 5, "each query looks back far enough"
    assert {int(minutes) for minutes in ranges} == {longest + 1}, longest
    assert f"percent[{longest + 1}m]" in (ROOT / "docs/metrics.md").read_text()


def test_every_alert_and_record_is_tested():
    tested = (ROOT / "prometheus/tests.yaml").read_text()
    for rule in rules():
        assert rule.get("alert", rule.get("record")) in tested or rule["record"].startswith("task:"), rule


def promtool(*arguments):
    """Runs promtool from PATH, or from the Debian package `prometheus` that scripts/lib.sh unpacks."""
    unpacked = ROOT / ".tools/prometheus/usr/bin/promtool"
    tool = shutil.which("promtool") or (unpacked if unpacked.exists() else None)
    assert tool, "promtool is missing: scripts/test downloads it with prometheus"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=120)


def test_rules_pass_their_promtool_tests():
    ran = promtool("test", "rules", ROOT / "prometheus/tests.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_panel_expressions_can_be_parsed(tmp_path):
    queries = [expression for name in NAMES for _, expression in expressions(board(name))]
    parsed = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(queries)]
    (tmp_path / "panels.yaml").write_text(json.dumps({"groups": [{"name": "panels", "rules": parsed}]}))
    ran = promtool("check", "rules", tmp_path / "panels.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", NAMES)
def test_panels_do_not_overlap(name):
    occupied, ids = {}, set()
    for panel in board(name)["panels"]:
        assert panel["id"] not in ids
        ids.add(panel["id"])
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in occupied, f"{panel['title']} overlaps {occupied[cell]}"
            occupied[cell] = panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_declared_variables_are_the_used_variables(name):
    text = (ROOT / f"grafana/{name}.json").read_text()
    declared = {variable["name"] for variable in board(name)["templating"]["list"]}
    used = {a or b for a, b in re.findall(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", text)} - {"__all", "__range"}
    assert used == declared


def test_dashboard_ids_are_unique():
    assert len({board(name)["uid"] for name in NAMES}) == len(NAMES)
    assert {path.stem for path in (ROOT / "grafana").glob("*.json")} == set(NAMES)


def test_provisioning_has_datasources_and_dashboards():
    document = yaml.safe_load((ROOT / "grafana/provisioning.yaml").read_text())
    assert {source["type"] for source in document["datasources"]} >= {"prometheus", "cloudwatch"}
    assert document["providers"][0]["options"]["path"]


class Grafana(BaseHTTPRequestHandler):
    """Fake HTTP API of Grafana, in which the folder already exists."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        status = 412 if self.path == "/api/folders" else self.server.status
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"url": f"/d/{body.get('dashboard', {}).get('uid')}"}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def grafana():
    server = HTTPServer(("127.0.0.1", 0), Grafana)
    server.requests, server.status = [], 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def load(url, token=""):
    environment = {**os.environ, "GRAFANA_TOKEN": token}
    return subprocess.run([ROOT / "grafana/load", url], env=environment, capture_output=True, text=True, timeout=30)


def test_load_creates_each_dashboard_in_the_folder(grafana):
    ran = load(f"http://127.0.0.1:{grafana.server_port}/", token="secret")
    assert ran.returncode == 0, ran.stderr
    paths = [path for path, _, _ in grafana.requests]
    assert paths == ["/api/folders"] + ["/api/dashboards/db"] * 3
    assert {authorization for _, authorization, _ in grafana.requests} == {"Bearer secret"}
    assert [body["dashboard"]["uid"] for _, _, body in grafana.requests[1:]] == [board(name)["uid"] for name in NAMES]
    assert ran.stdout.count("/d/sidecarless-") == 3


def test_load_reports_errors(grafana):
    grafana.status = 403
    ran = load(f"http://admin:p%40ss@127.0.0.1:{grafana.server_port}")
    assert ran.returncode == 1 and "403" in ran.stderr
    assert grafana.requests[0][1] == "Basic YWRtaW46cEBzcw=="
    assert "GRAFANA_TOKEN" in load(f"http://127.0.0.1:{grafana.server_port}").stderr
    assert "usage" in load("grafana").stderr
