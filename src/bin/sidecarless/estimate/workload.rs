//! What the function has to do in a month, and for how long: invocations, and a model of their duration.
//!
//! An invocation takes its CPU time, stretched by the share of a vCPU that its memory brings, and what it waits for.
//! CPU times are measured; waits are assumptions, and on the long side.

use serde::Serialize;

use super::fleet::Fleet;
use super::options::Options;
use super::prices::{MINUTES, SECONDS};

/// "At 1,769 MB, a function has the equivalent of one vCPU" (AWS Lambda Developer Guide, "Configure Lambda function
/// memory"). The function runs on one thread: more does not make it faster.
const MB_PER_VCPU: f64 = 1_769.0;

/// CPU time of a span and of a data point in milliseconds (docs/performance.md, pushes of 500 and of 1,000).
const CPU_PER_SPAN_MS: f64 = 0.009_98;
const CPU_PER_POINT_MS: f64 = 0.005_31;

/// CPU time of a push of a single span, of a tick without tasks, and of each task with two containers that is scraped: taken
/// once, by hand, with the release binary of 2026-11-23 on loopback and without TLS.
const CPU_PER_PUSH_MS: f64 = 0.25;
const CPU_PER_TICK_MS: f64 = 2.0;
const CPU_PER_SCRAPE_MS: f64 = 0.36;

/// Assumed: an answer of AMP or X-Ray within the region, as in docs/performance.md.
pub(super) const WRITE_MS: f64 = 30.0;
/// Assumed: an answer of ECS or CloudWatch Logs.
pub(super) const CALL_MS: f64 = 100.0;
/// Assumed: both documents of a task's stats endpoint.
pub(super) const SCRAPE_MS: f64 = 50.0;

/// Tasks that ListTasks and DescribeTasks have in one answer, and a shard in one message.
const TASKS_PER_PAGE: u32 = 100;

/// `SIDECARLESS_MAX_INLINE_TASKS`: a tick scrapes as many itself.
const INLINE_TASKS: u32 = 300;

/// Scrapes side by side (`STATS_AT_ONCE` in src/pipeline/scrape.rs).
const SCRAPES_AT_ONCE: u32 = 64;

/// Calls of ECS that one environment makes at once, and then in a second (src/collect/discover/api.rs).
const ECS_CALLS_AT_ONCE: f64 = 50.0;
const ECS_CALLS_PER_SECOND: f64 = 10.0;

/// The template's time-out.
pub(super) const TIMEOUT_MS: f64 = 50_000.0;

/// An SDK exports spans every 5 s, or as soon as it has 512 (OpenTelemetry specification, "Batch span processor":
/// `OTEL_BSP_SCHEDULE_DELAY` and `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`), and metrics once a minute
/// (`OTEL_METRIC_EXPORT_INTERVAL`).
const SPAN_PUSHES_PER_SECOND: f64 = 0.2;
const SPANS_PER_PUSH: f64 = 512.0;

/// One kind of invocation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Workload {
    pub(super) what: &'static str,
    /// In a month.
    pub(super) invocations: f64,
    /// Of each.
    pub(super) duration_ms: f64,
}

/// Everything that the function does in a month.
pub(super) fn workloads(fleet: &Fleet, options: &Options) -> Vec<Workload> {
    let mut loads = vec![ticks(fleet, options)];
    loads.extend(shards(fleet, options));
    loads.extend(span_pushes(fleet, options));
    loads.extend(metric_pushes(fleet, options));
    loads
}

/// Messages of shards in a month: the pages of all clusters, for each round that the tick does not scrape itself.
pub(super) fn shard_messages(fleet: &Fleet, options: &Options) -> f64 {
    let rounds = 60_u32.div_ceil(options.interval_s) - u32::from(is_inline(fleet));
    f64::from(pages(fleet)) * f64::from(rounds) * MINUTES
}

