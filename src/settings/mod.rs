//! Settings: read once at cold start from names and values that main.rs hands over, all mistakes reported at once.
//!
//! The reference is [`SETTINGS`] in table.rs; the values' grammar is in values.rs; this file says what becomes of them.

mod names;
mod reader;
mod table;
mod translation;
pub mod values;

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

pub use names::LOG as LOG_SETTING;
pub use table::{SETTINGS, Setting};

use crate::rules::relabel::Rules;
use crate::rules::scrape_rule::ScrapeRule;
use crate::rules::tags::TagLabels;
use crate::rules::task_filter::TaskFilter;
use crate::translate::{metrics, spans, stats};

use reader::Reader;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Remote write URL; `None`: no metrics are taken.
    pub prometheus_endpoint: Option<Url>,
    pub auth: Auth,
    /// SHA-256 of the accepted bearer tokens.
    pub tokens: Vec<[u8; 32]>,
    /// Globs of callers that IAM has authenticated.
    pub iam_callers: Vec<String>,
    /// Whether ECS is asked whose telemetry it is.
    pub identity: bool,
    /// Log group and stream for OTLP logs; `None`: they are not taken.
    pub otlp_logs: Option<(String, String)>,
    /// Megabytes of memory, as Lambda says; `None` outside of it.
    pub memory_mb: Option<u64>,
    /// Names, ARNs and globs of clusters.
    pub clusters: Vec<String>,
    /// Which of their tasks are looked at.
    pub tasks: TaskFilter,
    pub sources: StatsSources,
    /// `None`: Container Insights is not polled.
    pub insights_lag: Option<Duration>,
    /// Whether a tick looks for stopped tasks.
    pub stopped_tasks: bool,
    /// Tasks that a tick scrapes itself.
    pub inline_tasks: usize,
    /// SQS queue for shards; `None`: everything is inline.
    pub shard_queue: Option<Url>,
    pub scrape_interval: Duration,
    /// Names, choice and labels of task and container metrics.
    pub stats: stats::Options,
    pub scrape_ranges: Vec<IpNet>,
    pub scrape_timeout: Duration,
    /// How Prometheus endpoints of tasks are read.
    pub prometheus_scrape: PrometheusScrapeSettings,
    pub external_labels: Vec<(String, String)>,
    pub tag_labels: TagLabels,
    /// How spans become segments.
    pub spans: spans::Options,
    /// How OTLP metrics become series.
    pub metrics: metrics::Options,
    /// What is filtered and relabelled before sending, whatever its source.
    pub relabel: Rules,
    pub trace_destination: TraceDestination,
    /// SQS queue for what could not be delivered; `None`: it goes back to its sender.
    pub spool_queue: Option<Url>,
    /// Endpoints that stand in for those of the region, by the SDK's own variables.
    pub endpoints: Endpoints,
    /// Where the function's own metrics go.
    pub self_metrics: SelfMetricsSettings,
    /// A tracing filter; `None`: what Lambda sets, else `info`.
    pub log: Option<String>,
}

/// Who may push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Holders of a bearer token.
    Token,
    /// Callers whom the Function URL has authenticated with IAM.
    Iam,
    /// Anyone.
    Disabled,
}

/// `AWS_ENDPOINT_URL_<SERVICE>`, or `AWS_ENDPOINT_URL` for all (AWS SDKs and Tools Reference Guide, "Service-specific
/// endpoints"): the SDK's clients read them by themselves, what is posted without a client needs them here.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    pub ec2: Option<Url>,
    pub xray: Option<Url>,
    pub logs: Option<Url>,
}

/// Where the stats of tasks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsSources {
    /// Endpoints inside tasks.
    pub endpoint: bool,
    /// Container Insights events, polled or pushed.
    pub insights: bool,
    /// Prometheus endpoints declared by docker labels.
    pub prometheus: bool,
}

/// Where the function's own metrics go, and whose they are by the variables that Lambda sets (AWS Lambda Developer Guide,
/// "Defined runtime environment variables").
#[derive(Clone, Debug, Default)]
pub struct SelfMetricsSettings {
    pub amp: bool,
    /// A line of the log in CloudWatch's embedded metric format.
    pub emf: bool,
    pub function: Option<String>,
    pub log_stream: Option<String>,
}

/// How Prometheus endpoints of tasks are read: as Prometheus' scrape configuration of the same names says.
#[derive(Clone, Debug)]
pub struct PrometheusScrapeSettings {
    /// Those that no docker label declares.
    pub rules: Vec<ScrapeRule>,
    /// Bytes.
    pub body_limit: usize,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    /// `None`: pages may have any number of samples.
    pub sample_limit: Option<u64>,
}

/// Where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceDestination {
    /// PutTraceSegments.
    XRay,
    /// X-Ray's OTLP endpoint.
    XRayOtlp,
}

/// Every mistake in the settings, a line each.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

impl Settings {
    /// Reads all settings. `variables` is the environment, or what a test puts in its place.
    pub fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        Reader::new(variables.into_iter().collect()).read()
    }
}

