//! Metadata of metric families: HELP, TYPE and UNIT.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Metadata of a metric family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub family: String,
    pub kind: MetadataKind,
    pub help: String,
    pub unit: String,
}

/// Type of a metric family (prompb `MetricMetadata.MetricType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataKind {
    Unknown = 0,
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    GaugeHistogram = 4,
    Summary = 5,
    Info = 6,
    StateSet = 7,
}

/// Unique metric families in order of insertion.
#[derive(Debug, Default)]
pub(super) struct Families {
    list: Vec<Metadata>,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl Families {
    pub(super) fn add(&mut self, metadata: Metadata) {
        if self.find(&metadata.family).is_some() {
            return;
        }
        let Ok(index) = u32::try_from(self.list.len()) else { return };
        let hash = self.hasher.hash_one(metadata.family.as_str());
        self.list.push(metadata);
        let (list, hasher) = (&self.list, &self.hasher);
        self.table.insert_unique(hash, index, |&other| hasher.hash_one(list[other as usize].family.as_str()));
    }

    pub(super) fn into_list(self) -> Vec<Metadata> {
        self.list
    }

    pub(super) fn as_slice(&self) -> &[Metadata] {
        &self.list
    }

    fn find(&self, family: &str) -> Option<&Metadata> {
        let is_same = |&index: &u32| self.list[index as usize].family == family;
        let index = *self.table.find(self.hasher.hash_one(family), is_same)?;
        self.list.get(index as usize)
    }
}
