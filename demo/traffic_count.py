"""Counts the bytes that this process sends and receives on its sockets.

/proc counts bytes per network namespace, which all services of the shop share. The counts exclude IP and TCP headers.
"""

import socket
from typing import Any

received = 0
sent = 0


class CountedSocket(socket.socket):
    """A socket that counts its bytes."""

    def recv(self, *args: Any) -> bytes:
        data = super().recv(*args)
        add_received(len(data))
        return data

    def recv_into(self, *args: Any) -> int:
        length = super().recv_into(*args)
        add_received(length)
        return length

    def send(self, *args: Any) -> int:
        length = super().send(*args)
        add_sent(length)
        return length

    def sendall(self, data: Any, *args: Any) -> None:
        super().sendall(data, *args)
        add_sent(memoryview(data).nbytes)


def add_received(length: int) -> None:
    global received
    received += length


def add_sent(length: int) -> None:
    global sent
    sent += length


def start() -> None:
    """Counts all sockets that are created from now on, including accepted connections."""
    socket.socket = CountedSocket  # type: ignore[misc]
