"""A proxy that fails at random, before or after it has forwarded the request."""

from __future__ import annotations

import random
import threading
import time
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from demo.peers import post

# Probability of each fault outside of outages. In an outage, each request has one of the first four faults.
FAULT_RATES = {"fail": 0.06, "busy": 0.05, "throttle": 0.04, "drop": 0.04, "mute": 0.05, "slow": 0.08}


class RandomFaultProxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, peer: str, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.peer = peer
        self.random = random.Random(seed)
        self.outage = False
        self.disabled = threading.Event()
        self.fault_counts: dict[str, int] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def next_fault(self) -> str:
        if self.disabled.is_set():
            return "none"
        if self.outage:
            fault = self.random.choice(["fail", "busy", "throttle", "drop"])
        else:
            remainder, fault = self.random.random(), "none"
            for name, share in FAULT_RATES.items():
                if 0 <= remainder < share:
                    fault = name
                remainder -= share
        self.fault_counts[fault] = self.fault_counts.get(fault, 0) + 1
        return fault

    def handle_error(self, *_: object) -> None:
        """Ignores errors: killed clients close their connections."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RandomFaultProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        fault = self.server.next_fault()
        statuses = {"fail": 500, "busy": 503, "throttle": 429}
        if fault in statuses:
            return self.respond(statuses[fault], b"injected fault", {"retry-after": "1"} if fault == "busy" else {})
        if fault == "drop":
            self.close_connection = True
            return None
        if fault == "slow":
            time.sleep(self.server.random.uniform(0.1, 1.5))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
        try:
            status, response_headers, response = post(self.server.peer + self.path, body, headers)
        except (urllib.error.URLError, OSError):
            self.close_connection = True
            return None
        if fault == "mute":
            # The server has processed the request, but the client gets no response.
            self.close_connection = True
            return None
        forwarded = {name: value for name, value in response_headers.items() if name.lower() in ("content-type", "retry-after")}
        return self.respond(status, response, forwarded)

    def respond(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
