//! Limit of the log lines of one invocation: a run with a thousand targets that are down must not fill the log, which is billed by
//! size, and must not hide its other lines.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::callsite::Identifier;

/// Lines of one event, such as "scrape failed", in one invocation.
pub(super) const MAX_LINES_PER_EVENT: u32 = 50;

/// Lines of one invocation. Errors are not limited by it, because alarms count the lines about lost data.
pub(super) const MAX_LINES: u32 = 200;

/// Counts the lines of an invocation.
#[derive(Debug)]
pub(super) struct LineLimit {
    counts: Mutex<LineCounts>,
}

#[derive(Debug)]
struct LineCounts {
    /// The events of the source code are few, so the list is short.
    by_event: Vec<(Identifier, u32)>,
    written: u32,
    suppressed: u64,
}

impl LineLimit {
    pub(super) const fn new() -> Self {
        Self { counts: Mutex::new(LineCounts { by_event: Vec::new(), written: 0, suppressed: 0 }) }
    }

    /// Returns whether the line of an event may be written, and counts it.
    pub(super) fn take(&self, event: &Identifier, is_error: bool) -> bool {
        let mut counts = self.lock();
        let index = counts.by_event.iter().position(|(other, _)| other == event).unwrap_or_else(|| {
            counts.by_event.push((event.clone(), 0));
            counts.by_event.len() - 1
        });
        let total = counts.written;
        let Some((_, lines)) = counts.by_event.get_mut(index) else { return false };
        let is_written = *lines < MAX_LINES_PER_EVENT && (is_error || total < MAX_LINES);
        *lines += u32::from(is_written);
        counts.written += u32::from(is_written);
        counts.suppressed += u64::from(!is_written);
        is_written
    }

    /// Starts the count of the next invocation, and returns the number of suppressed lines.
    pub(super) fn reset(&self) -> u64 {
        let mut counts = self.lock();
        counts.by_event.clear();
        counts.written = 0;
        std::mem::take(&mut counts.suppressed)
    }

    fn lock(&self) -> MutexGuard<'_, LineCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
