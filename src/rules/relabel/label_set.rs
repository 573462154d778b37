//! Labels of one series while rules are applied. What no rule changes is borrowed.

use std::borrow::Cow;

/// Labels: unique names sorted by byte, no empty values.
#[derive(Debug, Default)]
pub(super) struct LabelSet<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    is_changed: bool,
}

impl<'a> LabelSet<'a> {
    /// Takes sorted labels.
    pub(super) fn new(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs = labels.map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect();
        Self { pairs, is_changed: false }
    }

    /// Returns whether a label was set or removed.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns the value of a label; empty if there is none.
    pub(super) fn get(&self, name: &str) -> Cow<'a, str> {
        self.find(name).map_or(Cow::Borrowed(""), |at| self.pairs[at].1.clone())
    }

    /// Sets a label. An empty value removes it.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        match self.find(name) {
            Ok(at) if value.is_empty() => drop(self.pairs.remove(at)),
            Ok(at) if self.pairs[at].1 == value => return,
            Ok(at) => self.pairs[at].1 = Cow::Owned(value.to_owned()),
            Err(_) if value.is_empty() => return,
            Err(at) => self.pairs.insert(at, (Cow::Owned(name.to_owned()), Cow::Owned(value.to_owned()))),
        }
        self.is_changed = true;
    }

    /// Removes the labels for whose name `keeps` returns `false`.
    pub(super) fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        let count = self.pairs.len();
        self.pairs.retain(|(name, _)| keeps(name));
        self.is_changed |= self.pairs.len() < count;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(other, _)| (**other).cmp(name))
    }
}
