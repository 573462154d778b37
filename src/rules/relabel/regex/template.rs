//! Replacement texts: `$1`, `${1}`, `$name`, `${name}` and `$$`, as in Go.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Match, Pattern};
use crate::rules::relabel::work::{RuleLimit, Work};

/// A replacement text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rules::relabel) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The first of these groups that has a text.
    Groups(Arc<[usize]>),
}

impl Template {
    /// Reads a template for the groups of a pattern. A reference to a group that the pattern does not have is empty.
    pub(in crate::rules::relabel) fn new(template: &str, pattern: &Pattern) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        let mut by_name: HashMap<&str, Arc<[usize]>> = HashMap::new();
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            rest = after;
            if let Some(after) = after.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(after) {
                rest = after;
                let groups = by_name.entry(name).or_insert_with(|| pattern.groups_of(name));
                if !groups.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(Part::Groups(Arc::clone(groups)));
                }
            } else {
                text.push('$');
            }
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Self { parts }
    }

    /// Returns the text, if it is the same for every match.
    pub(in crate::rules::relabel) fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the text for a match; an error if it has more than `max` bytes.
    pub(in crate::rules::relabel) fn expand(
        &self,
        found: &Match<'_>,
        max: usize,
        work: &mut Work,
    ) -> Result<String, RuleLimit> {
        let mut expanded = String::new();
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => text,
                Part::Groups(groups) => {
                    work.spend(groups.len())?;
                    groups.iter().find_map(|&group| found.group(group)).unwrap_or_default()
                }
            };
            if text.len() > max - expanded.len() {
                return Err(RuleLimit::Size);
            }
            expanded.push_str(text);
        }
        Ok(expanded)
    }
}

/// Returns the name after a `$`, and the rest.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (is_braced, text) = text.strip_prefix('{').map_or((false, text), |text| (true, text));
    let end = text.find(|char| !is_name(char)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    Some((name, if is_braced { rest.strip_prefix('}')? } else { rest }))
}

fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || !char.is_ascii() && char.is_alphabetic()
}

/// Returns the number of a group. A leading zero makes it a name.
pub(super) fn number(name: &str) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    is_number.then(|| name.parse().unwrap_or(usize::MAX))
}
