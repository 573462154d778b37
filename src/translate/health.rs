//! What every scrape says of its target: `up` and `scrape_duration_seconds`, as Prometheus writes them.

use crate::model::series::{Labels, SeriesBatch};
use crate::model::target::Task;

/// The `job` of targets that are stats endpoints inside tasks.
const STATS_JOB: &str = "sidecarless-stats";

/// The labels of a stats endpoint: the identity of its task, and where it was scraped.
pub fn stats_target_labels(task: &Task, instance: &str) -> Labels {
    let mut labels = Labels::default();
    labels.set("job", STATS_JOB);
    labels.set("instance", instance);
    labels.set("aws_ecs_cluster_name", &task.cluster);
    labels.set("aws_ecs_service_name", task.service.as_deref().unwrap_or_default());
    labels.set("aws_ecs_task_family", &task.family);
    labels.set("aws_ecs_task_id", &task.id);
    labels
}

/// Writes `up` (1 or 0) and the scrape's duration.
pub fn series(labels: &Labels, at_ms: i64, up: bool, duration_s: f64, out: &mut SeriesBatch) {
    for (name, value) in [("up", f64::from(u8::from(up))), ("scrape_duration_seconds", duration_s)] {
        let mut named = labels.clone();
        named.set("__name__", name);
        let id = out.series(named.iter());
        out.push(id, at_ms, value);
    }
}
