"""Bytes that this process sent and received, counted at its sockets.

/proc counts bytes by network namespace, and the services of the shop share one: so each counts its own. What the headers of
IP and TCP add is not in it.
"""

import socket
from typing import Any

received = 0
sent = 0


class CountedSocket(socket.socket):
    """A socket that adds up what goes through it."""

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
    """Counts every socket made from now on, those of accepted connections included."""
    socket.socket = CountedSocket  # type: ignore[misc]
