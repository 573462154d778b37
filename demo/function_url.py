"""A Lambda Function URL in front of the runtime interface emulator: HTTP in, payload 2.0 events on, replies back.

The rules are those of the AWS Lambda Developer Guide, "Invoking Lambda function URLs": header names in lower case, bodies
as base64 unless their content type is text, events of 6 MB at most, 502 when the function fails.

usage: function_url.py PORT EMULATOR_URL
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EVENT_LIMIT = 6 * 1024 * 1024
INVOKE_PATH = "/2015-03-31/functions/function/invocations"
# The emulator has one execution environment, and crashes when it is called twice at a time.
ONE_AT_A_TIME = threading.Lock()


def invoke(emulator: str, event: bytes) -> Any:
    request = urllib.request.Request(emulator + INVOKE_PATH, data=event, method="POST")
    with ONE_AT_A_TIME, urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())


def is_text(content_type: str) -> bool:
    kind = content_type.split(";")[0].strip().lower()
    return kind.startswith("text/") or kind in ("application/json", "application/xml", "application/javascript")


class Url(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    emulator = ""

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        event = json.dumps(self.event(body)).encode()
        if len(event) > EVENT_LIMIT:
            return self.answer(413, {}, b'{"Message":"Request Entity Too Large"}')
        try:
            reply = invoke(self.emulator, event)
        except (OSError, ValueError):
            return self.answer(502, {}, b"Internal Server Error")
        if not isinstance(reply, dict) or "statusCode" not in reply:
            return self.answer(502, {}, b"Internal Server Error")
        text = reply.get("body") or ""
        content = base64.b64decode(text) if reply.get("isBase64Encoded") else text.encode()
        self.answer(reply["statusCode"], reply.get("headers") or {}, content)

    def event(self, body: bytes) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        path, _, query = self.path.partition("?")
        text = is_text(headers.get("content-type", ""))
        now = time.time()
        return {
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
            "requestContext": {
                "accountId": "anonymous", "apiId": "demo", "domainName": self.headers.get("host", ""), "domainPrefix": "demo",
                "http": {
                    "method": self.command, "path": path, "protocol": self.request_version,
                    "sourceIp": self.client_address[0], "userAgent": headers.get("user-agent", ""),
                },
                "requestId": str(uuid.uuid4()), "routeKey": "$default", "stage": "$default",
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)), "timeEpoch": int(now * 1000),
            },
            "body": body.decode(errors="replace") if text else base64.b64encode(body).decode(),
            "isBase64Encoded": not text,
        }

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, format: str, *arguments: Any) -> None:
        print(f"{self.command} {self.path}: {format % arguments}", flush=True)


if __name__ == "__main__":
    Url.emulator = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Url).serve_forever()
