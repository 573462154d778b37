//! Any text becomes a name that the backend takes, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::translate::names::{
    Naming, Shape, Strategy, Utf8Names, escape, is_legacy_label, is_legacy_metric, label, metric, target_label, unit,
};
use sidecarless::rules::relabel::Rules;

fuzz_target!(|texts: (&str, &str, &str)| {
    let (name, code, namespace) = texts;
    for strategy in [
        Strategy::UnderscoreEscapingWithSuffixes,
        Strategy::UnderscoreEscapingWithoutSuffixes,
        Strategy::NoUtf8EscapingWithSuffixes,
        Strategy::NoTranslation,
    ] {
        let naming = Naming { strategy, utf8: Utf8Names::Escape, namespace: namespace.to_owned(), ..Naming::default() };
        for shape in [Shape::Counter, Shape::Gauge, Shape::Other] {
            if let Ok(name) = metric(name, code, shape, &naming) {
                assert!(is_legacy_metric(&name));
            }
        }
        for built in [label(name, &naming), target_label(name, &naming)].into_iter().flatten() {
            assert!(is_legacy_label(&built) || built.starts_with("U__"));
        }
    }
    assert!(name.is_empty() || is_legacy_metric(&escape(name)));
    let _ = (unit(code), Rules::parse(name));
});
