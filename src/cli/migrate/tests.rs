use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Migrated, migrate, run, yaml};

fn data(name: &str) -> String {
    format!("{}/tests/data/migrate/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn of(name: &str) -> Migrated {
    run(&data(name), None).unwrap()
}

fn gaps(migrated: &Migrated) -> Vec<&str> {
    migrated.report.gaps.iter().map(|(what, _)| what.as_str()).collect()
}

fn with_collector(config: &str) -> Migrated {
    let definition = json!({"family": "f", "executionRoleArn": "arn:aws:iam::111122223333:role/r", "containerDefinitions": [
        {"name": "app", "image": "app"},
        {"name": "otel", "image": "otel/opentelemetry-collector:1", "environment": [{"name": "HOME_URL", "value": "https://amp/write"}]},
    ]});
    migrate(&definition.to_string(), Some(yaml::read(config).unwrap())).unwrap()
}

#[test]
fn a_fargate_task_with_the_images_configuration_loses_the_sidecar_and_what_hangs_on_it() {
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
    assert_eq!(gaps(&migrated), Vec::<&str>::new());
    let report = migrated.report.to_string();
    assert!(report.contains("fit 256 and 512 on Fargate"), "{report}");
    assert!(report.contains("(template: RemoteWriteUrl)"), "{report}");
    assert!(!report.contains("in no pipeline"), "{report}");
}

#[test]
fn a_configuration_in_the_environment_becomes_settings_and_labels() {
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
        &json!({"ECS_PROMETHEUS_EXPORTER_PORT": "9404", "ECS_PROMETHEUS_METRICS_PATH": "/stats", "ECS_PROMETHEUS_JOB_NAME": "cart"})
    );
    let mut gaps = gaps(&migrated);
    gaps.sort_unstable();
    assert_eq!(
        gaps,
        ["exporter prometheusremotewrite: endpoint", "not known: processor mystery", "processor tail_sampling"]
    );
}

#[test]
fn links_of_a_bridge_and_the_daemon_of_xray_are_taken_out_and_udp_and_grpc_are_named() {
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
fn a_configuration_in_ssm_is_asked_for() {
    let migrated = of("ssm.json");
    let (what, instead) = &migrated.report.gaps[0];
    assert_eq!(what, "AOT_CONFIG_CONTENT of aws-otel-collector");
    assert!(instead.contains("otel-collector-config") && instead.contains("second argument"), "{instead}");
}

#[test]
fn bad_input_is_named() {
    let image = r#"{"containerDefinitions": [{"name": "a", "image": "otelcol"}]}"#;
    let rows = [
        ("{", "no JSON"),
        ("[]", "not a JSON object"),
        (r#"{"taskDefinition": 1}"#, "`taskDefinition` is not an object"),
        ("{}", "`containerDefinitions` is not a list"),
        (r#"{"containerDefinitions": [{}]}"#, "`containerDefinitions[0]` has no name"),
        (r#"{"containerDefinitions": [{"name": "a", "image": "nginx"}]}"#, "no container's image is a collector's"),
        (image, "nothing but the collector is in it"),
    ];
    for (text, expected) in rows {
        let error = migrate(text, None).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for (text, expected) in
        [("a: [", "no YAML"), ("", "no YAML"), ("- a", "not a mapping"), (&"[".repeat(9000), "too deeply")]
    {
        let error = yaml::read(text).unwrap_err();
        assert!(error.contains(expected), "{text:.20}: {error}");
    }
    assert!(run("/no/such/file", None).unwrap_err().starts_with("/no/such/file: "));
}

#[test]
fn what_a_pipeline_uses_is_translated_or_named() {
    let rows = [
        ("receivers: {statsd: }\nservice: {pipelines: {metrics: {receivers: [statsd]}}}", "receiver statsd"),
        ("service: {pipelines: {traces: {exporters: [awsemf/x]}}}", "exporter awsemf/x"),
        ("service: {pipelines: {profiles: {}}}", "pipeline profiles"),
        ("service: {extensions: [oidc]}", "not known: extension oidc"),
        ("receivers: {}", "service.pipelines"),
        (
            "exporters: {awsxray: {role_arn: x}}\nservice: {pipelines: {traces: {exporters: [awsxray]}}}",
            "not known: exporter awsxray: role_arn",
        ),
    ];
    for (config, expected) in rows {
        let migrated = with_collector(config);
        assert!(gaps(&migrated).contains(&expected), "{config}: {:?}", gaps(&migrated));
    }
    let known = with_collector(
        "exporters: {prometheusremotewrite: {endpoint: '${env:HOME_URL}'}}\nservice: {pipelines: {metrics: {exporters: [prometheusremotewrite]}}}",
    );
    assert_eq!(known.report.settings[0].1, "https://amp/write");
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
    fn no_definition_and_no_configuration_makes_it_panic(container in any_json(), config in any_json(), whole in any_json()) {
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
