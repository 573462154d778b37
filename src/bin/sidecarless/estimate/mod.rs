//! `sidecarless estimate`: compares the monthly cost of sidecars and of sidecarless, for the running tasks of the account or for
//! a number of tasks.
//!
//! docs/cost.md contains the prices and the output for 100 tasks. A test compares it with this code.

#[cfg(test)]
mod cloudwatch_tests;
mod costs;
mod emf;
mod fleet;
mod notes;
mod options;
mod prices;
mod sizes;
#[cfg(test)]
mod tests;
mod text;
mod workload;

use serde_json::json;

use costs::CostSection;
use fleet::Fleet;
pub(crate) use options::Options;
use text::{count, dollars, plural};
use workload::Workload;

use crate::error::CommandError;
use crate::function;
use crate::output::CommandOutput;

/// An estimate for all tasks.
struct Estimate {
    options: Options,
    fleet: Fleet,
    workloads: Vec<Workload>,
    sidecars: CostSection,
    sidecarless: CostSection,
    /// Costs that are the same with sidecars and with sidecarless.
    shared: CostSection,
    notes: Vec<String>,
    /// Failed API calls.
    errors: Vec<String>,
}

/// Estimates the cost. The result is incomplete if tasks may be missing because an API call failed.
pub(crate) async fn run(options: Options, variables: Vec<(String, String)>) -> Result<CommandOutput, CommandError> {
    let estimate = match options.tasks {
        Some(tasks) => Estimate::new(Fleet::hypothetical(tasks, &options), options),
        None => for_account(options, variables).await?,
    };
    let text = if estimate.options.json { estimate.json() } else { estimate.text() };
    Ok(CommandOutput::new(text, estimate.errors.is_empty()))
}

async fn for_account(options: Options, variables: Vec<(String, String)>) -> Result<Estimate, CommandError> {
    let http = function::http()?;
    let settings = function::settings(variables, &http).await?;
    let options = options.or_settings(&settings);
    let handlers = function::with_settings(settings, &http).await?;
    let list = handlers.tasks(&function::deadline()).await;
    let fleet = Fleet::from_tasks(list.tasks.iter().map(AsRef::as_ref), &options);
    let (services_without_source, discovery_names) = (list.services_without_source, list.discovery_names);
    let fleet = Fleet { pushing: list.pushing, services_without_source, discovery_names, ..fleet };
    let cloudwatch_interval_min = options.cloudwatch_interval_min.or(list.cloudwatch_interval_min);
    let options = Options { cloudwatch_interval_min, ..options };
    let mut estimate = Estimate::new(fleet, options);
    estimate.notes.extend(notes::account_notes(&list, &estimate.fleet));
    estimate.errors = list.errors;
    Ok(estimate)
}

impl Estimate {
    fn new(fleet: Fleet, options: Options) -> Self {
        let workloads = workload::workloads(&fleet, &options);
        Self {
            sidecars: costs::sidecars(&fleet),
            sidecarless: costs::sidecarless(&fleet, &options, &workloads),
            shared: costs::shared_costs(&fleet, &options),
            notes: notes::general_notes(&fleet, &options, &workloads),
            errors: Vec::new(),
            options,
            fleet,
            workloads,
        }
    }

    /// Returns the monthly cost of sidecars minus the cost of sidecarless.
    fn difference_usd(&self) -> f64 {
        self.sidecars.total_usd - self.sidecarless.total_usd
    }

    fn text(&self) -> String {
        let Options { memory_mb, spans, batch_s, points, interval_s, .. } = self.options;
        let spans = format!("{} per second in batches of {batch_s} s", plural(spans, "span"));
        let sent = format!("{spans} and {} per minute", plural(points, "data point"));
        let head = [
            notes::fleet_summary(&self.fleet),
            format!("Each task sends {sent}, and {} every {interval_s} s", notes::collection(&self.fleet)),
            notes::prices(),
            String::new(),
        ];
        let mut rows: Vec<_> = head.map(|line| (line, String::new())).into();
        let arch = self.options.function_arch().as_str();
        rows.extend(section("A sidecar in each task", &self.sidecars));
        rows.extend(section(&format!("sidecarless, a function with {memory_mb} MB on {arch}"), &self.sidecarless));
        rows.extend(section("Shared costs", &self.shared));
        rows.push((self.summary(), dollars(self.difference_usd().abs())));
        let mut text = text::columns(&rows) + "\n";
        for note in &self.notes {
            text.push_str(&text::bullet(note));
        }
        for error in &self.errors {
            text.push_str(&format!("error: {error}\n"));
        }
        text
    }

    fn summary(&self) -> String {
        let (sidecars, ours) = (self.sidecars.total_usd, self.sidecarless.total_usd);
        if ours > sidecars {
            return "sidecarless costs more per month".into();
        }
        format!("sidecarless saves {} % per month", count((sidecars - ours) / sidecars * 100.0))
    }

    fn json(&self) -> String {
        let groups = self.fleet.groups.iter().map(|(class, group)| {
            json!({
                "launch_type": class.launch_type, "arch": class.arch, "tasks": group.tasks, "sidecars": group.sidecars,
                "tasks_with_size": group.sized, "sizes_usd": group.size_usd,
            })
        });
        let fleet = json!({
            "tasks": self.fleet.tasks(), "containers": self.fleet.containers, "with_sidecar": self.fleet.with_sidecar,
            "pushing": self.fleet.pushing, "services_without_source": self.fleet.services_without_source,
            "discovery_names": self.fleet.discovery_names, "clusters": self.fleet.clusters.len(), "groups": groups.collect::<Vec<_>>(),
        });
        let value = json!({
            "prices": {"region": prices::REGION_CODE, "date": prices::DATE, "currency": "USD", "month_hours": prices::HOURS,
                "list": prices::ALL.iter().map(prices::Price::json).collect::<Vec<_>>()},
            "options": self.options, "fleet": fleet, "invocations": self.workloads,
            "sidecars": self.sidecars, "sidecarless": self.sidecarless, "shared": self.shared,
            "difference_usd": self.difference_usd(), "notes": self.notes, "errors": self.errors,
        });
        format!("{value:#}\n")
    }
}

fn section(title: &str, section: &CostSection) -> Vec<(String, String)> {
    let mut rows = vec![(title.to_owned(), "per month".to_owned())];
    for line in &section.lines {
        rows.push((format!("  {}", line.description), line.usd.map_or("-".into(), dollars)));
    }
    rows.push(("  total".into(), dollars(section.total_usd)));
    rows.push((String::new(), String::new()));
    rows
}
