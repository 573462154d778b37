//! Compares the estimate with manual calculations, the template and the documentation.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;
use options::{Arch, Reservation};

pub(super) fn options(words: &str) -> Options {
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    Options::parse(lexopt::Parser::from_args(words)).unwrap()
}

pub(super) fn estimate(words: &str) -> Estimate {
    let options = options(words);
    Estimate::new(Fleet::hypothetical(options.tasks.unwrap(), &options), options)
}

fn workload(words: &str, trigger: &str) -> Option<(f64, f64)> {
    let workload = estimate(words).workloads.into_iter().find(|workload| workload.trigger.as_str() == trigger)?;
    Some((workload.invocations, workload.duration_ms))
}

pub(super) fn near(actual: f64, expected: f64) -> bool {
    (actual - expected).abs() <= expected.abs() * 1e-6
}

#[test]
fn sidecar_cost_is_the_price_of_its_reservation() {
    for (words, expected) in [
        // 730 h * (0.25 vCPU * 0.04048 + 0.5 GB * 0.004445).
        ("--tasks 1", 9.010_025),
        ("--tasks 100", 901.002_5),
        // 730 h * (0.25 * 0.03238 + 0.5 * 0.00356).
        ("--tasks 1 --arch arm64", 7.208_75),
        // 730 h * (1 * 0.04048 + 2 * 0.004445).
        ("--tasks 1 --sidecar 1024/2048", 36.040_1),
    ] {
        let actual = estimate(words).sidecars.total_usd;
        assert!(near(actual, expected), "{words}: {actual}");
    }
}

#[test]
fn spot_has_its_minimum_price_and_instances_none() {
    let group = |place| fleet::PricingClass { launch_type: place, arch: Arch::X86 };
    for (place, expected) in [
        (fleet::LaunchType::Fargate, Some(9.010_025)),
        (fleet::LaunchType::FargateSpot, Some(2.703_007_5)),
        (fleet::LaunchType::Instances, None),
    ] {
        let sidecars = Reservation { cpu: 256.0, mib: 512.0 };
        let one = fleet::Group { tasks: 1, sidecars, ..fleet::Group::default() };
        let fleet = Fleet { groups: [(group(place), one)].into(), clusters: vec![1], ..Fleet::default() };
        let estimate = Estimate::new(fleet, Options::default());
        let actual = estimate.sidecars.lines[0].usd;
        assert!(
            actual.is_some() == expected.is_some() && near(actual.unwrap_or(0.0), expected.unwrap_or(0.0)),
            "{actual:?}"
        );
        assert_eq!(estimate.text().contains("saves"), expected.is_some());
    }
}

