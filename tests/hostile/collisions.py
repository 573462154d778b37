"""Texts that have the same hash under foldhash with its fixed, public seed."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
MASK = 2**64 - 1
# Constants of foldhash (crate foldhash, src/seed.rs and src/lib.rs).
SEED, KEY = 0x082EFA98EC4E6C89, 0xC0AC29B7C97C50DD
LENGTH = 95


@functools.lru_cache(None)
def colliding_texts(prefix: bytes) -> Callable[[int], bytes]:
    """Returns a function from a number to a text of 95 bytes that begins with the prefix. All texts have the same hash.

    foldhash multiplies pairs of words. In these texts, one word of a pair is equal to the state it is combined with, so that the
    product is zero whatever the other word is. The other word is the number.
    """
    start = (SEED >> LENGTH % 64 | SEED << 64 - LENGTH % 64) & MASK
    rng = random.Random(1)
    while True:
        text = bytearray(rng.choice(LETTERS) for _ in range(LENGTH))
        text[: len(prefix)] = prefix
        product = (word(text, 0) ^ start) * (word(text, LENGTH - 16) ^ KEY)
        state = ((product & MASK) ^ (product >> 64)).to_bytes(8, "little")
        if all(byte in LETTERS for byte in state):
            break
    text[16:24] = state
    before, after = bytes(text[: LENGTH - 32]), bytes(text[LENGTH - 24 :])
    return lambda number: before + b"%08d" % number + after


def word(text: bytearray, at: int) -> int:
    return int.from_bytes(text[at : at + 8], "little")


def colliding_label_values(name: bytes, count: int) -> list[bytes]:
    """Label values that all give the encoded label of a remote write request the same hash."""
    head = b"\x0a" + bytes([len(name)]) + name + b"\x12" + bytes([LENGTH - 4 - len(name)])
    make = colliding_texts(head)
    return [make(number)[len(head) :] for number in range(count)]
