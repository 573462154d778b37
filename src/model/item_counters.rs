//! Counters of items by status, since the start of the execution environment.
//!
//! Between invocations, two sums hold for each kind of item. Every received item has one status:
//! received = translated + delivered + unconfirmed + spooled + rejected + refused + filtered + dropped. For spooled items, over all
//! environments: spooled = redelivered + unconfirmed from the spool + dropped from the spool + items in the queue or its dead-letter
//! queue.

use std::collections::BTreeMap;

use super::rejection::Rejections;

/// Kind of counted items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// Pushed spans. They are converted to segments, or delivered with OTLP.
    Spans,
    /// Segment documents, converted from spans or pushed by an X-Ray SDK.
    Segments,
    /// Pushed data points. They are converted to samples.
    DataPoints,
    /// Pushed data points that are delivered to CloudWatch with OTLP.
    CloudWatchPoints,
    /// Samples and native histograms, converted from data points or scraped.
    Samples,
    /// Targets, events and values that were rejected before they were converted to samples.
    ScrapeInputs,
    /// Pushed log records.
    LogRecords,
}

/// Status of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemStatus {
    Received,
    /// Converted to items of another kind, which are counted as received.
    Translated,
    /// The destination responded with success.
    Delivered,
    /// The destination stored a part of the request, and did not name the items that it stored.
    Unconfirmed,
    Spooled,
    /// Permanently rejected by the function or by the destination. The sender was notified.
    Rejected,
    /// Returned to the sender with 503. The sender retries.
    Refused,
    /// Removed or merged by a setting.
    Filtered,
    /// Stored otherwise than it was received. Counted in addition to another status.
    Modified,
    /// Not accepted because the destination denied access. Counted in addition to another status.
    AccessDenied,
    /// Neither delivered nor stored, and not retried.
    Dropped,
    /// Delivered after it was spooled.
    Redelivered,
    /// As `Unconfirmed`, after it was spooled.
    UnconfirmedFromSpool,
    /// Dropped after it was spooled.
    DroppedFromSpool,
}

/// Key of a counter. `reason` is empty for a status without reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterKey {
    pub status: ItemStatus,
    pub item: ItemKind,
    pub reason: &'static str,
}

/// Number and total duration of the invocations of a trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InvocationTime {
    pub invocations: u64,
    pub seconds: f64,
}

/// All counters. They never decrease.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemCounters {
    counts: BTreeMap<CounterKey, u64>,
    invocation_time: BTreeMap<&'static str, InvocationTime>,
    http_errors: BTreeMap<u16, u64>,
}

impl ItemKind {
    pub const ALL: [ItemKind; 7] = [
        ItemKind::Spans,
        ItemKind::Segments,
        ItemKind::DataPoints,
        ItemKind::CloudWatchPoints,
        ItemKind::Samples,
        ItemKind::ScrapeInputs,
        ItemKind::LogRecords,
    ];

    /// Returns the value of the label `item`.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemKind::Spans => "spans",
            ItemKind::Segments => "segments",
            ItemKind::DataPoints => "data_points",
            ItemKind::CloudWatchPoints => "cloudwatch_points",
            ItemKind::Samples => "samples",
            ItemKind::ScrapeInputs => "scrape_inputs",
            ItemKind::LogRecords => "log_records",
        }
    }

    /// Returns the value of the label `destination`.
    pub fn destination(self) -> &'static str {
        match self {
            ItemKind::Spans | ItemKind::Segments => "xray",
            ItemKind::DataPoints | ItemKind::Samples | ItemKind::ScrapeInputs => "amp",
            ItemKind::CloudWatchPoints => "cloudwatch",
            ItemKind::LogRecords => "cloudwatch_logs",
        }
    }

    /// Returns the name of the destination in messages.
    pub(crate) fn destination_name(self) -> &'static str {
        match self {
            ItemKind::Spans | ItemKind::Segments => "X-Ray",
            ItemKind::DataPoints | ItemKind::Samples | ItemKind::ScrapeInputs => "AMP",
            ItemKind::CloudWatchPoints => "CloudWatch",
            ItemKind::LogRecords => "CloudWatch Logs",
        }
    }
}

impl ItemCounters {
    pub fn add(&mut self, status: ItemStatus, item: ItemKind, count: u64) {
        self.add_with_reason(status, item, "", count);
    }

    pub fn add_with_reason(&mut self, status: ItemStatus, item: ItemKind, reason: &'static str, count: u64) {
        if count > 0 {
            *self.counts.entry(CounterKey { status, item, reason }).or_default() += count;
        }
    }

