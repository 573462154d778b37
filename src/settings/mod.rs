//! Settings, read once at cold start from the variables that the main file passes. All errors are reported together.
//!
//! Each setting is one row of [`table`]. The formats of values are in [`values`].

pub(crate) mod plain_http;
mod sources;
mod table;
pub mod values;

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;
use url::Url;

pub use sources::Sources;
pub use table::{LOG_SETTING, Setting, all};

use crate::model::shortened::shortened_to;
use crate::rules::relabel::Rules;
use crate::rules::scrape_rule::ScrapeRule;
use crate::rules::tags::TagLabels;
use crate::rules::task_filter::TaskFilter;
use crate::translate::names::Utf8Names;
use crate::translate::state::StateSelection;
use crate::translate::{cloudwatch, metrics, spans, stats};

/// Prefix of all settings. An unknown variable with this prefix is an error.
const PREFIX: &str = "SIDECARLESS_";

/// Base endpoint of all AWS services.
const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// Bytes of a value or of an unknown name in an error.
const SHOWN_BYTES: usize = 100;

/// Bytes of an unknown name that are compared with the names of settings, which have up to 40.
const COMPARED_BYTES: usize = 64;

/// Long elements of a list that are looked for in its error.
const MAX_LONG_PARTS: usize = 10;

/// All settings. `Default` has no values: use [`Settings::read`].
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Remote write URL. If `None`, metrics are rejected.
    pub prometheus_endpoint: Option<Url>,
    pub auth: Auth,
    /// SHA-256 hashes of the valid bearer tokens.
    pub tokens: Vec<[u8; 32]>,
    /// Globs of allowed IAM callers.
    pub iam_callers: Vec<String>,
    /// Origins of browsers that may send requests, or `*`.
    pub cors_origins: Vec<String>,
    /// Whether the sending task is identified by ECS API calls.
    pub identity: bool,
    /// Log group of OTLP logs. If `None`, they are not accepted.
    pub log_group: Option<String>,
    pub log_stream: String,
    /// Memory in megabytes, as set by Lambda. `None` outside of Lambda.
    pub memory_mb: Option<u64>,
    /// Names, ARNs and globs of clusters.
    pub clusters: Vec<String>,
    pub tasks: TaskFilter,
    pub sources: StatsSources,
    /// If `None`, Container Insights is not polled.
    pub insights_lag: Option<Duration>,
    pub cloudwatch: CloudWatchSettings,
    /// Whether scheduled runs poll for stopped tasks.
    pub stopped_tasks: bool,
    /// Maximum number of tasks that a scheduled run scrapes itself.
    pub inline_tasks: usize,
    /// SQS queue for shards. If `None`, all tasks are scraped inline.
    pub shard_queue: Option<Url>,
    pub scrape_interval: Duration,
    /// Task and container metrics.
    pub stats: stats::Options,
    /// Metrics about the state of ECS.
    pub state: StateSelection,
    pub scrape_ranges: Vec<IpNet>,
    pub scrape_timeout: Duration,
    pub prometheus_scrape: PrometheusScrapeSettings,
    pub external_labels: Vec<(String, String)>,
    pub tag_labels: TagLabels,
    /// Translation of spans to segments.
    pub spans: spans::Options,
    /// Translation of OTLP metrics to series.
    pub metrics: metrics::Options,
    /// Rules applied to all series before they are written.
    pub relabel: Rules,
    pub trace_destination: TraceDestination,
    pub metrics_to: MetricsTo,
    /// SQS queue for undelivered items. If `None`, they are refused.
    pub spool_queue: Option<Url>,
    pub endpoints: Endpoints,
    /// Access to the workspace.
    pub amp_access: AccessSettings,
    /// Access to X-Ray.
    pub xray_access: AccessSettings,
    pub self_metrics: SelfMetricsSettings,
}

/// Authentication of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Bearer token.
    #[default]
    Token,
    /// IAM signature, verified by the function URL or API Gateway.
    Iam,
    Disabled,
}

