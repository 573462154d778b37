"""Tables and targets of the benchmarks, what they read, and what they send to other collectors."""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benches.process import collectors, compare, one, payloads, remote_write, table, template  # noqa: E402
from benches.process.aws import Loopback  # noqa: E402
from benches.process.payloads import field  # noqa: E402
from benches.process.targets import METRICS, Goal, Metric  # noqa: E402

TEMPLATE = """\
Resources:
  Other:
    Properties:
      Environment:
        Variables:
          OF_ANOTHER_FUNCTION: "1"

  Function:
    Type: AWS::Serverless::Function
    Properties:
      # A comment.
      Events: {Schedule: {Type: Schedule}}

      Environment:
        Variables:
          ADDRESS: !If
            - CreateWorkspace
            - !Sub "${Workspace}api"
            - !Ref RemoteWriteUrl
          REFERENCE: !Ref Clusters
          # Why.
          MALLOC_TRIM_THRESHOLD_: "100000000" # In bytes.
          NUMBER: 5 # Another.

          SINGLE: 'a b'
          NESTED: {a: b}
          EMPTY: ""
      Events:
        Variables:
          LATER: "1"
"""


def test_constants_of_the_function_are_read():
    expected = {"MALLOC_TRIM_THRESHOLD_": "100000000", "NUMBER": "5", "SINGLE": "a b", "EMPTY": ""}
    assert template.constants(TEMPLATE) == expected


def test_template_without_the_function_is_an_error():
    with pytest.raises(ValueError, match="no variables"):
        template.constants("Resources: {}\n")


def test_variables_of_this_template_can_be_read():
    assert all(not value.startswith("!") for value in template.variables().values())


@pytest.mark.parametrize(
    ("value", "result"), [(9, "missed by 29%"), (7, "target met"), (4.1, "target met"), (4, "stretch target met")]
)
def test_result_names_the_target_that_is_met(value, result):
    assert Goal(7, 4).result(value) == result


def test_goal_without_stretch_target_is_met():
    assert Goal(0.5).result(0.1) == "target met"
    assert Goal().result(1) == ""


def test_stretch_targets_are_harder_than_targets():
    goals = [goal for metric in METRICS.values() for goal in (metric.goal, metric.ratio)]
    assert all(goal.stretch < goal.target for goal in goals if goal.stretch is not None)


@pytest.mark.parametrize(
    ("old", "new", "cells"),
    [
        (10.0, 6.0, ["10.0", "6", "**0.60**", "× 0.85", "× 0.65", "stretch target met"]),
        (2000.0, 1800.0, ["2,000", "1,800", "**0.90**", "× 0.85", "× 0.65", "missed by 6%"]),
        (None, 6.0, ["-", "6", "-", "× 0.85", "× 0.65", ""]),
    ],
)
def test_target_of_a_ratio_is_compared_with_the_ratio(old, new, cells):
    metric = Metric("time", "µs", Goal(1), Goal(0.85, 0.65))
    assert table.compared_row(metric, old, new) == ["time", "µs", *cells]


def test_target_of_a_value_is_compared_with_the_newer_value():
    row = table.compared_row(Metric("time", "µs", Goal(120, 80)), None, 100.0)
    assert row == ["time", "µs", "-", "100", "-", "120", "80.0", "target met"]


def test_rows_are_in_the_order_of_the_metrics():
    rows = table.measured({"zip": 4.2, "span": 3.456, "stats": 101.0}).splitlines()[4:]
    assert rows[0] == "| CPU time per span, requests of 500 to X-Ray | µs | **3.46** | 7 | 4 | stretch target met |"
    assert [row.split(" | ")[2] for row in rows] == ["**3.46**", "**101**", "**4.2**"]


def test_table_replaces_the_text_between_its_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\nold\n<!-- /x -->\n<!-- y -->\nkept\n<!-- /y -->\n")
    table.write(page, "x", "new")
    assert page.read_text() == "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\n<!-- y -->\nkept\n<!-- /y -->\n"
    with pytest.raises(SystemExit, match="missing markers"):
        table.write(page, "z", "new")


