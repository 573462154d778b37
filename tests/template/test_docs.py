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
        for part in re.split(r"\.\.\.|\b0\b|, which| has no path: |^AMP |^X-Ray |^CloudWatch Logs |^CloudWatch ", message)
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


def test_every_reason_of_a_refused_push_is_explained():
    code = (ROOT / "src/handlers/http/task_stats.rs").read_text()
    section = (ROOT / "docs/troubleshooting.md").read_text().split("## Pushed task stats")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in re.findall(r"^\| (`push_.*) \|$", section, re.M)]
    assert {row[0].strip("`") for row in rows} == set(re.findall(r'"(push_\w+)"', code))
    for reason, messages, *_ in rows:
        found = re.findall(r"`([^`]+)`", messages)
        for message in found:
            parts = re.split(r"STOPPED|/task document", message)
            assert all(part.strip() in source() for part in parts), f"{reason}: {message}"
        assert found, reason


# Snake-case words of files with reasons that are names of labels, fields, events and metrics.
NOT_REASONS = {
    "end_time", "essential_container", "event_name", "event_type", "greater_than_max_sample_age", "log_events",
    "original_size_bytes", "schema_url", "service_event", "source_ip", "source_labels", "stop_code", "target_info",
    "target_label", "task_state_change",
}


def reasons() -> set[str]:
    """Returns the words that the code can pass on as the reason of a counter: arguments of calls that count, and values of functions,
    constants and fields in files that name rejections."""
    word = r'"([a-z][a-z0-9]*(?:_[a-z0-9]+)+|malformed|undelivered|unavailable)"'
    counted = r"\b(?:add|reject|reject_all|rejected|warn_not_written|add_with_reason)\((?:[^\"()|]|\(\))*?" + word + ","
    value = r"(?:=> |return |Some\(|Err\(|Reason\(|\b(?:reason|code|rejected): |[\[({, ] ?|const [A-Z_]+: &str = )" + word
    found = set()
    for path in sorted((ROOT / "src").rglob("*.rs")):
        # Why tasks stopped, the summary of a run, and the names of the counters themselves.
        is_about_others = re.search(r"stopped/reason|schedule|report|self_metrics|item_counters|tests\.rs|/bin/|/settings/", str(path.relative_to(ROOT)))
        code = re.sub(r"^\s*//.*$", "", re.split(r"#\[cfg\(test\)\]\s*\nmod tests \{", path.read_text())[0], flags=re.M)
        found.update(re.findall(counted, code))
        if not is_about_others and re.search(r"Rejections|RejectReason|reason\b|rejected", path.read_text()):
            found.update(re.findall(value, code))
    prefixes = ("sidecarless_", "aws_ecs_", "ecs_", "cloud_", "otel_")
    return {word for word in found if not word.startswith(prefixes)} - NOT_REASONS


def test_every_reason_is_documented():
    rows = re.findall(r"^\| (`[^|]*`) \|", (ROOT / "docs/reasons.md").read_text(), re.M)
    documented = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]
    assert len(documented) == len(set(documented))
    assert not reasons() - set(documented), "a reason that docs/reasons.md lacks, or another word for NOT_REASONS"
    assert not set(documented) - reasons(), "no code has this reason"


def price(item, unit):
    return float(re.search(rf"^\| {item} \| \$([\d.]+) per {unit}", (ROOT / "docs/cost.md").read_text(), re.M)[1])


def cost_table(name):
    """Returns the rows of the table with this marker, without the header."""
    text = (ROOT / "docs/cost.md").read_text().split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()[2:]]


def test_cost_of_pushed_task_stats_follows_from_the_prices():
    seconds, gigabytes = 0.033, 0.5
    invocation = price("Lambda", "million requests") / 1e6 + seconds * gigabytes * price("Lambda on arm64", "GB-second")
    rows = cost_table("push")
    assert [row[0] for row in rows] == ["60 s", "30 s", "15 s"]
    for interval, *amounts in rows:
        pushes = 730 * 3600 / int(interval.split()[0])
        concurrency = 1000 * pushes * seconds / (730 * 3600)
        assert amounts == [f"{pushes:,.0f}", f"${pushes * invocation:.3f}", f"${1000 * pushes * invocation:,.2f}", f"{concurrency:.1f}"]
    endpoint = price("interface endpoint", "hour and zone")
    ways = {"NAT gateway": price("NAT gateway", "hour"), "one interface endpoint": endpoint, "seven interface endpoints": 7 * endpoint}
    assert cost_table("scraping") == [[way, *(f"${730 * zones * hour:.2f}" for zones in (1, 2, 3))] for way, hour in ways.items()]
    per_task = 43_800 * invocation
    text = (ROOT / "docs/cost.md").read_text()
    for sum_of_scraping in (730 * ways["NAT gateway"], 2 * 730 * ways["seven interface endpoints"]):
        assert f"{sum_of_scraping / per_task:,.0f} tasks" in text.replace("\n", " ")
    assert f"${invocation:.8f}" in text


