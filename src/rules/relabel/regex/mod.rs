//! Regular expressions in the syntax of Go, as Prometheus uses them: anchored at both ends, matched in linear time.
//!
//! [`syntax`] reads the expression, because the syntax of the Rust crates differs: `\d` and `\w` are ASCII only, a brace that
//! is no repetition is text, `[[a]` has no nested class. [`regex_automata`] compiles it with the same semantics as RE2. It is
//! the engine of the crate `regex`, which hides the memory and the steps of an expression.

mod backtrack;
mod class;
mod compiled;
mod escape;
mod flags;
mod group;
mod repetition;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod unicode;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use self::backtrack::Slots;
use self::compiled::Compiled;
pub(super) use self::template::Template;
use super::work::{GROUPS_STEPS, MATCH_STEPS, RuleLimit, Work};
use crate::rules::InvalidValue;

/// Memory of all compiled expressions of a setting.
const MAX_COMPILED_TOTAL: usize = 8 << 20;

/// Compiled expressions of a setting. Rules with the same expression share it.
#[derive(Debug)]
pub(in crate::rules) struct Expressions {
    patterns: HashMap<String, Pattern>,
    /// Memory that further expressions may take.
    memory_left: usize,
    /// Number of expressions that take memory.
    compiled: usize,
}

impl Default for Expressions {
    fn default() -> Self {
        Self { patterns: HashMap::new(), memory_left: MAX_COMPILED_TOTAL, compiled: 0 }
    }
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    matcher: Matcher,
    /// Name of each group. The first is the whole match.
    names: Arc<[Option<String>]>,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// `.*` or `(.*)`, which is the default.
    AnyLine,
    /// Texts separated by `|`.
    OneOf(Arc<HashSet<String>>),
    Compiled(Arc<Compiled>),
}

/// A match, and the text of its groups.
#[derive(Debug)]
pub(super) struct Match<'a> {
    text: &'a str,
    /// `None` if every group is the whole match.
    groups: Option<Slots>,
}

impl Expressions {
    /// Compiles an expression, unless another rule has it.
    pub(super) fn pattern(&mut self, text: &str) -> Result<Pattern, InvalidValue> {
        if let Some(pattern) = self.patterns.get(text) {
            return Ok(pattern.clone());
        }
        let pattern = Pattern::new(text, self)?;
        self.patterns.insert(text.to_owned(), pattern.clone());
        Ok(pattern)
    }
}

impl Pattern {
    fn new(text: &str, expressions: &mut Expressions) -> Result<Self, InvalidValue> {
        if matches!(text, "(.*)" | ".*") {
            let groups = if text == ".*" { 1 } else { 2 };
            return Ok(Self { matcher: Matcher::AnyLine, names: vec![None; groups].into() });
        }
        if !text.contains(|char: char| char.is_ascii_punctuation() && !matches!(char, '|' | '_' | ':' | '-' | '/')) {
            let texts: HashSet<String> = text.split('|').map(str::to_owned).collect();
            return Ok(Self { matcher: Matcher::OneOf(texts.into()), names: [None].into() });
        }
        let syntax::Parsed { expression, names } = syntax::parse(&format!("^(?:{text})$"))?;
        let compiled = Compiled::new(&expression, expressions)?;
        Ok(Self { matcher: Matcher::Compiled(compiled), names: names.into() })
    }

    /// Returns whether the expression matches the whole text.
    pub(super) fn is_match(&self, text: &str, work: &mut Work) -> Result<bool, RuleLimit> {
        work.spend(MATCH_STEPS)?;
        if let Matcher::Compiled(compiled) = &self.matcher {
            return compiled.is_match(text, work);
        }
        work.spend(text.len())?;
        Ok(match &self.matcher {
            Matcher::OneOf(texts) => texts.contains(text),
            _ => !text.contains('\n'),
        })
    }

    /// Returns the groups of a match of the whole text.
    pub(super) fn find<'a>(&self, text: &'a str, work: &mut Work) -> Result<Option<Match<'a>>, RuleLimit> {
        work.spend(GROUPS_STEPS)?;
        Ok(match &self.matcher {
            Matcher::Compiled(compiled) => {
                compiled.find(text, work)?.map(|groups| Match { text, groups: Some(groups) })
            }
            _ => self.is_match(text, work)?.then_some(Match { text, groups: None }),
        })
    }

    /// Returns the groups of a reference: the one with this number, or those with this name, of which there may be several.
    fn groups_of(&self, reference: &str) -> Arc<[usize]> {
        if let Some(group) = template::number(reference) {
            return Some(group).filter(|&group| group < self.names.len()).into_iter().collect();
        }
        let is_named = |(group, name): (usize, &Option<String>)| (name.as_deref() == Some(reference)).then_some(group);
        self.names.iter().enumerate().filter_map(is_named).collect()
    }
}

impl<'a> Match<'a> {
    /// Returns the text of a group; `None` if it has none. The pattern has this many groups.
    fn group(&self, group: usize) -> Option<&'a str> {
        let Some(slots) = &self.groups else { return Some(self.text) };
        let slot = |at: usize| slots.get(at).copied().flatten();
        self.text.get(slot(2 * group)?..slot(2 * group + 1)?)
    }
}
