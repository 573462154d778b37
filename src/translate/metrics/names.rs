//! Metrics as families: which are refused, what they are called, and what is known of them.

use super::context::{MetricFamily, Translator};
use super::options::DeltaPolicy;
use crate::model::otlp::{Metric, Temporality, metric::Data, text};
use crate::model::series::{Metadata, MetadataKind};
use crate::translate::names::{self, MetricKind, NameError};

/// Bytes of a name, HELP and UNIT each (AMP quota "Metadata length"; Cortex, `-validation.max-metadata-length`).
const MAX_METADATA_SIZE: usize = 1024;

/// Counts the points of a metric that cannot be written at all.
pub(super) fn reject_metric(metric: &Metric, data: &Data, context: &mut Translator<'_>) -> bool {
    match temporality(data) {
        Some(Temporality::Delta) if context.options.delta == DeltaPolicy::Reject => {
            context.reject_all(point_times(data), "delta_temporality", || {
                format!(
                    "set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative in the application: metric {} is \
                     a delta",
                    text(&metric.name)
                )
            });
            true
        }
        Some(Temporality::Unspecified) => {
            context.reject_all(point_times(data), "unspecified_temporality", || {
                format!("metric {} says neither cumulative nor delta", text(&metric.name))
            });
            true
        }
        _ => false,
    }
}

/// The metric's family; counts its points as refused when it can have no name.
pub(super) fn family(metric: &Metric, name: &str, data: &Data, context: &mut Translator<'_>) -> Option<MetricFamily> {
    let is_counter = matches!(data, Data::Sum(sum) if sum.is_monotonic);
    let shape = match data {
        Data::Gauge(_) => MetricKind::Gauge,
        _ if is_counter => MetricKind::Counter,
        _ => MetricKind::Other,
    };
    let is_delta = temporality(data) == Some(Temporality::Delta);
    match names::metric(name, &text(&metric.unit), shape, &context.options.naming) {
        Ok(name) => Some(MetricFamily {
            name,
            is_delta,
            is_cumulative: !is_delta && (is_counter || !matches!(data, Data::Gauge(_) | Data::Sum(_))),
            is_counter,
        }),
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

/// Adds HELP, TYPE and UNIT of the metric to the batch, when they are wanted.
pub(super) fn describe(metric: &Metric, data: &Data, family: &MetricFamily, context: &mut Translator<'_>) {
    if !context.options.metadata || family.name.len() > MAX_METADATA_SIZE {
        return;
    }
    let (mut help, unit) = (text(&metric.description), names::unit(&text(&metric.unit)));
    if help.len() > MAX_METADATA_SIZE {
        let cut = help.floor_char_boundary(MAX_METADATA_SIZE);
        help.to_mut().truncate(cut);
    }
    context.out.add_metadata(Metadata {
        family: family.name.clone(),
        kind: kind(metric, data, family),
        help: help.into_owned(),
        unit: if unit.len() > MAX_METADATA_SIZE { String::new() } else { unit },
    });
}

fn kind(metric: &Metric, data: &Data, family: &MetricFamily) -> MetadataKind {
    let said = metric.metadata.iter().find(|entry| entry.key.as_ref() == b"prometheus.type");
    let mut said_type = String::new();
    super::super::attributes::write_value(said.and_then(|entry| entry.value.as_ref()), &mut said_type);
    match data {
        // To Prometheus a delta is no counter: it goes down.
        _ if family.is_delta => MetadataKind::Unknown,
        Data::Gauge(_) if said_type == "unknown" => MetadataKind::Unknown,
        Data::Gauge(_) => MetadataKind::Gauge,
        Data::Sum(sum) if sum.is_monotonic => MetadataKind::Counter,
        Data::Sum(_) => match said_type.as_str() {
            "info" => MetadataKind::Info,
            "stateset" => MetadataKind::StateSet,
            _ => MetadataKind::Gauge,
        },
        Data::Histogram(_) | Data::ExponentialHistogram(_) => MetadataKind::Histogram,
        Data::Summary(_) => MetadataKind::Summary,
    }
}

/// `None` for data that has none.
fn temporality(data: &Data) -> Option<Temporality> {
    let number = match data {
        Data::Gauge(_) | Data::Summary(_) => return None,
        Data::Sum(sum) => sum.aggregation_temporality,
        Data::Histogram(histogram) => histogram.aggregation_temporality,
        Data::ExponentialHistogram(histogram) => histogram.aggregation_temporality,
    };
    Some(Temporality::try_from(number).unwrap_or(Temporality::Unspecified))
}

fn point_times(data: &Data) -> Box<dyn Iterator<Item = u64> + '_> {
    match data {
        Data::Gauge(data) => Box::new(data.data_points.iter().map(|point| point.time_unix_nano)),
        Data::Sum(data) => Box::new(data.data_points.iter().map(|point| point.time_unix_nano)),
        Data::Histogram(data) => Box::new(data.data_points.iter().map(|point| point.time_unix_nano)),
        Data::ExponentialHistogram(data) => Box::new(data.data_points.iter().map(|point| point.time_unix_nano)),
        Data::Summary(data) => Box::new(data.data_points.iter().map(|point| point.time_unix_nano)),
    }
}
