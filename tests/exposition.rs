//! Parsing of expositions, their syntax errors, and their translation to series.

use std::time::Duration;

use sidecarless::model::budget::Unlimited;
use sidecarless::model::exposition::Format;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::translate::exposition::parser::{Entry, Parser};
use sidecarless::translate::exposition::{
    ExpositionError, ExpositionErrorKind, ScrapeCounts, ScrapeOptions, ScrapeReport, SyntaxError, report, series,
};
use sidecarless::translate::names::Utf8Names;

const NOW: i64 = 1_800_000_000_000;

fn read(exposition: &str, format: Format) -> Result<Vec<String>, String> {
    read_bytes(exposition.as_bytes(), format)
}

fn read_bytes(bytes: &[u8], format: Format) -> Result<Vec<String>, String> {
    let mut parser = Parser::new(bytes, format);
    let mut lines = Vec::new();
    while let Some(entry) = parser.next_entry().map_err(|error| error.to_string())? {
        lines.push(match entry {
            Entry::Metadata(metadata) => format!("{} {:?}", metadata.family, metadata.value),
            Entry::Sample(sample) => {
                let labels: Vec<_> = sample.labels.iter().map(|l| format!("{}={:?}", l.name, l.value)).collect();
                let mut text = format!("{}{{{}}} {:?}", sample.name, labels.join(","), sample.value);
                if let Some(timestamp_ms) = sample.timestamp_ms {
                    text += &format!(" @{timestamp_ms}");
                }
                if let Some(exemplar) = sample.exemplar {
                    let labels: Vec<_> = exemplar.labels.iter().map(|l| format!("{}={:?}", l.name, l.value)).collect();
                    text += &format!(" # {{{}}} {:?} @{:?}", labels.join(","), exemplar.value, exemplar.timestamp_ms);
                }
                text
            }
        });
    }
    Ok(lines)
}

