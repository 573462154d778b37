"""A WSGI application that starts the helper when it is imported."""

import os

import sidecarless_stats

sidecarless_stats.start(float(os.environ["INTERVAL"]))


def app(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
