//! `sidecarless check`: a line for each thing that has to be as it is, with what to do when it is not.

use std::process::ExitCode;

use super::{INVOKE_BUDGET, OutputFormat};
use crate::deadline::Deadline;
use crate::handlers::{CheckReport, CheckResult, Pipeline};
use crate::log;
use crate::settings::Settings;

/// Checks, also settings that cannot be read. The exit code is 1 when something fails.
pub(super) async fn run(show: OutputFormat, variables: Vec<(String, String)>) -> Result<(String, ExitCode), String> {
    log::init(&variables, log::LogOutput::Stderr);
    let checked = checked(variables).await;
    let code = if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let text = match show {
        OutputFormat::Table => lines(&checked),
        OutputFormat::Json => format!("{:#}\n", checked.into_json()),
    };
    Ok((text, code))
}

async fn checked(variables: Vec<(String, String)>) -> CheckReport {
    let settings = match Settings::read(variables) {
        Ok(settings) => settings,
        Err(mistakes) => return CheckReport::from_config_errors(&mistakes.0),
    };
    match Pipeline::from_environment(settings).await {
        Ok(pipeline) => pipeline.check(&Deadline::after(INVOKE_BUDGET)).await,
        Err(error) => CheckReport::from_config_errors(&[error.to_string()]),
    }
}

fn lines(checked: &CheckReport) -> String {
    let width = checked.checks.iter().map(|finding| finding.name.len()).max().unwrap_or_default();
    checked.checks.iter().map(|finding| line(finding, width)).collect()
}

fn line(finding: &CheckResult, width: usize) -> String {
    let CheckResult { name: check, status: outcome, message: says, fix } = finding;
    let fix = fix.as_ref().map(|fix| format!(" -> {fix}")).unwrap_or_default();
    format!("{:4}  {check:width$}  {says}{fix}\n", outcome.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn mistakes_in_settings_are_findings() {
        let variables = [("SIDECARLESS_AUTH", "maybe"), ("SIDECARLESS_CLUSTER", "shop")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let checked = checked(variables.to_vec()).await;
        assert!(!checked.is_ok());
        let text = lines(&checked);
        let starts: Vec<_> = text.lines().map(|line| line.split_at(45).0).collect();
        assert_eq!(
            starts,
            [
                "FAIL  settings         SIDECARLESS_CLUSTER: t",
                "FAIL  settings         SIDECARLESS_AUTH: `may",
                "skip  everything else  not tried without sett",
            ]
        );
        assert!(text.contains("-> `sidecarless --help` lists every setting"), "{text}");
    }
}
