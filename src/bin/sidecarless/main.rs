//! Command line. The Lambda function is a separate binary, `sidecarless-function` (src/main.rs), which has neither a price
//! list nor a YAML parser.

mod arguments;
mod check;
mod error;
mod estimate;
mod function;
mod help;
mod migrate;
mod output;
mod push_authorization;
mod push_stats;
mod query;
mod redrive;
mod sidecars;
mod targets;
mod token;
mod usage;

use std::io::Write;
use std::process::ExitCode;

use arguments::Command;
use error::CommandError;
use output::CommandOutput;
use sidecarless::model::masked::masked;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Command::parse(std::env::args_os().skip(1)) {
        Ok(command) => run(command, environment()).await,
        Err(error) => Err(error.into()),
    };
    print(result)
}

async fn run(command: Command, variables: Vec<(String, String)>) -> Result<CommandOutput, CommandError> {
    match command {
        Command::Help => Ok(CommandOutput::complete(help::text())),
        Command::Version => Ok(CommandOutput::complete(format!("sidecarless {}\n", env!("CARGO_PKG_VERSION")))),
        Command::Invoke { event } => function::invoke(&event, variables).await,
        Command::Targets(format) => targets::run(format, variables).await,
        Command::Check(format) => check::run(format, variables).await,
        Command::Redrive(mode) => redrive::run(mode, variables).await,
        Command::Estimate(options) => estimate::run(options, variables).await,
        Command::Migrate { definition, collector } => {
            Ok(migrate::run(&definition, collector.as_deref())?.print_report())
        }
        Command::PushStats(mode) => Ok(push_stats::run(mode, &variables).await?),
        Command::Query(options) => Ok(query::run(options, &variables).await?),
        Command::Token => token::run(),
    }
}

/// Writes the result and returns the exit code that `--help` documents.
fn print(result: Result<CommandOutput, CommandError>) -> ExitCode {
    match result {
        Ok(output) => {
            let is_written = write(&mut std::io::stdout(), &output.text);
            if output.is_complete && is_written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            report(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// Writes an error to standard error. Errors of servers and settings can repeat secrets.
fn report(error: &str) {
    write(&mut std::io::stderr(), &format!("sidecarless: {}\n", masked(error)));
}

/// Returns false if the other end is closed, as in `sidecarless targets | head`.
fn write(stream: &mut dyn Write, text: &str) -> bool {
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok()
}

/// Returns the environment variables that are valid UTF-8.
#[expect(clippy::disallowed_methods, reason = "the main file of a binary reads the environment")]
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
