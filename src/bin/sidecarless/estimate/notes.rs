//! What the numbers rest on, and what is not in them.

use super::fleet::{Fleet, LaunchType};
use super::prices::{AMP_STORAGE, DATE, INSIGHTS, NAT_GB, NAT_HOUR, REGION, REGION_CODE};
use super::text::{count, dollars, plural};
use super::workload::{CALL_MS, SCRAPE_MS, TIMEOUT_MS, WRITE_MS, Workload};
use super::{costs, prices};
use sidecarless::handlers::TaskList;

/// Whose costs these are.
pub(super) fn fleet_summary(fleet: &Fleet) -> String {
    let groups = fleet.groups.iter().map(|(kind, group)| {
        let place = match kind.launch_type {
            LaunchType::Fargate => "Fargate",
            LaunchType::FargateSpot => "Fargate Spot",
            LaunchType::Instances => "instances",
        };
        format!("{} on {place} ({})", count(group.tasks.into()), kind.arch.as_str())
    });
    let groups: Vec<String> = groups.collect();
    let (tasks, containers) = (plural(fleet.tasks().into(), "task"), plural(fleet.containers.into(), "container"));
    let of = if groups.is_empty() { "" } else { ": " };
    format!("{tasks} with {containers}{of}{}", groups.join(", "))
}

/// Where the prices are from.
pub(super) fn prices() -> String {
    let hours = count(prices::HOURS);
    format!("List prices in USD of {REGION}, {DATE}, without free tiers; a month has {hours} hours")
}

/// What is to be known of any estimate.
pub(super) fn general_notes(fleet: &Fleet, loads: &[Workload]) -> Vec<String> {
    let mut notes = vec![format!(
        "Durations are CPU time as measured, at the speed that the memory brings, and assumed waits: {WRITE_MS} ms for AMP or \
         X-Ray, {CALL_MS} ms for a call of ECS, {SCRAPE_MS} ms for a scrape; a trace has {} spans.",
        costs::SPANS_PER_TRACE
    )];
    if loads.iter().any(|load| load.duration_ms >= TIMEOUT_MS) {
        notes.push(
            "A tick over so many tasks does not end in time: give each of several functions some of the clusters."
                .into(),
        );
    }
    notes.extend(sizes(fleet));
    notes.push(format!(
        "Not in here: a NAT gateway, where tasks have no way to the internet, as the function's URL is public ({} and {}); \
         endpoints of a function inside a VPC; Container Insights, for tasks without a stats endpoint ({}); what AMP keeps \
         ({}) and the samples that queries of rules and dashboards read.",
        NAT_HOUR.text(),
        NAT_GB.text(),
        INSIGHTS.text(),
        AMP_STORAGE.text()
    ));
    notes
}

/// Fargate bills the size of a task, not what its containers reserve.
fn sizes(fleet: &Fleet) -> Option<String> {
    let on_fargate = fleet.groups.iter().filter(|(kind, _)| kind.launch_type != LaunchType::Instances);
    let (tasks, sized, usd) = on_fargate.fold((0, 0, 0.0), |(tasks, sized, usd), (_, group)| {
        (tasks + group.tasks, sized + group.sized, usd + group.size_usd)
    });
    if sized > 0 {
        return Some(format!(
            "Fargate sells sizes: {} of those that run, rounded up to them, differ by {} a month with sidecars and without.",
            plural(sized.into(), "task"),
            dollars(usd)
        ));
    }
    (tasks > 0).then(|| {
        "Fargate sells sizes: a task that stays in its size saves nothing without its sidecar, one that drops to the next saves \
         more than the sidecar's share. Without --tasks the sizes of the account's tasks are compared."
            .into()
    })
}

/// What is to be known of the account's tasks.
pub(super) fn account_notes(list: &TaskList, fleet: &Fleet) -> Vec<String> {
    let mut notes = Vec::new();
    if list.tasks.is_empty() {
        notes.push("No task runs in the clusters that are looked at (SIDECARLESS_CLUSTERS).".into());
    }
    if fleet.with_sidecar > 0 {
        let tasks = plural(fleet.with_sidecar.into(), "task");
        notes.push(format!("With a collector today: {tasks}. It counts with what it reserves."));
    }
    if list.from_insights > 0 {
        let tasks = plural(list.from_insights as f64, "task");
        notes.push(format!("Without a stats endpoint: {tasks}. CPU and memory of such come from Container Insights."));
    }
    if list.filtered > 0 {
        notes.push(format!("Left out by SIDECARLESS_TASK_FILTER: {} more.", plural(list.filtered as f64, "task")));
    }
    if !matches!(&*fleet.region, "" | REGION_CODE) {
        notes.push(format!("The tasks run in {}, where prices differ from those of {REGION_CODE}.", fleet.region));
    }
    notes
}
