//! Effects of rules on series.

use super::*;
use crate::model::budget::Unlimited;
use crate::model::series::{Metadata, MetadataKind};

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

fn rules(configs: &str) -> Rules {
    Rules { configs: RelabelConfigs::parse(configs).expect("rules"), ..Rules::default() }
}

fn applied(rules: &Rules) -> (Vec<String>, RelabelResult) {
    let applied = rules.apply(batch(), &Unlimited).expect("no limit");
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
    const ONLY_UP: &str = "{action: keep, source_labels: [__name__], regex: up}";
    for (rules_text, expected) in [
        ("", vec![bucket, count, up[0], up[1]]),
        ("[]", vec![bucket, count, up[0], up[1]]),
        ("[ONLY_UP]", up.to_vec()),
        (r#"[{"action": "drop", "source_labels": ["__name__"], "regex": ".*_bucket"}]"#, vec![count, up[0], up[1]]),
        ("[ONLY_UP, {action: labeldrop, regex: user|host}]", vec!["__name__=up"]),
        ("[ONLY_UP, {action: labelkeep, regex: '__name__|host'}]", vec!["__name__=up host=a", "__name__=up host=b"]),
        (
            "[ONLY_UP, {source_labels: [host, user], separator: /, target_label: who}]",
            vec!["__name__=up host=a user=bob who=a/bob", "__name__=up host=b user=ann who=b/ann"],
        ),
        (
            "[ONLY_UP, {source_labels: [user], regex: 'b(.*)', target_label: $1, replacement: x$0}]",
            vec!["__name__=up host=a ob=xbob user=bob", up[1]],
        ),
        (
            "[ONLY_UP, {action: hashmod, source_labels: [user], modulus: 10, target_label: host}]",
            vec!["__name__=up host=6 user=bob", "__name__=up host=4 user=ann"],
        ),
        (
            "[ONLY_UP, {action: uppercase, source_labels: [user], target_label: user}]",
            vec!["__name__=up host=a user=BOB", "__name__=up host=b user=ANN"],
        ),
        ("[ONLY_UP, {action: dropequal, source_labels: [user], target_label: host}]", up.to_vec()),
        ("[{action: keepequal, source_labels: [user], target_label: host}]", vec![]),
        (
            "[ONLY_UP, {action: labelmap, regex: (.)ser, replacement: b_$1}, {action: labeldrop, regex: user}]",
            vec!["__name__=up b_u=bob host=a", "__name__=up b_u=ann host=b"],
        ),
    ] {
        let (series, _) = applied(&rules(&rules_text.replace("ONLY_UP", ONLY_UP)));
        let expected: Vec<&str> = expected;
        assert_eq!(series, expected, "{rules_text}");
    }
}

#[test]
fn removed_series_are_counted() {
    let (_, filtered) = applied(&rules("[{action: keep, source_labels: [__name__], regex: up}]"));
    assert_eq!(filtered.filtered, 2);
    let limited = Rules { max_series: Some(1), ..Rules::default() };
    let rejected = applied(&limited).1.rejected.to_string();
    assert_eq!(rejected, "3 max_series: http_seconds_count is over the maximum of 1 series");
    let (_, merged) = applied(&rules("[{action: labeldrop, regex: user|host}]"));
    assert_eq!(
        merged.warnings.to_string(),
        "1 merged_by_rule: rules merge series of up: the last value of each timestamp is kept"
    );
    assert_eq!(applied(&rules("[{action: labeldrop, regex: .*}]")).1.filtered, 4);
    for (rules_text, expected) in [
        ("[{action: labeldrop, regex: __name__}]", "4 empty_name: rules remove the name of http_seconds_bucket"),
        (
            "[{target_label: __name__, replacement: a b}]",
            "4 invalid_name: rules give http_seconds_bucket the name \"a b\"",
        ),
        (
            "[{action: labelmap, regex: h(.*), replacement: 9$1}]",
            "rule 1 (line 1): replacement: \"9$1\" is not a valid label name",
        ),
        (
            "[{action: labelmap, regex: '(h)ost', replacement: $2}]",
            "2 invalid_label_name: rules give a label of up the name \"\"",
        ),
    ] {
        let text = RelabelConfigs::parse(rules_text).map_or_else(
            |error| error.to_string(),
            |configs| applied(&Rules { configs, ..Rules::default() }).1.rejected.to_string(),
        );
        assert_eq!(text, expected, "{rules_text}");
    }
}

#[test]
fn utf8_names_are_valid_if_they_are_sent() {
    use crate::translate::names::Utf8Names;
    for (configs, utf8_names, expected) in [
        ("[{target_label: __name__, replacement: a b}]", Utf8Names::Send, ""),
        ("[{action: labelmap, regex: '(h)ost', replacement: $2}]", Utf8Names::Send, "invalid_label_name"),
        ("[{target_label: __name__, replacement: a b}]", Utf8Names::Replace, "invalid_name"),
    ] {
        let rejected = applied(&Rules { utf8_names, ..rules(configs) }).1.rejected.to_string();
        assert_eq!(rejected.is_empty(), expected.is_empty(), "{configs}: {rejected}");
        assert!(rejected.contains(expected), "{configs}: {rejected}");
    }
}

#[test]
fn metadata_follows_the_names_of_series() {
    let family =
        |family: &str, kind| Metadata { family: family.into(), kind, help: "Help.".into(), unit: String::new() };
    for (rules_text, expected) in [
        ("", vec!["http_seconds", "up"]),
        ("[{action: keep, source_labels: [__name__], regex: up}]", vec!["up"]),
        (
            "[{source_labels: [__name__], regex: (http.*), target_label: __name__, replacement: my_$1}]",
            vec!["my_http_seconds", "up"],
        ),
        ("[{action: labeldrop, regex: host}]", vec!["http_seconds", "up"]),
    ] {
        let mut batch = batch();
        batch.add_metadata(family("http_seconds", MetadataKind::Histogram));
        batch.add_metadata(family("up", MetadataKind::Gauge));
        let applied = rules(rules_text).apply(batch, &Unlimited).expect("no limit");
        let families: Vec<&str> = applied.batch.metadata().iter().map(|metadata| metadata.family.as_str()).collect();
        assert_eq!(families, expected, "{rules_text}");
    }
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
    let short = "[{source_labels: [url], regex: '(.{10}).*', target_label: url}]";
    for (configs, long_labels, label, length, modified, refused) in [
        ("", LongLabels::Drop, "url", Some(None), message("url", dropped), String::new()),
        ("", LongLabels::Cut, "url", Some(Some(2_048)), message("url", cut), String::new()),
        ("", LongLabels::Reject, "url", None, String::new(), message("url", rejected)),
        ("", LongLabels::Drop, "instance", Some(Some(2_048)), message("instance", dropped), String::new()),
        ("", LongLabels::Drop, "le", None, String::new(), message("le", dropped)),
        (
            "[{action: labeldrop, regex: z}]",
            LongLabels::Drop,
            "url",
            Some(None),
            message("url", dropped),
            String::new(),
        ),
        (short, LongLabels::Reject, "url", Some(Some(20)), String::new(), String::new()),
    ] {
        let rules = Rules { long_labels, ..rules(configs) };
        let applied = rules.apply(make("bomb", label), &Unlimited).expect("no limit");
        let found = applied.batch.iter().next().map(|series| series.label(label).map(str::len));
        assert_eq!(found, length, "{long_labels:?} {label}");
        let texts = (applied.modified.to_string(), applied.rejected.to_string());
        assert_eq!(texts, (modified, refused), "{long_labels:?} {label}");
    }
}

#[test]
fn series_over_a_limit_is_rejected_without_rules() {
    let too_many = (0..200).map(|number| (format!("l{number:03}"), "v".to_owned()));
    let mut batch = batch();
    let labels: Vec<_> = [("__name__".to_owned(), "bomb".to_owned())].into_iter().chain(too_many).collect();
    let id = batch.series(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    batch.add_sample(id, 1, 1.0);
    let bare = Rules::default().apply(batch, &Unlimited).expect("no limit");
    assert_eq!((bare.rejected.to_string(), bare.batch.len()), ("1 too_many_labels: a series of bomb".to_owned(), 4));
}

#[test]
fn invalid_rules_are_named_by_number_and_field() {
    for (rules, expected) in [
        ("{a: b}", "a mapping: use a list of rules, such as [{action: drop, regex: x}]"),
        ("drop up", "text: use a list of rules, such as [{action: drop, regex: x}]"),
        (
            "- {action: kep}",
            "rule 1 (line 1): action: unknown action \"kep\": use replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase",
        ),
        (
            "- {action: keep}\n- {action: keep, regexp: a}",
            "rule 2 (line 2): regexp: unknown field: use source_labels, separator, target_label, regex, modulus, replacement or action",
        ),
        (
            "- {regex: '(', action: keep}\n- {}",
            "rule 1 (line 1): regex: missing closing ); rule 2 (line 2): target_label: the action replace needs a label",
        ),
        ("- {source_labels: job, action: keep}", "rule 1 (line 1): source_labels: use a list, such as [job, instance]"),
        ("- {regex: a, regex: b}", "rule 1 (line 1): regex: set twice"),
        (
            "-",
            "rule 1 (line 1): empty: use a mapping with source_labels, separator, target_label, regex, modulus, replacement or action",
        ),
        ("- {<<: {action: keep}}", "rule 1 (line 1): <<: merge keys are not supported: write the fields out"),
        (
            "- {action: hashmod, target_label: a, modulus: x}",
            "rule 1 (line 1): modulus: use a number from 1 to 18446744073709551615, without quotes",
        ),
        ("- a\n--- \n- b", "line 2: a second document: use one"),
    ] {
        let error = RelabelConfigs::parse(rules).expect_err(rules).to_string();
        assert_eq!(error, expected);
    }
    let error = RelabelConfigs::parse("- {a: [").expect_err("invalid").to_string();
    assert!(error.starts_with("invalid YAML: "), "{error}");
}

#[test]
fn hostile_rules_are_refused_with_their_place() {
    let laughs: String =
        (1..15).map(|level| format!("- &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(","))).collect();
    for (rules, expected) in [
        (format!("- &a0 [x]\n{laughs}"), "aliases make it too large"),
        ("[".repeat(60_000), "recursion limit exceeded"),
        ("- ".repeat(20_000), "nested more than 16 levels deep"),
        ("{a: ".repeat(10_000), "recursion limit exceeded"),
        (" ".repeat(70_000), "70000 bytes of YAML: at most 65536 are read"),
        ("- {action: keep}\n".repeat(1_001), "1001 rules: at most 1000 are applied"),
        ("- &a [*a]".to_owned(), "an alias of a value that contains it"),
        (
            format!("- {{action: keep, source_labels: [{}]}}", "a,".repeat(200)),
            "rule 1 (line 1): source_labels: 200 labels: at most 150 are read",
        ),
        (
            "- {action: keep, regex: '((a{0,100}){0,100}){0,100}'}".to_owned(),
            "rule 1 (line 1): regex: invalid repeat count: nested repetitions repeat 10000 times, at most 1000",
        ),
        ((0..99).map(|end| format!("- {{action: keep, regex: '.{{800}}{end}'}}\n")).collect(), "takes too much memory"),
        (
            format!("- {{action: keep, regex: '{}'}}", "(".repeat(60_000)),
            "rule 1 (line 1): regex: groups are nested more than 200 levels deep",
        ),
    ] {
        let error = RelabelConfigs::parse(&rules).expect_err("hostile").to_string();
        assert!(error.contains(expected) && error.len() < 1_000, "{error}");
    }
    let many = RelabelConfigs::parse(&"- {action: keep, regex: 'x|a.*b'}\n".repeat(1_000));
    assert_eq!(many.map(|rules| rules.rules.len()), Ok(1_000));
}
