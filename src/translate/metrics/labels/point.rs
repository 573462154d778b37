//! The labels of one point.

use std::ops::Range;

use super::super::context::{Context, Family};
use super::base::{BaseLabels, Origin, assemble, note_nameless};
use crate::model::otlp::{KeyValue, text};
use crate::model::series::{Run, SeriesBatch, SeriesId, encode_label};
use crate::translate::attributes::write_value;
use crate::translate::limits::broken_limit_encoded;
use crate::translate::names::{self, NameError, Naming};

/// What raw deltas are marked with. The specification names no label; this is its attribute-like spelling.
const DELTA: (&str, &str) = ("otel_metric_temporality", "delta");

/// Which labels the series of a point have of their own, beside `__name__`.
#[derive(Clone, Copy)]
pub(in super::super) struct Own {
    /// `le`, `quantile` or nothing.
    pub(in super::super) label: &'static str,
}

/// Encoded labels of the point under way, without `__name__` and its own label, whose places are kept.
#[derive(Debug, Default)]
pub(in super::super) struct PointLabels {
    bytes: Vec<u8>,
    name_at: usize,
    /// 0 where there is no label of its own.
    own_at: usize,
    /// The same within the batch: what stands before `__name__`, between it and the own label, and after that.
    runs: [Run; 3],
    /// Names and values of the point's attributes, and where they stand.
    text: String,
    spans: Vec<Span>,
}

#[derive(Clone, Debug)]
struct Span {
    name: Range<usize>,
    /// Empty for a label whose place is only marked.
    value: Range<usize>,
}

/// Why the quick way is left.
enum Obstacle {
    /// Two attributes come to the same label.
    Collision,
    Refused(&'static str),
}

impl PointLabels {
    /// The series with the point's labels and this `__name__`.
    pub(in super::super) fn series(&self, name: Run, out: &mut SeriesBatch) -> SeriesId {
        let [before, between, after] = self.runs;
        out.series_of([before, name, between, after])
    }

    /// The series with the point's labels, this `__name__` and this label of its own.
    pub(in super::super) fn series_with(&self, name: Run, own: Run, out: &mut SeriesBatch) -> SeriesId {
        let [before, between, after] = self.runs;
        out.series_of([before, name, between, own, after])
    }

    /// Writes the labels into the batch, once for all series of the point.
    fn write(&mut self, out: &mut SeriesBatch) {
        let (before, rest) = self.bytes.split_at(self.name_at.min(self.bytes.len()));
        let (between, after) = rest.split_at(self.own_at.saturating_sub(self.name_at).min(rest.len()));
        self.runs = [before, between, after].map(|labels| out.run(labels));
    }

    fn collect(
        &mut self,
        attributes: &[KeyValue],
        base: &BaseLabels<'_>,
        own: Own,
        context: &mut Context<'_>,
    ) -> Result<(), Obstacle> {
        self.text.clear();
        self.spans.clear();
        for attribute in attributes {
            if !base.resource.overrides(&attribute.key) {
                self.collect_attribute(attribute, own, context)?;
            }
        }
        Ok(())
    }

    fn collect_attribute(&mut self, attribute: &KeyValue, own: Own, context: &mut Context<'_>) -> Result<(), Obstacle> {
        let start = self.text.len();
        write_value(attribute.value.as_ref(), &mut self.text);
        let middle = self.text.len();
        if middle == start {
            return Ok(());
        }
        let key = text(&attribute.key);
        match names::label(&key, &context.options.naming) {
            Ok(name) if name == "__name__" && context.is_adot() => return Ok(()),
            Ok(name) => {
                if name == "__name__" || name == own.label {
                    self.text.push_str("exported_");
                }
                self.text.push_str(&name);
            }
            Err(NameError::Utf8) => return Err(Obstacle::Refused("utf8_name")),
            Err(NameError::Empty) => {
                note_nameless(&key, context);
                return Ok(());
            }
        }
        self.spans.push(Span { value: start..middle, name: middle..self.text.len() });
        Ok(())
    }

    /// Adds a label that is no attribute; one without a value only marks its place.
    fn add(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(value);
        let middle = self.text.len();
        self.text.push_str(name);
        self.spans.push(Span { value: start..middle, name: middle..self.text.len() });
    }