/// Endpoints from `AWS_ENDPOINT_URL_<SERVICE>`, or `AWS_ENDPOINT_URL` for all services (AWS SDKs and Tools Reference Guide,
/// "Service-specific endpoints"). SDK clients read these variables; requests without an SDK client use this struct.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    pub ec2: Option<Url>,
    pub xray: Option<Url>,
    pub logs: Option<Url>,
    pub cloudwatch: Option<Url>,
}

/// Region and role of a destination that is in another region or account than the function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessSettings {
    pub region: Option<String>,
    /// Role that the function assumes.
    pub role_arn: Option<String>,
    /// Value that the trust policy of the role requires.
    pub external_id: Option<String>,
}

/// Enabled sources of task stats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsSources {
    /// Stats that tasks push.
    pub push: bool,
    /// Stats endpoints in tasks.
    pub endpoint: bool,
    /// Container Insights events, polled or pushed.
    pub insights: bool,
    /// Prometheus endpoints declared by docker labels or rules.
    pub prometheus: bool,
}

/// Metrics of services that are read from CloudWatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloudWatchSettings {
    /// Minutes between two reads. If `None`, nothing is read.
    pub interval_min: Option<u8>,
    pub metrics: cloudwatch::MetricGroups,
}

/// Destinations of the `sidecarless_*` metrics, and their labels from variables that Lambda sets (AWS Lambda Developer Guide,
/// "Defined runtime environment variables").
#[derive(Clone, Debug, Default)]
pub struct SelfMetricsSettings {
    pub amp: bool,
    /// Log lines in the CloudWatch embedded metric format.
    pub emf: bool,
    pub function: Option<String>,
    pub log_stream: Option<String>,
}

/// Scrapes of Prometheus endpoints, as in the scrape configuration of Prometheus.
#[derive(Clone, Debug, Default)]
pub struct PrometheusScrapeSettings {
    /// Endpoints without docker labels.
    pub rules: Vec<ScrapeRule>,
    /// Maximum size in bytes.
    pub body_limit: usize,
    /// Whether targets with https must have a certificate of a known authority for their address.
    pub checks_certificates: bool,
    pub honor_labels: bool,
    /// Treatment of names with characters outside the legacy set.
    pub utf8_names: Utf8Names,
    pub honor_timestamps: bool,
    /// If `None`, expositions may have any number of samples.
    pub sample_limit: Option<u64>,
}

/// Destinations of pushed OTLP metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetricsTo {
    pub amp: bool,
    /// OTLP endpoint of CloudWatch.
    pub cloudwatch: bool,
}

/// Destination of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceDestination {
    /// PutTraceSegments.
    #[default]
    XRay,
    /// OTLP endpoint of X-Ray.
    XRayOtlp,
}

/// All invalid settings, one line each.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