/// An exposition and its entries.
const TEXT: &[(&str, &[&str])] = &[
    ("", &[]),
    ("\n \n\t\n", &[]),
    ("foo 1", &["foo{} 1.0"]),
    ("foo \t 1 \t \n", &["foo{} 1.0"]),
    ("  foo 1\n", &["foo{} 1.0"]),
    ("foo-1\n", &["foo{} -1.0"]),
    ("f:o_o9 +Inf\n", &["f:o_o9{} inf"]),
    ("foo{} NaN\n", &["foo{} NaN"]),
    ("foo{a=\"b\"}1\n", &["foo{a=\"b\"} 1.0"]),
    ("foo {\ta = \"b\" , c=\"d\" , } 1 1700000000123\n", &["foo{a=\"b\",c=\"d\"} 1.0 @1700000000123"]),
    ("foo{a=\"b\"c=\"d\"} 1\n", &["foo{a=\"b\",c=\"d\"} 1.0"]),
    ("foo{a=\"x\ny\"} 1\nbar 2\n", &["foo{a=\"x\\ny\"} 1.0", "bar{} 2.0"]),
    (r#"foo{a="\\ \" \n \x \t"} 1"#, &[r#"foo{a="\\ \" \n \\x \\t"} 1.0"#]),
    ("foo{a=\"é日\"} 1\n", &["foo{a=\"é日\"} 1.0"]),
    ("foo{a=\"\"} 1\n", &["foo{a=\"\"} 1.0"]),
    ("{\"a.b\"} 1\n", &["a.b{} 1.0"]),
    ("{l=\"v\", \"a.b\"} 1\n", &["a.b{l=\"v\"} 1.0"]),
    ("{\"a.b\",\"l.m\"=\"v\"} 1\n", &["a.b{l.m=\"v\"} 1.0"]),
    ("# a comment\n#\n#HELP foo x\n# HELPfoo x\n# HELP\n# UNIT foo x\n# EOF\n", &[]),
    (" # HELP foo a \\\\ \\n \\\" z\n", &["foo Help(\"a \\\\ \\n \\\\\\\" z\")"]),
    ("# HELP foo\n# HELP bar", &["foo Help(\"\")", "bar Help(\"\")"]),
    ("# HELP foo{x} y\n", &["foo Help(\"x} y\")"]),
    ("#\tTYPE\tfoo\tcounter\n", &["foo Type(Counter)"]),
    ("# TYPE \"a.b\" gauge\n", &["a.b Type(Gauge)"]),
    (
        "# TYPE a histogram\n# TYPE b summary\n# TYPE c untyped",
        &["a Type(Histogram)", "b Type(Summary)", "c Type(Unknown)"],
    ),
];

#[test]
fn text_is_parsed_like_in_prometheus() {
    for (exposition, expected) in TEXT {
        assert_eq!(read(exposition, Format::Text).unwrap(), *expected, "{exposition:?}");
    }
}

/// An exposition and its error.
const INVALID_TEXT: &[(&str, &str)] = &[
    ("ok 1\n\n5foo 1\n", r#"line 3: expected a metric name, found "5foo 1""#),
    ("foo\n", "line 1: expected a value, found the end of the line"),
    ("foo", "line 1: expected a value, found the end of the exposition"),
    ("foo x\n", r#"line 1: invalid value "x": not a number"#),
    ("foo 1\r\n", r#"line 1: invalid value "1\r": not a number"#),
    ("foo.bar 1\n", r#"line 1: invalid value ".bar": not a number"#),
    ("foo 1e999\n", r#"line 1: invalid value "1e999": out of range"#),
    ("foo 0x1p3\n", r#"line 1: invalid value "0x1p3": not a number"#),
    ("foo 1 -5\n", r#"line 1: expected a timestamp in digits or the end of the line, found "-5""#),
    ("foo 1 5 6\n", r#"line 1: expected a timestamp in digits or the end of the line, found "5 6""#),
    ("foo 1 1.5\n", r#"line 1: expected a timestamp in digits or the end of the line, found "1.5""#),
    (
        "foo 1 # {a=\"b\"} 1\n",
        r##"line 1: expected a timestamp in digits or the end of the line, found "# {a=\"b\"} 1""##,
    ),
    ("foo 1 99999999999999999999\n", r#"line 1: invalid timestamp "99999999999999999999": out of range"#),
    ("foo{a} 1\n", r#"line 1: expected an equals sign, found "} 1""#),
    ("foo{a=b} 1\n", r#"line 1: expected a label value in quotes, found "b} 1""#),
    ("foo{5=\"b\"} 1\n", r#"line 1: expected a label name, found "5=\"b\"} 1""#),
    ("foo{a:b=\"c\"} 1\n", r#"line 1: expected an equals sign, found ":b=\"c\"} 1""#),
    ("foo{,} 1\n", r#"line 1: expected a label name, found ",} 1""#),
    ("foo{a=\"b\",,} 1\n", r#"line 1: expected a label name, found ",} 1""#),
    ("foo{\na=\"b\"} 1\n", "line 1: expected a label name, found the end of the line"),
    ("foo 1\nfoo{a=\"b} 1\nbar 1\n", "line 2: string without a closing quote"),
    ("foo{a=\"b\\", "line 1: string without a closing quote"),
    ("foo{a=\"b\\\nc\"} 1\n", "line 1: string without a closing quote"),
    ("foo{a=\"b\"", "line 1: expected a label name, found the end of the exposition"),
    ("foo{\"bar\"} 1\n", r#"line 1: second metric name "bar""#),
    ("{\"foo\",\"bar\"} 1\n", r#"line 1: second metric name "bar""#),
    ("{a=\"b\"} 1\n", "line 1: sample without a metric name"),
    ("{\"\"} 1\n", "line 1: sample without a metric name"),
    ("{} 1\n", "line 1: sample without a metric name"),
    ("foo 1\n\0bar 1\n", r#"line 2: expected a metric name, found "\0bar 1""#),
    ("# HELP 5foo x\n", r#"line 1: expected a metric name after HELP, found "5foo x""#),
    ("# TYPE\t\n", "line 1: expected a metric name after TYPE, found the end of the line"),
    ("foo 1\n# TYPE foo\n", r#"line 2: invalid metric type """#),
    ("# TYPE foo unknown\n", r#"line 1: invalid metric type "unknown""#),
    ("# TYPE foo counter \n", r#"line 1: invalid metric type "counter ""#),
    ("# TYPE foo  counter\n", r#"line 1: invalid metric type " counter""#),
    ("# TYPE foo counter\r\n", r#"line 1: invalid metric type "counter\r""#),
];

#[test]
fn text_errors_name_the_line() {
    for (exposition, expected) in INVALID_TEXT {
        assert_eq!(read(exposition, Format::Text).unwrap_err(), *expected, "{exposition:?}");
    }
}

/// An exposition and its entries.
const OPEN_METRICS: &[(&str, &[&str])] = &[
    ("# EOF", &[]),
    ("# EOF\n", &[]),
    ("foo 1\n# EOF\n", &["foo{} 1.0"]),
    ("foo{a=\"b\",c=\"d\"} NaN\n# EOF\n", &["foo{a=\"b\",c=\"d\"} NaN"]),
    ("foo{a=\"b\",} 1\n# EOF\n", &["foo{a=\"b\"} 1.0"]),
    ("foo 1 1700000000.1239\n# EOF\n", &["foo{} 1.0 @1700000000123"]),
    ("foo 1 -1.5e0\n# EOF\n", &["foo{} 1.0 @-1500"]),
    ("foo 1 # {a=\"b\"} 2\n# EOF\n", &["foo{} 1.0 # {a=\"b\"} 2.0 @None"]),
    ("foo 1 7 # {} 2 3.5\n# EOF\n", &["foo{} 1.0 @7000 # {} 2.0 @Some(3500)"]),
    ("{\"a.b\",c=\"d\"} 1\n# EOF\n", &["a.b{c=\"d\"} 1.0"]),
    ("# HELP foo a \\\" \\n z\n# HELP bar \n# EOF\n", &["foo Help(\"a \\\" \\n z\")", "bar Help(\"\")"]),
    ("# UNIT foo_seconds seconds\n# UNIT bar \n# EOF\n", &["foo_seconds Unit(\"seconds\")", "bar Unit(\"\")"]),
    (
        "# TYPE a unknown\n# TYPE b gaugehistogram\n# TYPE c info\n# TYPE d stateset\n# EOF\n",
        &["a Type(Unknown)", "b Type(GaugeHistogram)", "c Type(Info)", "d Type(StateSet)"],
    ),
];

#[test]
fn openmetrics_is_parsed_like_in_prometheus() {
    for (exposition, expected) in OPEN_METRICS {
        assert_eq!(read(exposition, Format::OpenMetrics).unwrap(), *expected, "{exposition:?}");
    }
}

/// An exposition and its error.
const INVALID_OPEN_METRICS: &[(&str, &str)] = &[
    ("", "line 1: missing # EOF at the end of the exposition"),
    ("foo 1\n", "line 2: missing # EOF at the end of the exposition"),
    ("foo 1", "line 1: missing # EOF at the end of the exposition"),
    ("foo 1 # {a=\"b\"} 1", "line 1: missing # EOF at the end of the exposition"),
    ("# TYPE foo counter", "line 1: missing # EOF at the end of the exposition"),
    ("# EOF\n\n", "line 2: content after # EOF"),
    ("# EOF\nfoo 1\n", "line 2: content after # EOF"),
    ("# EOF \n", "line 1: content after # EOF"),
    ("foo 1\n\n# EOF\n", "line 2: expected a metric name, found the end of the line"),
    (" foo 1\n# EOF\n", r#"line 1: expected a metric name, found " foo 1""#),
    ("# a comment\n# EOF\n", r##"line 1: expected # HELP, # TYPE, # UNIT or # EOF, found "# a comment""##),
    ("#HELP foo x\n# EOF\n", r##"line 1: expected # HELP, # TYPE, # UNIT or # EOF, found "#HELP foo x""##),
    ("# HELP  foo x\n# EOF\n", r#"line 1: expected a metric name after HELP, found " foo x""#),
    ("# HELP foo\n# EOF\n", "line 1: expected a space and text, found the end of the line"),
    ("# TYPE foo untyped\n# EOF\n", r#"line 1: invalid metric type "untyped""#),
    ("# UNIT foo seconds\n# EOF\n", r#"line 1: unit "seconds" is not a suffix of the metric name "foo""#),
    ("# UNIT fooseconds seconds\n# EOF\n", r#"line 1: unit "seconds" is not a suffix of the metric name "fooseconds""#),
    ("foo  1\n# EOF\n", r#"line 1: expected the value after one space, found " 1""#),
    ("foo\t1\n# EOF\n", r#"line 1: expected a space and the value, found "\t1""#),
    ("foo {a=\"b\"} 1\n# EOF\n", r#"line 1: invalid value "{a=\"b\"}": not a number"#),
    ("foo{ a=\"b\"} 1\n# EOF\n", r#"line 1: expected a label name, found " a=\"b\"} 1""#),
    ("foo{a=\"b\"c=\"d\"} 1\n# EOF\n", r#"line 1: expected a comma or a closing brace, found "c=\"d\"} 1""#),
    ("foo{a=\"b\nc\"} 1\n# EOF\n", "line 1: string without a closing quote"),
    ("foo 1 \n# EOF\n", "line 1: expected the timestamp after one space, found the end of the line"),
    ("foo 1\r\n# EOF\n", r#"line 1: invalid value "1\r": not a number"#),
    ("foo 1 NaN\n# EOF\n", r#"line 1: invalid timestamp "NaN": not a time"#),
    ("foo 1 1 1\n# EOF\n", r#"line 1: expected the end of the line, found " 1""#),
    ("foo 1 # {a=\"b\"}\n# EOF\n", "line 1: expected a space and the exemplar value, found the end of the line"),
    ("foo 1 # {\"a\"} 1\n# EOF\n", r#"line 1: expected an equals sign, found "} 1""#),
    ("foo 1 # {a=\"b\"} 1 Inf\n# EOF\n", r#"line 1: invalid exemplar timestamp "Inf": not a time"#),
    ("foo 1 # {a=\"b\"} 1 1 1\n# EOF\n", r#"line 1: expected the end of the line, found " 1""#),
];

#[test]
fn openmetrics_errors_name_the_line() {
    for (exposition, expected) in INVALID_OPEN_METRICS {
        assert_eq!(read(exposition, Format::OpenMetrics).unwrap_err(), *expected, "{exposition:?}");
    }
}

#[test]
fn invalid_utf8_is_an_error_except_in_comments() {
    for (exposition, expected) in [
        (&b"foo{a=\"\xff\"} 1\n"[..], Err("line 1: invalid UTF-8 in \"\u{fffd}\"".to_owned())),
        (b"# HELP foo \xff\n", Err("line 1: invalid UTF-8 in \"\u{fffd}\"".to_owned())),
        (b"# \xff\nfoo 1\n", Ok(vec!["foo{} 1.0".to_owned()])),
    ] {
        assert_eq!(read_bytes(exposition, Format::Text), expected);
    }
}

fn target() -> Labels {
    [("instance", "10.0.0.1:80"), ("job", "shop")].into_iter().collect()
}

fn scrape(target_labels: &Labels) -> ScrapeOptions<'_> {
    ScrapeOptions {
        target_labels,
        honor_labels: false,
        utf8_names: Utf8Names::Replace,
        honor_timestamps: true,
        sample_limit: None,
        max_age_ms: None,
        at_ms: NOW,
    }
}

/// Converts a valid exposition.
fn written_series(body: &[u8], format: Format, options: &ScrapeOptions) -> SeriesBatch {
    let mut out = SeriesBatch::default();
    let counts = series(body, format, options, &Unlimited, &mut out).unwrap();
    assert_eq!(out.point_count(), counts.samples - counts.duplicates - counts.out_of_bounds);
    out
}

fn written(out: &SeriesBatch) -> Vec<String> {
    let mut lines: Vec<_> = out
        .iter()
        .map(|series| {
            let labels: Vec<_> = series.labels().map(|(name, value)| format!("{name}={value}")).collect();
            let samples: Vec<_> =
                series.samples().iter().map(|s| format!("{}@{}", s.value, s.timestamp_ms - NOW)).collect();
            format!("{} {}", labels.join(","), samples.join(" "))
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn conflicting_labels_get_the_prefix_exported() {
    let target = target();
    for (exposition, expected) in [
        ("foo 1", "__name__=foo,instance=10.0.0.1:80,job=shop 1@0"),
        ("foo{a=\"b\",z=\"\"} 1", "__name__=foo,a=b,instance=10.0.0.1:80,job=shop 1@0"),
        ("foo{job=\"x\"} 1", "__name__=foo,exported_job=x,instance=10.0.0.1:80,job=shop 1@0"),
        ("foo{job=\"\"} 1", "__name__=foo,instance=10.0.0.1:80,job=shop 1@0"),
        (
            "foo{job=\"x\",exported_job=\"y\"} 1",
            "__name__=foo,exported_exported_job=x,exported_job=y,instance=10.0.0.1:80,job=shop 1@0",
        ),
        (
            "foo{Zone=\"z\",instance=\"i\",job=\"x\"} 1",
            "Zone=z,__name__=foo,exported_instance=i,exported_job=x,instance=10.0.0.1:80,job=shop 1@0",
        ),
    ] {
        let out = written_series(exposition.as_bytes(), Format::Text, &scrape(&target));
        assert_eq!(written(&out), [expected], "{exposition}");
    }
}

#[test]
fn honor_labels_keeps_conflicting_and_empty_labels() {
    let target = target();
    for (exposition, expected) in [
        ("foo{job=\"x\",a=\"b\"} 1", "__name__=foo,a=b,instance=10.0.0.1:80,job=x 1@0"),
        ("foo{job=\"\",instance=\"\"} 1", "__name__=foo 1@0"),
        ("foo{zone=\"z\"} 1", "__name__=foo,instance=10.0.0.1:80,job=shop,zone=z 1@0"),
    ] {
        let scrape = ScrapeOptions { honor_labels: true, ..scrape(&target) };
        let out = written_series(exposition.as_bytes(), Format::Text, &scrape);
        assert_eq!(written(&out), [expected], "{exposition}");
    }
}

#[test]
fn exposition_cannot_set_identity_labels_or_reserved_jobs() {
    let mut target = target();
    target.set("aws_ecs_task_family", "own");
    let own = "aws_ecs_task_family=own";
    for honor_labels in [false, true] {
        for (exposition, expected) in [
            (
                "f{aws_ecs_task_family=\"x\"} 1",
                format!("__name__=f,{own},exported_aws_ecs_task_family=x,instance=10.0.0.1:80,job=shop 1@0"),
            ),
            (
                "f{aws_ecs_service_name=\"x\"} 1",
                format!("__name__=f,{own},exported_aws_ecs_service_name=x,instance=10.0.0.1:80,job=shop 1@0"),
            ),
            (
                "f{\"cloud.region\"=\"x\"} 1",
                format!("__name__=f,{own},exported_cloud_region=x,instance=10.0.0.1:80,job=shop 1@0"),
            ),
            ("f{aws_ecs_task_family=\"\"} 1", format!("__name__=f,{own},instance=10.0.0.1:80,job=shop 1@0")),
            (
                "f{job=\"sidecarless\"} 1",
                format!("__name__=f,{own},exported_job=sidecarless,instance=10.0.0.1:80,job=shop 1@0"),
            ),
            (
                "f{job=\"sidecarless-stats\"} 1",
                format!("__name__=f,{own},exported_job=sidecarless-stats,instance=10.0.0.1:80,job=shop 1@0"),
            ),
        ] {
            let scrape = ScrapeOptions { honor_labels, ..scrape(&target) };
            let out = written_series(exposition.as_bytes(), Format::Text, &scrape);
            assert_eq!(written(&out), [expected], "{honor_labels} {exposition}");
        }
    }
}

#[test]
fn quoted_names_are_converted_to_the_legacy_character_set() {
    let target = Labels::default();
    for (exposition, expected) in [
        ("{\"http.requests\",\"http.method\"=\"GET\"} 1", "__name__=http_requests,http_method=GET 1@0"),
        ("{\"5xx:é\",\"9\"=\"a\",\"a:b\"=\"c\"} 1", "_9=a,__name__=_5xx:_,a_b=c 1@0"),
        ("{\"m\",\"a.b\"=\"1\",a_b=\"2\"} 1", "__name__=m,a_b=1;2 1@0"),
    ] {
        let out = written_series(exposition.as_bytes(), Format::Text, &scrape(&target));
        assert_eq!(written(&out), [expected], "{exposition}");
    }
}

#[test]
fn quoted_names_are_kept_if_utf8_names_are_sent() {
    let mut target = target();
    target.set("aws_ecs_task_family", "own");
    for (exposition, expected) in [
        (
            "{\"http.requests\",\"http.method\"=\"GET\"} 1",
            "__name__=http.requests,aws_ecs_task_family=own,http.method=GET,instance=10.0.0.1:80,job=shop 1@0",
        ),
        (
            "{\"5xx:é\",\"9\"=\"a\",\"a.b\"=\"1\",a_b=\"2\"} 1",
            "9=a,__name__=5xx:é,a.b=1,a_b=2,aws_ecs_task_family=own,instance=10.0.0.1:80,job=shop 1@0",
        ),
        // The identity of a task, also in another notation.
        (
            "{\"m\",\"aws.ecs.task.family\"=\"x\"} 1",
            "__name__=m,aws_ecs_task_family=own,exported_aws.ecs.task.family=x,instance=10.0.0.1:80,job=shop 1@0",
        ),
    ] {
        let scrape = ScrapeOptions { utf8_names: Utf8Names::Send, ..scrape(&target) };
        let out = written_series(exposition.as_bytes(), Format::Text, &scrape);
        assert_eq!(written(&out), [expected], "{exposition}");
    }
}

#[test]
fn timestamps_are_used_if_honored_and_within_bounds() {
    let target = Labels::default();
    let exposition = format!("a 1 {}\nb 2\nc 3 {}\nd 4 {}\n", NOW - 5, NOW + 600_000, NOW + 600_001);
    let mut out = SeriesBatch::default();
    let counts = series(exposition.as_bytes(), Format::Text, &scrape(&target), &Unlimited, &mut out).unwrap();
    assert_eq!(written(&out), ["__name__=a 1@-5", "__name__=b 2@0", "__name__=c 3@600000"]);
    assert_eq!(
        counts,
        ScrapeCounts { samples: 4, post_relabel: 4, series: 3, out_of_bounds: 1, ..ScrapeCounts::default() }
    );

    let scrape = ScrapeOptions { honor_timestamps: false, ..scrape(&target) };
    let out = written_series(exposition.as_bytes(), Format::Text, &scrape);
    assert_eq!(written(&out), ["__name__=a 1@0", "__name__=b 2@0", "__name__=c 3@0", "__name__=d 4@0"]);
}

#[test]
fn first_sample_of_a_series_and_time_is_kept() {
    let target = Labels::default();
    let mut out = SeriesBatch::default();
    let exposition = b"a{x=\"1\",y=\"2\"} 1\nb 9\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\n";
    let counts = series(exposition, Format::Text, &scrape(&target), &Unlimited, &mut out).unwrap();
    assert_eq!(written(&out), ["__name__=a,x=1,y=2 1@0", "__name__=b 9@0"]);
    assert_eq!((counts.samples, counts.series, counts.duplicates), (4, 2, 2));
}

#[test]
fn failed_scrape_writes_nothing_and_counts_samples() {
    let target = target();
    let many: String = (0..40).map(|n| format!("l{n}=\"\",")).collect();
    for (exposition, limit, expected, samples) in [
        ("a 1\nb 2\nc x\nd 4\n".to_owned(), None, r#"line 3: invalid value "x": not a number"#, 2),
        ("a 1\nb{x=\"1\",x=\"1\"} 2\n".to_owned(), None, r#"line 2: duplicate label "x""#, 2),
        (format!("b{{{many}l7=\"\"}} 2\n"), None, r#"line 1: duplicate label "l7""#, 1),
        ("b{__name__=\"x\"} 2\n".to_owned(), None, r#"line 1: duplicate label "__name__""#, 1),
        ("a 1\nb 2\nc 3\n".to_owned(), Some(2), "3 samples exceed the limit of 2", 3),
    ] {
        let mut out = SeriesBatch::default();
        let scrape = ScrapeOptions { sample_limit: limit, ..scrape(&target) };
        let failed: ExpositionError =
            series(exposition.as_bytes(), Format::Text, &scrape, &Unlimited, &mut out).unwrap_err();
        assert_eq!((failed.to_string().as_str(), failed.counts.samples), (expected, samples));
        assert!(out.is_empty() && out.metadata().is_empty(), "{exposition:?}");
        assert_eq!(matches!(failed.kind, ExpositionErrorKind::SampleLimit { .. }), limit.is_some());
    }
}

#[test]
fn sample_limit_is_inclusive() {
    let target = target();
    let scrape = ScrapeOptions { sample_limit: Some(2), ..scrape(&target) };
    let out = written_series(b"a 1\nb 2\n", Format::Text, &scrape);
    assert_eq!(out.point_count(), 2);
}

#[test]
fn only_exemplars_that_receivers_accept_are_written() {
    let target = target();
    let (long, too_long) = ("é".repeat(127), "é".repeat(128));
    for (exemplar, expected) in [
        ("{trace_id=\"t\"} 0.5".to_owned(), Some((vec![("trace_id", "t")], NOW))),
        ("{trace_id=\"t\"} 0.5 1.5".to_owned(), Some((vec![("trace_id", "t")], 1500))),
        ("{b=\"1\",a=\"2\",c=\"\"} 0.5".to_owned(), Some((vec![("a", "2"), ("b", "1")], NOW))),
        (format!("{{a=\"{long}\"}} 0.5"), Some((vec![("a", long.as_str())], NOW))),
        (format!("{{a=\"{too_long}\"}} 0.5"), None),
        ("{} 0.5".to_owned(), None),
        ("{a=\"\"} 0.5".to_owned(), None),
        ("{a=\"1\",a=\"2\"} 0.5".to_owned(), None),
        ("{a=\"1\"} 0.5 0".to_owned(), None),
        ("{a=\"1\"} 0.5 -3".to_owned(), None),
    ] {
        let exposition = format!("foo_total 1 # {exemplar}\n# EOF\n");
        let mut out = SeriesBatch::default();
        let counts =
            series(exposition.as_bytes(), Format::OpenMetrics, &scrape(&target), &Unlimited, &mut out).unwrap();
        let exemplars: Vec<_> = out.iter().flat_map(|series| series.exemplars()).collect();
        assert_eq!(out.point_count(), 1, "the sample is written: {exemplar}");
        assert_eq!((counts.exemplars, counts.exemplars_rejected), if expected.is_some() { (1, 0) } else { (0, 1) });
        let Some((labels, timestamp_ms)) = expected else {
            assert!(exemplars.is_empty(), "{exemplar}");
            continue;
        };
        let labels: Vec<_> = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(exemplars[0].labels, labels);
        assert_eq!((exemplars[0].value, exemplars[0].timestamp_ms), (0.5, timestamp_ms));
    }
}

#[test]
fn bounds_and_quantiles_keep_their_spelling() {
    let target = Labels::default();
    let exposition =
        b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"1e6\"} 3\nh_created 1.5e9\n\
                 # TYPE s summary\ns{quantile=\"0.50\"} 4\n# EOF\n";
    let out = written_series(exposition, Format::OpenMetrics, &scrape(&target));
    let expected = [
        "__name__=h_bucket,le=1 1@0",
        "__name__=h_bucket,le=1.0 2@0",
        "__name__=h_bucket,le=1e6 3@0",
        "__name__=h_created 1500000000@0",
        "__name__=s,quantile=0.50 4@0",
    ];
    assert_eq!(written(&out), expected);
}

#[test]
fn last_metadata_of_a_family_is_used() {
    let target = Labels::default();
    let exposition = b"# HELP b_seconds first\n# TYPE a gauge\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\n\
                 # HELP b_seconds last\n# TYPE b_seconds counter\n# EOF\n";
    let out = written_series(exposition, Format::OpenMetrics, &scrape(&target));
    let metadata: Vec<_> =
        out.metadata().iter().map(|m| format!("{} {:?} {:?} {:?}", m.family, m.kind, m.help, m.unit)).collect();
    assert_eq!(metadata, ["a Gauge \"\" \"\"", "b_seconds Counter \"last\" \"seconds\""]);
}

#[test]
fn metadata_is_limited_but_samples_are_not() {
    let target = Labels::default();
    let exposition: String = (0..3000).map(|n| format!("# HELP foo{n} x\nfoo{n} 1\n")).collect();
    let out = written_series(exposition.as_bytes(), Format::Text, &scrape(&target));
    assert_eq!((out.metadata().len(), out.len()), (2000, 3000));
}

#[test]
fn scrape_report_is_written_as_series() {
    let target = target();
    let success = ScrapeReport {
        is_up: true,
        duration: Duration::from_millis(250),
        samples_scraped: 12,
        samples_post_relabel: 11,
        series_added: Some(3),
    };
    let labels = "instance=10.0.0.1:80,job=shop";
    let mut out = SeriesBatch::default();
    report(&success, &target, NOW, &mut out);
    let expected = [
        format!("__name__=scrape_duration_seconds,{labels} 0.25@0"),
        format!("__name__=scrape_samples_post_metric_relabeling,{labels} 11@0"),
        format!("__name__=scrape_samples_scraped,{labels} 12@0"),
        format!("__name__=scrape_series_added,{labels} 3@0"),
        format!("__name__=up,{labels} 1@0"),
    ];
    assert_eq!(written(&out), expected);

    let mut out = SeriesBatch::default();
    report(&ScrapeReport { is_up: false, series_added: None, ..success }, &target, NOW, &mut out);
    assert_eq!(out.len(), 4, "unknown values are not written");
    assert!(written(&out).contains(&format!("__name__=up,{labels} 0@0")));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Written {
        name: String,
        labels: Vec<(String, String)>,
        value: f64,
        timestamp_ms: Option<i64>,
        exemplar: Option<(Vec<(String, String)>, f64)>,
    }

    fn is_legacy(name: &str) -> bool {
        let starts = |first: char| first.is_ascii_alphabetic() || first == '_';
        name.starts_with(starts) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    }

    fn label(name: &str, value: &str) -> String {
        let name = if is_legacy(name) { name.to_owned() } else { quoted(name) };
        format!("{name}={}", quoted(value))
    }

    fn print(sample: &Written, format: Format) -> String {
        let mut inside: Vec<_> = sample.labels.iter().map(|(name, value)| label(name, value)).collect();
        let mut line = String::new();
        if is_legacy(&sample.name) {
            line += &sample.name;
        } else {
            inside.insert(0, quoted(&sample.name));
        }
        if !inside.is_empty() {
            line += &format!("{{{}}}", inside.join(","));
        }
        line += &format!(" {}", sample.value);
        match (sample.timestamp_ms, format) {
            (None, _) => {}
            (Some(ms), Format::Text) => line += &format!(" {ms}"),
            (Some(ms), Format::OpenMetrics) => line += &format!(" {}", ms / 1000),
        }
        if let Some((labels, value)) = &sample.exemplar {
            let labels: Vec<_> = labels.iter().map(|(name, value)| label(name, value)).collect();
            line += &format!(" # {{{}}} {value}", labels.join(","));
        }
        line + "\n"
    }

    fn samples() -> impl Strategy<Value = Vec<Written>> {
        let name = || prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,8}", "\\PC{1,6}"];
        let value = || prop_oneof![any::<f64>(), any::<i32>().prop_map(f64::from)];
        let value = move || value().prop_filter("NaN is not equal to itself", |value| !value.is_nan());
        let labels = move || proptest::collection::vec((name(), any::<String>()), 0..5);
        let timestamp = proptest::option::of((0..4_000_000_000_i64).prop_map(|seconds| seconds * 1000));
        let exemplar = proptest::option::of((labels(), value()));
        let sample = (name(), labels(), value(), timestamp, exemplar);
        let sample = sample.prop_map(|(name, labels, value, timestamp_ms, exemplar)| Written {
            name,
            labels,
            value,
            timestamp_ms,
            exemplar,
        });
        proptest::collection::vec(sample, 0..6)
    }

    fn owned(labels: &[sidecarless::translate::exposition::parser::Label]) -> Vec<(String, String)> {
        labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect()
    }

    fn reread(text: &str, format: Format) -> Result<Vec<Written>, SyntaxError> {
        let mut parser = Parser::new(text.as_bytes(), format);
        let mut samples = Vec::new();
        while let Some(entry) = parser.next_entry()? {
            let Entry::Sample(sample) = entry else { continue };
            samples.push(Written {
                name: sample.name.to_string(),
                labels: owned(sample.labels),
                value: sample.value,
                timestamp_ms: sample.timestamp_ms,
                exemplar: sample.exemplar.map(|exemplar| (owned(exemplar.labels), exemplar.value)),
            });
        }
        Ok(samples)
    }

    proptest! {
        #[test]
        fn text_round_trip(mut samples in samples()) {
            samples.iter_mut().for_each(|sample| sample.exemplar = None);
            let text: String = samples.iter().map(|sample| print(sample, Format::Text)).collect();
            prop_assert_eq!(reread(&text, Format::Text), Ok(samples));
        }

        #[test]
        fn openmetrics_round_trip(samples in samples()) {
            let mut text: String = samples.iter().map(|sample| print(sample, Format::OpenMetrics)).collect();
            text += "# EOF\n";
            prop_assert_eq!(reread(&text, Format::OpenMetrics), Ok(samples));
        }

        #[test]
        fn arbitrary_bytes_do_not_panic_or_write_partial_series(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "[ab#{}\"=,\\\\ \t\n019.eE+NaInf_:TYPEHLUO]{0,60}".prop_map(String::into_bytes),
            ],
            honor_labels: bool,
        ) {
            let target: Labels = [("a", "1"), ("b", "2")].into_iter().collect();
            for format in [Format::Text, Format::OpenMetrics] {
                let mut out = SeriesBatch::default();
                let scrape = ScrapeOptions { honor_labels, ..scrape(&target) };
                match series(&bytes, format, &scrape, &Unlimited, &mut out) {
                    Ok(counts) => {
                        prop_assert_eq!(counts.samples, out.point_count() + counts.duplicates + counts.out_of_bounds);
                    }
                    Err(_) => prop_assert!(out.is_empty()),
                }
                for series in out.iter() {
                    let names: Vec<_> = series.labels().map(|(name, _)| name).collect();
                    prop_assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
                }
            }
        }
    }
}

#[test]
fn extreme_numbers_and_times_do_not_fail() {
    let numbers = [
        "0",
        "-1",
        "NaN",
        "-Inf",
        "1e308",
        "1e309",
        "-1e-320",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "-9223372036854775808",
        "99999999999999999999999999999999999999",
    ];
    let target = target();
    for (value, time) in numbers.iter().flat_map(|value| numbers.map(|time| (*value, time))) {
        for (exposition, format) in [
            (format!("a {value} {time}\n"), Format::Text),
            (format!("a {value} {time}\n# EOF"), Format::OpenMetrics),
            (format!("a 1 {time} # {{b=\"c\"}} {value} {time}\n# EOF"), Format::OpenMetrics),
        ] {
            for at_ms in [i64::MIN, -1, 0, NOW, i64::MAX] {
                let mut out = SeriesBatch::default();
                let scrape = ScrapeOptions { at_ms, ..scrape(&target) };
                let _ = series(exposition.as_bytes(), format, &scrape, &Unlimited, &mut out);
                let times = out.iter().flat_map(|series| series.samples()).map(|sample| sample.timestamp_ms);
                assert!(
                    times.into_iter().all(|time| (0..=at_ms.saturating_add(600_000)).contains(&time)),
                    "{exposition}"
                );
            }
        }
    }
}

#[test]
fn samples_beyond_the_maximum_age_are_not_written() {
    let target = target();
    let body = format!("a 1 {}\nb 2 {}\nc 3\n", NOW - 1_001, NOW - 1_000);
    for (max_age_ms, honor_timestamps, expected) in
        [(None, true, (3, 0)), (Some(1_000), true, (2, 1)), (Some(1_000), false, (3, 0))]
    {
        let options = ScrapeOptions { max_age_ms, honor_timestamps, ..scrape(&target) };
        let mut out = SeriesBatch::default();
        let counts = series(body.as_bytes(), Format::Text, &options, &Unlimited, &mut out).unwrap();
        assert_eq!((out.point_count(), counts.too_old), expected, "{max_age_ms:?}, timestamps: {honor_timestamps}");
        assert_eq!(counts.samples, 3, "all samples were scraped");
    }
}
