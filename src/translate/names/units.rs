//! Words of Prometheus names for UCUM unit codes.

use std::borrow::Cow;

use super::legacy::is_word_byte;

/// Returns the word of a unit before the slash. Unit codes are case-sensitive. An unknown code is used as the word.
fn main_word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

/// Returns the word of a unit after the slash.
fn per_word(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

/// Returns the two suffixes of a unit: `bytes` and `per_second` for `By/s`. Each can be empty. A part in braces, such as
/// `{request}`, is an annotation and has no suffix.
pub(super) fn suffixes(unit: &str) -> (Cow<'_, str>, String) {
    let (main, per) = words(unit);
    let per = if per.is_empty() { String::new() } else { clean(&format!("per_{per}")).into_owned() };
    (clean(main), per)
}

/// Returns the words before and after the slash: `bytes` and `second` for `By/s`. Each can be empty.
pub(super) fn words(unit: &str) -> (&str, &str) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let (main, per) = (main.trim(), per.trim());
    let main = if main.is_empty() || is_annotation(main) { "" } else { main_word(main) };
    let per = if per.is_empty() || is_annotation(per) { "" } else { per_word(per) };
    (main, per)
}

/// Returns the unit for the metadata of a metric, such as `bytes_per_second`.
pub fn unit(unit: &str) -> String {
    let (main, per) = suffixes(unit);
    joined(&main, &per)
}

/// Joins the two suffixes of a unit, without an underscore at the start and the end.
pub(super) fn joined(main: &str, per: &str) -> String {
    let joined = match (main.is_empty(), per.is_empty()) {
        (false, false) => format!("{main}_{per}"),
        (false, true) => main.to_owned(),
        (true, _) => per.to_owned(),
    };
    let trimmed = joined.strip_prefix('_').unwrap_or(&joined);
    trimmed.strip_suffix('_').unwrap_or(trimmed).to_owned()
}

fn is_annotation(unit: &str) -> bool {
    unit.contains(['{', '}'])
}

/// Replaces each run of characters outside `[A-Za-z0-9:]` with one `_`, and removes a leading `_`.
fn clean(word: &str) -> Cow<'_, str> {
    if word.bytes().all(is_word_byte) {
        return Cow::Borrowed(word);
    }
    let mut out = String::with_capacity(word.len());
    for char in word.chars() {
        if char.is_ascii() && is_word_byte(char as u8) {
            out.push(char);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    if out.starts_with('_') {
        out.remove(0);
    }
    Cow::Owned(out)
}
