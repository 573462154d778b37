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
mod long_text;
mod names;
mod native;
mod numbers;
mod options;
mod resource;
mod summary;
mod target_info;

pub use options::{ClientIdentity, DeltaPolicy, ExponentialHistogramFormat, Options, TranslationResult};

use self::context::{PointBuffers, Translator};
use self::labels::{BaseLabels, ResourceBase};
use self::resource::ResourceLabels;
use prost::Message as _;

use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::otlp::borrowed::{ATTRIBUTE_EXPANSION, DataKind, Metric, attributes, text};
use crate::model::otlp::{MetricsRequest, ResourceMetricsRequest};
use crate::model::series::SeriesBatch;

/// Memory of a resource attribute while its labels are built: two names and values, and their places in lists and trees.
const RESOURCE_ATTRIBUTE_BYTES: usize = 512;

/// Writes the series of a request to `out`. Ages of points are relative to `now_ms`.
///
/// # Errors
/// The series do not fit into the budget. `out` then contains some of them.
pub fn series(
    request: &MetricsRequest,
    options: &Options,
    client: &ClientIdentity,
    now_ms: i64,
    budget: &dyn Budget,
    out: &mut SeriesBatch,
) -> Result<TranslationResult, BudgetExceeded> {
    let mut context = Translator::new(options, now_ms, budget, out);
    let mut points = PointBuffers::default();
    for resource_metrics in &request.resource_metrics {
        // The labels of a resource or scope without points would not be used.
        if resource_metrics.has_points() {
            write_resource(resource_metrics, client, &mut points, &mut context)?;
        }
    }
    context.out.sort();
    Ok(context.outcome)
}

fn write_resource<'m>(
    resource_metrics: &'m ResourceMetricsRequest,
    client: &ClientIdentity,
    points: &mut PointBuffers<'m>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    let resource = resource_metrics.resource.as_ref();
    let decoded = resource.map_or(&[][..], |resource| &resource.attributes);
    let borrowed_bytes = resource.map_or(0, |resource| ATTRIBUTE_EXPANSION * resource.encoded_len());
    context.budget.reserve(borrowed_bytes + RESOURCE_ATTRIBUTE_BYTES * decoded.len())?;
    let attributes = attributes(decoded);
    let Translator { options, outcome, out, .. } = &mut *context;
    let resource = ResourceLabels::new(&attributes, client, resource_metrics, options, &mut outcome.warnings);
    let resource_base = ResourceBase::new(&resource, options, out);
    context.newest_nanos = 0;
    for scope_metrics in resource_metrics.scope_metrics.iter().filter(|scope_metrics| scope_metrics.has_points(1)) {
        let scope_bytes = scope_metrics.scope.as_ref().map_or(0, |scope| ATTRIBUTE_EXPANSION * scope.encoded_len());
        context.budget.reserve(scope_bytes)?;
        let Translator { options, outcome, out, .. } = &mut *context;
        let base = BaseLabels::new(&resource_base, scope_metrics, options, &mut outcome.warnings, out);
        context.point.start_scope();
        for metric in &scope_metrics.metrics {
            write_metric(metric, &base, points, context)?;
        }
    }
    target_info::write(&attributes, &resource, context);
    Ok(())
}

fn write_metric<'m>(
    encoded: &'m [u8],
    base: &BaseLabels<'_>,
    points: &mut PointBuffers<'m>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    context.budget.check()?;
    // Malformed metrics were not accepted.
    let Ok(metric) = Metric::decode(encoded) else { return Ok(()) };
    let Some(data) = &metric.data else { return Ok(()) };
    if names::reject_metric(&metric, data, context) {
        return Ok(());
    }
    let name = text(metric.name);
    let Some(family) = names::family(&metric, &name, data, context) else { return Ok(()) };
    names::describe(&metric, data, &family, context);
    let family = &family;
    match data.kind {
        DataKind::Gauge | DataKind::Sum => numbers::write(data, &mut points.number, family, base, context),
        DataKind::Histogram => histogram::write(data, &mut points.histogram, family, base, context),
        DataKind::ExponentialHistogram => exponential::write(data, &mut points.exponential, family, base, context),
        DataKind::Summary => summary::write(data, &mut points.summary, family, base, context),
    }
}
