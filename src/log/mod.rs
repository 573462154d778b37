//! Log output: one JSON object per line, with a time and a level so that Lambda can filter it.
//!
//! Texts from outside can be in every field, so each field is [shortened], with its secrets masked, and the lines of an invocation are
//! limited.

mod format;
mod line_limit;

use std::io::Write as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::settings::LOG_SETTING;
use format::JsonLine;
use line_limit::LineLimit;

/// Variable that Lambda sets from `LoggingConfig.ApplicationLogLevel`.
const LAMBDA_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Prefix of the targets of this package.
const OWN_TARGETS: &str = "sidecarless";

/// The most detailed level of other crates: below, the HTTP client and the AWS SDK print headers, bodies and credentials.
const MAX_LEVEL_OF_OTHER_CRATES: LevelFilter = LevelFilter::WARN;

/// Lines of the current invocation.
static LINES: LineLimit = LineLimit::new();

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

/// Installs the log output at the level of the variables, or `info`.
pub fn init(variables: &[(String, String)], stream: LogOutput) {
    let writer = match stream {
        LogOutput::Stdout => BoxMakeWriter::new(std::io::stdout),
        LogOutput::Stderr => BoxMakeWriter::new(std::io::stderr),
    };
    // Fails only if a subscriber is already installed.
    let _ = tracing::subscriber::set_global_default(subscriber(variables, writer, &LINES));
}

/// Ends the count of lines for an invocation, and logs how many of them were suppressed.
pub fn end_invocation() {
    let suppressed = LINES.reset();
    if suppressed > 0 {
        tracing::warn!(count = suppressed, "log lines suppressed");
    }
}

fn subscriber(
    variables: &[(String, String)],
    writer: BoxMakeWriter,
    lines: &'static LineLimit,
) -> impl tracing::Subscriber + Send + Sync + 'static {
    let lines = tracing_subscriber::fmt::layer().event_format(JsonLine { lines }).with_writer(writer);
    tracing_subscriber::registry().with(filter(variables)).with(lines)
}

