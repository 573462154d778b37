//! `sidecarless estimate`: what sidecars cost, and what sidecarless does, for the account's tasks or for so many.
//!
//! docs/cost.md has the same prices, and the output for 100 tasks: a test holds it to this code.

mod costs;
mod fleet;
mod notes;
mod options;
mod prices;
mod sizes;
#[cfg(test)]
mod tests;
mod text;
mod workload;

use std::process::ExitCode;

use serde_json::json;

use costs::CostSection;
use fleet::Fleet;
use options::Options;
use text::{count, dollars, plural};
use workload::Workload;

use super::INVOKE_BUDGET;
use crate::deadline::Deadline;

/// Everything that is said.
struct Estimate {
    options: Options,
    fleet: Fleet,
    workloads: Vec<Workload>,
    sidecars: CostSection,
    sidecarless: CostSection,
    shared: CostSection,
    notes: Vec<String>,
    /// What could not be asked.
    failures: Vec<String>,
}

/// Estimates. The exit code is 1 when tasks may be missing, because something could not be asked.
pub(super) async fn run(arguments: &[&str], variables: Vec<(String, String)>) -> Result<(String, ExitCode), String> {
    let options = Options::parse(arguments)?;
    let estimate = match options.tasks {
        Some(tasks) => Estimate::new(Fleet::hypothetical(tasks, &options), options),
        None => of_account(options, variables).await?,
    };
    let code = if estimate.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let text = if estimate.options.json { estimate.json() } else { estimate.text() };
    Ok((text, code))
}

async fn of_account(options: Options, variables: Vec<(String, String)>) -> Result<Estimate, String> {
    let pipeline = super::pipeline(variables).await?;
    let list = pipeline.tasks(&Deadline::after(INVOKE_BUDGET)).await;
    let fleet = Fleet::from_tasks(list.tasks.iter().map(AsRef::as_ref), &options);
    let mut estimate = Estimate::new(fleet, options);
    estimate.notes.extend(notes::account_notes(&list, &estimate.fleet));
    estimate.failures = list.failures;
    Ok(estimate)
}

impl Estimate {
    fn new(fleet: Fleet, options: Options) -> Self {
        let loads = workload::workloads(&fleet, &options);
        Self {
            sidecars: costs::sidecars(&fleet),
            sidecarless: costs::sidecarless(&fleet, &options, &loads),
            shared: costs::shared_costs(&fleet, &options),
            notes: notes::general_notes(&fleet, &loads),
            failures: Vec::new(),
            options,
            fleet,
            workloads: loads,
        }
    }

    /// What sidecars cost more in a month; below zero they cost less.
    fn difference_usd(&self) -> f64 {
        self.sidecars.total_usd - self.sidecarless.total_usd
    }

    fn text(&self) -> String {
        let Options { memory_mb, spans, points, interval_s, .. } = self.options;
        let pushed = format!("{} a second and {} a minute", plural(spans, "span"), plural(points, "data point"));
        let head = [
            notes::fleet_summary(&self.fleet),
            format!("Each pushes {pushed}, and is scraped every {interval_s} s"),
            notes::prices(),
            String::new(),
        ];
        let mut rows: Vec<_> = head.map(|line| (line, String::new())).into();
        let arch = self.options.function_arch().as_str();
        rows.extend(section("A sidecar in each task", &self.sidecars));
        rows.extend(section(&format!("sidecarless, a function of {memory_mb} MB on {arch}"), &self.sidecarless));
        rows.extend(section("The same either way", &self.shared));
        rows.push((self.summary(), dollars(self.difference_usd().abs())));
        let mut text = text::columns(&rows) + "\n";
        for note in &self.notes {
            text.push_str(&text::bullet(note));
        }
        for failure in &self.failures {
            text.push_str(&format!("could not be asked: {failure}\n"));
        }
        text
    }

    fn summary(&self) -> String {
        let (sidecars, ours) = (self.sidecars.total_usd, self.sidecarless.total_usd);
        if ours > sidecars {
            return "sidecarless costs more a month, by".into();
        }
        format!("sidecarless saves {} % a month", count((sidecars - ours) / sidecars * 100.0))
    }

    fn json(&self) -> String {
        let groups = self.fleet.groups.iter().map(|(kind, group)| {
            json!({
                "place": kind.launch_type, "arch": kind.arch, "tasks": group.tasks, "sidecars": group.sidecars,
                "tasks_with_size": group.sized, "sizes_usd": group.size_usd,
            })
        });
        let fleet = json!({
            "tasks": self.fleet.tasks(), "containers": self.fleet.containers, "with_sidecar": self.fleet.with_sidecar,
            "clusters": self.fleet.clusters.len(), "groups": groups.collect::<Vec<_>>(),
        });
        let value = json!({
            "prices": {"region": prices::REGION_CODE, "date": prices::DATE, "currency": "USD", "month_hours": prices::HOURS,
                "list": prices::ALL.iter().map(prices::Price::json).collect::<Vec<_>>()},
            "options": self.options, "fleet": fleet, "invocations": self.workloads,
            "sidecars": self.sidecars, "sidecarless": self.sidecarless, "either_way": self.shared,
            "difference_usd": self.difference_usd(), "notes": self.notes, "failures": self.failures,
        });
        format!("{value:#}\n")
    }
}

fn section(title: &str, section: &CostSection) -> Vec<(String, String)> {
    let mut rows = vec![(title.to_owned(), "a month".to_owned())];
    for line in &section.lines {
        rows.push((format!("  {}", line.what), line.usd.map_or("-".into(), dollars)));
    }
    rows.push(("  together".into(), dollars(section.total_usd)));
    rows.push((String::new(), String::new()));
    rows
}
