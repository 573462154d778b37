//! Rules for pushed task stats: the time of their samples, and the proof that the documents are those of a task.
//!
//! A scrape asks the address that ECS reports for a task. A push comes from anywhere, so its containers must be the ones that ECS
//! reports. Their runtime IDs are 64 random digits on EC2 and ten on Fargate: nobody can guess them who cannot read the metadata
//! endpoint of the task or the ECS API.

use jiff::Timestamp;
use thiserror::Error;

use crate::model::json::JsonStr;
use crate::model::task::{Task, TaskContainer};
use crate::model::task_metadata::{ContainerMetadata, PushedDocuments, TaskStats};

/// Maximum age of documents. The stats on Fargate are up to 10 s old, and a push waits a few seconds at most: an older time comes from
/// a clock that is wrong.
const MAX_AGE_MS: i64 = 300_000;

/// Minimum time between the samples of a task. The agent renews the stats every 10 s on Fargate and every second on EC2, so two pushes
/// within this time come from two senders of one task.
const MIN_INTERVAL_MS: i64 = 5_000;

/// Name of the container that ECS adds for the network of a task, and does not report (amazon-ecs-agent, `NetworkPauseContainerName`).
const PAUSE_CONTAINER: &str = "~internal~ecs~pause";

/// Reason why the documents are not those of the task that they name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotOfTask {
    /// ECS does not report the IDs of containers that it just started.
    #[error("ECS does not report the containers of the task yet: send the documents again later")]
    NotReported,
    #[error("no container of the documents has the name and the ID of a container that ECS reports for the task")]
    OtherContainers,
}

/// Returns the time of all samples of a push: the newest time at which a container was read. The same documents then have the same
/// time whenever they arrive. If it is far from the time of arrival or after it, a clock is wrong, and the time of arrival is used.
pub fn sample_time(stats: &TaskStats<'_>, arrival_ms: i64) -> i64 {
    let times = stats.containers.values().flatten().filter_map(|container| container.read.parse::<Timestamp>().ok());
    let newest = times.map(Timestamp::as_millisecond).max();
    newest.filter(|time| (arrival_ms - MAX_AGE_MS..=arrival_ms).contains(time)).unwrap_or(arrival_ms)
}

/// Returns whether a push repeats one whose samples have the time `last_ms`, or comes from a second sender of the task.
pub fn is_repeated(last_ms: i64, time_ms: i64) -> bool {
    time_ms < last_ms.saturating_add(MIN_INTERVAL_MS)
}

/// Returns the number of containers that ECS does not report for the task. At least one container must be reported, because its ID
/// proves that the sender can read the documents of the task.
pub fn unreported_containers(documents: &PushedDocuments<'_>, task: &Task) -> Result<u64, NotOfTask> {
    if task.containers.iter().all(|container| container.runtime_id.is_empty()) {
        return Err(NotOfTask::NotReported);
    }
    let containers = documents.task.containers().iter();
    let has_proof = containers.clone().any(|container| reported(container, task).is_some());
    let unreported = containers.filter(|container| !is_kept(container, task)).count() as u64;
    if has_proof { Ok(unreported) } else { Err(NotOfTask::OtherContainers) }
}

/// Removes containers that ECS does not report, and the stats of containers that are not in the document. The values of ECS replace those of
/// the documents for the others, because they become labels.
pub fn keep_reported(documents: &mut PushedDocuments<'_>, task: &Task) {
    let PushedDocuments { task: metadata, stats } = documents;
    metadata.availability_zone = JsonStr::default();
    let containers = &mut metadata.containers.items;
    containers.retain(|container| is_kept(container, task));
    for container in containers.iter_mut() {
        let Some(described) = reported(container, task) else { continue };
        container.image = owned(&described.image);
        container.image_id = owned(&described.image_digest);
        container.exit_code = described.exit_code.map(i64::from);
    }
    stats.containers.retain(|id, _| !id.is_empty() && containers.iter().any(|container| *container.docker_id == **id));
}

/// A container without an ID has not started.
fn is_kept(container: &ContainerMetadata<'_>, task: &Task) -> bool {
    let is_pause = &*container.name == PAUSE_CONTAINER && matches!(&*container.kind, "CNI_PAUSE" | "NAMESPACE_PAUSE");
    container.docker_id.is_empty() || is_pause || reported(container, task).is_some()
}

