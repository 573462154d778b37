"""An application that starts the helper twice and works until its standard input ends: INTERVAL."""

import sys

import sidecarless_stats

sidecarless_stats.start(float(sys.argv[1]))
sidecarless_stats.start(float(sys.argv[1]))
print("started", flush=True)
sys.stdin.read()
print("finished", flush=True)
