//! OTLP metrics to Prometheus series.
//!
//! Names and labels are those of collector-contrib's prometheusremotewrite exporter in ADOT's ECS configuration: every
//! resource attribute is a label, units and types are suffixes of the name, scopes are labels, and each resource has a
//! `target_info`. [`Compat::Adot`](super::Compat) keeps to it to the letter, data losses aside;
//! [`Compat::Best`](super::Compat) writes the same names and labels, and departs where what the exporter sends would be
//! rejected or wrong.
//!
//! # Two senders, one series
//!
//! A series is its labels: two tasks whose resources say the same would write into one series, and each would overwrite
//! what the other says. So a resource that has nothing of its own gets the label `instance` from what the request tells of
//! its sender ([`Sender`]). That is so when it has no `service.instance.id`, and when none of the attributes that tell two
//! tasks apart is there to become a label: `aws.ecs.task.arn`, `aws.ecs.task.id`, `container.id`, `k8s.pod.uid`,
//! `faas.instance`, or `host.name` or `host.id` together with `process.pid`.
//!
//! # Accounts
//!
//! Every data point is written or refused by name: [`Outcome::received`] = [`Outcome::written`] + [`Outcome::refused`].

mod context;
mod exemplars;
mod exponential;
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

/// Writes the series of a request into `out`. `now_ms` is what the ages of points are measured against.
pub fn series(
    request: &ExportMetricsServiceRequest,
    options: &Options,
    sender: &ClientIdentity,
    now_ms: i64,
    out: &mut SeriesBatch,
) -> TranslationResult {
    let mut context = Translator::new(options, now_ms, out);
    for resource_metrics in &request.resource_metrics {
        write_resource(resource_metrics, sender, &mut context);
    }
    context.outcome
}

fn write_resource(resource_metrics: &ResourceMetrics, sender: &ClientIdentity, context: &mut Translator<'_>) {
    let attributes = resource_metrics.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
    let resource = ResourceLabels::new(attributes, sender, context);
    context.newest_nanos = 0;
    for scope_metrics in &resource_metrics.scope_metrics {
        let base = BaseLabels::new(&resource, scope_metrics.scope.as_ref(), context);
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
