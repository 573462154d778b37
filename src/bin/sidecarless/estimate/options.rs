//! Options of `sidecarless estimate`.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use lexopt::{Arg, Parser, ValueExt as _};
use serde::Serialize;
use sidecarless::settings::values::{self, SelfMetricsDestinations};
use sidecarless::settings::{MetricsTo, Settings};

use crate::usage::UsageError;

/// Options of the estimate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Options {
    /// `None` to read the running tasks of the account.
    pub(super) tasks: Option<u32>,
    /// Containers in each task. Used only with `tasks`.
    pub(super) containers: u32,
    /// Services without a stats source. Used only with `tasks`.
    pub(super) services: Option<u32>,
    /// Discovery names of Service Connect whose metrics are read. Used only with `tasks`.
    pub(super) discovery_names: Option<u32>,
    /// Minutes between two reads of their CloudWatch metrics. `None` for the setting of the account, or its default.
    pub(super) cloudwatch_interval_min: Option<u8>,
    /// Whether the tasks push their stats instead of being scraped. Used only with `tasks`.
    pub(super) push: bool,
    /// Spans per second that each task sends.
    pub(super) spans: f64,
    /// Seconds between two requests with spans from a task.
    pub(super) batch_s: u32,
    /// Data points per minute that each task sends.
    pub(super) points: f64,
    /// Size that CloudWatch bills for a data point.
    pub(super) point_bytes: u32,
    /// Destinations of the data points. `None` for the setting of the account, or its default.
    pub(super) metrics_to: Option<MetricsTo>,
    /// Destinations of the metrics about the function. `None` for the setting of the account, or its default.
    pub(super) self_metrics: Option<SelfMetricsDestinations>,
    /// Processes with an X-Ray remote sampler in each task.
    pub(super) samplers: u32,
    /// Seconds between two scrapes of a task, or between two pushes of its stats.
    pub(super) interval_s: u32,
    /// Memory of the function.
    pub(super) memory_mb: u32,
    pub(super) sidecar: Reservation,
    /// `None` for the default of tasks and of the function.
    pub(super) arch: Option<Arch>,
    #[serde(skip)]
    pub(super) json: bool,
}

/// Reservation of a container: CPU units (1,024 are one vCPU) and MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Reservation {
    pub(super) cpu: f64,
    pub(super) mib: f64,
}

impl Reservation {
    pub(super) fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, mib: self.mib + other.mib }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Arch {
    #[serde(rename = "arm64")]
    Arm64,
    #[serde(rename = "x86_64")]
    X86,
}

/// An account has some thousands of tasks. A larger number is a typing error.
const TASKS: RangeInclusive<u32> = 1..=1_000_000;

/// Services and discovery names of an estimate.
const SERVICES: RangeInclusive<u32> = 0..=1_000_000;

/// Minutes of `SIDECARLESS_CLOUDWATCH_INTERVAL`.
const CLOUDWATCH_INTERVAL_MIN: RangeInclusive<u32> = 1..=10;

/// A task definition has at most ten containers (Amazon ECS Developer Guide, "Service quotas").
const CONTAINERS: RangeInclusive<u32> = 1..=10;

/// Memory of a function (AWS Lambda Developer Guide, "Lambda quotas").
const MEMORY_MB: RangeInclusive<u32> = 128..=10_240;

/// Range of `SIDECARLESS_SCRAPE_INTERVAL`.
const INTERVAL_S: RangeInclusive<u32> = 15..=60;

/// Seconds of `OTEL_BSP_SCHEDULE_DELAY`: more would delay traces by more than five minutes.
const BATCH_S: RangeInclusive<u32> = 1..=300;

/// Processes of one task.
const SAMPLERS: RangeInclusive<u32> = 0..=1_000;

/// A data point with its resource, scope and metric must fit into a request to CloudWatch (docs/limits.md).
const POINT_BYTES: RangeInclusive<u32> = 1..=1_000_000;

/// Spans per second and data points per minute of one task. An invocation cannot process more.
const MAX_ITEMS: f64 = 1e6;

