//! The sentences of ECS as words of a closed set: what is in none of the tables is `other`.

use crate::model::task::{Task, TaskContainer};

/// Exit code of a process that SIGKILL ended.
const SIGKILL_EXIT: i32 = 137;
/// How ECS begins the reason of a container that ran out of memory.
const OUT_OF_MEMORY: &str = "OutOfMemory";

/// Stop codes (Amazon ECS API Reference, `Task.stopCode`).
const STOP_CODES: &[&str] = &[
    "TaskFailedToStart",
    "EssentialContainerExited",
    "UserInitiated",
    "ServiceSchedulerInitiated",
    "SpotInterruption",
    "TerminationNotice",
];

/// Errors that stand at the head of a reason (Amazon ECS Developer Guide, "Amazon ECS stopped tasks error messages").
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

/// Pieces of the sentences that ECS writes of a task, in lower case, and the word for each; the first that fits stands.
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

/// The stop code, unless ECS has learnt another.
pub(super) fn stop_code(code: &str) -> &'static str {
    STOP_CODES.iter().find(|known| **known == code).copied().unwrap_or("other")
}

/// Why the task stopped, in one word.
pub(super) fn of_task(reason: &str) -> &'static str {
    let lower = reason.to_ascii_lowercase();
    let sentence = || REASON_PATTERNS.iter().find(|(piece, _)| lower.contains(piece)).map(|(_, word)| *word);
    error(reason).or_else(sentence).unwrap_or("other")
}

/// Why the container stopped, in one word.
pub(super) fn of_container(reason: &str) -> &'static str {
    error(reason).unwrap_or("other")
}

fn error(reason: &str) -> Option<&'static str> {
    let head = reason.split([':', ' ']).next()?;
    ERRORS.iter().find(|known| **known == head).copied()
}

/// Whether a container was killed for want of memory. ECS says so in the reason of the container; where no container of
/// the task has such a reason, SIGKILL tells, unless it came from ECS, which sends it to a container that does not stop
/// when it is told to.
pub(super) fn is_oom(task: &Task, container: &TaskContainer) -> bool {
    let says_so =
        |container: &TaskContainer| container.reason.as_deref().is_some_and(|reason| reason.starts_with(OUT_OF_MEMORY));
    if task.containers.iter().any(says_so) {
        return says_so(container);
    }
    let told_to_stop = task.stop_code.as_deref().is_some_and(|code| code != "EssentialContainerExited");
    container.exit_code == Some(SIGKILL_EXIT) && !told_to_stop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_of_ecs_is_one_word() {
        for (reason, word) in [
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
            assert_eq!(of_task(reason), word, "{reason}");
        }
        assert_eq!(stop_code("SpotInterruption"), "SpotInterruption");
        assert_eq!(stop_code("5f0e"), "other");
    }
}
