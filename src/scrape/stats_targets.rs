//! Where a task can be scraped: the endpoints its docker labels declare, at the address ECS gives it.
//!
//! Only what ECS says is a task is scraped, and only inside the allowed ranges: a label is written by whoever may register
//! a task definition, and must not be able to point this function at anything else.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use crate::model::ecs::{NetworkLocation, NetworkMode, TaskStatus};
use crate::model::task::{NetworkBinding, Task, TaskContainer, is_plain_path};

/// Docker label with the container port of a stats endpoint.
pub const STATS_PORT: &str = "sidecarless.stats.port";

/// Docker label with the path under which the endpoint serves `/task` and `/task/stats`; none: at the root.
const STATS_PATH: &str = "sidecarless.stats.path";

/// States in which a task can answer (Amazon ECS Developer Guide, "Task lifecycle").
const SCRAPABLE_STATES: [TaskStatus; 3] = [TaskStatus::Running, TaskStatus::Deactivating, TaskStatus::Stopping];

/// A stats endpoint inside a task.
#[derive(Clone, Debug)]
pub struct StatsTarget {
    pub task: Arc<Task>,
    pub address: SocketAddr,
    /// Empty, or a path that starts with `/` and does not end with it.
    pub path: String,
}

/// Why a task that declares an endpoint is not scraped.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    #[error("the label {label} of container {container} is `{value}`, which is no port")]
    InvalidPort { label: &'static str, container: String, value: String },
    #[error("the label {label} of container {container} is `{value}`, which is no path: it must start with /")]
    InvalidPath { label: &'static str, container: String, value: String },
    #[error("ECS gives no address for a task with network mode `{network_mode}`")]
    NoAddress { network_mode: String },
    #[error("port {port} of container {container} is not bound on the host")]
    PortNotBound { container: String, port: u16 },
    #[error("the address {0} is outside of SIDECARLESS_SCRAPE_CIDRS")]
    OutOfRange(IpAddr),
    #[error("the address {0} is link-local, where instance and task credentials are served")]
    LinkLocal(IpAddr),
    #[error("the address {0} is this function's own, which only a range within loopback allows")]
    Loopback(IpAddr),
    #[error("container {container} claims port {port} with the path {path}, as container {first} does")]
    DuplicateEndpoint { container: String, first: String, port: u16, path: String },
}

impl TargetError {
    /// The name under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            TargetError::InvalidPort { .. } => "target_invalid_port",
            TargetError::InvalidPath { .. } => "target_invalid_path",
            TargetError::NoAddress { .. } => "target_no_address",
            TargetError::PortNotBound { .. } => "target_port_not_bound",
            TargetError::OutOfRange(_) => "target_out_of_range",
            TargetError::LinkLocal(_) => "target_link_local",
            TargetError::Loopback(_) => "target_loopback",
            TargetError::DuplicateEndpoint { .. } => "target_duplicate",
        }
    }
}

/// The stats endpoint of a task: `None` when it declares none or cannot answer yet.
pub fn stats_target(task: &Arc<Task>, ranges: &[IpNet]) -> Option<Result<StatsTarget, TargetError>> {
    let container = task.containers.iter().find(|container| container.docker_label(STATS_PORT).is_some())?;
    if !is_scrapable(task) {
        return None;
    }
    let target = || {
        let mut path = declared_path(container, STATS_PATH)?;
        path.truncate(path.trim_end_matches('/').len());
        let address = stats_socket(task, container, ranges)?;
        Ok(StatsTarget { task: Arc::clone(task), address, path })
    };
    Some(target())
}

/// Where the stats endpoint of a task is, or was: ECS keeps the address of a task that has stopped.
pub fn stats_address(task: &Task, ranges: &[IpNet]) -> Option<SocketAddr> {
    let container = task.containers.iter().find(|container| container.docker_label(STATS_PORT).is_some())?;
    stats_socket(task, container, ranges).ok()
}

