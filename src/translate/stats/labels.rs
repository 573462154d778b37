//! Labels of task and container series: the resource attributes of the receiver. The values come
//! from `identity`.
//!
//! Names: opentelemetry-collector-contrib v0.156.0,
//! `receiver/awsecscontainermetricsreceiver/internal/awsecscontainermetrics/resource.go`, with underscores for dots as
//! in the remote write exporter. By default only labels that do not change during the life of a task are written,
//! because each change starts a new series.

use thiserror::Error;

use super::identity::{ContainerIdentity, TaskIdentity};
use super::image;
use super::metrics::StatsCompat;
use crate::model::arn::{self, TaskArn};
use crate::model::series::Labels;

macro_rules! labels {
    ($($label:ident $name:literal $stability:ident;)*) => {
        /// A label of a task's or container's series.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Label { $($label,)* }

        impl Label {
            pub const ALL: &[Label] = &[$(Label::$label,)*];

            pub fn name(self) -> &'static str {
                match self { $(Label::$label => $name,)* }
            }

            /// Returns whether the label does not change during the life of a task, so that it is written by default.
            pub fn is_stable(self) -> bool {
                match self { $(Label::$label => labels!(@ $stability),)* }
            }
        }
    };
    (@ stable) => { true };
    (@ changes) => { false };
}

labels! {
    ClusterName "aws_ecs_cluster_name" stable;
    TaskArn "aws_ecs_task_arn" stable;
    TaskId "aws_ecs_task_id" stable;
    TaskFamily "aws_ecs_task_family" stable;
    TaskVersion "aws_ecs_task_version" stable;
    TaskRevision "aws_ecs_task_revision" stable;
    ServiceName "aws_ecs_service_name" stable;
    AvailabilityZone "cloud_availability_zone" stable;
    Region "cloud_region" stable;
    AccountId "cloud_account_id" stable;
    TaskLaunchType "aws_ecs_task_launch_type" stable;
    LaunchType "aws_ecs_launchtype" stable;
    PullStartedAt "aws_ecs_task_pull_started_at" changes;
    PullStoppedAt "aws_ecs_task_pull_stopped_at" changes;
    TaskStatus "aws_ecs_task_known_status" changes;
    ContainerName "container_name" stable;
    ImageName "container_image_name" stable;
    ImageTag "container_image_tag" stable;
    ExitCode "aws_ecs_container_exit_code" stable;
    ContainerId "container_id" changes;
    DockerName "aws_ecs_docker_name" changes;
    ImageId "aws_ecs_container_image_id" changes;
    CreatedAt "aws_ecs_container_created_at" changes;
    StartedAt "aws_ecs_container_started_at" changes;
    FinishedAt "aws_ecs_container_finished_at" changes;
    // The spelling of the receiver.
    ContainerStatus "aws_ecs_container_know_status" changes;
}

/// The labels to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelSelection {
    /// Labels that do not change; with the names of the receiver, all labels.
    #[default]
    Stable,
    All,
    /// A bit for each of [`Label::ALL`].
    List(u32),
}

impl LabelSelection {
    fn has(self, label: Label, compat: StatsCompat) -> bool {
        match self {
            LabelSelection::Stable => compat == StatsCompat::Adot || label.is_stable(),
            LabelSelection::All => true,
            LabelSelection::List(bits) => bits & (1 << label as u32) != 0,
        }
    }

    /// Returns whether no selected label changes during the life of a task, so that all sources write the same labels.
    pub(crate) fn is_stable(self, compat: StatsCompat) -> bool {
        Label::ALL.iter().all(|label| label.is_stable() || !self.has(*label, compat))
    }
}

/// Error of an invalid label selection.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum LabelSelectionError {
    #[error("unknown label {0:?}: use labels of task or container metrics (docs/metrics.md)")]
    UnknownLabel(String),
    #[error(
        "invalid list of labels: include aws_ecs_task_id and container_name, so that series of tasks and containers differ"
    )]
    NotUnique,
}

/// `stable`, `all`, or a comma-separated list. A list must distinguish tasks and containers.
impl std::str::FromStr for LabelSelection {
    type Err = LabelSelectionError;

