//! Metric names.

use std::borrow::Cow;

use super::{MetricKind, NameError, Naming, Strategy, is_legacy_metric, units};
use crate::translate::Compat;

/// The name of a metric's family. Histograms and summaries append `_bucket`, `_sum` and `_count` to it.
///
/// # Errors
/// Nothing is left of the name, or it is none that the backend takes.
pub fn metric(name: &str, unit: &str, shape: MetricKind, naming: &Naming) -> Result<String, NameError> {
    let built = match naming.strategy {
        Strategy::UnderscoreEscapingWithSuffixes => with_suffixes(name, unit, shape, naming),
        Strategy::UnderscoreEscapingWithoutSuffixes => without_suffixes(name, &naming.namespace),
        Strategy::NoUtf8EscapingWithSuffixes => utf8_with_suffixes(name, unit, shape, naming),
        Strategy::NoTranslation => raw(name, &naming.namespace),
    };
    if built.bytes().all(|byte| byte == b'_') && built != name || built.is_empty() {
        return Err(NameError::Empty);
    }
    // A namespace goes into the name as it is, so that even an escaped name may need a look.
    if naming.strategy.is_utf8() || !is_legacy_metric(&built) {
        return naming.check_metric_name(Cow::Owned(built)).map(Cow::into_owned);
    }
    Ok(built)
}

/// `[A-Za-z0-9:]`: what a name's words are made of. Everything else stands between two words.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b':'
}

fn with_suffixes(name: &str, unit: &str, shape: MetricKind, naming: &Naming) -> String {
    let mut tokens: Vec<&str> = name.split(|char: char| !char.is_ascii() || !is_token_byte(char as u8)).collect();
    tokens.retain(|token| !token.is_empty());
    let (main, per) = units::suffixes(unit);
    let main = if tokens.contains(&&*main) { "" } else { &*main };
    let per = per.strip_suffix('_').unwrap_or(&per);
    // A `per` of symbols only is `per_`: it says nothing.
    let per = if per == "per" || has_unit_suffix(&tokens, per, naming.compat) { "" } else { per };
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    tokens.extend([main, per].into_iter().filter(|suffix| !suffix.is_empty()));
    match shape {
        MetricKind::Counter => move_to_end(&mut tokens, "total"),
        MetricKind::Gauge if unit == "1" => move_to_end(&mut tokens, "ratio"),
        _ => {}
    }
    if !naming.namespace.is_empty() {
        tokens.insert(0, &naming.namespace);
    }
    let joined = tokens.join("_");
    if joined.starts_with(|first: char| first.is_ascii_digit()) { format!("_{joined}") } else { joined }
}

/// Whether a name already ends with `per_second`, its words. otlptranslator compares the suffix with single words, never
/// finds it, and writes `bytes_per_second_per_second`.
fn has_unit_suffix(tokens: &[&str], per: &str, compat: Compat) -> bool {
    if compat == Compat::Adot || per.is_empty() {
        return false;
    }
    let words: Vec<&str> = per.split('_').collect();
    tokens.ends_with(&words)
}

fn move_to_end<'a>(tokens: &mut Vec<&'a str>, word: &'a str) {
    tokens.retain(|&token| token != word);
    tokens.push(word);
}

fn without_suffixes(name: &str, namespace: &str) -> String {
    let joined = join_legal(name);
    if !namespace.is_empty() {
        return format!("{}_{joined}", join_legal(namespace));
    }
    if joined.starts_with(|first: char| first.is_ascii_digit()) { format!("_{joined}") } else { joined }
}

/// The runs of legal characters joined by `_`; underscores are legal, so that runs of them stay.
fn join_legal(name: &str) -> String {
    let is_legal = |char: char| char.is_ascii_alphanumeric() || char == ':' || char == '_';
    let runs: Vec<&str> = name.split(|char| !is_legal(char)).filter(|run| !run.is_empty()).collect();
    runs.join("_")
}

fn raw(name: &str, namespace: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}_{name}") }
}

/// Suffixes on the name as it is. A word that the name ends with is not said twice; where otlptranslator cuts such a word
/// together with whatever character precedes it (`subtotal` becomes `su_total`), only a separator is cut here.
fn utf8_with_suffixes(name: &str, unit: &str, shape: MetricKind, naming: &Naming) -> String {
    let mut built = raw(name, &naming.namespace);
    if built.is_empty() {
        return built;
    }
    let (main, per) = units::suffixes(unit);
    let per = per.strip_suffix('_').unwrap_or(&per);
    if !main.is_empty() && !built.ends_with(&*main) {
        append(&mut built, &main);
    }
    if !per.is_empty() && per != "per" {
        append(&mut built, per);
    }
    match shape {
        MetricKind::Counter => append(&mut built, "total"),
        MetricKind::Gauge if unit == "1" => append(&mut built, "ratio"),
        _ => {}
    }
    built
}

/// Appends a word behind `_`, unless the name ends with the word already: then its separator becomes the `_`.
fn append(name: &mut String, word: &str) {
    let kept = name
        .strip_suffix(word)
        .filter(|rest| rest.ends_with(|last: char| !last.is_alphanumeric()))
        .map(|rest| rest.len() - rest.chars().next_back().map_or(0, char::len_utf8));
    if let Some(kept) = kept {
        name.truncate(kept);
    }
    name.push('_');
    name.push_str(word);
}
