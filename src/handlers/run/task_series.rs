//! Settings that decide which series a task has, shared by all sources of series.

use ipnet::IpNet;

use crate::model::series::Labels;
use crate::model::task::{Tag, Task};
use crate::rules::tags::TagLabels;
use crate::scrape::stats_targets::{STATS_PORT, STATS_PUSH};
use crate::settings::{PrometheusScrapeSettings, Settings, StatsSources};
use crate::translate::state::StateSelection;
use crate::translate::stats::{self, EnabledSources, StatsSource, source_of};

/// Reason of inputs whose samples would be older than AMP accepts.
pub(in crate::handlers) const TOO_OLD: &str = "too_old";

/// Settings that decide which series a task has.
#[derive(Debug)]
pub(in crate::handlers) struct TaskSeries {
    pub(in crate::handlers) sources: StatsSources,
    pub(in crate::handlers) stats: stats::Options,
    pub(in crate::handlers) state: StateSelection,
    pub(in crate::handlers) prometheus: PrometheusScrapeSettings,
    /// CIDRs of the addresses that may be scraped.
    pub(in crate::handlers) scrape_ranges: Vec<IpNet>,
    /// Age from which AMP does not accept samples; `None`: no limit.
    pub(in crate::handlers) max_age_ms: Option<i64>,
    tag_labels: TagLabels,
    external_labels: Vec<(String, String)>,
}

impl TaskSeries {
    pub(in crate::handlers) fn new(settings: &Settings) -> Self {
        Self {
            sources: settings.sources,
            stats: settings.stats.clone(),
            state: settings.state,
            prometheus: settings.prometheus_scrape.clone(),
            scrape_ranges: settings.scrape_ranges.clone(),
            max_age_ms: settings.metrics.max_age_ms,
            tag_labels: settings.tag_labels.clone(),
            external_labels: settings.external_labels.clone(),
        }
    }

    /// Returns where the stats of a task come from.
    pub(in crate::handlers) fn source(&self, task: &Task) -> Option<StatsSource> {
        let endpoint_label = self.sources.endpoint.then_some(STATS_PORT);
        let push_label = self.sources.push.then_some(STATS_PUSH);
        source_of(task, &EnabledSources { push_label, endpoint_label, insights: self.sources.insights })
    }

    /// Returns whether AMP does not accept samples of a time.
    pub(in crate::handlers) fn is_too_old(&self, at_ms: i64, now_ms: i64) -> bool {
        self.max_age_ms.is_some_and(|max| at_ms < now_ms.saturating_sub(max))
    }

    /// Adds the labels that every series of a task has.
    pub(in crate::handlers) fn add_labels(&self, task: &Task, mut labels: Labels) -> Labels {
        self.tag_labels.add(task, &mut labels);
        self.add_external_labels(labels)
    }

    /// Returns the labels that every series of a cluster, and of its services and container instances, has.
    pub(in crate::handlers) fn cluster_labels(&self, tags: &[Tag]) -> Labels {
        let mut labels = Labels::default();
        self.tag_labels.add_cluster(tags, &mut labels);
        self.add_external_labels(labels)
    }

    fn add_external_labels(&self, mut labels: Labels) -> Labels {
        for (name, value) in &self.external_labels {
            labels.set_default(name, value);
        }
        labels
    }
}