/// The reference as text, for `sidecarless --help`.
pub fn reference() -> String {
    let row = |setting: &Setting| {
        let default = if setting.default.is_empty() { "unset" } else { setting.default };
        format!("  {}\n      {} (default: {default})\n      {}\n", setting.name, setting.values, setting.description)
    };
    SETTINGS.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
        Settings::read(variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn nothing_has_to_be_set() {
        let settings = read(&[("PATH", "/usr/bin"), ("AWS_REGION", "eu-west-1")]).expect("defaults are valid");
        assert!(settings.prometheus_endpoint.is_none());
        assert_eq!(settings.auth, Auth::Token);
        assert_eq!(settings.clusters, ["*"]);
        assert_eq!(settings.scrape_timeout, Duration::from_secs(5));
    }

    #[test]
    fn scrapes_within_the_minute_need_a_queue() {
        let interval = ("SIDECARLESS_SCRAPE_INTERVAL", "20s");
        let mistakes = read(&[interval]).expect_err("no queue");
        assert!(mistakes.to_string().contains("SIDECARLESS_SCRAPE_INTERVAL: `20s` needs a queue"), "{mistakes}");
        let queue = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/spool");
        let settings = read(&[interval, queue]).expect("there is one");
        assert_eq!(settings.scrape_interval, Duration::from_secs(20));
        assert_eq!(settings.shard_queue.as_ref().map(Url::as_str), Some(queue.1));
    }

    #[test]
    fn sources_are_a_list() {
        let all = StatsSources { endpoint: true, insights: true, prometheus: true };
        assert_eq!(read(&[]).map(|settings| settings.sources), Ok(all));
        let two = read(&[("SIDECARLESS_SOURCES", "insights, endpoint")]).map(|settings| settings.sources);
        assert_eq!(two, Ok(StatsSources { prometheus: false, ..all }));
        let mistakes = read(&[("SIDECARLESS_SOURCES", "cloudwatch")]).expect_err("no source");
        assert!(mistakes.to_string().contains("`cloudwatch` is none of `endpoint`, `insights`, `prometheus`"));
    }

    #[test]
    fn own_metrics_are_a_list_or_off() {
        for (value, expected) in [
            ("", Ok((true, false))),
            ("amp", Ok((true, false))),
            ("emf", Ok((false, true))),
            ("amp, emf", Ok((true, true))),
            ("off", Ok((false, false))),
            ("off,emf", Err("`off` is none of `amp`, `emf`, and not `off` alone")),
            ("cloudwatch", Err("`cloudwatch` is none of `amp`, `emf`")),
        ] {
            let read = read(&[("SIDECARLESS_SELF_METRICS", value)]).map(|settings| settings.self_metrics);
            match (read, expected) {
                (Ok(to), Ok(expected)) => assert_eq!((to.amp, to.emf), expected, "{value}"),
                (Err(mistakes), Err(expected)) => assert!(mistakes.to_string().contains(expected), "{mistakes}"),
                (read, _) => panic!("{value}: {read:?}"),
            }
        }
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        let settings = read(&[("SIDECARLESS_AUTH", ""), ("AWS_PROMETHEUS_ENDPOINT", " ")]).expect("both are unset");
        assert_eq!(settings.auth, Auth::Token);
        assert!(settings.prometheus_endpoint.is_none());
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let mistakes = read(&[
            ("SIDECARLESS_CLUSTER", "shop"),
            ("SIDECARLESS_AUTH", "maybe"),
            ("SIDECARLESS_SCRAPE_TIMEOUT", "5"),
            ("SIDECARLESS_SCRAPE_CIDRS", "10.0.0.0/8,ten"),
            ("SIDECARLESS_TOKENS_SHA256", "hunter2"),
            ("SIDECARLESS_EXTERNAL_LABELS", "env"),
            ("AWS_PROMETHEUS_ENDPOINT", "https://aps-workspaces.eu-west-1.amazonaws.com"),
        ])
        .expect_err("seven mistakes");
        let text = mistakes.to_string();
        assert_eq!(mistakes.0.len(), 7, "{text}");
        for expected in [
            "SIDECARLESS_CLUSTER: there is no such setting; did you mean SIDECARLESS_CLUSTERS?",
            "SIDECARLESS_AUTH: `maybe` is none of `token`, `iam`, `none`",
            "SIDECARLESS_SCRAPE_TIMEOUT: `5` is no duration",
            "SIDECARLESS_SCRAPE_CIDRS: `ten` is no CIDR",
            "SIDECARLESS_TOKENS_SHA256: an element of 7 characters is no SHA-256 hash",
            "SIDECARLESS_EXTERNAL_LABELS: `env` is not of the form name=value",
            "ends with /api/v1/remote_write",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn every_default_in_the_table_is_valid_when_it_is_written_out() {
        let written = SETTINGS.iter().map(|setting| (setting.name.to_owned(), setting.default.to_owned()));
        assert!(Settings::read(written).is_ok());
    }
}
