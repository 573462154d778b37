"""Proxy in front of a server. It forwards requests, and responds with 503 to all of them during an outage."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from demo.peers import free_port, post

# Paths of AMP and Prometheus differ (Amazon Managed Service for Prometheus, "RemoteWrite").
PATHS = {"/workspaces/ws-deployed/api/v1/remote_write": "/api/v1/write"}


class FaultProxy:
    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.outage = threading.Event()
        self.refused = 0
        port = free_port()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if proxy.outage.is_set():
                    proxy.refused += 1
                    return self.respond(503, b"outage")
                not_forwarded = ("host", "content-length", "connection")
                headers = {name: value for name, value in self.headers.items() if name.lower() not in not_forwarded}
                status, _, response = post(proxy.peer + PATHS.get(self.path, self.path), body, headers)
                self.respond(status, response)

            def respond(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
