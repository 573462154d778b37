"""Relabelling rules that are expensive, or that grow labels. The rules are those of the owner of the function; the sender chooses the labels.

The rules fit into an environment variable (4 KB) or a parameter of Systems Manager (8 KB): aliases of YAML repeat a rule.
"""

from __future__ import annotations

from collections.abc import Callable

import wire
from inputs import add
from wire import attribute, message, number_point, numbered

CONFIGS = "SIDECARLESS_WRITE_RELABEL_CONFIGS"
# Aliases of one rule. Two of them take 12 bytes, so they fit into 4 KB.
MANY = 600
PORT = "{port}"


def repeated(count: int, *rules: str) -> str:
    """A list of rules, repeated as aliases."""
    anchors = [f"- &r{number} {{{rule}}}" for number, rule in enumerate(rules)]
    aliases = [f"- *r{number}" for number in range(len(rules))]
    return "\n".join(anchors + aliases * (count - 1))


def written(count: int, *rules: str) -> dict[str, str]:
    """Rules for all series."""
    return {CONFIGS: repeated(count, *rules)}


def scraped(count: int, *rules: str) -> dict[str, str]:
    """Rules for the samples of the hostile target."""
    rules_of_target = repeated(count, *rules).replace("\n", "\n  ")
    return {"SIDECARLESS_SCRAPE_RULES": f"- service: cart\n  port: {PORT}\n  path: /hostile\n  metric_relabel_configs:\n  {rules_of_target}"}


def both(name: str, kinds: tuple[str, str], count: int, *rules: str, **more: object) -> Callable[[Callable[[int], bytes]], None]:
    """Adds a page with these rules for all series, and with the same rules for its target."""

    def register(make: Callable[[int], bytes]) -> None:
        add(f"{name}, all series", kinds[0], settings=written(count, *rules), **more)(make)
        add(f"{name}, one target", kinds[1], settings=scraped(count, *rules), **more)(make)

    return register


def point(*pairs: tuple[str, str | bytes]) -> bytes:
    return wire.metrics(wire.gauge(number_point(wire.attributes(7, pairs))))


DOUBLE = "source_labels: [a], target_label: a, replacement: $1$1"
# The healthy target has no label `a`.
LABELS_TWICE = tuple(f"action: labelmap, regex: '(.*_)?a', replacement: {letter}_$0" for letter in "cdefgh")
NAMES = "source_labels: [a], regex: (.+), target_label: __name__"
FEW = (2_500, 5_000, 10_000)
HASH = "action: hashmod, source_labels: [a], modulus: 8, target_label: b"
# Many states of its automaton are active at once.
ACTIVE = "action: drop, source_labels: [a], regex: '.*x.{900}'"
GROUPS = f"source_labels: [a], target_label: b, regex: {'(x|y)?' * 600}.*"


# ---- requests


@add("rules-that-double-a-label", "push_memory", settings=written(MANY, DOUBLE))
def _() -> bytes:
    return point(("a", "v"))


@add("rules-that-double-a-label-of-many-series", "push_growth", settings=written(MANY, DOUBLE), sizes=FEW)
def _(count: int) -> bytes:
    return wire.metrics(wire.gauge(numbered(number_point(message(7, attribute("a", "v0000000"))), count)))


