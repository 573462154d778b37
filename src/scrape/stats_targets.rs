//! Stats targets of tasks, declared by docker labels, and the rules for addresses and ports of all targets. Makes no
//! requests.
//!
//! The address always comes from ECS and must be within the allowed ranges. Any principal that can register a task
//! definition can write docker labels, so a label must not be able to direct a request to anything but its own task.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use crate::model::ecs::{NetworkLocation, NetworkMode, TaskStatus};
use crate::model::masked::{masked_url, start_of};
use crate::model::task::{NetworkBinding, Task, TaskContainer, is_plain_path};

/// Docker label with the container port of a stats endpoint.
pub const STATS_PORT: &str = "sidecarless.stats.port";

/// Docker label with which a task declares that it pushes its stats, and its value.
pub const STATS_PUSH: (&str, &str) = ("sidecarless.stats", "push");

/// Docker label with the path prefix of `/task` and `/task/stats`. Without the label they are at the root.
const STATS_PATH: &str = "sidecarless.stats.path";

/// States in which the containers of a task run (Amazon ECS Developer Guide, "Task lifecycle").
const SCRAPABLE_STATES: [TaskStatus; 3] = [TaskStatus::Running, TaskStatus::Deactivating, TaskStatus::Stopping];

/// A stats endpoint inside a task.
#[derive(Clone, Debug)]
pub struct StatsTarget {
    pub task: Arc<Task>,
    pub address: SocketAddr,
    /// Empty, or a path that starts with `/` and does not end with it.
    pub path: String,
}

/// Reason to skip a declared endpoint.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    #[error("invalid port \"{value}\" in label {label} of container {container}: use a number from 1 to 65535")]
    InvalidPort { label: &'static str, container: String, value: String },
    #[error("invalid path \"{value}\" in label {label} of container {container}: use a plain path that starts with /")]
    InvalidPath { label: &'static str, container: String, value: String },
    #[error("invalid scheme \"{value}\" in label {label} of container {container}: use http or https")]
    InvalidScheme { label: &'static str, container: String, value: String },
    #[error("no address for a task with network mode \"{network_mode}\"")]
    NoAddress { network_mode: NetworkMode },
    #[error("port {port} of container {container} is not bound on the host")]
    PortNotBound { container: String, port: u16 },
    #[error("address {0} is outside SIDECARLESS_SCRAPE_CIDRS")]
    OutOfRange(IpAddr),
    #[error("address {0} is link-local: such addresses serve instance and task credentials")]
    LinkLocal(IpAddr),
    #[error(
        "address {0} is a loopback address of the function: only a range within 127.0.0.0/8 or ::1 in \
         SIDECARLESS_SCRAPE_CIDRS allows it"
    )]
    Loopback(IpAddr),
    #[error("address {0} is not the address of a host: it is unspecified, multicast or broadcast")]
    NotHost(IpAddr),
    #[error(
        "job \"{job}\" of container {container} is reserved for series of the function: set another name with the label \
         ECS_PROMETHEUS_JOB_NAME or a scrape rule"
    )]
    ReservedJob { container: String, job: String },
    #[error("container {container} declares port {port} and path {path}, which container {first} already declares")]
    DuplicateEndpoint { container: String, first: String, port: u16, path: String },
}

impl TargetError {
    pub(super) fn invalid_scheme(label: &'static str, container: &TaskContainer, value: &str) -> Self {
        Self::InvalidScheme { label, container: container.name.to_string(), value: truncate(value) }
    }

    /// Returns the value of the `reason` label.
    pub fn reason(&self) -> &'static str {
        match self {
            TargetError::InvalidPort { .. } => "target_invalid_port",
            TargetError::InvalidPath { .. } => "target_invalid_path",
            TargetError::InvalidScheme { .. } => "target_invalid_scheme",
            TargetError::NoAddress { .. } => "target_no_address",
            TargetError::PortNotBound { .. } => "target_port_not_bound",
            TargetError::OutOfRange(_) => "target_out_of_range",
            TargetError::LinkLocal(_) => "target_link_local",
            TargetError::Loopback(_) => "target_loopback",
            TargetError::NotHost(_) => "target_not_host",
            TargetError::ReservedJob { .. } => "target_reserved_job",
            TargetError::DuplicateEndpoint { .. } => "target_duplicate",
        }
    }
}

