//! Cases from public reports, one file each in tests/data/metric_cases: the input, the rule, the source and the right values.
//!
//! `kind` says how the input is used: `stats` are the documents of a task, one pair for each run; `event` is a task state change;
//! `page` an exposition; `otlp` a push; `names` are rows of name, unit, type and the name of the series; `refused` a page whose samples AMP refuses. An expected value of `absent` is a series
//! that does not exist.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::model::task::Task;
use sidecarless::model::task_event;
use sidecarless::model::task_metadata::{TaskMetadata, TaskStats};
use sidecarless::translate::stats::{MetricSelection, Options, TaskScrape, series};
use sidecarless::translate::stopped::{StoppedTask, stopped_series};

use crate::sandbox::ecs::NewTask;
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse, StubServer};
use crate::sandbox::{Push, Sandbox};

/// Labels and value of one series.
type Row = (BTreeMap<String, String>, f64);

/// Returns the cases by name.
fn cases() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/metric_cases");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect();
    cases.sort_by(|one: &(String, Value), other| one.0.cmp(&other.0));
    cases
}

#[tokio::test]
async fn cases_of_public_reports_have_the_right_values() {
    let cases = cases();
    let mut wrong = Vec::new();
    for (name, case) in &cases {
        assert!(!case["source"].as_str().unwrap().is_empty(), "{name} has a source");
        let faults = match case["kind"].as_str().unwrap() {
            "stats" => check_stats(case),
            "event" => check_event(case),
            "page" => check_page(case).await,
            "otlp" => check_push(case).await,
            "names" => check_names(case).await,
            "refused" => check_refused(case).await,
            other => panic!("{name}: kind {other}"),
        };
        wrong.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    let is_wrong = |name: &&String| wrong.iter().any(|fault| fault.starts_with(&format!("{name}: ")));
    let count = cases.iter().map(|(name, _)| name).filter(is_wrong).count();
    println!("show: metric cases of public reports: right {} / total {}", cases.len() - count, cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn rows(batch: &SeriesBatch) -> Vec<Row> {
    let labels = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    batch.iter().map(|series| (series.labels().map(labels).collect(), series.samples()[0].value)).collect()
}

/// Returns the value of a series, given as `name` or `name{container}`.
fn value(rows: &[Row], series: &str) -> Option<f64> {
    let (name, container) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
    let has =
        |labels: &BTreeMap<String, String>, label: &str, value: &str| labels.get(label).is_some_and(|it| it == value);
    let is_wanted = |(labels, _): &&Row| {
        has(labels, "__name__", name) && (container.is_empty() || has(labels, "container_name", container))
    };
    rows.iter().find(is_wanted).map(|(_, value)| *value)
}

/// Compares the values of series with the expected ones.
fn compare(rows: &[Row], expected: &Value) -> Vec<String> {
    let differs = |(series, expected): (&String, &Value)| {
        let found = value(rows, series);
        let is_right = match (expected, found) {
            (Value::String(_), None) => true,
            (Value::Number(wanted), Some(found)) => (wanted.as_f64().unwrap() - found).abs() < 1e-9,
            _ => false,
        };
        (!is_right).then(|| format!("{series} is {found:?}, expected {expected}"))
    };
    expected.as_object().unwrap().iter().filter_map(differs).collect()
}

/// Translates the documents of each run.
fn check_stats(case: &Value) -> Vec<String> {
    let described = Task {
        launch_type: case["launch"].as_str().unwrap_or("FARGATE").into(),
        network_mode: case["mode"].as_str().unwrap_or("awsvpc").into(),
        ..Task::from_arn(case["task"]["TaskARN"].as_str().unwrap())
    };
    let options = Options { metrics: MetricSelection::all(), ..Options::default() };
    let runs = case["stats"].as_array().unwrap().iter().zip(case["expect"].as_array().unwrap());
    let check = |(stats, expected): (&Value, &Value)| {
        let (task, stats) = (case["task"].to_string(), stats.to_string());
        let (task, stats) = match (TaskMetadata::parse(task.as_bytes()), TaskStats::parse(stats.as_bytes())) {
            (Ok(task), Ok(stats)) => (task, stats),
            (task, stats) => return vec![format!("{:?} {:?}", task.err(), stats.err())],
        };
        let scrape =
            TaskScrape { task: &task, stats: &stats, at_ms: 1_000, received_ms: 1_000, described: Some(&described) };
        let mut batch = SeriesBatch::default();
        let _ = series(&scrape, &Labels::default(), &options, &mut batch);
        compare(&rows(&batch), expected)
    };
    runs.flat_map(check).collect()
}

/// Writes the series of a task that stopped.
fn check_event(case: &Value) -> Vec<String> {
    let task = task_event::parse_detail(case["event"]["detail"].to_string().as_bytes()).unwrap();
    let mut batch = SeriesBatch::default();
    let stop = StoppedTask { task: &task, at_ms: 1_000 };
    let _ = stopped_series(&stop, &Labels::default(), &Options::default(), &mut batch);
    let rows = rows(&batch);
    let mut faults = compare(&rows, &case["expect"]);
    let info = rows.iter().find(|(labels, _)| labels["__name__"] == "ecs_task_stopped_info").unwrap();
    if info.0.get("essential_container").map(String::as_str) != case["essential_container"].as_str() {
        faults.push(format!("essential_container is {:?}", info.0.get("essential_container")));
    }
    faults
}

/// Returns the response that a case describes, with `NOW_MS` replaced by a time.
fn response(page: &Value) -> StubResponse {
    let now_ms = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let body = page["body"].as_str().unwrap();
    let body = body.replace("NOW_MS-7200000", &(now_ms - 7_200_000).to_string());
    let mut headers = Vec::new();
    for name in ["content-type", "location"] {
        headers.extend(page["headers"][name].as_str().map(|value| (name, value.to_owned())));
    }
    StubResponse::Http { status: u16::try_from(page["status"].as_u64().unwrap()).unwrap(), headers, body: body.into() }
}

/// Serves the pages of a case, and scrapes them.
async fn scrape(case: &Value, sandbox: &Sandbox) -> Value {
    let pages = Arc::new(Mutex::new(case.clone()));
    let serve = move |request: &RecordedRequest| {
        let pages = pages.lock().unwrap();
        match request.path.as_str() {
            "/metrics" => response(&pages["page"]),
            path if pages["others"][path].is_object() => response(&pages["others"][path]),
            _ => StubResponse::of(404, "text/plain", "not found"),
        }
    };
    let server = StubServer::start(serve).await;
    let labels = vec![("ECS_PROMETHEUS_EXPORTER_PORT", server.address.port().to_string())];
    if let Some(details) = case["interface"].as_array() {
        sandbox.aws.ecs().interface = Some(json!(details));
    }
    sandbox.aws.ecs().add("shop", NewTask { family: "cart", labels, tags: Vec::new() });
    sandbox.tick().await.unwrap()
}

fn written(sandbox: &Sandbox) -> Vec<Row> {
    sandbox.amp.samples().into_iter().map(|(labels, value, _)| (labels, value)).collect()
}

async fn check_page(case: &Value) -> Vec<String> {
    let sandbox = Sandbox::start(&[("SIDECARLESS_SCRAPE_CIDRS", "127.0.0.0/8,::1/128")]).await;
    scrape(case, &sandbox).await;
    compare(&written(&sandbox), &case["expect"])
}

async fn check_refused(case: &Value) -> Vec<String> {
    let sandbox = Sandbox::start(&[]).await;
    let status = u16::try_from(case["answer"]["status"].as_u64().unwrap()).unwrap();
    sandbox.amp.fail_always(Fault::status(status, case["answer"]["body"].as_str().unwrap()));
    let summary = scrape(case, &sandbox).await;
    let differs = |(field, expected): (&String, &Value)| {
        (summary[field] != *expected).then(|| format!("{field} is {}, expected {expected}", summary[field]))
    };
    case["expect"].as_object().unwrap().iter().filter_map(differs).collect()
}

/// Pushes OTLP/JSON, and compares the labels and values of the series that are expected, and what the response says.
/// Pushes one metric for each row.
async fn check_names(case: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for row in case["names"].as_array().unwrap() {
        let sandbox = started(case).await;
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos().to_string();
        let points = json!([{"asDouble": 1.0, "timeUnixNano": now}]);
        let data = match row[2].as_str().unwrap() {
            "counter" => json!({"sum": {"isMonotonic": true, "aggregationTemporality": 2, "dataPoints": points}}),
            _ => json!({"gauge": {"dataPoints": points}}),
        };
        let mut metric = json!({"name": row[0], "unit": row[1]});
        metric.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).to_string();
        let push = Push::new("/v1/metrics", body.as_bytes()).with("content-type", "application/json");
        let response = sandbox.push(&push).await;
        let names: Vec<_> = written(&sandbox).into_iter().map(|(labels, _)| labels["__name__"].clone()).collect();
        if !names.iter().any(|name| *name == row[3]) {
            faults.push(format!("{row}: {names:?} {:?}", response.body));
        }
    }
    faults
}

/// Starts a sandbox with the settings of a case.
async fn started(case: &Value) -> Sandbox {
    let settings = case["env"].as_object().unwrap().iter();
    let settings: Vec<_> = settings.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    Sandbox::start(&settings).await
}

async fn check_push(case: &Value) -> Vec<String> {
    let sandbox = started(case).await;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos().to_string();
    let body = case["body"].to_string().replace("NOW", &now);
    let push = Push::new("/v1/metrics", body.as_bytes()).with("content-type", "application/json");
    let response = sandbox.push(&push).await;
    let answer = String::from_utf8(response.body.to_vec()).unwrap();
    let rows = written(&sandbox);
    let mut faults = Vec::new();
    for expected in case["expect"]["series"].as_array().unwrap() {
        let labels: BTreeMap<String, Option<String>> = serde_json::from_value(expected[1].clone()).unwrap();
        let is_expected = |(found, value): &&Row| {
            found["__name__"] == expected[0]
                && *value == expected[2].as_f64().unwrap()
                && labels.iter().all(|(name, value)| found.get(name) == value.as_ref())
        };
        if rows.iter().filter(is_expected).count() != 1 {
            faults.push(format!("{expected} is missing: {response:?} {rows:?}", response = answer));
        }
    }
    for text in case["expect"]["told"].as_array().into_iter().flatten() {
        if !answer.contains(text.as_str().unwrap()) {
            faults.push(format!("{text} is missing in {answer}"));
        }
    }
    faults
}
