//! Options and result of the translation.

use crate::model::rejection::Rejections;
use crate::translate::Compat;
use crate::translate::limits::LongLabels;
use crate::translate::names::Naming;

/// One hour: AMP discards older samples (AMP user guide, "Out-of-order samples", maximum sample age).
const MAX_AGE_MS: i64 = 60 * 60 * 1000;
/// Ten minutes (Cortex, `-validation.create-grace-period`).
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Options of the translation of metrics. The default is ADOT's configuration on ECS.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rules for names. `naming.compat` applies to the whole translation.
    pub naming: Naming,
    /// Whether every resource attribute becomes a label of every series. A point's attribute of the same label precedes it; in ADOT
    /// mode, the resource attribute overrides it.
    pub resource_labels: bool,
    /// Whether `resource_labels` excludes `service.name`, `service.namespace` and `service.instance.id`, which `job` and
    /// `instance` contain.
    pub exclude_service_attributes: bool,
    /// Whether to add `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and `otel_scope_*`.
    pub scope_labels: bool,
    pub target_info: bool,
    /// Labels for every series that has no label of that name.
    pub external_labels: Vec<(String, String)>,
    /// Whether to add HELP, TYPE and UNIT of every metric family.
    pub metadata: bool,
    /// Whether to write a `_created` series (seconds since the epoch, as in OpenMetrics) for counters, histograms and
    /// summaries with a start time.
    pub created: bool,
    pub delta: DeltaPolicy,
    pub exponential: ExponentialHistogramFormat,
    /// Older points are rejected as `too_old`. `None` disables the check.
    pub max_age_ms: Option<i64>,
    /// Points further in the future are rejected as `too_far_in_future`. `None` disables the check.
    pub max_ahead_ms: Option<i64>,
    /// Treatment of labels whose values are longer than AMP accepts.
    pub long_labels: LongLabels,
    /// Whether [relabelling](crate::rules::relabel) follows. It then checks the limits of labels instead, because its rules
    /// can remove labels.
    pub is_relabelled_later: bool,
}

impl Options {
    pub(super) fn is_adot(&self) -> bool {
        self.naming.compat == Compat::Adot
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            naming: Naming::default(),
            resource_labels: true,
            exclude_service_attributes: false,
            scope_labels: true,
            target_info: true,
            external_labels: Vec::new(),
            metadata: true,
            created: false,
            delta: DeltaPolicy::default(),
            exponential: ExponentialHistogramFormat::default(),
            max_age_ms: Some(MAX_AGE_MS),
            max_ahead_ms: Some(MAX_AHEAD_MS),
            long_labels: LongLabels::default(),
            is_relabelled_later: false,
        }
    }
}

/// Treatment of metrics with delta temporality. Prometheus counters are cumulative, and a function without state cannot
/// sum the deltas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeltaPolicy {
    #[default]
    Reject,
    /// Writes the deltas with the label `otel_metric_temporality="delta"`, for `sum_over_time`.
    Keep,
}

/// Output format of exponential histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExponentialHistogramFormat {
    #[default]
    Native,
    /// `_bucket`, `_sum` and `_count`, for workspaces without native histograms.
    Classic,
}

/// Identity of the client that sent a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientIdentity {
    /// A stable value that is unique to the client: a task ID, or a digest of address and user agent.
    pub instance: Option<String>,
}

/// Result of the translation of a request: `received` = `written` + `rejected`.
#[must_use = "it contains rejected data points and warnings"]
#[derive(Clone, Debug, Default)]
pub struct TranslationResult {
    /// Data points in the request.
    pub received: u64,
    /// Data points whose series were written.
    pub written: u64,
    pub rejected: Rejections,
    /// Changes to written data points: attributes without a valid label name, long labels, dropped exemplars, corrected counts,
    /// points with the same time and labels.
    pub warnings: Rejections,
}
