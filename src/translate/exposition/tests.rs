//! Tests that a scrape with the layout of the previous page has the results of one without.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::budget::Unlimited;
use crate::model::exposition::Format;
use crate::model::series::{Labels, SeriesBatch};
use crate::translate::names::Utf8Names;

const AT_MS: i64 = 1_800_000_000_000;

/// Labels of a sample with an order of their own, and what follows them.
#[derive(Clone, Debug)]
struct TestLine {
    series: String,
    value: String,
}

fn page(lines: &[TestLine], format: Format) -> String {
    let mut page = String::new();
    for TestLine { series, value } in lines {
        page += &format!("{series} {value}\n");
    }
    if format == Format::OpenMetrics { page + "# EOF\n" } else { page }
}

fn options(target_labels: &Labels) -> ScrapeOptions<'_> {
    ScrapeOptions {
        target_labels,
        honor_labels: false,
        utf8_names: Utf8Names::Replace,
        honor_timestamps: true,
        sample_limit: None,
        max_age_ms: Some(3_600_000),
        at_ms: AT_MS,
    }
}

fn target(zone: &str) -> Labels {
    [("Cluster", "shop"), ("TaskId", zone), ("instance", "10.0.0.1:80"), ("job", "cart"), ("zone", zone)]
        .into_iter()
        .collect()
}

fn written(out: &SeriesBatch) -> Vec<String> {
    let series = out.iter().map(|series| {
        let samples: Vec<_> = series.samples().iter().map(|it| (it.timestamp_ms, it.value.to_bits())).collect();
        format!("{:?} {samples:?} {:?}", series.labels().collect::<Vec<_>>(), series.exemplars())
    });
    series.chain(out.metadata().iter().map(|metadata| format!("{metadata:?}"))).collect()
}

type Outcome = Result<(ScrapeCounts, Vec<String>), ExpositionError>;

fn scrape(
    page: &str,
    format: Format,
    target: &Labels,
    layout: Option<&Arc<PageLayout>>,
) -> (Outcome, SeriesBatch, Option<ScrapedPage>) {
    let mut out = SeriesBatch::default();
    match series_like(page.as_bytes(), format, &options(target), layout, &Unlimited, &mut out) {
        Ok((counts, page)) => (Ok((counts, written(&out))), out, page),
        Err(error) => {
            assert!(out.is_empty(), "a failed scrape writes nothing");
            (Err(error), out, None)
        }
    }
}

/// Scrapes two pages one after the other, with and without what is known from the first.
fn check(first: &str, second: &str, format: Format, targets: [&str; 2]) {
    let [before, now] = targets.map(target);
    let (_, out, page) = scrape(first, format, &before, None);
    let layout = page.as_ref().map(|page| Arc::clone(page.layout()));
    let (expected, mut expected_out, _) = scrape(second, format, &now, None);
    let (outcome, mut actual_out, second_page) = scrape(second, format, &now, layout.as_ref());
    assert_eq!(outcome, expected, "{first:?} then {second:?}");

    let known = ScrapedSeries::new(page.as_ref(), &before, &out, 0, AT_MS, usize::MAX).expect("no limit");
    let listed = ScrapedSeries::new(None, &before, &out, 0, AT_MS, usize::MAX).expect("no limit");
    let present = known.mark_missing_stale(second_page.as_ref(), &now, AT_MS + 1, &mut actual_out);
    assert_eq!(present, listed.mark_missing_stale(None, &now, AT_MS + 1, &mut expected_out), "{first:?} {second:?}");
    let sorted = |out| {
        let mut written = written(out);
        written.sort();
        written
    };
    assert_eq!(sorted(&actual_out), sorted(&expected_out), "{first:?} then {second:?}");
}

fn line() -> impl Strategy<Value = TestLine> {
    let label = prop_oneof![
        Just("code=\"200\""),
        Just("code=\"500\""),
        Just("job=\"own\""),
        Just("zone=\"\""),
        Just("Path=\"/a}b\\\"{\""),
        Just("\"a.b\"=\"é\""),
        Just("le=\"+Inf\""),
    ];
    let labels = proptest::collection::vec(label, 0..4).prop_map(|labels| match labels.as_slice() {
        [] => String::new(),
        labels => format!("{{{}}}", labels.join(",")),
    });
    let name = prop_oneof![Just("up"), Just("up_total"), Just("requests"), Just("requests_bucket"), Just("a:b")];
    let value = prop_oneof![
        4 => any::<u16>().prop_map(|value| value.to_string()),
        1 => Just("NaN".to_owned()),
        1 => Just(format!("1 {}", AT_MS / 1000)),
        1 => Just(format!("1 {AT_MS}")),
        1 => Just("2 5".to_owned()),
        1 => Just("3 # {trace_id=\"x\"} 0.5".to_owned()),
    ];
    (name, labels, value).prop_map(|(name, labels, value)| TestLine { series: format!("{name}{labels}"), value })
}

