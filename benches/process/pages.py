"""Prometheus endpoints on loopback, with the pages of `scrape`."""

from __future__ import annotations

import asyncio
import random

from .scrape import PAGES, page

# Pages with other values, in turns: all values change from one scrape to the next.
VARIANTS = 2


class Pages:
    """Serves pages at all addresses of 127.0.0.0/8."""

    def __init__(self, samples: int) -> None:
        numbers = random.Random(7)
        self.responses = [[response(page(samples, numbers)) for _ in range(PAGES)] for _ in range(VARIANTS)]
        self.targets = 0
        self.served = 0

    async def start(self, targets: int) -> list[str]:
        """Returns the addresses of the targets."""
        self.targets = targets
        self.server = await asyncio.get_running_loop().create_server(lambda: PageConnection(self), "0.0.0.0", 0)
        port = self.server.sockets[0].getsockname()[1]
        return [f"127.0.{1 + number // 250}.{1 + number % 250}:{port}" for number in range(targets)]

    def next(self) -> bytes:
        """Returns the response to the next request. Every target has its next variant after all targets had one."""
        variant = self.responses[self.served // self.targets % VARIANTS]
        self.served += 1
        return variant[self.served % PAGES]


def response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class PageConnection(asyncio.Protocol):
    """Responds to requests without a body."""

    def __init__(self, pages: Pages) -> None:
        self.pages, self.head = pages, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.head += data
        while b"\r\n\r\n" in self.head:
            _, _, self.head = self.head.partition(b"\r\n\r\n")
            self.transport.write(self.pages.next())
