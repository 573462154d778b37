//! Parses rules.

use super::pattern::Pattern;
use super::{Change, LabelRule, Rules};
use crate::rules::InvalidValue;
use crate::translate::names::is_legacy_label;

/// Labels that identify a metric or a part of a histogram or summary.
const PROTECTED_LABELS: [&str; 3] = ["__name__", "le", "quantile"];

pub(super) fn rules(text: &str) -> Result<Rules, InvalidValue> {
    let mut rules = Rules::default();
    let mut errors = Vec::new();
    for line in text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty()) {
        if let Err(error) = rule(line, &mut rules) {
            errors.push(format!("rule {line:?}: {error}"));
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(InvalidValue::new(errors.join("; "))) }
}

fn rule(line: &str, rules: &mut Rules) -> Result<(), InvalidValue> {
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match verb {
        "keep" => rules.keep.extend(patterns(rest)?),
        "drop" => rules.drop.extend(patterns(rest)?),
        "max-series" => {
            rules.max_series =
                Some(rest.parse().map_err(|_| InvalidValue::new(format!("invalid number of series {rest:?}")))?)
        }
        "drop-label" | "rename-label" | "hash-label" | "cap-label" => rules.labels.push(label_rule(verb, rest)?),
        _ => {
            return Err(InvalidValue::new(format!(
                "unknown action {verb:?}: use keep, drop, drop-label, rename-label, hash-label, cap-label or max-series"
            )));
        }
    }
    Ok(())
}

fn label_rule(verb: &str, rest: &str) -> Result<LabelRule, InvalidValue> {
    let (arguments, metrics) = match rest.split_once(" on ") {
        Some((arguments, metrics)) => (arguments.trim(), patterns(metrics)?),
        None => (rest, Vec::new()),
    };
    let change = match verb {
        "drop-label" => Change::Drop(labels(arguments)?),
        "hash-label" => Change::Hash(labels(arguments)?),
        "rename-label" => rename(arguments)?,
        _ => cap(arguments)?,
    };
    Ok(LabelRule { change, metrics })
}

fn rename(arguments: &str) -> Result<Change, InvalidValue> {
    let (from, to) = arguments.split_once('=').ok_or_else(|| InvalidValue::new("use OLD=NEW"))?;
    let (from, to) = (from.trim(), to.trim());
    for name in [from, to] {
        if !is_legacy_label(name) {
            return Err(InvalidValue::new(format!("invalid label name {name:?}")));
        }
        if PROTECTED_LABELS.contains(&name) {
            return Err(InvalidValue::new(format!("label {name} cannot be changed")));
        }
    }
    Ok(Change::Rename { from: from.to_owned(), to: to.to_owned() })
}

fn cap(arguments: &str) -> Result<Change, InvalidValue> {
    let (label, chars) = arguments.split_once('=').ok_or_else(|| InvalidValue::new("use LABEL=CHARACTERS"))?;
    let label = labels(label)?.into_iter().next().ok_or_else(|| InvalidValue::new("missing label"))?;
    match chars.trim().parse() {
        Ok(chars) if chars > 0 => Ok(Change::Cap { label, chars }),
        _ => Err(InvalidValue::new(format!("invalid number of characters {:?}", chars.trim()))),
    }
}

fn labels(list: &str) -> Result<Vec<Pattern>, InvalidValue> {
    if let Some(name) = list.split(',').map(str::trim).find(|name| PROTECTED_LABELS.contains(name)) {
        return Err(InvalidValue::new(format!("label {name} cannot be changed")));
    }
    patterns(list)
}

fn patterns(list: &str) -> Result<Vec<Pattern>, InvalidValue> {
    list.split(',')
        .map(str::trim)
        .map(|name| Pattern::new(name).ok_or_else(|| InvalidValue::new(format!("invalid name or pattern {name:?}"))))
        .collect()
}

pub(super) fn is_protected(label: &str) -> bool {
    PROTECTED_LABELS.contains(&label)
}
