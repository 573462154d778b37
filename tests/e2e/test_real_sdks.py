"""Unmodified OpenTelemetry SDKs as clients: one trace through Python and Node, in every encoding and compression they support."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, TOKEN, Stack

from demo import ecs
from demo.peers import CREDENTIALS, free_port, get, wait_for

HERE = Path(__file__).parent
NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"

pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and NODE_MODULES.is_dir()), reason="Node or its packages are not installed"
)

# Encodings and compressions of the clients.
TRANSPORTS = [("protobuf", "none"), ("protobuf", "gzip"), ("json", "none")]


def variables(stack: Stack, service: str, compression: str) -> dict[str, str]:
    return {
        **CREDENTIALS,
        "AWS_EC2_METADATA_DISABLED": "true",
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{TOKEN}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "NODE_PATH": str(NODE_MODULES),
    }


def trace_through_both(stack: Stack, encoding: str, compression: str) -> list[dict[str, Any]]:
    port = free_port()
    name = f"node-{encoding}-{compression}"
    stack.peers.start(
        name,
        ["node", str(HERE / "node" / "server.cjs"), str(port), f"{stack.aws}/moto-api/", stack.aws, "json" if encoding == "json" else "proto"],
        variables(stack, "stock", compression),
    )
    # These requests create separate traces.
    wait_for("the Node service responds", lambda: get(f"http://127.0.0.1:{port}/"))
    program = [sys.executable, str(HERE / "python_client.py"), f"http://127.0.0.1:{port}/", stack.aws]
    environment = {"PATH": "/usr/bin:/bin", **variables(stack, "checkout", compression)}
    ran = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    trace_id = ran.stdout.strip()

    def complete() -> list[dict[str, Any]] | None:
        documents = ecs.trace_documents(stack.aws, trace_id)
        return documents if len(documents) >= 8 else None

    return wait_for(f"eight segments of the trace in X-Ray ({encoding}, {compression})", complete)


@pytest.mark.parametrize("encoding, compression", TRANSPORTS)
def test_python_and_node_create_one_connected_trace(stack: Stack, encoding: str, compression: str) -> None:
    documents = trace_through_both(stack, encoding, compression)
    print(f"\n{'client':<16} {'encoding':<10} {'compression':<12} sent arrived")
    for service, sent in [("checkout", 4), ("stock", 4)]:
        used_encoding = encoding if service == "stock" else "protobuf"
        of_service = [document for document in documents if resource(document) == service or owner(document, documents) == service]
        print(f"{service:<16} {used_encoding:<10} {compression:<12} {sent:>4} {len(of_service):>7}")
        assert len(of_service) == sent, [document["name"] for document in documents]

    ids = {document["id"] for document in documents}
    roots = [document for document in documents if document.get("parent_id") not in ids]
    assert [root["name"] for root in roots] == ["checkout"], "every other segment must have its parent in the trace"

    server = next(document for document in documents if document["name"] == "stock" and "type" not in document)
    assert server["http"]["response"]["status"] == 200
    assert server["http"]["request"]["method"] == "GET"
    assert server["http"]["request"]["url"].startswith("http://127.0.0.1:")
    calls = [document for document in documents if document.get("namespace") == "aws"]
    assert [call["aws"]["operation"] for call in calls] == ["ListQueues"] * 2, "expected one call from the AWS instrumentation of each SDK"
    assert any(document.get("sql", {}).get("sanitized_query") == "SELECT 1" for document in documents), documents


def resource(document: dict[str, Any]) -> str | None:
    return document.get("metadata", {}).get("default", {}).get("otel.resource.service.name")


def owner(document: dict[str, Any], documents: list[dict[str, Any]]) -> str | None:
    """Returns the service of the nearest ancestor segment."""
    by_id = {other["id"]: other for other in documents}
    ancestor: dict[str, Any] | None = document
    while ancestor is not None:
        if resource(ancestor):
            return resource(ancestor)
        ancestor = by_id.get(ancestor.get("parent_id", ""))
    return None
