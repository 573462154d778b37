//! Tasks of an estimate: the running tasks of the account, or a number of tasks.

use std::collections::BTreeMap;

use serde::Serialize;

use super::options::{Arch, Options, Reservation};
use super::prices::SPOT_SHARE;
use super::sizes;
use crate::sidecars::is_sidecar;
use sidecarless::model::task::{Task, TaskContainer};

/// Tasks by pricing class.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fleet {
    pub(super) groups: BTreeMap<PricingClass, Group>,
    /// Number of tasks in each cluster.
    pub(super) clusters: Vec<u32>,
    /// Containers of all tasks, without sidecars.
    pub(super) containers: u32,
    /// Tasks that have a sidecar.
    pub(super) with_sidecar: u32,
    /// Tasks that push their stats. All others count as scraped.
    pub(super) pushing: u32,
    /// Services without a stats source, whose CPU and memory come from CloudWatch.
    pub(super) services_without_source: u32,
    /// Discovery names of Service Connect whose metrics are read from CloudWatch.
    pub(super) discovery_names: u32,
    /// Region of the first task. Empty if it is unknown.
    pub(super) region: String,
}

/// Tasks with the same prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct PricingClass {
    pub(super) launch_type: LaunchType,
    pub(super) arch: Arch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LaunchType {
    Fargate,
    FargateSpot,
    /// Instances, whose cost does not depend on sidecars.
    Instances,
}

/// Tasks of one pricing class.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    pub(super) tasks: u32,
    /// Total reservation of their sidecars, existing or assumed.
    pub(super) sidecars: Reservation,
    /// Tasks with a known size.
    pub(super) sized: u32,
    /// Monthly price difference of these tasks with and without a sidecar, by task size.
    pub(super) size_usd: f64,
}

impl Fleet {
    /// Creates a fleet of Fargate tasks in one cluster.
    pub(super) fn hypothetical(tasks: u32, options: &Options) -> Self {
        let Reservation { cpu, mib } = options.sidecar;
        let all = f64::from(tasks);
        let group = Group { tasks, sidecars: Reservation { cpu: cpu * all, mib: mib * all }, ..Group::default() };
        let class = PricingClass { launch_type: LaunchType::Fargate, arch: options.task_arch() };
        let groups = BTreeMap::from([(class, group)]);
        let services_without_source = options.services.unwrap_or_default();
        let discovery_names = options.discovery_names.unwrap_or_default();
        let containers = options.containers * tasks;
        let pushing = if options.push { tasks } else { 0 };
        let clusters = vec![tasks];
        let read = Self { services_without_source, discovery_names, ..Self::default() };
        Self { groups, clusters, containers, pushing, ..read }
    }

    /// Creates a fleet from tasks of the account.
    pub(super) fn from_tasks<'a>(tasks: impl Iterator<Item = &'a Task>, options: &Options) -> Self {
        let (mut fleet, mut clusters) = (Self::default(), BTreeMap::new());
        for task in tasks {
            fleet.add(task, options);
            *clusters.entry(&*task.cluster_arn).or_default() += 1;
        }
        Self { clusters: clusters.into_values().collect(), ..fleet }
    }

    fn add(&mut self, task: &Task, options: &Options) {
        let arch = Arch::from_ecs(&task.cpu_architecture).unwrap_or(options.task_arch());
        let class = PricingClass { launch_type: LaunchType::from_task(task), arch };
        let (sidecars, rest): (Vec<_>, Vec<_>) = task.containers.iter().partition(|one| is_sidecar(&one.image));
        let each = sidecars.iter().map(|sidecar| reservation(sidecar).unwrap_or(options.sidecar));
        let reserved = each.reduce(Reservation::plus).unwrap_or(options.sidecar);
        let has_sidecar = !sidecars.is_empty();
        self.containers += u32::try_from(rest.len()).unwrap_or_default();
        self.with_sidecar += u32::from(has_sidecar);
        if self.region.is_empty() {
            self.region = task.region.to_string();
        }
        let group = self.groups.entry(class).or_default();
        group.tasks += 1;
        group.sidecars.cpu += reserved.cpu;
        group.sidecars.mib += reserved.mib;
        if class.launch_type == LaunchType::Instances {
            return;
        }
        let sized = size(task).and_then(|size| sizes::difference(size, reserved, has_sidecar, arch));
        if let Some(usd) = sized {
            group.sized += 1;
            group.size_usd += usd * class.launch_type.share();
        }
    }

    /// Returns the number of tasks that are scraped.
    pub(super) fn scraped(&self) -> u32 {
        self.tasks() - self.pushing.min(self.tasks())
    }

    pub(super) fn tasks(&self) -> u32 {
        self.groups.values().map(|group| group.tasks).sum()
    }
}

impl LaunchType {
    /// Returns the share of the Fargate price.
    pub(super) fn share(self) -> f64 {
        match self {
            Self::Fargate => 1.0,
            Self::FargateSpot => SPOT_SHARE,
            Self::Instances => 0.0,
        }
    }

    /// ECS may omit the launch type of tasks with a capacity provider.
    fn from_task(task: &Task) -> Self {
        match (task.capacity_provider.as_deref(), task.launch_type.as_str()) {
            (Some("FARGATE_SPOT"), _) => Self::FargateSpot,
            (Some("FARGATE"), _) | (_, "FARGATE") => Self::Fargate,
            _ => Self::Instances,
        }
    }
}

