//! Compares the series of a task with recordings of the receiver and exporter of the collector:
//! `tests/golden/README-stats.md`.

use std::collections::BTreeMap;
use std::io::Read;
use std::io::Write as _;

use serde_json::Value;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::model::task_metadata::{TaskMetadata, TaskStats};
use sidecarless::translate::stats::{MetricSelection, NamingMode, Options, TaskScrape, series};

const RECORDINGS: &[u8] = include_bytes!("golden/stats.jsonl.gz");
const CASES: usize = 80;

type Series = BTreeMap<Vec<(String, String)>, f64>;

fn recordings() -> Vec<Value> {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(RECORDINGS).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn expected(case: &Value) -> Series {
    let label = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
    let row = |series: &Value| {
        let labels = series["labels"].as_array().unwrap().iter().map(label).collect();
        (labels, series["value"].as_f64().unwrap())
    };
    case["series"].as_array().unwrap().iter().map(row).collect()
}

fn written(task: &str, stats: &str, names: NamingMode) -> Series {
    let task = TaskMetadata::parse(task.as_bytes()).unwrap();
    let stats = TaskStats::parse(stats.as_bytes()).unwrap();
    let report = TaskScrape { task: &task, stats: &stats, at_ms: 1, received_ms: 1, described: None };
    let options = Options { names, metrics: MetricSelection::all(), ..Options::default() };
    let mut batch = SeriesBatch::default();
    let outcome = series(&report, &Labels::default(), &options, &mut batch);
    assert_eq!(outcome.written, batch.point_count());
    let labels = |pair: (&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    batch.iter().map(|series| (series.labels().map(labels).collect(), series.samples()[0].value)).collect()
}

#[test]
fn adot_series_equal_every_recording() {
    let recordings = recordings();
    let (mut equal, mut compared) = (0, 0);
    for case in &recordings {
        let expected = expected(case);
        let written = written(&case["task"].to_string(), &case["stats"].to_string(), NamingMode::Adot);
        for (labels, value) in &expected {
            assert_eq!(written.get(labels), Some(value), "{} {labels:?}", case["case"]);
        }
        assert_eq!(written.len(), expected.len(), "{}", case["case"]);
        equal += 1;
        compared += expected.len();
    }
    let _ = writeln!(std::io::stderr(), "{equal} of {CASES} recordings equal, {compared} series");
    assert_eq!(equal, CASES);
}

#[test]
fn both_writes_adot_names_and_default_names() {
    for case in &recordings() {
        let (task, stats) = (case["task"].to_string(), case["stats"].to_string());
        let [bare, adot, both] =
            [NamingMode::Default, NamingMode::Adot, NamingMode::Both].map(|names| written(&task, &stats, names));
        assert_eq!(both, bare.into_iter().chain(adot).collect::<Series>(), "{}", case["case"]);
    }
}