fn stats_socket(task: &Task, container: &TaskContainer, ranges: &[IpNet]) -> Result<SocketAddr, TargetError> {
    let port = declared_port(container, STATS_PORT)?;
    Ok(SocketAddr::new(allowed_address(task, ranges)?, reachable_port(task, container, port)?))
}

pub(super) fn declared_port(container: &TaskContainer, label: &'static str) -> Result<u16, TargetError> {
    let value = container.docker_label(label).unwrap_or_default();
    let wrong = || TargetError::InvalidPort { label, container: container.name.to_string(), value: truncate(value) };
    value.trim().parse().ok().filter(|&port| port != 0).ok_or_else(wrong)
}

/// Empty when the label is not there.
pub(super) fn declared_path(container: &TaskContainer, label: &'static str) -> Result<String, TargetError> {
    let value = container.docker_label(label).unwrap_or_default().trim();
    if !(value.is_empty() || value.starts_with('/')) || !is_plain_path(value) {
        return Err(TargetError::InvalidPath { label, container: container.name.to_string(), value: truncate(value) });
    }
    Ok(value.to_owned())
}

/// Whether the task is in a state in which it can answer.
pub(super) fn is_scrapable(task: &Task) -> bool {
    SCRAPABLE_STATES.contains(&task.last_status)
}

pub(super) fn allowed_address(task: &Task, ranges: &[IpNet]) -> Result<IpAddr, TargetError> {
    let address = task.address.ok_or_else(|| TargetError::NoAddress { network_mode: task.network_mode.to_string() })?;
    if is_link_local(address) {
        return Err(TargetError::LinkLocal(address));
    }
    let mut allowing = ranges.iter().filter(|range| range.contains(&address)).peekable();
    if allowing.peek().is_none() {
        return Err(TargetError::OutOfRange(address));
    }
    if is_loopback(address) && !allowing.any(|range| is_loopback(range.network())) {
        return Err(TargetError::Loopback(address));
    }
    Ok(address)
}

/// 169.254.0.0/16 (RFC 3927), also behind an IPv6 mask; fe80::/10 (RFC 4291); and fd00:ec2::/32, where instance metadata,
/// pod identities and the resolver are reached by IPv6 (Amazon EC2 User Guide, "Use the IMDS"). Addresses at which
/// nothing but the machine's own secrets and services are had.
fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments().starts_with(&[0xfd00, 0x0ec2]),
    }
}