/// Returns the reservation of a container. `None` if CPU or memory is missing.
fn reservation(container: &TaskContainer) -> Option<Reservation> {
    container.cpu.zip(container.memory_mib).and_then(|(cpu, mib)| exact(cpu, mib))
}

fn size(task: &Task) -> Option<Reservation> {
    task.cpu.zip(task.memory_mib).and_then(|(cpu, mib)| exact(cpu, mib))
}

fn exact(cpu: f64, mib: u64) -> Option<Reservation> {
    Some(Reservation { cpu, mib: u32::try_from(mib).ok()?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(launch_type: &str, provider: &str, (cpu, mib): (u32, u64)) -> Task {
        Task {
            cluster_arn: "arn:aws:ecs:eu-west-1:111122223333:cluster/shop".into(),
            region: "eu-west-1".into(),
            launch_type: launch_type.into(),
            capacity_provider: Some(provider).filter(|name| !name.is_empty()).map(Into::into),
            cpu: Some(cpu.into()),
            memory_mib: Some(mib),
            containers: vec![TaskContainer { image: "cart:2.7".into(), ..TaskContainer::default() }],
            ..Task::default()
        }
    }

    fn collector(cpu: Option<f64>, memory_mib: Option<u64>) -> TaskContainer {
        let image = "public.ecr.aws/aws-observability/aws-otel-collector:v0.49.0".into();
        TaskContainer { image, cpu, memory_mib, ..TaskContainer::default() }
    }

    #[test]
    fn tasks_are_grouped_by_pricing_class() {
        let arm = Task { cpu_architecture: "ARM64".into(), ..task("FARGATE", "", (256, 512)) };
        for (task, place, arch) in [
            (task("FARGATE", "", (256, 512)), LaunchType::Fargate, Arch::X86),
            (task("", "FARGATE", (256, 512)), LaunchType::Fargate, Arch::X86),
            (task("FARGATE", "FARGATE_SPOT", (256, 512)), LaunchType::FargateSpot, Arch::X86),
            (arm, LaunchType::Fargate, Arch::Arm64),
            (task("EC2", "", (256, 512)), LaunchType::Instances, Arch::X86),
            (task("", "my-instances", (256, 512)), LaunchType::Instances, Arch::X86),
            (task("MANAGED_INSTANCES", "", (256, 512)), LaunchType::Instances, Arch::X86),
            (task("EXTERNAL", "", (256, 512)), LaunchType::Instances, Arch::X86),
        ] {
            let fleet = Fleet::from_tasks(std::iter::once(&task), &Options::default());
            assert_eq!(
                fleet.groups.keys().copied().collect::<Vec<_>>(),
                [PricingClass { launch_type: place, arch }],
                "{task:?}"
            );
        }
    }

    #[test]
    fn existing_sidecars_count_with_their_reservation() {
        for (sidecar, expected, with_sidecar, size_usd) in [
            (None, (256.0, 512.0), 0, 9.010_025),
            (Some(collector(None, None)), (256.0, 512.0), 1, 9.010_025),
            // 448 of 512 units and 768 of 1,024 MiB remain, which do not fit a smaller size.
            (Some(collector(Some(64.0), Some(256))), (64.0, 256.0), 1, 0.0),
        ] {
            let size = if with_sidecar == 0 { (256, 512) } else { (512, 1024) };
            let mut task = task("FARGATE", "", size);
            task.containers.extend(sidecar);
            let fleet = Fleet::from_tasks([&task, &task].into_iter(), &Options::default());
            let group = fleet.groups.values().next().unwrap();
            assert_eq!((fleet.containers, fleet.with_sidecar), (2, 2 * with_sidecar));
            assert_eq!((fleet.clusters.as_slice(), &*fleet.region), (&[2][..], "eu-west-1"));
            let reserved = Reservation { cpu: 2.0 * expected.0, mib: 2.0 * expected.1 };
            assert_eq!((group.tasks, group.sized, group.sidecars), (2, 2, reserved));
            assert!((group.size_usd - 2.0 * size_usd).abs() < 1e-9, "{}", group.size_usd);
        }
    }

    #[test]
    fn collector_and_daemon_of_a_task_both_count() {
        let daemon = TaskContainer {
            image: "public.ecr.aws/xray/aws-xray-daemon:3".into(),
            cpu: Some(32.0),
            memory_mib: Some(256),
            ..TaskContainer::default()
        };
        let mut task = task("FARGATE", "", (512, 1024));
        task.containers.extend([collector(Some(64.0), Some(256)), daemon]);
        let fleet = Fleet::from_tasks(std::iter::once(&task), &Options::default());
        let group = fleet.groups.values().next().unwrap();
        assert_eq!((fleet.containers, fleet.with_sidecar), (1, 1));
        assert_eq!(group.sidecars, Reservation { cpu: 96.0, mib: 512.0 });
    }

    #[test]
    fn tasks_on_instances_have_no_size_that_is_sold() {
        let fleet = Fleet::from_tasks(std::iter::once(&task("EC2", "", (256, 512))), &Options::default());
        let group = fleet.groups.values().next().unwrap();
        assert_eq!((group.tasks, group.sized), (1, 0));
    }
}
