//! Relabelling rules have the same effects as in Prometheus, whose results `tests/e2e/test_relabelling_against_prometheus.py` records.

use std::collections::BTreeMap;

use serde::Deserialize;
use sidecarless::model::series::Labels;
use sidecarless::rules::relabel::{RelabelConfigs, Relabelled};

type LabelMap = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Cases {
    series: Vec<LabelMap>,
    cases: Vec<Case>,
    invalid: Vec<String>,
}

#[derive(Deserialize)]
struct Case {
    rules: String,
    /// Labels after the rules, by number of the series. `None` if it is dropped.
    changes: BTreeMap<usize, Option<LabelMap>>,
}

fn cases() -> Cases {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/relabel/cases.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("cases")).expect("valid cases")
}

fn pairs(labels: &LabelMap) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Returns the changes of rules, as the file has them.
fn changes(rules: &str, series: &[LabelMap]) -> Result<BTreeMap<usize, Option<LabelMap>>, String> {
    let rules = RelabelConfigs::parse(rules).map_err(|error| error.to_string())?;
    let map = |labels: Labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let change = |(number, labels): (usize, &LabelMap)| match rules.relabel(pairs(labels)) {
        Relabelled::Unchanged => None,
        Relabelled::Changed(changed) => Some((number, Some(map(changed)))),
        Relabelled::Dropped | Relabelled::Exceeded(_) => Some((number, None)),
    };
    let changes = series.iter().enumerate().filter_map(change);
    // A rule may change a label, and another one change it back.
    Ok(changes.filter(|(number, labels)| labels.as_ref() != Some(&series[*number])).collect())
}

#[test]
fn rules_have_the_same_effects_as_in_prometheus() {
    let Cases { series, cases, .. } = cases();
    let different: Vec<_> = cases
        .iter()
        .filter_map(|case| match changes(&case.rules, &series) {
            Ok(changes) if changes == case.changes => None,
            result => Some(format!("{}\nexpected {:?}\nfound    {result:?}", case.rules, case.changes)),
        })
        .collect();
    let changed: usize = cases.iter().map(|case| case.changes.len()).sum();
    let (equal, total) = (cases.len() - different.len(), cases.len());
    println!("show: {equal} / {total} relabelling cases equal Prometheus, with {changed} changed or dropped series");
    assert!(different.is_empty(), "{}", different.join("\n\n"));
    assert!(total >= 200 && changed >= 1_000, "{total} {changed}");
}

#[test]
fn rules_that_prometheus_refuses_are_invalid() {
    let invalid = cases().invalid;
    let accepted: Vec<_> = invalid.iter().filter(|rules| RelabelConfigs::parse(rules).is_ok()).collect();
    println!("show: {} / {} invalid rules are refused, as by promtool", invalid.len() - accepted.len(), invalid.len());
    assert!(accepted.is_empty(), "{accepted:#?}");
}
