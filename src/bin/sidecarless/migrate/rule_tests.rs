//! Rules in place of processors have the same effect.

use sidecarless::rules::relabel::{RelabelConfigs, Relabelled};

use super::rules::SETTING;
use super::tests::{gaps, with_collector};

const EXPORTERS: &str = "exporters: {prometheusremotewrite: {endpoint: https://amp/write, resource_to_telemetry_conversion: {enabled: true}}}";

fn migrated(processor: &str, settings: &str) -> super::MigrationResult {
    with_collector(&format!(
        "receivers: {{otlp: {{protocols: {{http: {{}}}}}}}}\nprocessors:\n  {processor}: {settings}\n{EXPORTERS}\n\
         service: {{pipelines: {{metrics: {{receivers: [otlp], processors: [{processor}], exporters: [prometheusremotewrite]}}}}}}\n"
    ))
}

/// Applies the rules to labels such as `__name__=up a=b`.
fn applied(rules: &str, labels: &str) -> String {
    let rules = RelabelConfigs::parse(rules).unwrap();
    match rules.relabel(labels.split(' ').map(|label| label.split_once('=').unwrap())) {
        Relabelled::Unchanged => labels.to_owned(),
        Relabelled::Dropped | Relabelled::Exceeded(_) => String::new(),
        Relabelled::Changed(labels) => {
            labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn filters_of_names_become_rules() {
    for (settings, kept, dropped) in [
        (
            "{metrics: {exclude: {match_type: strict, metric_names: [http.server.duration, up.time]}}}",
            "http_server_size",
            "http_server_duration_seconds_bucket",
        ),
        (
            "{metrics: {exclude: {match_type: regexp, metric_names: ['^rpc\\..*', jvm]}}}",
            "other_rpc_calls",
            "process_jvm_memory_bytes",
        ),
        ("{metrics: {include: {match_type: strict, metric_names: [orders]}}}", "orders_total", "orders_open"),
        (
            "{metrics: {include: {match_type: strict, metric_names: [orders]}}}",
            "ecs_task_cpu_utilized",
            "process_orders_total",
        ),
        ("{error_mode: ignore, metrics: {metric: ['name == \"a.b\" or IsMatch(name, \"^c.*\")']}}", "b_c", "a_b_total"),
    ] {
        let migrated = migrated("filter", settings);
        assert!(gaps(&migrated).is_empty(), "{settings}: {:?}", gaps(&migrated));
        let rules = migrated.report.setting(SETTING).unwrap();
        assert_ne!(applied(rules, &format!("__name__={kept}")), "", "{rules}");
        assert_eq!(applied(rules, &format!("__name__={dropped}")), "", "{rules}");
    }
}

#[test]
fn attributes_and_transforms_become_rules() {
    const SERIES: &str = "__name__=http_server_duration_seconds_count http_route=/a team=web user_id=7";
    for (processor, settings, expected) in [
        (
            "attributes",
            "{actions: [{key: user.id, action: delete}, {key: team, action: insert, value: x}]}",
            "__name__=http_server_duration_seconds_count http_route=/a team=web",
        ),
        (
            "attributes",
            "{actions: [{key: team, action: update, value: $$x}, {key: no, action: update, value: y}, {key: stage, action: upsert, value: prod}]}",
            "__name__=http_server_duration_seconds_count http_route=/a stage=prod team=$x user_id=7",
        ),
        (
            "attributes",
            "{actions: [{key: route, action: upsert, from_attribute: http.route}, {key: user.id, pattern: ^user, action: delete}, {key: team, pattern: '(?P<first>.)', action: extract}]}",
            "__name__=http_server_duration_seconds_count first=w http_route=/a route=/a team=web",
        ),
        (
            "metricstransform",
            "{transforms: [{include: http.server.duration, action: update, new_name: my.latency, operations: [{action: add_label, new_label: a.b, new_value: c}, {action: update_label, label: team, new_label: squad, value_actions: [{value: web, new_value: site}]}]}]}",
            "__name__=my_latency_seconds_count a_b=c http_route=/a squad=site user_id=7",
        ),
        (
            "metricstransform",
            "{transforms: [{include: '^http\\..*', match_type: regexp, action: update, operations: [{action: delete_label_value, label: http.route, label_value: /a}]}]}",
            "",
        ),
        (
            "metricstransform",
            "{transforms: [{include: other, action: update, new_name: x, operations: [{action: add_label, new_label: a, new_value: c}]}]}",
            SERIES,
        ),
    ] {
        let migrated = migrated(processor, settings);
        assert!(gaps(&migrated).is_empty(), "{settings}: {:?}", gaps(&migrated));
        let rules = migrated.report.setting(SETTING).unwrap();
        assert_eq!(applied(rules, SERIES), expected, "{rules}");
    }
}

#[test]
fn what_rules_cannot_express_is_named() {
    for (processor, settings, expected) in [
        (
            "filter",
            "{metrics: {datapoint: ['attributes[\"a\"] == \"b\"']}}",
            "unknown: processor filter: metrics: datapoint",
        ),
        ("filter", "{spans: {include: {match_type: strict, services: [a]}}}", "unknown: processor filter: spans"),
        (
            "filter",
            "{metrics: {metric: ['type == METRIC_DATA_TYPE_SUM']}}",
            "processor filter: metrics: metric: type == METRIC_DATA_TYPE_SUM",
        ),
        ("filter", "{metrics: {include: {match_type: expr, expressions: [a]}}}", "processor filter: metrics: include"),
        ("attributes", "{actions: [{key: a, action: hash}]}", "processor attributes: hash of a"),
        (
            "attributes",
            "{include: {match_type: strict}, actions: [{key: a, action: delete}]}",
            "unknown: processor attributes: include",
        ),
        (
            "attributes",
            "{actions: [{key: a, action: extract, pattern: '(?P<x>(?=a))'}]}",
            "processor attributes: rule 1 (line 1): regex: invalid or unsupported Perl syntax \"(?=\"",
        ),
        (
            "metricstransform",
            "{transforms: [{include: a, action: insert, new_name: b}]}",
            "processor metricstransform: a",
        ),
        (
            "metricstransform",
            "{transforms: [{include: a, action: update, operations: [{action: toggle_scalar_data_type}]}]}",
            "processor metricstransform: a: toggle_scalar_data_type",
        ),
    ] {
        let migrated = migrated(processor, settings);
        assert!(gaps(&migrated).contains(&expected), "{settings}: {:?}", gaps(&migrated));
        assert_eq!(migrated.report.setting(SETTING), None, "{settings}");
    }
}

#[test]
fn processor_of_some_pipelines_has_no_rules() {
    let two = with_collector(&format!(
        "receivers: {{otlp: {{}}}}\nprocessors: {{attributes: {{actions: [{{key: a, action: delete}}]}}}}\n{EXPORTERS}\nservice:\n  pipelines:\n    \
         metrics: {{receivers: [otlp], processors: [attributes], exporters: [prometheusremotewrite]}}\n    metrics/2: {{receivers: [otlp], exporters: [prometheusremotewrite]}}\n"
    ));
    assert_eq!(gaps(&two), ["processor attributes"]);
}

#[test]
fn rules_of_a_job_become_a_scrape_rule() {
    let config = |regex: &str| {
        format!(
            "receivers: {{prometheus: {{config: {{scrape_configs: [{{job_name: cart, static_configs: [{{targets: ['localhost:9404']}}], \
             metric_relabel_configs: [{{source_labels: [__name__], regex: '{regex}', target_label: x, replacement: $$1}}]}}]}}}}}}\n{EXPORTERS}\n\
             service: {{pipelines: {{metrics: {{receivers: [prometheus], exporters: [prometheusremotewrite]}}}}}}\n"
        )
    };
    let migrated = with_collector(&config("jvm_(.*)"));
    assert_eq!(
        migrated.report.setting("SIDECARLESS_SCRAPE_RULES"),
        Some(
            r#"[{"family":"f","job":"cart","metric_relabel_configs":[{"regex":"jvm_(.*)","replacement":"$1","source_labels":["__name__"],"target_label":"x"}],"path":"/metrics","port":9404}]"#
        )
    );
    let invalid = with_collector(&config("("));
    let expected = "job cart: metric_relabel_configs: rule 1 (line 1): metric_relabel_configs: rule 1 (line 1): regex: missing closing )";
    assert!(gaps(&invalid).contains(&expected), "{:?}", gaps(&invalid));
}