/// Returns the filter of the setting: a level, or a list of `target=level`. Other crates are limited to their maximum.
fn filter(variables: &[(String, String)]) -> Targets {
    let set = |name: &str| variables.iter().find(|(other, value)| other == name && !value.is_empty());
    let level = set(LOG_SETTING).or_else(|| set(LAMBDA_LEVEL)).map_or("info", |(_, value)| value.trim());
    let of_level = |level: &str| format!("{MAX_LEVEL_OF_OTHER_CRATES},{OWN_TARGETS}={level}").parse::<Targets>();
    let parsed = if level.contains(['=', ',']) { level.parse() } else { of_level(level) };
    let set = parsed.or_else(|_| of_level("info")).unwrap_or_default();
    let of_others = |level: LevelFilter| level.min(MAX_LEVEL_OF_OTHER_CRATES);
    let default = set.default_level().unwrap_or(LevelFilter::OFF);
    let is_own = |target: &str| target.starts_with(OWN_TARGETS);
    let own_default = Targets::new().with_default(of_others(default)).with_target(OWN_TARGETS, default);
    set.into_iter().fold(own_default, |filter, (target, level)| {
        let level = if is_own(&target) { level } else { of_others(level) };
        filter.with_target(target, level)
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::model::shortened::MAX_TEXT_BYTES;

    /// Collects the output.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Output {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// Returns the lines that `log` writes with a value of the setting.
    fn logged(setting: &str, log: impl FnOnce(&LineLimit)) -> Vec<Value> {
        let (output, lines) = (Output::default(), &*Box::leak(Box::new(LineLimit::new())));
        let variables = [(LOG_SETTING.to_owned(), setting.to_owned())];
        let subscriber = subscriber(&variables, BoxMakeWriter::new(output.clone()), lines);
        tracing::subscriber::with_default(subscriber, || log(lines));
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    #[test]
    fn line_is_an_object_with_time_level_and_fields() {
        let error = "a \"b\"\n\u{1b}".to_owned();
        let lines = logged("", |_| {
            tracing::warn!(status = 400, error, task = %"t", missing = None::<u64>, retried = true, seconds = 0.5, "request failed");
            tracing::debug!("not at this level");
        });
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let mut line = line.clone();
        let time = line["timestamp"].take();
        assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(
            line,
            serde_json::json!({
                "timestamp": null, "level": "WARN", "message": "request failed", "status": 400, "error": r#"a "b"\u{a}\u{1b}"#,
                "task": "t", "retried": true, "seconds": 0.5,
            })
        );
    }

    #[test]
    fn every_field_is_shortened() {
        let long = "x\n".repeat(1_000_000);
        let lines = logged("", |_| {
            tracing::error!(text = long, display = %long, debug = ?long, list = ?[&long; 3], "{long}");
        });
        let line = lines[0].as_object().unwrap();
        for name in ["text", "display", "debug", "list", "message"] {
            let text = line[name].as_str().unwrap();
            assert!(text.len() <= MAX_TEXT_BYTES && text.ends_with("..."), "{name}: {}", text.len());
            assert!(!text.contains('\n'), "{name}");
        }
    }

    #[test]
    fn no_field_has_a_secret() {
        let url = "https://user:secret@example.com/login?token=secret".to_owned();
        let lines = logged("", |_| tracing::error!(text = url, display = %url, debug = ?url, list = ?[&url], "{url}"));
        for name in ["text", "display", "debug", "list", "message"] {
            let text = lines[0][name].as_str().unwrap();
            assert!(text.contains("https://...@example.com/login?...") && !text.contains("secret"), "{name}: {text}");
        }
    }

    #[test]
    fn lines_of_an_invocation_are_limited() {
        let lines = logged("", |lines| {
            (0..1_000).for_each(|number| tracing::warn!(number, "scrape failed"));
            tracing::info!("run completed");
            assert_eq!(lines.reset(), 1_000 - u64::from(line_limit::MAX_LINES_PER_EVENT));
            tracing::warn!("scrape failed again");
            assert_eq!(lines.reset(), 0);
        });
        let written = lines.len() as u64;
        assert_eq!(written, u64::from(line_limit::MAX_LINES_PER_EVENT) + 2, "each event has its own limit");
    }

    #[test]
    fn bytes_of_an_invocation_are_limited() {
        let long = "\\".repeat(100_000);
        let lines = logged("", |lines| {
            (0..10).for_each(|_| tracing::error!(error = long, "message cannot be delivered"));
            (0..150).for_each(|_| tracing::warn!(a = long, b = long, c = long, d = long, "long"));
            (0..150).for_each(|_| tracing::info!(a = long, b = long, c = long, d = long, "longer"));
            (0..3).for_each(|_| tracing::error!(error = long, "samples lost"));
            assert!(lines.reset() > 200);
        });
        let size = |message: &str| -> Vec<usize> {
            let of_message = lines.iter().filter(|line| line["message"] == message);
            of_message.map(|line| line.to_string().len()).collect()
        };
        let bytes: usize = lines.iter().map(|line| line.to_string().len()).sum();
        assert!(bytes < line_limit::MAX_BYTES + 4 * MAX_TEXT_BYTES + 2 * 2_500, "{bytes}");
        assert!(size("message cannot be delivered").iter().sum::<usize>() < 6_000, "only the first is long");
        assert_eq!(size("samples lost").len(), 1, "the first line of an error is written in any case");
    }

    #[test]
    fn other_crates_are_limited_to_warnings_in_every_filter() {
        const CRATES: [&str; 6] = ["hyper", "reqwest", "rustls::client", "aws_smithy_runtime", "aws_sdk_ecs", "side"];
        for setting in [
            "trace",
            "TRACE",
            "info",
            "trace,sidecarless=trace",
            "trace,hyper=trace,reqwest=trace,rustls=trace,aws_smithy_runtime=trace,aws_sdk_ecs=trace,side=trace",
            "hyper=debug,sidecarless=info",
            "no level",
            "a=b=c",
            "",
        ] {
            let filter = filter(&[(LOG_SETTING.to_owned(), setting.to_owned())]);
            for target in CRATES {
                assert!(!filter.would_enable(target, &tracing::Level::INFO), "{setting}: {target}");
            }
            assert!(filter.would_enable("sidecarless::handlers", &tracing::Level::INFO), "{setting}");
            let is_trace = filter.would_enable("sidecarless::handlers", &tracing::Level::TRACE);
            assert_eq!(is_trace, setting.to_ascii_lowercase().starts_with("trace"), "{setting}");
        }
        let filter = filter(&[(LOG_SETTING.to_owned(), "error,hyper=off".to_owned())]);
        assert!(
            !filter.would_enable("reqwest", &tracing::Level::WARN)
                && !filter.would_enable("hyper", &tracing::Level::ERROR)
        );
    }
}