def test_output_of_the_scheduled_run_is_read():
    output = (
        "scheduled run: 10000 tasks into 100 shards in 5100 ms; calls {}\nshards: 1 samples, 2 bytes in 3300 ms; calls {}\n"
        "processor: 3140 ms\nmemory: VmHWM:\t   38500 kB\n"
    )
    assert one.scheduled_run(output) == {"tasks": 8.4, "tasks-cpu": 314.0, "tasks-peak": pytest.approx(39.424)}
    assert one.scheduled_run("") == {}


def test_lowest_value_of_a_comparison_is_bold():
    columns = {"a": {compare.SPAN: 3.0, compare.IDLE_CPU: 0.0}, "b": {compare.SPAN: 2.5, compare.IDLE_CPU: 40.0}, "c": {compare.IDLE_CPU: None}}
    rows = compare.rendered(columns).splitlines()
    assert rows[0] == "|  | unit | a | b | c |"
    assert rows[2] == f"| {compare.SPAN} | µs | 3 | **2.5** | - |"
    assert f"| {compare.IDLE_CPU} | ms | **0** | 40.0 | - |" in rows
    assert f"| {compare.POINT} | µs | - | - | - |" in rows


def test_addresses_are_replaced_in_the_configuration_of_a_collector(tmp_path):
    files = {"name": collectors.PROMETHEUS_FILE}
    collector = collectors.Collector("x", Path("/x"), "1", ["-a=AWS/w", "AWS", "PORT", "FOLDER/f"], {}, True, 1, files=files, scrape_file="name")
    running = collectors.Running(collector, Loopback(port=7), tmp_path, ["127.0.1.1:8", "127.0.1.2:8"])
    assert [running.replaced(text) for text in collector.arguments] == [
        "-a=http://127.0.0.1:7/w", "http://127.0.0.1:7", str(running.port), f"{tmp_path}/f",
    ]
    written = (tmp_path / "name").read_text()
    assert "url: http://127.0.0.1:7/api" in written and 'targets: ["127.0.1.1:8", "127.0.1.2:8"]' in written


def snappy(*elements: bytes, size: int) -> bytes:
    return bytes([size]) + b"".join(elements)


def test_snappy_is_decompressed():
    literal = lambda text: bytes([(len(text) - 1) << 2]) + text  # noqa: E731
    assert remote_write.decompress(snappy(literal(b"abcd"), size=4)) == b"abcd"
    assert remote_write.decompress(snappy(literal(b"abcd"), bytes([(4 - 4) << 2 | 1, 4]), size=8)) == b"abcdabcd"
    # A copy that overlaps what it writes.
    assert remote_write.decompress(snappy(literal(b"ab"), bytes([(5 - 1) << 2 | 2, 2, 0]), size=7)) == b"abababa"
    assert remote_write.decompress(snappy(bytes([60 << 2, 2]) + b"xyz", size=3)) == b"xyz"
    with pytest.raises(ValueError, match="instead of"):
        remote_write.decompress(snappy(literal(b"ab"), size=3))


def test_samples_of_remote_write_are_counted():
    sample = field(2, b"\x09" + bytes(8) + b"\x10\x01")
    series = field(1, field(1, field(1, b"name") + field(2, b"value")) + sample + sample)
    metadata = field(3, b"\x08\x01" + field(2, b"family"))
    message = series + metadata + series
    assert remote_write.samples(bytes([len(message)]) + bytes([60 << 2, len(message) - 1]) + message) == 4


def test_request_is_split_into_requests_with_the_same_resource_and_scope():
    resource, scope, spans = field(1, b"r"), field(1, b"s"), [field(2, bytes([65 + number]) * 200) for number in range(5)]
    request = field(1, resource + field(2, scope + b"".join(spans)))
    assert payloads.split_spans(request, 5) == [request]
    parts = payloads.split_spans(request, 2)
    assert parts == [field(1, resource + field(2, scope + b"".join(part))) for part in (spans[:2], spans[2:4], spans[4:])]


def test_times_of_data_points_are_moved_to_the_present():
    point = struct.pack("<QQ", payloads.STARTED_NS, payloads.AT_NS)
    started, at = struct.unpack("<QQ", payloads.at_present(point))
    assert at - started == payloads.AT_NS - payloads.STARTED_NS and abs(at - time.time_ns()) < 60e9