/// Translation prefix of NAT64, 64:ff9b::/96 (RFC 6052, section 2.1), which NAT gateways of Amazon VPC use.
const NAT64_PREFIX: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Returns the stats target of a task; `None` if it is not scrapable, or no container declares one that has not stopped.
pub fn stats_target(task: &Arc<Task>, ranges: &[IpNet]) -> Option<Result<StatsTarget, TargetError>> {
    let container = stats_containers(task).find(|container| is_scrapable(task) && !container.has_stopped())?;
    let target = || {
        let mut path = declared_path(container, STATS_PATH, is_plain_path)?;
        path.truncate(path.trim_end_matches('/').len());
        let address = stats_socket(task, container, ranges)?;
        Ok(StatsTarget { task: Arc::clone(task), address, path })
    };
    Some(target())
}

/// Returns the addresses of the stats endpoints of a task, also of a stopped one: ECS still reports its address. If several
/// containers declare an endpoint, any of them may be the one that was scraped.
pub fn stats_addresses(task: &Task, ranges: &[IpNet]) -> BTreeSet<SocketAddr> {
    stats_containers(task).filter_map(|container| stats_socket(task, container, ranges).ok()).collect()
}

fn stats_containers(task: &Task) -> impl Iterator<Item = &TaskContainer> {
    task.containers.iter().filter(|container| container.docker_label(STATS_PORT).is_some())
}

fn stats_socket(task: &Task, container: &TaskContainer, ranges: &[IpNet]) -> Result<SocketAddr, TargetError> {
    let port = declared_port(container, STATS_PORT)?;
    Ok(SocketAddr::new(allowed_address(task, ranges)?, reachable_port(task, container, port)?))
}

pub(super) fn declared_port(container: &TaskContainer, label: &'static str) -> Result<u16, TargetError> {
    let value = container.docker_label(label).unwrap_or_default();
    let invalid = || TargetError::InvalidPort { label, container: container.name.to_string(), value: truncate(value) };
    value.trim().parse().ok().filter(|&port| port != 0).ok_or_else(invalid)
}

/// Returns the empty path without the label.
pub(super) fn declared_path(
    container: &TaskContainer,
    label: &'static str,
    is_valid: fn(&str) -> bool,
) -> Result<String, TargetError> {
    let value = container.docker_label(label).unwrap_or_default().trim();
    if !(value.is_empty() || value.starts_with('/')) || !is_valid(value) {
        let value = truncate(&masked_url(value));
        return Err(TargetError::InvalidPath { label, container: container.name.to_string(), value });
    }
    Ok(value.to_owned())
}

/// Returns whether the containers of the task run.
pub(super) fn is_scrapable(task: &Task) -> bool {
    SCRAPABLE_STATES.contains(&task.last_status)
}

/// Returns the address of a task if it may be scraped. A wide range such as `0.0.0.0/0` does not open addresses of the function
/// or of AWS services. An IPv4 address in IPv6, mapped or with the prefix of NAT64, counts as IPv4.
pub(super) fn allowed_address(task: &Task, ranges: &[IpNet]) -> Result<IpAddr, TargetError> {
    let address = task.address.ok_or_else(|| TargetError::NoAddress { network_mode: task.network_mode.clone() })?;
    let address = match address {
        IpAddr::V6(v6) => embedded_ipv4(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    if is_link_local(address) {
        return Err(TargetError::LinkLocal(address));
    }
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(TargetError::NotHost(address));
    }
    let mut matching = ranges.iter().map(canonical_range).filter(|range| range.contains(&address)).peekable();
    if matching.peek().is_none() {
        return Err(TargetError::OutOfRange(address));
    }
    if address.is_loopback() && !matching.any(|range| is_loopback_range(&range)) {
        return Err(TargetError::Loopback(address));
    }
    Ok(address)
}

/// 169.254.0.0/16 (RFC 3927); fe80::/10 (RFC 4291); and fd00:ec2::/32, which serves instance metadata, pod identities and DNS
/// over IPv6 (Amazon EC2 User Guide, "Use the IMDS"). These addresses serve only secrets and services of the machine.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments().starts_with(&[0xfd00, 0x0ec2]),
    }
}

