"""A proxy that fails at random, before or after its peer has heard the request."""

from __future__ import annotations

import random
import threading
import time
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from demo.peers import post

# How often which fault is met while nothing else is wrong; in an outage every request meets one of the first four.
CALM = {"fail": 0.06, "busy": 0.05, "throttle": 0.04, "drop": 0.04, "mute": 0.05, "slow": 0.08}


class Faulty(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, peer: str, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.peer = peer
        self.random = random.Random(seed)
        self.outage = False
        self.calm = threading.Event()
        self.met: dict[str, int] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def next(self) -> str:
        if self.calm.is_set():
            return "none"
        if self.outage:
            fault = self.random.choice(["fail", "busy", "throttle", "drop"])
        else:
            dice, fault = self.random.random(), "none"
            for name, share in CALM.items():
                if 0 <= dice < share:
                    fault = name
                dice -= share
        self.met[fault] = self.met.get(fault, 0) + 1
        return fault

    def handle_error(self, *_: object) -> None:
        """Clients that were killed have closed their connections."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Faulty

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        fault = self.server.next()
        statuses = {"fail": 500, "busy": 503, "throttle": 429}
        if fault in statuses:
            return self.answer(statuses[fault], b"not now", {"retry-after": "1"} if fault == "busy" else {})
        if fault == "drop":
            self.close_connection = True
            return None
        if fault == "slow":
            time.sleep(self.server.random.uniform(0.1, 1.5))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
        try:
            status, given, answer = post(self.server.peer + self.path, body, headers)
        except (urllib.error.URLError, OSError):
            self.close_connection = True
            return None
        if fault == "mute":
            # The peer has done what was asked, and nobody hears of it.
            self.close_connection = True
            return None
        kept = {name: value for name, value in given.items() if name.lower() in ("content-type", "retry-after")}
        return self.answer(status, answer, kept)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
