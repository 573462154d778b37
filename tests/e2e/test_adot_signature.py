"""The AWS Distro for OpenTelemetry for Python signs requests for a Function URL of type AWS_IAM, as docs/quickstart.md says."""

from __future__ import annotations

import re
import subprocess
import threading
from datetime import datetime
from http.server import HTTPServer

import botocore.auth
import pytest
from adot_clients import INSTALLED, PYTHON
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from test_signature import Capture

from demo.peers import CREDENTIALS, REGION

PROGRAM = "from opentelemetry import trace; trace.get_tracer('signed').start_span('signed').end()"


class FunctionUrl(Capture):
    requests: list[tuple[str, dict[str, str], bytes]] = []


@pytest.mark.skipif(not INSTALLED["python"], reason="the AWS Distro for OpenTelemetry for Python is not installed")
def test_python_signs_for_a_function_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), FunctionUrl) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        variables = {
            **CREDENTIALS, "AWS_SESSION_TOKEN": "a-session-token", "AWS_REGION": REGION, "PATH": f"{PYTHON}:/usr/bin:/bin", "NO_PROXY": "*",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_METRICS_EXPORTER": "none",
            "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "aws_sigv4", "AWS_SIGV4_SERVICE": "lambda",
        }
        ran = subprocess.run(
            [str(PYTHON / "opentelemetry-instrument"), "python", "-c", PROGRAM], env=variables, capture_output=True, text=True, timeout=60
        )
        server.shutdown()
    assert ran.returncode == 0, ran.stderr
    ((path, headers, body),) = FunctionUrl.requests
    signed = re.search(r"SignedHeaders=([^,]+)", headers["authorization"])
    assert signed is not None and path == "/v1/traces"

    request = AWSRequest("POST", f"{url}{path}", data=body)
    for name in set(signed[1].split(";")) - {"host", "x-amz-date", "x-amz-security-token"}:
        request.headers[name] = headers[name]
    at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: at, raising=False)
    credentials = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], "a-session-token")
    botocore.auth.SigV4Auth(credentials, "lambda", REGION).add_auth(request)
    assert request.headers["Authorization"] == headers["authorization"]
