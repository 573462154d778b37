"""The AWS Distro for OpenTelemetry for Python and for Node: values that X-Ray and Prometheus have after requests to instrumented services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from adot_clients import INSTALLED, SERVICES, TASK, Client, SamplingProxy, create_resources, start, task_metadata, wait_for_rules
from conftest import BINARY, Stack, settings

from demo import ecs
from demo.peers import Peers, function, query, wait_for

ANY, NONE = "any value", "no value"
PYTHON, NODE = "python", "node"
FORWARDED = "203.0.113.9"
CHECKS = 20
# Requests to each service, and the number of documents of their traces.
REQUESTS = {
    "order": ("/order/17", {PYTHON: 7, NODE: 5}, {}),
    "fail": ("/fail/17", {PYTHON: 1, NODE: 1}, {}),
    "absent": ("/absent/17", {PYTHON: 2, NODE: 2}, {}),
    "forwarded": ("/ready", {PYTHON: 1, NODE: 1}, {"x-forwarded-for": FORWARDED}),
}


@pytest.fixture(scope="module")
def proxy(stack: Stack) -> Iterator[SamplingProxy]:
    with SamplingProxy(stack.aws) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def clients(stack: Stack, proxy: SamplingProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Client]]:
    """The running services. Each has received health checks and the requests above."""
    with Peers(tmp_path_factory.mktemp("adot")) as peers, task_metadata() as metadata:
        url = function(peers, BINARY, {**settings(f"{stack.amp}/api/v1/write", stack.aws), "AWS_ENDPOINT_URL_XRAY": proxy.url})
        others = {
            "QUEUE_URL": create_resources(stack.aws),
            "ECS_CONTAINER_METADATA_URI_V4": f"http://127.0.0.1:{metadata.server_address[1]}/v4/container",
        }
        clients: dict[str, Client] = {}
        for language in [language for language in (NODE, PYTHON) if INSTALLED[language]]:
            next_service = {"NEXT_URL": clients[NODE].url} if NODE in clients else {}
            clients[language] = start(peers, language, url, stack.aws, {**others, **next_service})
        for language, client in clients.items():
            wait_for_rules(client)
            client.checks = [client.request("/health") for _ in range(CHECKS)]
            client.traces = {name: client.trace(path, count[language], headers) for name, (path, count, headers) in REQUESTS.items()}
        yield clients
        metadata.shutdown()


def of(clients: dict[str, Client], language: str) -> Client:
    if language not in clients:
        pytest.skip(f"the AWS Distro for OpenTelemetry for {language} is not installed")
    return clients[language]


def document(client: Client, request: str, operation: str) -> dict[str, Any]:
    """Returns the segment of the service, or the document of the call of an AWS operation."""
    documents = client.traces[request]
    if operation == "server":
        return next(document for document in documents if "parent_id" not in document)
    return next(document for document in documents if document["aws"].get("operation") == operation)


def value(document: Any, place: str) -> Any:
    """Returns the value at a place, such as `cause.exceptions.0.type`; text after a slash is one key. Returns None if there is none."""
    path, _, last = place.partition("/")
    for key in [*path.split("."), *([last] if last else [])]:
        try:
            document = document[int(key) if isinstance(document, list) else key]
        except (KeyError, IndexError):
            return None
    return document


def line(file: str, text: str) -> int:
    """Returns the number of the first line of a service that contains the text."""
    lines = (SERVICES / file).read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def wrong(reason: str) -> Any:
    return pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True)


# Request, document, place, and the value of both clients, or of each.
SEGMENTS = [
    ("order", "server", "name", {PYTHON: "adot-python", NODE: "adot-node"}),
    ("order", "server", "type", NONE),
    ("order", "server", "namespace", NONE),
    ("order", "server", "http.request.method", "GET"),
    ("order", "server", "http.request.url", "{url}/order/17"),
    ("order", "server", "http.request.client_ip", "127.0.0.1"),
    ("order", "server", "http.request.x_forwarded_for", NONE),
    ("order", "server", "http.response.status", 200),
    ("order", "server", "fault", False),
    ("order", "server", "origin", "AWS::ECS::Fargate"),
    ("order", "server", "aws.ecs.task_arn", TASK["TaskARN"]),
    ("order", "server", "aws.ecs.container_arn", TASK["Containers"][0]["ContainerARN"]),
    ("order", "server", "aws.ec2", NONE),
    ("order", "server", "aws.xray.auto_instrumentation", True),
    ("order", "server", "metadata.default/aws.xray.sampling_rule", {PYTHON: "everything"}),
    ("forwarded", "server", "http.request.client_ip", {PYTHON: "127.0.0.1", NODE: FORWARDED}),
    ("forwarded", "server", "http.request.x_forwarded_for", {PYTHON: NONE, NODE: True}),
]
CALLS = [
    ("order", operation, place, expected)
    for operation, name, resource in [
        ("PutObject", "S3", {"metadata.default/aws.s3.bucket": "orders"}),
        ("PutItem", "DynamoDB", {"aws.table_name": "orders"}),
        ("SendMessage", "SQS", {"aws.queue_url": "{queue}"}),
    ]
    for place, expected in {
        "name": name, "type": "subsegment", "namespace": "aws", "aws.request_id": ANY, "aws.region": "eu-west-1", "error": False, **resource,
    }.items()
]
RECEIVES = [
    ("order", "ReceiveMessage", "aws.queue_url", "{queue}"),
    ("order", "ReceiveMessage", "aws.request_id", ANY),
]
CAUSES = [
    ("fail", "server", "fault", True),
    ("fail", "server", "http.response.status", 500),
    ("fail", "server", "cause.exceptions.0.type", {PYTHON: "RuntimeError", NODE: "RangeError"}),
    ("fail", "server", "cause.exceptions.0.message", "order 17 cannot be charged"),
    ("fail", "server", "cause.exceptions.0.remote", False),
    ("fail", "server", "cause.exceptions.0.stack.0.path", {PYTHON: str(SERVICES / "service.py"), NODE: str(SERVICES / "service.cjs")}),
    ("fail", "server", "cause.exceptions.0.stack.0.label", "charge"),
    ("fail", "server", "cause.exceptions.0.stack.0.line", {
        PYTHON: line("service.py", "raise RuntimeError"), NODE: line("service.cjs", "throw new RangeError"),
    }),
    ("fail", "server", "cause.exceptions.1.type", {PYTHON: "KeyError"}),
    ("fail", "server", "cause.exceptions.1.stack.0.line", {PYTHON: line("service.py", "return {}[number]")}),
    ("absent", "server", "fault", True),
    ("absent", "GetItem", "name", "DynamoDB"),
    ("absent", "GetItem", "aws.table_name", "absent"),
    ("absent", "GetItem", "http.response.status", 400),
    ("absent", "GetItem", "error", True),
    ("absent", "GetItem", "fault", False),
    ("absent", "GetItem", "cause.exceptions.0.type", {
        PYTHON: "botocore.errorfactory.ResourceNotFoundException", NODE: "ResourceNotFoundException",
    }),
    ("absent", "GetItem", "cause.exceptions.0.remote", True),
]
# Values that are wrong, by the ID of the row, with the reason.
WRONG: dict[str, str] = {}


def rows() -> Iterator[Any]:
    for request, operation, place, expected in [*SEGMENTS, *CALLS, *RECEIVES, *CAUSES]:
        by_language = expected if isinstance(expected, dict) else {PYTHON: expected, NODE: expected}
        for language, one in by_language.items():
            reason = WRONG.get(f"{language}-{request}-{operation}-{place}")
            yield pytest.param(language, request, operation, place, one, id=f"{language}-{request}-{operation}-{place}", marks=[wrong(reason)] if reason else [])


@pytest.mark.parametrize("language, request_name, operation, place, expected", list(rows()))
def test_document_in_xray(
    stack: Stack, clients: dict[str, Client], language: str, request_name: str, operation: str, place: str, expected: Any
) -> None:
    client = of(clients, language)
    found = value(document(client, request_name, operation), place)
    if expected == ANY:
        assert found
    elif expected == NONE or expected is False:
        # A missing flag is false.
        assert not found
    else:
        text = isinstance(expected, str)
        assert found == (expected.format(url=client.url, queue=f"{stack.aws}/123456789012/orders") if text else expected)


@pytest.mark.parametrize("language", [PYTHON, NODE])
def test_receive_is_a_call_or_a_consumer(clients: dict[str, Client], language: str) -> None:
    client = of(clients, language)
    found = document(client, "order", "ReceiveMessage")
    of_call, of_consumer = ("SQS", "subsegment", "aws"), (client.service, None, None)
    assert (found["name"], found.get("type"), found.get("namespace")) in (of_call, of_consumer)


@pytest.mark.parametrize("language", [PYTHON, NODE])
def test_parents_are_in_the_trace(clients: dict[str, Client], language: str) -> None:
    for documents in of(clients, language).traces.values():
        ids = {document["id"] for document in documents}
        assert [document.get("parent_id") for document in documents if document.get("parent_id") not in ids] == [None]


def test_trace_continues_from_python_to_node(clients: dict[str, Client]) -> None:
    caller, callee = of(clients, PYTHON), of(clients, NODE)
    documents = {document["name"]: document for document in caller.trace("/next/17", 3)}
    call = next(document for document in documents.values() if document.get("namespace") == "remote")
    assert set(documents) == {caller.service, call["name"], callee.service}
    assert call["http"]["request"]["url"] == f"{callee.url}/ready"
    assert (call["parent_id"], call["type"]) == (documents[caller.service]["id"], "subsegment")
    assert (documents[callee.service]["parent_id"], documents[callee.service].get("type")) == (call["id"], None)


# Metrics of HTTP servers and of runtimes. Python exports exponential histograms, which become native histograms.
QUERIES = [
    (PYTHON, 'histogram_count(http_server_request_duration_seconds{http_route="/order/<number>",http_response_status_code="200"})', "1"),
    (PYTHON, 'histogram_count(http_server_request_duration_seconds{http_route="/absent/<number>",http_response_status_code="500"})', "1"),
    (PYTHON, 'process_thread_count', ANY),
    (NODE, 'http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="500"}', "2"),
    (NODE, 'http_server_request_duration_seconds_bucket{http_response_status_code="500",le="+Inf"}', "2"),
    (NODE, 'nodejs_eventloop_time_seconds_total{nodejs_eventloop_state="active"}', ANY),
]


@pytest.mark.parametrize("language, promql, expected", QUERIES)
def test_metrics_in_prometheus(stack: Stack, clients: dict[str, Client], language: str, promql: str, expected: str) -> None:
    client = of(clients, language)
    selector = f'job="{client.service}"'
    promql = promql.replace("{", f"{{{selector},") if "{" in promql else f"{promql}{{{selector}}}"

    def found() -> list[dict[str, Any]] | None:
        series = query(stack.amp, promql)
        return series if series and expected in (ANY, series[0]["value"][1]) else None

    (series,) = wait_for(f"{promql} is {expected}", found)
    labels = {"service_name": client.service, "aws_ecs_task_arn": TASK["TaskARN"], "aws_ecs_task_family": TASK["Family"], "aws_ecs_launchtype": "fargate"}
    assert {name: series["metric"].get(name) for name in labels} == labels
    if language == PYTHON:
        assert series["metric"]["instance"] == series["metric"]["service_instance_id"]


@pytest.mark.parametrize("language", [PYTHON, NODE])
def test_sampling_rules_decide(stack: Stack, clients: dict[str, Client], language: str) -> None:
    client = of(clients, language)
    assert [(status, sampled) for status, _, sampled in client.checks] == [(200, False)] * CHECKS
    # Later traces have arrived, so the spans of the health checks would have arrived.
    assert [ecs.trace_documents(stack.aws, trace_id) for _, trace_id, _ in client.checks] == [[]] * CHECKS


def test_statistics_of_samplers_reach_xray(proxy: SamplingProxy, clients: dict[str, Client]) -> None:
    if not clients:
        pytest.skip("the AWS Distro for OpenTelemetry is not installed")

    def checks() -> dict[str, int]:
        """Returns the requests that match the rule of the health checks, by sampler."""
        counts: dict[str, int] = {}
        for document in proxy.statistics():
            if document["RuleName"] == "health-checks":
                counts[document["ClientID"]] = counts.get(document["ClientID"], 0) + document["RequestCount"]
        return counts

    # Samplers send statistics ten seconds after their start, and every ten seconds.
    wait_for("each sampler has reported all health checks", lambda: sorted(checks().values()) == [CHECKS] * len(clients))
    fetches = [call for call in proxy.calls if call.path == "/GetSamplingRules"]
    assert len(fetches) == 1, "the function must cache the rules"
    assert all("Credential=" in call.headers.get("authorization", "") for call in proxy.calls)
    print(f"\nshow: {len(clients)} remote samplers of the AWS Distro for OpenTelemetry sampled every request, and 0 of {CHECKS} health checks", end="")