/// Loopback and the unspecified address, which connects to it: Lambda's Runtime API listens there.
fn is_loopback(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

/// The port at which a container port is reached: itself where the container has the address to itself, the host's port
/// under bridge networking.
pub(super) fn reachable_port(task: &Task, container: &TaskContainer, port: u16) -> Result<u16, TargetError> {
    let is_mapped = task.network_location() == NetworkLocation::Host
        && matches!(task.network_mode, NetworkMode::Bridge | NetworkMode::Unspecified);
    if !is_mapped {
        return Ok(port);
    }
    // What is scraped answers over TCP; one port may be bound for both.
    let is_bound = |binding: &&NetworkBinding| binding.container_port == port && &*binding.protocol != "udp";
    let binding = container.network_bindings.iter().find(is_bound);
    let not_bound = || TargetError::PortNotBound { container: container.name.to_string(), port };
    binding.map(|binding| binding.host_port).ok_or_else(not_bound)
}

fn truncate(value: &str) -> String {
    value.chars().take(40).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(labels: &[(&str, &str)], address: Option<&str>, network_mode: &str) -> Arc<Task> {
        let container = TaskContainer {
            name: "cart".into(),
            docker_labels: labels.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
            network_bindings: [(32_780, "udp"), (32_781, "tcp")]
                .map(|(host_port, protocol)| NetworkBinding {
                    container_port: 9000,
                    host_port,
                    protocol: protocol.into(),
                })
                .into(),
            ..TaskContainer::default()
        };
        Arc::new(Task {
            last_status: "RUNNING".into(),
            address: address.map(|address| address.parse().expect("an address")),
            network_mode: network_mode.into(),
            containers: vec![TaskContainer::default(), container],
            ..Task::default()
        })
    }

    fn target(task: &Arc<Task>) -> Option<Result<String, String>> {
        let ranges =
            ["10.0.0.0/8", "fd00::/8", "169.254.0.0/16", "126.0.0.0/7"].map(|range| range.parse().expect("a range"));
        let target = stats_target(task, &ranges)?;
        Some(target.map(|target| format!("{}{}", target.address, target.path)).map_err(|dropped| dropped.to_string()))
    }

    #[test]
    fn a_declared_endpoint_is_found_at_the_tasks_address() {
        for (labels, address, mode, expected) in [
            (vec![(STATS_PORT, "9000")], "10.2.3.4", "awsvpc", "10.2.3.4:9000"),
            (vec![(STATS_PORT, " 9000 "), (STATS_PATH, "/v4/")], "10.2.3.4", "awsvpc", "10.2.3.4:9000/v4"),
            (vec![(STATS_PORT, "9000")], "10.0.0.9", "bridge", "10.0.0.9:32781"),
            (vec![(STATS_PORT, "9000")], "10.0.0.9", "host", "10.0.0.9:9000"),
            (vec![(STATS_PORT, "9000")], "fd00::1", "awsvpc", "[fd00::1]:9000"),
        ] {
            assert_eq!(target(&task(&labels, Some(address), mode)), Some(Ok(expected.into())));
        }
    }

    #[test]
    fn an_endpoint_that_must_not_or_cannot_be_scraped_says_why() {
        for (labels, address, mode, expected) in [
            (vec![(STATS_PORT, "abc")], Some("10.2.3.4"), "awsvpc", "`abc`, which is no port"),
            (vec![(STATS_PORT, "0")], Some("10.2.3.4"), "awsvpc", "`0`, which is no port"),
            (vec![(STATS_PORT, "70000")], Some("10.2.3.4"), "awsvpc", "`70000`, which is no port"),
            (vec![(STATS_PORT, "9000"), (STATS_PATH, "v4")], Some("10.2.3.4"), "awsvpc", "`v4`, which is no path"),
            (vec![(STATS_PORT, "9000"), (STATS_PATH, "/@evil")], Some("10.2.3.4"), "awsvpc", "which is no path"),
            (vec![(STATS_PORT, "9000")], Some("8.8.8.8"), "awsvpc", "outside of SIDECARLESS_SCRAPE_CIDRS"),
            (vec![(STATS_PORT, "9000")], Some("169.254.170.2"), "awsvpc", "is link-local"),
            (vec![(STATS_PORT, "9000")], Some("::ffff:169.254.170.2"), "awsvpc", "is link-local"),
            (vec![(STATS_PORT, "9000")], Some("fd00:ec2::254"), "awsvpc", "is link-local"),
            (vec![(STATS_PORT, "9000")], Some("127.0.0.1"), "awsvpc", "only a range within loopback allows"),
            (vec![(STATS_PORT, "9000")], None, "none", "no address for a task with network mode `none`"),
            (vec![(STATS_PORT, "9001")], Some("10.0.0.9"), "bridge", "port 9001 of container cart is not bound"),
        ] {
            match target(&task(&labels, address, mode)) {
                Some(Err(reason)) => assert!(reason.contains(expected), "{reason}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_task_without_the_label_or_not_running_yet_is_no_target() {
        assert_eq!(target(&task(&[], Some("10.2.3.4"), "awsvpc")), None);
        let mut pending = task(&[(STATS_PORT, "9000")], Some("10.2.3.4"), "awsvpc");
        Arc::make_mut(&mut pending).last_status = "PENDING".into();
        assert_eq!(target(&pending), None);
    }
}
