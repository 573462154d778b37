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
fn series_over_a_limit_are_rejected_unless_a_rule_fixes_them() {
    let long = "x".repeat(3000);
    let make = || {
        let mut batch = batch();
        let id = batch.series([("__name__", "bomb"), ("url", long.as_str())]);
        batch.add_sample(id, 1, 1.0);
        batch
    };
    let bare = Rules::default().apply(make(), &Unlimited).expect("no limit");
    assert_eq!(bare.rejected.to_string(), "1 label_value_too_long: a series of bomb");
    assert_eq!(bare.batch.len(), 4);
    let fixed = Rules::parse("cap-label url=10").expect("rules").apply(make(), &Unlimited).expect("no limit");
    assert!(fixed.rejected.is_empty());
    assert_eq!(fixed.batch.len(), 5);
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
