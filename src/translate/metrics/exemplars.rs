//! Exemplars.

use std::borrow::Cow;

use super::context::{Translator, millis};
use super::long_text::has_long_text;
use crate::model::budget::BudgetExceeded;
use crate::model::otlp::borrowed::{Exemplar, text};
use crate::model::otlp::exemplar::Value;
use crate::model::series::{self, SeriesId};
use crate::translate::attributes::write_value;

/// Maximum characters of all names and values of an exemplar (OpenMetrics 1.0, "Exemplars"; Cortex rejects longer ones).
const MAX_CHARS: usize = 128;

/// Adds each exemplar to the series that `series_of` returns for its value. Exemplars without labels or time are dropped:
/// AMP would reject the full series (Cortex, `ValidateExemplar`).
pub(super) fn write(
    exemplars: &[Exemplar<'_>],
    series_of: impl Fn(f64) -> Option<SeriesId>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    for exemplar in exemplars {
        context.budget.check()?;
        let value = match exemplar.value {
            Some(Value::Double(value)) => value,
            Some(Value::Int(value)) => value as f64,
            None if context.is_adot() => 0.0,
            None => {
                context.outcome.warnings.add("exemplar_dropped", 1, || "an exemplar without a value".to_owned());
                continue;
            }
        };
        let labels = labels(exemplar, context);
        let timestamp_ms = millis(exemplar.time_unix_nano);
        if labels.is_empty() || timestamp_ms == 0 {
            context.outcome.warnings.add("exemplar_dropped", 1, || "an exemplar without labels or time".to_owned());
        } else if let Some(id) = series_of(value) {
            context.out.push_exemplar(id, series::Exemplar { labels, value, timestamp_ms });
        }
    }
    Ok(())
}

fn labels(exemplar: &Exemplar<'_>, context: &Translator<'_>) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    push_id("trace_id", exemplar.trace_id, 16, &mut labels);
    push_id("span_id", exemplar.span_id, 8, &mut labels);
    let ids = labels.len();
    let mut chars: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    for attribute in &exemplar.filtered_attributes {
        let key = text(attribute.key);
        let name = if context.is_adot() { Some(Cow::Borrowed(&*key)) } else { context.options.naming.label(&key) };
        let is_taken = |name: &str| !context.is_adot() && labels.iter().any(|(other, _)| other == name);
        let Some(name) = name.filter(|name| !is_taken(name)) else { continue };
        let mut value = String::new();
        if !has_long_text(attribute) {
            write_value(attribute.value.as_ref(), &mut value);
            if value.is_empty() && !context.is_adot() {
                continue;
            }
        }
        chars += name.chars().count() + value.chars().count();
        // Further attributes cannot make the labels shorter.
        if chars > MAX_CHARS || has_long_text(attribute) {
            labels.truncate(ids);
            break;
        }
        labels.push((name.into_owned(), value));
    }
    labels
}

fn push_id(name: &str, id: &[u8], size: usize, labels: &mut Vec<(String, String)>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    if id.len() != size || id.iter().all(|&byte| byte == 0) {
        return;
    }
    let digits = id.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(HEX[usize::from(digit)]));
    labels.push((name.to_owned(), digits.collect()));
}
