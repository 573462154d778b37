//! Options of the translation.

use std::collections::BTreeSet;

use crate::translate::Compat;

/// Options of the translation of spans.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub compat: Compat,
    pub indexed: Indexed,
    /// Log groups of segments whose resource has no log group attributes.
    pub log_groups: Vec<String>,
}

/// The attributes that become annotations, which X-Ray indexes for search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// Attributes by key. The key of a resource attribute is `otel.resource.<key>`.
    Listed(BTreeSet<String>),
    /// Every attribute that an annotation can hold and that is not written to another field.
    All,
}

impl Default for Indexed {
    fn default() -> Self {
        Indexed::Listed(BTreeSet::new())
    }
}
