//! Invocations per month and their durations.
//!
//! The duration of an invocation is its CPU time, scaled by the share of a vCPU that its memory size provides, plus wait times.
//! CPU times are measured. Wait times are conservative assumptions.

use serde::Serialize;

use super::fleet::Fleet;
use super::options::Options;
use super::prices::{MINUTES, SECONDS};

/// "At 1,769 MB, a function has the equivalent of one vCPU" (AWS Lambda Developer Guide, "Configure Lambda function
/// memory"). The function has one thread, so more memory does not make it faster.
const MB_PER_VCPU: f64 = 1_769.0;

/// CPU time of a span and of a data point in milliseconds (docs/performance.md, requests with 500 and 1,000 items).
const CPU_PER_SPAN_MS: f64 = 0.009_98;
const CPU_PER_POINT_MS: f64 = 0.005_31;

/// CPU time of a request with one span, of a scheduled run without tasks, and of a scraped task with two containers. Measured
/// once, with the release binary of 2026-11-23, over loopback without TLS.
const CPU_PER_REQUEST_MS: f64 = 0.25;
const CPU_PER_RUN_MS: f64 = 2.0;
const CPU_PER_SCRAPE_MS: f64 = 0.36;

/// CPU time of a push of task stats with three containers (docs/performance.md).
const CPU_PER_STATS_PUSH_MS: f64 = 0.2;

/// Assumption: response time of AMP or X-Ray in the same region, as in docs/performance.md.
pub(super) const WRITE_MS: f64 = 30.0;
/// Assumption: response time of ECS or CloudWatch Logs.
pub(super) const CALL_MS: f64 = 100.0;
/// Assumption: response time of both documents of a stats endpoint.
pub(super) const SCRAPE_MS: f64 = 50.0;

/// Maximum number of tasks in a response of ListTasks and DescribeTasks, and in a shard.
const TASKS_PER_BATCH: u32 = 100;

/// Default of `SIDECARLESS_MAX_INLINE_TASKS`.
const INLINE_TASKS: u32 = 300;

/// Maximum number of concurrent scrapes (src/handlers/scrape.rs).
const CONCURRENT_SCRAPES: u32 = 64;

/// Burst and rate of ECS API calls of one environment (src/discovery/ecs_client.rs).
const ECS_CALL_BURST: f64 = 50.0;
const ECS_CALLS_PER_SECOND: f64 = 10.0;

/// Timeout of the function in the template.
pub(super) const TIMEOUT_MS: f64 = 50_000.0;

/// An SDK exports spans after a delay (`--batch`), or when 512 are queued (OpenTelemetry specification, "Batch span processor":
/// `OTEL_BSP_SCHEDULE_DELAY` and `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`), and metrics once a minute (`OTEL_METRIC_EXPORT_INTERVAL`).
const SPANS_PER_REQUEST: f64 = 512.0;

/// Calls per second of a process with an X-Ray remote sampler: `GetSamplingRules` every five minutes, and `SamplingTargets` every ten seconds
/// (docs/cost.md). X-Ray answers them, or the function does from its cache; the wait time of X-Ray is counted for all of them.
const SAMPLING_CALLS_PER_SECOND: f64 = 1.0 / 300.0 + 1.0 / 10.0;

/// Cause of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub(super) enum Trigger {
    ScheduledRun,
    Shard,
    StatsPush,
    Traces,
    Metrics,
    SamplingCall,
}

impl Trigger {
    /// Returns the invocations as a noun.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ScheduledRun => "scheduled runs",
            Self::Shard => "shards of up to 100 tasks",
            Self::StatsPush => "pushes of task stats",
            Self::Traces => "trace requests",
            Self::Metrics => "metrics requests",
            Self::SamplingCall => "sampling calls",
        }
    }

    /// Returns the value of the label `trigger`.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::ScheduledRun => "schedule",
            Self::Shard => "sqs",
            Self::StatsPush | Self::Traces | Self::Metrics | Self::SamplingCall => "http",
        }
    }
}

impl From<Trigger> for &'static str {
    fn from(trigger: Trigger) -> Self {
        trigger.as_str()
    }
}

/// Invocations of one trigger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Workload {
    pub(super) trigger: Trigger,
    /// Invocations per month.
    pub(super) invocations: f64,
    /// Duration of one invocation.
    pub(super) duration_ms: f64,
}

/// Returns all invocations of a month.
pub(super) fn workloads(fleet: &Fleet, options: &Options) -> Vec<Workload> {
    let mut workloads = vec![scheduled_runs(fleet, options)];
    workloads.extend(shards(fleet, options));
    workloads.extend(stats_pushes(fleet, options));
    workloads.extend(span_requests(fleet, options));
    workloads.extend(metric_requests(fleet, options));
    workloads.extend(sampling_calls(fleet, options));
    workloads
}

/// Returns the number of shards per month: all batches of all clusters, for each scrape that is not inline.
pub(super) fn shard_messages(fleet: &Fleet, options: &Options) -> f64 {
    let scrapes = 60_u32.div_ceil(options.interval_s) - u32::from(is_inline(fleet));
    f64::from(batches(fleet)) * f64::from(scrapes) * MINUTES
}

