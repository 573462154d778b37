//! Output, errors and exit codes of all commands.

use std::io::Write;
use std::process::ExitCode;

use sidecarless::deliver::redrive::RedriveError;
use sidecarless::settings::ConfigErrors;
use thiserror::Error;

use crate::arguments::UsageError;
use crate::migrate::MigrateError;

/// Format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    Table,
    Json,
}

/// Text for standard output, and whether it is complete.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    text: String,
    is_complete: bool,
}

/// The command cannot run.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Settings(#[from] ConfigErrors),
    /// Error in the code shared with the function.
    #[error(transparent)]
    Function(#[from] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot read {path}: {error}")]
    ReadEvent { path: String, error: std::io::Error },
    #[error("SIDECARLESS_SPOOL_QUEUE_URL is not set")]
    NoSpoolQueue,
    /// `moved` describes the messages that were processed before the error.
    #[error("{moved}{error}")]
    Redrive { moved: String, error: RedriveError },
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("cannot read random numbers from the operating system")]
    Random,
}

impl CommandOutput {
    pub(crate) fn complete(text: String) -> Self {
        Self { text, is_complete: true }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn new(text: String, is_complete: bool) -> Self {
        Self { text, is_complete }
    }
}

/// Writes the result and returns the exit code that `--help` documents.
pub(crate) fn print(result: Result<CommandOutput, CommandError>) -> ExitCode {
    match result {
        Ok(output) => {
            let is_written = write(&mut std::io::stdout(), &output.text);
            if output.is_complete && is_written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            write(&mut std::io::stderr(), &format!("sidecarless: {error}\n"));
            ExitCode::from(2)
        }
    }
}

/// Returns false if the other end is closed, as in `sidecarless targets | head`.
fn write(stream: &mut dyn Write, text: &str) -> bool {
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok()
}
