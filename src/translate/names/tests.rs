//! Names as built by otlptranslator and the exporter.

use super::*;

fn naming(strategy: Strategy, namespace: &str) -> Naming {
    Naming { strategy, namespace: namespace.to_owned(), ..Naming::default() }
}

#[test]
fn metric_names_follow_the_strategy() {
    use Strategy::{UnderscoreEscapingWithSuffixes as Full, UnderscoreEscapingWithoutSuffixes as Bare};
    for (strategy, namespace, name, unit, kind, expected) in [
        (Full, "", "http.server.duration", "s", MetricKind::Other, "http_server_duration_seconds"),
        (Full, "", "a.total.b", "1", MetricKind::Counter, "a_b_total"),
        (Full, "", "cpu", "1", MetricKind::Gauge, "cpu_ratio"),
        (Full, "", "cpu", "1", MetricKind::Other, "cpu"),
        (Full, "", "5xx", "{request}/s", MetricKind::Gauge, "_5xx_per_second"),
        (Full, "app", "5xx", "", MetricKind::Gauge, "app_5xx"),
        (Full, "", "io.bytes_per_second", "By/s", MetricKind::Gauge, "io_bytes_per_second"),
        // Type and rate are removed before the unit is compared (prometheus/otlptranslator issue 44).
        (Full, "", "foo.seconds", "s", MetricKind::Counter, "foo_seconds_total"),
        (Full, "", "foo.total", "s", MetricKind::Counter, "foo_seconds_total"),
        (Full, "", "cpu_seconds_total", "s", MetricKind::Counter, "cpu_seconds_total"),
        (Full, "", "net.bytes_per_second", "By/s", MetricKind::Gauge, "net_bytes_per_second"),
        (Full, "", "net.per_second", "By/s", MetricKind::Gauge, "net_bytes_per_second"),
        (Full, "", "x", "°C", MetricKind::Gauge, "x_C"),
        (Full, "", "x", "kBy", MetricKind::Gauge, "x_kBy"),
        (Bare, "", "a.b__c", "s", MetricKind::Counter, "a_b__c"),
        (Bare, "", "5xx", "s", MetricKind::Counter, "_5xx"),
        (Bare, "app-1", "5xx", "s", MetricKind::Counter, "app_1_5xx"),
    ] {
        let built = metric(name, unit, kind, &naming(strategy, namespace));
        assert_eq!(built.as_deref(), Ok(expected), "{strategy:?} {name} {unit}");
    }
}

/// Rows with `UTF8Allowed` of `metric_namer_test.go`, and the names of issue 44 (prometheus/otlptranslator v1.0.0).
#[test]
fn utf8_strategies_keep_characters() {
    use Strategy::{NoTranslation as Raw, NoUtf8EscapingWithSuffixes as Utf8};
    for (strategy, namespace, name, unit, kind, expected) in [
        (Utf8, "", "requests_total", "", MetricKind::Counter, "requests_total"),
        (Utf8, "", "cpu_usage_ratio", "1", MetricKind::Gauge, "cpu_usage_ratio"),
        (Utf8, "", "response_time_seconds", "s", MetricKind::Gauge, "response_time_seconds"),
        (Utf8, "", "cpu_seconds_total", "s", MetricKind::Counter, "cpu_seconds_total"),
        (Utf8, "", "otelcol_process_cpu_seconds", "s", MetricKind::Counter, "otelcol_process_cpu_seconds_total"),
        (Raw, "", "___", "", MetricKind::Gauge, "___"),
        (Raw, "", "métric_with_ñ_chars", "", MetricKind::Gauge, "métric_with_ñ_chars"),
        (Raw, "test_namespace", "métric_with_ñ_chars", "", MetricKind::Gauge, "test_namespace_métric_with_ñ_chars"),
        (Utf8, "", "requêsts", "", MetricKind::Counter, "requêsts_total"),
        (Utf8, "", "cpu_usagé", "1", MetricKind::Gauge, "cpu_usagé_ratio"),
        (Utf8, "", "respønse_time", "ms", MetricKind::Gauge, "respønse_time_milliseconds"),
        (Utf8, "", "requêsts", "1/s", MetricKind::Gauge, "requêsts_per_second"),
        (Utf8, "ñamespace", "requêsts", "1/s", MetricKind::Counter, "ñamespace_requêsts_per_second_total"),
        (Utf8, "", "@#$%", "", MetricKind::Counter, "@#$%_total"),
        (Utf8, "test@namespace", "metric", "", MetricKind::Counter, "test@namespace_metric_total"),
        (Utf8, "", "foo.seconds", "s", MetricKind::Counter, "foo.seconds_total"),
        (Utf8, "", "foo.total", "s", MetricKind::Counter, "foo_seconds_total"),
        (Utf8, "", "net.bytes_per_second", "By/s", MetricKind::Gauge, "net.bytes_per_second"),
        (Utf8, "", "net.per_second", "By/s", MetricKind::Gauge, "net_bytes_per_second"),
        (Utf8, "", "http.server.duration", "s", MetricKind::Other, "http.server.duration_seconds"),
        (Utf8, "", "queue.size", "{items}", MetricKind::Other, "queue.size"),
        (Utf8, "", "temperature", "°C", MetricKind::Gauge, "temperature_°C"),
        (Utf8, "", "total", "", MetricKind::Counter, "total_total"),
        // A delimiter of several bytes.
        (Utf8, "", "größe→total", "", MetricKind::Counter, "größe_total"),
        (Raw, "", "http.server.duration", "s", MetricKind::Counter, "http.server.duration"),
    ] {
        let built = metric(name, unit, kind, &naming(strategy, namespace));
        assert_eq!(built.as_deref(), Ok(expected), "{strategy:?} {name} {unit}");
    }
}

