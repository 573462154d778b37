//! Assumptions of the estimate, and costs that it does not include.

use super::fleet::{Fleet, LaunchType};
use super::options::Options;
use super::prices::{AMP_STORAGE, DATE, INSIGHTS, LOGS, NAT_GB, NAT_HOUR, OTEL_QUERY, REGION, REGION_CODE};
use super::text::{count, dollars, plural};
use super::workload::{CALL_MS, SCRAPE_MS, TIMEOUT_MS, WRITE_MS, Workload};
use super::{costs, prices};
use sidecarless::handlers::TaskList;

/// Returns a summary of the tasks.
pub(super) fn fleet_summary(fleet: &Fleet) -> String {
    let groups = fleet.groups.iter().map(|(class, group)| {
        let launch_type = match class.launch_type {
            LaunchType::Fargate => "Fargate",
            LaunchType::FargateSpot => "Fargate Spot",
            LaunchType::Instances => "instances",
        };
        format!("{} on {launch_type} ({})", count(group.tasks.into()), class.arch.as_str())
    });
    let groups: Vec<String> = groups.collect();
    let (tasks, containers) = (plural(fleet.tasks().into(), "task"), plural(fleet.containers.into(), "container"));
    let separator = if groups.is_empty() { "" } else { ": " };
    format!("{tasks} with {containers}{separator}{}", groups.join(", "))
}

/// Returns how the stats of the tasks are collected, as a verb.
pub(super) fn collection(fleet: &Fleet) -> &'static str {
    match (fleet.scraped(), fleet.pushing) {
        (_, 0) => "is scraped",
        (0, _) => "pushes its stats",
        _ => "is scraped, or pushes its stats,",
    }
}

/// Returns the region and date of the prices.
pub(super) fn prices() -> String {
    let hours = count(prices::HOURS);
    format!("List prices in USD of {REGION}, {DATE}, without free tiers; a month has {hours} hours")
}

/// Returns the notes of all estimates.
pub(super) fn general_notes(fleet: &Fleet, options: &Options, workloads: &[Workload]) -> Vec<String> {
    let mut notes = vec![format!(
        "Spans are sent every {} s: OTEL_BSP_SCHEDULE_DELAY={} in the tasks. The default of SDKs is 5 s (--batch 5). A process with \
         an X-Ray remote sampler makes 6.2 calls per minute, which --samplers adds.",
        options.batch_s,
        options.batch_s * 1_000
    )];
    notes.push(format!(
        "Durations are the sum of measured CPU time, scaled by the memory of the function, and assumed wait times: {WRITE_MS} ms \
         for AMP or X-Ray, {CALL_MS} ms for an ECS API call, {SCRAPE_MS} ms for a scrape. A trace is assumed to have {} spans.",
        costs::SPANS_PER_TRACE
    ));
    if workloads.iter().any(|workload| workload.duration_ms >= TIMEOUT_MS) {
        notes.push(
            "A scheduled run over this number of tasks exceeds the timeout: split the clusters between several functions."
                .into(),
        );
    }
    notes.extend(sizes(fleet));
    notes.extend(options.metrics_to().cloudwatch.then(|| {
        format!(
            "CloudWatch bills the size of each data point with the attributes of its resource, which are most of it: --point-bytes. \
             PromQL queries outside of the console are not included ({}).",
            OTEL_QUERY.text()
        )
    }));
    notes.push(format!(
        "Not included: a NAT gateway for tasks without internet access, because the Function URL is public ({} and {}); VPC \
         endpoints of a function in a VPC; Container Insights, for tasks without a stats endpoint ({}); logs that tasks send ({}); \
         AMP storage ({}) and samples read by queries of rules and dashboards.",
        NAT_HOUR.text(),
        NAT_GB.text(),
        INSIGHTS.text(),
        LOGS.text(),
        AMP_STORAGE.text()
    ));
    notes
}

/// Returns a note about task sizes. Fargate bills the size of a task, not the reservations of its containers.
fn sizes(fleet: &Fleet) -> Option<String> {
    let on_fargate = fleet.groups.iter().filter(|(class, _)| class.launch_type != LaunchType::Instances);
    let (tasks, sized, usd) = on_fargate.fold((0, 0, 0.0), |(tasks, sized, usd), (_, group)| {
        (tasks + group.tasks, sized + group.sized, usd + group.size_usd)
    });
    if sized > 0 {
        return Some(format!(
            "Fargate bills task sizes: for {}, rounded up to the next size, the price difference with and without sidecars is {} per month.",
            plural(sized.into(), "task"),
            dollars(usd)
        ));
    }
    (tasks > 0).then(|| {
        "Fargate bills task sizes: removing the sidecar saves nothing if the task keeps its size, and more than the share of the \
         sidecar if the task fits the next smaller size. Without --tasks, the command compares the sizes of the running tasks."
            .into()
    })
}

/// Returns the notes about the running tasks.
pub(super) fn account_notes(list: &TaskList, fleet: &Fleet) -> Vec<String> {
    let mut notes = Vec::new();
    if list.tasks.is_empty() {
        notes.push("No tasks run in the selected clusters (SIDECARLESS_CLUSTERS).".into());
    }
    if fleet.with_sidecar > 0 {
        let tasks = plural(fleet.with_sidecar.into(), "task");
        notes.push(format!("{tasks} with a collector or daemon: its reservation is used."));
    }
    if list.from_insights > 0 {
        let tasks = plural(list.from_insights as f64, "task");
        notes.push(format!("{tasks} without a stats endpoint: CPU and memory metrics come from Container Insights."));
    }
    if list.filtered > 0 {
        notes.push(format!("{} excluded by SIDECARLESS_TASK_FILTER.", plural(list.filtered as f64, "task")));
    }
    if !matches!(&*fleet.region, "" | REGION_CODE) {
        notes.push(format!("The tasks run in {}. Its prices differ from the prices of {REGION_CODE}.", fleet.region));
    }
    notes
}
