//! Units: UCUM codes become the words that Prometheus puts into names.

use std::borrow::Cow;

/// The word of a unit before the slash. Case counts; an unknown unit is its own word.
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

/// The word of a unit behind the slash.
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

/// The suffixes of a unit: `By/s` gives `bytes` and `per_second`. Either may be empty. A part in braces, such as
/// `{request}`, is an annotation and gives none.
pub(super) fn suffixes(unit: &str) -> (Cow<'_, str>, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let (main, per) = (main.trim(), per.trim());
    let main = if is_annotation(main) { "" } else { main_word(main) };
    let per = if per.is_empty() || is_annotation(per) { "" } else { per_word(per) };
    let per = if per.is_empty() { String::new() } else { clean(&format!("per_{per}")).into_owned() };
    (clean(main), per)
}

/// The unit of a metric's metadata: `bytes_per_second`.
pub fn unit(unit: &str) -> String {
    let (main, per) = suffixes(unit);
    let joined = match (main.is_empty(), per.is_empty()) {
        (false, false) => format!("{main}_{per}"),
        (false, true) => main.into_owned(),
        (true, _) => per,
    };
    let trimmed = joined.strip_prefix('_').unwrap_or(&joined);
    trimmed.strip_suffix('_').unwrap_or(trimmed).to_owned()
}

fn is_annotation(unit: &str) -> bool {
    unit.contains(['{', '}'])
}

/// Every other character than `[A-Za-z0-9:]` becomes `_`, runs of which are one; one at the beginning is taken away.
fn clean(word: &str) -> Cow<'_, str> {
    if word.bytes().all(super::metric::is_token_byte) {
        return Cow::Borrowed(word);
    }
    let mut out = String::with_capacity(word.len());
    for char in word.chars() {
        if char.is_ascii() && super::metric::is_token_byte(char as u8) {
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
