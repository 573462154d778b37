//! Identity of tasks and containers, converted from each source. `labels` decides which of it is written.

use std::borrow::Cow;

use crate::model::task::{Task, TaskContainer};
use crate::model::task_metadata::{ContainerMetadata, TaskMetadata};

/// Identity of a task.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskIdentity<'a> {
    /// Short name or ARN.
    pub(crate) cluster: &'a str,
    pub(crate) arn: Cow<'a, str>,
    /// Id, region and account are used only without an ARN.
    pub(crate) id: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) family: &'a str,
    pub(crate) revision: &'a str,
    pub(crate) service: &'a str,
    pub(crate) availability_zone: &'a str,
    pub(crate) launch_type: &'a str,
    pub(crate) pull_started_at: Cow<'a, str>,
    pub(crate) pull_stopped_at: Cow<'a, str>,
    pub(crate) status: &'a str,
}

impl<'a> From<&'a TaskMetadata<'_>> for TaskIdentity<'a> {
    fn from(task: &'a TaskMetadata<'_>) -> Self {
        TaskIdentity {
            cluster: &task.cluster,
            arn: Cow::Borrowed(&task.task_arn),
            family: &task.family,
            revision: &task.revision,
            service: &task.service_name,
            availability_zone: &task.availability_zone,
            launch_type: task.launch_type.as_str(),
            pull_started_at: Cow::Borrowed(&task.pull_started_at),
            pull_stopped_at: Cow::Borrowed(&task.pull_stopped_at),
            status: task.known_status.as_str(),
            ..TaskIdentity::default()
        }
    }
}

impl<'a> From<&'a Task> for TaskIdentity<'a> {
    fn from(task: &'a Task) -> Self {
        TaskIdentity {
            cluster: &task.cluster,
            arn: Cow::Borrowed(&task.arn),
            id: &task.id,
            region: &task.region,
            account: &task.account,
            family: &task.family,
            revision: &task.revision,
            service: task.service.as_deref().unwrap_or_default(),
            availability_zone: &task.availability_zone,
            launch_type: task.launch_type.as_str(),
            pull_started_at: rfc3339(task.pull_started_at_ms).into(),
            pull_stopped_at: rfc3339(task.pull_stopped_at_ms).into(),
            status: task.last_status.as_str(),
        }
    }
}

/// Formats a time like the metadata documents; empty without a time.
pub(crate) fn rfc3339(at_ms: Option<i64>) -> String {
    at_ms.and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok()).map(|at| at.to_string()).unwrap_or_default()
}

/// Identity of a container.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerIdentity<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: &'a str,
    pub(crate) docker_name: &'a str,
    pub(crate) image: &'a str,
    pub(crate) image_id: &'a str,
    pub(crate) created_at: &'a str,
    pub(crate) started_at: &'a str,
    pub(crate) finished_at: &'a str,
    pub(crate) status: &'a str,
    pub(crate) exit_code: Option<i64>,
}

impl<'a> From<&'a ContainerMetadata<'_>> for ContainerIdentity<'a> {
    fn from(container: &'a ContainerMetadata<'_>) -> Self {
        ContainerIdentity {
            name: &container.name,
            id: &container.docker_id,
            docker_name: &container.docker_name,
            image: &container.image,
            image_id: &container.image_id,
            created_at: &container.created_at,
            started_at: &container.started_at,
            finished_at: &container.finished_at,
            status: container.known_status.as_str(),
            exit_code: container.exit_code,
        }
    }
}

impl<'a> From<&'a TaskContainer> for ContainerIdentity<'a> {
    fn from(container: &'a TaskContainer) -> Self {
        ContainerIdentity {
            name: &container.name,
            id: &container.runtime_id,
            image: &container.image,
            image_id: &container.image_digest,
            status: container.last_status.as_str(),
            exit_code: container.exit_code.map(i64::from),
            ..ContainerIdentity::default()
        }
    }
}
