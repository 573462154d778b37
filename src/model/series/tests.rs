//! Tests of label sets and batches.

use super::*;

#[test]
fn labels_are_sorted_unique_and_not_empty() {
    let mut labels: Labels = [("b", "1"), ("__name__", "up"), ("A", "x"), ("b", "2"), ("c", "")].into_iter().collect();
    labels.set("A", "");
    labels.set_default("b", "3");
    labels.set_default("d", "4");
    assert_eq!(labels.iter().collect::<Vec<_>>(), [("__name__", "up"), ("b", "2"), ("d", "4")]);
}

#[test]
fn points_with_equal_labels_are_in_one_series() {
    let mut batch = SeriesBatch::default();
    let up = [("__name__", "up"), ("job", "shop")];
    let first = batch.series(up);
    let other = batch.series([("__name__", "up"), ("job", "bank")]);
    let again = batch.series(up);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(batch.iter().next().map(|series| series.labels().collect::<Vec<_>>()), Some(up.to_vec()));
}

#[test]
fn series_does_not_depend_on_division_into_runs() {
    let label = |name, value| {
        let mut encoded = Vec::new();
        encode_label(&mut encoded, name, value);
        encoded
    };
    let (name, job, le) = (label("__name__", "up"), label("job", "shop"), label("le", "1"));
    let mut batch = SeriesBatch::default();
    let [a, b, c] = [&name, &job, &le].map(|encoded| batch.add_label_run(encoded));
    let (two, all) =
        (batch.add_label_run(&[job.clone(), le.clone()].concat()), batch.add_label_run(&[name, job, le].concat()));
    let ids = [batch.series_from_runs([a, b, c]), batch.series_from_runs([a, two]), batch.series_from_runs([all])];
    assert_eq!(ids, [batch.series([("__name__", "up"), ("job", "shop"), ("le", "1")]); 3]);
    assert_ne!(batch.series_from_runs([a, b]), ids[0]);
    assert_eq!(batch.len(), 2);
    let labels: Vec<_> = batch.iter().map(|series| series.labels().count()).collect();
    assert_eq!(labels, [3, 2]);
}

#[test]
fn samples_are_sorted_and_later_values_replace_earlier_ones() {
    let mut batch = SeriesBatch::default();
    let id = batch.series([("__name__", "up")]);
    assert_eq!(batch.add_sample(id, 2, 1.0), InsertOutcome::New);
    assert_eq!(batch.add_sample(id, 1, 2.0), InsertOutcome::New);
    assert_eq!(batch.add_sample(id, 3, 3.0), InsertOutcome::New);
    assert_eq!(batch.add_sample(id, 2, 4.0), InsertOutcome::Replaced);
    let samples: Vec<_> = batch.iter().flat_map(|series| series.samples()).map(|s| (s.timestamp_ms, s.value)).collect();
    assert_eq!(samples, [(1, 2.0), (2, 4.0), (3, 3.0)]);
    assert_eq!(batch.point_count(), 3);
}

#[test]
fn cleared_batch_is_empty_and_usable() {
    let mut batch = SeriesBatch::default();
    batch.reserve(2, 100);
    let id = batch.series([("__name__", "old")]);
    batch.add_sample(id, 1, 1.0);
    batch.add_metadata(Metadata {
        family: "old".into(),
        kind: MetadataKind::Gauge,
        help: String::new(),
        unit: String::new(),
    });
    batch.clear();
    assert_eq!((batch.len(), batch.point_count(), batch.metadata().len()), (0, 0, 0));
    let id = batch.series([("__name__", "old")]);
    assert_eq!(batch.add_sample(id, 1, 2.0), InsertOutcome::New);
    assert_eq!(batch.iter().count(), 1);
}