#[test]
fn durations_follow_the_model() {
    for (words, trigger, expected) in [
        // Five calls of 100 ms, two rounds of concurrent scrapes of 50 ms, two writes of 30 ms; (2 + 100 * 0.36) ms of CPU at 512/1769.
        ("--tasks 100", "scheduled runs", Some((43_800.0, 500.0 + 100.0 + 60.0 + 38.0 * 1769.0 / 512.0))),
        // With at least one vCPU, CPU time is not scaled.
        ("--tasks 100 --memory 3538", "scheduled runs", Some((43_800.0, 698.0))),
        // 102 ECS API calls and one Container Insights call of 100 ms, longer than the rate limit; nothing is scraped inline.
        ("--tasks 10000", "scheduled runs", Some((43_800.0, 10_300.0 + 60.0 + 2.0 * 1769.0 / 512.0))),
        ("--tasks 1000000", "scheduled runs", Some((43_800.0, 50_000.0))),
        // A hundred messages per minute: DescribeTasks, then the scrape of a hundred tasks.
        ("--tasks 10000", "shards of up to 100 tasks", Some((4_380_000.0, 260.0 + 38.0 * 1769.0 / 512.0))),
        ("--tasks 300", "shards of up to 100 tasks", None),
        // The first of four scrapes is inline.
        ("--tasks 100 --interval 15", "shards of up to 100 tasks", Some((131_400.0, 260.0 + 38.0 * 1769.0 / 512.0))),
        // Fifteen spans every fifteen seconds: (0.25 + 15 * 0.00998) ms.
        ("--tasks 1", "trace requests", Some((175_200.0, 30.0 + 0.399_7 * 1769.0 / 512.0))),
        ("--tasks 1 --batch 5", "trace requests", Some((525_600.0, 30.0 + 0.299_9 * 1769.0 / 512.0))),
        // Less than one span in fifteen seconds.
        ("--tasks 1 --spans 0.05", "trace requests", Some((131_400.0, 30.0 + 0.259_98 * 1769.0 / 512.0))),
        // Two full batches of 512 per second.
        ("--tasks 1 --spans 1024", "trace requests", Some((5_256_000.0, 30.0 + 5.359_76 * 1769.0 / 512.0))),
        ("--tasks 1 --spans 0", "trace requests", None),
        ("--tasks 2", "metrics requests", Some((87_600.0, 30.0 + 0.781 * 1769.0 / 512.0))),
        ("--tasks 1 --points 0.5", "metrics requests", Some((21_900.0, 30.0 + 0.255_31 * 1769.0 / 512.0))),
        ("--tasks 1 --points 0", "metrics requests", None),
        // 12 calls per hour for rules and 360 for targets, of two processes.
        ("--tasks 1 --samplers 2", "sampling calls", Some((543_120.0, 30.0 + 0.25 * 1769.0 / 512.0))),
        ("--tasks 1", "sampling calls", None),
    ] {
        let actual = workload(words, trigger);
        let same = match (actual, expected) {
            (Some(actual), Some(expected)) => near(actual.0, expected.0) && near(actual.1, expected.1),
            (actual, expected) => actual == expected,
        };
        assert!(same, "{words}, {trigger}: {actual:?} instead of {expected:?}");
    }
}

#[test]
fn total_is_the_sum_of_the_lines() {
    for (words, expected) in [
        // Scheduled runs 13,538.3 GB-s 0.18051; trace requests 2,749.0 GB-s 0.03665; metrics requests 716.1 GB-s 0.00955; 262,800
        // requests 0.05256; schedule 0.0438; polls 0.2628; log 0.04599 GB 0.02300; alarms 0.90; metric 0.30; self metrics 0.09855;
        // 175,200 samples of state 0.015768.
        ("--tasks 1", 1.923_176_036),
        ("--tasks 10", 2.878_367_366),
        // 0.23106 + 3.66532 + 0.95480 + 4.38876 + 0.0438 + 0.2628 + 0.03285 + 0.90 + 0.30 + 0.1971 + 1.5768.
        ("--tasks 100", 12.553_285_734),
        // The default interval of SDKs: three times as many trace requests.
        ("--tasks 100 --batch 5", 26.987_908_346),
        // Without OTLP requests: 0.23106 + 0.00876 + 0.0438 + 0.2628 + 0.02300 + 0.90 + 0.30 + 0.09855 + 1.5768.
        ("--tasks 100 --spans 0 --points 0", 3.444_763_702),
        // The runs scrape nothing: 0.16554 for 43,800 of 566.91 ms; 4,380,000 pushes of 30.69 ms 0.89618, their requests 0.876.
        ("--tasks 100 --spans 0 --points 0 --push", 5.151_425_730),
        // 27,156,000 sampling calls of 30.86 ms 5.58760, their requests 5.4312, and one environment more.
        ("--tasks 100 --samplers 1", 23.680_495_508),
    ] {
        let actual = estimate(words).sidecarless.total_usd;
        assert!((actual - expected).abs() < 1e-5, "{words}: {actual}");
    }
}

#[test]
fn samples_and_traces_are_shared_costs() {
    for (words, expected) in [
        // 12 samples scraped and 100 pushed, 43,800 times, at 0.90 per 10 million; 262,800 traces at 5.00 per million.
        ("--tasks 1", 0.441_504 + 1.314),
        // Four scrapes per minute of a task and one container.
        ("--tasks 1 --containers 1 --interval 15 --spans 0 --points 0", 0.173_448),
    ] {
        let actual = estimate(words).shared.total_usd;
        assert!(near(actual, expected), "{words}: {actual}");
    }
}

