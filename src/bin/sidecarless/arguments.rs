//! Command-line arguments.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::estimate::Options;
use crate::output::OutputFormat;
use crate::push_stats::PushMode;
use crate::query::QueryOptions;
use crate::redrive::RedriveMode;
use crate::usage::UsageError;

const COMMANDS: [&str; 10] =
    ["check", "estimate", "help", "invoke", "migrate", "push-stats", "query", "redrive", "targets", "token"];

/// Time between two pushes of stats without `--interval`.
const DEFAULT_PUSH_INTERVAL: Duration = Duration::from_secs(60);

/// Shorter intervals are raised to this: the function ignores a push within five seconds of another (docs/limits.md).
const MIN_PUSH_INTERVAL_S: u64 = 10;

/// Similarity from which a command is suggested, between 0 and 1.
const MIN_SIMILARITY: f64 = 0.5;

/// A command with its arguments.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Version,
    Invoke { event: String },
    Targets(OutputFormat),
    Check(OutputFormat),
    Redrive(RedriveMode),
    Estimate(Options),
    Migrate { definition: String, collector: Option<String> },
    PushStats(PushMode),
    Query(QueryOptions),
    Token,
}

impl Command {
    /// Parses the arguments after the name of the program.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString> + 'static) -> Result<Self, UsageError> {
        let mut parser = Parser::from_args(arguments);
        let name = match parser.next()? {
            None => return Err(UsageError::MissingCommand),
            Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Self::Help),
            Some(Arg::Long("version") | Arg::Short('V')) => return Ok(Self::Version),
            Some(Arg::Value(name)) => name.string()?,
            Some(option) => return Err(option.unexpected().into()),
        };
        let format = |is_json| if is_json { OutputFormat::Json } else { OutputFormat::Table };
        Ok(match name.as_str() {
            "help" => Self::Help,
            "invoke" => Self::Invoke { event: one_file(parser, "EVENT.json")? },
            "targets" => Self::Targets(format(flag(parser, "json")?)),
            "check" => Self::Check(format(flag(parser, "json")?)),
            "redrive" => Self::Redrive(if flag(parser, "list")? { RedriveMode::DryRun } else { RedriveMode::Move }),
            "estimate" => Self::Estimate(Options::parse(parser)?),
            "migrate" => {
                let mut files = files(parser, 2)?.into_iter();
                let definition = files.next().ok_or(UsageError::MissingFile("TASKDEF.json"))?;
                Self::Migrate { definition, collector: files.next() }
            }
            "push-stats" => Self::PushStats(push_mode(parser)?),
            "query" => Self::Query(QueryOptions::parse(parser)?),
            "token" => {
                files(parser, 0)?;
                Self::Token
            }
            _ => return Err(unknown(name)),
        })
    }
}

fn unknown(name: String) -> UsageError {
    let similarity = |command: &&str| strsim::jaro_winkler(&name, command);
    let closest = COMMANDS.into_iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    let closest = closest.filter(|command| similarity(command) >= MIN_SIMILARITY);
    let hint = closest.map_or("see `sidecarless --help`".to_owned(), |command| format!("did you mean {command}?"));
    UsageError::UnknownCommand { name, hint }
}

/// Returns whether the only option of a command is set.
fn flag(mut parser: Parser, name: &str) -> Result<bool, UsageError> {
    let mut is_set = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long(option) if option == name => is_set = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(is_set)
}

/// Parses `--once`, `--health-check` or `--interval S`.
fn push_mode(mut parser: Parser) -> Result<PushMode, UsageError> {
    let mut mode = PushMode::Every(DEFAULT_PUSH_INTERVAL);
    while let Some(argument) = parser.next()? {
        mode = match argument {
            Arg::Long("once") => PushMode::Once,
            Arg::Long("health-check") => PushMode::HealthCheck,
            Arg::Long("interval") => {
                let seconds: u64 = parser.value()?.parse()?;
                PushMode::Every(Duration::from_secs(seconds.max(MIN_PUSH_INTERVAL_S)))
            }
            other => return Err(other.unexpected().into()),
        };
    }
    Ok(mode)
}

fn one_file(parser: Parser, name: &'static str) -> Result<String, UsageError> {
    files(parser, 1)?.pop().ok_or(UsageError::MissingFile(name))
}

/// Returns up to `max` file names.
fn files(mut parser: Parser, max: usize) -> Result<Vec<String>, UsageError> {
    let mut files = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(file) if files.len() < max => files.push(file.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Command::parse(words.into_iter()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_command_takes_its_arguments() {
        let migrate = |collector: Option<&str>| Command::Migrate {
            definition: "a.json".into(),
            collector: collector.map(str::to_owned),
        };
        for (line, expected) in [
            ("--help", Command::Help),
            ("-h", Command::Help),
            ("help", Command::Help),
            ("--version", Command::Version),
            ("invoke -", Command::Invoke { event: "-".into() }),
            ("targets", Command::Targets(OutputFormat::Table)),
            ("targets --json", Command::Targets(OutputFormat::Json)),
            ("check --json", Command::Check(OutputFormat::Json)),
            ("redrive", Command::Redrive(RedriveMode::Move)),
            ("redrive --list", Command::Redrive(RedriveMode::DryRun)),
            ("estimate", Command::Estimate(Options::default())),
            ("migrate a.json", migrate(None)),
            ("migrate a.json b.yaml", migrate(Some("b.yaml"))),
            ("push-stats", Command::PushStats(PushMode::Every(Duration::from_secs(60)))),
            ("push-stats --interval 15", Command::PushStats(PushMode::Every(Duration::from_secs(15)))),
            ("push-stats --interval 1", Command::PushStats(PushMode::Every(Duration::from_secs(10)))),
            ("push-stats --once", Command::PushStats(PushMode::Once)),
            ("push-stats --health-check", Command::PushStats(PushMode::HealthCheck)),
            ("token", Command::Token),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn invalid_arguments_are_named() {
        for (line, expected) in [
            ("", "missing command: see `sidecarless --help`"),
            ("chek", "unknown command \"chek\": did you mean check?"),
            ("5", "unknown command \"5\": see `sidecarless --help`"),
            ("--json", "invalid option '--json': see `sidecarless --help`"),
            ("targets --list", "invalid option '--list': see `sidecarless --help`"),
            ("token now", "unexpected argument \"now\": see `sidecarless --help`"),
            ("invoke", "missing EVENT.json: see `sidecarless --help`"),
            ("migrate", "missing TASKDEF.json: see `sidecarless --help`"),
            ("query", "missing PROMQL: see `sidecarless --help`"),
            ("query up --limit", "invalid option '--limit': see `sidecarless --help`"),
            ("query up down", "unexpected argument \"down\": see `sidecarless --help`"),
            ("migrate a b c", "unexpected argument \"c\": see `sidecarless --help`"),
        ] {
            assert_eq!(parse(line), Err(expected.to_owned()), "{line}");
        }
    }
}
