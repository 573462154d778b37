"""Dashboards and rules: they ask for what is written, and Grafana takes them."""

import json
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

# Written beside the tables of docs/metrics.md, and what HTTP servers' SDKs write for http.server.request.duration.
ALSO = {
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


def known():
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/metrics.md").read_text(), re.M)
    return set(listed) | ALSO | {rule["record"] for rule in rules() if "record" in rule}


def metrics(expression):
    """Names that a selector or a bracketed argument begins with, labels and functions left out."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\boffset \w+", "", bare)
    words = re.findall(r"[a-zA-Z_][\w:]*(?!\w|\s*\()", bare)
    return {word for word in words if word not in {"and", "or", "unless", "by", "bool"}}


def expressions(board):
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            if "expr" in target:
                yield panel["title"], target["expr"].replace("$__range", "3h").replace("$memory", "512")


@pytest.mark.parametrize("name", NAMES)
def test_panels_ask_for_metrics_that_are_written(name):
    asked = list(expressions(board(name)))
    assert asked
    for title, expression in asked:
        assert metrics(expression) and metrics(expression) <= known(), f"{title}: {metrics(expression) - known()}"


def test_rules_ask_for_metrics_that_are_written():
    for rule in rules():
        assert metrics(rule["expr"]) and metrics(rule["expr"]) <= known(), rule


def test_every_alert_and_record_is_tested():
    tested = (ROOT / "prometheus/tests.yaml").read_text()
    for rule in rules():
        assert rule.get("alert", rule.get("record")) in tested or rule["record"].startswith("task:"), rule


def promtool(*arguments):
    """Debian's package `prometheus` has it, on PATH or where scripts/lib.sh unpacks it."""
    unpacked = ROOT / ".tools/prometheus/usr/bin/promtool"
    tool = shutil.which("promtool") or (unpacked if unpacked.exists() else None)
    assert tool, "promtool is missing: scripts/test fetches it with prometheus"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=120)


def test_rules_do_what_their_tests_say():
    ran = promtool("test", "rules", ROOT / "prometheus/tests.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_expression_of_a_panel_can_be_parsed(tmp_path):
    asked = [expression for name in NAMES for _, expression in expressions(board(name))]
    parsed = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "panels.yaml").write_text(json.dumps({"groups": [{"name": "panels", "rules": parsed}]}))
    ran = promtool("check", "rules", tmp_path / "panels.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_a_place_of_their_own(name):
    taken, ids = {}, set()
    for panel in board(name)["panels"]:
        assert panel["id"] not in ids
        ids.add(panel["id"])
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_each_variable_that_is_used_is_there_and_the_other_way_round(name):
    text = (ROOT / f"grafana/{name}.json").read_text()
    declared = {variable["name"] for variable in board(name)["templating"]["list"]}
    used = {a or b for a, b in re.findall(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", text)} - {"__all", "__range"}
    assert used == declared


def test_dashboards_have_ids_of_their_own():
    assert len({board(name)["uid"] for name in NAMES}) == len(NAMES)
    assert {path.stem for path in (ROOT / "grafana").glob("*.json")} == set(NAMES)


def test_provisioning_is_yaml_with_both_parts():
    document = yaml.safe_load((ROOT / "grafana/provisioning.yaml").read_text())
    assert {source["type"] for source in document["datasources"]} >= {"prometheus", "cloudwatch"}
    assert document["providers"][0]["options"]["path"]


class Grafana(BaseHTTPRequestHandler):
    """Stands in for Grafana's HTTP API, whose folder is there already."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append((self.path, self.headers["Authorization"], body))
        status = 412 if self.path == "/api/folders" else self.server.status
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"url": f"/d/{body.get('dashboard', {}).get('uid')}"}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def grafana():
    server = HTTPServer(("127.0.0.1", 0), Grafana)
    server.heard, server.status = [], 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def load(url, token=""):
    environment = {**os.environ, "GRAFANA_TOKEN": token}
    return subprocess.run([ROOT / "grafana/load", url], env=environment, capture_output=True, text=True, timeout=30)


def test_load_puts_each_dashboard_into_the_folder(grafana):
    ran = load(f"http://127.0.0.1:{grafana.server_port}/", token="secret")
    assert ran.returncode == 0, ran.stderr
    paths = [path for path, _, _ in grafana.heard]
    assert paths == ["/api/folders"] + ["/api/dashboards/db"] * 3
    assert {authorization for _, authorization, _ in grafana.heard} == {"Bearer secret"}
    assert [body["dashboard"]["uid"] for _, _, body in grafana.heard[1:]] == [board(name)["uid"] for name in NAMES]
    assert ran.stdout.count("/d/sidecarless-") == 3


def test_load_says_what_went_wrong(grafana):
    grafana.status = 403
    ran = load(f"http://admin:p%40ss@127.0.0.1:{grafana.server_port}")
    assert ran.returncode == 1 and "403" in ran.stderr
    assert grafana.heard[0][1] == "Basic YWRtaW46cEBzcw=="
    assert "GRAFANA_TOKEN" in load(f"http://127.0.0.1:{grafana.server_port}").stderr
    assert "usage" in load("grafana").stderr
