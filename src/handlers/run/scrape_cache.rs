//! Series of the previous scrape of every Prometheus target.
//!
//! The cache lives as long as the execution environment. Series of a target that is not in it end five minutes after their
//! last sample, by the lookback of Prometheus.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::scrape::prometheus_targets::PrometheusTarget;
use crate::translate::exposition::SeriesSet;
use crate::work_budget::MemoryLimit;

/// Memory for all entries. A thousand series take about 30 KB, compressed.
const MAX_BYTES: usize = 16 << 20;

/// Share of the memory of a small function.
const MAX_MEMORY_SHARE: usize = 10;

/// Lifetime of an entry. Later, its series have ended without a marker (`--query.lookback-delta` of Prometheus).
const TTL_MS: i64 = 300_000;

/// Task and the place where it was scraped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TargetKey {
    task: Arc<str>,
    address: SocketAddr,
    path: String,
}

/// Series of one scrape.
#[derive(Debug)]
pub(super) struct CachedScrape {
    pub(super) series: SeriesSet,
    pub(super) at_ms: i64,
}

/// Series of the previous scrapes, by target.
#[derive(Debug)]
pub(super) struct ScrapeCache {
    max_bytes: usize,
    entries: Mutex<CacheEntries>,
}

#[derive(Debug, Default)]
struct CacheEntries {
    by_key: HashMap<TargetKey, CachedScrape>,
    bytes: usize,
}

impl ScrapeCache {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        Self { max_bytes: MAX_BYTES.min(memory.max_allocated() / MAX_MEMORY_SHARE), entries: Mutex::default() }
    }

    /// Returns the memory for all entries.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Removes and returns the previous scrape of a target; `None` if it is unknown or too old.
    pub(super) fn take(&self, target: &PrometheusTarget, now_ms: i64) -> Option<CachedScrape> {
        self.lock().remove(&key(target)).filter(|scrape| now_ms - scrape.at_ms < TTL_MS)
    }

    /// Stores the series of a scrape for the next one, unless the cache is full.
    pub(super) fn insert(&self, target: &PrometheusTarget, series: SeriesSet, at_ms: i64) {
        let mut entries = self.lock();
        if entries.bytes + series.size() > self.max_bytes {
            entries.evict_before(at_ms - TTL_MS);
        }
        if entries.bytes + series.size() <= self.max_bytes {
            entries.bytes += series.size();
            entries.by_key.insert(key(target), CachedScrape { series, at_ms });
        }
    }

    fn lock(&self) -> MutexGuard<'_, CacheEntries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheEntries {
    fn remove(&mut self, key: &TargetKey) -> Option<CachedScrape> {
        let scrape = self.by_key.remove(key)?;
        self.bytes -= scrape.series.size();
        Some(scrape)
    }

    fn evict_before(&mut self, ms: i64) {
        self.by_key.retain(|_, scrape| scrape.at_ms >= ms);
        self.bytes = self.by_key.values().map(|scrape| scrape.series.size()).sum();
    }
}

fn key(target: &PrometheusTarget) -> TargetKey {
    TargetKey { task: Arc::clone(&target.task.arn), address: target.address, path: target.path.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::SeriesBatch;
    use crate::model::task::Task;
    use crate::scrape::prometheus_targets::Scheme;

    fn target(task: &str) -> PrometheusTarget {
        PrometheusTarget {
            task: Arc::new(Task { arn: task.into(), ..Task::default() }),
            container: 0,
            scheme: Scheme::Http,
            address: "10.2.3.4:80".parse().unwrap(),
            path: "/metrics".into(),
            job: "cart".into(),
            relabel: Arc::default(),
        }
    }

    fn series_set(series: usize) -> SeriesSet {
        let mut batch = SeriesBatch::default();
        for number in 0..series {
            // Pseudo-random, so that nothing is compressed.
            let noise: Vec<String> = (0..64).map(|at| format!("{:x}", (number * 64 + at) * 2_654_435_761)).collect();
            batch.series([("__name__", noise.concat().as_str())]);
        }
        SeriesSet::from_batch(&batch, 0, 0, MAX_BYTES).unwrap()
    }

    #[test]
    fn entry_is_returned_once_and_not_after_five_minutes() {
        let cache = ScrapeCache::new(MemoryLimit::unlimited());
        cache.insert(&target("a"), series_set(1), 0);
        assert!(cache.take(&target("b"), 60_000).is_none());
        assert!(cache.take(&target("a"), 60_000).is_some());
        assert!(cache.take(&target("a"), 60_000).is_none());
        cache.insert(&target("a"), series_set(1), 0);
        assert!(cache.take(&target("a"), TTL_MS).is_none());
    }

    #[test]
    fn full_cache_evicts_old_entries() {
        let (cache, large) = (ScrapeCache::new(MemoryLimit::unlimited()), series_set(20_000));
        let max_entries = MAX_BYTES / large.size();
        for number in 0..=max_entries {
            cache.insert(&target(&number.to_string()), large.clone(), 0);
        }
        assert_eq!(cache.lock().by_key.len(), max_entries);
        cache.insert(&target("later"), large, TTL_MS + 1);
        assert_eq!(cache.lock().by_key.len(), 1, "all other entries are too old");
    }
}
