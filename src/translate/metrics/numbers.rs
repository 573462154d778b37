//! Gauges and sums: one sample for each point.

use super::context::{Translator, value_or_stale};
use super::exemplars;
use super::family::MetricFamily;
use super::labels::{BaseLabels, ReservedLabel};
use crate::model::budget::BudgetExceeded;
use crate::model::otlp::borrowed::{MetricData, NumberDataPoint};
use crate::model::otlp::{NO_RECORDED_VALUE, number_data_point::Value};
use crate::model::series::LabelRun;

const RESERVED: ReservedLabel = ReservedLabel { label: "" };

pub(super) fn write<'m>(
    data: &MetricData<'m>,
    point: &mut NumberDataPoint<'m>,
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    let name = family.label("", context.out);
    for encoded in data.points() {
        if context.decode(encoded, data.kind, point, family)? {
            write_point(point, name, family, base, context)?;
        }
    }
    Ok(())
}

fn write_point(
    point: &NumberDataPoint<'_>,
    name: LabelRun,
    family: &MetricFamily,
    base: &BaseLabels<'_>,
    context: &mut Translator<'_>,
) -> Result<(), BudgetExceeded> {
    let start_nanos = if family.is_cumulative { point.start_time_unix_nano } else { 0 };
    let Some(times) = context.accept_point(point.time_unix_nano, start_nanos, family) else { return Ok(()) };
    let is_stale = point.flags & NO_RECORDED_VALUE != 0;
    let value = match point.value {
        Some(Value::Double(value)) => value,
        // Prometheus has no integers. Above 2^53, the nearest f64 is used.
        Some(Value::Int(value)) => value as f64,
        None if is_stale || context.is_adot() => 0.0,
        None => {
            context.reject("no_value", family);
            return Ok(());
        }
    };
    if !context.label(&point.attributes, base, family, RESERVED)? {
        return Ok(());
    }
    let id = context.point.series(name, context.out);
    let inserted = context.out.push_sample(id, times.sample(value_or_stale(value, is_stale)));
    // The exporter writes only the exemplars of counters.
    if family.is_counter {
        exemplars::write(&point.exemplars, |_| Some(id), context)?;
    }
    context.write_created(times, family);
    context.record_written(inserted, family);
    Ok(())
}