impl Settings {
    /// Reads all settings of variables, without an SSM parameter.
    pub fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        Self::from_sources(Sources::new(variables.into_iter().collect()))
    }

    /// Reads all settings.
    pub fn from_sources(mut variables: Sources) -> Result<Self, ConfigErrors> {
        let mut errors = variables.take_errors();
        errors.extend(unknown_names(&variables));
        let mut settings = Self::default();
        for setting in all() {
            let value = variables.get(setting.name).unwrap_or(setting.default);
            // A field that is not set keeps its empty value.
            if !value.is_empty()
                && let Err(error) = (setting.apply)(&mut settings, value)
            {
                errors.push(format!("{}: {}", setting.name, without_long_value(&error.to_string(), value)));
            }
        }
        settings.read_aws_variables(&variables, &mut errors);
        settings.complete(&variables, &mut errors);
        errors.extend(plain_http::errors(variables.variables()));
        if errors.is_empty() {
            return Ok(settings);
        }
        Err(ConfigErrors(errors.into_iter().map(|error| variables.located(error)).collect()))
    }

    /// Returns the log group and stream of OTLP logs. `None` if they are not accepted.
    pub fn otlp_logs(&self) -> Option<(&str, &str)> {
        Some((self.log_group.as_deref()?, &self.log_stream))
    }

    /// Reads variables that Lambda and the AWS SDKs define.
    fn read_aws_variables(&mut self, variables: &Sources, errors: &mut Vec<String>) {
        let get = |name| variables.get(name).map(str::to_owned);
        self.memory_mb = variables.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse().ok());
        self.self_metrics.function = get("AWS_LAMBDA_FUNCTION_NAME");
        self.self_metrics.log_stream = get("AWS_LAMBDA_LOG_STREAM_NAME");
        let mut endpoint = |service| {
            let name = format!("{AWS_ENDPOINT_URL}_{service}");
            let name = if variables.get(&name).is_some() { &name } else { AWS_ENDPOINT_URL };
            let url = variables.get(name).map(values::url).transpose();
            url.unwrap_or_else(|error| {
                errors.push(format!("{name}: {error}"));
                None
            })
        };
        self.endpoints = Endpoints {
            ec2: endpoint("EC2"),
            xray: endpoint("XRAY"),
            logs: endpoint("CLOUDWATCH_LOGS"),
            cloudwatch: endpoint("CLOUDWATCH"),
        };
    }

    /// Sets and checks what depends on several settings.
    fn complete(&mut self, variables: &Sources, errors: &mut Vec<String>) {
        const QUEUES: [&str; 2] = ["SIDECARLESS_SHARD_QUEUE_URL", "SIDECARLESS_SPOOL_QUEUE_URL"];
        let has_queue = QUEUES.into_iter().any(|name| variables.get(name).is_some());
        if self.scrape_interval < Duration::from_secs(60) && !self.scrape_interval.is_zero() && !has_queue {
            let [shards, spool] = QUEUES;
            errors.push(format!(
                "SIDECARLESS_SCRAPE_INTERVAL: intervals below 60s require a queue: set {shards} or {spool}"
            ));
        }
        let replaces_utf8 = self.prometheus_scrape.utf8_names == Utf8Names::Replace;
        if self.metrics.naming.strategy.keeps_utf8() && replaces_utf8 {
            errors.push(
                "SIDECARLESS_TRANSLATION_STRATEGY: this strategy keeps UTF-8 names: set SIDECARLESS_UTF8_NAMES to send, if the \
                 workspace accepts them"
                    .to_owned(),
            );
        }
        if self.metrics_to == (MetricsTo { amp: true, cloudwatch: true }) && self.prometheus_endpoint.is_none() {
            errors.push("SIDECARLESS_METRICS_TO: amp requires AWS_PROMETHEUS_ENDPOINT".to_owned());
        }
        if self.shard_queue.is_none() {
            self.shard_queue.clone_from(&self.spool_queue);
        }
        self.metrics.is_relabelled_later = self.relabel.changes_labels();
        self.relabel.long_labels = self.metrics.long_labels;
        self.relabel.utf8_names = self.prometheus_scrape.utf8_names;
    }
}

/// Returns an error for each unknown variable with the prefix of the settings.
fn unknown_names(variables: &Sources) -> Vec<String> {
    let names = || all().map(|setting| setting.name).filter(|name| name.starts_with(PREFIX));
    let variables = variables.variables().iter().map(|(name, _)| name.as_str());
    let unknown = variables.filter(|name| name.starts_with(PREFIX) && !names().any(|other| other == *name));
    unknown
        .map(|name| {
            let shown = shortened_to(SHOWN_BYTES, name);
            let name = name.get(..name.floor_char_boundary(COMPARED_BYTES)).unwrap_or_default();
            let closest = names().min_by_key(|other| strsim::levenshtein(name, other)).unwrap_or_default();
            format!("{shown}: unknown setting: did you mean {closest}?")
        })
        .collect()
}

