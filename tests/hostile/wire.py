"""OTLP, remote write and snappy on the wire. Client libraries cannot encode the requests that the tests need."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator

NOW = time.time_ns()
TRACE_ID, SPAN_ID = b"\x01" * 16, b"\x02" * 8
SERVER, ERROR = 2, 2

Pairs = Iterable[tuple[str, str | bytes]]


# ---- protobuf


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(field: int, content: str | bytes) -> bytes:
    """A length-delimited field: a message, a string or bytes."""
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def integer(field: int, number: int) -> bytes:
    return varint(field << 3) + varint(number & 2**64 - 1)


def zigzag(field: int, number: int) -> bytes:
    return integer(field, number << 1 if number >= 0 else (-number << 1) - 1)


def fixed64(field: int, number: int) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<Q", number)


def double(field: int, number: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", number)


def fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message."""
    at = 0
    while at < len(content):
        key, at = read_varint(content, at)
        if key & 7 == 0:
            value, at = read_varint(content, at)
            yield key >> 3, value
        elif key & 7 == 1:
            yield key >> 3, content[at : at + 8]
            at += 8
        else:
            length, at = read_varint(content, at)
            yield key >> 3, content[at : at + length]
            at += length


def read_varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


# ---- repeated parts, each built from a template


def numbered(template: bytes, count: int, placeholder: bytes = b"0000000") -> bytes:
    """Repeats the template, with the number of the repetition, of seven digits, instead of the placeholder."""
    before, after = template.split(placeholder, 1)
    return b"".join([before + b"%07d" % number + after for number in range(count)])


TIME = b"\xfe\xdc\xba\x98\x76\x54\x32\x10"


def time_placeholder(field: int) -> bytes:
    return varint(field << 3 | 1) + TIME


def at_times(template: bytes, times: Iterable[int]) -> bytes:
    """Repeats the template for each time, with the time instead of the placeholder."""
    before, after = template.split(TIME, 1)
    return b"".join([before + struct.pack("<Q", at) + after for at in times])


def descending_times(count: int) -> Iterator[int]:
    return (NOW - number * 10**6 for number in range(count))


def ascending_times(count: int) -> Iterator[int]:
    return (NOW - number * 10**6 for number in reversed(range(count)))


# ---- OTLP


def attribute(key: str | bytes, value: str | bytes) -> bytes:
    """KeyValue with a string."""
    return message(1, key) + message(2, message(1, value))


def attribute_of(key: str | bytes, any_value: bytes) -> bytes:
    """KeyValue with any AnyValue."""
    return message(1, key) + message(2, any_value)


def attributes(field: int, pairs: Pairs) -> bytes:
    return b"".join(message(field, attribute(key, value)) for key, value in pairs)


def resource(pairs: Pairs = (), more: bytes = b"") -> bytes:
    return message(1, attributes(1, [("service.name", "cart"), *pairs]) + more)


def metrics(data: bytes, of: bytes | None = None) -> bytes:
    of = resource([("service.instance.id", "i1")]) if of is None else of
    return message(1, of + message(2, data))


def gauge(points: bytes, name: str = "g") -> bytes:
    return message(2, message(1, name) + message(5, points))


def counter(points: bytes) -> bytes:
    return message(2, message(1, b"c") + message(7, points + integer(2, 2) + integer(3, 1)))


def histogram(points: bytes) -> bytes:
    return message(2, message(1, b"h") + message(9, points + integer(2, 2)))


def exponential_histogram(points: bytes) -> bytes:
    return message(2, message(1, b"e") + message(10, points + integer(2, 2)))


def number_point(more: bytes = b"", at: int = NOW) -> bytes:
    return message(1, fixed64(3, at) + double(4, 1.0) + more)


def exemplar(value: float, more: bytes = b"") -> bytes:
    return more + fixed64(2, NOW) + double(3, value) + message(4, SPAN_ID) + message(5, TRACE_ID)


def counts(values: list[int]) -> bytes:
    """Bucket counts of a histogram point."""
    return message(6, struct.pack(f"<{len(values)}Q", *values))


# One point of a histogram with a single bucket.
HISTOGRAM_POINT = message(1, time_placeholder(3) + fixed64(4, 1) + double(5, 1.0) + counts([1]))


def span(more: bytes = b"") -> bytes:
    identity = message(1, b"\x6a" * 16) + message(2, b"\x01" * 8) + message(5, "x") + integer(6, SERVER)
    return message(2, identity + fixed64(7, NOW) + fixed64(8, NOW + 10**6) + more)


def traces(data: bytes, of: bytes | None = None) -> bytes:
    return message(1, (resource() if of is None else of) + message(2, data))


def exception(stack: str, language: str) -> bytes:
    pairs = [("exception.type", "E"), ("exception.message", "m"), ("exception.stacktrace", stack)]
    event = message(11, fixed64(1, NOW) + message(2, b"exception") + attributes(3, pairs))
    return traces(span(event + message(15, integer(3, ERROR))), resource([("telemetry.sdk.language", language)]))


# ---- snappy, raw format


def snappy(body: bytes) -> bytes:
    """Compresses a body that repeats itself: literals of 60 bytes, and copies of 64 bytes where the body repeats them."""
    out, at = bytearray(varint(len(body))), 0
    while at < len(body):
        chunk = body[at : at + 60]
        out += bytes([len(chunk) - 1 << 2]) + chunk
        at += len(chunk)
        while len(chunk) == 60 and at + 64 <= len(body) and body[at : at + 64] == body[at - 60 : at + 4]:
            out += bytes([63 << 2 | 2]) + struct.pack("<H", 60)
            at += 64
    return bytes(out)


def unsnappy(body: bytes) -> bytes:
    _, at = read_varint(body, 0)
    out = bytearray()
    while at < len(body):
        tag = body[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(body[at : at + extra], "little")
                at += extra
            out += body[at : at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | body[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(body[at : at + width], "little")
            at += width
        while length > 0:
            part = out[len(out) - offset : len(out) - offset + length]
            out += part
            length -= len(part)
    return bytes(out)


# ---- remote write


def written_series(request: bytes) -> Iterator[tuple[dict[str, str], list[float]]]:
    """Labels and sample values of each series of a remote write request."""
    for number, series in fields(unsnappy(request)):
        if number != 1 or not isinstance(series, bytes):
            continue
        labels, values = {}, []
        for field, content in fields(series):
            assert isinstance(content, bytes)
            parts = dict(fields(content))
            if field == 1:
                labels[bytes(parts.get(1, b"")).decode()] = bytes(parts.get(2, b"")).decode()  # type: ignore[arg-type]
            elif field == 2:
                values.append(struct.unpack("<d", parts.get(1, b"\0" * 8))[0])  # type: ignore[arg-type]
        yield labels, values
