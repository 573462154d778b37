//! Rules for pushed task stats: the time of their samples, and the proof that the documents are those of a task.
//!
//! A scrape asks the address that ECS reports for a task. A push comes from anywhere, so its containers must be the ones that ECS
//! reports. Their runtime IDs are 64 random digits on EC2 and ten on Fargate: nobody can guess them who cannot read the metadata
//! endpoint of the task or the ECS API.

use jiff::Timestamp;
use thiserror::Error;

use crate::model::task::Task;
use crate::model::task_metadata::{ContainerMetadata, PushedDocuments, TaskStats};

/// Maximum age of documents. The stats on Fargate are up to 10 s old, and a push waits a few seconds at most: an older time comes from
/// a clock that is wrong.
const MAX_AGE_MS: i64 = 300_000;

/// Maximum time in the future, for clocks that differ.
const MAX_AHEAD_MS: i64 = 60_000;

/// Minimum time between the samples of a task. The agent renews the stats every 10 s on Fargate and every second on EC2, so two pushes
/// within this time come from two senders of one task.
const MIN_INTERVAL_MS: i64 = 5_000;

/// Reason why the documents are not those of the task that they name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotOfTask {
    /// ECS does not report the IDs of containers that it just started.
    #[error("ECS does not report the containers of the task yet: send the documents again later")]
    NotReported,
    #[error("container {name:.100} has an ID that ECS does not report for the task")]
    OtherContainer { name: String },
    #[error("the stats have a container ID that the /task document does not have: {id:.100}")]
    UnknownStats { id: String },
}

/// Returns the time of all samples of a push: the newest time at which a container was read. The same documents then have the same
/// time whenever they arrive. If it is far from the time of arrival, a clock is wrong, and the time of arrival is used.
pub fn sample_time(stats: &TaskStats<'_>, arrival_ms: i64) -> i64 {
    let times = stats.containers.values().flatten().filter_map(|container| container.read.parse::<Timestamp>().ok());
    let newest = times.map(Timestamp::as_millisecond).max();
    newest.filter(|time| (arrival_ms - MAX_AGE_MS..=arrival_ms + MAX_AHEAD_MS).contains(time)).unwrap_or(arrival_ms)
}

/// Returns whether a push repeats one whose samples have the time `last_ms`, or comes from a second sender of the task.
pub fn is_repeated(last_ms: i64, time_ms: i64) -> bool {
    time_ms < last_ms.saturating_add(MIN_INTERVAL_MS)
}

/// Checks that every container of the documents is one that ECS reports for the task.
pub fn check_containers(documents: &PushedDocuments<'_>, task: &Task) -> Result<(), NotOfTask> {
    let containers = documents.task.containers();
    if task.containers.iter().all(|container| container.runtime_id.is_empty()) {
        return Err(NotOfTask::NotReported);
    }
    let is_reported = |container: &ContainerMetadata<'_>| {
        let described = task.containers.iter().filter(|described| *described.name == *container.name);
        described.into_iter().any(|described| *described.runtime_id == *container.docker_id)
    };
    // ECS adds a container for the network of a task, which it does not report. A container without an ID has not started.
    let is_own = |container: &&ContainerMetadata<'_>| {
        container.docker_id.is_empty() || is_pause_container(container) || is_reported(container)
    };
    if let Some(other) = containers.iter().find(|container| !is_own(container)) {
        return Err(NotOfTask::OtherContainer { name: other.name.to_string() });
    }
    let is_listed = |id: &str| containers.iter().any(|container| *container.docker_id == *id);
    match documents.stats.containers.keys().find(|id| !is_listed(id)) {
        Some(id) => Err(NotOfTask::UnknownStats { id: id.to_string() }),
        None => Ok(()),
    }
}

fn is_pause_container(container: &ContainerMetadata<'_>) -> bool {
    matches!(&*container.kind, "CNI_PAUSE" | "NAMESPACE_PAUSE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::TaskContainer;

    const TASK: &str = r#"{"TaskARN":"arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e","Containers":[
        {"DockerId":"aa","Name":"cart","Type":"NORMAL"},{"DockerId":"pp","Name":"~internal~ecs~pause","Type":"CNI_PAUSE"}]}"#;

    fn check(task: &str, stats: &str, reported: &[(&str, &str)]) -> Result<(), NotOfTask> {
        let body = format!("{task}{stats}");
        let documents = PushedDocuments::parse(body.as_bytes()).expect("two documents");
        let container = |&(name, id): &(&str, &str)| TaskContainer {
            name: name.into(),
            runtime_id: id.into(),
            ..TaskContainer::default()
        };
        let task = Task { containers: reported.iter().map(container).collect(), ..Task::default() };
        check_containers(&documents, &task)
    }

    #[test]
    fn containers_are_those_that_ecs_reports() {
        let stats = r#"{"aa":{"id":"aa"},"pp":null}"#;
        assert_eq!(check(TASK, stats, &[("cart", "aa"), ("db", "bb")]), Ok(()));
        let other = |name: &str| Err(NotOfTask::OtherContainer { name: name.into() });
        assert_eq!(check(TASK, stats, &[("cart", "ab")]), other("cart"));
        assert_eq!(check(TASK, stats, &[("db", "aa")]), other("cart"), "the name of another container");
        assert_eq!(check(TASK, stats, &[("cart", "")]), Err(NotOfTask::NotReported));
        assert_eq!(check(TASK, stats, &[]), Err(NotOfTask::NotReported));
        let foreign = r#"{"aa":{"id":"aa"},"cc":{"id":"cc"}}"#;
        assert_eq!(check(TASK, foreign, &[("cart", "aa")]), Err(NotOfTask::UnknownStats { id: "cc".into() }));
    }

    #[test]
    fn samples_have_the_newest_read_time_unless_a_clock_is_wrong() {
        let time = |stats: &str, arrival_ms| {
            let stats = TaskStats::parse(stats.as_bytes()).expect("stats");
            sample_time(&stats, arrival_ms)
        };
        let stats =
            r#"{"aa":{"id":"aa","read":"1970-01-01T01:00:07.5Z"},"bb":{"read":"1970-01-01T01:00:02Z"},"cc":null}"#;
        let read_ms = 3_607_500;
        for (arrival_ms, expected) in [
            (read_ms, read_ms),
            (read_ms + 300_000, read_ms),
            (read_ms + 300_001, read_ms + 300_001),
            (read_ms - 60_000, read_ms),
            (read_ms - 60_001, read_ms - 60_001),
        ] {
            assert_eq!(time(stats, arrival_ms), expected, "{arrival_ms}");
        }
        for stats in ["{}", r#"{"aa":null}"#, r#"{"aa":{"read":"now"}}"#, r#"{"aa":{"read":"9999-12-31T23:59:59Z"}}"#] {
            assert_eq!(time(stats, 77), 77, "{stats}");
        }
    }

    #[test]
    fn push_within_five_seconds_is_repeated() {
        for (time_ms, expected) in [(0, true), (10_000, true), (14_999, true), (15_000, false)] {
            assert_eq!(is_repeated(10_000, time_ms), expected, "{time_ms}");
        }
    }
}
