"""The forwarding of pushes to a function."""

from __future__ import annotations

import pytest
import standin
from process import container_environment
from standin import TOKEN, Metadata, Receiver, Recorded, Reply, running


@pytest.mark.parametrize("reply", [Reply(200, b"{}"), Reply(403, b"no label")])
def test_receiver_forwards_to_the_function(monkeypatch: pytest.MonkeyPatch, reply: Reply) -> None:
    metadata, function = Metadata(), Receiver(reply)
    monkeypatch.setattr(standin, "FUNCTION_URL", function.url)
    receiver = Receiver()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", "content-length": "1"}
    with running(metadata, function, receiver):
        response = receiver.reply(Recorded("POST", standin.ROUTE, headers, metadata.task + metadata.stats))
    assert (response.status, response.body) == (reply.status, reply.body)
    (push,) = function.pushes()
    assert push.body == metadata.task + metadata.stats and push.headers["authorization"] == f"Bearer {TOKEN}"


def test_environment_of_programs_has_no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECARLESS_URL", "http://elsewhere")
    assert "SIDECARLESS_URL" not in container_environment({})
