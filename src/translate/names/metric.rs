//! Metric names.

use super::legacy::{is_legacy_metric, is_word_byte};
use super::{MetricKind, NameError, Naming, Strategy, units, utf8};
use crate::translate::Compat;

/// Returns the name of a metric family. The series of histograms and summaries append `_bucket`, `_sum` and `_count`.
///
/// # Errors
/// The name is empty without its unsupported characters, or the namespace makes it invalid.
pub fn metric(name: &str, unit: &str, kind: MetricKind, naming: &Naming) -> Result<String, NameError> {
    let built = match naming.strategy {
        Strategy::UnderscoreEscapingWithSuffixes => with_suffixes(name, unit, kind, naming),
        Strategy::UnderscoreEscapingWithoutSuffixes => without_suffixes(name, &naming.namespace),
        Strategy::NoUtf8EscapingWithSuffixes | Strategy::NoTranslation => {
            return utf8::metric(name, unit, kind, naming);
        }
    };
    if built.bytes().all(|byte| byte == b'_') && built != name || built.is_empty() {
        return Err(NameError::Empty);
    }
    // The namespace is not escaped.
    if is_legacy_metric(&built) { Ok(built) } else { Err(NameError::Invalid) }
}

fn with_suffixes(name: &str, unit: &str, kind: MetricKind, naming: &Naming) -> String {
    let mut words: Vec<&str> = name.split(|char: char| !char.is_ascii() || !is_word_byte(char as u8)).collect();
    words.retain(|word| !word.is_empty());
    let (main, per) = units::suffixes(unit);
    let main = if words.contains(&&*main) { "" } else { &*main };
    let per = per.strip_suffix('_').unwrap_or(&per);
    // If the unit after the slash consists of symbols only, its suffix is `per_`, which has no meaning.
    let per = if per == "per" { "" } else { per };
    if naming.compat != Compat::Adot {
        remove_unit_suffix(&mut words, per);
    }
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    words.extend([main, per].into_iter().filter(|suffix| !suffix.is_empty()));
    match kind {
        MetricKind::Counter => move_to_end(&mut words, "total"),
        MetricKind::Gauge if unit == "1" => move_to_end(&mut words, "ratio"),
        _ => {}
    }
    if !naming.namespace.is_empty() {
        words.insert(0, &naming.namespace);
    }
    let joined = words.join("_");
    if joined.starts_with(|first: char| first.is_ascii_digit()) { format!("_{joined}") } else { joined }
}

/// Removes a suffix such as `per_second` from the end of a name, so that it is not written twice, and the unit is before it.
/// otlptranslator compares the suffix with single words, never finds it, and writes `bytes_per_second_per_second`.
fn remove_unit_suffix(words: &mut Vec<&str>, per: &str) {
    let suffix: Vec<&str> = per.split('_').collect();
    if !per.is_empty() && words.ends_with(&suffix) {
        words.truncate(words.len() - suffix.len());
    }
}

fn move_to_end<'a>(words: &mut Vec<&'a str>, last: &'a str) {
    words.retain(|&word| word != last);
    words.push(last);
}

fn without_suffixes(name: &str, namespace: &str) -> String {
    let joined = join_legal(name);
    if !namespace.is_empty() {
        return format!("{}_{joined}", join_legal(namespace));
    }
    if joined.starts_with(|first: char| first.is_ascii_digit()) { format!("_{joined}") } else { joined }
}

/// Joins the runs of legal characters with `_`. Underscores are legal, so runs of underscores are kept.
fn join_legal(name: &str) -> String {
    let is_legal = |char: char| char.is_ascii_alphanumeric() || char == ':' || char == '_';
    let runs: Vec<&str> = name.split(|char| !is_legal(char)).filter(|run| !run.is_empty()).collect();
    runs.join("_")
}
