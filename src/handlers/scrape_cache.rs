//! The pages of the scrapes before, as far as this environment made them.
//!
//! A function has no memory that lasts: this is what a warm environment happens to know. Where it knows nothing, series
//! end five minutes after their last sample, as Prometheus' look-back has it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::scrape::prometheus_targets::PrometheusTarget;
use crate::translate::exposition::SeriesSet;

/// Memory for all pages. A page of a thousand series takes some 30 KB, compressed.
const MAX_BYTES: usize = 16 << 20;

/// A page that was not scraped for so long ends nothing any more: by then its series have ended by themselves
/// (Prometheus' `--query.lookback-delta`).
const TTL_MS: i64 = 300_000;

/// Of a task, where it was scraped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TargetKey {
    task: Arc<str>,
    address: SocketAddr,
    path: String,
}

/// The page of one scrape.
#[derive(Debug)]
pub(super) struct CachedScrape {
    pub(super) series: SeriesSet,
    pub(super) at_ms: i64,
}

/// Pages by where they were scraped.
#[derive(Debug, Default)]
pub(super) struct ScrapeCache {
    pages: Mutex<CacheEntries>,
}

#[derive(Debug, Default)]
struct CacheEntries {
    by_key: HashMap<TargetKey, CachedScrape>,
    bytes: usize,
}

impl ScrapeCache {
    /// Takes out the page that a target had before.
    pub(super) fn take(&self, target: &PrometheusTarget, now_ms: i64) -> Option<CachedScrape> {
        self.lock().remove(&key(target)).filter(|before| now_ms - before.at_ms < TTL_MS)
    }

    /// Keeps a page for the next scrape, unless all of them would take too much memory.
    pub(super) fn insert(&self, target: &PrometheusTarget, series: SeriesSet, at_ms: i64) {
        let mut pages = self.lock();
        if pages.bytes + series.size() > MAX_BYTES {
            pages.evict_before(at_ms - TTL_MS);
        }
        if pages.bytes + series.size() <= MAX_BYTES {
            pages.bytes += series.size();
            pages.by_key.insert(key(target), CachedScrape { series, at_ms });
        }
    }

    fn lock(&self) -> MutexGuard<'_, CacheEntries> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheEntries {
    fn remove(&mut self, key: &TargetKey) -> Option<CachedScrape> {
        let before = self.by_key.remove(key)?;
        self.bytes -= before.series.size();
        Some(before)
    }

    fn evict_before(&mut self, ms: i64) {
        self.by_key.retain(|_, before| before.at_ms >= ms);
        self.bytes = self.by_key.values().map(|before| before.series.size()).sum();
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

    fn target(task: &str) -> PrometheusTarget {
        PrometheusTarget {
            task: Arc::new(Task { arn: task.into(), ..Task::default() }),
            container: 0,
            address: "10.2.3.4:80".parse().unwrap(),
            path: "/metrics".into(),
            job: "cart".into(),
        }
    }

    fn page(series: usize) -> SeriesSet {
        let mut batch = SeriesBatch::default();
        for number in 0..series {
            // Numbers that look alike to nobody, so that compression finds nothing.
            let noise: Vec<String> = (0..64).map(|at| format!("{:x}", (number * 64 + at) * 2_654_435_761)).collect();
            batch.series([("__name__", noise.concat().as_str())]);
        }
        SeriesSet::from_batch(&batch, 0, 0)
    }

    #[test]
    fn a_page_is_had_back_once_and_not_after_five_minutes() {
        let before = ScrapeCache::default();
        before.insert(&target("a"), page(1), 0);
        assert!(before.take(&target("b"), 60_000).is_none());
        assert!(before.take(&target("a"), 60_000).is_some());
        assert!(before.take(&target("a"), 60_000).is_none());
        before.insert(&target("a"), page(1), 0);
        assert!(before.take(&target("a"), TTL_MS).is_none());
    }

    #[test]
    fn memory_is_bounded_and_old_pages_make_room() {
        let (before, large) = (ScrapeCache::default(), page(20_000));
        let pages = MAX_BYTES / large.size();
        for number in 0..=pages {
            before.insert(&target(&number.to_string()), large.clone(), 0);
        }
        assert_eq!(before.lock().by_key.len(), pages);
        before.insert(&target("later"), large, TTL_MS + 1);
        assert_eq!(before.lock().by_key.len(), 1, "all others are too old to end anything");
    }
}