/// The largest Fargate task, which any sidecar fits (Amazon ECS Developer Guide, "Task size").
const SIDECAR_CPU: RangeInclusive<u32> = 0..=16_384;
const SIDECAR_MIB: RangeInclusive<u32> = 1..=122_880;

impl Default for Options {
    fn default() -> Self {
        Self {
            tasks: None,
            containers: 2,
            services: None,
            discovery_names: None,
            cloudwatch_interval_min: None,
            push: false,
            spans: 1.0,
            // OTEL_BSP_SCHEDULE_DELAY=15000, as in docs/quickstart.md.
            batch_s: 15,
            points: 100.0,
            point_bytes: 1_000,
            metrics_to: None,
            self_metrics: None,
            samplers: 0,
            interval_s: 60,
            memory_mb: 512,
            // As in the task definitions of the ADOT documentation (aws-otel-collector, examples/ecs).
            sidecar: Reservation { cpu: 256.0, mib: 512.0 },
            arch: None,
            json: false,
        }
    }
}

impl Options {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, UsageError> {
        let mut options = Self::default();
        let mut seen = HashSet::new();
        while let Some(argument) = parser.next()? {
            let Arg::Long(name) = argument else { return Err(argument.unexpected().into()) };
            let name = name.to_owned();
            if !seen.insert(name.clone()) {
                return Err(UsageError::DuplicateOption(format!("--{name}")));
            }
            options.set(&name, &mut parser)?;
        }
        let counted = [
            ("containers", "the containers of the running tasks"),
            ("services", "the services of the running tasks"),
            ("discovery-names", "the discovery names of the running services"),
            ("push", "the running tasks that declare a push"),
        ];
        let counted = counted.into_iter().find(|(name, _)| seen.contains(*name));
        if let Some((option, counted)) = counted.filter(|_| options.tasks.is_none()) {
            return Err(UsageError::RequiresTasks { option, counted });
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, parser: &mut Parser) -> Result<(), UsageError> {
        match name {
            "tasks" => self.tasks = Some(integer("--tasks", &value(parser)?, TASKS)?),
            "containers" => self.containers = integer("--containers", &value(parser)?, CONTAINERS)?,
            "services" => self.services = Some(integer("--services", &value(parser)?, SERVICES)?),
            "discovery-names" => {
                self.discovery_names = Some(integer("--discovery-names", &value(parser)?, SERVICES)?);
            }
            "cloudwatch-interval" => {
                let minutes = integer("--cloudwatch-interval", &value(parser)?, CLOUDWATCH_INTERVAL_MIN)?;
                self.cloudwatch_interval_min = u8::try_from(minutes).ok();
            }
            "push" => self.push = true,
            "spans" => self.spans = number("--spans", &value(parser)?)?,
            "points" => self.points = number("--points", &value(parser)?)?,
            "point-bytes" => self.point_bytes = integer("--point-bytes", &value(parser)?, POINT_BYTES)?,
            "metrics-to" => self.metrics_to = Some(metrics_to(&value(parser)?)?),
            "self-metrics" => self.self_metrics = Some(self_metrics(&value(parser)?)?),
            "batch" => self.batch_s = integer("--batch", &value(parser)?, BATCH_S)?,
            "samplers" => self.samplers = integer("--samplers", &value(parser)?, SAMPLERS)?,
            "interval" => self.interval_s = integer("--interval", &value(parser)?, INTERVAL_S)?,
            "memory" => self.memory_mb = integer("--memory", &value(parser)?, MEMORY_MB)?,
            "sidecar" => self.sidecar = reservation(&value(parser)?)?,
            "arch" => self.arch = Some(arch(&value(parser)?)?),
            "json" => self.json = true,
            other => return Err(Arg::Long(other).unexpected().into()),
        }
        Ok(())
    }

    /// Takes the destinations of the settings, unless options set them.
    pub(super) fn or_settings(self, settings: &Settings) -> Self {
        let of_function = SelfMetricsDestinations { amp: settings.self_metrics.amp, emf: settings.self_metrics.emf };
        let metrics_to = self.metrics_to.or(Some(settings.metrics_to));
        Self { metrics_to, self_metrics: self.self_metrics.or(Some(of_function)), ..self }
    }

