//! The options of `sidecarless estimate`, each checked before anything is asked.

use serde::Serialize;

/// What is estimated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Options {
    /// `None`: the account is asked.
    pub(super) tasks: Option<u32>,
    /// Containers of each task; only with `tasks`, as the account says it itself.
    pub(super) containers: u32,
    /// Spans a second that each task pushes.
    pub(super) spans: f64,
    /// Data points a minute that each task pushes.
    pub(super) points: f64,
    /// Seconds between two scrapes of a task.
    pub(super) interval_s: u32,
    /// The function's memory.
    pub(super) memory_mb: u32,
    pub(super) sidecar: Reservation,
    /// `None`: each default is its maker's.
    pub(super) arch: Option<Arch>,
    #[serde(skip)]
    pub(super) json: bool,
}

/// What a container reserves: CPU units (1,024 are a vCPU) and MiB.
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

/// Tasks of an account are some thousands; from here on it is a slip of the finger.
const TASKS: u32 = 1_000_000;

/// A task definition has ten containers at the most (Amazon ECS Developer Guide, "Service quotas").
const CONTAINERS: u32 = 10;

/// What a function may have (AWS Lambda Developer Guide, "Lambda quotas").
const MEMORY_MB: (u32, u32) = (128, 10_240);

/// The range of `SIDECARLESS_SCRAPE_INTERVAL`.
const INTERVAL_S: (u32, u32) = (15, 60);

/// Spans a second and points a minute of one task: more fits no invocation.
const ITEMS: f64 = 1e6;

/// The largest Fargate task, which holds any sidecar (Amazon ECS Developer Guide, "Task size").
const LARGEST: (u32, u32) = (16_384, 122_880);

impl Default for Options {
    fn default() -> Self {
        Self {
            tasks: None,
            containers: 2,
            spans: 1.0,
            points: 100.0,
            interval_s: 60,
            memory_mb: 512,
            // The collector's container in the task definitions of its documentation (aws-otel-collector, examples/ecs).
            sidecar: Reservation { cpu: 256.0, mib: 512.0 },
            arch: None,
            json: false,
        }
    }
}

impl Options {
    /// An error names the option and what it takes.
    pub(super) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let (mut rest, mut seen) = (arguments.iter(), Vec::new());
        while let Some(&name) = rest.next() {
            if seen.contains(&name) {
                return Err(format!("{name} stands there twice"));
            }
            seen.push(name);
            if name == "--json" {
                options.json = true;
                continue;
            }
            options.set(name, || {
                let value = rest.next().filter(|value| !value.starts_with("--"));
                value.copied().ok_or_else(|| format!("{name} needs a value"))
            })?;
        }
        if options.tasks.is_none() && seen.contains(&"--containers") {
            return Err("--containers belongs to --tasks: the account says itself what runs in its tasks".into());
        }
        Ok(options)
    }

    fn set<'a>(&mut self, name: &str, value: impl FnOnce() -> Result<&'a str, String>) -> Result<(), String> {
        match name {
            "--tasks" => self.tasks = Some(whole(name, value()?, (1, TASKS))?),
            "--containers" => self.containers = whole(name, value()?, (1, CONTAINERS))?,
            "--spans" => self.spans = number(name, value()?)?,
            "--points" => self.points = number(name, value()?)?,
            "--interval" => self.interval_s = whole(name, value()?, INTERVAL_S)?,
            "--memory" => self.memory_mb = whole(name, value()?, MEMORY_MB)?,
            "--sidecar" => self.sidecar = reservation(value()?)?,
            "--arch" => self.arch = Some(Arch::parse(value()?)?),
            other => return Err(format!("estimate has no option `{other}`: see `sidecarless --help`")),
        }
        Ok(())
    }

    /// The processor of tasks that do not say theirs: ECS' default is x86_64.
    pub(super) fn task_arch(&self) -> Arch {
        self.arch.unwrap_or(Arch::X86)
    }

    /// The function's processor: the template's default is arm64.
    pub(super) fn function_arch(&self) -> Arch {
        self.arch.unwrap_or(Arch::Arm64)
    }
}

