//! Container Insights performance log events become the series of the tasks that serve no stats themselves.
//!
//! CloudWatch writes one event per task, container, service and cluster and minute into
//! `/aws/ecs/containerinsights/<cluster>/performance`. `event` is its shape, `usage` puts its numbers into the units of the
//! receiver, `counts` are those of services and clusters. A sample has its event's own time, so that reading an event
//! twice writes the same sample twice.

mod counts;
mod event;
mod usage;

pub use counts::{COUNTS, ResourceCount};

use crate::model::json;
use crate::model::rejection::Rejections;
use crate::model::series::{Labels, SeriesBatch};
use crate::model::task::Task;
use crate::translate::stats::{Level, MetricWriter, Options, StatsResult, add_container, add_extra, of_task};
use event::PerformanceEvent;

/// An event further ahead than this is from the future: clocks of AWS are closer than that to one another.
const MAX_AHEAD_MS: i64 = 60_000;

/// What the events of one log group are read against.
#[derive(Clone, Copy)]
pub struct EventContext<'a> {
    /// What ECS says of a task, by its id; `None` for tasks it was not asked for.
    pub task: &'a dyn Fn(&str) -> Option<&'a Task>,
    /// Whether a better source covers the task of this id, so that its events are passed over.
    pub has_better_source: &'a dyn Fn(&str) -> bool,
    /// Of the log group: not every event says where it is from.
    pub partition: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    /// Events after this time, but for a minute, are refused.
    pub now_ms: i64,
    /// Labels for every series of a task, or of no task; never in place of one that the event gives.
    pub extra_labels: &'a dyn Fn(Option<&Task>) -> Labels,
    pub options: &'a Options,
}

impl<'a> EventContext<'a> {
    /// Region and account of an event.
    fn place<'b>(&self, event: &'b PerformanceEvent<'_>) -> (&'b str, &'b str)
    where
        'a: 'b,
    {
        let or = |said: &'b str, known: &'b str| if said.is_empty() { known } else { said };
        (or(&event.region, self.region), or(&event.account_id, self.account))
    }
}

/// The kinds of event that have series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    Task,
    Container,
    Service,
    Cluster,
}

/// Writes the series of one log event. An event that has none stands in the outcome's refusals:
/// `malformed_event`, `event_type`, `incomplete_event`, `event_in_future`, `duplicate_event`. One of a task that a
/// better source covers is neither written nor refused.
pub fn event_series(event: &[u8], context: &EventContext<'_>, out: &mut SeriesBatch) -> StatsResult {
    let mut outcome = StatsResult::default();
    let mut event = match json::parse::<PerformanceEvent<'_>>("a performance log event", event) {
        Ok(event) => event,
        Err(error) => {
            outcome.rejected.add("malformed_event", 1, || error.to_string());
            return outcome;
        }
    };
    let Some((kind, at_ms)) = validate(&event, context.now_ms, &mut outcome.rejected) else { return outcome };
    if kind == EventType::Container {
        event.usage.apply_container_fallbacks();
    }
    let (written, again) = match kind {
        EventType::Service | EventType::Cluster => counts::write(&event, kind, at_ms, context, out),
        EventType::Task | EventType::Container if (context.has_better_source)(&event.task_id) => (0, 0),
        EventType::Task | EventType::Container => usage_series(&event, kind, at_ms, context, out),
    };
    if written == 0 && again > 0 {
        outcome.rejected.add("duplicate_event", 1, || format!("a second {} event of one minute", &*event.kind));
    }
    outcome.written = written;
    outcome
}

/// The id of the task that an event is about, of whatever kind; `None` when it is about none, or cannot be read.
pub fn task_id(event: &[u8]) -> Option<String> {
    let event = json::parse::<PerformanceEvent<'_>>("a performance log event", event).ok()?;
    (!event.task_id.is_empty()).then(|| event.task_id.to_string())
}

/// Kind and time of an event that can be written.
fn validate(event: &PerformanceEvent<'_>, now_ms: i64, refused: &mut Rejections) -> Option<(EventType, i64)> {
    let (kind, named) = match &*event.kind {
        "Task" => (EventType::Task, !event.task_id.is_empty()),
        "Container" => (EventType::Container, !event.task_id.is_empty() && !event.container_name.is_empty()),
        "Service" => (EventType::Service, !event.service_name.is_empty()),
        "Cluster" => (EventType::Cluster, true),
        other => {
            refused.add("unsupported_event_type", 1, || format!("an event of the type {other:?}"));
            return None;
        }
    };
    let at_ms = event.timestamp.as_u64().and_then(|at_ms| i64::try_from(at_ms).ok()).filter(|at_ms| *at_ms > 0);
    let (true, false, Some(at_ms)) = (named, event.cluster_name.is_empty(), at_ms) else {
        refused.add("incomplete_event", 1, || format!("a {} event without time, cluster or name", &*event.kind));
        return None;
    };
    if at_ms > now_ms.saturating_add(MAX_AHEAD_MS) {
        refused.add("event_in_future", 1, || format!("a {} event of {at_ms} read at {now_ms}", &*event.kind));
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
    let (mut written, mut again) = (0, 0);
    for &numbers in context.options.names.variants() {
        let writer = MetricWriter { numbers, options: context.options, at_ms };
        let identity = usage::task_identity(event, task, context);
        let mut labels = of_task(&identity, numbers, context.options);
        add_extra(&mut labels, &(context.extra_labels)(task));
        let (level, readings) = match kind {
            EventType::Container => {
                let identity = usage::container_identity(event, container);
                add_container(&mut labels, &identity, numbers, context.options);
                let readings = usage::of_container(&event.usage, container, context.options.approximate_memory_usage);
                (Level::Container, readings)
            }
            _ => (Level::Task, usage::of_task(event, task, context.options.approximate_memory_usage, numbers)),
        };
        let samples = writer.write(level, &readings, &mut labels, out);
        written += samples;
        again += writer.selected(level, &readings) - samples;
    }
    (written, again)
}

#[cfg(test)]
mod tests;
