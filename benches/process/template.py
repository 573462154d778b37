"""Environment variables that template.yaml sets for the function to a constant."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Variables of the first function, and one of them with a constant: not a reference, a condition or a nested value.
VARIABLES = re.compile(r"^ {2}Function:\n(?:^ {3,}.*\n|^\n)*?^ {6}Environment:\n^ {8}Variables:\n((?:^ {10,}.*\n|^\n)*)", re.MULTILINE)
CONSTANT = re.compile(r"""^ {10}([A-Z][A-Z0-9_a-z]*): (?:"([^"\n]*)"|'([^'\n]*)'|([^\s!"'#&*|>\[{][^#\n]*?))[ ]*(?:#.*)?$""", re.MULTILINE)


def constants(template: str) -> dict[str, str]:
    block = VARIABLES.search(template)
    if block is None:
        raise ValueError("template.yaml has no variables of the resource Function")
    return {match[1]: next(text for text in match.groups()[1:] if text is not None) for match in CONSTANT.finditer(block[1])}


def variables(commit: str | None = None) -> dict[str, str]:
    """Returns the variables of this template, or of the one in a commit."""
    if commit is None:
        return constants((ROOT / "template.yaml").read_text())
    show = ["git", "-C", str(ROOT), "show", f"{commit}:template.yaml"]
    return constants(subprocess.run(show, check=True, capture_output=True, text=True).stdout)
