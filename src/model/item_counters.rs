//! What came in and what became of it, counted since this environment began: the accounts of the function.
//!
//! Two sums hold at any time between two invocations, per item. Everything that came in has one status:
//! received = translated + delivered + spooled + refused + lost. And of what was spooled, by whichever environment:
//! spooled = redelivered + dropped + what still waits in the queue or its dead-letter queue.

use std::collections::BTreeMap;

use super::rejection::Rejections;

/// What is counted, in the units in which it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// Pushed spans. They become segments, or are delivered as they are with OTLP.
    Spans,
    /// Segment documents, made of spans or pushed as such.
    Segments,
    /// Pushed data points. They become samples.
    DataPoints,
    /// Samples and native histograms, made of data points or of what was scraped.
    Samples,
    /// Targets, events and values that were set aside before anything was made of them.
    ScrapeInputs,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemStatus {
    Received,
    /// Became something else, which is received under its own item.
    Translated,
    /// Its destination has answered with success.
    Delivered,
    Spooled,
    /// Not taken, here or by its destination; its sender was told.
    Rejected,
    /// Returned to the sender with 503; the sender retries it.
    Refused,
    /// Neither delivered nor stored; not retried.
    Dropped,
    /// Delivered after it was spooled.
    Redelivered,
    /// Lost after it was spooled.
    DroppedFromSpool,
}

/// One number of the counters. `reason` is empty where a status has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterKey {
    pub status: ItemStatus,
    pub item: ItemKind,
    pub reason: &'static str,
}

/// Time spent in invocations of one trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InvocationTime {
    pub invocations: u64,
    pub seconds: f64,
}

/// All numbers, each growing only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemCounters {
    counts: BTreeMap<CounterKey, u64>,
    invocation_time: BTreeMap<&'static str, InvocationTime>,
    http_errors: BTreeMap<u16, u64>,
}

impl ItemKind {
    pub const ALL: [ItemKind; 5] =
        [ItemKind::Spans, ItemKind::Segments, ItemKind::DataPoints, ItemKind::Samples, ItemKind::ScrapeInputs];

    /// The label `item`.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemKind::Spans => "spans",
            ItemKind::Segments => "segments",
            ItemKind::DataPoints => "data_points",
            ItemKind::Samples => "samples",
            ItemKind::ScrapeInputs => "scrape_inputs",
        }
    }

    /// The label `destination`: where it goes, or would have gone.
    pub fn destination(self) -> &'static str {
        match self {
            ItemKind::Spans | ItemKind::Segments => "xray",
            ItemKind::DataPoints | ItemKind::Samples | ItemKind::ScrapeInputs => "amp",
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

    /// Enters every reason with its count.
    pub fn add_all(&mut self, status: ItemStatus, item: ItemKind, refusals: &Rejections) {
        for refusal in refusals.iter() {
            self.add_with_reason(status, item, refusal.reason, refusal.count);
        }
    }

    /// Enters an invocation.
    pub fn record_invocation(&mut self, trigger: &'static str, seconds: f64) {
        let spent = self.invocation_time.entry(trigger).or_default();
        spent.invocations += 1;
        spent.seconds += seconds;
    }

    /// Enters a push that was answered with an error.
    pub fn record_http_error(&mut self, status: u16) {
        *self.http_errors.entry(status).or_default() += 1;
    }

    pub fn counts(&self) -> impl Iterator<Item = (CounterKey, u64)> {
        self.counts.iter().map(|(&counter, &count)| (counter, count))
    }

    pub fn invocation_time(&self) -> impl Iterator<Item = (&'static str, InvocationTime)> {
        self.invocation_time.iter().map(|(&trigger, &spent)| (trigger, spent))
    }

    /// Pushes by the status they were answered with.
    pub fn http_errors(&self) -> impl Iterator<Item = (u16, u64)> {
        self.http_errors.iter().map(|(&status, &count)| (status, count))
    }

    /// One status of one item, for whatever reason.
    pub fn total(&self, status: ItemStatus, item: ItemKind) -> u64 {
        let of = |counter: &CounterKey| counter.status == status && counter.item == item;
        self.counts().filter(|(counter, _)| of(counter)).map(|(_, count)| count).sum()
    }

    /// Signals of which more or less came in than is accounted for: none, but between the steps of an invocation.
    pub fn unbalanced(&self) -> Vec<ItemKind> {
        let accounted = |item| {
            let statuses = [
                ItemStatus::Translated,
                ItemStatus::Delivered,
                ItemStatus::Spooled,
                ItemStatus::Rejected,
                ItemStatus::Refused,
                ItemStatus::Dropped,
            ];
            statuses.into_iter().map(|status| self.total(status, item)).sum::<u64>()
        };
        let is_off = |item: &ItemKind| self.total(ItemStatus::Received, *item) != accounted(*item);
        ItemKind::ALL.into_iter().filter(is_off).collect()
    }

    /// What was entered since `earlier`, a former state of this counters.
    pub fn diff(&self, earlier: &ItemCounters) -> ItemCounters {
        let mut grown = ItemCounters::default();
        for (counter, count) in self.counts() {
            let before = earlier.counts.get(&counter).copied().unwrap_or_default();
            grown.add_with_reason(counter.status, counter.item, counter.reason, count.saturating_sub(before));
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_came_in_has_one_fate() {
        let mut counters = ItemCounters::default();
        counters.add(ItemStatus::Received, ItemKind::Spans, 5);
        assert_eq!(counters.unbalanced(), [ItemKind::Spans]);
        counters.add(ItemStatus::Delivered, ItemKind::Spans, 2);
        let mut refused = Rejections::default();
        refused.add("a", 1, String::new);
        refused.add("b", 1, String::new);
        counters.add_all(ItemStatus::Rejected, ItemKind::Spans, &refused);
        assert_eq!(counters.unbalanced(), [ItemKind::Spans]);
        counters.add_with_reason(ItemStatus::Dropped, ItemKind::Spans, "undelivered", 1);
        assert_eq!(counters.unbalanced(), []);
        assert_eq!(counters.total(ItemStatus::Rejected, ItemKind::Spans), 2);
        counters.add(ItemStatus::Redelivered, ItemKind::Samples, 9);
        assert_eq!(counters.unbalanced(), [], "what was spooled was accounted for when it came");
    }

    #[test]
    fn what_has_not_grown_is_not_in_the_difference() {
        let mut counters = ItemCounters::default();
        counters.add(ItemStatus::Received, ItemKind::Spans, 5);
        let before = counters.clone();
        counters.add(ItemStatus::Received, ItemKind::Samples, 2);
        let grown: Vec<_> = counters.diff(&before).counts().map(|(counter, count)| (counter.item, count)).collect();
        assert_eq!(grown, [(ItemKind::Samples, 2)]);
    }
}
