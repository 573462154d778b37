//! Pipelines of the configurations in the ADOT image (`/etc/ecs/`).
//! <https://github.com/aws-observability/aws-otel-collector/tree/main/config/ecs>

use serde_json::{Value, json};

/// Metrics of `awsecscontainermetrics` that the filter of the image keeps.
pub(super) const ADOT_DEFAULT_METRICS: [&str; 9] = [
    "ecs.task.memory.reserved",
    "ecs.task.memory.utilized",
    "ecs.task.cpu.reserved",
    "ecs.task.cpu.utilized",
    "ecs.task.network.rate.rx",
    "ecs.task.network.rate.tx",
    "ecs.task.storage.read_bytes",
    "ecs.task.storage.write_bytes",
    "container.duration",
];

/// Returns the pipelines of a file in the image. `None` if the image has no such file.
fn pipelines(path: &str) -> Option<Value> {
    let name = path.strip_prefix("/etc/ecs/")?.trim_end_matches(".yaml");
    let traces = json!({"receivers": ["otlp"], "processors": ["resourcedetection", "batch"], "exporters": ["awsxray"]});
    let both = json!({"receivers": ["otlp", "awsxray"], "processors": ["batch"], "exporters": ["awsxray"]});
    let metrics = |receiver: &str, exporter: &str| json!({"receivers": [receiver], "processors": ["batch"], "exporters": [exporter]});
    let stats = |exporter: &str, processors: &[&str]| json!({"receivers": ["awsecscontainermetrics"], "processors": processors, "exporters": [exporter]});
    let (amp, renamed) = ("prometheusremotewrite", ["filter", "metricstransform", "resource"]);
    Some(match name {
        "ecs-default-config" => json!({"traces": both, "metrics": metrics("otlp", "awsemf")}),
        "ecs-xray" => json!({"traces": traces}),
        "ecs-amp" => json!({"metrics/application": metrics("otlp", amp), "metrics": stats(amp, &["filter"])}),
        "ecs-amp-xray" => {
            json!({"traces": traces, "metrics/application": metrics("otlp", amp), "metrics": stats(amp, &["filter"])})
        }
        "ecs-amp-prometheus" => {
            json!({"metrics/application": metrics("prometheus", amp), "metrics": stats(amp, &["filter"])})
        }
        "ecs-amp-xray-prometheus" => {
            json!({"traces": traces, "metrics/application": metrics("prometheus", amp), "metrics": stats(amp, &["filter"])})
        }
        "ecs-cloudwatch" => {
            json!({"metrics/application": metrics("otlp", "awsemf"), "metrics": stats("awsemf", &renamed)})
        }
        "ecs-cloudwatch-xray" => {
            json!({"traces": traces, "metrics/application": metrics("otlp", "awsemf"), "metrics": stats("awsemf", &renamed)})
        }
        "container-insights/otel-task-metrics-config" => {
            json!({"traces": both, "metrics/application": metrics("otlp", "awsemf"), "metrics": stats("awsemf", &renamed)})
        }
        _ => return None,
    })
}

/// Returns the configuration of a file in the image. `None` if the image has no such file.
pub(super) fn configuration(path: &str) -> Option<Value> {
    let pipelines = pipelines(path)?;
    let is_used = |kind: &str, name: &str| {
        let uses =
            |pipeline: &Value| pipeline[kind].as_array().is_some_and(|list| list.iter().any(|item| item == name));
        pipelines.as_object().is_some_and(|all| all.values().any(uses))
    };
    let mut config = json!({
        "receivers": {"otlp": {}, "awsxray": {}, "awsecscontainermetrics": {}, "prometheus": {"config": {"scrape_configs": [
            {"job_name": "otel-collector", "static_configs": [{"targets": ["${env:AWS_PROMETHEUS_SCRAPING_ENDPOINT}"]}]},
        ]}}},
        "processors": {"filter": {"metrics": {"include": {"match_type": "strict", "metric_names": ADOT_DEFAULT_METRICS}}}},
        "exporters": {"prometheusremotewrite": {
            "endpoint": "${env:AWS_PROMETHEUS_ENDPOINT}",
            "resource_to_telemetry_conversion": {"enabled": true},
        }},
    });
    for kind in ["receivers", "processors", "exporters"] {
        if let Some(components) = config[kind].as_object_mut() {
            components.retain(|name, _| is_used(kind, name));
        }
    }
    config["service"] = json!({"pipelines": pipelines, "extensions": ["health_check"]});
    Some(config)
}
