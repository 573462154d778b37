//! Whether targets can be reached over the network: one of each service, since each has security groups of its own.

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

const CHECK: &str = "reach a target";

/// Time to connect to a target. Within a region it takes milliseconds; without a route it takes for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections at once: of so many services that are all silent, each still has its time in a check of a minute.
const CONNECTIONS: usize = 64;

/// Targets that are named when several cannot be reached.
const MAX_LISTED: usize = 5;

/// A task, and where it is scraped.
struct ProbeTarget<'a> {
    task: &'a str,
    address: SocketAddr,
}

/// Why a target cannot be reached.
enum ConnectError {
    Refused,
    TimedOut,
    Other(std::io::Error),
}

/// Connects to one target of each service.
pub(super) async fn check(list: &TargetList, deadline: &Deadline) -> CheckResult {
    let targets = one_per_service(list);
    let Some(first) = targets.first() else {
        return CheckResult::skip(CHECK, "no task has an endpoint that can be scraped: `sidecarless targets` says why");
    };
    let tried = stream::iter(&targets).map(|target| async move { (target, connect(target.address, deadline).await) });
    let tried: Vec<_> = tried.buffered(CONNECTIONS).collect().await;
    let failed: Vec<_> = tried.iter().filter_map(|(target, tried)| Some((*target, tried.as_ref().err()?))).collect();
    let Some((target, why)) = failed.first() else {
        let others = targets.len() - 1;
        let others = if others == 0 { String::new() } else { format!(", and one of each of {others} services more") };
        return CheckResult::ok(CHECK, format!("{} of task {} takes connections{others}", first.address, first.task));
    };
    let said: Vec<String> = failed.iter().take(MAX_LISTED).map(|(target, why)| why.message(target)).collect();
    let more = failed.len().saturating_sub(MAX_LISTED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    CheckResult::fail(CHECK, said.join("; ") + &more, why.fix(target.address.port()))
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
    // A task without a service is of its family.
    let new = rows.filter(|(row, _)| seen.insert((&row.cluster, &row.service, &row.family)));
    new.map(|(row, address)| ProbeTarget { task: &row.task, address }).collect()
}

fn address(row: &TargetRow) -> Option<SocketAddr> {
    let stats = || Some(SocketAddr::new(row.address.as_ref()?.parse().ok()?, row.port?));
    let page = || row.prometheus_endpoints.first()?.split('/').next()?.parse().ok();
    stats().or_else(page)
}

impl ConnectError {
    fn message(&self, ProbeTarget { task, address }: &ProbeTarget<'_>) -> String {
        match self {
            Self::Refused => format!("{address} of task {task} refuses connections"),
            Self::TimedOut => format!("{address} of task {task} does not answer"),
            Self::Other(error) => format!("{address} of task {task}: {error}"),
        }
    }

    fn fix(&self, port: u16) -> String {
        match self {
            Self::Refused => format!(
                "the way is there, but nothing listens: a container has to listen on 0.0.0.0:{port}, not on 127.0.0.1. A route \
                 or a security group that is missing shows as no answer instead"
            ),
            Self::TimedOut | Self::Other(_) => format!(
                "there has to be a route from the function's subnets to the task's, and the task's security group has to let \
                 in port {port} from the security group of the function; elsewhere than in that VPC this is no surprise"
            ),
        }
    }
}
