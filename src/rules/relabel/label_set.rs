//! Labels of one series while rules are applied. What no rule changes is borrowed.

use std::borrow::Cow;

use super::work::{RuleLimit, Work, max_bytes};

/// Labels that are copied one by one. More of them are sorted, because moving all later labels for each of them would take quadratic
/// time.
const MAX_MOVED: usize = 16;

/// Labels that are moved in one step.
const MOVED_PER_STEP: usize = 4;

/// Name and value of a label.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Labels: unique names sorted by byte, no empty values.
#[derive(Debug, Default)]
pub(super) struct LabelSet<'a> {
    pairs: Vec<Pair<'a>>,
    is_changed: bool,
    /// Size of all names and values, and its maximum.
    bytes: usize,
    max_bytes: usize,
}

impl<'a> LabelSet<'a> {
    /// Takes sorted labels.
    pub(super) fn new(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs: Vec<Pair<'a>> = labels.map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect();
        let bytes = pairs.iter().map(size).sum();
        Self { pairs, is_changed: false, bytes, max_bytes: max_bytes(bytes) }
    }

    /// Returns whether a label was set or removed.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns the maximum size of a text that a rule makes.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Returns the value of a label; empty if there is none.
    pub(super) fn get(&self, name: &str) -> Cow<'a, str> {
        self.find(name).map_or(Cow::Borrowed(""), |at| self.pairs[at].1.clone())
    }

    /// Returns the length of the value of a label.
    pub(super) fn value_len(&self, name: &str) -> usize {
        self.find(name).map_or(0, |at| self.pairs[at].1.len())
    }

    /// Sets a label. An empty value removes it.
    pub(super) fn set(&mut self, name: &str, value: &str, work: &mut Work) -> Result<(), RuleLimit> {
        let found = self.find(name);
        let (at, before) = match found {
            Ok(at) if self.pairs[at].1 == value => return Ok(()),
            Err(_) if value.is_empty() => return Ok(()),
            Ok(at) => (at, size(&self.pairs[at])),
            Err(at) => (at, 0),
        };
        let after = if value.is_empty() { 0 } else { name.len() + value.len() };
        self.bytes = self.bytes - before + after;
        if self.bytes > self.max_bytes {
            return Err(RuleLimit::Size);
        }
        work.spend(value.len())?;
        if value.is_empty() || found.is_err() {
            work.spend((self.pairs.len() - at) / MOVED_PER_STEP)?;
        }
        match found {
            Ok(at) if value.is_empty() => drop(self.pairs.remove(at)),
            Ok(at) => self.pairs[at].1 = Cow::Owned(value.to_owned()),
            Err(at) => self.pairs.insert(at, (Cow::Owned(name.to_owned()), Cow::Owned(value.to_owned()))),
        }
        self.is_changed = true;
        Ok(())
    }

    /// Sets labels whose values are not empty. Of several labels with one name, the last one remains.
    pub(super) fn set_all(&mut self, labels: Vec<(String, String)>, work: &mut Work) -> Result<(), RuleLimit> {
        if labels.len() <= MAX_MOVED {
            return labels.iter().try_for_each(|(name, value)| self.set(name, value, work));
        }
        work.spend(self.pairs.len() + labels.len())?;
        self.pairs.extend(labels.into_iter().map(|(name, value)| (Cow::Owned(name), Cow::Owned(value))));
        // Later labels are first among those with one name, so that they remain.
        self.pairs.reverse();
        self.pairs.sort_by(|(name, _), (other, _)| name.cmp(other));
        self.pairs.dedup_by(|(name, _), (other, _)| name == other);
        self.bytes = self.pairs.iter().map(size).sum();
        self.is_changed = true;
        if self.bytes > self.max_bytes { Err(RuleLimit::Size) } else { Ok(()) }
    }

    /// Removes the labels for whose name `keeps` returns `false`.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&str) -> Result<bool, RuleLimit>) -> Result<(), RuleLimit> {
        let (count, mut result) = (self.pairs.len(), Ok(()));
        self.pairs.retain(|pair| {
            let kept = if result.is_ok() { keeps(&pair.0) } else { Ok(true) };
            let is_kept = kept.unwrap_or_else(|limit| {
                result = Err(limit);
                true
            });
            self.bytes -= if is_kept { 0 } else { size(pair) };
            is_kept
        });
        self.is_changed |= self.pairs.len() < count;
        result
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(other, _)| (**other).cmp(name))
    }
}

fn size((name, value): &Pair<'_>) -> usize {
    name.len() + value.len()
}
