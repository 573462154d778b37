//! Time of the last sample of each task that this execution environment wrote.
//!
//! A task can stop between its description and its samples, which are then later than the stop. A marker before them would end
//! nothing.

use std::sync::Arc;

use crate::model::cache::Cache;
use crate::model::task::Task;
use crate::work_budget::MemoryLimit;

/// Later, the series have ended without a marker (`--query.lookback-delta` of Prometheus).
const TTL_MS: i64 = 300_000;

/// Memory for some ten thousand tasks. Those that do not fit end at their stop.
const MAX_BYTES: usize = 2 << 20;

/// Times of the last samples, by ID of the task.
#[derive(Debug)]
pub(in crate::handlers) struct LastSamples {
    by_id: Cache<Arc<str>, i64>,
}

impl LastSamples {
    pub(in crate::handlers) fn new(memory: MemoryLimit) -> Self {
        Self { by_id: Cache::new(TTL_MS, memory.cache_bytes(MAX_BYTES), |id, _| id.len()) }
    }

    /// Remembers the time of samples of a task.
    pub(super) fn record(&self, task: &Task, at_ms: i64) {
        let last_ms = self.by_id.get(&task.id, at_ms).map_or(at_ms, |last_ms| last_ms.max(at_ms));
        self.by_id.insert(Arc::clone(&task.id), last_ms, last_ms);
    }

    /// Returns the time at which the series of a stopped task end: when it stopped, or after its last sample.
    pub(super) fn end_ms(&self, task: &Task, stopped_ms: i64) -> i64 {
        self.by_id.get(&task.id, stopped_ms).map_or(stopped_ms, |last_ms| stopped_ms.max(last_ms + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_end_after_their_last_sample() {
        let last = LastSamples::new(MemoryLimit::unlimited());
        let task = Task { id: "a".into(), ..Task::default() };
        assert_eq!(last.end_ms(&task, 1_000), 1_000);
        last.record(&task, 1_500);
        last.record(&task, 1_400);
        let ends = [1_000, 1_500, 1_501, 1_502, 1_500 + TTL_MS].map(|stopped_ms| last.end_ms(&task, stopped_ms));
        assert_eq!(ends, [1_501, 1_501, 1_501, 1_502, 1_500 + TTL_MS]);
    }
}
