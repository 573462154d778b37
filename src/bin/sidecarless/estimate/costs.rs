//! Monthly cost of sidecars and of sidecarless, and costs that are the same for both.

use serde::Serialize;

use super::emf::EmfLines;
use super::fleet::{Fleet, Group, LaunchType, PricingClass};
use super::options::Options;
use super::prices::{
    self, ALARM, AMP_FIRST, CUSTOM_METRIC, Fargate, HOURS, LAMBDA_REQUEST, LOGS, METRIC_READ, MINUTES, OTEL_METRICS,
    Price,
};
use super::prices::{SCHEDULER, SECONDS, SQS_REQUEST, XRAY_TRACE};
use super::text::{amount, count, plural};
use super::workload::{self, Workload};
use sidecarless::translate::cloudwatch::{self, MetricGroup};
use sidecarless::translate::stats::{Level, METRICS, StatsMetric};

/// Billed bytes of the log lines of a scheduled run, of a shard and of the summary of requests that an environment writes each minute,
/// with the longest names and numbers of the demo and 26 bytes of overhead. Requests have no line of their own, and Lambda writes none
/// for an invocation (`SystemLogLevel` in template.yaml).
const RUN_LOG_BYTES: f64 = 600.0;
const SHARD_LOG_BYTES: f64 = 300.0;
const SUMMARY_LOG_BYTES: f64 = 450.0;

/// Number of alarms in the template.
const ALARMS: f64 = 9.0;

/// Number of metric filters in the template that match a line each minute. The other one matches only errors.
const LOG_METRICS: f64 = 1.0;

/// Samples of `sidecarless_*` series per minute and environment (docs/metrics.md).
const SELF_METRICS_SAMPLES: f64 = 25.0;

/// Samples of the state of ECS per minute that are written by default (docs/metrics.md): information, start time and health of a task,
/// and the counts, deployment and information of a service.
const STATE_SAMPLES_PER_TASK: f64 = 4.0;
const STATE_SAMPLES_PER_SERVICE: f64 = 20.0;

/// Default of `SIDECARLESS_CLOUDWATCH_INTERVAL`.
const CLOUDWATCH_INTERVAL_MIN: u8 = 2;

/// Lambda polls a queue with five concurrent calls, each of which waits 20 s (AWS Lambda Developer Guide, "Using Lambda with
/// Amazon SQS"; Amazon SQS Developer Guide, "Long polling").
const IDLE_POLLS_PER_MINUTE: f64 = 15.0;

/// Each message is sent, received and deleted.
const REQUESTS_PER_MESSAGE: f64 = 3.0;

/// Assumption: spans in a trace.
pub(super) const SPANS_PER_TRACE: f64 = 10.0;

/// Lines and their total.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CostSection {
    pub(super) lines: Vec<CostLine>,
    pub(super) total_usd: f64,
}

/// One line. Values are rounded only for display.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CostLine {
    pub(super) description: String,
    /// Cost per month. `None` if it is part of a cost that exists anyway.
    pub(super) usd: Option<f64>,
}

impl CostSection {
    fn new(lines: Vec<CostLine>) -> Self {
        // `sum` returns -0.0 for an empty section.
        let total_usd = lines.iter().filter_map(|line| line.usd).fold(0.0, |sum, usd| sum + usd);
        Self { lines, total_usd }
    }
}

impl CostLine {
    fn new(description: String, usd: f64) -> Self {
        Self { description, usd: Some(usd) }
    }
}

/// Returns the cost of a sidecar in each task.
pub(super) fn sidecars(fleet: &Fleet) -> CostSection {
    CostSection::new(fleet.groups.iter().map(|(class, group)| sidecar_line(*class, group)).collect())
}

