use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MigrationResult, migrate, run, yaml};

fn data(name: &str) -> String {
    format!("{}/tests/data/migrate/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn of(name: &str) -> MigrationResult {
    run(&data(name), None).unwrap()
}

pub(super) fn gaps(migrated: &MigrationResult) -> Vec<&str> {
    migrated.report.unsupported.iter().map(|(part, _)| part.as_str()).collect()
}

pub(super) fn with_collector(config: &str) -> MigrationResult {
    let definition = json!({"family": "f", "executionRoleArn": "arn:aws:iam::111122223333:role/r", "containerDefinitions": [
        {"name": "app", "image": "app"},
        {"name": "otel", "image": "otel/opentelemetry-collector:1", "environment": [{"name": "HOME_URL", "value": "https://amp/write"}]},
    ]});
    migrate(&definition.to_string(), Some(yaml::read(config).unwrap())).unwrap()
}

#[test]
fn fargate_task_loses_the_sidecar_and_its_references() {
    let migrated = of("fargate.json");
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(data("fargate.expected.json")).unwrap()).unwrap();
    assert_eq!(migrated.definition, expected);
    assert_eq!(
        migrated.report.settings,
        [(
            "AWS_PROMETHEUS_ENDPOINT",
            "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write".to_owned()
        )]
    );
    assert_eq!(gaps(&migrated), ["cart: healthCheck"]);
    let report = migrated.report.to_string();
    assert!(report.contains("fit 256 and 512 on Fargate"), "{report}");
    assert!(report.contains("(template: RemoteWriteUrl)"), "{report}");
    assert!(!report.contains("not used by a pipeline"), "{report}");
}

#[test]
fn configuration_content_becomes_settings_and_labels() {
    let migrated = of("content.json");
    let settings: Vec<String> =
        migrated.report.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "AWS_PROMETHEUS_ENDPOINT=https://aps/${env:WORKSPACE}/api/v1/remote_write",
        "SIDECARLESS_NAMESPACE=shop",
        "SIDECARLESS_EXTERNAL_LABELS=stage=prod",
        "SIDECARLESS_TARGET_INFO=off",
        "SIDECARLESS_RESOURCE_LABELS=off",
        "SIDECARLESS_STATS_METRICS=ecs.task.memory.utilized",
        "SIDECARLESS_XRAY_INDEXED_ATTRIBUTES=user.id,order.id",
        "SIDECARLESS_XRAY_LOG_GROUPS=/shop/cart",
    ];
    let (mut settings, mut expected) = (settings, expected.map(str::to_owned).to_vec());
    settings.sort();
    expected.sort();
    assert_eq!(settings, expected);
    let labels = &migrated.definition["containerDefinitions"][0]["dockerLabels"];
    assert_eq!(
        labels,
        &json!({"ECS_PROMETHEUS_EXPORTER_PORT": "9404", "ECS_PROMETHEUS_METRICS_PATH": "/stats", "ECS_PROMETHEUS_JOB_NAME": "cart",
            "sidecarless.stats": "push"})
    );
    let mut gaps = gaps(&migrated);
    gaps.sort_unstable();
    assert_eq!(
        gaps,
        [
            "cart: healthCheck",
            "exporter prometheusremotewrite: endpoint",
            "processor tail_sampling",
            "unknown: processor mystery"
        ]
    );
}

