//! Regular expressions in the syntax of Go, as Prometheus uses them: anchored at both ends, matched in linear time.
//!
//! [`syntax`] reads the expression, because the syntax of the Rust crates differs: `\d` and `\w` are ASCII only, a brace that
//! is no repetition is text, `[[a]` has no nested class. [`regex_automata`] matches it with the same semantics as RE2. It is
//! the engine of the crate `regex`, which hides the memory of an expression.

mod class;
mod escape;
mod flags;
mod group;
mod repetition;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod unicode;

use std::collections::HashSet;

use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::{Anchored, Input};

pub(super) use self::template::Template;
use crate::rules::InvalidValue;

/// Memory of one compiled expression: a thousand repetitions of a letter in any case take about 100 KB.
const MAX_COMPILED: usize = 1 << 20;

/// Memory of all compiled expressions of a setting.
const MAX_COMPILED_TOTAL: usize = 8 << 20;

/// Memory in which the states of one expression are kept, so that a byte costs one step. They are built again if it is full.
const STATES: usize = 64 * 1024;

/// Memory that the expressions of a setting may still take.
#[derive(Debug)]
pub(super) struct CompiledBytes(usize);

impl Default for CompiledBytes {
    fn default() -> Self {
        Self(MAX_COMPILED_TOTAL)
    }
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    matcher: Matcher,
    /// Name of each group. The first is the whole match.
    names: Vec<Option<String>>,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// `.*` or `(.*)`, which is the default.
    AnyLine,
    /// Texts separated by `|`.
    OneOf(HashSet<String>),
    Compiled(Regex),
}

/// A match, and the text of its groups.
#[derive(Debug)]
pub(super) struct Match<'a> {
    text: &'a str,
    /// `None` if every group is the whole match.
    groups: Option<Captures>,
}

impl Pattern {
    /// Compiles an expression.
    pub(super) fn new(text: &str, memory: &mut CompiledBytes) -> Result<Self, InvalidValue> {
        if matches!(text, "(.*)" | ".*") {
            let groups = if text == ".*" { 1 } else { 2 };
            return Ok(Self { matcher: Matcher::AnyLine, names: vec![None; groups] });
        }
        if !text.contains(|char: char| char.is_ascii_punctuation() && !matches!(char, '|' | '_' | ':' | '-' | '/')) {
            let texts = text.split('|').map(str::to_owned).collect();
            return Ok(Self { matcher: Matcher::OneOf(texts), names: vec![None] });
        }
        let syntax::Parsed { expression, names } = syntax::parse(&format!("^(?:{text})$"))?;
        let limit = MAX_COMPILED.min(memory.0);
        let config = Config::new().nfa_size_limit(Some(limit)).hybrid_cache_capacity(STATES);
        let compiled = Regex::builder().configure(config).build_from_hir(&expression);
        let compiled = compiled.map_err(|error| too_large(&error))?;
        memory.0 = memory.0.saturating_sub(compiled.memory_usage());
        Ok(Self { matcher: Matcher::Compiled(compiled), names })
    }

    /// Returns whether the expression matches the whole text.
    pub(super) fn is_match(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::AnyLine => !text.contains('\n'),
            Matcher::OneOf(texts) => texts.contains(text),
            Matcher::Compiled(regex) => regex.is_match(Input::new(text).anchored(Anchored::Yes)),
        }
    }

    /// Returns the groups of a match of the whole text.
    pub(super) fn find<'a>(&self, text: &'a str) -> Option<Match<'a>> {
        let Matcher::Compiled(regex) = &self.matcher else {
            return self.is_match(text).then_some(Match { text, groups: None });
        };
        let mut groups = regex.create_captures();
        regex.search_captures(&Input::new(text).anchored(Anchored::Yes), &mut groups);
        groups.is_match().then_some(Match { text, groups: Some(groups) })
    }

    /// Returns the groups of a name, of which there may be several.
    fn groups_named(&self, name: &str) -> Vec<usize> {
        let is_named = |(group, other): (usize, &Option<String>)| (other.as_deref() == Some(name)).then_some(group);
        self.names.iter().enumerate().filter_map(is_named).collect()
    }
}

impl<'a> Match<'a> {
    /// Returns the text of a group; `None` if it has none. The pattern has this many groups.
    fn group(&self, group: usize) -> Option<&'a str> {
        match &self.groups {
            None => Some(self.text),
            Some(groups) => self.text.get(groups.get_group(group)?.range()),
        }
    }
}

fn too_large(error: &BuildError) -> InvalidValue {
    let limits = format!(
        "at most {} KiB for an expression and {} KiB for all of them",
        MAX_COMPILED >> 10,
        MAX_COMPILED_TOTAL >> 10
    );
    let reason = if error.size_limit().is_some() { "takes too much memory" } else { "cannot be compiled" };
    InvalidValue::new(format!("the expression {reason}: use fewer repetitions and classes ({limits})"))
}
