//! Series of the previous scrape of every Prometheus target.
//!
//! The cache lives as long as the execution environment. Series of a target that is not in it end five minutes after their
//! last sample, by the lookback of Prometheus.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::scrape::prometheus_targets::PrometheusTarget;
use crate::translate::exposition::{PageLayout, ScrapedSeries};
use crate::work_budget::MemoryLimit;

/// Memory for all entries. A layout takes about 250 bytes per series, and targets with the same series share it. Without a layout, a
/// thousand series take about 30 KB, compressed.
const MAX_BYTES: usize = 32 << 20;

/// Share of the memory of a small function.
const MAX_MEMORY_SHARE: usize = 10;

/// Part of the memory that layouts may take. Without a layout, pages are parsed in full, but their series can still be ended.
const MAX_LAYOUT_SHARE: usize = 2;

/// Lifetime of an entry. Later, its series have ended without a marker (`--query.lookback-delta` of Prometheus).
const TTL_MS: i64 = 300_000;

/// Maximum endpoints of task definitions whose last layout is known. More are used by few fleets, and cost only the first scrape of
/// a target its speed.
const MAX_ENDPOINTS: usize = 1_000;

/// Task and the place where it was scraped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TargetKey {
    task: Arc<str>,
    address: SocketAddr,
    path: String,
}

/// Endpoint of the tasks of a task definition, whose pages have the same lines in most cases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Endpoint {
    definition: Arc<str>,
    container: usize,
    port: u16,
    path: String,
}

/// Series of one scrape.
#[derive(Debug)]
pub(super) struct CachedScrape {
    pub(super) series: ScrapedSeries,
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
    layouts: Layouts,
    /// Hash of the last layout of each endpoint.
    endpoints: HashMap<Endpoint, u64>,
    /// Size of all entries without their layouts.
    bytes: usize,
}

/// Layouts of the entries, each of them once.
#[derive(Debug, Default)]
struct Layouts {
    by_hash: HashMap<u64, SharedLayout>,
    bytes: usize,
}

#[derive(Debug)]
struct SharedLayout {
    layout: Arc<PageLayout>,
    entries: usize,
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

    /// Returns the last layout of the same endpoint of another task.
    pub(super) fn layout_like(&self, target: &PrometheusTarget) -> Option<Arc<PageLayout>> {
        let entries = self.lock();
        let shared = entries.layouts.by_hash.get(entries.endpoints.get(&endpoint(target))?)?;
        Some(Arc::clone(&shared.layout))
    }

    /// Returns whether a layout may be kept.
    pub(super) fn has_room_for(&self, layout: &Arc<PageLayout>, now_ms: i64) -> bool {
        let (max_bytes, mut entries) = (self.max_bytes / MAX_LAYOUT_SHARE, self.lock());
        if !entries.layouts.fits(layout, max_bytes) {
            entries.evict_before(now_ms - TTL_MS);
        }
        entries.layouts.fits(layout, max_bytes)
    }

    /// Stores the series of a scrape for the next one, unless the cache is full.
    pub(super) fn insert(&self, target: &PrometheusTarget, series: ScrapedSeries, at_ms: i64) {
        let mut entries = self.lock();
        let series = entries.layouts.share(series);
        if entries.size_with(&series) > self.max_bytes {
            entries.evict_before(at_ms - TTL_MS);
        }
        if entries.size_with(&series) <= self.max_bytes {
            entries.insert(target, CachedScrape { series, at_ms });
        }
    }

    fn lock(&self) -> MutexGuard<'_, CacheEntries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheEntries {
    fn size_with(&self, series: &ScrapedSeries) -> usize {
        let layout = series.layout().filter(|layout| !self.layouts.has(layout));
        self.bytes + self.layouts.bytes + series.size() + layout.map_or(0, |layout| layout.size())
    }

    fn insert(&mut self, target: &PrometheusTarget, scrape: CachedScrape) {
        self.remove(&key(target));
        self.bytes += scrape.series.size();
        if let Some(layout) = scrape.series.layout() {
            let hash = self.layouts.add(layout);
            if self.endpoints.len() >= MAX_ENDPOINTS {
                self.endpoints.clear();
            }
            self.endpoints.insert(endpoint(target), hash);
        }
        self.by_key.insert(key(target), scrape);
    }

    fn remove(&mut self, key: &TargetKey) -> Option<CachedScrape> {
        let scrape = self.by_key.remove(key)?;
        self.bytes -= scrape.series.size();
        if let Some(layout) = scrape.series.layout() {
            self.layouts.release(layout);
        }
        Some(scrape)
    }

    fn evict_before(&mut self, ms: i64) {
        let old = self.by_key.iter().filter(|(_, scrape)| scrape.at_ms < ms).map(|(key, _)| key.clone());
        for key in old.collect::<Vec<_>>() {
            self.remove(&key);
        }
    }
}

impl Layouts {
    /// Returns whether a layout takes no more memory.
    fn has(&self, layout: &Arc<PageLayout>) -> bool {
        self.by_hash.get(&layout.hash()).is_some_and(|shared| Arc::ptr_eq(&shared.layout, layout))
    }

    fn fits(&self, layout: &Arc<PageLayout>, max_bytes: usize) -> bool {
        self.has(layout) || self.bytes + layout.size() <= max_bytes
    }