    /// Returns the destinations of pushed data points. The default of the setting is AMP.
    pub(super) fn metrics_to(&self) -> MetricsTo {
        self.metrics_to.unwrap_or(MetricsTo { amp: true, cloudwatch: false })
    }

    /// Returns the destinations of the metrics about the function. The default of the setting is AMP.
    pub(super) fn self_metrics(&self) -> SelfMetricsDestinations {
        self.self_metrics.unwrap_or(SelfMetricsDestinations { amp: true, emf: false })
    }

    /// Returns the architecture of tasks that do not declare one. The default of ECS is x86_64.
    pub(super) fn task_arch(&self) -> Arch {
        self.arch.unwrap_or(Arch::X86)
    }

    /// Returns the architecture of the function. The default of the template is arm64.
    pub(super) fn function_arch(&self) -> Arch {
        self.arch.unwrap_or(Arch::Arm64)
    }
}

impl Arch {
    /// Parses the name that ECS uses: `ARM64` in task definitions, `arm64` in attributes. `None` if it is unknown.
    pub(super) fn from_ecs(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "arm64" => Some(Self::Arm64),
            "x86_64" => Some(Self::X86),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        }
    }
}

fn value(parser: &mut Parser) -> Result<String, UsageError> {
    Ok(parser.value()?.string()?)
}

fn invalid(option: &'static str, value: &str, expected: String) -> UsageError {
    UsageError::InvalidValue { option, value: value.to_owned(), expected }
}

fn integer(option: &'static str, text: &str, range: RangeInclusive<u32>) -> Result<u32, UsageError> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| invalid(option, text, format!("an integer from {} to {}", range.start(), range.end())))
}

fn number(option: &'static str, text: &str) -> Result<f64, UsageError> {
    let number = text.parse().ok().filter(|number| (0.0..=MAX_ITEMS).contains(number));
    number.ok_or_else(|| invalid(option, text, format!("a number from 0 to {MAX_ITEMS}")))
}

fn metrics_to(text: &str) -> Result<MetricsTo, UsageError> {
    values::metrics_to(text).map_err(|_| invalid("--metrics-to", text, "amp, cloudwatch or amp,cloudwatch".into()))
}

fn self_metrics(text: &str) -> Result<SelfMetricsDestinations, UsageError> {
    values::self_metrics(text).map_err(|_| invalid("--self-metrics", text, "amp, emf, amp,emf or off".into()))
}

fn arch(text: &str) -> Result<Arch, UsageError> {
    match text {
        "arm64" => Ok(Arch::Arm64),
        "x86_64" => Ok(Arch::X86),
        _ => Err(invalid("--arch", text, "arm64 or x86_64".into())),
    }
}

