"""Prints the received data as tables and a trace timeline."""

from __future__ import annotations

import sys
from typing import Any

WIDTH = 44
COLOURS = {"segment": "\033[36m", "remote": "\033[33m", "end": "\033[0m", "bold": "\033[1m"}


def paint(name: str, text: str) -> str:
    return f"{COLOURS[name]}{text}{COLOURS['end']}" if sys.stdout.isatty() else text


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{paint('bold', title)}")
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [cell.ljust(width) if number == 0 else cell.rjust(width) for number, (cell, width) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells).rstrip())


def waterfall(documents: list[dict[str, Any]]) -> None:
    """Prints the segments of one trace, each below its parent."""
    begin = min(document["start_time"] for document in documents)
    end = max(document["end_time"] for document in documents)
    print(f"\n{paint('bold', 'One trace, from X-Ray')}  ({documents[0]['trace_id']}, {(end - begin) * 1000:.1f} ms)")
    ids = {document["id"] for document in documents}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for document in sorted(documents, key=lambda document: document["start_time"]):
        parent = document.get("parent_id")
        children.setdefault(parent if parent in ids else None, []).append(document)

    def draw(parent: str | None, depth: int) -> None:
        for document in children.get(parent, []):
            scale = WIDTH / max(end - begin, 1e-9)
            left = int((document["start_time"] - begin) * scale)
            length = max(1, round((document["end_time"] - document["start_time"]) * scale))
            bar = (" " * left + "#" * min(length, WIDTH - left)).ljust(WIDTH)
            kind = "remote" if document.get("namespace") else "segment"
            status = document.get("http", {}).get("response", {}).get("status", "")
            name = ("  " * depth + document["name"])[:28].ljust(28)
            duration = (document["end_time"] - document["start_time"]) * 1000
            print(f"  {name} |{paint(kind, bar)}| {duration:7.1f} ms  {status}")
            draw(document["id"], depth + 1)

    draw(None, 0)


def size(value: float) -> str:
    return f"{value / 1024:.1f} KiB" if value < 1 << 20 else f"{value / (1 << 20):.1f} MiB"
