"""One process of a task sends: the containers of a task, and the processes of a server."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import pytest
from conftest import Programs
from languages import HELPERS, PROGRAMS, Program
from process import application, started, wait_until
from standin import Metadata, Receiver, running, sender_environment
from test_helpers import assert_correct, assert_regular


def test_each_language_takes_over_when_the_sender_dies(programs: Programs) -> None:
    """All languages are containers of one task. The sender is killed until each language has been the sender."""
    languages = programs.available()
    metadata, receivers = Metadata(), {language: Receiver() for language in languages}

    def senders() -> set[str]:
        return {language for language, receiver in receivers.items() if receiver.pushes()}

    with ExitStack() as stack:
        stack.enter_context(running(metadata, *receivers.values()))
        processes = {
            language: stack.enter_context(application(program, sender_environment(metadata.uri, receivers[language].url)))
            for language, program in languages.items()
        }
        # Each process asked for the task at least twice, so that each tried to become the sender.
        assert wait_until(lambda: len(metadata.requests) >= 4 * len(languages))
        killed: set[str] = set()
        while len(killed) < len(languages):
            assert wait_until(lambda: senders() - killed)
            (sender,) = senders() - killed
            processes[sender].kill()
            killed.add(sender)
            assert_regular(receivers[sender].pushes())
            for push in receivers[sender].pushes():
                assert_correct(push, metadata)


def test_each_task_of_an_instance_sends_under_host_networking(programs: Programs) -> None:
    """With the port held by another task."""
    program = programs.get("python")
    other, metadata, receivers = Metadata(), Metadata("host"), (Receiver(), Receiver())
    with ExitStack() as stack:
        stack.enter_context(running(other, metadata, *receivers))
        stack.enter_context(application(program, sender_environment(other.uri, receivers[0].url)))
        assert wait_until(receivers[0].pushes)
        stack.enter_context(application(program, sender_environment(metadata.uri, receivers[1].url)))
        assert wait_until(receivers[1].pushes)


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["fork", "preload"])
def test_gunicorn_sends_once_per_interval(options: list[str]) -> None:
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    metadata, receiver = Metadata(), Receiver()
    command = [sys.executable, "-m", "gunicorn", "-w", "3", "-b", "127.0.0.1:0", "--log-level", "error", "--chdir", str(PROGRAMS), *options, "wsgi:app"]
    variables = {"PYTHONPATH": str(HELPERS), "PYTHONDONTWRITEBYTECODE": "1", "INTERVAL": "1", **sender_environment(metadata.uri, receiver.url)}
    with running(metadata, receiver), started(command, variables) as process:
        assert wait_until(lambda: len(receiver.pushes()) >= 4), process.stderr
        process.child.terminate()
        process.child.wait(20)
        assert process.reports == []
    assert_regular(receiver.pushes())
    for push in receiver.pushes():
        assert_correct(push, metadata)


@pytest.mark.parametrize("mode", ["fork", "preload"])
def test_ruby_server_sends_once_per_interval(programs: Programs, mode: str) -> None:
    ruby = programs.get("ruby")
    metadata, receiver = Metadata(), Receiver()
    server = Program([*ruby.command[:-1], str(PROGRAMS / "prefork.rb"), mode], ruby.version, ruby.environment)
    with running(metadata, receiver), application(server, sender_environment(metadata.uri, receiver.url)) as process:
        assert wait_until(lambda: len(receiver.pushes()) >= 3), process.stderr
        assert process.reports == []
    assert_regular(receiver.pushes())


def test_node_cluster_sends_once_per_interval(programs: Programs) -> None:
    node = programs.get("node")
    metadata, receiver = Metadata(), Receiver()
    cluster = Program([node.command[0], str(PROGRAMS / "cluster.cjs")], node.version)
    with running(metadata, receiver), application(cluster, sender_environment(metadata.uri, receiver.url)) as process:
        assert wait_until(lambda: len(receiver.pushes()) >= 4), process.stderr
        process.finish(20)
        assert process.reports == []
    assert_regular(receiver.pushes())
