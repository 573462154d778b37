//! What the translation is told, and what it tells.

use crate::model::rejection::Rejections;
use crate::translate::names::Naming;

/// One hour: AMP discards older samples (AMP user guide, "Out-of-order samples", maximum sample age).
const MAX_AGE_MS: i64 = 60 * 60 * 1000;
/// Ten minutes: Cortex' `-validation.create-grace-period`.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// How metrics are translated. The default is ADOT's configuration on ECS.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names, and with `naming.compat` how faithful all of the translation is.
    pub naming: Naming,
    /// Every resource attribute is a label of every series, over a point's attribute of the same name.
    pub resource_labels: bool,
    /// With `resource_labels`: not `service.name`, `service.namespace` and `service.instance.id`, which `job` and
    /// `instance` say already.
    pub exclude_service_attributes: bool,
    /// `otel_scope_name`, `otel_scope_version` and `otel_scope_*`.
    pub scope_labels: bool,
    pub target_info: bool,
    /// Labels for every series that has none of that name.
    pub external_labels: Vec<(String, String)>,
    /// HELP, TYPE and UNIT of every metric family.
    pub metadata: bool,
    /// A `_created` series (seconds since the epoch, as OpenMetrics has it) beside counters, histograms and summaries
    /// that tell when they began.
    pub created: bool,
    pub delta: DeltaPolicy,
    pub exponential: ExponentialHistogramFormat,
    /// Older points are refused as `too_old`. `None` lets all pass.
    pub max_age_ms: Option<i64>,
    /// Points further ahead of now are refused as `too_far_in_future`. `None` lets all pass.
    pub max_ahead_ms: Option<i64>,
    /// Whether [`relabel`](crate::translate::relabel) follows: then it is the one to judge labels that break a limit,
    /// since its rules may mend them.
    pub is_relabelled_later: bool,
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
            is_relabelled_later: false,
        }
    }
}

/// What becomes of metrics with delta temporality: Prometheus counts from the start, and a function without memory cannot
/// add them up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeltaPolicy {
    #[default]
    Reject,
    /// The raw deltas, with the label `otel_metric_temporality="delta"`, to be added up by `sum_over_time`.
    Keep,
}

/// What exponential histograms become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExponentialHistogramFormat {
    #[default]
    Native,
    /// `_bucket`, `_sum` and `_count`, for workspaces without native histograms.
    Classic,
}

/// What a request tells of who sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Something stable that no other sender has: a task's id, or a digest of address and user agent.
    pub instance: Option<String>,
}

/// What became of a request's data points.
#[derive(Clone, Debug, Default)]
pub struct TranslationResult {
    /// Data points in the request.
    pub received: u64,
    /// Data points of which series were written.
    pub written: u64,
    pub rejected: Rejections,
    /// What was changed or left away of points that were written: labels without a name, exemplars, corrected counts.
    pub warnings: Rejections,
}
