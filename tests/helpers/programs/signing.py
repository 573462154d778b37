"""Signs what its standard input says: a line `vector METHOD URL BODY KEY SECRET TOKEN TIME` or `send URL BODY`, separated by tabs."""

import datetime
import sys

import requests
import sidecarless_signing

session = sidecarless_signing.session()
for line in sys.stdin:
    kind, *values = line.rstrip("\n").split("\t")
    if kind == "vector":
        method, url, body, key, secret, token, time = values
        now = datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
        print(sidecarless_signing.signature(method, url, body, (key, secret, token), now)["authorization"], flush=True)
    else:
        try:
            print(session.post(values[0], data=values[1].encode(), timeout=10).status_code, flush=True)
        except requests.RequestException as error:
            print("error: %s" % error, flush=True)