#[test]
fn amp_prices_depend_on_the_tier() {
    for (samples, expected) in
        [(1e7, 0.9), (2e9, 180.0), (3e9, 180.0 + 35.0), (252e9, 180.0 + 8_750.0), (253e9, 8_930.0 + 16.0)]
    {
        assert!(near(prices::amp(samples), expected), "{samples}: {}", prices::amp(samples));
    }
}

#[test]
fn prices_are_formatted_as_on_the_pricing_pages() {
    for (price, expected) in [
        (prices::LAMBDA_REQUEST, "$0.20 per million requests"),
        (prices::lambda(Arch::Arm64), "$0.0000133334 per GB-second"),
        (prices::AMP_FIRST, "$0.90 per 10 million samples"),
    ] {
        assert_eq!(price.text(), expected);
    }
}

#[test]
fn estimate_without_tasks_does_not_divide_by_zero() {
    let text = Estimate::new(Fleet::default(), Options::default()).text();
    assert!(text.starts_with("0 tasks with 0 containers\n"), "{text}");
    assert!(text.contains("sidecarless costs more per month"), "{text}");
    assert!(!["NaN", "inf", "$-"].iter().any(|nonsense| text.contains(nonsense)), "{text}");
}

#[test]
fn json_and_text_have_the_same_amounts() {
    let value: serde_json::Value = serde_json::from_str(&estimate("--tasks 100 --json").json()).unwrap();
    let usd = |section: &str| value[section]["total_usd"].as_f64().unwrap();
    assert!(near(usd("sidecars"), 901.002_5));
    assert!(near(value["difference_usd"].as_f64().unwrap(), usd("sidecars") - usd("sidecarless")));
    assert_eq!((&value["fleet"]["tasks"], &value["prices"]["date"]), (&100.into(), &prices::DATE.into()));
    assert_eq!(value["fleet"]["groups"][0]["launch_type"], "fargate");
}

#[test]
fn template_and_settings_match_the_model() {
    let template = std::fs::read_to_string(file("template.yaml")).unwrap();
    assert_eq!(
        template.matches("Type: AWS::CloudWatch::Alarm").count(),
        10,
        "a URL and a load balancer exclude each other"
    );
    assert_eq!(template.matches("Type: AWS::Logs::MetricFilter").count(), 2, "one of them matches only errors");
    for line in [
        "SystemLogLevel: WARN\n",
        "Timeout: 50\n",
        "Default: arm64\n",
        "Default: 512\n",
        "ScheduleExpression: rate(1 minute)",
    ] {
        assert!(template.contains(line), "{line}");
    }
    let settings = sidecarless::settings::Settings::read(Vec::new()).unwrap();
    assert_eq!((settings.inline_tasks, settings.scrape_interval.as_secs()), (300, 60));
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Returns the table of prices for docs/cost.md.
fn price_table() -> String {
    let head =
        format!("{}, {}, without free tiers:\n\n| item | price | |\n|---|---|---|\n", prices::REGION, prices::DATE);
    prices::ALL.iter().fold(head, |mut table, price| {
        let (item, page) = (price.json()["item"].clone(), price.json()["page"].clone());
        let _ =
            writeln!(table, "| {} | {} | [AWS]({}) |", item.as_str().unwrap(), price.text(), page.as_str().unwrap());
        table
    })
}

/// Returns the cost by number of tasks for docs/cost.md and README.md.
fn table_by_tasks() -> String {
    let head =
        "| tasks | sidecars, Fargate x86_64 | sidecars, Fargate arm64 | sidecarless |\n|---|---|---|---|\n".to_owned();
    [1_u32, 10, 100, 1_000].iter().fold(head, |mut table, tasks| {
        let x86 = estimate(&format!("--tasks {tasks}"));
        let arm = estimate(&format!("--tasks {tasks} --arch arm64"));
        let row = [&x86.sidecars, &arm.sidecars, &x86.sidecarless].map(|section| dollars(section.total_usd));
        let _ = writeln!(table, "| {} | {} |", count((*tasks).into()), row.join(" | "));
        table
    })
}

fn with_block(page: &str, name: &str, block: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}\n{block}\n{end}{after}")
}

