//! The command line: the same binary outside of Lambda.

use std::process::ExitCode;
use std::time::Duration;

use crate::config::{self, Settings};
use crate::deadline::Deadline;
use crate::log;
use crate::pipeline::Pipeline;

/// Time for an event given by hand: Lambda's default for this function's template.
const INVOKE_BUDGET: Duration = Duration::from_secs(50);

const USAGE: &str = "\
sidecarless: what the OpenTelemetry sidecar gives an ECS task, from one Lambda function

usage:
  sidecarless invoke EVENT.json   handle one event as Lambda would hand it over (`-`: standard input), print the reply
  sidecarless --help              this text and all settings
  sidecarless --version

Inside AWS Lambda the binary takes no arguments: it serves invocations.

settings (environment variables):
";

/// Runs a command and says how it ended.
pub async fn run(arguments: impl Iterator<Item = String>, variables: Vec<(String, String)>) -> ExitCode {
    let arguments: Vec<String> = arguments.collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["--help" | "-h" | "help"] => Ok(format!("{USAGE}{}", config::reference())),
        ["--version" | "-V"] => Ok(format!("sidecarless {}\n", env!("CARGO_PKG_VERSION"))),
        ["invoke", path] => invoke(path, variables).await,
        [] => Err("no command: see `sidecarless --help`".to_owned()),
        other => Err(format!("unknown command `{}`: see `sidecarless --help`", other.join(" "))),
    };
    match outcome {
        Ok(text) => say(&mut std::io::stdout(), &text, ExitCode::SUCCESS),
        Err(error) => say(&mut std::io::stderr(), &format!("sidecarless: {error}\n"), ExitCode::from(2)),
    }
}

async fn invoke(path: &str, variables: Vec<(String, String)>) -> Result<String, String> {
    let event = if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let event = event.map_err(|error| format!("{path}: {error}"))?;
    log::install(&variables);
    let settings = Settings::read(variables).map_err(|mistakes| mistakes.to_string())?;
    let pipeline = Pipeline::from_environment(settings).await.map_err(|error| error.to_string())?;
    let reply = pipeline.handle(&event, &Deadline::after(INVOKE_BUDGET)).await.map_err(|error| error.to_string())?;
    Ok(format!("{:#}\n", reply.into_json()))
}

/// Writes to a stream whose other end may have gone, as under `| head`.
fn say(stream: &mut dyn std::io::Write, text: &str, code: ExitCode) -> ExitCode {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