#[test]
fn utf8_suffixes_are_words_except_in_adot_mode() {
    let utf8 = naming(Strategy::NoUtf8EscapingWithSuffixes, "");
    let adot = Naming { compat: Compat::Adot, ..utf8.clone() };
    for (name, unit, kind, expected, of_adot) in [
        ("subtotal", "", MetricKind::Counter, "subtotal_total", "su_total"),
        ("nanoseconds", "s", MetricKind::Gauge, "nanoseconds_seconds", "nanoseconds"),
        ("requests.total", "", MetricKind::Counter, "requests_total", "requests_total"),
    ] {
        assert_eq!(metric(name, unit, kind, &utf8).as_deref(), Ok(expected), "{name}");
        assert_eq!(metric(name, unit, kind, &adot).as_deref(), Ok(of_adot), "{name}");
    }
}

#[test]
fn utf8_label_names_are_kept() {
    let utf8 = naming(Strategy::NoTranslation, "");
    for (key, expected) in [
        ("http.method", Some("http.method")),
        ("_private", Some("_private")),
        ("5xx", Some("5xx")),
        ("日本", Some("日本")),
        ("__foo.bar__", Some("__foo.bar__")),
        ("__", None),
        ("", None),
    ] {
        assert_eq!(utf8.label(key).as_deref(), expected, "{key:?}");
        assert_eq!(utf8.target_label(key).as_deref(), expected, "{key:?}");
    }
    assert_eq!(utf8.unit("By/s"), "bytes_per_second");
    assert_eq!(utf8.unit("°C"), "°C");
}

#[test]
fn empty_metric_name_is_an_error_in_each_strategy() {
    for strategy in [Strategy::NoUtf8EscapingWithSuffixes, Strategy::NoTranslation] {
        assert_eq!(metric("", "s", MetricKind::Counter, &naming(strategy, "ns")), Err(NameError::Empty));
    }
}

#[test]
fn metric_name_of_symbols_only_is_empty() {
    for name in ["", "...", "日本", "__"] {
        assert_eq!(metric(name, "", MetricKind::Gauge, &Naming::default()), Err(NameError::Empty), "{name}");
    }
}

#[test]
fn adot_mode_repeats_a_unit_suffix_of_the_name() {
    let adot = Naming { compat: Compat::Adot, ..Naming::default() };
    let built = metric("io.bytes_per_second", "By/s", MetricKind::Gauge, &adot);
    assert_eq!(built.as_deref(), Ok("io_bytes_per_second_per_second"));
}

#[test]
fn namespace_with_unsupported_characters_is_invalid() {
    for (strategy, namespace) in [
        (Strategy::UnderscoreEscapingWithSuffixes, "app-1"),
        (Strategy::UnderscoreEscapingWithSuffixes, "größe"),
        (Strategy::UnderscoreEscapingWithoutSuffixes, "5xx"),
    ] {
        let built = metric("requests", "", MetricKind::Gauge, &naming(strategy, namespace));
        assert_eq!(built, Err(NameError::Invalid), "{strategy:?} {namespace}");
    }
}

#[test]
fn metric_names_keep_colons_and_label_names_do_not() {
    let built = metric("job:rate", "", MetricKind::Gauge, &Naming::default());
    assert_eq!(built.as_deref(), Ok("job:rate"));
    assert_eq!(label("job:rate").as_deref(), Some("job_rate"));
    assert_eq!(target_label("job:rate").as_deref(), Some("job_rate"));
}

#[test]
fn label_names_differ_between_series_and_target_info() {
    for (key, on_series, on_target) in [
        ("http.method", Some("http_method"), Some("http_method")),
        ("http..method", Some("http_method"), Some("http__method")),
        ("http__method", Some("http_method"), Some("http__method")),
        ("5xx", Some("key_5xx"), Some("key_5xx")),
        ("_private", Some("key_private"), Some("_private")),
        ("__private", Some("key_private"), Some("__private")),
        (".private", Some("key_private"), Some("_private")),
        ("__foo.bar__", Some("__foo_bar__"), Some("__foo_bar__")),
        ("x.", Some("x_"), Some("x_")),
        (".", Some("key_"), None),
        ("_", Some("key_"), None),
        ("__", Some("key_"), None),
        ("日本", Some("key_"), None),
        ("____", None, None),
        ("_____", None, None),
        ("", None, None),
    ] {
        assert_eq!(label(key).as_deref(), on_series, "{key:?}");
        assert_eq!(target_label(key).as_deref(), on_target, "{key:?}");
    }
}

#[test]
fn metadata_units_are_words() {
    for (code, expected) in
        [("By/s", "bytes_per_second"), ("1", ""), ("{request}/s", "per_second"), ("/s", "per_second")]
    {
        assert_eq!(unit(code), expected);
    }
}
