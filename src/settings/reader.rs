//! Reads every setting once, and notes every mistake on the way.

use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::table::SETTINGS;
use super::{
    Auth, ConfigErrors, Endpoints, PrometheusScrapeSettings, SelfMetricsSettings, Settings, StatsSources,
    TraceDestination, names, values,
};
use crate::rules::relabel::Rules;
use crate::rules::scrape_rule::ScrapeRule;
use crate::rules::tags::TagLabels;
use crate::rules::task_filter::TaskFilter;
use crate::translate::Compat;

/// Names that start with this are ours: an unknown one is a mistake.
const PREFIX: &str = "SIDECARLESS_";

const COMPATS: &[(&str, Compat)] = &[("corrected", Compat::Corrected), ("adot", Compat::Adot)];
pub(super) const ON_OFF: &[(&str, bool)] = &[("on", true), ("off", false)];

/// Divisors of the minute that a tick's delayed messages can keep to.
const INTERVALS: &[(&str, Duration)] = &[
    ("60s", Duration::from_secs(60)),
    ("30s", Duration::from_secs(30)),
    ("20s", Duration::from_secs(20)),
    ("15s", Duration::from_secs(15)),
];

struct ScheduleSettings {
    insights_lag: Option<Duration>,
    stopped_tasks: bool,
    inline_tasks: usize,
    shard_queue: Option<Url>,
    spool_queue: Option<Url>,
    scrape_interval: Duration,
}

/// Who may push, and what not only for traces and metrics.
struct ReceiverSettings {
    auth: Auth,
    tokens: Vec<[u8; 32]>,
    iam_callers: Vec<String>,
    logs_to: Option<(String, String)>,
    identity: bool,
    memory_mb: Option<u64>,
}

/// What is scraped.
struct DiscoverySettings {
    clusters: Vec<String>,
    tasks: TaskFilter,
    sources: StatsSources,
    scrape_ranges: Vec<IpNet>,
    scrape_timeout: Duration,
}

pub(super) struct Reader {
    variables: Vec<(String, String)>,
    errors: Vec<String>,
}

impl Reader {
    pub(super) fn new(variables: Vec<(String, String)>) -> Self {
        Self { variables, errors: Vec::new() }
    }

    pub(super) fn read(mut self) -> Result<Settings, ConfigErrors> {
        self.reject_unknown_names();
        match self.settings() {
            Some(settings) if self.errors.is_empty() => Ok(settings),
            _ => Err(ConfigErrors(self.errors)),
        }
    }

    /// `None` when something could not be read; the reason then stands in `mistakes`. Every setting is read before the
    /// first `?`, so that all mistakes are found.
    #[expect(clippy::too_many_lines, reason = "a line for each setting, and nothing to follow")]
    fn settings(&mut self) -> Option<Settings> {
        let door = self.receiver();
        let targets = self.targets();
        let (rounds, pages) = (self.schedule(), self.prometheus_scrape());
        let labels = self.labels();
        let compat = self.choice(names::COMPAT, COMPATS);
        let (stats, spans) = (self.stats(), self.spans(compat.unwrap_or_default()));
        let external = labels.as_ref().map(|(external, _)| external.clone());
        let metrics = self.metrics(compat.unwrap_or_default(), external.unwrap_or_default());
        let relabel = self.required(names::RELABEL, Rules::parse);
        let (sinks, endpoints) = (self.destinations(), self.endpoints());
        let (self_metrics, log) = (self.self_metrics(), self.optional(names::LOG, |text| Ok(text.to_owned())));
        let (door, (prometheus_endpoint, traces_to)) = (door?, sinks?);
        let (rounds, targets) = (rounds?, targets?);
        let (external_labels, tag_labels) = labels?;
        Some(Settings {
            prometheus_endpoint,
            auth: door.auth,
            tokens: door.tokens,
            iam_callers: door.iam_callers,
            otlp_logs: door.logs_to,
            identity: door.identity,
            memory_mb: door.memory_mb,
            clusters: targets.clusters,
            tasks: targets.tasks,
            sources: targets.sources,
            insights_lag: rounds.insights_lag,
            stopped_tasks: rounds.stopped_tasks,
            inline_tasks: rounds.inline_tasks,
            shard_queue: rounds.shard_queue,
            spool_queue: rounds.spool_queue,
            scrape_interval: rounds.scrape_interval,
            stats: stats?,
            scrape_ranges: targets.scrape_ranges,
            scrape_timeout: targets.scrape_timeout,
            prometheus_scrape: pages?,
            external_labels,
            tag_labels,
            spans: spans?,
            metrics: metrics?,
            relabel: relabel?,
            trace_destination: traces_to,
            endpoints: endpoints?,
            self_metrics: self_metrics?,
            log: log?,
        })
    }