fn sidecar_line(class: PricingClass, group: &Group) -> CostLine {
    let (tasks, arch) = (plural(group.tasks.into(), "task"), class.arch.as_str());
    let price = Fargate::for_arch(class.arch);
    let (vcpu, memory) = (group.sidecars.cpu / 1024.0, group.sidecars.mib / 1024.0);
    let usd = price.month(group.sidecars.cpu, group.sidecars.mib) * class.launch_type.share();
    let hours = format!(
        "{} vCPU-hours at ${}, {} GB-hours at ${}",
        count(vcpu * HOURS),
        price.vcpu.usd,
        count(memory * HOURS),
        price.gb.usd
    );
    match class.launch_type {
        LaunchType::Fargate => CostLine::new(format!("Fargate {arch}, {tasks}: {hours}"), usd),
        LaunchType::FargateSpot => {
            CostLine::new(format!("Fargate Spot {arch}, {tasks}: {hours}, with the maximum Spot discount of 70 %"), usd)
        }
        LaunchType::Instances => CostLine {
            description: format!(
                "instances, {tasks}: {} vCPU, {} GB of existing capacity",
                amount(vcpu),
                amount(memory)
            ),
            usd: None,
        },
    }
}

/// Returns the cost of the function and the services that it uses.
pub(super) fn sidecarless(fleet: &Fleet, options: &Options, workloads: &[Workload]) -> CostSection {
    let mut lines: Vec<CostLine> = workloads.iter().map(|workload| invocations(workload, options)).collect();
    let requests: f64 = workloads.iter().map(|workload| workload.invocations).sum();
    lines.push(priced("Lambda", requests, "requests", &LAMBDA_REQUEST));
    lines.push(priced("EventBridge Scheduler", MINUTES, "invocations", &SCHEDULER));
    let messages = workload::shard_messages(fleet, options);
    let polls = IDLE_POLLS_PER_MINUTE.mul_add(MINUTES, messages * REQUESTS_PER_MESSAGE);
    lines.push(priced("SQS", polls, "requests, including polls of an empty queue,", &SQS_REQUEST));
    let environments = workload::environments(workloads);
    let log_gb = RUN_LOG_BYTES.mul_add(MINUTES, SHARD_LOG_BYTES * messages) / 1e9;
    let log_gb = (environments * SUMMARY_LOG_BYTES).mul_add(MINUTES / 1e9, log_gb);
    lines.push(priced("CloudWatch Logs", log_gb, "GB, a line for each run and a summary a minute,", &LOGS));
    lines.push(priced("CloudWatch", ALARMS, "alarms", &ALARM));
    lines.push(priced("CloudWatch", LOG_METRICS, "metric of a log filter", &CUSTOM_METRIC));
    lines.extend(self_metrics(environments, options, workloads));
    lines.push(state(fleet));
    lines.extend(cloudwatch_metrics(fleet, options));
    lines.push(CostLine::new("ECS API calls, Function URL".into(), 0.0));
    CostSection::new(lines)
}

/// Returns the cost of the metrics about the function. It has far fewer than the 10,000 custom metrics of the first price.
fn self_metrics(environments: f64, options: &Options, workloads: &[Workload]) -> Vec<CostLine> {
    let (to, mut lines) = (options.self_metrics(), Vec::new());
    if to.amp {
        let samples = environments * SELF_METRICS_SAMPLES * MINUTES;
        let from = plural(environments, "environment");
        let description = format!("AMP: {} samples of sidecarless_* series, from {from}", count(samples));
        lines.push(CostLine::new(description, prices::amp(samples)));
    }
    if to.emf {
        let EmfLines { metrics, bytes } = EmfLines::new(workloads, options);
        lines.push(priced("CloudWatch", metrics, "metrics about the function in EMF", &CUSTOM_METRIC));
        lines.push(priced("CloudWatch Logs", bytes / 1e9, "GB, an EMF line for each invocation,", &LOGS));
    }
    lines
}

/// Returns the cost of the series of the state of ECS.
fn state(fleet: &Fleet) -> CostLine {
    let services = f64::from(fleet.services_without_source) * STATE_SAMPLES_PER_SERVICE;
    let samples = f64::from(fleet.tasks()).mul_add(STATE_SAMPLES_PER_TASK, services) * MINUTES;
    CostLine::new(format!("AMP: {} samples of the state of ECS", count(samples)), prices::amp(samples))
}