    fn from_str(text: &str) -> Result<Self, LabelSelectionError> {
        match text {
            "stable" => return Ok(LabelSelection::Stable),
            "all" => return Ok(LabelSelection::All),
            _ => {}
        }
        let mut bits = 0;
        for name in text.split(',').map(str::trim) {
            let label = Label::ALL.iter().find(|label| label.name() == name);
            let label = label.ok_or_else(|| LabelSelectionError::UnknownLabel(name.to_owned()))?;
            bits |= 1 << *label as u32;
        }
        let list = LabelSelection::List(bits);
        let has = |label| list.has(label, StatsCompat::Corrected);
        if !(has(Label::TaskArn) || has(Label::TaskId)) || !(has(Label::ContainerName) || has(Label::ContainerId)) {
            return Err(LabelSelectionError::NotUnique);
        }
        Ok(list)
    }
}

/// Returns the labels of all series of a task.
pub(crate) fn task_labels(task: &TaskIdentity<'_>, compat: StatsCompat, selection: LabelSelection) -> Labels {
    let mut labels = Labels::default();
    let mut put = |label: Label, value: &str| {
        if selection.has(label, compat) {
            labels.set(label.name(), value);
        }
    };
    let (id, region, account) = match &*task.arn {
        "" => (task.id, task.region, task.account),
        arn => task_arn(arn, compat),
    };
    put(Label::ClusterName, cluster_name(task.cluster, compat));
    put(Label::TaskArn, &task.arn);
    put(Label::TaskId, id);
    put(Label::TaskFamily, task.family);
    put(Label::TaskVersion, task.revision);
    put(Label::TaskRevision, task.revision);
    put(Label::ServiceName, task.service);
    put(Label::AvailabilityZone, task.availability_zone);
    put(Label::Region, region);
    put(Label::AccountId, account);
    put(Label::TaskLaunchType, task.launch_type);
    put(Label::LaunchType, &launch_type(task.launch_type, compat));
    put(Label::PullStartedAt, &task.pull_started_at);
    put(Label::PullStoppedAt, &task.pull_stopped_at);
    put(Label::TaskStatus, task.status);
    labels
}

/// Adds the labels of a container to the labels of its task.
pub(crate) fn add_container_labels(
    labels: &mut Labels,
    container: &ContainerIdentity<'_>,
    compat: StatsCompat,
    selection: LabelSelection,
) {
    let mut put = |label: Label, value: &str| {
        if selection.has(label, compat) {
            labels.set(label.name(), value);
        }
    };
    let (image_name, image_tag) = image::name_and_tag(container.image).unwrap_or_default();
    put(Label::ContainerName, container.name);
    put(Label::ImageName, image_name);
    put(Label::ImageTag, image_tag);
    put(Label::ContainerId, container.id);
    put(Label::DockerName, container.docker_name);
    put(Label::ImageId, container.image_id);
    put(Label::CreatedAt, container.created_at);
    put(Label::StartedAt, container.started_at);
    put(Label::FinishedAt, container.finished_at);
    put(Label::ContainerStatus, container.status);
    if let Some(code) = container.exit_code {
        put(Label::ExitCode, &code.to_string());
    }
}

/// Returns id, region and account of a task ARN. The receiver supports only the partition `aws`.
fn task_arn(text: &str, compat: StatsCompat) -> (&str, &str, &str) {
    if compat == StatsCompat::Adot && !text.starts_with("arn:aws:ecs") {
        return ("", "", "");
    }
    TaskArn::parse(text).map(|task| (task.id, task.arn.region, task.arn.account)).unwrap_or_default()
}

/// The receiver uses the last part of any text that starts like an ARN.
fn cluster_name(name_or_arn: &str, compat: StatsCompat) -> &str {
    if compat == StatsCompat::Adot && name_or_arn.starts_with("arn:aws") {
        return name_or_arn.rsplit('/').next().unwrap_or_default();
    }
    arn::cluster_name(name_or_arn)
}

/// Returns the launch type in lower case. The receiver supports two of the four types.
fn launch_type(launch_type: &str, compat: StatsCompat) -> String {
    let lower = launch_type.to_ascii_lowercase();
    if compat == StatsCompat::Adot && !matches!(lower.as_str(), "fargate" | "ec2") {
        return String::new();
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_list_must_distinguish_tasks_and_containers() {
        assert!("aws_ecs_task_id,container_name,cloud_region".parse::<LabelSelection>().is_ok());
        assert!("cloud_region,container_name".parse::<LabelSelection>().is_err());
        assert!("aws_ecs_task_id".parse::<LabelSelection>().is_err());
        let error = "colour".parse::<LabelSelection>().unwrap_err().to_string();
        assert!(error.starts_with("unknown label \"colour\""), "{error}");
    }
}
