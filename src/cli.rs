//! The command line: the same binary outside of Lambda.

mod check;
mod estimate;
mod migrate;
mod redrive;
mod sidecars;
mod token;

use std::process::ExitCode;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::handlers::{Pipeline, TargetList, TargetRow};
use crate::lambda::Event;
use crate::log;
use crate::settings::{self, Settings};

/// Time for an event given by hand: Lambda's default for this function's template.
const INVOKE_BUDGET: Duration = Duration::from_secs(50);

const USAGE: &str = "\
sidecarless: what the OpenTelemetry sidecar gives an ECS task, from one Lambda function

usage:
  sidecarless invoke EVENT.json   handle one event as Lambda would hand it over (`-`: standard input), print the reply
  sidecarless targets [--json]    every running task: kept or dropped, by which rule, its source of stats and its address.
                                  Exit code 1 when something could not be asked or a declared endpoint cannot be scraped
  sidecarless check [--json]      is everything as it has to be: credentials, clock, every permission, the way to a task. Writes
                                  a sample and a segment of its own. Exit code 1 when something fails, with what mends it
  sidecarless redrive [--list]    back to the spool with what lies in its dead-letter queue, but for what cannot be read;
                                  --list only says what is there. It is run by a person, with that person's permissions
  sidecarless estimate [OPTIONS]  what sidecars cost in a month, and what sidecarless does: for the account's running tasks, or
                                  for --tasks N, each of --containers N (2); with --spans N (1) a second and --points N (100)
                                  a minute from each, scraped every --interval SECONDS (60), by a function of --memory MB
                                  (512); --sidecar CPU/MB (256/512), --arch arm64|x86_64 (tasks x86_64 unless they say so,
                                  function arm64), --json. Exit code 1 when tasks could not be listed
  sidecarless token               a new bearer token, its hash for the function and the header for its clients
  sidecarless migrate TASKDEF.json [ADOT.yaml]
                                  the task definition without its collector or X-Ray daemon, as JSON on standard output; on
                                  standard error the settings, the SDK's variables, and what has no equivalent (exit code 1 then)
  sidecarless --help              this text and all settings
  sidecarless --version

Inside AWS Lambda the binary takes no arguments: it serves invocations.

settings (environment variables):
";

/// How a list is shown.
enum OutputFormat {
    Table,
    Json,
}

/// Runs a command and says how it ended.
pub async fn run(arguments: impl Iterator<Item = String>, variables: Vec<(String, String)>) -> ExitCode {
    let arguments: Vec<String> = arguments.collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let well = |text: String| (text, ExitCode::SUCCESS);
    let outcome = match arguments.as_slice() {
        ["--help" | "-h" | "help"] => Ok(well(format!("{USAGE}{}", settings::reference()))),
        ["--version" | "-V"] => Ok(well(format!("sidecarless {}\n", env!("CARGO_PKG_VERSION")))),
        ["invoke", path] => invoke(path, variables).await.map(well),
        ["targets"] => targets(OutputFormat::Table, variables).await,
        ["targets", "--json"] => targets(OutputFormat::Json, variables).await,
        ["check"] => check::run(OutputFormat::Table, variables).await,
        ["check", "--json"] => check::run(OutputFormat::Json, variables).await,
        ["redrive"] => redrive(redrive::RedriveMode::Move, variables).await,
        ["redrive", "--list"] => redrive(redrive::RedriveMode::DryRun, variables).await,
        ["estimate", options @ ..] => estimate::run(options, variables).await,
        ["token"] => token::token().map(well),
        ["migrate", definition] => migrate::run(definition, None).map(migrate::MigrationResult::print_report),
        ["migrate", definition, collector] => {
            migrate::run(definition, Some(collector)).map(migrate::MigrationResult::print_report)
        }
        [] => Err("no command: see `sidecarless --help`".to_owned()),
        other => Err(format!("unknown command `{}`: see `sidecarless --help`", other.join(" "))),
    };
    match outcome {
        Ok((text, code)) => write_output(&mut std::io::stdout(), &text, code),
        Err(error) => write_output(&mut std::io::stderr(), &format!("sidecarless: {error}\n"), ExitCode::from(2)),
    }
}

async fn invoke(path: &str, variables: Vec<(String, String)>) -> Result<String, String> {
    let event = if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let event = event.map_err(|error| format!("{path}: {error}"))?;
    let pipeline = pipeline(variables).await?;
    let reply = pipeline
        .handle(Event::parse(&event), &Deadline::after(INVOKE_BUDGET))
        .await
        .map_err(|error| error.to_string())?;
    Ok(format!("{:#}\n", reply.into_json()))
}

