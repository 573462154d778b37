"""Remote samplers that send no header: their address contains the token. The remote sampler of OpenTelemetry for Node is the real one; the others
are programs that send what their sources say, because their SDKs are not in the registries of the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from adot_clients import SamplingProxy
from conftest import BINARY, ROOT, TOKEN, settings

from demo.peers import Peers, function, moto

sys.path.append(str(ROOT / "tests" / "helpers"))

from languages import Missing, Program, compile_csharp, dotnet_program, go_environment, on_path, run  # noqa: E402

SAMPLERS = Path(__file__).parent / "samplers"
NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"


def java(folder: Path) -> Program:
    run([on_path("javac"), "-d", str(folder), str(SAMPLERS / "Sampler.java")])
    return Program([on_path("java"), "-XX:TieredStopAtLevel=1", "-cp", str(folder), "Sampler"], "Java")


def dotnet(folder: Path) -> Program:
    compile_csharp(folder, SAMPLERS / "Sampler.cs")
    return dotnet_program(folder)


def go(folder: Path) -> Program:
    compiler, environment = go_environment(folder)
    shutil.copy(SAMPLERS / "sampler.go", folder)
    (folder / "go.mod").write_text("module sampler\n\ngo 1.16\n")
    run([compiler, "build", "-o", "sampler", "."], environment, folder)
    return Program([str(folder / "sampler")], "Go")


def node(_: Path) -> Program:
    if not NODE_MODULES.is_dir():
        raise Missing("the OpenTelemetry SDK for Node is not installed")
    variables = {"NODE_PATH": str(NODE_MODULES), "OTEL_SERVICE_NAME": "sampled"}
    return Program([on_path("node"), str(Path(__file__).parent / "node" / "sampler.cjs")], "Node", variables)


LANGUAGES: dict[str, Callable[[Path], Program]] = {"java": java, "dotnet": dotnet, "go": go, "node": node}


@pytest.fixture(scope="module")
def samplers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SamplingProxy, Peers, str]]:
    with Peers(tmp_path_factory.mktemp("peers")) as peers, SamplingProxy(moto(peers)) as xray:
        yield xray, peers, function(peers, BINARY, {**settings("", xray.url), "AWS_ENDPOINT_URL_XRAY": xray.url})


@pytest.fixture(scope="module")
def ask(samplers: tuple[SamplingProxy, Peers, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """Runs the sampler of a language with an endpoint. Returns its output."""
    programs: dict[str, Program] = {}

    def ask(language: str, endpoint: str) -> str:
        if language not in programs:
            try:
                programs[language] = LANGUAGES[language](tmp_path_factory.mktemp(language))
            except Missing as missing:
                pytest.skip(str(missing))
        program = programs[language]
        environment = {"PATH": os.environ["PATH"], "NO_PROXY": "*", **program.environment}
        ran = subprocess.run([*program.command, endpoint], env=environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    return ask


@pytest.mark.parametrize("language", ["java", "dotnet"])
def test_token_in_the_path(samplers: tuple[SamplingProxy, Peers, str], ask: Callable[[str, str], str], language: str) -> None:
    xray, _, url = samplers
    before = len(xray.statistics())
    assert ask(language, f"{url}/sampling-token/{TOKEN}") == "200 200"
    assert ask(language, f"{url}/sampling-token/wrong") == "401 401"
    assert ask(language, url) == "401 401"
    assert ask(language, url.replace("http://", f"http://sampler:{TOKEN}@")) == "401 401", "this sampler ignores the user information"
    assert [document["RequestCount"] for document in xray.statistics()[before:]] == [3]


def test_token_as_user_information(samplers: tuple[SamplingProxy, Peers, str], ask: Callable[[str, str], str]) -> None:
    _, _, url = samplers
    assert ask("go", url.replace("http://", f"http://sampler:{TOKEN}@")) == "200 200"
    assert ask("go", f"{url}/sampling-token/{TOKEN}") == "401 401", "this sampler replaces the path"


def test_real_sampler_with_a_token_in_the_path(samplers: tuple[SamplingProxy, Peers, str], ask: Callable[[str, str], str]) -> None:
    _, _, url = samplers
    assert ask("node", f"{url}/sampling-token/{TOKEN}") == "0", "the default rule of the account samples nothing"


def test_token_is_in_no_log(samplers: tuple[SamplingProxy, Peers, str]) -> None:
    """The previous tests have sent it in paths of accepted and of refused requests."""
    _, peers, _ = samplers
    log = peers.log("function")
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    failed = [line for line in lines if line.get("message") == "request failed"]
    assert {line["path"] for line in failed} == {"/GetSamplingRules", "/SamplingTargets"}
    assert TOKEN not in log and "wrong" not in log
