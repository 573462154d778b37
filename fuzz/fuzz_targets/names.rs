//! Any text becomes a valid legacy name or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::rules::relabel::RelabelConfigs;
use sidecarless::translate::names::{
    MetricKind, Naming, Strategy, is_legacy_label, is_legacy_metric, label, metric, target_label, unit,
};

fuzz_target!(|texts: (&str, &str, &str)| {
    let (name, code, namespace) = texts;
    for strategy in [Strategy::UnderscoreEscapingWithSuffixes, Strategy::UnderscoreEscapingWithoutSuffixes] {
        let naming = Naming { strategy, namespace: namespace.to_owned(), ..Naming::default() };
        for kind in [MetricKind::Counter, MetricKind::Gauge, MetricKind::Other] {
            if let Ok(name) = metric(name, code, kind, &naming) {
                assert!(is_legacy_metric(&name));
            }
        }
    }
    for strategy in [Strategy::NoUtf8EscapingWithSuffixes, Strategy::NoTranslation] {
        let naming = Naming { strategy, namespace: namespace.to_owned(), ..Naming::default() };
        let built = metric(name, code, MetricKind::Counter, &naming);
        assert!(built.is_err() == name.is_empty() && naming.label(name).is_none_or(|label| label == name));
    }
    for built in [label(name), target_label(name)].into_iter().flatten() {
        assert!(is_legacy_label(&built));
    }
    let _ = (
        unit(code),
        RelabelConfigs::parse(name),
        RelabelConfigs::parse(&format!("- {{action: drop, regex: '{code}'}}")),
    );
});
