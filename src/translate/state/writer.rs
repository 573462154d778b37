//! Writes the series of one resource, or ends them.

use super::metrics::{StateKind, StateSelection};
use crate::model::series::{InsertOutcome, Labels, STALE_NAN, SeriesBatch};
use crate::translate::shared_labels::SharedLabels;
use crate::translate::stats::Label;

/// Whether series get a sample or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Writes the values.
    Write,
    /// Writes staleness markers for the series that have no sample of this time. After the new description of a resource is
    /// written, this ends the series that only the previous one has.
    End,
}

/// Writes state series of one time to a batch.
#[derive(Debug)]
pub struct StateWriter<'a> {
    pub metrics: StateSelection,
    pub at_ms: i64,
    pub action: Action,
    pub out: &'a mut SeriesBatch,
    /// Samples written so far.
    pub written: u64,
}

/// Labels of one resource, written to the batch once.
pub(super) struct Resource {
    labels: Labels,
    shared: Option<SharedLabels>,
}

impl Resource {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, shared: None }
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl<'a> StateWriter<'a> {
    /// Returns a writer of values.
    pub fn new(metrics: StateSelection, at_ms: i64, out: &'a mut SeriesBatch) -> Self {
        Self { metrics, at_ms, action: Action::Write, out, written: 0 }
    }

    /// Writes a series with the labels of the resource.
    pub(super) fn value(&mut self, resource: &mut Resource, kind: StateKind, value: f64) {
        if !self.metrics.has(kind) {
            return;
        }
        let Resource { labels, shared } = resource;
        let shared = shared.get_or_insert_with(|| SharedLabels::new(labels, self.out));
        let id = shared.series(kind.metric().name, self.out);
        self.add(id, value);
    }

    pub(super) fn count(&mut self, resource: &mut Resource, kind: StateKind, count: u32) {
        self.value(resource, kind, f64::from(count));
    }

    /// Writes a time as seconds since 1970.
    pub(super) fn time(&mut self, resource: &mut Resource, kind: StateKind, at_ms: Option<i64>) {
        if let Some(at_ms) = at_ms {
            self.value(resource, kind, at_ms as f64 / 1_000.0);
        }
    }

    /// Writes a series with more labels. They replace labels of the resource with the same name; empty ones are not written.
    pub(super) fn with(&mut self, resource: &Resource, kind: StateKind, values: &[&str], value: f64) {
        if !self.metrics.has(kind) {
            return;
        }
        let metric = kind.metric();
        let mut labels = resource.labels.clone();
        for (name, value) in metric.labels.iter().zip(values) {
            labels.set(name, value);
        }
        labels.set("__name__", metric.name);
        let id = self.out.series(labels.iter());
        self.add(id, value);
    }

    /// Writes a series for each state: 1 for the present one, 0 for the others. The state is the last label of the metric.
    pub(super) fn states(&mut self, resource: &Resource, kind: StateKind, states: &[&str], present: &str) {
        for state in states {
            self.with(resource, kind, &[state], f64::from(u8::from(*state == present)));
        }
    }

    fn add(&mut self, id: crate::model::series::SeriesId, value: f64) {
        let value = match self.action {
            Action::Write => value,
            Action::End if self.out.has_sample_at(id, self.at_ms) => return,
            Action::End => f64::from_bits(STALE_NAN),
        };
        self.written += u64::from(self.out.add_sample(id, self.at_ms, value) == InsertOutcome::New);
    }
}

/// Returns the labels of a cluster, or of a service in it.
pub(super) fn scope_labels(cluster: &str, service: &str, region: &str, account: &str, extra: &Labels) -> Labels {
    let mut labels = Labels::default();
    labels.set(Label::ClusterName.name(), cluster);
    labels.set(Label::ServiceName.name(), service);
    labels.set(Label::Region.name(), region);
    labels.set(Label::AccountId.name(), account);
    crate::translate::stats::add_extra_labels(&mut labels, extra);
    labels
}
