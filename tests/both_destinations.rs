//! Fault matrix of a push that goes to AMP and CloudWatch: each condition of one with each condition of the other, with a spool, without
//! one, and with one that fails. Each cell checks the response, the item counters of each destination, what each of them stored, and
//! what a redelivery or a repeated push adds (docs/metrics.md, "Metrics in CloudWatch").

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use prost::Message as _;
use sidecarless::deadline::Deadline;
use sidecarless::lambda::HttpResponse;
use sidecarless::model::item_counters::{ItemKind, ItemStatus};
use sidecarless::model::otlp::{ExportResponse, PartialSuccess};
use sidecarless::model::spool::{Payload, SpoolMessage};

use crate::cloudwatch_otlp::{BOTH, SPOOL, is_otlp, push_of, taken};
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse};
use crate::sandbox::task::closed_port;
use crate::sandbox::{Push, Sandbox};

/// Data points of a push, and samples that AMP gets of it.
const POINTS: u64 = 3;

/// Timeout of an invocation. A cell with a destination that can be retried takes this long.
const INVOCATION: Duration = Duration::from_secs(4);

/// Concurrent cells, as in the matrix of all peers.
const CONCURRENCY: [usize; 3] = [32, 8, 1];

/// Condition of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    Works,
    /// The connection is refused.
    Closed,
    Cuts,
    Hangs,
    Unavailable,
    Throttles,
    /// Throttling with status 400, as services with a JSON protocol do.
    Throttles400,
    /// The credentials are those of another account, or the key was deleted.
    InvalidCredentials,
    /// A permission is missing.
    Denies,
    Rejects,
    /// Stores a part of the request, and rejects the rest.
    RejectsSome,
}

use Condition::{
    Closed, Cuts, Denies, Hangs, InvalidCredentials, Rejects, RejectsSome, Throttles, Throttles400, Unavailable, Works,
};