@add("rules-that-copy-all-labels", "push_memory", settings=written(MANY // 6, *LABELS_TWICE))
def _() -> bytes:
    return point(("a", "v"))


@add("references-in-one-replacement", "push_memory", settings=written(1, f"source_labels: [a], target_label: b, replacement: {'$1' * 1_800}"))
def _() -> bytes:
    return point(("a", "v" * 18_000_000))


@add("source-labels-of-one-rule", "push_memory", settings=written(1, f"source_labels: [{','.join(['a'] * 150)}], target_label: b"))
def _() -> bytes:
    return point(("a", "v" * 18_000_000))


@add("labels-copied-by-labelmap", "push_time", sizes=(50_000, 100_000, 200_000, 800_000), settings=written(1, "action: labelmap, regex: tmp_(.*), replacement: b_$1"))
def _(count: int) -> bytes:
    return wire.metrics(wire.gauge(number_point(numbered(message(7, attribute("tmp_0000000", "v")), count))))


@add("rules-over-many-labels", "push_time", sizes=(20_000, 40_000, 80_000, 800_000), settings=written(MANY, "action: labeldrop, regex: x.*y"))
def _(count: int) -> bytes:
    return wire.metrics(wire.gauge(number_point(numbered(message(7, attribute("tmp_0000000", "v")), count))))


@add("labels-set-before-many-labels", "push_time", sizes=(20_000, 40_000, 80_000, 800_000), settings=written(MANY // 2, "target_label: a, replacement: x", "action: labeldrop, regex: a"))
def _(count: int) -> bytes:
    return wire.metrics(wire.gauge(number_point(numbered(message(7, attribute("tmp_0000000", "v")), count))))


@add("hashes-of-a-long-value", "push_time", sizes=(20_000, 40_000, 80_000, 18_000_000), settings=written(MANY, HASH))
def _(count: int) -> bytes:
    return point(("a", "v" * count))


@add("expression-with-many-active-states", "push_time", sizes=(20_000, 40_000, 80_000, 18_000_000), settings=written(1, ACTIVE))
def _(count: int) -> bytes:
    return point(("a", "xxy" * (count // 3)))


@add("expression-with-many-active-states-on-many-series", "push_growth", sizes=(500, 1_000, 2_000), settings=written(1, ACTIVE))
def _(count: int) -> bytes:
    return wire.metrics(wire.gauge(numbered(number_point(message(7, attribute("a", "xxy" * 600 + "0000000"))), count)))


@add("expression-with-many-groups", "push_memory", settings=written(1, GROUPS))
def _() -> bytes:
    return point(("a", "xyxx" * 500))


@add("expression-with-many-groups-on-many-series", "push_growth", sizes=(500, 1_000, 2_000), settings=written(1, GROUPS))
def _(count: int) -> bytes:
    return wire.metrics(wire.gauge(numbered(number_point(message(7, attribute("a", "xyxx" * 500 + "0000000"))), count)))


@add("rules-over-many-series", "push_growth", sizes=FEW, settings=written(MANY, "source_labels: [a, b], regex: x.*y, target_label: c"))
def _(count: int) -> bytes:
    return wire.metrics(wire.gauge(numbered(number_point(message(7, attribute("a", "v0000000"))), count)))


@add("help-copied-to-new-names", "push_memory", settings=written(1, NAMES))
def _() -> bytes:
    points = numbered(number_point(message(7, attribute("a", "v0000000"))), 150_000)
    return wire.metrics(message(2, message(1, "g") + message(2, "h" * 1_024) + message(5, points)))


@add("series-merged-with-descending-times", "push_growth", sizes=(20_000, 40_000, 80_000), settings=written(1, "action: labeldrop, regex: a"))
def _(count: int) -> bytes:
    parts = [number_point(message(7, attribute("a", f"v{number:07d}")), at) for number, at in enumerate(wire.descending_times(count))]
    return wire.metrics(wire.gauge(b"".join(parts)))


# ---- expositions


@both("label of a page doubled by rules", ("scrape_growth", "scrape_growth"), MANY, DOUBLE, sizes=FEW)
def _(count: int) -> bytes:
    return numbered(b'm{a="0000000"} 1\n', count)


@both("labels of a page copied by rules", ("scrape_growth", "scrape_growth"), 2, *LABELS_TWICE, sizes=FEW)
def _(count: int) -> bytes:
    return numbered(b'm{a="0000000"} 1\n', count)


@both("label of a page hashed by rules", ("scrape_growth", "scrape_growth"), MANY, HASH, sizes=(2_000_000, 4_000_000, 8_000_000, 16_000_000))
def _(count: int) -> bytes:
    return b'm{a="' + b"v" * count + b'"} 1\n'


@both("long label of a page in many active states", ("scrape_growth", "scrape_growth"), 1, ACTIVE, sizes=(2_000_000, 4_000_000, 8_000_000, 16_000_000))
def _(count: int) -> bytes:
    return b'm{a="' + b"xxy" * (count // 3) + b'"} 1\n'


@both("labels of a page in many active states", ("scrape_growth", "scrape_growth"), 1, ACTIVE, sizes=(1_000, 2_000, 4_000))
def _(count: int) -> bytes:
    return numbered(b'm{a="' + b"xxy" * 600 + b'0000000"} 1\n', count)


@both("labels of a page in many groups", ("scrape_growth", "scrape_growth"), 1, GROUPS, sizes=(1_000, 2_000, 4_000))
def _(count: int) -> bytes:
    return numbered(b'm{a="' + b"xyxx" * 450 + b'0000000"} 1\n', count)


@both("page with many rules", ("scrape_growth", "scrape_growth"), MANY, "source_labels: [a], regex: x.*y, target_label: b", sizes=FEW)
def _(count: int) -> bytes:
    return numbered(b'm{a="' + b"y" * 300 + b'0000000"} 1\n', count)


@both("names of a page from a label, with a long help", ("scrape_growth", "scrape_growth"), 1, NAMES, sizes=FEW)
def _(count: int) -> bytes:
    return b"# HELP m " + b"h" * 100_000 + b"\n# TYPE m gauge\n" + numbered(b'm{a="x0000000"} 1\n', count)
