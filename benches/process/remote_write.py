"""Counts the samples of remote write requests: snappy block format, and the protobuf message `prometheus.WriteRequest`."""

from __future__ import annotations

from collections.abc import Iterator

# Fields of WriteRequest and TimeSeries (prompb/types.proto).
TIMESERIES, SAMPLES = 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def samples(body: bytes) -> int:
    series = (value for number, value in fields(decompress(body)) if number == TIMESERIES)
    return sum(number == SAMPLES for one in series for number, _ in fields(one))


def decompress(block: bytes) -> bytes:
    """Decompresses snappy (format_description.txt of the library)."""
    size, at = varint(block, 0)
    out = bytearray()
    while at < len(block):
        tag, at = block[at], at + 1
        kind, length = tag & 3, (tag >> 2) + 1
        if kind == 0:
            if length > 60:
                extra = length - 60
                length, at = int.from_bytes(block[at : at + extra], "little") + 1, at + extra
            out += block[at : at + length]
            at += length
            continue
        if kind == 1:
            length, offset, at = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | block[at], at + 1
        else:
            width = 2 if kind == 2 else 4
            offset, at = int.from_bytes(block[at : at + width], "little"), at + width
        for _ in range(length) if offset < length else ():
            out.append(out[-offset])
        if offset >= length:
            start = len(out) - offset
            out += out[start : start + length]
    if len(out) != size:
        raise ValueError(f"{len(out)} bytes instead of {size}")
    return bytes(out)


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Returns the number of each field, and its value if it is a string or a message."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            _, at = varint(message, at)
            yield number, b""
        elif kind == BYTES:
            length, at = varint(message, at)
            yield number, message[at : at + length]
            at += length
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
            yield number, b""
        else:
            raise ValueError(f"wire type {kind}")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns the number, and the position after it."""
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
