//! `sidecarless migrate`: removes the collector from a task definition and reports the settings that replace it.
//!
//! The new definition goes to standard output, so that it can be registered without changes. The report goes to standard error.

mod attributes;
mod builtin;
mod collector;
mod components;
mod containers;
mod definition;
mod error;
mod exporters;
mod filter;
mod health_check;
mod metricstransform;
mod receivers;
mod report;
mod rules;
mod scrape_rules;
mod size;
mod yaml;

use std::io::Write as _;

use serde_json::Value;

pub(crate) use error::MigrateError;

use crate::output::CommandOutput;
use error::InputError;
use report::MigrationReport;

/// Maximum size of a file. ECS task definitions have up to 64 KB, SSM parameters up to 8 KB.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Result of a migration.
#[derive(Debug)]
pub(crate) struct MigrationResult {
    /// Input of `RegisterTaskDefinition`.
    definition: Value,
    report: MigrationReport,
}

impl MigrationResult {
    /// Writes the report to standard error and returns the definition. The result is incomplete if a part of the configuration
    /// has no equivalent or requires a decision.
    pub(crate) fn print_report(self) -> CommandOutput {
        // A write error changes nothing: the exit code reports an incomplete migration as well.
        let _ = std::io::stderr().write_all(self.report.to_string().as_bytes());
        CommandOutput::new(format!("{:#}\n", self.definition), self.report.unsupported.is_empty())
    }
}

/// Migrates the files.
pub(crate) fn run(definition: &str, collector: Option<&str>) -> Result<MigrationResult, MigrateError> {
    let config = collector.map(|path| read(path).and_then(|text| yaml::read(&text)).map_err(in_file(path)));
    let config = config.transpose()?;
    read(definition).and_then(|text| migrate(&text, config)).map_err(in_file(definition))
}

fn in_file(path: &str) -> impl FnOnce(InputError) -> MigrateError {
    move |error| MigrateError { path: path.to_owned(), error }
}

fn read(path: &str) -> Result<String, InputError> {
    let text = std::fs::read_to_string(path)?;
    if text.len() > MAX_FILE_BYTES { Err(InputError::TooLarge) } else { Ok(text) }
}

/// Migrates a task definition. `config` is the collector configuration from the second file.
fn migrate(text: &str, config: Option<Value>) -> Result<MigrationResult, InputError> {
    let mut definition = definition::registrable(serde_json::from_str(text)?)?;
    let sidecars = definition::without_sidecars(&mut definition)?;
    let mut report = MigrationReport::default();
    let mut requirements = collector::Requirements::default();
    for sidecar in &sidecars {
        report.sidecars.push(format!("{} ({})", sidecar.name, sidecar.image()));
        if sidecar.is_collector {
            collector::translate(sidecar, config.as_ref(), &mut requirements, &mut report)?;
        } else {
            requirements.xray = true;
        }
    }
    if config.is_some() && !sidecars.iter().any(|sidecar| sidecar.is_collector) {
        report.add_unsupported("collector configuration", "not used, because no container is a collector");
    }
    scrape_rules::set(&definition, &requirements, &mut report);
    definition::remove_references(&sidecars, &mut definition, &mut report);
    containers::rewrite(&mut definition, &sidecars, &requirements, &mut report);
    if requirements.stats {
        health_check::add(&mut definition, &mut report);
    }
    size::suggest_size(&definition, &sidecars, &mut report);
    Ok(MigrationResult { definition, report })
}

#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod tests;
