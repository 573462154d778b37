//! Metadata of the metric families that remain after the rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::series::Metadata;

/// Endings of the series of a family.
const ENDINGS: [&str; 7] = ["_bucket", "_count", "_sum", "_total", "_created", "_info", "_gsum"];

/// Memory for copies of metadata. A rule that takes names from a label can give each series of a family a name of its own.
const MAX_COPIED_BYTES: usize = 1 << 20;

/// Families before the rules, and those of the series that remain.
#[derive(Debug, Default)]
pub(super) struct Families {
    before: BTreeMap<String, Metadata>,
    /// Name of the family before and after.
    kept: BTreeSet<(String, String)>,
}

impl Families {
    pub(super) fn new(before: Vec<Metadata>) -> Self {
        Self {
            before: before.into_iter().map(|metadata| (metadata.family.clone(), metadata)).collect(),
            kept: BTreeSet::new(),
        }
    }

    /// Notes the name of a remaining series before and after the rules. A new name gives its family a new name.
    pub(super) fn keep(&mut self, before: &str, after: &str) {
        if self.before.is_empty() {
            return;
        }
        let endings = || [""].into_iter().chain(ENDINGS);
        let families = endings().filter_map(|ending| {
            let (old, new) = (before.strip_suffix(ending)?, after.strip_suffix(ending)?);
            self.before.contains_key(old).then(|| (old.to_owned(), new.to_owned()))
        });
        self.kept.extend(families.take(1).collect::<Vec<_>>());
    }

    /// Returns the metadata of the remaining families. Of the names that one family gets, the first one always has it, and the others
    /// until their copies reach the limit.
    pub(super) fn into_metadata(self) -> impl Iterator<Item = Metadata> {
        let Self { before, kept } = self;
        let (mut last, mut bytes_left) = (None, MAX_COPIED_BYTES);
        kept.into_iter().filter_map(move |(old, new)| {
            let metadata = before.get(&old)?;
            if last.as_ref() == Some(&old) {
                let size = metadata.help.len() + metadata.unit.len() + new.len();
                bytes_left = bytes_left.checked_sub(size + size_of::<Metadata>())?;
            }
            last = Some(old);
            Some(Metadata { family: new, ..metadata.clone() })
        })
    }
}
