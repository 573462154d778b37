"""Checks README.md and docs/ against the code: quoted messages, links, and the settings reference."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def source():
    files = sorted((ROOT / "src").rglob("*.rs"))
    text = "\n".join(file.read_text() for file in files)
    return re.sub(r"\\\n\s*", "", text)


def test_quoted_messages_exist_in_the_code():
    code = re.sub(r"\{[^{}\s]*\}", "...", source()).replace('\\"', '"')
    code += (ROOT / "tests/data/aws_error_codes.json").read_text()
    messages = [
        quoted.strip()
        for heading in re.findall(r"^### (.*)$", (ROOT / "docs/troubleshooting.md").read_text(), re.M)
        if not re.match(r"4\d\d", heading)
        for quoted in re.findall(r"(?<!`)(?:``(?!`)(.+?)``|`([^`]+)`)", heading)
        for quoted in quoted
        if quoted
    ]
    assert len(messages) > 25
    # Messages are assembled from parts. Each part must exist in the code.
    fragments = [
        part.strip(" `,:")
        for message in messages
        for part in re.split(r"\.\.\.|\b0\b|, which| has no path: |^AMP |^X-Ray |^CloudWatch Logs ", message)
    ]
    for fragment in fragments:
        if len(fragment) > 7:
            assert fragment.removesuffix("Exception") in code, fragment


def test_links_between_pages_are_valid():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def setting_names() -> list[str]:
    rows = "".join(path.read_text() for path in (ROOT / "src/settings/table").glob("*.rs"))
    return sorted({*re.findall(r'name: "([A-Z0-9_]+)"', rows), *re.findall(r'const \w+_SETTING: &str = "([A-Z0-9_]+)"', rows)})


def test_settings_reference_has_the_rows_of_the_settings_table():
    settings = setting_names()
    reference = (ROOT / "README.md").read_text().split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    assert len(settings) > 40
    assert sorted(re.findall(r"^\| `([A-Z0-9_]+)` \|", reference, re.M)) == settings


def test_settings_named_in_pages_exist():
    settings = setting_names()
    for page in PAGES:
        for name in set(re.findall(r"`(SIDECARLESS_[A-Z0-9_]*[A-Z0-9])", page.read_text())):
            assert name in settings, f"{page.name}: {name}"


def test_amounts_in_alternatives_match_the_cost_page():
    """Exceptions: the gateway, whose cost is computed from its prices, and amounts that the page marks as second-hand."""
    cost = (ROOT / "docs/cost.md").read_text()
    vcpu, memory = (float(re.search(rf"Linux x86_64 \| \$([\d.]+) per {unit}-hour", cost)[1]) for unit in ("vCPU", "GB"))
    gateway = f"${2 * 730 * (0.5 * vcpu + memory):.2f}"
    second_hand = {"$0.04", "$29.20", "$0.03"}
    amounts = set(re.findall(r"\$\d[\d,]*(?:\.\d+)?", (ROOT / "docs/alternatives.md").read_text()))
    assert gateway in amounts and second_hand < amounts
    for amount in amounts - second_hand - {gateway}:
        assert amount in cost, amount
