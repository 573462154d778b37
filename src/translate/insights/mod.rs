//! Container Insights performance log events to series, for tasks without a stats endpoint, and for services and
//! clusters.
//!
//! CloudWatch writes one event per minute for each task, container, service and cluster to
//! `/aws/ecs/containerinsights/<cluster>/performance`. `event` is the format, `usage` converts values of tasks and
//! containers to the units of the receiver, `counts` converts counts of services and clusters. A sample has the time of
//! its event, so reading an event twice writes the same sample twice. Reading events is in `scrape::insights` and
//! `scrape::log_data`.

mod counts;
mod event;
mod usage;

pub use counts::{COUNTS, ResourceCount};

use crate::model::json;
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::shortened::Shortened;
use crate::model::task::Task;
use crate::translate::limits::exceeded_limit;
use crate::translate::stats::{
    Level, MetricWriter, Options, StatsResult, add_container_labels, add_extra_labels, task_labels,
};
use event::PerformanceEvent;

/// Maximum time of an event after the current time. Clocks of AWS differ less.
const MAX_AHEAD_MS: i64 = 60_000;

/// Context of the events of one log group.
#[derive(Clone, Copy)]
pub struct EventContext<'a> {
    /// Returns a task by id; `None` if it was not described.
    pub task: &'a dyn Fn(&str) -> Option<&'a Task>,
    /// Returns whether a task has a better source, so that its events are ignored.
    pub has_better_source: &'a dyn Fn(&str) -> bool,
    /// Short name of the cluster of the log group. Events of other clusters are rejected; `None` accepts all.
    pub cluster: Option<&'a str>,
    /// Partition, region and account of the log group, because some events do not contain them.
    pub partition: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    /// Whether region and account of the log group are known from AWS. An event then cannot set others.
    pub group_takes_precedence: bool,
    /// Current time. Events that are more than a minute ahead are rejected.
    pub now_ms: i64,
    /// Older events are rejected. `None` disables the check.
    pub max_age_ms: Option<i64>,
    /// Returns additional labels for the series of a task, or of no task. They never replace a label from the event.
    pub extra_labels: &'a dyn Fn(Option<&Task>) -> Labels,
    /// Returns whether a count of services or clusters has another source, so that it is not written.
    pub excluded_counts: &'a dyn Fn(&str) -> bool,
    pub options: &'a Options,
}

impl<'a> EventContext<'a> {
    /// Returns region and account of an event.
    fn region_and_account<'b>(&self, event: &'b PerformanceEvent<'_>) -> (&'b str, &'b str)
    where
        'a: 'b,
    {
        let choose = |own: &'b str, of_group: &'b str| match self.group_takes_precedence {
            true if !of_group.is_empty() => of_group,
            _ if own.is_empty() => of_group,
            _ => own,
        };
        (choose(&event.region, self.region), choose(&event.account_id, self.account))
    }
}

/// Event types that have series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    Task,
    Container,
    Service,
    Cluster,
}

/// Writes the series of one log event. Events without series are rejected with a reason: `malformed_event`,
/// `unsupported_event_type`, `incomplete_event`, `event_in_future`, `too_old`, `wrong_cluster` or `duplicate_event`, or the limit of
/// AMP that its texts exceed. Events of a task with a better source are neither written nor rejected.
pub fn event_series(event: &[u8], context: &EventContext<'_>, out: &mut SeriesBatch) -> StatsResult {
    let mut result = StatsResult::default();
    let mut event = match json::parse_object::<PerformanceEvent<'_>>("performance log event", event) {
        Ok(event) => event,
        Err(error) => {
            result.rejected.add("malformed_event", 1, || error.to_string());
            return result;
        }
    };
    let Some((kind, at_ms)) = validate(&event, context, &mut result.rejected) else { return result };
    if let Some(cluster) = context.cluster.filter(|cluster| *event.cluster_name != **cluster) {
        let example =
            || format!("an event of cluster \"{}\" in the log group of \"{cluster}\"", Shortened(&*event.cluster_name));
        result.rejected.add("wrong_cluster", 1, example);
        return result;
    }
    if kind == EventType::Container {
        event.usage.apply_container_fallbacks();
    }
    let (written, duplicates) = match kind {
        EventType::Service | EventType::Cluster => counts::write(&event, kind, at_ms, context, out),
        EventType::Task | EventType::Container if (context.has_better_source)(&event.task_id) => (0, 0),
        EventType::Task | EventType::Container => usage_series(&event, kind, at_ms, context, out),
    };
    if written == 0 && duplicates > 0 {
        result.rejected.add("duplicate_event", 1, || format!("second {} event of one minute", &*event.kind));
    }
    result.written = written;
    result
}

