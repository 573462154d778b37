//! Translation of OTLP metrics to Prometheus series.
//!
//! Names and labels follow collector-contrib's prometheusremotewrite exporter in ADOT's ECS configuration: every
//! resource attribute is a label, units and types are suffixes of the name, scopes are labels, and each resource has a
//! `target_info`. [`Compat::Adot`](super::Compat) follows the exporter exactly, except for data losses.
//! [`Compat::Corrected`](super::Compat) writes the same names and labels, and differs where the exporter's output would be
//! rejected or wrong.
//!
//! # Series identity
//!
//! Two tasks with equal resource attributes would write to the same series and overwrite each other's samples. Therefore a
//! resource that does not identify its task gets the label `instance` from the client ([`ClientIdentity`]). A resource
//! identifies its task by `service.instance.id`, or by one of these attributes if they become labels: `aws.ecs.task.arn`,
//! `aws.ecs.task.id`, `container.id`, `k8s.pod.uid`, `faas.instance`, or `host.name` or `host.id` together with
//! `process.pid`.
//!
//! # Counts
//!
//! Every data point is written or rejected: [`TranslationResult::received`] = [`TranslationResult::written`] +
//! [`TranslationResult::rejected`].

mod bounds;
mod context;
mod exemplars;
mod exponential;
mod family;
mod histogram;
mod labels;
mod names;
mod native;
mod numbers;
mod options;
mod resource;
mod summary;
mod target_info;

pub use options::{ClientIdentity, DeltaPolicy, ExponentialHistogramFormat, Options, TranslationResult};

use self::context::Translator;
use self::labels::BaseLabels;
use self::resource::ResourceLabels;
use crate::model::otlp::{ExportMetricsServiceRequest, Metric, ResourceMetrics, metric::Data, text};
use crate::model::series::SeriesBatch;

/// Writes the series of a request to `out`. Ages of points are relative to `now_ms`.
pub fn series(
    request: &ExportMetricsServiceRequest,
    options: &Options,
    client: &ClientIdentity,
    now_ms: i64,
    out: &mut SeriesBatch,
) -> TranslationResult {
    let mut context = Translator::new(options, now_ms, out);
    for resource_metrics in &request.resource_metrics {
        write_resource(resource_metrics, client, &mut context);
    }
    context.outcome
}

fn write_resource(resource_metrics: &ResourceMetrics, client: &ClientIdentity, context: &mut Translator<'_>) {
    let attributes = resource_metrics.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
    let resource = ResourceLabels::new(attributes, client, context.options);
    context.newest_nanos = 0;
    for scope_metrics in &resource_metrics.scope_metrics {
        let base = {
            let Translator { options, outcome, out, .. } = &mut *context;
            BaseLabels::new(&resource, scope_metrics.scope.as_ref(), options, &mut outcome.warnings, out)
        };
        for metric in &scope_metrics.metrics {
            write_metric(metric, &base, context);
        }
    }
    target_info::write(attributes, &resource, context);
}

fn write_metric(metric: &Metric, base: &BaseLabels<'_>, context: &mut Translator<'_>) {
    let Some(data) = &metric.data else { return };
    if names::reject_metric(metric, data, context) {
        return;
    }
    let name = text(&metric.name);
    let Some(family) = names::family(metric, &name, data, context) else { return };
    names::describe(metric, data, &family, context);
    let family = &family;
    match data {
        Data::Gauge(gauge) => numbers::write(&gauge.data_points, family, base, context),
        Data::Sum(sum) => numbers::write(&sum.data_points, family, base, context),
        Data::Histogram(histogram) => histogram::write(&histogram.data_points, family, base, context),
        Data::ExponentialHistogram(histogram) => exponential::write(&histogram.data_points, family, base, context),
        Data::Summary(summary) => summary::write(&summary.data_points, family, base, context),
    }
}
