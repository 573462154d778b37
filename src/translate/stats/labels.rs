//! Who a series belongs to: the receiver's resource attributes as labels.
//!
//! Keys: opentelemetry-collector-contrib v0.156.0, `receiver/awsecscontainermetricsreceiver/internal/awsecscontainermetrics/
//! resource.go`, with dots made underscores as the remote write exporter does. By default only labels that stay the same
//! for as long as the task lives are written: each change of a label begins a new series.

use super::identity::{ContainerIdentity, TaskIdentity};
use super::{Options, StatsCompat, image};
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

            /// Whether it stays the same over the life of the task, so that it is written by default.
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
    // So spelt by the receiver.
    ContainerStatus "aws_ecs_container_know_status" changes;
}

/// Which labels are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelSelection {
    /// Those that do not change; under the receiver's names, all.
    #[default]
    Stable,
    All,
    /// A bit for each of [`Label::ALL`].
    List(u32),
}

impl LabelSelection {
    fn has(self, label: Label, numbers: StatsCompat) -> bool {
        match self {
            LabelSelection::Stable => numbers == StatsCompat::Adot || label.is_stable(),
            LabelSelection::All => true,
            LabelSelection::List(bits) => bits & (1 << label as u32) != 0,
        }
    }

    /// Whether the labels written stay the same over a task's life, so that all sources of it write the same.
    pub(crate) fn is_stable(self, numbers: StatsCompat) -> bool {
        Label::ALL.iter().all(|label| label.is_stable() || !self.has(*label, numbers))
    }
}

/// `stable`, `all`, or a comma-separated list. A list must tell the tasks and containers apart, or their series would
/// fall together.
impl std::str::FromStr for LabelSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stable" => return Ok(LabelSelection::Stable),
            "all" => return Ok(LabelSelection::All),
            _ => {}
        }
        let mut bits = 0;
        for name in text.split(',').map(str::trim) {
            let label = Label::ALL.iter().find(|label| label.name() == name);
            let label = label.ok_or_else(|| format!("{name:?} is no label of a task or container"))?;
            bits |= 1 << *label as u32;
        }
        let list = LabelSelection::List(bits);
        let has = |label| list.has(label, StatsCompat::Corrected);
        if !(has(Label::TaskArn) || has(Label::TaskId)) || !(has(Label::ContainerName) || has(Label::ContainerId)) {
            return Err(
                "without aws_ecs_task_id and container_name, series of different tasks would fall together".into()
            );
        }
        Ok(list)
    }
}

/// The labels that all series of a task share.
pub(crate) fn of_task(task: &TaskIdentity<'_>, numbers: StatsCompat, options: &Options) -> Labels {
    let mut labels = Labels::default();
    let mut put = |label: Label, value: &str| {
        if options.labels.has(label, numbers) {
            labels.set(label.name(), value);
        }
    };
    let (id, region, account) = match &*task.arn {
        "" => (task.id, task.region, task.account),
        arn => task_arn(arn, numbers),
    };
    put(Label::ClusterName, cluster_name(task.cluster, numbers));
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
    put(Label::LaunchType, &launch_type(task.launch_type, numbers));
    put(Label::PullStartedAt, &task.pull_started_at);
    put(Label::PullStoppedAt, &task.pull_stopped_at);
    put(Label::TaskStatus, task.status);
    labels
}

/// Adds what tells a container from the others of its task.
pub(crate) fn add_container(
    labels: &mut Labels,
    container: &ContainerIdentity<'_>,
    numbers: StatsCompat,
    options: &Options,
) {
    let mut put = |label: Label, value: &str| {
        if options.labels.has(label, numbers) {
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

/// Id, region and account of a task's ARN. The receiver knows the partition `aws` alone.
fn task_arn(text: &str, numbers: StatsCompat) -> (&str, &str, &str) {
    if numbers == StatsCompat::Adot && !text.starts_with("arn:aws:ecs") {
        return ("", "", "");
    }
    TaskArn::parse(text).map(|task| (task.id, task.arn.region, task.arn.account)).unwrap_or_default()
}

/// The receiver takes the last part of whatever begins like an ARN.
fn cluster_name(name_or_arn: &str, numbers: StatsCompat) -> &str {
    if numbers == StatsCompat::Adot && name_or_arn.starts_with("arn:aws") {
        return name_or_arn.rsplit('/').next().unwrap_or_default();
    }
    arn::cluster_name(name_or_arn)
}

/// The launch type in lower case. The receiver knows two of the four.
fn launch_type(launch_type: &str, numbers: StatsCompat) -> String {
    let lower = launch_type.to_ascii_lowercase();
    if numbers == StatsCompat::Adot && !matches!(lower.as_str(), "fargate" | "ec2") {
        return String::new();
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_labels_must_tell_tasks_and_containers_apart() {
        assert!("aws_ecs_task_id,container_name,cloud_region".parse::<LabelSelection>().is_ok());
        assert!("cloud_region,container_name".parse::<LabelSelection>().is_err());
        assert!("aws_ecs_task_id".parse::<LabelSelection>().is_err());
        assert_eq!("colour".parse::<LabelSelection>().unwrap_err(), "\"colour\" is no label of a task or container");
    }
}
