//! One round of scrapes, events and stops, counted: what a tick tells whoever invoked it by hand.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::HandleError;
use super::settle::Account;
use super::shards::Shards;
use crate::collect::discover::{Discovered, DiscoveryError};
use crate::collect::targets::Dropped;
use crate::deadline::Deadline;
use crate::invocation::Tick;
use crate::model::refusal::Refusals;
use crate::model::shard::Shard;
use crate::model::target::Task;
use crate::translate::own::Targets;
use crate::translate::stats;

/// One round of scrapes.
#[derive(Debug, Default)]
pub(super) struct Round {
    up: u64,
    down: u64,
    dropped: u64,
    /// Nobody asks for this round again.
    is_tick: bool,
    /// Log events of Container Insights.
    events: u64,
    stopped: u64,
    /// Targets that must not or cannot be scraped, and values in their documents that were set aside.
    refused: Refusals,
}

impl Round {
    /// The round of a tick, which nobody repeats when it fails.
    pub(super) fn of_tick() -> Self {
        Self { is_tick: true, ..Self::default() }
    }

    pub(super) fn comes_again(&self) -> bool {
        !self.is_tick
    }

    /// What was scraped; `None`: it is not a round of scrapes.
    pub(super) fn targets(&self) -> Option<Targets> {
        let Self { up, down, dropped, .. } = *self;
        (self.is_tick || up + down + dropped > 0).then_some(Targets { up, down, dropped })
    }

    /// The target, unless it must not or cannot be scraped: then it is counted.
    pub(super) fn kept<T>(&mut self, target: Result<T, Dropped>) -> Option<T> {
        target
            .map_err(|dropped| {
                self.dropped += 1;
                self.refused.add(dropped.kind(), 1, || dropped.to_string());
            })
            .ok()
    }

    /// Counts a scrape; one that failed is logged with its reason.
    pub(super) fn heard(&mut self, task: &Task, address: SocketAddr, said: Result<Refusals, String>) {
        match said {
            Ok(refused) => {
                self.up += 1;
                self.refused.merge(refused);
            }
            Err(reason) => {
                self.down += 1;
                let task = &*task.arn;
                tracing::warn!(task, %address, reason, "scrape of {task} at {address} failed: {reason}");
            }
        }
    }

    /// Counts a target that there was no time for.
    pub(super) fn not_asked(&mut self) {
        self.refused.add("target_not_asked", 1, || "those before it took all the time that there was".into());
    }

    /// Counts a log event that was read.
    pub(super) fn read_event(&mut self, outcome: stats::Outcome) {
        self.events += 1;
        self.wrote(outcome);
    }

    /// Counts a task that has come to its end, or one of whose containers has.
    pub(super) fn stopped(&mut self) {
        self.stopped += 1;
    }

    pub(super) fn wrote(&mut self, outcome: stats::Outcome) {
        self.refused.merge(outcome.refused);
    }

    /// Counts the tasks of a shard that came too late to be scraped.
    pub(super) fn late_shard(&mut self, shard: &Shard) {
        let (tasks, cluster) = (shard.tasks.len() as u64, &shard.cluster);
        self.refused.add("shard_late", tasks, || format!("a shard of {cluster} that was due at {}", shard.due_ms));
    }

    /// Takes out what was set aside, for the account of the samples.
    pub(super) fn take_refused(&mut self) -> Refusals {
        std::mem::take(&mut self.refused)
    }

    /// Logs the tick, and sums it up for whoever invoked by hand.
    pub(super) fn finish(
        self,
        tick: Tick,
        tasks: usize,
        shards: Shards,
        account: &Account,
        deadline: &Deadline,
    ) -> Value {
        let duration_ms = milliseconds(deadline);
        let Round { up, down, events, stopped, .. } = self;
        let shards_sent = shards.sent;
        tracing::info!(
            tasks,
            up,
            down,
            events,
            stopped,
            shards_sent,
            duration_ms,
            scheduled_ms = tick.scheduled_ms,
            "tick: {tasks} tasks, {up} targets up, {down} down, {events} Container Insights events, {stopped} stopped"
        );
        json!({
            "tasks": tasks, "targets_up": up, "targets_down": down, "insights_events": events, "stopped": stopped,
            "shards_sent": shards_sent, "shards_failed": shards.failed, "delivered": account.delivered,
            "spooled": account.spooled, "refused": account.refused.total(), "undelivered": account.lost,
        })
    }

    /// Logs a trigger other than the tick. An error when samples are left that have to come again.
    pub(super) fn finish_event(
        self,
        what: &'static str,
        account: &Account,
        deadline: &Deadline,
    ) -> Result<Value, HandleError> {
        let Round { up, down, events, stopped, .. } = self;
        let duration_ms = milliseconds(deadline);
        tracing::info!(what, up, down, events, stopped, duration_ms, "{what}: {up} targets up, {down} down");
        if account.lost > 0 {
            return Err(HandleError::Undelivered { samples: account.lost, why: account.why.clone() });
        }
        Ok(json!({
            "targets_up": up, "targets_down": down, "insights_events": events, "stopped": stopped,
            "delivered": account.delivered, "spooled": account.spooled, "refused": account.refused.total(),
        }))
    }
}

/// Logs what could not be asked. Where the last minutes' tasks stand in, nothing is lost yet.
pub(super) fn discovery(discovered: &Discovered) {
    failures(&discovered.failures);
    let recalled = discovered.recalled;
    let gone = discovered.gone;
    if gone > 0 {
        tracing::info!(gone, "{gone} tasks have gone since they were listed");
    }
    if recalled > 0 {
        tracing::warn!(recalled, "{recalled} tasks are taken as they were in the last minutes");
    }
}

pub(super) fn failures(failures: &[DiscoveryError]) {
    for failure in failures {
        tracing::error!(reason = failure.to_string(), "discovery: {failure}");
    }
}

fn milliseconds(deadline: &Deadline) -> u64 {
    u64::try_from(deadline.elapsed().as_millis()).unwrap_or(u64::MAX)
}
