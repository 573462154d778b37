//! The pages of the scrapes before, as far as this environment made them.
//!
//! A function has no memory that lasts: this is what a warm environment happens to know. Where it knows nothing, series
//! end five minutes after their last sample, as Prometheus' look-back has it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::collect::pages::PageTarget;
use crate::translate::exposition::PageSeries;

/// Memory for all pages. A page of a thousand series takes some 30 KB, compressed.
const BYTES: usize = 16 << 20;

/// A page that was not scraped for so long ends nothing any more: by then its series have ended by themselves
/// (Prometheus' `--query.lookback-delta`).
const KEPT_MS: i64 = 300_000;

/// Of a task, where it was scraped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    task: Arc<str>,
    address: SocketAddr,
    path: String,
}

/// The page of one scrape.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) series: PageSeries,
    pub(super) at_ms: i64,
}

/// Pages by where they were scraped.
#[derive(Debug, Default)]
pub(super) struct PagesBefore {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    by_key: HashMap<Key, Before>,
    bytes: usize,
}

impl PagesBefore {
    /// Takes out the page that a target had before.
    pub(super) fn take(&self, target: &PageTarget, now_ms: i64) -> Option<Before> {
        self.pages().remove(&key(target)).filter(|before| now_ms - before.at_ms < KEPT_MS)
    }

    /// Keeps a page for the next scrape, unless all of them would take too much memory.
    pub(super) fn keep(&self, target: &PageTarget, series: PageSeries, at_ms: i64) {
        let mut pages = self.pages();
        if pages.bytes + series.size() > BYTES {
            pages.forget_before(at_ms - KEPT_MS);
        }
        if pages.bytes + series.size() <= BYTES {
            pages.bytes += series.size();
            pages.by_key.insert(key(target), Before { series, at_ms });
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn remove(&mut self, key: &Key) -> Option<Before> {
        let before = self.by_key.remove(key)?;
        self.bytes -= before.series.size();
        Some(before)
    }

    fn forget_before(&mut self, ms: i64) {
        self.by_key.retain(|_, before| before.at_ms >= ms);
        self.bytes = self.by_key.values().map(|before| before.series.size()).sum();
    }
}

fn key(target: &PageTarget) -> Key {
    Key { task: Arc::clone(&target.task.arn), address: target.address, path: target.path.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::SeriesBatch;
    use crate::model::target::Task;

    fn target(task: &str) -> PageTarget {
        PageTarget {
            task: Arc::new(Task { arn: task.into(), ..Task::default() }),
            container: 0,
            address: "10.2.3.4:80".parse().unwrap(),
            path: "/metrics".into(),
            job: "cart".into(),
        }
    }

    fn page(series: usize) -> PageSeries {
        let mut batch = SeriesBatch::default();
        for number in 0..series {
            // Numbers that look alike to nobody, so that compression finds nothing.
            let noise: Vec<String> = (0..64).map(|at| format!("{:x}", (number * 64 + at) * 2_654_435_761)).collect();
            batch.series([("__name__", noise.concat().as_str())]);
        }
        PageSeries::of(&batch, 0, 0)
    }

    #[test]
    fn a_page_is_had_back_once_and_not_after_five_minutes() {
        let before = PagesBefore::default();
        before.keep(&target("a"), page(1), 0);
        assert!(before.take(&target("b"), 60_000).is_none());
        assert!(before.take(&target("a"), 60_000).is_some());
        assert!(before.take(&target("a"), 60_000).is_none());
        before.keep(&target("a"), page(1), 0);
        assert!(before.take(&target("a"), KEPT_MS).is_none());
    }

    #[test]
    fn memory_is_bounded_and_old_pages_make_room() {
        let (before, large) = (PagesBefore::default(), page(20_000));
        let pages = BYTES / large.size();
        for number in 0..=pages {
            before.keep(&target(&number.to_string()), large.clone(), 0);
        }
        assert_eq!(before.pages().by_key.len(), pages);
        before.keep(&target("later"), large, KEPT_MS + 1);
        assert_eq!(before.pages().by_key.len(), 1, "all others are too old to end anything");
    }
}
