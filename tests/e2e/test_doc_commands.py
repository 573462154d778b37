"""Commands in the documentation: `sh` blocks are executed, `console` blocks are only parsed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import CLI, ROOT, Stack, settings

from demo.events import traces
from demo.peers import CREDENTIALS, REGION

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("[A-Z]*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```(sh|console)\n(.*?)^ *```\n(?:\n *```json\n(.*?)^ *```\n)?", re.M | re.S)


def blocks(kind: str) -> list[tuple[str, str, str]]:
    """Returns the page, the commands, and the JSON block directly below them."""
    matches = [(page.name, match) for page in dict.fromkeys(PAGES) for match in BLOCK.finditer(page.read_text())]
    return [(page, match[3], match[4] or "") for page, match in matches if match[2] == kind]


def bash(commands: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    variables = {"HOME": str(folder), **env}
    return subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=variables, capture_output=True, text=True, timeout=60)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A writable folder with links to all files of the repository."""
    for part in ROOT.iterdir():
        if not part.name.startswith("."):
            (tmp_path / part.name).symlink_to(part)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sidecarless").symlink_to(CLI.resolve())
    return tmp_path


def test_documented_commands_succeed(stack: Stack, checkout: Path) -> None:
    # Data for commands that read it.
    assert stack.push("/v1/traces", traces())[0] == 200
    tools = Path(os.environ.get("DEMO_PROMETHEUS", "prometheus")).resolve().parent
    env = {
        **CREDENTIALS, **settings(f"{stack.amp}/api/v1/write", stack.aws), "AWS_REGION": REGION,
        "PATH": f"{checkout / 'bin'}:{tools}:{os.environ['PATH']}", "URL": f"{stack.url}/", "PROMETHEUS": stack.amp,
    }
    ran = blocks("sh")
    for page, commands, expected in ran:
        done = bash(commands, checkout, env)
        assert done.returncode == 0, f"{page}:\n{commands}\n{done.stdout}{done.stderr}"
        if expected:
            assert json.loads(done.stdout).keys() == json.loads(expected).keys(), f"{page}: {done.stdout}"
    print(f"\nshow: {len(ran)} of {len(ran)} blocks of commands in {len({page for page, _, _ in ran})} pages run", end="")
    assert len(ran) >= 5


@pytest.mark.parametrize("page, commands", [(page, commands) for page, commands, _ in blocks("console")])
def test_commands_that_need_an_account_can_be_parsed(page: str, commands: str, tmp_path: Path) -> None:
    placeholders = re.sub(r"<[a-z' ]+>", "PLACEHOLDER", commands)
    parsed = bash(f"bash -n <<'COMMANDS'\n{placeholders}\nCOMMANDS", tmp_path, {"PATH": os.environ["PATH"]})
    assert parsed.returncode == 0, f"{page}: {parsed.stderr}"