#[test]
fn docs_contain_the_output_of_the_command() {
    let command = "estimate --tasks 100";
    let output = estimate("--tasks 100").text();
    let shown = format!("```sh\nsidecarless {command}\n```\n\n```text\n{output}```\n");
    #[expect(clippy::disallowed_methods, reason = "UPDATE=1 writes the pages")]
    let is_update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let blocks = [("prices", price_table()), ("estimate", shown), ("cost-by-tasks", table_by_tasks())];
    for (page, blocks) in [("docs/cost.md", &blocks[..]), ("README.md", &blocks[2..])] {
        let text = std::fs::read_to_string(file(page)).unwrap();
        let expected = blocks.iter().fold(text.clone(), |text, (name, block)| with_block(&text, name, block));
        if is_update {
            std::fs::write(file(page), expected).unwrap();
            continue;
        }
        assert!(
            text == expected,
            "{page} does not match src/bin/sidecarless/estimate: UPDATE=1 cargo test --bin sidecarless"
        );
    }
}

#[test]
fn services_without_a_source_cost_reads_of_cloudwatch() {
    for (words, expected) in [
        ("--tasks 10", None),
        // 43,800 minutes / 2 * 2 metrics / 1,000 * 0.01.
        ("--tasks 10 --services 1", Some(0.438)),
        ("--tasks 10 --services 100", Some(43.8)),
        ("--tasks 10 --services 1 --cloudwatch-interval 1", Some(0.876)),
        ("--tasks 10 --services 1000 --cloudwatch-interval 5", Some(175.2)),
    ] {
        let lines = estimate(words).sidecarless.lines;
        let line = lines.iter().find(|line| line.description.contains("without a stats source"));
        let usd = line.and_then(|line| line.usd);
        assert!(
            usd.is_some() == expected.is_some() && near(usd.unwrap_or(0.0), expected.unwrap_or(0.0)),
            "{words}: {usd:?}"
        );
    }
    for (words, expected) in [
        // 43,800 minutes / 2 * 12 metrics / 1,000 * 0.01.
        ("--tasks 10 --discovery-names 1", 2.628),
        ("--tasks 10 --services 1 --discovery-names 10 --cloudwatch-interval 10", 5.256),
    ] {
        let lines = estimate(words).sidecarless.lines;
        let line = lines.iter().find(|line| line.description.contains("of Service Connect"));
        assert!(near(line.and_then(|line| line.usd).unwrap_or(0.0), expected), "{words}: {line:?}");
        let samples: Vec<_> = lines.iter().filter(|line| line.description.contains("of these metrics")).collect();
        assert_eq!(samples.len(), 1, "{samples:?}");
    }
    let text = estimate("--tasks 10 --services 3").text();
    let line =
        "CloudWatch: 131,400 metrics of 3 services without a stats source, every 2 minutes, at $0.01 per thousand";
    assert!(text.contains(line), "{text}");
    let settings = sidecarless::settings::Settings::read(Vec::new()).unwrap();
    assert_eq!(settings.cloudwatch.interval_min, Some(2));
    assert_eq!(settings.cloudwatch.metrics.metrics().count(), 2);
}

#[test]
fn sidecarless_costs_at_most_a_sixtieth_of_100_sidecars() {
    let estimate = estimate("--tasks 100");
    assert!(estimate.sidecarless.total_usd * 60.0 <= estimate.sidecars.total_usd, "{}", estimate.text());
    let template = std::fs::read_to_string(file("template.yaml")).unwrap();
    let interval = format!("OTEL_BSP_SCHEDULE_DELAY={}\n", estimate.options.batch_s * 1_000);
    assert_eq!(template.matches(&interval).count(), 2, "the outputs have the interval of the estimate");
}