/// Returns the task id of an event; `None` if it has none or is malformed.
pub fn task_id(event: &[u8]) -> Option<String> {
    let event = json::parse_object::<PerformanceEvent<'_>>("performance log event", event).ok()?;
    (!event.task_id.is_empty()).then(|| event.task_id.to_string())
}

/// Returns type and time of a valid event.
fn validate(
    event: &PerformanceEvent<'_>,
    context: &EventContext<'_>,
    rejected: &mut Rejections,
) -> Option<(EventType, i64)> {
    let now_ms = context.now_ms;
    let (kind, has_name) = match &*event.kind {
        "Task" => (EventType::Task, !event.task_id.is_empty()),
        "Container" => (EventType::Container, !event.task_id.is_empty() && !event.container_name.is_empty()),
        "Service" => (EventType::Service, !event.service_name.is_empty()),
        "Cluster" => (EventType::Cluster, true),
        other => {
            rejected.add("unsupported_event_type", 1, || format!("event type \"{}\"", Shortened(other)));
            return None;
        }
    };
    let at_ms = event.timestamp.as_u64().and_then(|at_ms| i64::try_from(at_ms).ok()).filter(|at_ms| *at_ms > 0);
    let (true, false, Some(at_ms)) = (has_name, event.cluster_name.is_empty(), at_ms) else {
        rejected.add("incomplete_event", 1, || format!("{} event without time, cluster or name", &*event.kind));
        return None;
    };
    if let Some(reason) = exceeded_limit(event.texts().map(|text| ("", text))) {
        rejected.add(reason, 1, || format!("{} event", &*event.kind));
        return None;
    }
    if at_ms > now_ms.saturating_add(MAX_AHEAD_MS) {
        rejected.add("event_in_future", 1, || format!("{} event with time {at_ms}, read at {now_ms}", &*event.kind));
        return None;
    }
    if context.max_age_ms.is_some_and(|max| at_ms < now_ms.saturating_sub(max)) {
        rejected.add("too_old", 1, || format!("{} event with time {at_ms}, read at {now_ms}", &*event.kind));
        return None;
    }
    Some((kind, at_ms))
}

fn usage_series<'a>(
    event: &PerformanceEvent<'_>,
    kind: EventType,
    at_ms: i64,
    context: &EventContext<'a>,
    out: &mut SeriesBatch,
) -> (u64, u64) {
    let task = (context.task)(&event.task_id);
    let container = task.and_then(|task| task.container(&event.container_name));
    let (mut written, mut duplicates) = (0, 0);
    for &compat in context.options.names.variants() {
        let writer = MetricWriter { compat, options: context.options, at_ms };
        let identity = usage::task_identity(event, task, context);
        let mut labels = task_labels(&identity, compat, context.options.labels);
        add_extra_labels(&mut labels, &(context.extra_labels)(task));
        let (level, values) = match kind {
            EventType::Container => {
                let identity = usage::container_identity(event, container);
                add_container_labels(&mut labels, &identity, compat, context.options.labels);
                let values = usage::container_values(&event.usage, container, context.options.approximate_memory_usage);
                (Level::Container, values)
            }
            _ => (Level::Task, usage::task_values(event, task, context.options.approximate_memory_usage, compat)),
        };
        let samples = writer.write(level, &values, &labels, out);
        written += samples;
        duplicates += writer.selected(level, &values) - samples;
    }
    (written, duplicates)
}

#[cfg(test)]
mod tests;