/// Returns the cost of the CloudWatch metrics of services without a stats source and of discovery names, and of their samples.
fn cloudwatch_metrics(fleet: &Fleet, options: &Options) -> Vec<CostLine> {
    let interval_min = f64::from(options.cloudwatch_interval_min.unwrap_or(CLOUDWATCH_INTERVAL_MIN));
    let (services, names) = (f64::from(fleet.services_without_source), f64::from(fleet.discovery_names));
    let read = [
        (services, MetricGroup::Default, format!("{} without a stats source", plural(services, "service"))),
        (names, MetricGroup::ServiceConnect, format!("{} of Service Connect", plural(names, "discovery name"))),
    ];
    let (mut lines, mut samples) = (Vec::new(), 0.0);
    for (number, group, of) in read.into_iter().filter(|(number, ..)| *number > 0.0) {
        let (metrics, statistics) = metrics_and_statistics(group);
        let of = format!("metrics of {of}, every {},", plural(interval_min, "minute"));
        lines.push(priced("CloudWatch", number * metrics * MINUTES / interval_min, &of, &METRIC_READ));
        samples += number * statistics * MINUTES;
    }
    let description = format!("AMP: {} samples of these metrics", count(samples));
    let written = (samples > 0.0).then(|| CostLine::new(description, prices::amp(samples)));
    lines.into_iter().chain(written).collect()
}

/// Returns the numbers of metrics of a group, and of their statistics. Discovery names are assumed to have no TLS.
fn metrics_and_statistics(group: MetricGroup) -> (f64, f64) {
    let metrics = cloudwatch::METRICS.iter().filter(|metric| metric.group == group && !metric.needs_tls);
    metrics.fold((0.0, 0.0), |(metrics, all), metric| (metrics + 1.0, all + metric.statistics.len() as f64))
}

fn invocations(workload: &Workload, options: &Options) -> CostLine {
    let gb_s = workload.gb_seconds(options.memory_mb);
    let price = prices::lambda(options.function_arch());
    let times =
        format!("{} {} of {} ms", count(workload.invocations), workload.trigger.as_str(), count(workload.duration_ms));
    CostLine::new(format!("Lambda: {times}, {} GB-seconds at ${}", count(gb_s), price.usd), price.cost(gb_s))
}

fn priced(item: &str, units: f64, of: &str, price: &Price) -> CostLine {
    let units_text = if units < 100.0 { amount(units) } else { count(units) };
    CostLine::new(format!("{item}: {units_text} {of} at {}", price.rate().trim_end_matches(" per")), price.cost(units))
}

/// Returns the AMP, CloudWatch and X-Ray costs of the data, which are the same with sidecars.
pub(super) fn shared_costs(fleet: &Fleet, options: &Options) -> CostSection {
    let tasks = f64::from(fleet.tasks());
    // Sidecars do not write the other metrics, which only containers with a restart policy have.
    let is_counted = |metric: &&StatsMetric| metric.is_default() && metric.adot_name.is_some();
    let metrics_at = |level: Level| METRICS.iter().filter(is_counted).filter(|metric| metric.level == level).count();
    let per_scrape =
        metrics_at(Level::Task) as f64 * tasks + metrics_at(Level::Container) as f64 * f64::from(fleet.containers);
    let scraped = per_scrape * f64::from(60_u32.div_ceil(options.interval_s)) * MINUTES;
    let (points, to) = (tasks * options.points * MINUTES, options.metrics_to());
    let pushed = if to.amp { points } else { 0.0 };
    let description = format!(
        "AMP: {} scraped and {} OTLP samples, at {}, less above 2 billion",
        count(scraped),
        count(pushed),
        AMP_FIRST.rate()
    );
    let mut lines = vec![CostLine::new(description, prices::amp(scraped + pushed))];
    lines.extend(to.cloudwatch.then(|| points_in_cloudwatch(points, options)));
    let traces = tasks * options.spans / SPANS_PER_TRACE * SECONDS;
    lines.push(priced("X-Ray", traces, "traces, without sampling,", &XRAY_TRACE));
    CostSection::new(lines)
}

/// Returns the cost of data points that the OTLP endpoint of CloudWatch receives. There is no price for a metric or a request (Amazon
/// CloudWatch User Guide, "OTel metrics pricing and storage").
fn points_in_cloudwatch(points: f64, options: &Options) -> CostLine {
    let bytes = f64::from(options.point_bytes);
    let of = format!("GB, {} OTLP data points of {},", count(points), plural(bytes, "byte"));
    priced("CloudWatch", points * bytes / 1e9, &of, &OTEL_METRICS)
}
