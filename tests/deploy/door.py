"""A door before a peer: it passes requests on, and answers 503 to all of them while it is shut."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from demo.peers import free_port, post

# AMP's path is not that of Prometheus (Amazon Managed Service for Prometheus, "RemoteWrite").
PATHS = {"/workspaces/ws-deployed/api/v1/remote_write": "/api/v1/write"}


class Door:
    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.shut = threading.Event()
        self.turned_away = 0
        port = free_port()
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if door.shut.is_set():
                    door.turned_away += 1
                    return self.answer(503, b"shut")
                own = ("host", "content-length", "connection")
                headers = {name: value for name, value in self.headers.items() if name.lower() not in own}
                status, _, answer = post(door.peer + PATHS.get(self.path, self.path), body, headers)
                self.answer(status, answer)

            def answer(self, status: int, body: bytes) -> None:
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
