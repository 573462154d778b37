//! `sidecarless migrate`: a task definition without its collector, and what takes the collector's place.
//!
//! The new definition goes to standard output and the report to standard error, so that the former can be registered as it is.

mod builtin;
mod collector;
mod components;
mod containers;
mod definition;
mod exporters;
mod receivers;
mod report;
mod size;
mod yaml;

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use report::MigrationReport;

/// Longest file that is read: ECS takes task definitions up to 64 KB, and an SSM parameter holds 8 KB.
const LONGEST_FILE: usize = 1 << 20;

/// The outcome of a migration.
#[derive(Debug)]
pub(super) struct MigrationResult {
    /// What `RegisterTaskDefinition` takes.
    definition: Value,
    report: MigrationReport,
}

impl MigrationResult {
    /// Writes the report to standard error; gives what belongs to standard output and the exit code: 1 when something has no
    /// equivalent or is left for a person to decide.
    pub(super) fn print_report(self) -> (String, ExitCode) {
        // Where nobody listens, the exit code still says it.
        let _ = std::io::stderr().write_all(self.report.to_string().as_bytes());
        let code = if self.report.unsupported.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        (format!("{:#}\n", self.definition), code)
    }
}

/// Reads the files; the error names the file.
pub(super) fn run(definition: &str, collector: Option<&str>) -> Result<MigrationResult, String> {
    let text = read(definition)?;
    let given = collector.map(|path| read(path).and_then(|text| named(path, yaml::read(&text)))).transpose()?;
    named(definition, migrate(&text, given))
}

fn named<T>(path: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|error| format!("{path}: {error}"))
}

fn read(path: &str) -> Result<String, String> {
    let text = named(path, std::fs::read_to_string(path).map_err(|error| error.to_string()))?;
    if text.len() > LONGEST_FILE { Err(format!("{path}: longer than {LONGEST_FILE} bytes")) } else { Ok(text) }
}

/// Translates a task definition, with the collector's configuration if it was given.
fn migrate(text: &str, given: Option<Value>) -> Result<MigrationResult, String> {
    let parsed = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let mut definition = definition::registrable(parsed)?;
    let sidecars = definition::without_sidecars(&mut definition)?;
    let mut report = MigrationReport::default();
    let mut asks = collector::Requirements::default();
    for sidecar in &sidecars {
        report.sidecars.push(format!("{} ({})", sidecar.name, sidecar.image()));
        if sidecar.is_collector {
            collector::translate(sidecar, given.as_ref(), &mut asks, &mut report)?;
        } else {
            asks.xray = true;
        }
    }
    if given.is_some() && !sidecars.iter().any(|sidecar| sidecar.is_collector) {
        report.add_unsupported("collector configuration", "no container is a collector, so the YAML was not looked at");
    }
    definition::remove_references(&sidecars, &mut definition, &mut report);
    containers::rewrite(&mut definition, &sidecars, &asks, &mut report);
    size::suggest_size(&definition, &sidecars, &mut report);
    Ok(MigrationResult { definition, report })
}

#[cfg(test)]
mod tests;
