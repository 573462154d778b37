//! Summaries: `_sum`, `_count` and a sample for each quantile.

use super::context::{Translator, value_or_stale};
use super::family::MetricFamily;
use super::labels::{BaseLabels, ReservedLabel};
use crate::model::budget::BudgetExceeded;
use crate::model::otlp::NO_RECORDED_VALUE;
use crate::model::otlp::borrowed::{MetricData, SummaryDataPoint};
use crate::model::series::{LabelRun, encode_label};
use crate::translate::attributes::write_decimal;

const RESERVED: ReservedLabel = ReservedLabel { label: "quantile" };

struct SummarySeries {
    sum: LabelRun,
    count: LabelRun,
    quantile: LabelRun,
}

pub(super) fn write<'m>(
    data: &MetricData<'m>,
    point: &mut SummaryDataPoint<'m>,
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    let mut name = |suffix| family.label(suffix, context.out);
    let names = SummarySeries { sum: name("_sum"), count: name("_count"), quantile: name("") };
    for encoded in data.points() {
        if context.decode(encoded, data.kind, point, family)? {
            write_point(point, &names, family, base, context)?;
        }
    }
    Ok(())
}

fn write_point(
    point: &SummaryDataPoint<'_>,
    names: &SummarySeries,
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    let Some(times) = context.accept_point(point.time_unix_nano, point.start_time_unix_nano, family) else {
        return Ok(());
    };
    if !context.label(&point.attributes, base, family, RESERVED)? {
        return Ok(());
    }
    let is_stale = point.flags & NO_RECORDED_VALUE != 0;
    let sum = context.point.series(names.sum, context.out);
    let mut inserted = context.out.push_sample(sum, times.sample(value_or_stale(point.sum, is_stale)));
    let count = context.point.series(names.count, context.out);
    let sample = times.sample(value_or_stale(point.count as f64, is_stale));
    inserted = inserted.or(context.out.push_sample(count, sample));
    let (mut text, mut label) = (String::new(), Vec::new());
    for quantile in &point.quantile_values {
        context.budget.check()?;
        text.clear();
        label.clear();
        write_decimal(quantile.quantile, &mut text);
        encode_label(&mut label, RESERVED.label, &text);
        let label = context.out.add_label_run(&label);
        let id = context.point.series_with(names.quantile, label, context.out);
        let sample = times.sample(value_or_stale(quantile.value, is_stale));
        inserted = inserted.or(context.out.push_sample(id, sample));
    }
    context.write_created(times, family);
    context.record_written(inserted, family);
    Ok(())
}
