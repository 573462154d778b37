//! Names as otlptranslator and the exporter build them.

use super::*;

fn naming(strategy: Strategy, namespace: &str) -> Naming {
    Naming { strategy, namespace: namespace.to_owned(), utf8: Utf8Policy::Allow, ..Naming::default() }
}

#[test]
fn each_strategy_names_metrics_its_way() {
    use Strategy::{
        NoTranslation as Raw, NoUtf8EscapingWithSuffixes as Utf8, UnderscoreEscapingWithSuffixes as Full,
        UnderscoreEscapingWithoutSuffixes as Bare,
    };
    for (strategy, namespace, name, unit, shape, expected) in [
        (Full, "", "http.server.duration", "s", MetricKind::Other, "http_server_duration_seconds"),
        (Full, "", "a.total.b", "1", MetricKind::Counter, "a_b_total"),
        (Full, "", "cpu", "1", MetricKind::Gauge, "cpu_ratio"),
        (Full, "", "cpu", "1", MetricKind::Other, "cpu"),
        (Full, "", "5xx", "{request}/s", MetricKind::Gauge, "_5xx_per_second"),
        (Full, "app", "5xx", "", MetricKind::Gauge, "app_5xx"),
        (Full, "", "io.bytes_per_second", "By/s", MetricKind::Gauge, "io_bytes_per_second"),
        (Full, "", "x", "°C", MetricKind::Gauge, "x_C"),
        (Full, "", "x", "kBy", MetricKind::Gauge, "x_kBy"),
        (Bare, "", "a.b__c", "s", MetricKind::Counter, "a_b__c"),
        (Bare, "", "5xx", "s", MetricKind::Counter, "_5xx"),
        (Bare, "app-1", "5xx", "s", MetricKind::Counter, "app_1_5xx"),
        (Utf8, "", "http.server.duration", "s", MetricKind::Other, "http.server.duration_seconds"),
        (Utf8, "", "requests.total", "", MetricKind::Counter, "requests_total"),
        (Utf8, "", "subtotal", "", MetricKind::Counter, "subtotal_total"),
        (Utf8, "ns", "größe", "1", MetricKind::Gauge, "ns_größe_ratio"),
        (Raw, "", "http.server.duration", "s", MetricKind::Counter, "http.server.duration"),
    ] {
        let built = metric(name, unit, shape, &naming(strategy, namespace));
        assert_eq!(built.as_deref(), Ok(expected), "{strategy:?} {name} {unit}");
    }
}

#[test]
fn a_metric_of_symbols_has_no_name() {
    for name in ["", "...", "日本", "__"] {
        assert_eq!(metric(name, "", MetricKind::Gauge, &Naming::default()), Err(NameError::Empty), "{name}");
    }
}

#[test]
fn adot_repeats_a_unit_that_the_name_says_already() {
    let adot = Naming { compat: Compat::Adot, ..Naming::default() };
    let built = metric("io.bytes_per_second", "By/s", MetricKind::Gauge, &adot);
    assert_eq!(built.as_deref(), Ok("io_bytes_per_second_per_second"));
}

#[test]
fn utf8_names_are_refused_escaped_or_sent_as_configured() {
    for (utf8, expected) in [
        (Utf8Policy::Reject, Err(NameError::Utf8)),
        (Utf8Policy::Escape, Ok("U__a_2e_b__c".to_owned())),
        (Utf8Policy::Allow, Ok("a.b_c".to_owned())),
    ] {
        let naming = Naming { strategy: Strategy::NoTranslation, utf8, ..Naming::default() };
        assert_eq!(metric("a.b_c", "", MetricKind::Gauge, &naming), expected);
        assert_eq!(label("a.b_c", &naming).map(Cow::into_owned), expected);
        assert_eq!(label("a_b", &naming).as_deref(), Ok("a_b"));
    }
}

#[test]
fn a_colon_may_stand_in_the_name_of_a_metric_and_not_of_a_label() {
    let naming = Naming { strategy: Strategy::NoTranslation, utf8: Utf8Policy::Escape, ..Naming::default() };
    assert_eq!(metric("job:rate", "", MetricKind::Gauge, &naming).as_deref(), Ok("job:rate"));
    assert_eq!(metric("job:é", "", MetricKind::Gauge, &naming).as_deref(), Ok("U__job:_e9_"));
    assert_eq!(label("job:rate", &naming).as_deref(), Ok("U__job_3a_rate"));
}

#[test]
fn labels_are_named_differently_on_series_and_on_target_info() {
    let naming = Naming::default();
    for (key, on_series, on_target) in [
        ("http.method", Ok("http_method"), Ok("http_method")),
        ("http..method", Ok("http_method"), Ok("http__method")),
        ("http__method", Ok("http_method"), Ok("http__method")),
        ("5xx", Ok("key_5xx"), Ok("key_5xx")),
        ("_private", Ok("key_private"), Ok("_private")),
        ("__private", Ok("key_private"), Ok("__private")),
        (".private", Ok("key_private"), Ok("_private")),
        ("__foo.bar__", Ok("__foo_bar__"), Ok("__foo_bar__")),
        ("x.", Ok("x_"), Ok("x_")),
        (".", Ok("key_"), Err(NameError::Empty)),
        ("_", Ok("key_"), Err(NameError::Empty)),
        ("__", Ok("key_"), Err(NameError::Empty)),
        ("日本", Ok("key_"), Err(NameError::Empty)),
        ("____", Err(NameError::Empty), Err(NameError::Empty)),
        ("_____", Err(NameError::Empty), Err(NameError::Empty)),
        ("", Err(NameError::Empty), Err(NameError::Empty)),
    ] {
        assert_eq!(label(key, &naming).as_deref(), on_series.as_ref().copied(), "{key:?}");
        assert_eq!(target_label(key, &naming).as_deref(), on_target.as_ref().copied(), "{key:?}");
    }
}

#[test]
fn units_of_metadata_are_words() {
    for (code, expected) in
        [("By/s", "bytes_per_second"), ("1", ""), ("{request}/s", "per_second"), ("/s", "per_second")]
    {
        assert_eq!(unit(code), expected);
    }
}
