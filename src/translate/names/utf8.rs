//! Names of the UTF-8 strategies: characters are kept, and suffixes are added to metric names.

use std::borrow::Cow;

use super::{MetricKind, NameError, Naming, Strategy, units};
use crate::translate::Compat;

/// Returns the name of a metric family.
///
/// # Errors
/// The name is empty.
pub(super) fn metric(name: &str, unit: &str, kind: MetricKind, naming: &Naming) -> Result<String, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let mut built = String::with_capacity(naming.namespace.len() + name.len() + 32);
    if !naming.namespace.is_empty() {
        built.push_str(&naming.namespace);
        built.push('_');
    }
    built.push_str(name);
    if naming.strategy == Strategy::NoUtf8EscapingWithSuffixes {
        add_suffixes(&mut built, unit, kind, naming.compat);
    }
    Ok(built)
}

/// Returns the key as the label name, or `None` if it consists of underscores only.
pub(super) fn label(key: &str) -> Option<Cow<'_, str>> {
    let is_blank = key.bytes().all(|byte| byte == b'_');
    (!is_blank).then_some(Cow::Borrowed(key))
}

/// Returns the unit for the metadata of a metric.
pub(super) fn unit(unit: &str) -> String {
    let (main, per) = units::words(unit);
    let per = if per.is_empty() { String::new() } else { format!("per_{per}") };
    units::joined(main, &per)
}

/// Adds the suffixes of unit and type. Those that the name has are removed before, from the last to the first, so that the order is
/// always unit, rate, type.
fn add_suffixes(name: &mut String, unit: &str, kind: MetricKind, compat: Compat) {
    let (main, per) = units::words(unit);
    let per = if per.is_empty() { String::new() } else { format!("per_{per}") };
    let of_kind = match kind {
        MetricKind::Counter => "total",
        MetricKind::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    for suffix in [of_kind, &per] {
        remove_suffix(name, suffix, compat);
    }
    let main = if ends_with(name, main, compat) { "" } else { main };
    for suffix in [main, &per, of_kind].into_iter().filter(|suffix| !suffix.is_empty()) {
        name.push('_');
        name.push_str(suffix);
    }
}

/// Removes a suffix and the delimiter before it. A name that consists of both is kept.
fn remove_suffix(name: &mut String, suffix: &str, compat: Compat) {
    if suffix.is_empty() || !ends_with(name, suffix, compat) {
        return;
    }
    let rest = name.len() - suffix.len();
    let delimiter = name.get(..rest).and_then(|rest| rest.chars().next_back());
    let kept = rest - delimiter.map_or(0, char::len_utf8);
    if kept > 0 {
        name.truncate(kept);
    }
}

/// Returns whether a name ends with a suffix that is a word of it. otlptranslator compares characters only: the counter `subtotal`
/// becomes `su_total`, and `nanoseconds` in seconds has no unit.
fn ends_with(name: &str, suffix: &str, compat: Compat) -> bool {
    let Some(rest) = name.strip_suffix(suffix) else { return false };
    compat == Compat::Adot || !rest.ends_with(char::is_alphanumeric)
}
