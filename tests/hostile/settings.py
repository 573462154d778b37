"""Hostile texts of settings: `SIDECARLESS_SETTINGS`, the parameter of Systems Manager, and the settings with a syntax of their own.

Variables of Lambda take 4 KB in total, a parameter 8 KB. These texts are longer where Linux allows it (128 KB for one variable), so that the
limits are those of the function.
"""

from __future__ import annotations

from collections.abc import Callable

from inputs import add

TEXT, PARAMETER = "SIDECARLESS_SETTINGS", "SIDECARLESS_SETTINGS_PARAMETER"
RULES, TARGETS = "SIDECARLESS_WRITE_RELABEL_CONFIGS", "SIDECARLESS_SCRAPE_RULES"
LONGEST = 120_000
LONGEST_PARAMETER = 8_192


def setting(case: str, name: str, value: str, *errors: str) -> None:
    """Adds an input. The function starts if there are no errors, and otherwise names each of them."""
    add(f"settings: {case}", "start", options={"errors": errors})(lambda: {name: value})


def parameter(case: str, text: str, *errors: str) -> None:
    add(f"settings: {case} in a parameter", "start", options={"errors": errors})(lambda: {PARAMETER: "/shop/settings", "parameter": text})


def laughs(levels: int, inner: str) -> str:
    """Aliases of aliases, ten for each level."""
    lists = (f", &a{level} [{','.join([f'*a{level - 1} '] * 10)}]" for level in range(1, levels))
    return f"[&a0 {inner}{''.join(lists)}]"


def distinct(template: str, size: int) -> str:
    """Numbered repetitions of a template of rules."""
    count = size // (len(template) + 1)
    return "".join(template.replace("NUMBER", f"{number:06d}") for number in range(count))