def test_cost_of_cloudwatch_metrics_follows_from_the_price():
    metric, lag = price("CloudWatch GetMetricData", "thousand metrics requested") / 1e3, 3
    connect = (ROOT / "src/translate/cloudwatch/metrics.rs").read_text().split("pub const METRICS")[1]
    of_name = len(re.findall(r"EcsMetric::(?:received|responses|target)\(", connect)) - connect.count(".with_tls()")
    rows = cost_table("cloudwatch")
    assert [row[0] for row in rows] == ["`1`", "`2` (default)", "`5`", "`10`", "`off`"]
    for interval, *cells in rows:
        minutes = int(interval.strip("`").split("`")[0]) if "off" not in interval else None
        reads = 43_800 / minutes if minutes else 0
        amounts = [f"${reads * metric * count:,.2f}" for count in (2, 20, 200, of_name)]
        # The precision of the schedule is a minute.
        age = [f"{minutes + lag + 1} minutes old"] if minutes else [""]
        assert cells == [f"{reads:,.0f}", *amounts, *age], interval
    assert of_name == 12 and "reads 12 metrics for each discovery name" in (ROOT / "docs/cost.md").read_text()


def test_cost_of_data_points_in_cloudwatch_follows_from_the_price():
    price_of_gb = price("CloudWatch, OpenTelemetry metrics", "GB ingested")
    text = (ROOT / "docs/cost.md").read_text()
    assert f"cost ${price_of_gb:.2f} per GB" in text
    for size, *cells in cost_table("points"):
        gigabytes = 100 * 43_800 * int(size.split()[0].replace(",", "")) / 1e9
        assert cells == [f"{gigabytes:.2f} GB", f"${gigabytes * price_of_gb:.2f}", f"${100 * gigabytes * price_of_gb:.2f}"]
    in_amp = 100 * 43_800 * price("AMP, first 2 billion", "10 million samples") / 1e7
    assert f"cost ${in_amp:.2f} and ${100 * in_amp:.2f} in AMP" in text


def test_cost_of_remote_sampling_follows_from_the_prices():
    seconds, gigabytes = 0.031, 0.5
    call = price("Lambda", "million requests") / 1e6 + seconds * gigabytes * price("Lambda on arm64", "GB-second")
    for processes, *amounts in cost_table("sampling"):
        calls = int(processes.replace(",", "")) * (730 * 3600 // 300 + 730 * 3600 // 10)
        assert amounts == [f"{calls:,}", f"${calls * call:,.2f}", f"{calls * seconds / (730 * 3600):.3f}"]


def test_number_of_tasks_at_the_request_limit_follows_from_the_intervals():
    """Lambda allows ten requests per second for each unit of concurrency. Metrics and stats are sent once a minute, spans every 15 s as the
    outputs of the template say, or every 5 s as SDKs do by default."""
    template = (ROOT / "template.yaml").read_text()
    concurrency = int(re.search(r"ReservedConcurrency:\n    Type: Number\n    Default: (\d+)", template)[1])
    seconds = {int(delay) // 1000 for delay in re.findall(r"OTEL_BSP_SCHEDULE_DELAY=(\d+)\n", template)}
    (per_minute,) = [60 // delay + 1 + 1 for delay in seconds]
    by_default = 60 // 5 + 1 + 1
    tasks = concurrency * 10 * 60 // per_minute
    page = (ROOT / "docs/limits.md").read_text()
    assert f"sends {per_minute} requests per minute, so {tasks} tasks" in page and f"| {concurrency * 10}: ten for each unit" in page
    assert f"of SDKs, {by_default} and {concurrency * 10 * 60 // by_default}" in page
    assert f"more than {tasks // 100 * 100} tasks that push" in template


def test_seven_interface_endpoints_are_all_but_one():
    table = (ROOT / "docs/networking.md").read_text().split("## Function to AWS services")[1]
    endpoints = set(re.findall(r"com\.amazonaws\.<region>\.([\w-]+)", table))
    assert len(endpoints - {"sts"}) == 7 and "sts" in endpoints


def test_amounts_in_container_stats_match_the_cost_page():
    cost = (ROOT / "docs/cost.md").read_text()
    # Rounded to cents.
    rounded = {"$0.02": "$0.018"}
    for amount in set(re.findall(r"\$\d[\d,]*(?:\.\d+)?", (ROOT / "docs/container-stats.md").read_text())):
        assert rounded.get(amount, amount) in cost, amount
