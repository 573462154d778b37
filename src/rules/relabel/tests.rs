//! Effects of rules on series.

use super::*;
use crate::model::budget::Unlimited;

fn batch() -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    for labels in [
        vec![("__name__", "http_seconds_bucket"), ("le", "1"), ("user", "ann")],
        vec![("__name__", "http_seconds_count"), ("user", "ann")],
        vec![("__name__", "up"), ("host", "a"), ("user", "bob")],
        vec![("__name__", "up"), ("host", "b"), ("user", "ann")],
    ] {
        let id = batch.series(labels);
        batch.add_sample(id, 1, 1.0);
    }
    batch
}

fn applied(rules: &str) -> (Vec<String>, RelabelResult) {
    let applied = Rules::parse(rules).expect("rules").apply(batch(), &Unlimited).expect("no limit");
    let series = applied.batch.iter().map(|series| {
        let labels: Vec<String> = series.labels().map(|(name, value)| format!("{name}={value}")).collect();
        labels.join(" ")
    });
    (series.collect(), applied)
}

#[test]
fn each_action_changes_series() {
    let up = ["__name__=up host=a user=bob", "__name__=up host=b user=ann"];
    let bucket = "__name__=http_seconds_bucket le=1 user=ann";
    let count = "__name__=http_seconds_count user=ann";
    for (rules, expected) in [
        ("", vec![bucket, count, up[0], up[1]]),
        ("keep up", up.to_vec()),
        ("keep up; keep http_*\ndrop *_bucket", vec![count, up[0], up[1]]),
        ("drop http_seconds", up.to_vec()),
        ("drop h??p_seconds", vec![bucket, count, up[0], up[1]]),
        (
            "drop-label user on http_*",
            vec!["__name__=http_seconds_bucket le=1", "__name__=http_seconds_count", up[0], up[1]],
        ),
        ("keep up; drop-label *", vec!["__name__=up"]),
        ("keep up; rename-label host=user", vec!["__name__=up user=a", "__name__=up user=b"]),
        ("keep up; cap-label user=1", vec!["__name__=up host=a user=b", "__name__=up host=b user=a"]),
        (
            "keep up; drop-label host; hash-label user",
            vec!["__name__=up user=81b637d8fcd2c6da", "__name__=up user=49915e0d7d4b402e"],
        ),
        ("max-series 1", vec![bucket]),
    ] {
        let (series, _) = applied(rules);
        let expected: Vec<&str> = expected;
        assert_eq!(series, expected, "{rules}");
    }
}

#[test]
fn removed_series_are_counted() {
    assert_eq!(applied("keep up").1.filtered, 2);
    assert_eq!(applied("max-series 1").1.rejected.to_string(), "3 max_series: http_seconds_count is over max-series 1");
    assert_eq!(applied("keep up; drop-label *").1.warnings.total(), 1);
}

#[test]
fn long_label_is_dropped_cut_or_costs_its_series() {
    let make = |name: &str, label: &str| {
        let mut batch = SeriesBatch::default();
        let long = "é".repeat(1_500);
        let id = batch.series([("__name__", name), (label, long.as_str()), ("z", "1")]);
        batch.add_sample(id, 1, 1.0);
        batch
    };
    let message = |label: &str, result: &str| {
        let text =
            format!("label {label} has a value of 3000 bytes, and the limit is 2048: {result} (a series of bomb)");
        format!("1 label_value_too_long: {text}")
    };
    let (dropped, cut) = ("the label is dropped", "its value is cut");
    let rejected = "SIDECARLESS_LONG_LABELS can drop or cut it";
    for (rules, long_labels, label, length, modified, refused) in [
        ("", LongLabels::Drop, "url", Some(None), message("url", dropped), String::new()),
        ("", LongLabels::Cut, "url", Some(Some(2_048)), message("url", cut), String::new()),
        ("", LongLabels::Reject, "url", None, String::new(), message("url", rejected)),
        ("", LongLabels::Drop, "instance", Some(Some(2_048)), message("instance", dropped), String::new()),
        ("", LongLabels::Drop, "le", None, String::new(), message("le", dropped)),
        ("drop-label z", LongLabels::Drop, "url", Some(None), message("url", dropped), String::new()),
        ("cap-label url=10", LongLabels::Drop, "url", Some(Some(20)), String::new(), String::new()),
        ("hash-label url", LongLabels::Reject, "url", Some(Some(16)), String::new(), String::new()),
    ] {
        let rules = Rules { long_labels, ..Rules::parse(rules).expect("rules") };
        let applied = rules.apply(make("bomb", label), &Unlimited).expect("no limit");
        let found = applied.batch.iter().next().map(|series| series.label(label).map(str::len));
        assert_eq!(found, length, "{long_labels:?} {label}");
        let texts = (applied.modified.to_string(), applied.rejected.to_string());
        assert_eq!(texts, (modified, refused), "{long_labels:?} {label}");
    }
    let too_many = (0..200).map(|number| (format!("l{number:03}"), "v".to_owned()));
    let mut batch = batch();
    let labels: Vec<_> = [("__name__".to_owned(), "bomb".to_owned())].into_iter().chain(too_many).collect();
    let id = batch.series(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    batch.add_sample(id, 1, 1.0);
    let bare = Rules::default().apply(batch, &Unlimited).expect("no limit");
    assert_eq!((bare.rejected.to_string(), bare.batch.len()), ("1 too_many_labels: a series of bomb".to_owned(), 4));
}

#[test]
fn invalid_rules_are_named() {
    for (rules, expected) in [
        (
            "kep up",
            "rule \"kep up\": unknown action \"kep\": use keep, drop, drop-label, rename-label, hash-label, cap-label or max-series",
        ),
        ("keep", "rule \"keep\": invalid name or pattern \"\""),
        ("drop a,,b", "rule \"drop a,,b\": invalid name or pattern \"\""),
        ("drop a b", "rule \"drop a b\": invalid name or pattern \"a b\""),
        ("drop-label le", "rule \"drop-label le\": label le cannot be changed"),
        ("rename-label a=__name__", "rule \"rename-label a=__name__\": label __name__ cannot be changed"),
        ("rename-label a=5x", "rule \"rename-label a=5x\": invalid label name \"5x\""),
        ("cap-label a=0", "rule \"cap-label a=0\": invalid number of characters \"0\""),
        ("max-series many", "rule \"max-series many\": invalid number of series \"many\""),
        (
            "keep; max-series",
            "rule \"keep\": invalid name or pattern \"\"; rule \"max-series\": invalid number of series \"\"",
        ),
    ] {
        assert_eq!(Rules::parse(rules), Err(InvalidValue::new(expected)));
    }
}