/// Returns an error that does not repeat a long value, because only the first part of an error is logged.
fn without_long_value(error: &str, value: &str) -> String {
    let is_long = |part: &&str| part.len() > SHOWN_BYTES;
    // Errors of lists repeat one element.
    let parts = std::iter::once(value).chain(values::list(value)).filter(is_long);
    let found = parts.take(MAX_LONG_PARTS).find(|part| error.contains(part));
    found.map_or_else(|| error.to_owned(), |part| error.replacen(part, &shortened_to(SHOWN_BYTES, part), 1))
}

/// Returns the settings reference as text, for `sidecarless --help`.
pub fn reference() -> String {
    let row = |setting: &Setting| {
        let default = if setting.default.is_empty() { "unset" } else { setting.default };
        format!("  {}\n      {} (default: {default})\n      {}\n", setting.name, setting.values, setting.description)
    };
    all().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
        Settings::read(variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn all_settings_have_a_default() {
        let settings = read(&[("PATH", "/usr/bin"), ("AWS_REGION", "eu-west-1")]).expect("defaults are valid");
        assert!(settings.prometheus_endpoint.is_none());
        assert_eq!(settings.auth, Auth::Token);
        assert_eq!(settings.clusters, ["*"]);
        assert_eq!(settings.scrape_timeout, Duration::from_secs(5));
    }

    #[test]
    fn intervals_below_a_minute_require_a_queue() {
        let interval = ("SIDECARLESS_SCRAPE_INTERVAL", "20s");
        let errors = read(&[interval]).expect_err("no queue");
        assert!(
            errors.to_string().contains("SIDECARLESS_SCRAPE_INTERVAL: intervals below 60s require a queue"),
            "{errors}"
        );
        let queue = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/spool");
        let settings = read(&[interval, queue]).expect("there is one");
        assert_eq!(settings.scrape_interval, Duration::from_secs(20));
        assert_eq!(settings.shard_queue.as_ref().map(Url::as_str), Some(queue.1));
    }

    #[test]
    fn utf8_strategies_require_that_utf8_names_are_sent() {
        for strategy in ["NoUTF8EscapingWithSuffixes", "NoTranslation"] {
            let strategy = ("SIDECARLESS_TRANSLATION_STRATEGY", strategy);
            let errors = read(&[strategy]).expect_err("names are replaced");
            assert!(errors.to_string().contains("SIDECARLESS_TRANSLATION_STRATEGY: this strategy keeps"), "{errors}");
            let settings = read(&[strategy, ("SIDECARLESS_UTF8_NAMES", "send")]).expect("names are sent");
            assert!(settings.metrics.naming.strategy.keeps_utf8());
            assert_eq!(settings.prometheus_scrape.utf8_names, Utf8Names::Send);
        }
    }

    #[test]
    fn metrics_go_to_a_list_of_destinations() {
        let amp = ("AWS_PROMETHEUS_ENDPOINT", "https://example.com/workspaces/ws-1/api/v1/remote_write");
        for (value, expected) in [
            ("", Ok((true, false))),
            ("amp", Ok((true, false))),
            ("cloudwatch", Ok((false, true))),
            ("amp, cloudwatch", Ok((true, true))),
            ("emf", Err("unknown value \"emf\": use amp, cloudwatch or both")),
            (",", Err("use amp, cloudwatch or both")),
        ] {
            let read = read(&[("SIDECARLESS_METRICS_TO", value), amp]).map(|settings| settings.metrics_to);
            match (read, expected) {
                (Ok(MetricsTo { amp, cloudwatch }), Ok(expected)) => assert_eq!((amp, cloudwatch), expected, "{value}"),
                (Err(errors), Err(expected)) => assert!(errors.to_string().contains(expected), "{errors}"),
                (read, _) => panic!("{value}: {read:?}"),
            }
        }
        let errors = read(&[("SIDECARLESS_METRICS_TO", "amp,cloudwatch")]).expect_err("no workspace");
        assert!(errors.to_string().contains("SIDECARLESS_METRICS_TO: amp requires"), "{errors}");
        assert!(read(&[("SIDECARLESS_METRICS_TO", "cloudwatch")]).is_ok());
    }

    #[test]
    fn sources_are_read_from_a_list() {
        let all = StatsSources { push: true, endpoint: true, insights: true, prometheus: true };
        assert_eq!(read(&[]).map(|settings| settings.sources), Ok(all));
        let three = read(&[("SIDECARLESS_SOURCES", "insights, push, endpoint")]).map(|settings| settings.sources);
        assert_eq!(three, Ok(StatsSources { prometheus: false, ..all }));
        let errors = read(&[("SIDECARLESS_SOURCES", "cloudwatch")]).expect_err("no source");
        assert!(
            errors.to_string().contains("unknown value \"cloudwatch\": use push, endpoint, insights or prometheus")
        );
    }

    #[test]
    fn self_metrics_are_a_list_or_off() {
        for (value, expected) in [
            ("", Ok((true, false))),
            ("amp", Ok((true, false))),
            ("emf", Ok((false, true))),
            ("amp, emf", Ok((true, true))),
            ("off", Ok((false, false))),
            ("off,emf", Err("unknown value \"off\": use amp, emf or both, or only off")),
            ("cloudwatch", Err("unknown value \"cloudwatch\": use amp, emf or both, or only off")),
        ] {
            let read = read(&[("SIDECARLESS_SELF_METRICS", value)]).map(|settings| settings.self_metrics);
            match (read, expected) {
                (Ok(to), Ok(expected)) => assert_eq!((to.amp, to.emf), expected, "{value}"),
                (Err(errors), Err(expected)) => assert!(errors.to_string().contains(expected), "{errors}"),
                (read, _) => panic!("{value}: {read:?}"),
            }
        }
    }

    #[test]
    fn empty_values_are_unset() {
        let settings = read(&[("SIDECARLESS_AUTH", ""), ("AWS_PROMETHEUS_ENDPOINT", " ")]).expect("both are unset");
        assert_eq!(settings.auth, Auth::Token);
        assert!(settings.prometheus_endpoint.is_none());
    }

    #[test]
    fn all_errors_are_reported_together() {
        let errors = read(&[
            ("SIDECARLESS_CLUSTER", "shop"),
            ("SIDECARLESS_AUTH", "maybe"),
            ("SIDECARLESS_SCRAPE_TIMEOUT", "5"),
            ("SIDECARLESS_SCRAPE_CIDRS", "10.0.0.0/8,ten"),
            ("SIDECARLESS_TOKENS_SHA256", "hunter2"),
            ("SIDECARLESS_EXTERNAL_LABELS", "env"),
            ("AWS_PROMETHEUS_ENDPOINT", "https://aps-workspaces.eu-west-1.amazonaws.com"),
        ])
        .expect_err("seven errors");
        let text = errors.to_string();
        assert_eq!(errors.0.len(), 7, "{text}");
        for expected in [
            "SIDECARLESS_CLUSTER: unknown setting: did you mean SIDECARLESS_CLUSTERS?",
            "SIDECARLESS_AUTH: unknown value \"maybe\": use token, iam or none",
            "SIDECARLESS_SCRAPE_TIMEOUT: invalid duration \"5\": use 500ms, 30s, 5m, 1h or 7d",
            "SIDECARLESS_SCRAPE_CIDRS: invalid CIDR \"ten\"",
            "SIDECARLESS_TOKENS_SHA256: invalid SHA-256 hash of 7 characters",
            "SIDECARLESS_EXTERNAL_LABELS: invalid label \"env\": use name=value",
            "ends with /api/v1/remote_write",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn each_default_is_valid_when_written_out() {
        let written = all().map(|setting| (setting.name.to_owned(), setting.default.to_owned()));
        assert!(Settings::read(written).is_ok());
    }
}