/// Returns the number of concurrent environments: the average concurrency plus three standard deviations of a Poisson
/// distribution, because requests are independent.
pub(super) fn environments(workloads: &[Workload]) -> f64 {
    let busy: f64 =
        workloads.iter().map(|workload| workload.invocations * workload.duration_ms / 1_000.0 / SECONDS).sum();
    3.0_f64.mul_add(busy.sqrt(), busy).ceil().max(1.0)
}

impl Workload {
    pub(super) fn gb_seconds(&self, memory_mb: u32) -> f64 {
        self.invocations * self.duration_ms / 1_000.0 * f64::from(memory_mb) / 1024.0
    }
}

/// Calls ECS for clusters, running tasks, their details and stopped tasks, and CloudWatch Logs for Container Insights events.
/// The model assumes sequential calls.
fn scheduled_runs(fleet: &Fleet, options: &Options) -> Workload {
    let clusters = u32::try_from(fleet.clusters.len()).unwrap_or(u32::MAX);
    let lists: u32 = fleet.clusters.iter().map(|tasks| tasks.div_ceil(TASKS_PER_BATCH)).sum();
    let described = if is_inline(fleet) { batches(fleet) } else { 0 };
    let ecs_calls = f64::from(1 + lists + described + clusters);
    let calls_ms = (ecs_calls + f64::from(clusters)) * CALL_MS;
    let rate_limit_ms = (ecs_calls - ECS_CALL_BURST) / ECS_CALLS_PER_SECOND * 1_000.0;
    let scraped = if is_inline(fleet) { fleet.scraped() } else { 0 };
    let duration_ms = calls_ms.max(rate_limit_ms) + scrapes_ms(scraped, options);
    Workload { trigger: Trigger::ScheduledRun, invocations: MINUTES, duration_ms: duration_ms.min(TIMEOUT_MS) }
}

fn shards(fleet: &Fleet, options: &Options) -> Option<Workload> {
    let invocations = shard_messages(fleet, options);
    let tasks = fleet.scraped().div_ceil(batches(fleet).max(1));
    let duration_ms = CALL_MS + scrapes_ms(tasks, options);
    (invocations > 0.0).then_some(Workload { trigger: Trigger::Shard, invocations, duration_ms })
}

fn stats_pushes(fleet: &Fleet, options: &Options) -> Option<Workload> {
    let invocations = f64::from(fleet.pushing) * f64::from(60_u32.div_ceil(options.interval_s)) * MINUTES;
    let duration_ms = WRITE_MS + scaled(CPU_PER_STATS_PUSH_MS, options);
    (invocations > 0.0).then_some(Workload { trigger: Trigger::StatsPush, invocations, duration_ms })
}

fn span_requests(fleet: &Fleet, options: &Options) -> Option<Workload> {
    // A task with less than one span in this time sends each span in its own request.
    let requests = options.spans.min((1.0 / f64::from(options.batch_s)).max(options.spans / SPANS_PER_REQUEST));
    let invocations = f64::from(fleet.tasks()) * requests * SECONDS;
    let cpu_ms = CPU_PER_REQUEST_MS + options.spans / requests * CPU_PER_SPAN_MS;
    let duration_ms = WRITE_MS + scaled(cpu_ms, options);
    (invocations > 0.0).then_some(Workload { trigger: Trigger::Traces, invocations, duration_ms })
}

fn metric_requests(fleet: &Fleet, options: &Options) -> Option<Workload> {
    let invocations = f64::from(fleet.tasks()) * options.points.min(1.0) * MINUTES;
    let cpu_ms = CPU_PER_REQUEST_MS + options.points.max(1.0) * CPU_PER_POINT_MS;
    let duration_ms = WRITE_MS + scaled(cpu_ms, options);
    (invocations > 0.0).then_some(Workload { trigger: Trigger::Metrics, invocations, duration_ms })
}

fn sampling_calls(fleet: &Fleet, options: &Options) -> Option<Workload> {
    let invocations = f64::from(fleet.tasks()) * f64::from(options.samplers) * SAMPLING_CALLS_PER_SECOND * SECONDS;
    let duration_ms = WRITE_MS + scaled(CPU_PER_REQUEST_MS, options);
    (invocations > 0.0).then_some(Workload { trigger: Trigger::SamplingCall, invocations, duration_ms })
}

/// Returns the duration of scraping and of writing the series and the `sidecarless_*` series.
fn scrapes_ms(tasks: u32, options: &Options) -> f64 {
    let waits = f64::from(tasks.div_ceil(CONCURRENT_SCRAPES)) * SCRAPE_MS + 2.0 * WRITE_MS;
    waits + scaled(f64::from(tasks).mul_add(CPU_PER_SCRAPE_MS, CPU_PER_RUN_MS), options)
}

fn scaled(cpu_ms: f64, options: &Options) -> f64 {
    cpu_ms * (MB_PER_VCPU / f64::from(options.memory_mb)).max(1.0)
}

fn is_inline(fleet: &Fleet) -> bool {
    fleet.tasks() <= INLINE_TASKS
}

fn batches(fleet: &Fleet) -> u32 {
    fleet.clusters.iter().map(|tasks| tasks.div_ceil(TASKS_PER_BATCH)).sum()
}