impl Arch {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "arm64" => Ok(Self::Arm64),
            "x86_64" => Ok(Self::X86),
            other => Err(format!("--arch is `{other}`, and has to be arm64 or x86_64")),
        }
    }

    /// As ECS writes it: `ARM64` in task definitions, `arm64` in attributes.
    pub(super) fn from_ecs(text: &str) -> Option<Self> {
        Self::parse(&text.to_ascii_lowercase()).ok()
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        }
    }
}

fn whole(name: &str, text: &str, (least, most): (u32, u32)) -> Result<u32, String> {
    let within = text.parse().ok().filter(|number| (least..=most).contains(number));
    within.ok_or_else(|| format!("{name} is `{text}`, and has to be a whole number from {least} to {most}"))
}

fn number(name: &str, text: &str) -> Result<f64, String> {
    let within = text.parse().ok().filter(|number| (0.0..=ITEMS).contains(number));
    within.ok_or_else(|| format!("{name} is `{text}`, and has to be a number from 0 to {ITEMS}"))
}

fn reservation(text: &str) -> Result<Reservation, String> {
    let Some((cpu, mib)) = text.split_once('/') else {
        return Err(format!("--sidecar is `{text}`, and has to be CPU units and MB, such as 256/512"));
    };
    let cpu = whole("CPU of --sidecar", cpu, (0, LARGEST.0))?;
    let mib = whole("memory of --sidecar", mib, (1, LARGEST.1))?;
    Ok(Reservation { cpu: cpu.into(), mib: mib.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_taken_and_the_others_keep_their_defaults() {
        assert_eq!(Options::parse(&[]), Ok(Options::default()));
        let all = "--tasks 7 --containers 3 --spans 0.5 --points 20 --interval 30 --memory 256 --sidecar 128/256 --arch arm64";
        let words: Vec<&str> = all.split(' ').chain(["--json"]).collect();
        let expected = Options {
            tasks: Some(7),
            containers: 3,
            spans: 0.5,
            points: 20.0,
            interval_s: 30,
            memory_mb: 256,
            sidecar: Reservation { cpu: 128.0, mib: 256.0 },
            arch: Some(Arch::Arm64),
            json: true,
        };
        assert_eq!(Options::parse(&words), Ok(expected));
    }

    #[test]
    fn a_bad_option_is_named_with_what_it_takes() {
        for (arguments, expected) in [
            ("--tasks", "--tasks needs a value"),
            ("--tasks --json", "--tasks needs a value"),
            ("--tasks 0", "--tasks is `0`, and has to be a whole number from 1 to 1000000"),
            ("--tasks many", "--tasks is `many`, and has to be a whole number from 1 to 1000000"),
            ("--tasks 1 --tasks 2", "--tasks stands there twice"),
            ("--tasks 1 --containers 11", "--containers is `11`, and has to be a whole number from 1 to 10"),
            ("--containers 2", "--containers belongs to --tasks: the account says itself what runs in its tasks"),
            ("--spans -1", "--spans is `-1`, and has to be a number from 0 to 1000000"),
            ("--spans NaN", "--spans is `NaN`, and has to be a number from 0 to 1000000"),
            ("--points inf", "--points is `inf`, and has to be a number from 0 to 1000000"),
            ("--interval 10", "--interval is `10`, and has to be a whole number from 15 to 60"),
            ("--memory 64", "--memory is `64`, and has to be a whole number from 128 to 10240"),
            ("--sidecar 256", "--sidecar is `256`, and has to be CPU units and MB, such as 256/512"),
            ("--sidecar 256/0", "memory of --sidecar is `0`, and has to be a whole number from 1 to 122880"),
            ("--sidecar .25/512", "CPU of --sidecar is `.25`, and has to be a whole number from 0 to 16384"),
            ("--arch amd64", "--arch is `amd64`, and has to be arm64 or x86_64"),
            ("--task 5", "estimate has no option `--task`: see `sidecarless --help`"),
            ("5", "estimate has no option `5`: see `sidecarless --help`"),
        ] {
            let words: Vec<&str> = arguments.split(' ').collect();
            assert_eq!(Options::parse(&words), Err(expected.to_owned()), "{arguments}");
        }
    }
}