    /// Adds the count of every reason.
    pub fn add_all(&mut self, status: ItemStatus, item: ItemKind, rejections: &Rejections) {
        for rejection in rejections.iter() {
            self.add_with_reason(status, item, rejection.reason, rejection.count);
        }
    }

    /// Adds an invocation.
    pub fn record_invocation(&mut self, trigger: &'static str, seconds: f64) {
        let time = self.invocation_time.entry(trigger).or_default();
        time.invocations += 1;
        time.seconds += seconds;
    }

    /// Counts an HTTP request with an error response.
    pub fn record_http_error(&mut self, status: u16) {
        *self.http_errors.entry(status).or_default() += 1;
    }

    pub fn counts(&self) -> impl Iterator<Item = (CounterKey, u64)> {
        self.counts.iter().map(|(&key, &count)| (key, count))
    }

    pub fn invocation_time(&self) -> impl Iterator<Item = (&'static str, InvocationTime)> {
        self.invocation_time.iter().map(|(&trigger, &time)| (trigger, time))
    }

    /// Returns the number of HTTP requests for each error status.
    pub fn http_errors(&self) -> impl Iterator<Item = (u16, u64)> {
        self.http_errors.iter().map(|(&status, &count)| (status, count))
    }

    /// Returns the count of a status for all reasons.
    pub fn total(&self, status: ItemStatus, item: ItemKind) -> u64 {
        let is_counted = |key: &CounterKey| key.status == status && key.item == item;
        self.counts().filter(|(key, _)| is_counted(key)).map(|(_, count)| count).sum()
    }

    /// Returns the kinds whose received items do not equal the sum of the other statuses. Empty except during an invocation.
    pub fn unbalanced(&self) -> Vec<ItemKind> {
        let sum_of_statuses = |item| {
            let statuses = [
                ItemStatus::Translated,
                ItemStatus::Delivered,
                ItemStatus::Unconfirmed,
                ItemStatus::Spooled,
                ItemStatus::Rejected,
                ItemStatus::Refused,
                ItemStatus::Filtered,
                ItemStatus::Dropped,
            ];
            statuses.into_iter().map(|status| self.total(status, item)).sum::<u64>()
        };
        let is_unbalanced = |item: &ItemKind| self.total(ItemStatus::Received, *item) != sum_of_statuses(*item);
        ItemKind::ALL.into_iter().filter(is_unbalanced).collect()
    }

    /// Returns the increase since `earlier`, a previous state of these counters.
    pub fn diff(&self, earlier: &ItemCounters) -> ItemCounters {
        let mut increase = ItemCounters::default();
        for (key, count) in self.counts() {
            let before = earlier.counts.get(&key).copied().unwrap_or_default();
            increase.add_with_reason(key.status, key.item, key.reason, count.saturating_sub(before));
        }
        increase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_items_equal_the_sum_of_their_statuses() {
        let mut counters = ItemCounters::default();
        counters.add(ItemStatus::Received, ItemKind::Spans, 5);
        assert_eq!(counters.unbalanced(), [ItemKind::Spans]);
        counters.add(ItemStatus::Delivered, ItemKind::Spans, 2);
        let mut rejected = Rejections::default();
        rejected.add("a", 1, String::new);
        rejected.add("b", 1, String::new);
        counters.add_all(ItemStatus::Rejected, ItemKind::Spans, &rejected);
        assert_eq!(counters.unbalanced(), [ItemKind::Spans]);
        counters.add_with_reason(ItemStatus::Dropped, ItemKind::Spans, "undelivered", 1);
        assert_eq!(counters.unbalanced(), []);
        assert_eq!(counters.total(ItemStatus::Rejected, ItemKind::Spans), 2);
        counters.add(ItemStatus::Redelivered, ItemKind::Samples, 9);
        assert_eq!(counters.unbalanced(), [], "redelivered items were counted when they were spooled");
    }

    #[test]
    fn diff_contains_only_increased_counters() {
        let mut counters = ItemCounters::default();
        counters.add(ItemStatus::Received, ItemKind::Spans, 5);
        let before = counters.clone();
        counters.add(ItemStatus::Received, ItemKind::Samples, 2);
        let increase: Vec<_> = counters.diff(&before).counts().map(|(key, count)| (key.item, count)).collect();
        assert_eq!(increase, [(ItemKind::Samples, 2)]);
    }
}
