//! Names that only the function gives to series. A scraped page and a docker label cannot choose them.

/// Value of `job` of the self metrics.
pub const SELF_METRICS_JOB: &str = "sidecarless";

/// Value of `job` for stats targets.
pub const STATS_JOB: &str = "sidecarless-stats";

/// Jobs of series that the function itself writes.
pub const RESERVED_JOBS: [&str; 2] = [SELF_METRICS_JOB, STATS_JOB];

/// Prefix of labels that name a task.
pub const TASK_LABELS: &str = "aws_ecs_";

/// Prefixes of labels that contain the identity of a task, which ECS reports.
const IDENTITY_PREFIXES: [&str; 2] = [TASK_LABELS, "cloud_"];

/// Returns whether a label contains the identity of a task.
pub fn is_identity_label(name: &str) -> bool {
    IDENTITY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
