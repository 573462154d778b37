//! Scraped pages become series: what is read, what is an error, whose label wins, and what is written of a failed scrape.

use std::time::Duration;

use sidecarless::model::exposition::Format;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::translate::exposition::parser::{Entry, Parser};
use sidecarless::translate::exposition::{
    ExpositionError, ExpositionErrorKind, ScrapeCounts, ScrapeOptions, ScrapeReport, SyntaxError, report, series,
};

const NOW: i64 = 1_800_000_000_000;

fn read(page: &str, format: Format) -> Result<Vec<String>, String> {
    read_bytes(page.as_bytes(), format)
}

fn read_bytes(bytes: &[u8], format: Format) -> Result<Vec<String>, String> {
    let mut page = Parser::new(bytes, format);
    let mut lines = Vec::new();
    while let Some(line) = page.line().map_err(|error| error.to_string())? {
        lines.push(match line {
            Entry::Metadata(about) => format!("{} {:?}", about.family, about.value),
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

/// A page and the lines that it holds.
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
    ("#\tTYPE\tfoo\tcounter\n", &["foo Kind(Counter)"]),
    ("# TYPE \"a.b\" gauge\n", &["a.b Kind(Gauge)"]),
    (
        "# TYPE a histogram\n# TYPE b summary\n# TYPE c untyped",
        &["a Kind(Histogram)", "b Kind(Summary)", "c Kind(Unknown)"],
    ),
];

#[test]
fn text_pages_are_read_as_prometheus_reads_them() {
    for (page, expected) in TEXT {
        assert_eq!(read(page, Format::Text).unwrap(), *expected, "{page:?}");
    }
}

/// A page and its error.
const BROKEN_TEXT: &[(&str, &str)] = &[
    ("ok 1\n\n5foo 1\n", r#"line 3: a metric name expected, "5foo 1" found"#),
    ("foo\n", "line 1: a value expected, the end of the line found"),
    ("foo", "line 1: a value expected, the end of the page found"),
    ("foo x\n", r#"line 1: the value "x" is no number"#),
    ("foo 1\r\n", r#"line 1: the value "1\r" is no number"#),
    ("foo.bar 1\n", r#"line 1: the value ".bar" is no number"#),
    ("foo 1e999\n", r#"line 1: the value "1e999" is out of range"#),
    ("foo 0x1p3\n", r#"line 1: the value "0x1p3" is no number"#),
    ("foo 1 -5\n", r#"line 1: a timestamp in digits or the end of the line expected, "-5" found"#),
    ("foo 1 5 6\n", r#"line 1: a timestamp in digits or the end of the line expected, "5 6" found"#),
    ("foo 1 1.5\n", r#"line 1: a timestamp in digits or the end of the line expected, "1.5" found"#),
    (
        "foo 1 # {a=\"b\"} 1\n",
        r##"line 1: a timestamp in digits or the end of the line expected, "# {a=\"b\"} 1" found"##,
    ),
    ("foo 1 99999999999999999999\n", r#"line 1: the timestamp "99999999999999999999" is out of range"#),
    ("foo{a} 1\n", r#"line 1: an equals sign expected, "} 1" found"#),
    ("foo{a=b} 1\n", r#"line 1: a label value in quotes expected, "b} 1" found"#),
    ("foo{5=\"b\"} 1\n", r#"line 1: a label name expected, "5=\"b\"} 1" found"#),
    ("foo{a:b=\"c\"} 1\n", r#"line 1: an equals sign expected, ":b=\"c\"} 1" found"#),
    ("foo{,} 1\n", r#"line 1: a label name expected, ",} 1" found"#),
    ("foo{a=\"b\",,} 1\n", r#"line 1: a label name expected, ",} 1" found"#),
    ("foo{\na=\"b\"} 1\n", "line 1: a label name expected, the end of the line found"),
    ("foo 1\nfoo{a=\"b} 1\nbar 1\n", "line 2: a string without its closing quote"),
    ("foo{a=\"b\\", "line 1: a string without its closing quote"),
    ("foo{a=\"b\\\nc\"} 1\n", "line 1: a string without its closing quote"),
    ("foo{a=\"b\"", "line 1: a label name expected, the end of the page found"),
    ("foo{\"bar\"} 1\n", r#"line 1: a second metric name, "bar""#),
    ("{\"foo\",\"bar\"} 1\n", r#"line 1: a second metric name, "bar""#),
    ("{a=\"b\"} 1\n", "line 1: a sample without a metric name"),
    ("{\"\"} 1\n", "line 1: a sample without a metric name"),
    ("{} 1\n", "line 1: a sample without a metric name"),
    ("foo 1\n\0bar 1\n", r#"line 2: a metric name expected, "\0bar 1" found"#),
    ("# HELP 5foo x\n", r#"line 1: a metric name behind HELP expected, "5foo x" found"#),
    ("# TYPE\t\n", "line 1: a metric name behind TYPE expected, the end of the line found"),
    ("foo 1\n# TYPE foo\n", r#"line 2: "" is no metric type"#),
    ("# TYPE foo unknown\n", r#"line 1: "unknown" is no metric type"#),
    ("# TYPE foo counter \n", r#"line 1: "counter " is no metric type"#),
    ("# TYPE foo  counter\n", r#"line 1: " counter" is no metric type"#),
    ("# TYPE foo counter\r\n", r#"line 1: "counter\r" is no metric type"#),
];

#[test]
fn text_pages_with_one_broken_line_name_it() {
    for (page, expected) in BROKEN_TEXT {
        assert_eq!(read(page, Format::Text).unwrap_err(), *expected, "{page:?}");
    }
}

/// A page and the lines that it holds.
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
        &["a Kind(Unknown)", "b Kind(GaugeHistogram)", "c Kind(Info)", "d Kind(StateSet)"],
    ),
];

#[test]
fn openmetrics_pages_are_read_as_prometheus_reads_them() {
    for (page, expected) in OPEN_METRICS {
        assert_eq!(read(page, Format::OpenMetrics).unwrap(), *expected, "{page:?}");
    }
}

/// A page and its error.
const BROKEN_OPEN_METRICS: &[(&str, &str)] = &[
    ("", "line 1: the page does not end with # EOF"),
    ("foo 1\n", "line 2: the page does not end with # EOF"),
    ("foo 1", "line 1: the page does not end with # EOF"),
    ("foo 1 # {a=\"b\"} 1", "line 1: the page does not end with # EOF"),
    ("# TYPE foo counter", "line 1: the page does not end with # EOF"),
    ("# EOF\n\n", "line 2: something behind # EOF"),
    ("# EOF\nfoo 1\n", "line 2: something behind # EOF"),
    ("# EOF \n", "line 1: something behind # EOF"),
    ("foo 1\n\n# EOF\n", "line 2: a metric name expected, the end of the line found"),
    (" foo 1\n# EOF\n", r#"line 1: a metric name expected, " foo 1" found"#),
    ("# a comment\n# EOF\n", r##"line 1: # HELP, # TYPE, # UNIT or # EOF expected, "# a comment" found"##),
    ("#HELP foo x\n# EOF\n", r##"line 1: # HELP, # TYPE, # UNIT or # EOF expected, "#HELP foo x" found"##),
    ("# HELP  foo x\n# EOF\n", r#"line 1: a metric name behind HELP expected, " foo x" found"#),
    ("# HELP foo\n# EOF\n", "line 1: a space and a text expected, the end of the line found"),
    ("# TYPE foo untyped\n# EOF\n", r#"line 1: "untyped" is no metric type"#),
    ("# UNIT foo seconds\n# EOF\n", r#"line 1: the unit "seconds" is no suffix of the metric name "foo""#),
    (
        "# UNIT fooseconds seconds\n# EOF\n",
        r#"line 1: the unit "seconds" is no suffix of the metric name "fooseconds""#,
    ),
    ("foo  1\n# EOF\n", r#"line 1: the value behind one space expected, " 1" found"#),
    ("foo\t1\n# EOF\n", r#"line 1: a space and the value expected, "\t1" found"#),
    ("foo {a=\"b\"} 1\n# EOF\n", r#"line 1: the value "{a=\"b\"}" is no number"#),
    ("foo{ a=\"b\"} 1\n# EOF\n", r#"line 1: a label name expected, " a=\"b\"} 1" found"#),
    ("foo{a=\"b\"c=\"d\"} 1\n# EOF\n", r#"line 1: a comma or a closing brace expected, "c=\"d\"} 1" found"#),
    ("foo{a=\"b\nc\"} 1\n# EOF\n", "line 1: a string without its closing quote"),
    ("foo 1 \n# EOF\n", "line 1: the timestamp behind one space expected, the end of the line found"),
    ("foo 1\r\n# EOF\n", r#"line 1: the value "1\r" is no number"#),
    ("foo 1 NaN\n# EOF\n", r#"line 1: the timestamp "NaN" is no time"#),
    ("foo 1 1 1\n# EOF\n", r#"line 1: the end of the line expected, " 1" found"#),
    ("foo 1 # {a=\"b\"}\n# EOF\n", "line 1: a space and the exemplar value expected, the end of the line found"),
    ("foo 1 # {\"a\"} 1\n# EOF\n", r#"line 1: an equals sign expected, "} 1" found"#),
    ("foo 1 # {a=\"b\"} 1 Inf\n# EOF\n", r#"line 1: the exemplar timestamp "Inf" is no time"#),
    ("foo 1 # {a=\"b\"} 1 1 1\n# EOF\n", r#"line 1: the end of the line expected, " 1" found"#),
];

#[test]
fn openmetrics_pages_with_one_broken_line_name_it() {
    for (page, expected) in BROKEN_OPEN_METRICS {
        assert_eq!(read(page, Format::OpenMetrics).unwrap_err(), *expected, "{page:?}");
    }
}

#[test]
fn text_that_is_no_utf8_is_an_error_except_in_comments() {
    for (page, expected) in [
        (&b"foo{a=\"\xff\"} 1\n"[..], Err("line 1: \"\u{fffd}\" is no UTF-8".to_owned())),
        (b"# HELP foo \xff\n", Err("line 1: the text \"\u{fffd}\" is no UTF-8".to_owned())),
        (b"# \xff\nfoo 1\n", Ok(vec!["foo{} 1.0".to_owned()])),
    ] {
        assert_eq!(read_bytes(page, Format::Text), expected);
    }
}

fn target() -> Labels {
    [("instance", "10.0.0.1:80"), ("job", "shop")].into_iter().collect()
}

fn scrape(target_labels: &Labels) -> ScrapeOptions<'_> {
    ScrapeOptions { target_labels, honor_labels: false, honor_timestamps: true, sample_limit: None, at_ms: NOW }
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
fn the_target_s_labels_win_and_the_page_s_are_renamed() {
    let target = target();
    for (page, expected) in [
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
        let mut out = SeriesBatch::default();
        series(page.as_bytes(), Format::Text, &scrape(&target), &mut out).unwrap();
        assert_eq!(written(&out), [expected], "{page}");
    }
}

#[test]
fn with_honor_labels_the_page_s_labels_win_even_when_empty() {
    let target = target();
    for (page, expected) in [
        ("foo{job=\"x\",a=\"b\"} 1", "__name__=foo,a=b,instance=10.0.0.1:80,job=x 1@0"),
        ("foo{job=\"\",instance=\"\"} 1", "__name__=foo 1@0"),
        ("foo{zone=\"z\"} 1", "__name__=foo,instance=10.0.0.1:80,job=shop,zone=z 1@0"),
    ] {
        let mut out = SeriesBatch::default();
        let scrape = ScrapeOptions { honor_labels: true, ..scrape(&target) };
        series(page.as_bytes(), Format::Text, &scrape, &mut out).unwrap();
        assert_eq!(written(&out), [expected], "{page}");
    }
}

#[test]
fn names_in_quotes_are_written_in_the_classic_character_set() {
    let target = Labels::default();
    for (page, expected) in [
        ("{\"http.requests\",\"http.method\"=\"GET\"} 1", "__name__=http_requests,http_method=GET 1@0"),
        ("{\"5xx:é\",\"9\"=\"a\",\"a:b\"=\"c\"} 1", "_9=a,__name__=_5xx:_,a_b=c 1@0"),
        ("{\"m\",\"a.b\"=\"1\",a_b=\"2\"} 1", "__name__=m,a_b=1;2 1@0"),
    ] {
        let mut out = SeriesBatch::default();
        series(page.as_bytes(), Format::Text, &scrape(&target), &mut out).unwrap();
        assert_eq!(written(&out), [expected], "{page}");
    }
}

#[test]
fn timestamps_count_only_when_they_are_honored_and_credible() {
    let target = Labels::default();
    let page = format!("a 1 {}\nb 2\nc 3 {}\nd 4 {}\n", NOW - 5, NOW + 600_000, NOW + 600_001);
    let mut out = SeriesBatch::default();
    let scraped = series(page.as_bytes(), Format::Text, &scrape(&target), &mut out).unwrap();
    assert_eq!(written(&out), ["__name__=a 1@-5", "__name__=b 2@0", "__name__=c 3@600000"]);
    assert_eq!(
        scraped,
        ScrapeCounts { samples: 4, post_relabel: 4, series: 3, out_of_bounds: 1, ..ScrapeCounts::default() }
    );

    let mut out = SeriesBatch::default();
    let scrape = ScrapeOptions { honor_timestamps: false, ..scrape(&target) };
    series(page.as_bytes(), Format::Text, &scrape, &mut out).unwrap();
    assert_eq!(written(&out), ["__name__=a 1@0", "__name__=b 2@0", "__name__=c 3@0", "__name__=d 4@0"]);
}

#[test]
fn of_two_samples_of_one_series_and_time_the_first_stays() {
    let target = Labels::default();
    let mut out = SeriesBatch::default();
    let page = b"a{x=\"1\",y=\"2\"} 1\nb 9\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\n";
    let scraped = series(page, Format::Text, &scrape(&target), &mut out).unwrap();
    assert_eq!(written(&out), ["__name__=a,x=1,y=2 1@0", "__name__=b 9@0"]);
    assert_eq!((scraped.samples, scraped.series, scraped.duplicates), (4, 2, 2));
}

#[test]
fn a_failed_scrape_writes_nothing_and_says_how_far_it_came() {
    let target = target();
    let many: String = (0..40).map(|n| format!("l{n}=\"\",")).collect();
    for (page, limit, expected, samples) in [
        ("a 1\nb 2\nc x\nd 4\n".to_owned(), None, r#"line 3: the value "x" is no number"#, 2),
        ("a 1\nb{x=\"1\",x=\"1\"} 2\n".to_owned(), None, r#"line 2: the label "x" comes twice"#, 2),
        (format!("b{{{many}l7=\"\"}} 2\n"), None, r#"line 1: the label "l7" comes twice"#, 1),
        ("b{__name__=\"x\"} 2\n".to_owned(), None, r#"line 1: the label "__name__" comes twice"#, 1),
        ("a 1\nb 2\nc 3\n".to_owned(), Some(2), "3 samples, and the limit is 2", 3),
    ] {
        let mut out = SeriesBatch::default();
        let scrape = ScrapeOptions { sample_limit: limit, ..scrape(&target) };
        let failed: ExpositionError = series(page.as_bytes(), Format::Text, &scrape, &mut out).unwrap_err();
        assert_eq!((failed.to_string().as_str(), failed.counts.samples), (expected, samples));
        assert!(out.is_empty() && out.metadata().is_empty(), "{page:?}");
        assert_eq!(matches!(failed.kind, ExpositionErrorKind::SampleLimit { .. }), limit.is_some());
    }
}

#[test]
fn as_many_samples_as_the_limit_are_fine() {
    let target = target();
    let mut out = SeriesBatch::default();
    let scrape = ScrapeOptions { sample_limit: Some(2), ..scrape(&target) };
    series(b"a 1\nb 2\n", Format::Text, &scrape, &mut out).unwrap();
    assert_eq!(out.point_count(), 2);
}

#[test]
fn exemplars_are_written_when_no_receiver_can_mind_them() {
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
        let page = format!("foo_total 1 # {exemplar}\n# EOF\n");
        let mut out = SeriesBatch::default();
        let scraped = series(page.as_bytes(), Format::OpenMetrics, &scrape(&target), &mut out).unwrap();
        let exemplars: Vec<_> = out.iter().flat_map(|series| series.exemplars()).collect();
        assert_eq!(out.point_count(), 1, "the sample stays: {exemplar}");
        assert_eq!((scraped.exemplars, scraped.exemplars_rejected), if expected.is_some() { (1, 0) } else { (0, 1) });
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
fn bounds_and_quantiles_stay_as_the_page_spells_them_and_created_lines_are_series() {
    let target = Labels::default();
    let mut out = SeriesBatch::default();
    let page =
        b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"1e6\"} 3\nh_created 1.5e9\n\
                 # TYPE s summary\ns{quantile=\"0.50\"} 4\n# EOF\n";
    series(page, Format::OpenMetrics, &scrape(&target), &mut out).unwrap();
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
fn metadata_is_gathered_per_family_and_the_last_word_counts() {
    let target = Labels::default();
    let mut out = SeriesBatch::default();
    let page = b"# HELP b_seconds first\n# TYPE a gauge\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\n\
                 # HELP b_seconds last\n# TYPE b_seconds counter\n# EOF\n";
    series(page, Format::OpenMetrics, &scrape(&target), &mut out).unwrap();
    let metadata: Vec<_> =
        out.metadata().iter().map(|m| format!("{} {:?} {:?} {:?}", m.family, m.kind, m.help, m.unit)).collect();
    assert_eq!(metadata, ["a Gauge \"\" \"\"", "b_seconds Counter \"last\" \"seconds\""]);
}

#[test]
fn a_page_of_nothing_but_families_is_described_in_part_and_read_in_full() {
    let target = Labels::default();
    let mut out = SeriesBatch::default();
    let page: String = (0..3000).map(|n| format!("# HELP foo{n} x\nfoo{n} 1\n")).collect();
    series(page.as_bytes(), Format::Text, &scrape(&target), &mut out).unwrap();
    assert_eq!((out.metadata().len(), out.len()), (2000, 3000));
}

#[test]
fn every_scrape_is_reported() {
    let target = target();
    let went = ScrapeReport {
        is_up: true,
        duration: Duration::from_millis(250),
        samples_scraped: 12,
        samples_post_relabel: 11,
        series_added: Some(3),
    };
    let labels = "instance=10.0.0.1:80,job=shop";
    let mut out = SeriesBatch::default();
    report(&went, &target, NOW, &mut out);
    let expected = [
        format!("__name__=scrape_duration_seconds,{labels} 0.25@0"),
        format!("__name__=scrape_samples_post_metric_relabeling,{labels} 11@0"),
        format!("__name__=scrape_samples_scraped,{labels} 12@0"),
        format!("__name__=scrape_series_added,{labels} 3@0"),
        format!("__name__=up,{labels} 1@0"),
    ];
    assert_eq!(written(&out), expected);

    let mut out = SeriesBatch::default();
    report(&ScrapeReport { is_up: false, series_added: None, ..went }, &target, NOW, &mut out);
    assert_eq!(out.len(), 4, "what is not known is not written");
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

    fn classic(name: &str) -> bool {
        let starts = |first: char| first.is_ascii_alphabetic() || first == '_';
        name.starts_with(starts) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn in_quotes(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    }

    fn label(name: &str, value: &str) -> String {
        let name = if classic(name) { name.to_owned() } else { in_quotes(name) };
        format!("{name}={}", in_quotes(value))
    }

    fn print(sample: &Written, format: Format) -> String {
        let mut inside: Vec<_> = sample.labels.iter().map(|(name, value)| label(name, value)).collect();
        let mut line = String::new();
        if classic(&sample.name) {
            line += &sample.name;
        } else {
            inside.insert(0, in_quotes(&sample.name));
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
        let mut page = Parser::new(text.as_bytes(), format);
        let mut samples = Vec::new();
        while let Some(line) = page.line()? {
            let Entry::Sample(sample) = line else { continue };
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
        fn what_is_printed_is_read_back_from_text(mut samples in samples()) {
            samples.iter_mut().for_each(|sample| sample.exemplar = None);
            let text: String = samples.iter().map(|sample| print(sample, Format::Text)).collect();
            prop_assert_eq!(reread(&text, Format::Text), Ok(samples));
        }

        #[test]
        fn what_is_printed_is_read_back_from_openmetrics(samples in samples()) {
            let mut text: String = samples.iter().map(|sample| print(sample, Format::OpenMetrics)).collect();
            text += "# EOF\n";
            prop_assert_eq!(reread(&text, Format::OpenMetrics), Ok(samples));
        }

        #[test]
        fn no_bytes_make_it_panic_or_write_half_a_page(
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
                match series(&bytes, format, &scrape, &mut out) {
                    Ok(scraped) => {
                        prop_assert_eq!(scraped.samples, out.point_count() + scraped.duplicates + scraped.out_of_bounds);
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