    /// Sorts the point's labels into the base.
    fn merge(&mut self, base: &BaseLabels<'_>) -> Result<(), Obstacle> {
        let PointLabels { bytes, name_at, own_at, text, spans, .. } = self;
        let text = text.as_str();
        spans.sort_unstable_by(|left, right| text[left.name.clone()].cmp(&text[right.name.clone()]));
        bytes.clear();
        *own_at = 0;
        let (mut next, mut last) = (0, "");
        for span in spans.iter() {
            let name = &text[span.name.clone()];
            if name == last {
                return Err(Obstacle::Collision);
            }
            last = name;
            let behind = next + base.names[next..].partition_point(|(other, _)| other.as_str() < name);
            bytes.extend_from_slice(&base.bytes[base.end_before(next)..base.end_before(behind)]);
            next = behind;
            let clash = base.names.get(next).filter(|(other, _)| other == name).map(|&(_, origin)| origin);
            match clash {
                None => {}
                Some(Origin::Attribute) => return Err(Obstacle::Collision),
                Some(Origin::Fixed) => continue,
                Some(Origin::Default) => next += 1,
            }
            if !span.value.is_empty() {
                encode_label(bytes, name, &text[span.value.clone()]);
            } else if name == "__name__" {
                *name_at = bytes.len();
            } else {
                *own_at = bytes.len();
            }
        }
        bytes.extend_from_slice(&base.bytes[base.end_before(next)..]);
        Ok(())
    }

    /// Puts the whole set together anew, with values of one label joined.
    fn rebuild(
        &mut self,
        attributes: &[KeyValue],
        base: &BaseLabels<'_>,
        (family, own): (&Family, Own),
        naming: &Naming,
    ) {
        let mut point = Vec::new();
        for attribute in attributes.iter().filter(|attribute| !base.resource.overrides(&attribute.key)) {
            let mut value = String::new();
            write_value(attribute.value.as_ref(), &mut value);
            point.push((attribute.key.to_vec(), value));
        }
        let mut labels = assemble(base, point, own.label, naming, |_| {});
        labels.remove(own.label);
        if family.is_delta {
            labels.insert(DELTA.0.to_owned(), (DELTA.1.to_owned(), Origin::Fixed));
        }
        self.bytes.clear();
        (self.name_at, self.own_at) = (0, 0);
        for (name, (value, _)) in &labels {
            encode_label(&mut self.bytes, name, value);
            if name.as_str() < "__name__" {
                self.name_at = self.bytes.len();
            }
            if name.as_str() < own.label {
                self.own_at = self.bytes.len();
            }
        }
    }

    /// Which limit of the backend the longest-named series of the point breaks.
    fn broken_limit(&self, family: &Family, own: Own) -> Option<&'static str> {
        // `_bucket` is the longest suffix, and a bound in plain decimals seldom as long.
        let suffix = if own.label.is_empty() { 0 } else { "_bucket".len() };
        broken_limit_encoded(
            std::iter::once(self.bytes.as_slice()),
            Some(("__name__".len(), family.name.len() + suffix)),
        )
    }
}

impl Context<'_> {
    /// Puts the point's labels together in [`Context::point`]; counts the point as refused when that cannot be.
    pub(in super::super) fn label(
        &mut self,
        attributes: &[KeyValue],
        base: &BaseLabels<'_>,
        family: &Family,
        own: Own,
    ) -> bool {
        let mut point = std::mem::take(&mut self.point);
        let labelled = self.label_into(&mut point, attributes, base, (family, own));
        self.point = point;
        if let Err(reason) = labelled {
            self.refuse(reason, family);
        }
        labelled.is_ok()
    }

    fn label_into(
        &mut self,
        point: &mut PointLabels,
        attributes: &[KeyValue],
        base: &BaseLabels<'_>,
        (family, own): (&Family, Own),
    ) -> Result<(), &'static str> {
        let collected = point.collect(attributes, base, own, self).and_then(|()| {
            point.add("__name__", "");
            if !own.label.is_empty() {
                point.add(own.label, "");
            }
            if family.is_delta {
                point.add(DELTA.0, DELTA.1);
            }
            point.merge(base)
        });
        match collected {
            Ok(()) => {}
            Err(Obstacle::Collision) => point.rebuild(attributes, base, (family, own), &self.options.naming),
            Err(Obstacle::Refused(reason)) => return Err(reason),
        }
        // What is relabelled is looked at after that.
        if !self.options.relabelled
            && let Some(reason) = point.broken_limit(family, own)
        {
            return Err(reason);
        }
        point.write(self.out);
        Ok(())
    }
}
