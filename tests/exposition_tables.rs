//! Expositions of other test suites: those of OpenMetrics, and the tables of Prometheus' parsers (tests/data/expositions, with
//! their sources). Every difference has a reason here.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::Value;
use sidecarless::model::exposition::Format;
use sidecarless::translate::exposition::parser::{Entry, Parser};

/// Labels with the name, value and time of a sample.
type Sample = (BTreeMap<String, String>, f64, Option<i64>);

/// Names of the cases for which a reason holds.
type Difference = (&'static str, fn(&str) -> bool);

/// Returns the cases of a file, without its source.
fn cases(file: &str) -> Vec<Value> {
    let mut lines = file.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(lines.next().unwrap()["source"].is_string());
    lines.collect()
}

fn text(case: &Value) -> Vec<u8> {
    match case["base64"].as_str() {
        Some(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        None => case["text"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn parse(body: &[u8], format: Format) -> Result<Vec<Sample>, String> {
    let mut parser = Parser::new(body, format);
    let mut samples = Vec::new();
    while let Some(entry) = parser.next_entry().map_err(|error| error.to_string())? {
        let Entry::Sample(sample) = entry else { continue };
        let labels = sample.labels.iter().map(|label| (label.name.to_string(), label.value.to_string()));
        let labels = labels.chain([("__name__".to_owned(), sample.name.to_string())]).collect();
        samples.push((labels, sample.value, sample.timestamp_ms));
        if let Some(error) = parser.validate_sample() {
            return Err(error.to_string());
        }
    }
    Ok(samples)
}

/// Prints the result, and fails for a difference without a reason, and for a reason without a difference.
fn report(name: &str, agreed: usize, differences: &[String], reasons: &[Difference]) {
    let total = agreed + differences.len();
    println!("show: {name}: agreed {agreed} / total {total}");
    let documented = format!("| {agreed} | {total} |");
    assert!(include_str!("../docs/scraping.md").contains(&documented), "docs/scraping.md lacks {documented}");
    let reason = |case: &str| reasons.iter().position(|(_, holds)| holds(case));
    for (at, (reason_text, _)) in reasons.iter().enumerate() {
        let cases: Vec<&str> = differences.iter().map(String::as_str).filter(|case| reason(case) == Some(at)).collect();
        println!("  {} x {reason_text}: {}", cases.len(), cases.join(", "));
        assert!(!cases.is_empty(), "no case differs because {reason_text}");
    }
    let unexplained: Vec<_> = differences.iter().filter(|case| reason(case).is_none()).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

/// Rules of OpenMetrics that neither the parser of Prometheus 3 nor this one checks. Another test scrapes the files with Prometheus, too
/// (tests/e2e/test_exposition_against_prometheus.py).
const OPEN_METRICS_DIFFERENCES: &[Difference] = &[
    ("a comma after the last label is accepted", |case| case == "bad_missing_or_extra_commas_2"),
    ("an exemplar of more than 128 characters costs itself, and not the exposition", |case| {
        matches!(case, "bad_exemplar_complex_chars" | "bad_exemplars_6")
    }),
    ("an exemplar may be on any sample", |case| case.starts_with("bad_exemplars_on_unallowed_")),
    ("lines are read one by one: repeated and late metadata, mixed families and clashing names are accepted", |case| {
        ["bad_repeated_metadata_", "bad_metadata_in_wrong_place_", "bad_grouping_or_ordering_", "bad_clashing_names_"]
            .iter()
            .any(|prefix| case.starts_with(prefix))
    }),
    ("values and labels are not compared with the type", |case| {
        let prefixes = [
            "bad_counter_values_",
            "bad_histograms_",
            "bad_info_and_stateset_values_",
            "bad_stateset_info_values_",
            "bad_missing_or_invalid_labels_for_a_type_",
        ];
        prefixes.iter().any(|prefix| case.starts_with(prefix))
    }),
    ("a unit may be of any type", |case| matches!(case, "bad_unit_6" | "bad_unit_7")),
];

#[test]
fn expositions_of_open_metrics_are_accepted_or_rejected_alike() {
    let (mut agreed, mut differences) = (0, Vec::new());
    for case in cases(include_str!("data/expositions/openmetrics.jsonl")) {
        let result = parse(&text(&case), Format::OpenMetrics);
        if result.is_ok() == case["accepted"].as_bool().unwrap() {
            agreed += 1;
        } else {
            differences.push(case["case"].as_str().unwrap().to_owned());
        }
    }
    report("expositions of OpenMetrics", agreed, &differences, OPEN_METRICS_DIFFERENCES);
}

const PROMETHEUS_DIFFERENCES: &[Difference] = &[
    ("le and quantile keep their spelling, as in Prometheus 2; Prometheus 3 writes 1.0", |case| {
        case.contains(" spells ")
    }),
    ("_created lines are series, unless Prometheus has the feature of start timestamps", |case| {
        case.contains("_created\"")
    }),
];

fn expected(case: &Value) -> Vec<Sample> {
    let sample = |sample: &Value| {
        let value = match sample["value"].as_str().unwrap() {
            "NaN" => f64::NAN,
            "Inf" => f64::INFINITY,
            text => text.parse().unwrap(),
        };
        (serde_json::from_value(sample["labels"].clone()).unwrap(), value, sample["time"].as_i64())
    };
    case["samples"].as_array().unwrap().iter().map(sample).collect()
}

/// Returns a sample of this parser with the bounds and quantiles that Prometheus 3 writes.
fn normalized(sample: &Sample) -> Sample {
    let mut sample = sample.clone();
    for name in ["le", "quantile"] {
        let value = sample.0.get_mut(name).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
        value.into_iter().for_each(|value| value.push_str(".0"));
    }
    sample
}

fn shown(sample: &Sample) -> String {
    format!("{:?} {} {:?}", sample.0, sample.1, sample.2)
}

#[test]
fn tables_of_prometheus_have_the_same_samples_and_errors() {
    let (mut agreed, mut differences) = (0, Vec::new());
    for case in cases(include_str!("data/expositions/prometheus.jsonl")) {
        let (name, is_text) = (case["case"].as_str().unwrap(), case["format"] == "text");
        let result = parse(&text(&case), if is_text { Format::Text } else { Format::OpenMetrics });
        if result.is_ok() != case["accepted"].as_bool().unwrap() {
            differences.push(format!("{name}: {result:?}"));
            continue;
        }
        if case["samples"].is_null() {
            agreed += 1;
            continue;
        }
        let mut ours = result.unwrap();
        for sample in expected(&case).iter().map(shown) {
            let same = ours.iter().position(|own| shown(own) == sample);
            let spelled = ours.iter().position(|own| shown(&normalized(own)) == sample);
            match (same, spelled) {
                (Some(at), _) => {
                    ours.remove(at);
                    agreed += 1;
                }
                (None, Some(at)) => {
                    ours.remove(at);
                    differences.push(format!("{name} spells {sample}"));
                }
                (None, None) => differences.push(format!("{name} expects {sample}")),
            }
        }
        differences.extend(ours.iter().map(|own| format!("{name} has {}", shown(own))));
    }
    report("tables of Prometheus' parsers", agreed, &differences, PROMETHEUS_DIFFERENCES);
}
