"""Fixtures: Prometheus as AMP, moto as X-Ray and ECS, and the release binary in the Lambda emulator."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from demo.peers import Peers, clear_settings, function, moto, post, prometheus  # noqa: E402

TOKEN = "end-to-end"
BINARY = Path(os.environ.get("SIDECARLESS_BINARY_PATH") or ROOT / "target" / "release" / "sidecarless-function")
CLI = Path(os.environ.get("SIDECARLESS_CLI_PATH") or ROOT / "target" / "debug" / "sidecarless")
clear_settings()


@dataclass
class Stack:
    """Addresses of all servers and of the function."""

    peers: Peers
    amp: str
    aws: str
    url: str

    def push(self, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
        all_headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {TOKEN}"}
        all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        return post(self.url + path, body, all_headers)


def settings(amp_url: str, aws: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": aws,
        "AWS_PROMETHEUS_ENDPOINT": amp_url,
        "SIDECARLESS_TOKENS_SHA256": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "SIDECARLESS_SCRAPE_CIDRS": "127.0.0.0/8",
    }


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Peers(tmp_path_factory.mktemp("peers")) as peers:
        amp, aws = prometheus(peers), moto(peers)
        url = function(peers, BINARY, settings(f"{amp}/api/v1/write", aws))
        yield Stack(peers, amp, aws, url)