/// A change between two scrapes.
#[derive(Clone, Debug)]
enum Change {
    Value(prop::sample::Index, String),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, TestLine),
    Swap(prop::sample::Index, prop::sample::Index),
    ReverseLabels(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), any::<u32>()).prop_map(|(at, value)| Change::Value(at, value.to_string())),
        1 => index().prop_map(Change::Remove),
        1 => (index(), line()).prop_map(|(at, line)| Change::Insert(at, line)),
        1 => (index(), index()).prop_map(|(one, other)| Change::Swap(one, other)),
        1 => index().prop_map(Change::ReverseLabels),
    ]
}

fn apply(lines: &mut Vec<TestLine>, change: Change) {
    if lines.is_empty() {
        return;
    }
    let count = lines.len();
    match change {
        Change::Value(at, value) => lines[at.index(count)].value = value,
        Change::Remove(at) => drop(lines.remove(at.index(count))),
        Change::Insert(at, line) => lines.insert(at.index(count), line),
        Change::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
        Change::ReverseLabels(at) => {
            let line = &mut lines[at.index(count)];
            if let Some((name, labels)) = line.series.strip_suffix('}').and_then(|series| series.split_once('{')) {
                let labels: Vec<&str> = labels.rsplit(',').collect();
                line.series = format!("{name}{{{}}}", labels.join(","));
            }
        }
    }
}

proptest! {
    #[test]
    fn second_scrape_has_the_results_of_a_first(
        lines in proptest::collection::vec(line(), 0..12),
        changes in proptest::collection::vec(change(), 0..6),
        open_metrics in any::<bool>(),
        same_target in proptest::bool::weighted(0.8),
    ) {
        let format = if open_metrics { Format::OpenMetrics } else { Format::Text };
        let mut second = lines.clone();
        changes.into_iter().for_each(|change| apply(&mut second, change));
        let targets = ["a", if same_target { "a" } else { "b" }];
        check(&page(&lines, format), &page(&second, format), format, targets);
    }

    #[test]
    fn any_second_page_has_the_results_of_a_first(first in "[a{}=\",# \n1]{0,20}", second in "[a{}=\",# \n1]{0,20}") {
        check(&first, &second, Format::Text, ["a", "a"]);
        check(&first, &second, Format::OpenMetrics, ["a", "a"]);
    }
}

#[test]
fn layout_is_used_only_for_the_same_series() {
    for (first, second) in [
        ("up 1\n", "up_total 1\n"),
        ("up 1\n", "up{a=\"b\"} 1\n"),
        ("up 1\n", "up {a=\"b\"} 1\n"),
        ("up 1\n", "up \t{a=\"b\"} 1\n"),
        ("up 1\n", "up\n"),
        ("up 1\n", "up"),
        ("up 1\n", "up+1\n"),
        ("up+1\n", "up 1\n"),
        ("up 1\n", " up 1\n"),
        ("up 1\nup 2 5\n", "up 1 7\nup 2\n"),
        ("{\"up\"} 1\n", "{\"up\"} 2\n"),
        ("a 1\nb 2\nc 3\n", "c 3\na 1\nb 2\n"),
        ("a 1\na 2\n", "a 1\n"),
        ("a 1\nb 2\n", ""),
        ("", "a 1\n"),
        ("a{x=\"1\",y=\"2\"} 1\n", "a{y=\"2\",x=\"1\"} 1\n"),
        ("a 1\n", "a 99999999999999\n"),
        ("# HELP a text\n# TYPE a counter\na 1\n", "# HELP a other\n# TYPE a gauge\na 1\n"),
    ] {
        check(first, second, Format::Text, ["a", "a"]);
        check(&format!("{first}# EOF\n"), &format!("{second}# EOF\n"), Format::OpenMetrics, ["a", "a"]);
    }
}

#[test]
fn unchanged_page_shares_its_layout() {
    let target = target("a");
    let layout = |page: &str, known: Option<&Arc<PageLayout>>| {
        let (_, _, page) = scrape(page, Format::Text, &target, known);
        Arc::clone(page.expect("valid").layout())
    };
    let first = layout("a 1\nb 2\nc 3\n", None);
    assert!(Arc::ptr_eq(&first, &layout("a 4\nb 5\nc 6\n", Some(&first))));
    for (changed, alone) in
        [("a 4\nb 5\n", "a 1\nb 1\n"), ("a 1\nc 2\n", "a 3\nc 3\n"), ("b 1\nx 2\nc 3\n", "b 1\nx 1\nc 1\n")]
    {
        let second = layout(changed, Some(&first));
        assert_eq!(second, layout(alone, None), "{changed}");
    }
}
