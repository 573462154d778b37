//! Log lines: JSON with a time and a level, so that Lambda can filter them, and a message that reads alone.

use tracing_subscriber::EnvFilter;

use crate::config::LOG_SETTING;

/// What Lambda sets from `LoggingConfig.ApplicationLogLevel`.
const LAMBDA_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Logs to standard output at the level that the variables ask for, `info` otherwise. The SDK and the HTTP client speak
/// from `warn` on: at lower levels they would print headers.
pub fn install(variables: &[(String, String)]) {
    let set = |name: &str| variables.iter().find(|(other, value)| other == name && !value.is_empty());
    let level = set(LOG_SETTING).or_else(|| set(LAMBDA_LEVEL)).map_or("info", |(_, value)| value);
    let filter = if level.contains(['=', ',']) { level.to_owned() } else { format!("warn,sidecarless={level}") };
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_env_filter(EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info")))
        .finish();
    // It fails only when a subscriber is installed already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