    /// Who may come in.
    fn receiver(&mut self) -> Option<ReceiverSettings> {
        let auth = self.choice(names::AUTH, &[("token", Auth::Token), ("iam", Auth::Iam), ("none", Auth::Disabled)]);
        let tokens = self.required(names::TOKENS, |text| values::parse_list(text, values::sha256));
        let iam_callers = self.required(names::IAM_CALLERS, |text| Ok(values::list(text).map(str::to_owned).collect()));
        let identity = self.choice(names::IDENTITY, ON_OFF);
        let log_group = self.optional(names::LOG_GROUP, values::log_name);
        let log_stream = self.required(names::LOG_STREAM, values::log_name);
        // Lambda's own variable: it cannot be wrong, and outside of Lambda it is not there.
        let memory_mb = self.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse().ok());
        let (log_group, log_stream) = (log_group?, log_stream?);
        let logs_to = log_group.map(|group| (group, log_stream));
        let (auth, tokens, iam_callers, identity) = (auth?, tokens?, iam_callers?, identity?);
        Some(ReceiverSettings { auth, tokens, iam_callers, logs_to, identity, memory_mb })
    }

    /// What is scraped.
    fn targets(&mut self) -> Option<DiscoverySettings> {
        let clusters = self.required(names::CLUSTERS, |text| values::parse_list(text, values::cluster));
        let tasks = self.required(names::TASKS, TaskFilter::parse);
        let sources = self.required(names::STATS, values::sources);
        let scrape_ranges = self.required(names::SCRAPE_RANGES, |text| values::parse_list(text, values::cidr));
        let scrape_timeout = self.required(names::SCRAPE_TIMEOUT, values::positive_duration);
        Some(DiscoverySettings {
            clusters: clusters?,
            tasks: tasks?,
            sources: sources?,
            scrape_ranges: scrape_ranges?,
            scrape_timeout: scrape_timeout?,
        })
    }

    /// Labels that series have beside their own.
    fn labels(&mut self) -> Option<(Vec<(String, String)>, TagLabels)> {
        let external = self.required(names::EXTERNAL_LABELS, |text| values::parse_list(text, values::name_value));
        let tags = self.required(names::TAG_LABELS, str::parse);
        Some((external?, tags?))
    }

    /// How series and spans go out.
    fn destinations(&mut self) -> Option<(Option<Url>, TraceDestination)> {
        let prometheus_endpoint = self.optional(names::PROMETHEUS_ENDPOINT, values::endpoint);
        let traces_to = self
            .choice(names::TRACES_TO, &[("xray", TraceDestination::XRay), ("xray-otlp", TraceDestination::XRayOtlp)]);
        Some((prometheus_endpoint?, traces_to?))
    }

    /// How Prometheus endpoints are read.
    fn prometheus_scrape(&mut self) -> Option<PrometheusScrapeSettings> {
        let rules = self.required(names::SCRAPE_RULES, ScrapeRule::parse_all);
        let body_limit = self.required(names::BODY_LIMIT, values::size);
        let honor_labels = self.choice(names::HONOR_LABELS, ON_OFF);
        let honor_timestamps = self.choice(names::HONOR_TIMESTAMPS, ON_OFF);
        let sample_limit = self.required(names::SAMPLE_LIMIT, |text| match text {
            "off" => Ok(None),
            _ => text.parse().map(Some).map_err(|_| format!("`{text}` is no number of samples, and not off")),
        });
        Some(PrometheusScrapeSettings {
            rules: rules?,
            body_limit: body_limit?,
            honor_labels: honor_labels?,
            honor_timestamps: honor_timestamps?,
            sample_limit: sample_limit?,
        })
    }

    fn self_metrics(&mut self) -> Option<SelfMetricsSettings> {
        let (amp, emf) = self.required(names::SELF_METRICS, values::self_metrics)?;
        let set = |name| self.get(name).map(str::to_owned);
        let (function, log_stream) = (set("AWS_LAMBDA_FUNCTION_NAME"), set("AWS_LAMBDA_LOG_STREAM_NAME"));
        Some(SelfMetricsSettings { amp, emf, function, log_stream })
    }

    fn endpoints(&mut self) -> Option<Endpoints> {
        let (xray, ec2) = (self.endpoint_of("XRAY"), self.endpoint_of("EC2"));
        let logs = self.endpoint_of("CLOUDWATCH_LOGS");
        Some(Endpoints { xray: xray?, ec2: ec2?, logs: logs? })
    }

    fn endpoint_of(&mut self, service: &str) -> Option<Option<Url>> {
        const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
        let of_service = format!("{AWS_ENDPOINT_URL}_{service}");
        let name = if self.get(&of_service).is_some() { &of_service } else { AWS_ENDPOINT_URL };
        self.optional(name, values::url)
    }

    /// What a tick does, and how often within its minute.
    fn schedule(&mut self) -> Option<ScheduleSettings> {
        let insights_lag = self.required(names::INSIGHTS_LAG, values::duration_or_off);
        let stopped_tasks = self.choice(names::STOPPED, ON_OFF);
        let inline_tasks = self
            .required(names::INLINE_TASKS, |text| text.parse().map_err(|_| format!("`{text}` is no number of tasks")));
        let shard_queue = self.optional(names::SHARD_QUEUE, values::url);
        let spool_queue = self.optional(names::SPOOL_QUEUE, values::url);
        let spool_queue = spool_queue?;
        let shard_queue = shard_queue?.or_else(|| spool_queue.clone());
        let interval = self.required(names::SCRAPE_INTERVAL, |text| {
            let interval = values::choice(text, INTERVALS)?;
            if interval < Duration::from_secs(60) && shard_queue.is_none() {
                return Err(format!("`{text}` needs a queue: set {} or {}", names::SHARD_QUEUE, names::SPOOL_QUEUE));
            }
            Ok(interval)
        });
        Some(ScheduleSettings {
            insights_lag: insights_lag?,
            stopped_tasks: stopped_tasks?,
            inline_tasks: inline_tasks?,
            shard_queue,
            spool_queue,
            scrape_interval: interval?,
        })
    }

    /// A setting that is one of some words. `None`: a mistake was noted.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.required(name, |text| values::choice(text, choices))
    }

    /// A setting that has a value, its default when it is not set. `None`: a mistake was noted.
    pub(super) fn required<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let default = SETTINGS.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default);
        let parsed = parse(self.get(name).unwrap_or(default));
        self.record_error(name, parsed)
    }

    /// A setting that may have no value. `None`: a mistake was noted; `Some(None)`: it is not set.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let Some(text) = self.get(name) else { return Some(None) };
        let parsed = parse(text);
        self.record_error(name, parsed).map(Some)
    }

    fn record_error<T>(&mut self, name: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|error| self.errors.push(format!("{name}: {error}"))).ok()
    }

    /// What a variable is set to; an empty value is none, because templates cannot leave a variable out.
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.variables.iter().find(|(other, _)| other == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    fn reject_unknown_names(&mut self) {
        let known = || SETTINGS.iter().map(|setting| setting.name).filter(|name| name.starts_with(PREFIX));
        for (name, _) in &self.variables {
            if !name.starts_with(PREFIX) || known().any(|other| other == name) {
                continue;
            }
            let hint = values::closest_match(name, known()).unwrap_or_default();
            self.errors.push(format!("{name}: there is no such setting; did you mean {hint}?"));
        }
    }
}
