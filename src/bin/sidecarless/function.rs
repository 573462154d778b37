//! Runs the code of the function in this process.

use reqwest::Client;
use sidecarless::aws::clients;
use sidecarless::deadline::Deadline;
use sidecarless::handlers::{Handlers, settings_sources};
use sidecarless::lambda::Event;
use sidecarless::log::{self, LogOutput};
use sidecarless::settings::Settings;
use sidecarless::work_budget::MemoryLimit;

use crate::error::CommandError;
use crate::output::CommandOutput;

/// Returns the deadline of a command: the timeout of the function in template.yaml.
pub(crate) fn deadline() -> Deadline {
    Deadline::after(std::time::Duration::from_secs(50))
}

/// Creates the HTTP client of a command.
pub(crate) fn http() -> Result<Client, CommandError> {
    clients::http_of_command_line().map_err(|error| CommandError::Function(error.into()))
}

/// Reads the settings and logs to standard error, because standard output is for the result.
pub(crate) async fn settings(variables: Vec<(String, String)>, http: &Client) -> Result<Settings, CommandError> {
    let sources = settings_sources(variables, http).await;
    log::init(sources.variables(), LogOutput::Stderr);
    Ok(Settings::from_sources(sources)?)
}

/// Creates the function as Lambda does.
pub(crate) async fn handlers(variables: Vec<(String, String)>) -> Result<Handlers, CommandError> {
    let http = http()?;
    let settings = settings(variables, &http).await?;
    with_settings(settings, &http).await
}

/// Creates the function with settings that were read before.
pub(crate) async fn with_settings(settings: Settings, http: &Client) -> Result<Handlers, CommandError> {
    Handlers::from_environment(settings, MemoryLimit::unlimited(), http)
        .await
        .map_err(|error| CommandError::Function(error.into()))
}

/// Processes one event and prints the response.
pub(crate) async fn invoke(path: &str, variables: Vec<(String, String)>) -> Result<CommandOutput, CommandError> {
    let event = if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let event = event.map_err(|error| CommandError::ReadEvent { path: path.to_owned(), error })?;
    let response = handlers(variables)
        .await?
        .handle(Event::parse(&event), &deadline())
        .await
        .map_err(|error| CommandError::Function(error.into()))?;
    Ok(CommandOutput::complete(format!("{:#}\n", response.into_json())))
}
