//! What is paid, line by line: for sidecars, for sidecarless, and either way.

use serde::Serialize;

use super::fleet::{Fleet, Group, LaunchType, PricingClass};
use super::options::Options;
use super::prices::{self, ALARM, AMP_FIRST, Fargate, HOURS, LAMBDA_REQUEST, LOGS, MINUTES, Price, SCHEDULER, SECONDS};
use super::prices::{SQS_REQUEST, XRAY_TRACE};
use super::text::{amount, count, plural};
use super::workload::{self, Workload};
use sidecarless::translate::stats::{Level, METRICS};

/// Bytes of a log line as CloudWatch counts them, its 26 bytes of overhead included: one for each push, tick and shard.
const LINE_BYTES: f64 = 400.0;

/// Alarms of the template.
const ALARMS: f64 = 6.0;

/// Samples a minute of the function's own metrics, of each environment (docs/metrics.md).
const OWN_SAMPLES: f64 = 25.0;

/// Lambda asks a queue by five calls side by side that wait for 20 s each (AWS Lambda Developer Guide, "Using Lambda with
/// Amazon SQS"; Amazon SQS Developer Guide, "Long polling").
const IDLE_POLLS_PER_MINUTE: f64 = 15.0;

/// A message is sent, received and deleted.
const REQUESTS_PER_MESSAGE: f64 = 3.0;

/// Assumed: spans of one trace.
pub(super) const SPANS_PER_TRACE: f64 = 10.0;

/// A sum of lines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CostSection {
    pub(super) lines: Vec<CostLine>,
    pub(super) total_usd: f64,
}

/// One line. Nothing is rounded before it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CostLine {
    pub(super) what: String,
    /// A month; `None`: it is paid for anyway.
    pub(super) usd: Option<f64>,
}

impl CostSection {
    fn new(lines: Vec<CostLine>) -> Self {
        // Not `sum`, which is -0.0 for no lines.
        let total_usd = lines.iter().filter_map(|line| line.usd).fold(0.0, |sum, usd| sum + usd);
        Self { lines, total_usd }
    }
}

impl CostLine {
    fn new(what: String, usd: f64) -> Self {
        Self { what, usd: Some(usd) }
    }
}

/// A sidecar in each task.
pub(super) fn sidecars(fleet: &Fleet) -> CostSection {
    CostSection::new(fleet.groups.iter().map(|(kind, group)| sidecars_of(*kind, group)).collect())
}

fn sidecars_of(kind: PricingClass, group: &Group) -> CostLine {
    let (tasks, arch) = (plural(group.tasks.into(), "task"), kind.arch.as_str());
    let price = Fargate::for_arch(kind.arch);
    let (vcpu, memory) = (group.sidecars.cpu / 1024.0, group.sidecars.mib / 1024.0);
    let usd = price.month(group.sidecars.cpu, group.sidecars.mib) * kind.launch_type.share();
    let hours = format!(
        "{} vCPU-hours at ${}, {} GB-hours at ${}",
        count(vcpu * HOURS),
        price.vcpu.usd,
        count(memory * HOURS),
        price.gb.usd
    );
    match kind.launch_type {
        LaunchType::Fargate => CostLine::new(format!("Fargate {arch}, {tasks}: {hours}"), usd),
        LaunchType::FargateSpot => {
            CostLine::new(format!("Fargate Spot {arch}, {tasks}: {hours}, less 70 %, the most that Spot gives"), usd)
        }
        LaunchType::Instances => CostLine {
            what: format!(
                "instances, {tasks}: {} vCPU, {} GB on what is paid for anyway",
                amount(vcpu),
                amount(memory)
            ),
            usd: None,
        },
    }
}

/// The function, and what belongs to it.
pub(super) fn sidecarless(fleet: &Fleet, options: &Options, loads: &[Workload]) -> CostSection {
    let mut lines: Vec<CostLine> = loads.iter().map(|load| invocations(load, options)).collect();
    let requests: f64 = loads.iter().map(|load| load.invocations).sum();
    lines.push(priced("Lambda", requests, "requests", &LAMBDA_REQUEST));
    lines.push(priced("EventBridge Scheduler", MINUTES, "invocations", &SCHEDULER));
    let messages = workload::shard_messages(fleet, options);
    let polls = IDLE_POLLS_PER_MINUTE.mul_add(MINUTES, messages * REQUESTS_PER_MESSAGE);
    lines.push(priced("SQS", polls, "requests, polls of an empty queue included,", &SQS_REQUEST));
    lines.push(priced("CloudWatch Logs", requests * LINE_BYTES / 1e9, "GB, a line for each invocation,", &LOGS));
    lines.push(priced("CloudWatch", ALARMS, "alarms", &ALARM));
    let environments = workload::environments(loads);
    let own = environments * OWN_SAMPLES * MINUTES;
    let of_own = format!("AMP: {} samples of its own, from {}", count(own), plural(environments, "environment"));
    lines.push(CostLine::new(of_own, prices::amp(own)));
    lines.push(CostLine::new("calls of ECS, the function's URL".into(), 0.0));
    CostSection::new(lines)
}

fn invocations(load: &Workload, options: &Options) -> CostLine {
    let gb_s = load.gb_seconds(options.memory_mb);
    let price = prices::lambda(options.function_arch());
    let times = format!("{} {} of {} ms", count(load.invocations), load.what, count(load.duration_ms));
    CostLine::new(format!("Lambda: {times}, {} GB-seconds at ${}", count(gb_s), price.usd), price.cost(gb_s))
}

fn priced(item: &str, units: f64, of: &str, price: &Price) -> CostLine {
    let units_text = if units < 100.0 { amount(units) } else { count(units) };
    CostLine::new(format!("{item}: {units_text} {of} at {}", price.rate().trim_end_matches(" per")), price.cost(units))
}

/// What AMP and X-Ray take, whoever brings it.
pub(super) fn shared_costs(fleet: &Fleet, options: &Options) -> CostSection {
    let tasks = f64::from(fleet.tasks());
    let of = |level: Level| METRICS.iter().filter(|metric| metric.level == level && metric.is_default()).count();
    let per_round = of(Level::Task) as f64 * tasks + of(Level::Container) as f64 * f64::from(fleet.containers);
    let scraped = per_round * f64::from(60_u32.div_ceil(options.interval_s)) * MINUTES;
    let pushed = tasks * options.points * MINUTES;
    let traces = tasks * options.spans / SPANS_PER_TRACE * SECONDS;
    CostSection::new(vec![
        CostLine::new(
            format!(
                "AMP: {} samples scraped, {} pushed, at {}, less beyond 2 billion",
                count(scraped),
                count(pushed),
                AMP_FIRST.rate()
            ),
            prices::amp(scraped + pushed),
        ),
        priced("X-Ray", traces, "traces, if all are recorded,", &XRAY_TRACE),
    ])
}
