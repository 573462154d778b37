//! Stop reasons: maps the sentences of ECS to a fixed set of label values. A sentence that is in no table is `other`.

use super::SIGKILL_EXIT;
use crate::model::ecs::TaskStatus;
use crate::model::task::{Task, TaskContainer};

/// Desired status of a task that ECS stops.
const ENDING: [TaskStatus; 2] = [TaskStatus::Stopped, TaskStatus::Stopping];
/// Prefix of the reason of a container that ran out of memory.
const OUT_OF_MEMORY: &str = "OutOfMemory";

/// Stop codes (Amazon ECS API Reference, `Task.stopCode`).
const STOP_CODES: &[&str] = &[
    "TaskFailedToStart",
    "EssentialContainerExited",
    "UserInitiated",
    "ServiceSchedulerInitiated",
    "SpotInterruption",
    "TerminationNotice",
    "InfrastructureHealth",
];

/// Errors at the start of a reason (Amazon ECS Developer Guide, "Amazon ECS stopped tasks error messages").
const ERRORS: &[&str] = &[
    "OutOfMemoryError",
    "OutOfMemory",
    "CannotPullContainerError",
    "CannotPullECRContainerError",
    "CannotPullImageManifestError",
    "CannotStartContainerError",
    "CannotStopContainerError",
    "CannotCreateContainerError",
    "CannotCreateVolumeError",
    "CannotInspectContainerError",
    "CannotGetDockerClientError",
    "CannotDescribeContainerError",
    "ContainerRuntimeError",
    "ContainerRuntimeTimeoutError",
    "DockerTimeoutError",
    "DockerStateError",
    "ResourceInitializationError",
    "ResourceNotFoundException",
    "SpotInterruptionError",
    "InternalError",
    "TaskFailedToStart",
    "ATTRIBUTE",
    "AGENT",
    "AGENT_NOT_CONNECTED",
    "CAPACITY",
    "RESOURCE",
    "OTHER",
];

/// Parts of the sentences of ECS in lower case, each with its label value. The first match counts.
const REASON_PATTERNS: &[(&str, &str)] = &[
    ("essential container in task exited", "essential_container_exited"),
    ("failed elb health checks", "elb_health_check"),
    ("failed container health checks", "container_health_check"),
    ("scaling activity", "scaling_activity"),
    ("spot task was interrupted", "spot_interruption"),
    ("spot instance", "spot_interruption"),
    ("task stopped by", "stopped_by_user"),
    ("stopped by user", "stopped_by_user"),
    ("host ec2", "host_terminated"),
    ("timeout waiting for network interface", "network_interface_timeout"),
    ("timeout waiting for ephemeral storage", "ephemeral_storage_timeout"),
    ("capacity is unavailable", "capacity"),
    ("task retirement", "task_retirement"),
    ("retiring", "task_retirement"),
    ("deployment", "deployment"),
    ("circuit breaker", "deployment"),
];

/// Returns the stop code; `other` if it is unknown.
pub(super) fn stop_code(code: &str) -> &'static str {
    STOP_CODES.iter().find(|known| **known == code).copied().unwrap_or("other")
}

/// Returns the label value for the reason of a task.
pub(super) fn task_reason(reason: &str) -> &'static str {
    let lower = reason.to_ascii_lowercase();
    let sentence = || REASON_PATTERNS.iter().find(|(part, _)| lower.contains(part)).map(|(_, value)| *value);
    error_name(reason).or_else(sentence).unwrap_or("other")
}

/// Returns the label value for the reason of a container.
pub(super) fn container_reason(reason: &str) -> &'static str {
    error_name(reason).unwrap_or("other")
}

fn error_name(reason: &str) -> Option<&'static str> {
    let head = reason.split([':', ' ']).next()?;
    ERRORS.iter().find(|known| **known == head).copied()
}

/// Returns whether the exit of an essential container stopped the task. Older events have no stop code.
pub(super) fn is_essential_exit(task: &Task) -> bool {
    match &task.stop_code {
        Some(code) => &**code == "EssentialContainerExited",
        None => {
            task.stopped_reason.as_deref().is_some_and(|reason| task_reason(reason) == "essential_container_exited")
        }
    }
}

/// Returns whether ECS reports that a container ran out of memory.
pub(super) fn is_reported_oom(container: &TaskContainer) -> bool {
    container.reason.as_deref().is_some_and(|reason| reason.starts_with(OUT_OF_MEMORY))
}

/// Returns whether a container was killed because it ran out of memory. ECS reports this in the reason of the container. If no
/// container of the task has such a reason, a container that was ended by SIGKILL counts if it is the one that ended the task: to
/// the others, ECS sends SIGKILL when they do not stop on request. `ending` is the container that ended the task.
pub(super) fn is_oom(task: &Task, container: &TaskContainer, ending: Option<&TaskContainer>) -> bool {
    if task.containers.iter().any(is_reported_oom) {
        return is_reported_oom(container);
    }
    // While the task runs, ECS sends no signals.
    let is_task_running = task.stop_code.is_none() && !ENDING.contains(&task.desired_status);
    let is_ending = ending.is_some_and(|ending| std::ptr::eq(ending, container));
    // Another reason, such as a failed stop, says that ECS sent it.
    let has_reason = container.reason.as_deref().is_some_and(|reason| !reason.is_empty());
    container.exit_code == Some(SIGKILL_EXIT) && !has_reason && (is_ending || is_task_running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_is_mapped_to_one_value() {
        for (reason, value) in [
            ("Essential container in task exited", "essential_container_exited"),
            ("Scaling activity initiated by (deployment ecs-svc/0123456789)", "scaling_activity"),
            ("Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)", "elb_health_check"),
            ("Task failed container health checks", "container_health_check"),
            ("Your Spot Task was interrupted.", "spot_interruption"),
            ("Host EC2 (instance i-0abc) terminated.", "host_terminated"),
            ("CannotPullContainerError: image manifest does not exist", "CannotPullContainerError"),
            ("ResourceInitializationError: unable to pull secrets", "ResourceInitializationError"),
            ("OutOfMemoryError: Container killed due to memory usage", "OutOfMemoryError"),
            ("Whatever7fError: 5f0e", "other"),
            ("", "other"),
        ] {
            assert_eq!(task_reason(reason), value, "{reason}");
        }
        assert_eq!(stop_code("SpotInterruption"), "SpotInterruption");
        assert_eq!(stop_code("InfrastructureHealth"), "InfrastructureHealth");
        assert_eq!(stop_code("5f0e"), "other");
    }
}