    /// Replaces the layout by an equal one that is in the cache.
    fn share(&self, mut series: ScrapedSeries) -> ScrapedSeries {
        let equal = series.layout().and_then(|layout| {
            let shared = self.by_hash.get(&layout.hash())?;
            (*shared.layout == **layout).then(|| Arc::clone(&shared.layout))
        });
        if let Some(layout) = equal {
            series.set_layout(layout);
        }
        series
    }

    /// Counts an entry with this layout. Returns the hash of the layout.
    fn add(&mut self, layout: &Arc<PageLayout>) -> u64 {
        let bytes = &mut self.bytes;
        let shared = self.by_hash.entry(layout.hash()).or_insert_with(|| {
            *bytes += layout.size();
            SharedLayout { layout: Arc::clone(layout), entries: 0 }
        });
        shared.entries += 1;
        layout.hash()
    }

    /// Counts an entry less. Removes the layout after the last one.
    fn release(&mut self, layout: &PageLayout) {
        let Entry::Occupied(mut shared) = self.by_hash.entry(layout.hash()) else { return };
        shared.get_mut().entries -= 1;
        if shared.get().entries == 0 {
            self.bytes -= shared.remove().layout.size();
        }
    }
}

fn key(target: &PrometheusTarget) -> TargetKey {
    TargetKey { task: Arc::clone(&target.task.arn), address: target.address, path: target.path.clone() }
}

fn endpoint(target: &PrometheusTarget) -> Endpoint {
    Endpoint {
        definition: Arc::clone(&target.task.definition_arn),
        container: target.container,
        port: target.address.port(),
        path: target.path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::budget::Unlimited;
    use crate::model::exposition::Format;
    use crate::model::series::{Labels, SeriesBatch};
    use crate::model::task::Task;
    use crate::scrape::prometheus_targets::Scheme;
    use crate::translate::exposition::{ScrapeOptions, series_like};
    use crate::translate::names::Utf8Names;

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

    fn scraped(series: usize) -> ScrapedSeries {
        let mut batch = SeriesBatch::default();
        for number in 0..series {
            // Pseudo-random, so that nothing is compressed.
            let noise: Vec<String> = (0..64).map(|at| format!("{:x}", (number * 64 + at) * 2_654_435_761)).collect();
            batch.series([("__name__", noise.concat().as_str())]);
        }
        ScrapedSeries::new(None, &Labels::default(), &batch, 0, 0, MAX_BYTES).unwrap()
    }

    #[test]
    fn entry_is_returned_once_and_not_after_five_minutes() {
        let cache = ScrapeCache::new(MemoryLimit::unlimited());
        cache.insert(&target("a"), scraped(1), 0);
        assert!(cache.take(&target("b"), 60_000).is_none());
        assert!(cache.take(&target("a"), 60_000).is_some());
        assert!(cache.take(&target("a"), 60_000).is_none());
        cache.insert(&target("a"), scraped(1), 0);
        assert!(cache.take(&target("a"), TTL_MS).is_none());
    }

    /// Scrapes a page for each target, and returns the number of layouts in the cache.
    fn layouts(cache: &ScrapeCache, pages: &[(&str, &str)]) -> usize {
        for (number, (task, text)) in pages.iter().enumerate() {
            let (labels, mut out, target) = (Labels::default(), SeriesBatch::default(), target(task));
            let options = ScrapeOptions {
                target_labels: &labels,
                honor_labels: false,
                utf8_names: Utf8Names::Replace,
                honor_timestamps: true,
                sample_limit: None,
                max_age_ms: None,
                at_ms: number as i64,
            };
            let previous = cache.take(&target, number as i64);
            let layout = previous.and_then(|previous| previous.series.layout().cloned());
            let layout = layout.or_else(|| cache.layout_like(&target));
            let body = text.as_bytes();
            let (_, page) =
                series_like(body, Format::Text, &options, layout.as_ref(), &Unlimited, &mut out).expect("a page");
            let series = ScrapedSeries::new(page.as_ref(), &labels, &out, 0, number as i64, MAX_BYTES).unwrap();
            cache.insert(&target, series, number as i64);
        }
        cache.lock().layouts.by_hash.len()
    }

    #[test]
    fn equal_layouts_are_in_the_cache_once() {
        let cache = ScrapeCache::new(MemoryLimit::unlimited());
        assert_eq!(layouts(&cache, &[("a", "x 1\ny 2\n"), ("b", "x 3\ny 4\n"), ("c", "x 5\n")]), 2);
        assert_eq!(layouts(&cache, &[("a", "x 1\n"), ("b", "x 3\n")]), 1, "all have one series");
        assert_eq!(layouts(&cache, &[("a", "x 1\nz 2\n")]), 2);
        for task in ["a", "b", "c"] {
            assert!(cache.take(&target(task), 0).is_some());
        }
        let entries = cache.lock();
        assert_eq!((entries.bytes, entries.layouts.bytes, entries.layouts.by_hash.len()), (0, 0, 0));
    }

    #[test]
    fn full_cache_evicts_old_entries() {
        let (cache, large) = (ScrapeCache::new(MemoryLimit::unlimited()), scraped(20_000));
        let max_entries = MAX_BYTES / large.size();
        for number in 0..=max_entries {
            cache.insert(&target(&number.to_string()), large.clone(), 0);
        }
        assert_eq!(cache.lock().by_key.len(), max_entries);
        cache.insert(&target("later"), large, TTL_MS + 1);
        assert_eq!(cache.lock().by_key.len(), 1, "all other entries are too old");
    }
}