async fn targets(show: OutputFormat, variables: Vec<(String, String)>) -> Result<(String, ExitCode), String> {
    let pipeline = pipeline(variables).await?;
    let list = pipeline.targets(&Deadline::after(INVOKE_BUDGET)).await;
    let code = if list.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let text = match show {
        OutputFormat::Table => table(&list),
        OutputFormat::Json => serde_json::to_string_pretty(&list).map_err(|error| error.to_string())? + "\n",
    };
    Ok((text, code))
}

async fn redrive(what: redrive::RedriveMode, variables: Vec<(String, String)>) -> Result<(String, ExitCode), String> {
    log::init(&variables, log::LogOutput::Stderr);
    let settings = Settings::read(variables).map_err(|mistakes| mistakes.to_string())?;
    redrive::run(what, &settings).await
}

async fn pipeline(variables: Vec<(String, String)>) -> Result<Pipeline, String> {
    log::init(&variables, log::LogOutput::Stderr);
    let settings = Settings::read(variables).map_err(|mistakes| mistakes.to_string())?;
    Pipeline::from_environment(settings).await.map_err(|error| error.to_string())
}

/// Tasks as columns of text, each as wide as its widest cell.
fn table(list: &TargetList) -> String {
    let head =
        ["CLUSTER", "SERVICE", "FAMILY", "TASK", "STATUS", "SOURCE", "ENDPOINT", "KEPT", "RULE"].map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(list.targets.iter().map(cells));
    let mut widths = [0; 9];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    for failure in &list.failures {
        text.push_str(&format!("could not be asked: {failure}\n"));
    }
    text
}

fn cells(target: &TargetRow) -> [String; 9] {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let stats = match (&target.address, target.port) {
        (Some(address), Some(port)) => Some(format!("{address}:{port}{}", target.path.as_deref().unwrap_or_default())),
        _ => None,
    };
    let problem = target.errors.iter().map(|problem| format!("not scraped: {problem}"));
    let endpoints: Vec<String> = problem.chain(stats).chain(target.prometheus_endpoints.iter().cloned()).collect();
    let endpoint = or_dash(&endpoints.join(", "));
    [
        or_dash(&target.cluster),
        or_dash(&target.service),
        or_dash(&target.family),
        or_dash(&target.task),
        or_dash(&target.status),
        or_dash(target.source),
        endpoint,
        if target.included { "yes" } else { "no" }.into(),
        or_dash(&target.rule),
    ]
}

/// Writes to a stream whose other end may have gone, as under `| head`.
fn write_output(stream: &mut dyn std::io::Write, text: &str, code: ExitCode) -> ExitCode {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_wide_as_its_cells() {
        let target = |task: &str, kept: bool, problem: Option<&str>| TargetRow {
            cluster: "shop".into(),
            family: "cart".into(),
            task: task.into(),
            status: "RUNNING".into(),
            source: if kept { "endpoint" } else { "" },
            included: kept,
            rule: if kept { "all tasks" } else { "!family=cart" }.into(),
            address: (kept && problem.is_none()).then(|| "10.0.0.9".into()),
            port: kept.then_some(9000),
            errors: problem.map(Into::into).into_iter().collect(),
            prometheus_endpoints: if task == "5f0e" { vec!["10.0.0.9:9404/metrics".into()] } else { Vec::new() },
            ..TargetRow::default()
        };
        let list = TargetList {
            targets: vec![target("5f0e", true, None), target("77", false, None), target("8", true, Some("no route"))],
            failures: vec!["ListTasks failed for bank: AccessDenied".into()],
        };
        let expected = "\
CLUSTER  SERVICE  FAMILY  TASK  STATUS   SOURCE    ENDPOINT                              KEPT  RULE
shop     -        cart    5f0e  RUNNING  endpoint  10.0.0.9:9000, 10.0.0.9:9404/metrics  yes   all tasks
shop     -        cart    77    RUNNING  -         -                                     no    !family=cart
shop     -        cart    8     RUNNING  endpoint  not scraped: no route                 yes   all tasks
could not be asked: ListTasks failed for bank: AccessDenied
";
        assert_eq!(table(&list), expected);
        assert!(!list.is_ok());
    }
}