for size, kind in ((LONGEST, setting), (LONGEST_PARAMETER, None)):
    texts: list[tuple[str, str, tuple[str, ...]]] = [
        ("one long line", "x" * size, ("line 1 is no setting",)),
        ("semicolons", ";" * size, ()),
        ("semicolons and names", ";SIDECARLESS_A" * (size // 15), ("line 1 is no setting",)),
        ("semicolons and settings", ";SIDECARLESS_A=b" * (size // 17), ("SIDECARLESS_A", "set twice")),
        ("lines that are no settings", "x\n" * (size // 2), ("line 1 is no setting",)),
        ("unknown settings", distinct("SIDECARLESS_NUMBER=a\n", size), ("unknown setting",)),
        ("an unknown setting with a long name", f"SIDECARLESS_{'A' * (size - 20)}=a", ("unknown setting",)),
        ("a setting again and again", "SIDECARLESS_AUTH=none\n" * (size // 22), ("SIDECARLESS_AUTH", "set twice")),
        ("lines that continue a value", "SIDECARLESS_AUTH=" + "\n x" * (size // 4), ("SIDECARLESS_AUTH",)),
        ("control characters", "SIDECARLESS_AUTH=\x01\x1b[31m\u202e\ufeff\n" + "\x7f" * (size // 2), ("SIDECARLESS_AUTH",)),
        ("aliases of aliases", f"{RULES}={laughs(12, '[x]')}", (RULES, "aliases make it too large")),
        ("nested lists", f"{RULES}={'[' * (size - 50)}", (RULES,)),
        ("nested mappings", f"{RULES}={'{a: ' * (size // 5)}", (RULES,)),
    ]
    for case, text, errors in texts:
        if kind is setting:
            setting(case, TEXT, text, *errors)
        else:
            parameter(case, text, *errors)

setting("nested blocks", RULES, "- " * 30_000, RULES, "nested more than 16 levels")
setting("a thousand rules", RULES, "- {action: keep}\n" * 1_000)
setting("too many rules", RULES, "- {action: keep}\n" * 3_800, RULES, "at most 1000")
setting("too much text", RULES, "- {action: keep}\n" * 7_000, RULES, "at most 65536")
setting("a field again and again", RULES, f"- {{{'regex: a, ' * 5_000}}}", RULES, "set twice")
setting("many fields", RULES, f"- {{{''.join(f'f{number}: a, ' for number in range(5_000))}}}", RULES, "unknown field")
setting("an alias of a rule", RULES, "- &a {action: keep, regex: '.{700}'}\n" + "- *a\n" * 999)
setting("a class again and again", RULES, f"- {{action: keep, regex: '{chr(92) + 'pL'}{(chr(92) + 'pL') * 20_000}'}}", RULES, "more than 100000 ranges")
setting("a class without case", RULES, f"- {{action: keep, regex: '(?i){(chr(92) + 'pL') * 20_000}'}}", RULES, "more than 100000 ranges")
setting("groups", RULES, f"- {{regex: '{'()' * 30_000}', target_label: a}}", RULES, "takes too much memory")
setting("named groups", RULES, f"- {{regex: '{'(?P<a>x)' * 3_000}', target_label: a, replacement: {'$a' * 10_000}}}")
setting("expressions", RULES, distinct("- {action: keep, regex: a.*NUMBER}\n", 34_000))
setting("references in a replacement", RULES, f"- {{target_label: a, replacement: {'$1' * 30_000}}}")
setting("numbers out of range in rules", RULES, "- {action: hashmod, target_label: a, modulus: 18446744073709551616}", RULES, "modulus")
setting("repetitions out of range", RULES, "- {action: keep, regex: 'a{4294967296}'}", RULES, "invalid repeat count")
setting("scrape rules", TARGETS, "service=a port=1;" * 7_000)
setting("scrape rules with conditions", TARGETS, f"{'service=a ' * 11_000}port=1")
setting("scrape rules with ports", TARGETS, f"service=a port={'1,' * 50_000}1")
setting("scrape rules with an alias", TARGETS, "- {service: a, port: 1, metric_relabel_configs: &m [{action: keep, regex: '.{700}'}]}\n" + "- {service: a, port: 1, metric_relabel_configs: *m}\n" * 1_200)
setting(
    "scrape rules with expressions", TARGETS, distinct("- {service: a, port: 1, metric_relabel_configs: [{action: keep, regex: '.{300}NUMBER'}]}\n", 60_000),
    TARGETS, "takes too much memory",
)
setting("clusters", "SIDECARLESS_CLUSTERS", "a*," * 40_000)
setting("stars of a cluster", "SIDECARLESS_CLUSTERS", "*a" * 50_000)
setting("task filter", "SIDECARLESS_TASK_FILTER", "service=*a*a*a*b," * 7_000)
setting("token hashes", "SIDECARLESS_TOKENS_SHA256", f"{'0' * 64}," * 1_800)
setting("labels", "SIDECARLESS_EXTERNAL_LABELS", distinct("aNUMBER=b,", LONGEST))
setting("tags", "SIDECARLESS_TAG_LABELS", distinct("aNUMBER,", LONGEST))
setting("a URL", "SIDECARLESS_SHARD_QUEUE_URL", f"https://{'a.' * 50_000}")
setting("bytes that are not UTF-8", RULES, "- {action: keep, regex: '\udcff'}", RULES, "UTF-8")
setting("a name that is not UTF-8", "SIDECARLESS_\udcff", "a", "unknown setting")

NUMBERS = {
    "SIDECARLESS_INSIGHTS_DELAY": ("s", "d"), "SIDECARLESS_SCRAPE_TIMEOUT": ("s", "ms"), "SIDECARLESS_MAX_SAMPLE_AGE": ("s", "ms"),
    "SIDECARLESS_SCRAPE_BODY_LIMIT": ("GB", "KB"), "SIDECARLESS_SCRAPE_SAMPLE_LIMIT": ("",), "SIDECARLESS_MAX_SERIES": ("",),
    "SIDECARLESS_MAX_INLINE_TASKS": ("",), "SIDECARLESS_CLOUDWATCH_INTERVAL": ("",),
}


def number_cases() -> dict[str, Callable[[], dict[str, str]]]:
    return {
        "largest numbers": lambda: {name: largest(name) for name in NUMBERS},
        "numbers out of range": lambda: {name: f"18446744073709551616{units[0]}" for name, units in NUMBERS.items()},
        "negative numbers": lambda: {name: f"-1{units[0]}" for name, units in NUMBERS.items()},
        "long numbers": lambda: {name: f"{'9' * 10_000}{units[0]}" for name, units in NUMBERS.items()},
        "zero": lambda: {name: f"0{units[0]}" for name, units in NUMBERS.items()},
    }


def largest(name: str) -> str:
    """The largest number that a setting accepts."""
    special = {"SIDECARLESS_CLOUDWATCH_INTERVAL": "10", "SIDECARLESS_SCRAPE_BODY_LIMIT": "17179869183GB"}
    return special.get(name, f"18446744073709551615{NUMBERS[name][0]}")


for case, make in number_cases().items():
    add(f"settings: {case}", "start", options={"errors": () if case == "largest numbers" else tuple(NUMBERS) if case != "zero" else None})(make)
