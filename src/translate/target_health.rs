//! Health of stats targets: `up` and `scrape_duration_seconds`, with the semantics of Prometheus.

use crate::model::reserved::STATS_JOB;
use crate::model::series::{Labels, STALE_NAN, SeriesBatch};
use crate::model::task::Task;

/// Returns the labels of a stats target: the identity of its task and the scraped address.
pub fn stats_target_labels(task: &Task, instance: &str) -> Labels {
    let mut labels = Labels::default();
    labels.set("job", STATS_JOB);
    labels.set("instance", instance);
    labels.set("aws_ecs_cluster_name", &task.cluster);
    labels.set("aws_ecs_service_name", task.service.as_deref().unwrap_or_default());
    labels.set("aws_ecs_task_family", &task.family);
    labels.set("aws_ecs_task_id", &task.id);
    labels
}

/// Writes `up` (1 or 0) and the duration of the scrape.
pub fn series(labels: &Labels, at_ms: i64, up: bool, duration_s: f64, out: &mut SeriesBatch) {
    write(labels, at_ms, [f64::from(u8::from(up)), duration_s], out);
}

/// Writes staleness markers for the series that [`series`] wrote for a removed target.
pub fn mark_stale(labels: &Labels, at_ms: i64, out: &mut SeriesBatch) {
    write(labels, at_ms, [f64::from_bits(STALE_NAN); 2], out);
}

fn write(labels: &Labels, at_ms: i64, values: [f64; 2], out: &mut SeriesBatch) {
    for (name, value) in ["up", "scrape_duration_seconds"].into_iter().zip(values) {
        let mut labels = labels.clone();
        labels.set("__name__", name);
        let id = out.series(labels.iter());
        out.add_sample(id, at_ms, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staleness_markers_have_the_labels_of_the_series() {
        let labels = stats_target_labels(&Task::default(), "10.2.3.4:9000");
        let mut batch = SeriesBatch::default();
        series(&labels, 1, true, 0.25, &mut batch);
        mark_stale(&labels, 2, &mut batch);
        let samples: Vec<Vec<u64>> =
            batch.iter().map(|series| series.samples().iter().map(|sample| sample.value.to_bits()).collect()).collect();
        assert_eq!(samples, [[1.0_f64.to_bits(), STALE_NAN], [0.25_f64.to_bits(), STALE_NAN]]);
    }
}