/// Returns the IPv4 address in an IPv6 address that is mapped (`::ffff:10.0.0.1`) or has the prefix of NAT64.
fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    let is_nat64 = address.segments().starts_with(&NAT64_PREFIX);
    address.to_ipv4_mapped().or(is_nat64.then(|| Ipv4Addr::new(a, b, c, d)))
}

/// Returns a range of IPv4 addresses in IPv6 (`::ffff:10.0.0.0/104`) as a range of IPv4 addresses.
fn canonical_range(range: &IpNet) -> IpNet {
    let IpNet::V6(v6) = range else { return *range };
    let (Some(v4), Some(prefix)) = (embedded_ipv4(v6.network()), v6.prefix_len().checked_sub(96)) else {
        return *range;
    };
    Ipv4Net::new(v4, prefix).map_or(*range, IpNet::V4)
}

/// Returns whether all addresses of a range are loopback addresses, where the Runtime API of Lambda listens.
fn is_loopback_range(range: &IpNet) -> bool {
    range.network().is_loopback() && range.broadcast().is_loopback()
}

/// Returns the port at which a container port is reachable: under bridge networking the host port that is bound to it,
/// otherwise the container port.
pub(super) fn reachable_port(task: &Task, container: &TaskContainer, port: u16) -> Result<u16, TargetError> {
    let is_mapped = task.network_location() == NetworkLocation::Host
        && matches!(task.network_mode, NetworkMode::Bridge | NetworkMode::Unspecified);
    if !is_mapped {
        return Ok(port);
    }
    // One container port may be bound for TCP and for UDP. Scrapes use TCP.
    let is_bound = |binding: &&NetworkBinding| binding.container_port == port && &*binding.protocol != "udp";
    let binding = container.network_bindings.iter().find(is_bound);
    let not_bound = || TargetError::PortNotBound { container: container.name.to_string(), port };
    binding.map(|binding| binding.host_port).ok_or_else(not_bound)
}

