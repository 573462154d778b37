//! Families of metrics: rejection of full metrics, names and metadata.

use super::context::Translator;
use super::family::MetricFamily;
use super::options::DeltaPolicy;
use crate::model::otlp::Temporality;
use crate::model::otlp::borrowed::{DataKind, Metric, MetricData, text, time_of_point};
use crate::model::series::{Metadata, MetadataKind};
use crate::translate::limits::MAX_VALUE_SIZE;
use crate::translate::limits::VALUE_TOO_LONG;
use crate::translate::names::{self, MetricKind, NameError};

/// Maximum bytes of a name, HELP and UNIT each (AMP quota "Metadata length"; Cortex, `-validation.max-metadata-length`).
const MAX_METADATA_SIZE: usize = 1024;

/// Bytes of a name or unit that is not converted. It is a multiple of the limit of AMP for the converted name
/// ([`MAX_VALUE_SIZE`]), because the conversion can remove characters.
const MAX_RAW_NAME_SIZE: usize = 16 * MAX_VALUE_SIZE;

/// Rejects the points of a metric that cannot be written at all. Returns whether it did.
pub(super) fn reject_metric(metric: &Metric<'_>, data: &MetricData<'_>, context: &mut Translator<'_>) -> bool {
    match temporality(data) {
        Some(Temporality::Delta) if context.options.delta == DeltaPolicy::Reject => {
            context.reject_all(point_times(data), "delta_temporality", || {
                format!(
                    "metric {} has delta temporality: set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative \
                     in the application",
                    text(metric.name)
                )
            });
            true
        }
        Some(Temporality::Unspecified) => {
            context.reject_all(point_times(data), "unspecified_temporality", || {
                format!("metric {} has no aggregation temporality", text(metric.name))
            });
            true
        }
        _ => false,
    }
}

/// Returns the family of a metric, or `None` if its points were rejected because it has no valid name.
pub(super) fn family(
    metric: &Metric<'_>,
    name: &str,
    data: &MetricData<'_>,
    context: &mut Translator<'_>,
) -> Option<MetricFamily> {
    let is_counter = data.is_monotonic;
    let kind = match data.kind {
        DataKind::Gauge => MetricKind::Gauge,
        _ if is_counter => MetricKind::Counter,
        _ => MetricKind::Other,
    };
    let is_delta = temporality(data) == Some(Temporality::Delta);
    if metric.name.len().max(metric.unit.len()) > MAX_RAW_NAME_SIZE {
        context.reject_all(point_times(data), VALUE_TOO_LONG, || {
            format!("metric with a name or unit of more than {MAX_RAW_NAME_SIZE} bytes")
        });
        return None;
    }
    match names::metric(name, &text(metric.unit), kind, &context.options.naming) {
        Ok(name) => {
            let is_cumulative = !is_delta && (is_counter || !matches!(data.kind, DataKind::Gauge | DataKind::Sum));
            let mut family = MetricFamily { name, is_delta, is_cumulative, is_counter, created: None };
            if context.options.created && is_cumulative {
                family.write_created_name(context.out);
            }
            Some(family)
        }
        Err(error) => {
            let reason = match error {
                NameError::Empty => "empty_name",
                NameError::Invalid => "invalid_name",
            };
            context.reject_all(point_times(data), reason, || format!("metric {name:?}"));
            None
        }
    }
}

/// Adds HELP, TYPE and UNIT of the metric to the batch, if metadata is enabled.
pub(super) fn describe(
    metric: &Metric<'_>,
    data: &MetricData<'_>,
    family: &MetricFamily,
    context: &mut Translator<'_>,
) {
    if !context.options.metadata || family.name.len() > MAX_METADATA_SIZE {
        return;
    }
    let (help, unit) = (text(metric.description), context.options.naming.unit(&text(metric.unit)));
    let help = &help[..help.floor_char_boundary(MAX_METADATA_SIZE)];
    context.out.add_metadata(Metadata {
        family: family.name.clone(),
        kind: kind(metric, data, family),
        help: help.to_owned(),
        unit: if unit.len() > MAX_METADATA_SIZE { String::new() } else { unit },
    });
}

fn kind(metric: &Metric<'_>, data: &MetricData<'_>, family: &MetricFamily) -> MetadataKind {
    let original_type = metric.metadata_text(b"prometheus.type").unwrap_or_default();
    match data.kind {
        // A delta is not a Prometheus counter: its value can decrease.
        _ if family.is_delta => MetadataKind::Unknown,
        DataKind::Gauge if original_type == b"unknown" => MetadataKind::Unknown,
        DataKind::Gauge => MetadataKind::Gauge,
        DataKind::Sum if data.is_monotonic => MetadataKind::Counter,
        DataKind::Sum => match original_type {
            b"info" => MetadataKind::Info,
            b"stateset" => MetadataKind::StateSet,
            _ => MetadataKind::Gauge,
        },
        DataKind::Histogram | DataKind::ExponentialHistogram => MetadataKind::Histogram,
        DataKind::Summary => MetadataKind::Summary,
    }
}

/// Returns the temporality, or `None` for gauges and summaries.
fn temporality(data: &MetricData<'_>) -> Option<Temporality> {
    if matches!(data.kind, DataKind::Gauge | DataKind::Summary) {
        return None;
    }
    Some(Temporality::try_from(data.aggregation_temporality).unwrap_or(Temporality::Unspecified))
}

fn point_times(data: &MetricData<'_>) -> impl Iterator<Item = u64> {
    data.points().map(time_of_point)
}