/// Returns the container that ECS reports with this name and ID.
fn reported<'t>(container: &ContainerMetadata<'_>, task: &'t Task) -> Option<&'t TaskContainer> {
    let is_same = |described: &&TaskContainer| {
        *described.name == *container.name && *described.runtime_id == *container.docker_id
    };
    task.containers.iter().find(is_same).filter(|described| !described.runtime_id.is_empty())
}

fn owned(text: &str) -> JsonStr<'static> {
    JsonStr(text.to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = r#"{"TaskARN":"arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e","AvailabilityZone":"z","Containers":[
        {"DockerId":"aa","Name":"cart","Type":"NORMAL","Image":"evil:666","ExitCode":7},
        {"DockerId":"pp","Name":"~internal~ecs~pause","Type":"CNI_PAUSE"},{"DockerId":"gg","Name":"guard","Type":"NORMAL"}]}"#;

    fn task(reported: &[(&str, &str)]) -> Task {
        let container = |&(name, id): &(&str, &str)| TaskContainer {
            name: name.into(),
            runtime_id: id.into(),
            image: "cart:7".into(),
            ..TaskContainer::default()
        };
        Task { containers: reported.iter().map(container).collect(), ..Task::default() }
    }

    fn unreported(document: &str, reported: &[(&str, &str)]) -> Result<u64, NotOfTask> {
        let body = format!("{document}{{}}");
        unreported_containers(&PushedDocuments::parse(body.as_bytes()).expect("two documents"), &task(reported))
    }

    #[test]
    fn one_reported_container_proves_the_task() {
        assert_eq!(unreported(TASK, &[("cart", "aa"), ("guard", "gg"), ("db", "bb")]), Ok(0));
        assert_eq!(unreported(TASK, &[("cart", "aa")]), Ok(1), "GuardDuty's agent");
        assert_eq!(unreported(TASK, &[("cart", "ab")]), Err(NotOfTask::OtherContainers));
        assert_eq!(unreported(TASK, &[("db", "aa")]), Err(NotOfTask::OtherContainers), "the ID of another container");
        assert_eq!(unreported(TASK, &[("cart", "")]), Err(NotOfTask::NotReported));
        assert_eq!(unreported(TASK, &[]), Err(NotOfTask::NotReported));
    }

    #[test]
    fn documents_without_an_id_prove_nothing() {
        for containers in [
            "",
            r#"{"DockerId":"","Name":"cart"}"#,
            r#"{"Name":"cart"}"#,
            r#"{"DockerId":"x","Name":"cart","Type":"CNI_PAUSE"}"#,
            r#"{"DockerId":"x","Name":"~internal~ecs~pause","Type":"CNI_PAUSE"}"#,
        ] {
            let document = format!(r#"{{"TaskARN":"a","Containers":[{containers}]}}"#);
            for reported in [&[("cart", "aa")][..], &[("cart", "aa"), ("db", "")]] {
                assert_eq!(unreported(&document, reported), Err(NotOfTask::OtherContainers), "{containers}");
            }
        }
    }

    #[test]
    fn only_numbers_of_reported_containers_are_kept() {
        let stats = r#"{"aa":{"id":"aa"},"pp":{"id":"pp"},"gg":{"id":"gg"},"zz":{"id":"zz"},"":{"id":"x"}}"#;
        let body = format!("{TASK}{stats}");
        let mut documents = PushedDocuments::parse(body.as_bytes()).expect("two documents");
        keep_reported(&mut documents, &task(&[("cart", "aa")]));
        let names: Vec<&str> = documents.task.containers().iter().map(|container| &*container.name).collect();
        assert_eq!(names, ["cart", PAUSE_CONTAINER]);
        let cart = &documents.task.containers()[0];
        assert_eq!((&*cart.image, cart.exit_code, &*documents.task.availability_zone), ("cart:7", None, ""));
        let ids: Vec<&str> = documents.stats.containers.keys().map(|id| &**id).collect();
        assert_eq!(ids, ["aa", "pp"]);
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
            (read_ms - 1, read_ms - 1),
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