/// Environments that are awake at the same time: what runs on average, and three standard deviations of a Poisson
/// distribution on top of it, since pushes come as they like.
pub(super) fn environments(loads: &[Workload]) -> f64 {
    let busy: f64 = loads.iter().map(|load| load.invocations * load.duration_ms / 1_000.0 / SECONDS).sum();
    3.0_f64.mul_add(busy.sqrt(), busy).ceil().max(1.0)
}

impl Workload {
    pub(super) fn gb_seconds(&self, memory_mb: u32) -> f64 {
        self.invocations * self.duration_ms / 1_000.0 * f64::from(memory_mb) / 1024.0
    }
}

/// ECS is asked for clusters, running tasks, their states, and stopped tasks, then Container Insights for its events; as if
/// one call waited for the other.
fn ticks(fleet: &Fleet, options: &Options) -> Workload {
    let clusters = u32::try_from(fleet.clusters.len()).unwrap_or(u32::MAX);
    let lists: u32 = fleet.clusters.iter().map(|tasks| tasks.div_ceil(TASKS_PER_PAGE)).sum();
    let described = if is_inline(fleet) { pages(fleet) } else { 0 };
    let ecs_calls = f64::from(1 + lists + described + clusters);
    let calls_ms = (ecs_calls + f64::from(clusters)) * CALL_MS;
    let turns_ms = (ecs_calls - ECS_CALLS_AT_ONCE) / ECS_CALLS_PER_SECOND * 1_000.0;
    let scraped = if is_inline(fleet) { fleet.tasks() } else { 0 };
    let duration_ms = calls_ms.max(turns_ms) + scrapes_ms(scraped, options);
    Workload { what: "ticks", invocations: MINUTES, duration_ms: duration_ms.min(TIMEOUT_MS) }
}

fn shards(fleet: &Fleet, options: &Options) -> Option<Workload> {
    let invocations = shard_messages(fleet, options);
    let tasks = fleet.tasks().div_ceil(pages(fleet).max(1));
    let duration_ms = CALL_MS + scrapes_ms(tasks, options);
    (invocations > 0.0).then_some(Workload { what: "shards of up to 100 tasks", invocations, duration_ms })
}

fn span_pushes(fleet: &Fleet, options: &Options) -> Option<Workload> {
    // Who has less than one span in 5 s pushes each by itself.
    let pushes = options.spans.min(SPAN_PUSHES_PER_SECOND.max(options.spans / SPANS_PER_PUSH));
    let invocations = f64::from(fleet.tasks()) * pushes * SECONDS;
    let cpu_ms = CPU_PER_PUSH_MS + options.spans / pushes * CPU_PER_SPAN_MS;
    let duration_ms = WRITE_MS + stretched(cpu_ms, options);
    (invocations > 0.0).then_some(Workload { what: "pushes of spans", invocations, duration_ms })
}

fn metric_pushes(fleet: &Fleet, options: &Options) -> Option<Workload> {
    let invocations = f64::from(fleet.tasks()) * options.points.min(1.0) * MINUTES;
    let cpu_ms = CPU_PER_PUSH_MS + options.points.max(1.0) * CPU_PER_POINT_MS;
    let duration_ms = WRITE_MS + stretched(cpu_ms, options);
    (invocations > 0.0).then_some(Workload { what: "pushes of metrics", invocations, duration_ms })
}

/// A round of scrapes, and the writing of what they gave and of the function's own metrics.
fn scrapes_ms(tasks: u32, options: &Options) -> f64 {
    let waits = f64::from(tasks.div_ceil(SCRAPES_AT_ONCE)) * SCRAPE_MS + 2.0 * WRITE_MS;
    waits + stretched(f64::from(tasks).mul_add(CPU_PER_SCRAPE_MS, CPU_PER_TICK_MS), options)
}

fn stretched(cpu_ms: f64, options: &Options) -> f64 {
    cpu_ms * (MB_PER_VCPU / f64::from(options.memory_mb)).max(1.0)
}

fn is_inline(fleet: &Fleet) -> bool {
    fleet.tasks() <= INLINE_TASKS
}

fn pages(fleet: &Fleet) -> u32 {
    fleet.clusters.iter().map(|tasks| tasks.div_ceil(TASKS_PER_PAGE)).sum()
}