#[test]
fn links_and_the_daemon_are_removed_and_udp_is_reported() {
    let bridge = of("bridge.json");
    let app = &bridge.definition["containerDefinitions"][0];
    assert_eq!(app["links"], json!(["redis"]));
    assert_eq!(
        app["environment"][0],
        json!({"name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "value": "https://FUNCTION_URL/v1/traces"})
    );
    assert!(
        gaps(&bridge).contains(&"cart: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://collector:4317"),
        "{:?}",
        gaps(&bridge)
    );
    let daemon = of("xray-daemon.json");
    assert_eq!(
        daemon.definition["containerDefinitions"][0]["environment"],
        json!([{"name": "STAGE", "value": "prod"}])
    );
    assert_eq!(gaps(&daemon), ["cart: AWS_XRAY_DAEMON_ADDRESS=xray-daemon:2000", "X-Ray SDKs (UDP 2000)"]);
}

#[test]
fn configuration_in_ssm_is_reported() {
    let migrated = of("ssm.json");
    let (part, fix) = &migrated.report.unsupported[0];
    assert_eq!(part, "AOT_CONFIG_CONTENT of aws-otel-collector");
    assert!(fix.contains("otel-collector-config") && fix.contains("second argument"), "{fix}");
}

#[test]
fn invalid_input_is_reported() {
    let image = r#"{"containerDefinitions": [{"name": "a", "image": "otelcol"}]}"#;
    let rows = [
        ("{", "invalid JSON"),
        ("[]", "not a JSON object"),
        (r#"{"taskDefinition": 1}"#, "taskDefinition is not an object"),
        ("{}", "containerDefinitions is not a list"),
        (r#"{"containerDefinitions": [{}]}"#, "containerDefinitions[0] has no name"),
        (r#"{"containerDefinitions": [{"name": "a", "image": "nginx"}]}"#, "no container has the image of a collector"),
        (image, "all containers are collectors"),
    ];
    for (text, expected) in rows {
        let error = migrate(text, None).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for (text, expected) in
        [("a: [", "invalid YAML"), ("", "invalid YAML"), ("- a", "not a mapping"), (&"[".repeat(9000), "too deeply")]
    {
        let error = yaml::read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:.20}: {error}");
    }
    assert!(run("/no/such/file", None).unwrap_err().to_string().starts_with("/no/such/file: "));
}

#[test]
fn translation_strategy_becomes_settings() {
    const STRATEGY: &str = "SIDECARLESS_TRANSLATION_STRATEGY";
    for (option, expected) in [
        ("add_metric_suffixes: true", vec![]),
        ("add_metric_suffixes: false", vec![(STRATEGY, "UnderscoreEscapingWithoutSuffixes")]),
        (
            "add_metric_suffixes: false, translation_strategy: NoTranslation",
            vec![("SIDECARLESS_UTF8_NAMES", "send"), (STRATEGY, "NoTranslation")],
        ),
        ("translation_strategy: UnderscoreEscapingWithSuffixes", vec![(STRATEGY, "UnderscoreEscapingWithSuffixes")]),
    ] {
        let migrated = with_collector(&format!(
            "exporters: {{prometheusremotewrite: {{endpoint: 'https://aps/api/v1/remote_write', {option}}}}}\n\
             service: {{pipelines: {{metrics: {{exporters: [prometheusremotewrite]}}}}}}"
        ));
        let set: Vec<_> = migrated.report.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for pair in &expected {
            assert!(set.contains(pair), "{option}: {set:?}");
        }
        assert_eq!(set.iter().any(|(name, _)| *name == STRATEGY), !expected.is_empty(), "{option}: {set:?}");
        assert!(!gaps(&migrated).iter().any(|gap| gap.contains("translation")), "{:?}", gaps(&migrated));
    }
}

#[test]
fn password_of_an_endpoint_is_not_in_the_report() {
    let migrated = with_collector(
        "exporters: {prometheusremotewrite: {endpoint: 'https://user:secret@aps/api/v1/remote_write'}}\n\
         service: {pipelines: {metrics: {exporters: [prometheusremotewrite]}}}",
    );
    let report = migrated.report.to_string();
    assert!(report.contains("AWS_PROMETHEUS_ENDPOINT=https://aps/api/v1/remote_write "), "{report}");
    assert!(report.contains("its user name and password are not sent") && !report.contains("secret"), "{report}");
}

#[test]
fn region_and_role_of_requests_become_settings() {
    let url =
        |region: &str| format!("https://aps-workspaces.{region}.amazonaws.com/workspaces/ws-1/api/v1/remote_write");
    let arn = "arn:aws:iam::444455556666:role/metrics";
    let sigv4 = |options: &str, endpoint: &str| {
        format!(
            "exporters: {{prometheusremotewrite: {{endpoint: '{endpoint}'}}}}\nextensions: {{sigv4auth: {options}}}\n\
             service: {{extensions: [sigv4auth], pipelines: {{metrics: {{exporters: [prometheusremotewrite]}}}}}}"
        )
    };
    let xray = format!(
        "exporters: {{awsxray: {{region: us-east-1, role_arn: '{arn}'}}}}\nservice: {{pipelines: {{traces: {{exporters: [awsxray]}}}}}}"
    );
    for (config, expected) in [
        (sigv4("{region: us-east-1}", &url("us-east-1")), vec![]),
        (
            sigv4("{region: us-east-1}", "https://prometheus.example.com/api/v1/remote_write"),
            vec![("SIDECARLESS_AMP_REGION", "us-east-1")],
        ),
        (
            sigv4(&format!("{{assume_role: {{arn: '{arn}', external_id: shop}}}}"), &url("us-east-1")),
            vec![("SIDECARLESS_AMP_ROLE_ARN", arn), ("SIDECARLESS_AMP_EXTERNAL_ID", "shop")],
        ),
        (xray, vec![("SIDECARLESS_XRAY_REGION", "us-east-1"), ("SIDECARLESS_XRAY_ROLE_ARN", arn)]),
    ] {
        let migrated = with_collector(&config);
        let access =
            |name: &str| name.ends_with("_REGION") || name.ends_with("_ROLE_ARN") || name.ends_with("_EXTERNAL_ID");
        let settings: Vec<_> = migrated
            .report
            .settings
            .iter()
            .filter(|(name, _)| access(name))
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(settings, expected, "{config}");
        assert_eq!(gaps(&migrated), Vec::<&str>::new(), "{config}");
    }
}

/// Collector configurations, each with its unsupported part.
const GAPS: [(&str, &str); 15] = [
    ("receivers: {statsd: }\nservice: {pipelines: {metrics: {receivers: [statsd]}}}", "receiver statsd"),
    ("service: {pipelines: {traces: {exporters: [awsemf/x]}}}", "exporter awsemf/x"),
    ("service: {pipelines: {profiles: {}}}", "pipeline profiles"),
    ("service: {extensions: [oidc]}", "unknown: extension oidc"),
    ("receivers: {}", "service.pipelines"),
    (
        "exporters: {awsxray: {role_arn: x}}\nservice: {pipelines: {traces: {exporters: [awsxray]}}}",
        "unknown: exporter awsxray: role_arn",
    ),
    (
        "extensions: {sigv4auth: {region: eu-west-1, assume_role: {arn: x}}}\nservice: {extensions: [sigv4auth]}",
        "extension sigv4auth: assume_role",
    ),
    (
        "exporters: {awsprometheusremotewrite: {endpoint: u, aws_auth: {role_arn: x}}}\nservice: {pipelines: {metrics: {exporters: [awsprometheusremotewrite]}}}",
        "exporter awsprometheusremotewrite: aws_auth: role_arn",
    ),
    (
        "exporters: {prometheusremotewrite: {endpoint: u, external_labels: {note: 'a,b=c'}}}\nservice: {pipelines: {metrics: {exporters: [prometheusremotewrite]}}}",
        "exporter prometheusremotewrite: external_labels: note=a,b=c",
    ),
    (
        "receivers: {prometheus: {config: {global: {external_labels: {env: prod}}}}}\nservice: {pipelines: {metrics: {receivers: [prometheus]}}}",
        "unknown: receiver prometheus: config: global: external_labels",
    ),
    (
        "receivers: {prometheus: {config: {scrape_configs: [{job_name: j, static_configs: [{targets: ['localhost:1'], labels: {env: prod}}]}]}}}\nservice: {pipelines: {metrics: {receivers: [prometheus]}}}",
        "unknown: receiver prometheus: job j: static_configs: labels",
    ),
    (
        "receivers: {otlp: {protocols: {http: {cors: {allowed_origins: ['https://*.shop.example']}}}}}\nservice: {pipelines: {traces: {receivers: [otlp]}}}",
        "receiver otlp: protocols: http: cors: allowed_origins: https://*.shop.example",
    ),
    (
        "receivers: {otlp: {protocols: {http: {cors: {allowed_headers: [x-key]}}}}}\nservice: {pipelines: {traces: {receivers: [otlp]}}}",
        "unknown: receiver otlp: protocols: http: cors: allowed_headers",
    ),
    (
        "receivers: {awsecscontainermetrics: {other: 1}}\nservice: {pipelines: {metrics: {receivers: [awsecscontainermetrics]}}}",
        "unknown: receiver awsecscontainermetrics: other",
    ),
    (
        "connectors: {spanmetrics: {}}\nservice: {pipelines: {traces: {exporters: [spanmetrics]}, metrics: {receivers: [spanmetrics]}}}",
        "connector spanmetrics",
    ),
];

#[test]
fn unsupported_components_are_reported() {
    for (config, expected) in GAPS {
        let migrated = with_collector(config);
        assert!(gaps(&migrated).contains(&expected), "{config}: {:?}", gaps(&migrated));
    }
    let known = with_collector(
        "exporters: {prometheusremotewrite: {endpoint: '${env:HOME_URL}'}}\nservice: {pipelines: {metrics: {exporters: [prometheusremotewrite]}}}",
    );
    assert_eq!(known.report.settings[0].1, "https://amp/write");
    let origins = with_collector(
        "receivers: {otlp: {protocols: {http: {cors: {allowed_origins: ['https://Shop.example', 'http://localhost:3000']}}}}}\nservice: {pipelines: {traces: {receivers: [otlp]}}}",
    );
    let setting = ("SIDECARLESS_CORS_ORIGINS", "https://shop.example,http://localhost:3000".to_owned());
    assert!(origins.report.settings.contains(&setting), "{:?}", origins.report.settings);
}

fn with_app(app: Value, command: Value) -> MigrationResult {
    let mut container = json!({"name": "app", "image": "app"});
    container.as_object_mut().unwrap().extend(app.as_object().unwrap().clone());
    let definition = json!({"family": "f", "executionRoleArn": "arn:aws:iam::111122223333:role/r", "containerDefinitions": [
        container, {"name": "otel", "image": "aws-otel-collector", "command": command},
    ]});
    migrate(&definition.to_string(), None).unwrap()
}

#[test]
fn other_collector_options_are_reported() {
    let xray = "--config=/etc/ecs/ecs-xray.yaml";
    for (command, expected) in [
        (json!([xray]), vec![]),
        (json!(["--config", "/etc/ecs/ecs-xray.yaml"]), vec![]),
        (json!([xray, "--set=exporters.awsxray.region=x"]), vec!["unknown: otel: --set=exporters.awsxray.region=x"]),
        (
            json!([xray, "--config=/etc/ecs/ecs-amp.yaml"]),
            vec!["configuration of otel: /etc/ecs/ecs-xray.yaml with /etc/ecs/ecs-amp.yaml"],
        ),
    ] {
        let migrated = with_app(json!({"environment": [{"name": "OTEL_SERVICE_NAME", "value": "cart"}]}), command);
        assert_eq!(gaps(&migrated), expected);
    }
}

#[test]
fn connectors_in_use_are_not_reported_as_unused() {
    let migrated = with_collector(
        "connectors: {spanmetrics: {}, count: {}}\nservice: {pipelines: {traces: {exporters: [spanmetrics]}, metrics: {receivers: [spanmetrics]}}}",
    );
    let report = migrated.report.to_string();
    assert!(report.contains("connectors count: not used by a pipeline"), "{report}");
    assert!(!report.contains("connectors spanmetrics: not used by a pipeline"), "{report}");
}

#[test]
fn unknown_metrics_of_a_filter_are_ignored() {
    let filter = |names: &str| {
        with_collector(&format!(
            "receivers: {{awsecscontainermetrics: }}\nprocessors: {{filter: {{metrics: {{include: {{match_type: strict, metric_names: [{names}]}}}}}}}}\n\
             service: {{pipelines: {{metrics: {{receivers: [awsecscontainermetrics], processors: [filter]}}}}}}"
        ))
    };
    let some = filter("ecs.task.memory.utilized, ecs.task.bogus");
    assert_eq!(some.report.settings, [("SIDECARLESS_STATS_METRICS", "ecs.task.memory.utilized".to_owned())]);
    assert!(some.report.to_string().contains("ecs.task.bogus is not a metric"));
    let none = filter("ecs.task.bogus");
    assert_eq!((none.report.settings.as_slice(), gaps(&none)), (&[][..], vec!["processor filter", "app: healthCheck"]));
}

#[test]
fn each_signal_is_sent_to_the_function_without_duplicates() {
    let names = |container: &Value, list: &str| -> Vec<String> {
        container[list]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let command = || json!(["--config=/etc/ecs/ecs-xray.yaml"]);
    let traces = json!({"environment": [{"name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "value": "http://localhost:4318/v1/traces"}]});
    let migrated = with_app(traces, command());
    let container = &migrated.definition["containerDefinitions"][0];
    let intervals = ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"];
    let addresses =
        ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    assert_eq!(names(container, "environment"), [&addresses[..], &intervals].concat());
    let secret = json!({"secrets": [
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "valueFrom": "/otlp/url"}, {"name": "OTEL_EXPORTER_OTLP_PROTOCOL", "valueFrom": "/otlp/protocol"},
    ]});
    let migrated = with_app(secret, command());
    let container = &migrated.definition["containerDefinitions"][0];
    assert_eq!(names(container, "environment"), intervals);
    assert_eq!(names(container, "secrets").len(), 3, "including the header");
    assert_eq!(gaps(&migrated), ["app: OTEL_EXPORTER_OTLP_ENDPOINT", "app: OTEL_EXPORTER_OTLP_PROTOCOL"]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "containerDefinitions",
        "name",
        "image",
        "otelcol",
        "environment",
        "secrets",
        "dockerLabels",
        "links",
        "value",
        "volumes",
        "AOT_CONFIG_CONTENT",
        "cpu",
        "memory",
        "0.5 vCPU",
        "service: {pipelines: {traces: {receivers: [otlp]}}}",
        "dependsOn",
        "tags",
    ]);
    let leaf = prop_oneof![Just(Value::Null), any::<u64>().prop_map(Value::from), word.clone().prop_map(Value::from)];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(word.clone().prop_map(str::to_owned), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn no_input_causes_a_panic(container in any_json(), config in any_json(), whole in any_json()) {
        let mut definition = json!({"containerDefinitions": [
            {"name": "app", "image": "x"}, {"name": "o", "image": "otelcol"},
        ]});
        for (index, with) in [&container, &config].into_iter().enumerate() {
            if let Some(fields) = with.as_object() {
                for (key, value) in fields.iter().filter(|(key, _)| *key != "name" && *key != "image") {
                    definition["containerDefinitions"][index][key] = value.clone();
                }
            }
        }
        let _ = migrate(&definition.to_string(), Some(config));
        let _ = migrate(&whole.to_string(), None);
    }
}
