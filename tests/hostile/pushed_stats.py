"""Hostile pushes of task stats: bodies of up to 1 MiB, the limit of the route, and larger ones.

The task runs and declares that it pushes, so that only the body can be a reason for a rejection. Its container is `c0` with the ID `d0`.
"""

from __future__ import annotations

import json

from inputs import ACCOUNT, ATTACKER, CONTAINER_STATS, JSON, ONE_CONTAINER, STATS, add
from wire import numbered

PUSHED = {"path": "/v1/ecs/task-stats", "headers": JSON, "settings": {"SIDECARLESS_SOURCES": "push", "SIDECARLESS_STATS_METRICS": "all"}}
# Half of the limit, without a margin for the rest of both documents.
HALF = (1 << 19) - 2_000


def task_document(containers: bytes = ONE_CONTAINER, more: bytes = b"", **fields: str) -> bytes:
    """The document /task of the task that pushes. `more` has further members, each with a comma at its end."""
    head = {"Cluster": "prod", "TaskARN": f"{ACCOUNT}task/prod/{ATTACKER}", "Family": "attacker", "Revision": "1"} | fields
    return json.dumps(head)[:-1].encode() + b"," + more + b'"Containers":' + containers + b"}"


def stats_document(more: bytes) -> bytes:
    """The document /task/stats of its container and of others, each with a comma at its end."""
    return STATS[:-1] + b"," + more[:-1] + b"}"


def containers(others: bytes) -> bytes:
    """A list of its container and others, each with a comma at its end. The function reads the first ones."""
    return ONE_CONTAINER[:-1] + b"," + others[:-1] + b"]"


def filled(template: bytes, size: int) -> bytes:
    """Numbered repetitions of a template that take this many bytes."""
    return numbered(template, size // len(template))


def container(**members: object) -> bytes:
    """A list of containers with the one that ECS reports, with more members."""
    return json.dumps([{"DockerId": "d0", "Name": "c0"} | members]).encode()


@add("task-stats: keys of both documents", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(more=filled(b'"0000000":1,', HALF)) + stats_document(filled(b'"0000000":null,', HALF))


@add("task-stats: a million keys", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(more=numbered(b'"0000000":1,', 1_000_000)) + stats_document(numbered(b'"0000000":null,', 1_000_000))


@add("task-stats: nested arrays", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(more=b'"a":' + b"[" * HALF + b"]" * HALF + b",") + STATS


@add("task-stats: nested objects without an end", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document() + b'{"a":' * (2 * HALF // 5)


@add("task-stats: 10000 containers", "push_stats", **PUSHED)
def _() -> bytes:
    others = numbered(b'{"DockerId":"e0000000","Name":"n0000000"},', 10_000)
    return task_document(containers(others)) + stats_document(numbered(b'"e0000000":{"id":"e0000000"},', 10_000))


@add("task-stats: containers without an ID", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(containers(b"{}," * (HALF // 3))) + stats_document(filled(b'"e0000000":null,', HALF))


@add("task-stats: containers with the ID of the task", "push_stats", **PUSHED)
def _() -> bytes:
    same = ONE_CONTAINER[1:-1] + b","
    return task_document(containers(same * (HALF // len(same)))) + stats_document(filled(b'"e0000000":null,', HALF))


@add("task-stats: pause containers", "push_stats", **PUSHED)
def _() -> bytes:
    pause = b'{"DockerId":"e0000000","Name":"~internal~ecs~pause","Type":"CNI_PAUSE"},'
    return task_document(containers(filled(pause, HALF))) + stats_document(filled(b'"e0000000":{"memory_stats":{"usage":1}},', HALF))


@add("task-stats: networks of a container", "push_stats", **PUSHED)
def _() -> bytes:
    stats = CONTAINER_STATS["d0"] | {"networks": {f"n{number}": {"rx_bytes": 1} for number in range(HALF // 26)}}
    return task_document() + json.dumps({"d0": stats}).encode()


@add("task-stats: the same container in the stats", "push_stats", **PUSHED)
def _() -> bytes:
    same = STATS[1:-1] + b","
    return task_document() + stats_document(same * (2 * HALF // len(same)))


@add("task-stats: the same member in the metadata", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(more=b'"Family":"x",' * (2 * HALF // 13)) + STATS


@add("task-stats: values one after the other", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document() + STATS + b"{}" * HALF


@add("task-stats: name of a container", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(container(Name="n" * 900_000)) + STATS


@add("task-stats: escaped image of a container", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(container(Image="\x01" * 150_000)) + STATS


@add("task-stats: ARN of a task", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(TaskARN=f"{ACCOUNT}task/prod/{'a' * 900_000}") + STATS


@add("task-stats: cluster of an ARN", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document(TaskARN=f"{ACCOUNT}task/{'c' * 900_000}/{ATTACKER}") + STATS


@add("task-stats: ID of a container", "push_stats", **PUSHED)
def _() -> bytes:
    long_id = "d" * 450_000
    return task_document(container(DockerId=long_id)) + json.dumps({long_id: CONTAINER_STATS["d0"]}).encode()


@add("task-stats: text that is not JSON", "push_stats", **PUSHED)
def _() -> bytes:
    return b"wget: " + b"\x1b" * 900_000


@add("task-stats: digits of a number", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document() + b'{"d0":{"id":"d0","memory_stats":{"usage":' + b"9" * 900_000 + b"}}}"


@add("task-stats: gzip of 200 MB", "push_stats", **PUSHED)
def _() -> bytes:
    return task_document() + b" " * 200_000_000 + STATS
