//! `sidecarless check`: one line for each check, with a fix for each failure.

use sidecarless::handlers::{CheckReport, CheckResult};

use crate::error::CommandError;
use crate::function;
use crate::output::{CommandOutput, OutputFormat};

/// Runs the checks. Invalid settings are failed checks.
pub(crate) async fn run(format: OutputFormat, variables: Vec<(String, String)>) -> Result<CommandOutput, CommandError> {
    let report = report(variables).await;
    let is_ok = report.is_ok();
    let text = match format {
        OutputFormat::Table => lines(&report),
        OutputFormat::Json => format!("{:#}\n", report.into_json()),
    };
    Ok(CommandOutput::new(text, is_ok))
}

async fn report(variables: Vec<(String, String)>) -> CheckReport {
    match function::handlers(variables).await {
        Ok(handlers) => handlers.check(&function::deadline()).await,
        Err(CommandError::Settings(errors)) => CheckReport::from_config_errors(&errors.0),
        Err(error) => CheckReport::from_config_errors(&[error.to_string()]),
    }
}

fn lines(report: &CheckReport) -> String {
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    report.checks.iter().map(|check| line(check, width)).collect()
}

fn line(check: &CheckResult, width: usize) -> String {
    let CheckResult { name, status, message, fix } = check;
    let fix = fix.as_ref().map(|fix| format!(" -> {fix}")).unwrap_or_default();
    format!("{:4}  {name:width$}  {message}{fix}\n", status.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn invalid_settings_are_failed_checks() {
        let variables = [("SIDECARLESS_AUTH", "maybe"), ("SIDECARLESS_CLUSTER", "shop")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let report = report(variables.to_vec()).await;
        assert!(!report.is_ok());
        let text = lines(&report);
        let failures = text.lines().filter(|line| line.starts_with("FAIL  settings ")).count();
        assert_eq!((failures, text.lines().count()), (2, 3), "{text}");
        for part in [" SIDECARLESS_CLUSTER: ", " SIDECARLESS_AUTH: ", "skip  ", "-> `sidecarless --help` lists"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
