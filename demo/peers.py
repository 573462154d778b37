"""Starts and stops the processes on the loopback interface to which the function connects."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
REGION = "eu-west-1"
ACCOUNT = "123456789012"
# moto and Prometheus accept any credentials. Fixed ones are needed by tests that verify signatures.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}

T = TypeVar("T")


class ExpectationFailed(Exception):
    """An expected event did not happen. The message names the expectation."""


def log(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def wait_for(expectation: str, poll: Callable[[], T | None], seconds: float = 30) -> T:
    """Polls until `poll` returns a truthy value. Network and parse errors count as no value."""
    deadline = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            value = poll()
            if value:
                return value
        except (OSError, ValueError, KeyError) as error:
            last = error
        time.sleep(0.1)
    raise ExpectationFailed(f"{expectation} (waited {seconds:.0f} s{f'; last error: {last}' if last else ''})")


def get(url: str, timeout: float = 5) -> bytes:
    with urllib.request.urlopen(url, timeout=timeout) as response:
        return bytes(response.read())


def post(url: str, body: bytes, headers: dict[str, str] | None = None, timeout: float = 60) -> tuple[int, dict[str, str], bytes]:
    """Returns status, headers and body. Error statuses do not raise an exception."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def clear_settings() -> None:
    """Removes the settings of the developer from the environment of this process and its child processes."""
    for name in [name for name in os.environ if name.startswith(("SIDECARLESS_", "AWS_", "OTEL_"))]:
        del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "NO_PROXY": "*", "no_proxy": "*"}


class Peers:
    """The started processes. They are stopped in reverse order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stack = ExitStack()
        # URL of the Invoke API, set by `function`.
        self.invoke_url = ""

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts a process in a new process group. Its output goes to `<name>.log`."""
        log = open(self.folder / f"{name}.log", "wb")
        self._stack.callback(log.close)
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, start_new_session=True
        )
        self._stack.callback(stop, process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stops the process group, including processes that outlive its leader."""
    signal_group(process, signal.SIGTERM)
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        pass
    signal_group(process, signal.SIGKILL)
    process.wait()


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def prometheus(peers: Peers) -> str:
    """Starts a Prometheus server that accepts remote write, in the role of AMP. Returns its address."""
    port = free_port()
    config = peers.folder / "prometheus.yml"
    config.write_text("global: {}\nstorage: {tsdb: {out_of_order_time_window: 1h}}\n")
    binary = os.environ.get("DEMO_PROMETHEUS", "prometheus")
    peers.start(
        "prometheus",
        [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={peers.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms,exemplar-storage",
        ],
    )
    base = f"http://127.0.0.1:{port}"
    wait_for("Prometheus is ready", lambda: get(f"{base}/-/ready"))
    return base


def moto(peers: Peers) -> str:
    """Starts moto in the role of ECS, EC2, CloudWatch Logs and X-Ray. Returns its address."""
    port = free_port()
    peers.start("moto", [sys.executable, str(ROOT / "demo" / "moto_server.py"), str(port)])
    base = f"http://127.0.0.1:{port}"
    wait_for("moto is ready", lambda: get(f"{base}/moto-api/"))
    # By default, each DescribeTasks call moves a task one step towards STOPPED.
    transition = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 1_000_000}}
    status, _, _ = post(f"{base}/moto-api/state-manager/set-transition", json.dumps(transition).encode())
    if status >= 300:
        raise ExpectationFailed(f"moto accepts the task transition: {status}")
    return base


def function(peers: Peers, binary: Path, env: dict[str, str]) -> str:
    """Starts the binary in the AWS Lambda runtime interface emulator, behind a function URL. Returns the URL."""
    architecture = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    emulator = next((ROOT / ".tools").glob(f"**/samcli/local/rapid/aws-lambda-rie-{architecture}"))
    emulator.chmod(0o755)
    invoke, runtime, url = free_port(), free_port(), free_port()
    peers.start(
        "function",
        [
            str(emulator), "--log-level", "warn",
            "--runtime-interface-emulator-address", f"127.0.0.1:{invoke}",
            "--runtime-api-address", f"127.0.0.1:{runtime}",
            str(binary),
        ],
        {
            "AWS_LAMBDA_FUNCTION_NAME": "sidecarless",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "50",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_REGION": REGION,
            **CREDENTIALS,
            **env,
        },
    )
    peers.start(
        "function-url",
        [sys.executable, str(ROOT / "demo" / "function_url.py"), str(url), f"http://127.0.0.1:{invoke}"],
    )
    base = f"http://127.0.0.1:{url}"
    peers.invoke_url = f"{base}/2015-03-31/functions/function/invocations"
    wait_for("the function responds", lambda: get(f"{base}/healthz"))
    return base


def query(base: str, promql: str) -> list[dict[str, Any]]:
    """Returns the result of an instant query."""
    url = f"{base}/api/v1/query?{urllib.parse.urlencode({'query': promql})}"
    response = json.loads(get(url))
    return list(response["data"]["result"])