const CONDITIONS: [Condition; 11] = [
    Works,
    Closed,
    Cuts,
    Hangs,
    Unavailable,
    Throttles,
    Throttles400,
    InvalidCredentials,
    Denies,
    Rejects,
    RejectsSome,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SpoolState {
    Works,
    Absent,
    Fails,
}

const SPOOL_STATES: [SpoolState; 3] = [SpoolState::Works, SpoolState::Absent, SpoolState::Fails];

/// Conditions of AMP, CloudWatch and the spool.
type Cell = (Condition, Condition, SpoolState);

/// Counted items by status, with the reason of those that have one.
type Counts = BTreeMap<(ItemStatus, &'static str), u64>;

impl Condition {
    fn is_denied(self) -> bool {
        matches!(self, InvalidCredentials | Denies)
    }

    /// Whether the items can be delivered later.
    fn is_retryable(self) -> bool {
        !matches!(self, Works | Rejects | RejectsSome)
    }

    /// Returns the fault that both destinations have in common.
    fn fault(self) -> Option<Fault> {
        let code = |status, code: &str, message: &str| {
            let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
            Some(Fault::Response(StubResponse::of(status, "application/json", body)))
        };
        match self {
            Works | Closed | Rejects | RejectsSome => None,
            Cuts => Some(Fault::Response(StubResponse::Cut)),
            Hangs => Some(Fault::Response(StubResponse::Hang)),
            Unavailable => Some(Fault::status(503, "busy")),
            Throttles => Some(Fault::status(429, "slow down")),
            Throttles400 => code(400, "ThrottlingException", "Rate exceeded"),
            InvalidCredentials => {
                code(403, "UnrecognizedClientException", "The security token included in the request is invalid")
            }
            Denies => code(403, "AccessDeniedException", "not authorized to perform: this action"),
        }
    }

    fn amp_fault(self) -> Option<Fault> {
        match self {
            Rejects => Some(Fault::status(400, "snappy: corrupt input")),
            RejectsSome => Some(Fault::status(400, "err: duplicate sample for timestamp. series={__name__=\"g\"}")),
            _ => self.fault(),
        }
    }

    /// Returns the counts of items, unless they were rejected.
    fn counts(self, spool: SpoolState) -> Counts {
        let mut counts = Counts::from([((ItemStatus::Received, ""), POINTS)]);
        let status = match (self.is_retryable(), spool) {
            (false, _) => ItemStatus::Delivered,
            (true, SpoolState::Works) => ItemStatus::Spooled,
            (true, SpoolState::Absent | SpoolState::Fails) => ItemStatus::Refused,
        };
        counts.insert((status, ""), POINTS);
        if self.is_denied() {
            counts.insert((ItemStatus::AccessDenied, ""), POINTS);
        }
        counts
    }

    fn amp_counts(self, spool: SpoolState) -> Counts {
        let received = ((ItemStatus::Received, ""), POINTS);
        match self {
            Rejects => Counts::from([received, ((ItemStatus::Rejected, "malformed_request"), POINTS)]),
            RejectsSome => Counts::from([
                received,
                ((ItemStatus::Rejected, "duplicate_sample"), 1),
                ((ItemStatus::Unconfirmed, "partial_write"), POINTS - 1),
            ]),
            _ => self.counts(spool),
        }
    }

    fn cloudwatch_counts(self, spool: SpoolState) -> Counts {
        let received = ((ItemStatus::Received, ""), POINTS);
        let rejected = (ItemStatus::Rejected, "rejected_by_cloudwatch");
        match self {
            Rejects => Counts::from([received, (rejected, POINTS)]),
            RejectsSome => Counts::from([received, (rejected, 2), ((ItemStatus::Delivered, ""), 1)]),
            _ => self.counts(spool),
        }
    }
}

/// Sandbox in which the destinations and the spool have the conditions of a cell.
async fn start((amp, cloudwatch, spool): Cell) -> Sandbox {
    let closed_url = format!("http://127.0.0.1:{}/api/v1/remote_write", closed_port().await);
    let mut settings = vec![BOTH, ("SIDECARLESS_TARGET_INFO", "off")];
    settings.extend((spool != SpoolState::Absent).then_some(SPOOL));
    settings.extend((amp == Closed).then_some(("AWS_PROMETHEUS_ENDPOINT", closed_url.as_str())));
    settings.extend((cloudwatch == Closed).then_some(("AWS_ENDPOINT_URL_CLOUDWATCH", closed_url.as_str())));
    let sandbox = Sandbox::start(&settings).await;
    if let Some(fault) = amp.amp_fault() {
        sandbox.amp.fail_always(fault);
    }
    match cloudwatch {
        Rejects => sandbox.aws.fail_always(is_otlp, Fault::status(400, "a value is invalid")),
        RejectsSome => {
            let partial = PartialSuccess { rejected: 2, error_message: "two values are invalid".into() };
            let body = ExportResponse { partial_success: Some(partial) }.encode_to_vec();
            sandbox.aws.cloudwatch().otlp_response = Some(StubResponse::of(200, "application/x-protobuf", body));
        }
        _ => {
            if let Some(fault) = cloudwatch.fault() {
                sandbox.aws.fail_always(is_otlp, fault);
            }
        }
    }
    if spool == SpoolState::Fails {
        sandbox.aws.fail_always(is_sqs, Fault::status(503, "busy"));
    }
    sandbox
}

fn is_sqs(request: &RecordedRequest) -> bool {
    request.header("x-amz-target").starts_with("AmazonSQS")
}

fn counts_of(sandbox: &Sandbox, kind: ItemKind) -> Counts {
    let counters = sandbox.handlers.counters();
    let of_kind = counters.counts().filter(|(key, _)| key.item == kind);
    of_kind.map(|(key, count)| ((key.status, key.reason), count)).collect()
}

/// Returns the number of samples that AMP stored, and of points that CloudWatch stored.
fn stored(sandbox: &Sandbox) -> (u64, u64) {
    (sandbox.amp.samples().len() as u64, taken(sandbox).concat().len() as u64)
}

fn partial_success(response: &HttpResponse) -> Option<PartialSuccess> {
    ExportResponse::decode(response.body.as_slice()).unwrap().partial_success
}

fn check<T: PartialEq + std::fmt::Debug>(what: &str, actual: T, expected: T) -> Result<(), String> {
    if actual == expected { Ok(()) } else { Err(format!("{what}: {actual:?} instead of {expected:?}")) }
}

/// Runs a cell. Returns the status of the response.
async fn run(cell: Cell) -> Result<u16, String> {
    let (amp, cloudwatch, spool) = cell;
    let sandbox = start(cell).await;
    let body = push_of(u32::try_from(POINTS).unwrap());
    let push = Push { time: INVOCATION, ..Push::new("/v1/metrics", &body) };
    let clock = Deadline::after(INVOCATION);
    let response = sandbox.push(&push).await;
    check("in time", clock.elapsed() < INVOCATION, true)?;

    // Without a spool, CloudWatch gets a push after AMP has accepted it.
    let is_skipped = spool == SpoolState::Absent && amp.is_retryable();
    let amp_counts = amp.amp_counts(spool);
    let cloudwatch_counts = if is_skipped {
        Counts::from([((ItemStatus::Received, ""), POINTS), ((ItemStatus::Refused, ""), POINTS)])
    } else {
        cloudwatch.cloudwatch_counts(spool)
    };
    check("samples", counts_of(&sandbox, ItemKind::Samples), amp_counts.clone())?;
    check("points", counts_of(&sandbox, ItemKind::CloudWatchPoints), cloudwatch_counts.clone())?;
    let translated = Counts::from([((ItemStatus::Received, ""), POINTS), ((ItemStatus::Translated, ""), POINTS)]);
    check("data points", counts_of(&sandbox, ItemKind::DataPoints), translated)?;
    check("unbalanced", sandbox.handlers.counters().unbalanced(), Vec::new())?;
    check_response(&response, [&amp_counts, &cloudwatch_counts])?;

    let is_stored = |condition, is_sent| if condition == Works && is_sent { POINTS } else { 0 };
    // The response of CloudWatch tells how many points of a request it did not store.
    let in_part = if cloudwatch == RejectsSome && !is_skipped { POINTS } else { 0 };
    let expected = (is_stored(amp, true), is_stored(cloudwatch, !is_skipped) + in_part);
    check("stored", stored(&sandbox), expected)?;
    check_spool(&sandbox, [&amp_counts, &cloudwatch_counts]).await?;
    if spool == SpoolState::Absent && response.status == 503 && ![amp, cloudwatch].contains(&Closed) {
        check_repeated_push(&sandbox, &push, cell).await?;
    }
    Ok(response.status)
}

/// Checks that the sender repeats a push of which anything was refused, and otherwise learns what was rejected.
fn check_response(response: &HttpResponse, counts: [&Counts; 2]) -> Result<(), String> {
    let total = |status| -> u64 {
        let all = counts.iter().flat_map(|counts| counts.iter());
        all.filter(|((other, _), _)| *other == status).map(|(_, count)| count).sum()
    };
    if total(ItemStatus::Refused) > 0 {
        check("status", response.status, 503)?;
        return check("retry-after", response.headers.iter().any(|(name, _)| *name == "retry-after"), true);
    }
    check("status", response.status, 200)?;
    let rejected = partial_success(response).map(|partial| partial.rejected.unsigned_abs());
    // A point that both destinations reject is one rejected point.
    let expected = Some(total(ItemStatus::Rejected).min(POINTS)).filter(|rejected| *rejected > 0);
    check("rejected points", rejected, expected)
}

/// Checks that the spool has what was counted, for each destination by itself, and that its messages deliver that and nothing else.
async fn check_spool(sandbox: &Sandbox, counts: [&Counts; 2]) -> Result<(), String> {
    let bodies = sandbox.aws.sqs().bodies.clone();
    let mut items = [0, 0];
    for body in &bodies {
        let payload = SpoolMessage::parse(body).unwrap().payload;
        let destination = usize::from(matches!(payload, Payload::OtlpMetrics(_)));
        items[destination] += payload.items();
    }
    let spooled = counts.map(|counts| counts.get(&(ItemStatus::Spooled, "")).copied().unwrap_or_default());
    check("in the spool", items, spooled)?;
    // Another environment, whose circuits are closed.
    let fresh = Sandbox::start(&[BOTH, SPOOL]).await;
    for body in bodies {
        check("delivered again", fresh.is_redelivered_again(&body).await, false)?;
    }
    check("stored from the spool", stored(&fresh), (spooled[0], spooled[1]))
}

/// Checks that a repeated push completes what is missing, and repeats nothing in CloudWatch.
async fn check_repeated_push(sandbox: &Sandbox, push: &Push<'_>, (amp, cloudwatch, _): Cell) -> Result<(), String> {
    sandbox.amp.clear_faults();
    sandbox.aws.recover();
    sandbox.aws.cloudwatch().otlp_response = None;
    let response = sandbox.push(push).await;
    check("status of the repeated push", (response.status, partial_success(&response)), (200, None))?;
    let mut points = taken(sandbox).concat();
    points.sort_unstable_by(f64::total_cmp);
    check("points of both pushes", points, vec![0.0, 1.0, 2.0])?;
    // AMP recognizes repeated samples.
    let samples = if amp == Works { 2 * POINTS } else { POINTS };
    check(&format!("samples of both pushes, CloudWatch {cloudwatch:?}"), stored(sandbox).0, samples)
}

#[tokio::test]
async fn fault_of_one_destination_does_not_affect_the_other() {
    let mut outcomes: BTreeMap<Cell, Result<u16, String>> = BTreeMap::new();
    for concurrency in CONCURRENCY {
        let pairs = CONDITIONS.into_iter().flat_map(|amp| CONDITIONS.map(|cloudwatch| (amp, cloudwatch)));
        let cells = pairs.flat_map(|(amp, cloudwatch)| SPOOL_STATES.map(|spool| (amp, cloudwatch, spool)));
        let remaining: Vec<Cell> = cells.filter(|cell| !matches!(outcomes.get(cell), Some(Ok(_)))).collect();
        let run = |cell| async move { (cell, run(cell).await) };
        let ran: Vec<_> = futures_util::stream::iter(remaining).map(run).buffer_unordered(concurrency).collect().await;
        outcomes.extend(ran);
    }
    let wrong = outcomes.iter().filter_map(|(cell, outcome)| Some(format!("{cell:?}: {}", outcome.as_ref().err()?)));
    let wrong: Vec<String> = wrong.collect();
    println!("show: AMP and CloudWatch: {} of {} cells passed", outcomes.len() - wrong.len(), outcomes.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn both_deliveries_share_the_time_of_a_push() {
    let sandbox = Sandbox::start(&[BOTH]).await;
    sandbox.amp.fail_always(Fault::Slow(Duration::from_secs(3)));
    sandbox.aws.fail_always(is_otlp, Fault::Response(StubResponse::Hang));
    let clock = Deadline::after(INVOCATION);
    let body = push_of(3);
    let response = sandbox.push(&Push::new("/v1/metrics", &body)).await;
    assert_eq!((response.status, sandbox.amp.samples().len()), (503, 3));
    let elapsed = clock.elapsed();
    assert!(elapsed < Duration::from_secs(7), "five seconds for the delivery, not for each of both: {elapsed:?}");
}

/// Whether a request contains the last point of 2,500.
fn has_last_point(request: &RecordedRequest) -> bool {
    let encoded = 2_499.0_f64.to_le_bytes();
    is_otlp(request) && request.body.windows(8).any(|bytes| bytes == encoded)
}

#[tokio::test]
async fn repeated_push_repeats_the_requests_that_cloudwatch_accepted() {
    let sandbox = Sandbox::start(&[BOTH]).await;
    sandbox.aws.fail_always(has_last_point, Fault::status(503, "busy"));
    let body = push_of(2_500);
    let push = Push { time: Duration::from_secs(8), ..Push::new("/v1/metrics", &body) };
    assert_eq!(sandbox.push(&push).await.status, 503);
    assert_eq!(taken(&sandbox).concat().len(), 2_000, "requests of 1,000 points");
    sandbox.aws.recover();
    assert_eq!(sandbox.push(&push).await.status, 200);
    let requests = sandbox.aws.cloudwatch().otlp.iter().map(|request| request.body.clone()).collect::<Vec<_>>();
    let of_first: Vec<_> =
        requests[..2].iter().map(|body| requests.iter().filter(|other| *other == body).count()).collect();
    assert_eq!((requests.len(), of_first), (5, vec![2, 2]), "with the same times and values");
}

#[tokio::test]
async fn push_is_repeated_in_cloudwatch_if_amp_and_the_spool_fail() {
    let sandbox = start((Unavailable, Works, SpoolState::Fails)).await;
    let body = push_of(3);
    let push = Push { time: INVOCATION, ..Push::new("/v1/metrics", &body) };
    assert_eq!((sandbox.push(&push).await.status, stored(&sandbox)), (503, (0, 3)));
    sandbox.aws.recover();
    assert_eq!(sandbox.push(&push).await.status, 200, "the circuit of AMP is open, and the spool works");
    assert_eq!((stored(&sandbox), sandbox.aws.sqs().bodies.len()), ((0, 6), 1));
}
