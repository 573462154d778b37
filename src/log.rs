//! Log output: one JSON object per line, with a time and a level so that Lambda can filter it.

use std::io::Write as _;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::settings::LOG_SETTING;

/// Variable that Lambda sets from `LoggingConfig.ApplicationLogLevel`.
const LAMBDA_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Destination of log lines. Lambda reads standard output; on the command line, standard output is for results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOutput {
    Stdout,
    Stderr,
}

/// Writes a line that is already formatted.
pub fn print(line: &str) {
    // Ignore write errors: stdout is closed, so there is no other place to report them.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Installs the log output at the level of the variables, or `info`. The SDK and the HTTP client log from `warn`: at lower levels
/// they would print headers.
pub fn init(variables: &[(String, String)], stream: LogOutput) {
    let set = |name: &str| variables.iter().find(|(other, value)| other == name && !value.is_empty());
    let level = set(LOG_SETTING).or_else(|| set(LAMBDA_LEVEL)).map_or("info", |(_, value)| value);
    let filter = if level.contains(['=', ',']) { level.to_owned() } else { format!("warn,sidecarless={level}") };
    let writer = match stream {
        LogOutput::Stdout => BoxMakeWriter::new(std::io::stdout),
        LogOutput::Stderr => BoxMakeWriter::new(std::io::stderr),
    };
    let filter = filter.parse().unwrap_or_else(|_| Targets::new().with_default(Level::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_writer(writer);
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    // Fails only if a subscriber is already installed.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