fn reservation(text: &str) -> Result<Reservation, UsageError> {
    let Some((cpu, mib)) = text.split_once('/') else {
        return Err(invalid("--sidecar", text, "CPU units and MB, such as 256/512".into()));
    };
    let cpu = integer("CPU of --sidecar", cpu, SIDECAR_CPU)?;
    let mib = integer("memory of --sidecar", mib, SIDECAR_MIB)?;
    Ok(Reservation { cpu: cpu.into(), mib: mib.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_replace_the_defaults() {
        assert_eq!(parse(""), Ok(Options::default()));
        let all = "--tasks 7 --containers 3 --services 2 --discovery-names 4 --cloudwatch-interval 5 --push --spans 0.5 --batch 5 --points 20 --point-bytes 400 --metrics-to amp,cloudwatch --self-metrics emf --samplers 4 --interval 30 --memory 256 --sidecar 128/256 --arch arm64 --json";
        let expected = Options {
            tasks: Some(7),
            containers: 3,
            services: Some(2),
            discovery_names: Some(4),
            cloudwatch_interval_min: Some(5),
            push: true,
            spans: 0.5,
            batch_s: 5,
            points: 20.0,
            point_bytes: 400,
            metrics_to: Some(MetricsTo { amp: true, cloudwatch: true }),
            self_metrics: Some(SelfMetricsDestinations { amp: false, emf: true }),
            samplers: 4,
            interval_s: 30,
            memory_mb: 256,
            sidecar: Reservation { cpu: 128.0, mib: 256.0 },
            arch: Some(Arch::Arm64),
            json: true,
        };
        assert_eq!(parse(all), Ok(expected));
    }

    #[test]
    fn settings_of_the_account_apply_unless_options_are_set() {
        let variables = [("SIDECARLESS_METRICS_TO", "cloudwatch"), ("SIDECARLESS_SELF_METRICS", "emf")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::read(variables).unwrap();
        let (amp, cloudwatch) =
            (MetricsTo { amp: true, cloudwatch: false }, MetricsTo { amp: false, cloudwatch: true });
        for (line, expected, emf) in [("", cloudwatch, true), ("--metrics-to amp --self-metrics off", amp, false)] {
            let options = parse(line).unwrap().or_settings(&settings);
            assert_eq!((options.metrics_to(), options.self_metrics().emf), (expected, emf), "{line}");
        }
        let defaults = Settings::read(Vec::new()).unwrap();
        assert_eq!(Options::default().metrics_to(), defaults.metrics_to);
        let of_function = Options::default().self_metrics();
        assert_eq!((of_function.amp, of_function.emf), (defaults.self_metrics.amp, defaults.self_metrics.emf));
    }

    #[test]
    fn invalid_options_are_named_with_valid_values() {
        for (line, expected) in [
            ("--tasks", "missing argument for option '--tasks': see `sidecarless --help`"),
            ("--tasks 0", "invalid --tasks \"0\": use an integer from 1 to 1000000"),
            ("--tasks many", "invalid --tasks \"many\": use an integer from 1 to 1000000"),
            ("--tasks 1 --tasks 2", "--tasks is set twice"),
            ("--tasks 1 --containers 11", "invalid --containers \"11\": use an integer from 1 to 10"),
            (
                "--containers 2",
                "--containers requires --tasks: without it, the containers of the running tasks are counted",
            ),
            ("--services 2", "--services requires --tasks: without it, the services of the running tasks are counted"),
            (
                "--discovery-names 2",
                "--discovery-names requires --tasks: without it, the discovery names of the running services are counted",
            ),
            ("--push", "--push requires --tasks: without it, the running tasks that declare a push are counted"),
            ("--cloudwatch-interval 0", "invalid --cloudwatch-interval \"0\": use an integer from 1 to 10"),
            ("--spans -1", "invalid --spans \"-1\": use a number from 0 to 1000000"),
            ("--spans NaN", "invalid --spans \"NaN\": use a number from 0 to 1000000"),
            ("--points inf", "invalid --points \"inf\": use a number from 0 to 1000000"),
            ("--point-bytes 0", "invalid --point-bytes \"0\": use an integer from 1 to 1000000"),
            ("--metrics-to emf", "invalid --metrics-to \"emf\": use amp, cloudwatch or amp,cloudwatch"),
            ("--metrics-to ,", "invalid --metrics-to \",\": use amp, cloudwatch or amp,cloudwatch"),
            ("--self-metrics cloudwatch", "invalid --self-metrics \"cloudwatch\": use amp, emf, amp,emf or off"),
            ("--batch 0", "invalid --batch \"0\": use an integer from 1 to 300"),
            ("--samplers -1", "invalid --samplers \"-1\": use an integer from 0 to 1000"),
            ("--interval 10", "invalid --interval \"10\": use an integer from 15 to 60"),
            ("--memory 64", "invalid --memory \"64\": use an integer from 128 to 10240"),
            ("--sidecar 256", "invalid --sidecar \"256\": use CPU units and MB, such as 256/512"),
            ("--sidecar 256/0", "invalid memory of --sidecar \"0\": use an integer from 1 to 122880"),
            ("--sidecar .25/512", "invalid CPU of --sidecar \".25\": use an integer from 0 to 16384"),
            ("--arch amd64", "invalid --arch \"amd64\": use arm64 or x86_64"),
            ("--task 5", "invalid option '--task': see `sidecarless --help`"),
            ("5", "unexpected argument \"5\": see `sidecarless --help`"),
        ] {
            assert_eq!(parse(line), Err(expected.to_owned()), "{line}");
        }
    }
}
