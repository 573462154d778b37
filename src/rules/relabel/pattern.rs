//! Names and globs of metrics and labels.

use crate::rules::glob;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    /// Returns `None` for text that cannot match a name.
    pub(super) fn new(text: &str) -> Option<Pattern> {
        let is_legal = |char: char| char.is_alphanumeric() || "_:.*?-/".contains(char);
        (!text.is_empty() && text.chars().all(is_legal)).then(|| Pattern(text.to_owned()))
    }

    pub(super) fn is_exact(&self) -> bool {
        !glob::is_glob(&self.0)
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        glob::matches(&self.0, name)
    }
}
