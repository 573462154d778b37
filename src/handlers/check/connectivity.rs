//! Check of the network connection to targets: one for each service, because services have different security groups.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::net::TcpStream;

use super::report::CheckResult;
use crate::deadline::Deadline;
use crate::handlers::{TargetList, TargetRow};

const NAME: &str = "reach a target";

/// Timeout of connecting to a target. It takes milliseconds within a region, and never ends without a route.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum number of concurrent connections: a check of one minute then has time for hundreds of targets that do not respond.
const CONCURRENCY: usize = 64;

/// Maximum number of unreachable targets in the message.
const MAX_LISTED: usize = 5;

/// Task and its scraped address.
struct ProbeTarget<'a> {
    task: &'a str,
    address: SocketAddr,
}

/// Error of a connection to a target.
enum ConnectError {
    Refused,
    TimedOut,
    Other(std::io::Error),
}

/// Connects to one target of each service.
pub(super) async fn check(list: &TargetList, deadline: &Deadline) -> CheckResult {
    let targets = one_per_service(list);
    let Some(first) = targets.first() else {
        return CheckResult::skip(NAME, "no task has an endpoint to scrape: run `sidecarless targets` for the reasons");
    };
    let results = stream::iter(&targets).map(|target| async move { (target, connect(target.address, deadline).await) });
    let results: Vec<_> = results.buffered(CONCURRENCY).collect().await;
    let errors: Vec<_> =
        results.iter().filter_map(|(target, result)| Some((*target, result.as_ref().err()?))).collect();
    let Some((target, error)) = errors.first() else {
        let others = match targets.len() - 1 {
            0 => String::new(),
            others => format!(", as does one target of each of {others} other services"),
        };
        return CheckResult::ok(NAME, format!("{} of task {} accepts connections{others}", first.address, first.task));
    };
    let messages: Vec<String> = errors.iter().take(MAX_LISTED).map(|(target, error)| error.message(target)).collect();
    let more = errors.len().saturating_sub(MAX_LISTED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    CheckResult::fail(NAME, messages.join("; ") + &more, error.fix(target.address.port()))
}

async fn connect(address: SocketAddr, deadline: &Deadline) -> Result<(), ConnectError> {
    match deadline.timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Err(ConnectError::Refused),
        Some(Err(error)) => Err(ConnectError::Other(error)),
        None => Err(ConnectError::TimedOut),
    }
}

fn one_per_service(list: &TargetList) -> Vec<ProbeTarget<'_>> {
    let mut seen = BTreeSet::new();
    let rows = list.targets.iter().filter_map(|row| Some((row, address(row)?)));
    // Tasks without a service are grouped by family.
    let first = rows.filter(|(row, _)| seen.insert((&row.cluster, &row.service, &row.family)));
    first.map(|(row, address)| ProbeTarget { task: &row.task, address }).collect()
}

fn address(row: &TargetRow) -> Option<SocketAddr> {
    let stats = || Some(SocketAddr::new(row.address.as_ref()?.parse().ok()?, row.port?));
    let prometheus = || row.prometheus_endpoints.first()?.split('/').next()?.parse().ok();
    stats().or_else(prometheus)
}

impl ConnectError {
    fn message(&self, ProbeTarget { task, address }: &ProbeTarget<'_>) -> String {
        match self {
            Self::Refused => format!("{address} of task {task} refuses connections"),
            Self::TimedOut => format!("{address} of task {task} does not respond"),
            Self::Other(error) => format!("{address} of task {task}: {error}"),
        }
    }

    fn fix(&self, port: u16) -> String {
        match self {
            Self::Refused => format!(
                "let a container listen on 0.0.0.0:{port}, not on 127.0.0.1; the network path works, because a missing route or \
                 security group rule would result in a timeout"
            ),
            Self::TimedOut | Self::Other(_) => format!(
                "add a route from the function's subnets to the subnets of the task, and allow port {port} from the function's \
                 security group in the security group of the task; outside that VPC, this failure is expected"
            ),
        }
    }
}
