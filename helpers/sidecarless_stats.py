"""Sends the task metadata and task stats of the ECS task in which this process runs to sidecarless.

    import sidecarless_stats
    sidecarless_stats.start()

Python 3.8 or later, no dependency. helpers/README.md describes the environment variables and the behavior.
"""

import os
import random
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

# One process of the task holds this port of the loopback address, and sends. The others try again at each interval. The port is
# below the ephemeral range of Linux, so that no outgoing connection has it.
ELECTION_PORT = 23190
METADATA_TIMEOUT = 3
PUSH_TIMEOUT = 8
MAX_REASON = 200
# User name and password of a URL, also of one that was cut: a response or an error may repeat them.
USER = re.compile(r"""[^\s/"'<>]+@|//[^\s/"'<>]*$""")

# Process that has started the sender. A forked child may start its own.
_started_in = None


def start(interval=60):
    """Starts a daemon thread that sends at this interval in seconds. Does nothing outside ECS or without SIDECARLESS_URL."""
    global _started_in
    names = ("ECS_CONTAINER_METADATA_URI_V4", "SIDECARLESS_URL", "SIDECARLESS_TOKEN")
    # Secrets that were stored from a file often end with a line break.
    metadata, url, token = (os.environ.get(name, "").strip() for name in names)
    if metadata and url and _started_in != os.getpid():
        _started_in = os.getpid()
        try:
            sender = _Sender(metadata, url, token, max(float(interval), 1))
            threading.Thread(target=sender.run, name="sidecarless-stats", daemon=True).start()
        except Exception as error:
            _write(str(error))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Reports a redirect as a failure, because following it would send the token to another host."""

    def redirect_request(self, *_):
        return None


class _Sender:
    def __init__(self, metadata, url, token, interval):
        self.metadata, self.token, self.interval = metadata, token, interval
        self.url = url.rstrip("/") + "/v1/ecs/task-stats"
        self.headers = {"Content-Type": "application/json", "User-Agent": "sidecarless-stats-python"}
        if token:
            self.headers["Authorization"] = "Bearer " + token
        # The metadata endpoint is never behind the proxy of HTTP_PROXY.
        self.direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
        self.proxied = urllib.request.build_opener(_NoRedirect)
        self.election = None
        self.credentials = None
        self.reported = None
        # A forked child has a copy of the socket but not the thread: it must not hold the port.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.resign)

    def run(self):
        time.sleep(random.uniform(0, min(self.interval, 10)))
        while True:
            try:
                self.push()
            except Exception as error:
                self.report(error)
            time.sleep(self.interval)

    def push(self):
        task = self.read("/task")
        # Under host networking all tasks of an instance share the port, so that each process has to send.
        if b'"NetworkMode":"host"' in task or self.is_elected():
            body = task + self.read("/task/stats")
            request = urllib.request.Request(self.url, body, {**self.headers, **self.signature(body)})
            self.proxied.open(request, timeout=PUSH_TIMEOUT).close()

    def signature(self, body):
        """Returns the headers that sign the push, if there is no token and the application has the file that signs."""
        if self.token:
            return {}
        try:
            import sidecarless_signing
        except ImportError:
            return {}
        self.credentials = self.credentials or sidecarless_signing.TaskCredentials()
        return sidecarless_signing.signature("POST", self.url, body, self.credentials())

    def is_elected(self):
        if not self.election:
            try:
                self.election = socket.create_server(("127.0.0.1", ELECTION_PORT))
            except OSError:
                pass
        return self.election is not None

    def read(self, path):
        with self.direct.open(self.metadata + path, timeout=METADATA_TIMEOUT) as response:
            return response.read()

    def report(self, error):
        reason = str(error)
        if isinstance(error, urllib.error.HTTPError):
            try:
                text = error.read(MAX_REASON).decode("utf-8", "replace")
            except OSError:
                text = ""
            reason = f"status {error.code} from {error.url.split('?')[0]}: {' '.join(text.split())}"
        if self.token:
            # The message about an invalid header contains its value.
            reason = reason.replace(self.token, "***").replace(repr(self.token)[1:-1], "***")
        reason = USER.sub("***@", reason)
        if reason != self.reported:
            self.reported = reason
            _write(reason)

    def resign(self):
        if self.election:
            self.election.close()
            self.election = None


def _write(reason):
    try:
        print(f"sidecarless: task stats were not sent: {reason}", file=sys.stderr, flush=True)
    except Exception:
        pass  # stderr is closed: there is no other place to report to.
