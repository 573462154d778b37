"""The files of helpers/signing: signatures are those of botocore, and an endpoint that verifies them as AWS does accepts the requests.

The programs send with the HTTP client of each language. tests/e2e/test_signed_pushes.py sends with the exporters of the OpenTelemetry SDKs for
Python and Node. The program in Java uses declarations of the SDK, because the SDK for Java is not in the registries of the tests.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from languages import HELPERS, LANGUAGES, SIGNERS, Missing, Program
from process import wait_until
from signature import LATTICE, UNSIGNED, Refused, SignedReceiver, TaskCredentials, verify
from standin import ROUTE, Metadata, Recorded, Reply, closed_url, running, sender_environment

URL = "https://abcdefghij.lambda-url.eu-west-1.on.aws"
SERVICE = "https://sidecarless-0123456789abcdef0.7d67968.vpc-lattice-svcs.ap-southeast-2.on.aws"
TIME = "2026-11-29T03:04:05Z"
# Method, URL, body, session token.
VECTORS = [
    ("POST", f"{URL}/v1/traces", "", ""),
    ("POST", f"{URL}/v1/traces", "a body", ""),
    ("POST", f"{URL}/v1/metrics", "a body", "a-token/+="),
    ("POST", f"{URL}//v1/ecs/task-stats", "{}", "a-token"),
    ("GET", f"{URL}/healthz", "", "a-token"),
    ("GET", f"{URL}/", "", ""),
    ("POST", f"{URL}/a%20b/v1/logs?b=2&a=1", "a body", ""),
    ("POST", f"{SERVICE}/v1/traces", "a body", "a-token"),
    ("POST", "https://telemetry.example.com/v1/traces", "a body", "a-token"),
    ("POST", "http://127.0.0.1:8080/v1/traces", "a body", "a-token"),
]


@dataclass
class Signer:
    """A running program, which responds to each line with a line."""

    process: subprocess.Popen[str]

    def ask(self, *values: str) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\t".join(values) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    found: dict[str, Program | Missing] = {}

    def build(language: str) -> Program:
        if language not in found:
            try:
                found[language] = SIGNERS[language](tmp_path_factory.mktemp(f"signing-{language}"))
                print(f"show: signing tested with {found[language].version}")
            except Missing as missing:
                found[language] = missing
        program = found[language]
        if isinstance(program, Missing):
            pytest.skip(str(program))
        return program

    return build


def installed(built: Callable[[str], Program]) -> list[Program]:
    """Returns the programs of all installed languages."""
    programs = []
    for language in SIGNERS:
        try:
            programs.append(built(language))
        except pytest.skip.Exception:
            pass
    return programs


@contextmanager
def signer(program: Program, variables: dict[str, str]) -> Iterator[Signer]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"HELPERS": str(HELPERS), "NO_PROXY": "*", **program.environment, **variables}
    process = subprocess.Popen(program.command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Signer(process)
    finally:
        process.kill()
        process.communicate()


def signature_of_botocore(method: str, url: str, body: str, token: str) -> str:
    scope = {URL: ("lambda", "eu-west-1"), SERVICE: (LATTICE, "ap-southeast-2")}
    service, region = next((found for start, found in scope.items() if url.startswith(start)), ("lambda", "us-east-2"))
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalr/+EXAMPLE", token or None), service, region)
    request = AWSRequest(method, url, data=body.encode())
    request.headers["x-amz-content-sha256"] = UNSIGNED if service == LATTICE else auth.payload(request)
    request.headers["x-amz-date"] = request.context["timestamp"] = TIME.replace("-", "").replace(":", "")
    if token:
        request.headers["x-amz-security-token"] = token
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    signed = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={signed}, Signature={signature}"


@pytest.mark.parametrize("language", SIGNERS)
def test_signatures_are_those_of_botocore(built: Callable[[str], Program], language: str) -> None:
    with signer(built(language), {"AWS_REGION": "us-east-2", "SIDECARLESS_URL": URL}) as program:
        for method, url, body, token in VECTORS:
            found = program.ask("vector", method, url, body, "AKIDEXAMPLE", "wJalr/+EXAMPLE", token, TIME)
            assert found == signature_of_botocore(method, url, body, token), f"{method} {url}"


@pytest.mark.parametrize("service", ["lambda", LATTICE])
@pytest.mark.parametrize("language", SIGNERS)
def test_signed_requests_are_accepted(built: Callable[[str], Program], language: str, service: str) -> None:
    role = TaskCredentials(token="an authorization token")
    receiver = SignedReceiver(role.known, service)
    variables = {**role.variables, "SIDECARLESS_URL": receiver.url, "AWS_SIGV4_SERVICE": service}
    with running(role, receiver), signer(built(language), variables) as program:
        results = [program.ask("send", f"{receiver.url}/v1/traces", "a body") for _ in range(3)]
    assert (results, receiver.refused) == (["200"] * 3, [])
    assert len(role.known) == 1, "the credentials must be cached"


def test_credentials_are_replaced_before_they_expire(built: Callable[[str], Program]) -> None:
    with ThreadPoolExecutor(len(SIGNERS)) as pool:
        list(pool.map(credentials_are_replaced, installed(built)))


def credentials_are_replaced(program: Program) -> None:
    # The first ones may be used for about two more seconds.
    role = TaskCredentials([302, 3600])
    receiver = SignedReceiver(role.known)
    with running(role, receiver), signer(program, {**role.variables, "SIDECARLESS_URL": receiver.url}) as process:
        first = process.ask("send", f"{receiver.url}/v1/traces", "a body")
        time.sleep(2.5)
        second, third = (process.ask("send", f"{receiver.url}/v1/traces", "a body") for _ in range(2))
    assert (first, second, third, receiver.refused) == ("200", "200", "200", []), program.version
    assert len(role.known) == 2 and receiver.keys == [list(role.known)[0], list(role.known)[1], list(role.known)[1]], program.version


@pytest.mark.parametrize("language", SIGNERS)
def test_wrong_region_or_key_is_refused(built: Callable[[str], Program], language: str) -> None:
    role = TaskCredentials()
    receiver = SignedReceiver(role.known)
    unknown = {"AWS_ACCESS_KEY_ID": "AKIDUNKNOWN", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
    with running(role, receiver):
        for variables in ({"AWS_REGION": "eu-west-2"}, {"AWS_REGION": ""}, {"AWS_SIGV4_SERVICE": "execute-api"}, unknown):
            with signer(built(language), {**role.variables, "SIDECARLESS_URL": receiver.url, **variables}) as program:
                assert program.ask("send", f"{receiver.url}/v1/traces", "a body") == "403", variables
    assert receiver.refused == [
        "signed for lambda in eu-west-2", "signed for lambda in no region", "signed for execute-api in eu-west-1", "unknown key or token",
    ]


@pytest.mark.parametrize("language", SIGNERS)
def test_request_without_credentials_is_not_sent(built: Callable[[str], Program], language: str) -> None:
    role = TaskCredentials(token="expected")
    receiver = SignedReceiver(role.known)
    failing = [
        {"AWS_REGION": "eu-west-1"},
        {**role.variables, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "wrong"},
        {**role.variables, "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{closed_url()}/v2/credentials/s3cret"},
    ]
    with running(role, receiver):
        for variables in failing:
            with signer(built(language), {"SIDECARLESS_URL": receiver.url, **variables}) as program:
                answer = program.ask("send", f"{receiver.url}/v1/traces", "a body")
                assert answer.startswith("error: ") and "s3cret" not in answer, variables
    assert receiver.requests == []


def test_java_sender_repeats_a_request_with_a_new_signature(built: Callable[[str], Program]) -> None:
    role = TaskCredentials()
    receiver = SignedReceiver(role.known, replies=[Reply(503)])
    with running(role, receiver), signer(built("java"), {**role.variables, "SIDECARLESS_URL": receiver.url}) as program:
        assert program.ask("send", f"{receiver.url}/v1/traces", "a body") == "200"
    assert len({request.headers["x-amz-date"] for request in receiver.requests}) == 2
    assert {request.headers["content-encoding"] for request in receiver.requests} == {"gzip"}
    assert {request.headers["content-type"] for request in receiver.requests} == {"application/x-protobuf"}


def test_other_hosts_get_no_signature(built: Callable[[str], Program]) -> None:
    """Node and Ruby sign by host."""
    role = TaskCredentials()
    other = SignedReceiver(role.known)
    with running(role, other):
        for language in ("node", "ruby"):
            with signer(built(language), {**role.variables, "SIDECARLESS_URL": URL}) as program:
                assert program.ask("send", f"{other.url}/v1/traces", "a body") == "403"
    assert other.refused == ["no signature"] * 2 and not role.known


@pytest.mark.parametrize("language", ["python", "node", "ruby"])
def test_stats_helpers_with_the_file_that_signs(built: Callable[[str], Program], language: str) -> None:
    signing, helper = built(language), LANGUAGES[language](HELPERS)
    files, environment = HELPERS / "signing", dict(signing.environment)
    if language == "python":
        command, environment["PYTHONPATH"] = [*helper.command, "1"], f"{HELPERS}:{files}"
    elif language == "node":
        command = [helper.command[0], "--require", str(files / "sidecarless-signing.cjs"), *helper.command[1:], "1"]
    else:
        register = f"SidecarlessSigning.register; ARGV.replace(['1']); load '{helper.command[-1]}'"
        command = [helper.command[0], "-r", str(files / "sidecarless_signing.rb"), "-e", register]
    role, metadata = TaskCredentials(), Metadata("host")
    receiver = SignedReceiver(role.known)
    variables = {**sender_environment(metadata.uri, receiver.url, ""), **role.variables}
    with running(role, metadata, receiver), signer(Program(command, signing.version, environment), variables):
        wait_until(lambda: len(receiver.keys) >= 2)
    assert receiver.refused == [] and {request.path for request in receiver.requests} == {ROUTE}
    assert {request.body for request in receiver.requests} == {metadata.task + metadata.stats}


def test_changed_and_expired_requests_are_refused(built: Callable[[str], Program]) -> None:
    """Shows that the verification of these tests refuses what AWS refuses."""
    role = TaskCredentials()
    receivers = {service: SignedReceiver(role.known, service) for service in ("lambda", LATTICE)}
    found: dict[str, Recorded] = {}
    with running(role, *receivers.values()):
        for service, receiver in receivers.items():
            with signer(built("python"), {**role.variables, "AWS_SIGV4_SERVICE": service}) as program:
                assert program.ask("send", f"{receiver.url}/v1/traces", "a body") == "200"
                (found[service],) = receiver.requests

    def refusal(service: str, now: float | None = None, **changes: object) -> str:
        request = found[service]
        headers = {**request.headers, **changes.pop("headers", {})}  # type: ignore[dict-item]
        changed = Recorded(request.method, str(changes.get("path", request.path)), headers, bytes(changes.get("body", request.body)))  # type: ignore[call-overload]
        try:
            verify(changed, role.known, service, now=now)
        except Refused as refused:
            return str(refused)
        return ""

    assert refusal("lambda") == refusal(LATTICE) == ""
    assert refusal("lambda", body=b"A body") == "the digest is not that of the body"
    assert refusal("lambda", headers={"x-amz-content-sha256": UNSIGNED}) == "the digest is not that of the body"
    # VPC Lattice does not verify bodies.
    assert refusal(LATTICE, body=b"A body") == ""
    for service in found:
        assert refusal(service, path="/v1/metrics") == refusal(service, headers={"host": "other"}) == "the signature is wrong"
        assert refusal(service, now=time.time() + 400) == refusal(service, now=time.time() - 400) == "expired"
        assert refusal(service, headers={"x-amz-security-token": "other"}) == "unknown key or token"
        assert refusal(service, headers={"x-amz-meta": "added"}) == "a header is not signed"
