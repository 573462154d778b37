//! What came in and what became of it, counted since this environment began: the accounts of the function.
//!
//! Two sums hold at any time between two invocations, per signal. Everything that came in has one fate:
//! received = translated + delivered + spooled + refused + lost. And of what was spooled, by whichever environment:
//! spooled = redelivered + dropped + what still waits in the queue or its dead-letter queue.

use std::collections::BTreeMap;

use super::refusal::Refusals;

/// What is counted, in the units in which it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Pushed spans. They become segments, or are delivered as they are with OTLP.
    Spans,
    /// Segment documents, made of spans or pushed as such.
    Segments,
    /// Pushed data points. They become samples.
    DataPoints,
    /// Samples and native histograms, made of data points or of what was scraped.
    Samples,
    /// Targets, events and values that were set aside before anything was made of them.
    Readings,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Received,
    /// Became something else, which is received under its own signal.
    Translated,
    /// Its destination has answered with success.
    Delivered,
    Spooled,
    /// Not taken, here or by its destination; its sender was told.
    Refused,
    /// Neither delivered nor kept, and nobody sends it again.
    Lost,
    /// Delivered after it was spooled.
    Redelivered,
    /// Lost after it was spooled.
    Dropped,
}

/// One number of the ledger. `reason` is empty where a fate has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    pub fate: Fate,
    pub signal: Signal,
    pub reason: &'static str,
}

/// Time spent in invocations of one trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    pub invocations: u64,
    pub seconds: f64,
}

/// All numbers, each growing only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    counts: BTreeMap<Counter, u64>,
    spent: BTreeMap<&'static str, Spent>,
    refused_pushes: BTreeMap<u16, u64>,
}

impl Signal {
    pub const ALL: [Signal; 5] =
        [Signal::Spans, Signal::Segments, Signal::DataPoints, Signal::Samples, Signal::Readings];

    /// The label `signal`.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Spans => "spans",
            Signal::Segments => "segments",
            Signal::DataPoints => "data_points",
            Signal::Samples => "samples",
            Signal::Readings => "readings",
        }
    }

    /// The label `destination`: where it goes, or would have gone.
    pub fn destination(self) -> &'static str {
        match self {
            Signal::Spans | Signal::Segments => "xray",
            Signal::DataPoints | Signal::Samples | Signal::Readings => "amp",
        }
    }
}

impl Ledger {
    pub fn add(&mut self, fate: Fate, signal: Signal, count: u64) {
        self.add_for(fate, signal, "", count);
    }

    pub fn add_for(&mut self, fate: Fate, signal: Signal, reason: &'static str, count: u64) {
        if count > 0 {
            *self.counts.entry(Counter { fate, signal, reason }).or_default() += count;
        }
    }

    /// Enters every reason with its count.
    pub fn add_all(&mut self, fate: Fate, signal: Signal, refusals: &Refusals) {
        for refusal in refusals.iter() {
            self.add_for(fate, signal, refusal.reason, refusal.count);
        }
    }

    /// Enters an invocation.
    pub fn spend(&mut self, trigger: &'static str, seconds: f64) {
        let spent = self.spent.entry(trigger).or_default();
        spent.invocations += 1;
        spent.seconds += seconds;
    }

    /// Enters a push that was answered with an error.
    pub fn refuse_push(&mut self, status: u16) {
        *self.refused_pushes.entry(status).or_default() += 1;
    }

    pub fn counts(&self) -> impl Iterator<Item = (Counter, u64)> {
        self.counts.iter().map(|(&counter, &count)| (counter, count))
    }

    pub fn spent(&self) -> impl Iterator<Item = (&'static str, Spent)> {
        self.spent.iter().map(|(&trigger, &spent)| (trigger, spent))
    }

    /// Pushes by the status they were answered with.
    pub fn refused_pushes(&self) -> impl Iterator<Item = (u16, u64)> {
        self.refused_pushes.iter().map(|(&status, &count)| (status, count))
    }

    /// One fate of one signal, for whatever reason.
    pub fn total(&self, fate: Fate, signal: Signal) -> u64 {
        let of = |counter: &Counter| counter.fate == fate && counter.signal == signal;
        self.counts().filter(|(counter, _)| of(counter)).map(|(_, count)| count).sum()
    }

    /// Signals of which more or less came in than is accounted for: none, but between the steps of an invocation.
    pub fn unbalanced(&self) -> Vec<Signal> {
        let accounted = |signal| {
            let fates = [Fate::Translated, Fate::Delivered, Fate::Spooled, Fate::Refused, Fate::Lost];
            fates.into_iter().map(|fate| self.total(fate, signal)).sum::<u64>()
        };
        let is_off = |signal: &Signal| self.total(Fate::Received, *signal) != accounted(*signal);
        Signal::ALL.into_iter().filter(is_off).collect()
    }

    /// What was entered since `earlier`, a former state of this ledger.
    pub fn since(&self, earlier: &Ledger) -> Ledger {
        let mut grown = Ledger::default();
        for (counter, count) in self.counts() {
            let before = earlier.counts.get(&counter).copied().unwrap_or_default();
            grown.add_for(counter.fate, counter.signal, counter.reason, count.saturating_sub(before));
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_came_in_has_one_fate() {
        let mut ledger = Ledger::default();
        ledger.add(Fate::Received, Signal::Spans, 5);
        assert_eq!(ledger.unbalanced(), [Signal::Spans]);
        ledger.add(Fate::Delivered, Signal::Spans, 2);
        let mut refused = Refusals::default();
        refused.add("a", 1, String::new);
        refused.add("b", 1, String::new);
        ledger.add_all(Fate::Refused, Signal::Spans, &refused);
        assert_eq!(ledger.unbalanced(), [Signal::Spans]);
        ledger.add_for(Fate::Lost, Signal::Spans, "undelivered", 1);
        assert_eq!(ledger.unbalanced(), []);
        assert_eq!(ledger.total(Fate::Refused, Signal::Spans), 2);
        ledger.add(Fate::Redelivered, Signal::Samples, 9);
        assert_eq!(ledger.unbalanced(), [], "what was spooled was accounted for when it came");
    }

    #[test]
    fn what_has_not_grown_is_not_in_the_difference() {
        let mut ledger = Ledger::default();
        ledger.add(Fate::Received, Signal::Spans, 5);
        let before = ledger.clone();
        ledger.add(Fate::Received, Signal::Samples, 2);
        let grown: Vec<_> = ledger.since(&before).counts().map(|(counter, count)| (counter.signal, count)).collect();
        assert_eq!(grown, [(Signal::Samples, 2)]);
    }
}
