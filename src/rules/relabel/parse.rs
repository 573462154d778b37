//! Reading rules.

use super::pattern::Pattern;
use super::{Change, LabelRule, Rules};
use crate::translate::names::is_legacy_label;

/// Labels that make a series what it is.
const PROTECTED_LABELS: [&str; 3] = ["__name__", "le", "quantile"];

pub(super) fn rules(text: &str) -> Result<Rules, String> {
    let mut rules = Rules::default();
    let mut errors = Vec::new();
    for line in text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty()) {
        if let Err(error) = rule(line, &mut rules) {
            errors.push(format!("rule {line:?}: {error}"));
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors.join("; ")) }
}

fn rule(line: &str, rules: &mut Rules) -> Result<(), String> {
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match verb {
        "keep" => rules.keep.extend(patterns(rest)?),
        "drop" => rules.drop.extend(patterns(rest)?),
        "max-series" => rules.max_series = Some(rest.parse().map_err(|_| format!("{rest:?} is no number of series"))?),
        "drop-label" | "rename-label" | "hash-label" | "cap-label" => rules.labels.push(label_rule(verb, rest)?),
        _ => {
            return Err(
                "known are keep, drop, drop-label, rename-label, hash-label, cap-label and max-series".to_owned()
            );
        }
    }
    Ok(())
}

fn label_rule(verb: &str, rest: &str) -> Result<LabelRule, String> {
    let (what, metrics) = match rest.split_once(" on ") {
        Some((what, metrics)) => (what.trim(), patterns(metrics)?),
        None => (rest, Vec::new()),
    };
    let change = match verb {
        "drop-label" => Change::Drop(labels(what)?),
        "hash-label" => Change::Hash(labels(what)?),
        "rename-label" => rename(what)?,
        _ => cap(what)?,
    };
    Ok(LabelRule { change, metrics })
}

fn rename(what: &str) -> Result<Change, String> {
    let (from, to) = what.split_once('=').ok_or("wants OLD=NEW")?;
    let (from, to) = (from.trim(), to.trim());
    for name in [from, to] {
        if !is_legacy_label(name) {
            return Err(format!("{name:?} is no label name"));
        }
        if PROTECTED_LABELS.contains(&name) {
            return Err(format!("{name} cannot be touched"));
        }
    }
    Ok(Change::Rename { from: from.to_owned(), to: to.to_owned() })
}

fn cap(what: &str) -> Result<Change, String> {
    let (label, chars) = what.split_once('=').ok_or("wants LABEL=CHARACTERS")?;
    let label = labels(label)?.into_iter().next().ok_or("wants one label")?;
    match chars.trim().parse() {
        Ok(chars) if chars > 0 => Ok(Change::Cap { label, chars }),
        _ => Err(format!("{:?} is no number of characters", chars.trim())),
    }
}

fn labels(list: &str) -> Result<Vec<Pattern>, String> {
    if let Some(name) = list.split(',').map(str::trim).find(|name| PROTECTED_LABELS.contains(name)) {
        return Err(format!("{name} cannot be touched"));
    }
    patterns(list)
}

fn patterns(list: &str) -> Result<Vec<Pattern>, String> {
    list.split(',')
        .map(str::trim)
        .map(|name| Pattern::new(name).ok_or_else(|| format!("{name:?} is no name or pattern")))
        .collect()
}

pub(super) fn is_protected(label: &str) -> bool {
    PROTECTED_LABELS.contains(&label)
}
