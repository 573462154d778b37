//! State of Amazon ECS as series: clusters, services, tasks, containers and container instances.
//!
//! The values come from the descriptions of the ECS API alone, so that they exist for every task, whatever it exposes. `metrics` is
//! the table of names. Names follow kube-state-metrics where there is no older name: `*_info` is always 1, a set of states has one
//! series for each state, and times are seconds since 1970. Labels do not change during the life of a resource, or else the
//! series that is left ends with a staleness marker ([`Action::End`]).

mod groups;
mod metrics;
mod resources;
mod task;
#[cfg(test)]
mod tests;
mod writer;

pub use groups::{SourceCounts, TaskGroup, TaskGroups};
pub use metrics::{STATE_METRICS, Scope, StateMetric, StateSelection, UnknownStateMetric};
pub use task::{StateTask, source_name};
pub use writer::{Action, StateWriter};
