//! One rule, and its effect on the labels of a series.

use std::borrow::Cow;

use md5::{Digest as _, Md5};

use super::label_set::LabelSet;
use super::regex::{Pattern, Template};
use super::work::{RULE_STEPS, RuleLimit, Work};
use crate::translate::names::is_legacy_label;

/// Action of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

impl Action {
    /// Reads a name, in any case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        ACTIONS.iter().find(|(other, _)| *other == name).map(|&(_, action)| action)
    }

    pub(super) fn name(self) -> &'static str {
        ACTIONS.iter().find(|(_, action)| *action == self).map_or("", |(name, _)| name)
    }

    /// Returns all names, for errors.
    pub(super) fn names() -> String {
        ACTIONS.map(|(name, _)| name).join(", ")
    }

    /// Returns whether the action needs a target label.
    pub(super) fn has_target(self) -> bool {
        !matches!(self, Self::Keep | Self::Drop | Self::LabelMap | Self::LabelDrop | Self::LabelKeep)
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) action: Action,
    pub(super) source_labels: Vec<String>,
    pub(super) separator: String,
    pub(super) pattern: Pattern,
    pub(super) modulus: u64,
    /// Target label as written.
    pub(super) target_label: String,
    pub(super) target: Template,
    pub(super) replacement: Template,
}

impl Rule {
    /// Applies the rule. Returns whether the series is kept.
    pub(super) fn apply(&self, labels: &mut LabelSet<'_>, work: &mut Work) -> Result<bool, RuleLimit> {
        work.spend(RULE_STEPS)?;
        match self.action {
            Action::Keep => return self.pattern.is_match(&self.source(labels, work)?, work),
            Action::Drop => return self.pattern.is_match(&self.source(labels, work)?, work).map(|is_match| !is_match),
            Action::KeepEqual => return Ok(*self.source(labels, work)? == *labels.get(&self.target_label)),
            Action::DropEqual => return Ok(*self.source(labels, work)? != *labels.get(&self.target_label)),
            Action::Replace => self.replace(labels, work)?,
            Action::HashMod => {
                let remainder = hash(&self.source(labels, work)?) % self.modulus.max(1);
                labels.set(&self.target_label, &remainder.to_string(), work)?;
            }
            Action::Lowercase => self.set_case(labels, lower, work)?,
            Action::Uppercase => self.set_case(labels, upper, work)?,
            Action::LabelMap => self.map(labels, work)?,
            Action::LabelDrop => labels.retain(|name| Ok(!self.matches_name(name, work)?))?,
            Action::LabelKeep => labels.retain(|name| self.matches_name(name, work))?,
        }
        Ok(true)
    }

    /// Returns the values of the source labels, joined. A missing label is empty.
    fn source<'a>(&self, labels: &LabelSet<'a>, work: &mut Work) -> Result<Cow<'a, str>, RuleLimit> {
        let names = self.source_labels.as_slice();
        // Rules may name a label several times.
        let length = names.iter().map(|name| labels.value_len(name) + self.separator.len()).sum::<usize>();
        if length > labels.max_bytes() + names.len() * self.separator.len() {
            return Err(RuleLimit::Size);
        }
        work.spend(length)?;
        Ok(match names {
            [] => Cow::Borrowed(""),
            [name] => labels.get(name),
            names => {
                let values: Vec<_> = names.iter().map(|name| labels.get(name)).collect();
                Cow::Owned(values.join(&self.separator))
            }
        })
    }

    fn replace(&self, labels: &mut LabelSet<'_>, work: &mut Work) -> Result<(), RuleLimit> {
        let source = self.source(labels, work)?;
        let constants = self.target.constant().zip(self.replacement.constant());
        if let Some((target, value)) = constants {
            if self.pattern.is_match(&source, work)? {
                self.set_target(labels, target, value, work)?;
            }
        } else if let Some(found) = self.pattern.find(&source, work)? {
            let mut expand = |template: &Template| template.expand(&found, labels.max_bytes(), work);
            let (target, value) = (expand(&self.target)?, expand(&self.replacement)?);
            self.set_target(labels, &target, &value, work)?;
        }
        Ok(())
    }

    /// Sets a label to a value. If either cannot be set, the label with the name as written is removed.
    fn set_target(
        &self,
        labels: &mut LabelSet<'_>,
        target: &str,
        value: &str,
        work: &mut Work,
    ) -> Result<(), RuleLimit> {
        if is_legacy_label(target) && !value.is_empty() {
            labels.set(target, value, work)
        } else {
            labels.set(&self.target_label, "", work)
        }
    }

    fn set_case(&self, labels: &mut LabelSet<'_>, map: fn(char) -> char, work: &mut Work) -> Result<(), RuleLimit> {
        let text: String = self.source(labels, work)?.chars().map(map).collect();
        labels.set(&self.target_label, &text, work)
    }

    fn matches_name(&self, name: &str, work: &mut Work) -> Result<bool, RuleLimit> {
        work.spend(1)?;
        self.pattern.is_match(name, work)
    }

    /// Copies labels to other names. All names are those before the rule; of several labels with one name, the last one remains.
    fn map(&self, labels: &mut LabelSet<'_>, work: &mut Work) -> Result<(), RuleLimit> {
        let (mut copies, mut bytes_left) = (Vec::new(), labels.max_bytes());
        for (name, value) in labels.iter() {
            let Some(found) = self.pattern.find(name, work)? else { continue };
            work.spend(value.len())?;
            let name = self.replacement.expand(&found, bytes_left, work)?;
            bytes_left = bytes_left.checked_sub(name.len() + value.len()).ok_or(RuleLimit::Size)?;
            copies.push((name, value.to_owned()));
        }
        labels.set_all(copies, work)
    }
}

/// Returns the last eight bytes of the MD5 hash of a text.
fn hash(text: &str) -> u64 {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    u64::from_be_bytes(*digest.last_chunk().unwrap_or(&[0; 8]))
}

/// Maps one character to one, as Go does: final sigma and similar rules for more than one character do not apply.
fn lower(char: char) -> char {
    let mut lower = char.to_lowercase();
    // The only character whose lowercase has two.
    if char == '\u{130}' { 'i' } else { lower.next().unwrap_or(char) }
}

/// Maps one character to one.
fn upper(char: char) -> char {
    let mut upper = char.to_uppercase();
    let first = upper.next().unwrap_or(char);
    if upper.next().is_none() {
        return first;
    }
    // Greek letters with iota below have an uppercase of one character as well.
    let distance = match char {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => 0,
    };
    char::from_u32(u32::from(char) + distance).unwrap_or(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_becomes_one_character() {
        for (char, expected) in
            [('a', 'A'), ('ß', 'ß'), ('ŉ', 'ŉ'), ('ᾳ', 'ᾼ'), ('ᾀ', 'ᾈ'), ('ﬁ', 'ﬁ'), ('ÿ', 'Ÿ'), ('1', '1')]
        {
            assert_eq!(upper(char), expected, "{char}");
        }
        for (char, expected) in [('A', 'a'), ('İ', 'i'), ('Σ', 'σ'), ('ẞ', 'ß'), ('K', 'k')] {
            assert_eq!(lower(char), expected, "{char}");
        }
    }
}
