//! Limit of the log lines of one invocation and of their length: a run with a thousand targets that are down, or a batch of messages
//! with long texts, must not fill the log, which is billed by size, and must not hide other lines.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::callsite::Identifier;

use crate::model::shortened::MAX_TEXT_BYTES;

/// Lines of one event, such as "scrape failed", in one invocation.
pub(super) const MAX_LINES_PER_EVENT: u32 = 50;

/// Lines of one invocation. Errors are not limited by it, because alarms count the lines about lost data.
pub(super) const MAX_LINES: u32 = 200;

/// Bytes of the lines of one invocation: as many as 200 lines of 160 bytes. The first line of an error is written in any case,
/// because alarms look for it.
pub(super) const MAX_BYTES: usize = 32 << 10;

/// Maximum length of a text in further lines of the same event. It holds an address, the path of an endpoint and a reason.
const MAX_REPEATED_TEXT_BYTES: usize = 256;

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
    bytes: usize,
    suppressed: u64,
}

impl LineLimit {
    pub(super) const fn new() -> Self {
        Self { counts: Mutex::new(LineCounts { by_event: Vec::new(), written: 0, bytes: 0, suppressed: 0 }) }
    }

    /// Counts a line of an event, and returns the maximum length of its texts; `None` if the line must not be written.
    pub(super) fn take(&self, event: &Identifier, is_error: bool) -> Option<usize> {
        let mut counts = self.lock();
        let index = counts.by_event.iter().position(|(other, _)| other == event).unwrap_or_else(|| {
            counts.by_event.push((event.clone(), 0));
            counts.by_event.len() - 1
        });
        let (total, is_full) = (counts.written, counts.bytes >= MAX_BYTES);
        let (_, lines) = counts.by_event.get_mut(index)?;
        let is_first = *lines == 0;
        let is_written =
            *lines < MAX_LINES_PER_EVENT && (is_error || total < MAX_LINES) && (!is_full || is_error && is_first);
        *lines += u32::from(is_written);
        counts.written += u32::from(is_written);
        counts.suppressed += u64::from(!is_written);
        is_written.then_some(if is_first { MAX_TEXT_BYTES } else { MAX_REPEATED_TEXT_BYTES })
    }

    /// Counts the length of a line.
    pub(super) fn add_bytes(&self, bytes: usize) {
        self.lock().bytes += bytes;
    }

    /// Starts the count of the next invocation, and returns the number of suppressed lines.
    pub(super) fn reset(&self) -> u64 {
        let mut counts = self.lock();
        counts.by_event.clear();
        counts.written = 0;
        counts.bytes = 0;
        std::mem::take(&mut counts.suppressed)
    }

    fn lock(&self) -> MutexGuard<'_, LineCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
