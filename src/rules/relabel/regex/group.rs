//! Groups and their flags.

use regex_syntax::hir::{Capture, Hir};

/// Flags of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) ignores_case: bool,
    pub(super) is_multi_line: bool,
    pub(super) dot_matches_newline: bool,
    pub(super) is_ungreedy: bool,
}

/// An expression to which a repetition may apply.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) expression: Hir,
    /// Largest product of nested repetitions.
    pub(super) repeats: u32,
}

/// A group that is not closed, or the whole expression.
#[derive(Debug, Default)]
pub(super) struct Group {
    alternatives: Vec<Hir>,
    items: Vec<Item>,
    /// Largest product of nested repetitions in the alternatives.
    repeats: u32,
    pub(super) flags_before: Flags,
    capture: Option<u32>,
}

impl Group {
    pub(super) fn new(capture: Option<u32>, flags_before: Flags) -> Self {
        Self { capture, flags_before, ..Self::default() }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        self.items.pop()
    }

    pub(super) fn next_alternative(&mut self) {
        let items = std::mem::take(&mut self.items);
        self.repeats = items.iter().map(|item| item.repeats).max().unwrap_or(1).max(self.repeats);
        self.alternatives.push(Hir::concat(items.into_iter().map(|item| item.expression).collect()));
    }

    pub(super) fn into_item(mut self) -> Item {
        self.next_alternative();
        let expression = Hir::alternation(self.alternatives);
        let expression = match self.capture {
            Some(index) => Hir::capture(Capture { index, name: None, sub: Box::new(expression) }),
            None => expression,
        };
        Item { expression, repeats: self.repeats.max(1) }
    }
}