fn truncate(value: &str) -> String {
    start_of(value, 40).escape_debug().to_string()
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
        Some(target.map(|target| format!("{}{}", target.address, target.path)).map_err(|error| error.to_string()))
    }

    #[test]
    fn declared_endpoint_has_the_address_of_its_task() {
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
    fn endpoint_that_cannot_be_scraped_is_an_error() {
        for (labels, address, mode, expected) in [
            (
                vec![(STATS_PORT, "abc")],
                Some("10.2.3.4"),
                "awsvpc",
                "invalid port \"abc\" in label sidecarless.stats.port of container cart",
            ),
            (vec![(STATS_PORT, "0")], Some("10.2.3.4"), "awsvpc", "invalid port \"0\""),
            (vec![(STATS_PORT, "70000")], Some("10.2.3.4"), "awsvpc", "invalid port \"70000\""),
            (vec![(STATS_PORT, "9000"), (STATS_PATH, "v4")], Some("10.2.3.4"), "awsvpc", "invalid path \"v4\""),
            (vec![(STATS_PORT, "9000"), (STATS_PATH, "/@evil")], Some("10.2.3.4"), "awsvpc", "invalid path \"/@evil\""),
            (vec![(STATS_PORT, "9000")], Some("8.8.8.8"), "awsvpc", "outside SIDECARLESS_SCRAPE_CIDRS"),
            (vec![(STATS_PORT, "9000")], Some("169.254.170.2"), "awsvpc", "is link-local"),
            (vec![(STATS_PORT, "9000")], Some("::ffff:169.254.170.2"), "awsvpc", "is link-local"),
            (vec![(STATS_PORT, "9000")], Some("fd00:ec2::254"), "awsvpc", "is link-local"),
            (vec![(STATS_PORT, "9000")], Some("127.0.0.1"), "awsvpc", "only a range within 127.0.0.0/8"),
            (vec![(STATS_PORT, "9000")], None, "none", "no address for a task with network mode \"none\""),
            (vec![(STATS_PORT, "9001")], Some("10.0.0.9"), "bridge", "port 9001 of container cart is not bound"),
        ] {
            match target(&task(&labels, address, mode)) {
                Some(Err(reason)) => assert!(reason.contains(expected), "{reason}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    fn allowed(address: &str, ranges: &[&str]) -> Result<String, &'static str> {
        let ranges: Vec<IpNet> = ranges.iter().map(|range| range.parse().expect("a range")).collect();
        let task = Task { address: Some(address.parse().expect("an address")), ..Task::default() };
        allowed_address(&task, &ranges).map(|address| address.to_string()).map_err(|error| error.reason())
    }

    #[test]
    fn address_with_the_prefix_of_nat64_counts_as_ipv4() {
        for (address, expected) in [
            ("64:ff9b::a9fe:a9fe", Err("target_link_local")),
            ("64:ff9b::7f00:1", Err("target_loopback")),
            ("64:ff9b::", Err("target_not_host")),
            ("64:ff9b::e000:1", Err("target_not_host")),
            ("64:ff9b::a00:1", Ok("10.0.0.1".to_owned())),
        ] {
            assert_eq!(allowed(address, &["::/0", "0.0.0.0/0"]), expected, "{address}");
        }
        assert_eq!(allowed("64:ff9b::a00:1", &["64:ff9b::a00:0/104"]), Ok("10.0.0.1".to_owned()));
        assert_eq!(allowed("64:ff9b::a00:1", &["::/0"]), Err("target_out_of_range"));
    }

    #[test]
    fn wide_range_opens_only_addresses_of_hosts() {
        let wide = ["0.0.0.0/0", "::/0", "126.0.0.0/7", "::/127", "169.0.0.0/8", "fe00::/7"];
        for (address, reason) in [
            ("127.0.0.1", "target_loopback"),
            ("127.9.9.9", "target_loopback"),
            ("::1", "target_loopback"),
            ("::ffff:127.0.0.1", "target_loopback"),
            ("169.254.169.254", "target_link_local"),
            ("169.254.170.2", "target_link_local"),
            ("::ffff:169.254.169.254", "target_link_local"),
            ("fe80::1", "target_link_local"),
            ("fd00:ec2::254", "target_link_local"),
            ("0.0.0.0", "target_not_host"),
            ("::", "target_not_host"),
            ("::ffff:0.0.0.0", "target_not_host"),
            ("224.0.0.1", "target_not_host"),
            ("255.255.255.255", "target_not_host"),
            ("ff02::1", "target_not_host"),
        ] {
            assert_eq!(allowed(address, &wide), Err(reason), "{address}");
        }
        for (address, range, expected) in [
            ("8.8.8.8", "0.0.0.0/0", "8.8.8.8"),
            ("2001:db8::1", "::/0", "2001:db8::1"),
            ("127.9.9.9", "127.0.0.0/8", "127.9.9.9"),
            ("127.0.0.1", "127.0.0.1/32", "127.0.0.1"),
            ("::1", "::1/128", "::1"),
            ("::ffff:127.0.0.1", "127.0.0.0/8", "127.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.0/8", "10.0.0.1"),
            ("10.0.0.1", "::ffff:10.0.0.0/104", "10.0.0.1"),
        ] {
            assert_eq!(allowed(address, &[range]), Ok(expected.to_owned()), "{address} in {range}");
        }
        assert_eq!(allowed("10.0.0.1", &["::/0"]), Err("target_out_of_range"));
    }

    #[test]
    fn stopped_container_leaves_the_endpoint_to_a_running_one() {
        let mut task = task(&[(STATS_PORT, "9000")], Some("10.2.3.4"), "awsvpc");
        let containers = &mut Arc::make_mut(&mut task).containers;
        let mut init = containers[1].clone();
        init.docker_labels = vec![(STATS_PORT.into(), "8000".into())];
        init.last_status = "STOPPED".into();
        containers.insert(0, init);
        assert_eq!(target(&task), Some(Ok("10.2.3.4:9000".into())));
        let addresses = stats_addresses(&task, &["10.0.0.0/8".parse().expect("a range")]);
        assert_eq!(addresses.len(), 2, "each may have been scraped");
        Arc::make_mut(&mut task).containers[2].last_status = "STOPPED".into();
        assert_eq!(target(&task), None);
    }

    #[test]
    fn pending_or_unlabelled_task_has_no_target() {
        assert_eq!(target(&task(&[], Some("10.2.3.4"), "awsvpc")), None);
        let mut pending = task(&[(STATS_PORT, "9000")], Some("10.2.3.4"), "awsvpc");
        Arc::make_mut(&mut pending).last_status = "PENDING".into();
        assert_eq!(target(&pending), None);
    }
}
