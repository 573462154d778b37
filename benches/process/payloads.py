"""OTLP requests for collectors, from the events for the function."""

from __future__ import annotations

import base64
import json
import struct
import time

from .remote_write import fields

# `AT_NANOS` in benches/payload/mod.rs, the time of all telemetry, and the start of cumulative values.
AT_NS = 1_795_389_900_000_000_000
STARTED_NS = AT_NS - 3_600_000_000_000


def body(event: bytes) -> bytes:
    return base64.b64decode(json.loads(event)["body"])


def at_present(body: bytes) -> bytes:
    """Returns the request with the present time, because collectors drop a second sample of the same series and time."""
    shift = time.time_ns() - AT_NS
    for old in (AT_NS, STARTED_NS):
        body = body.replace(struct.pack("<Q", old), struct.pack("<Q", old + shift))
    return body


def split_spans(request: bytes, size: int) -> list[bytes]:
    """Splits an ExportTraceServiceRequest with one resource and one scope into requests with at most `size` spans."""
    [(_, resource_spans)] = fields(request)
    resource, scope_spans = by_number(resource_spans, 1), by_number(resource_spans, 2)
    scope, spans = by_number(scope_spans[0], 1), by_number(scope_spans[0], 2)
    requests = []
    for start in range(0, len(spans), size):
        chunk = b"".join(field(1, part) for part in scope) + b"".join(field(2, span) for span in spans[start : start + size])
        requests.append(field(1, b"".join(field(1, part) for part in resource) + field(2, chunk)))
    return requests


def by_number(message: bytes, wanted: int) -> list[bytes]:
    return [value for number, value in fields(message) if number == wanted]


def field(number: int, value: bytes) -> bytes:
    """Returns a field with a string or a message."""
    length, size = b"", len(value)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value
