//! Layout of a point's labels, which the next point with the same attribute keys uses again.
//!
//! The points of a metric, and mostly those of a scope, have the same keys. Names are then converted, sorted and compared with the shared
//! labels once, and only values are read for each point (docs/performance.md).

use std::ops::Range;

use super::super::long_text::write_limited;
use super::piece::{LabelPiece, PointInput, push_own};
use crate::model::otlp::borrowed::KeyValue;
use crate::model::series::encode_label;

/// Layout of the labels of a point.
#[derive(Debug, Default)]
pub(super) struct LabelPlan {
    is_valid: bool,
    /// Keys of the attributes, one after the other.
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    reserved: &'static str,
    /// Label names, one after the other.
    names: String,
    steps: Vec<Step>,
}

/// Next labels of the series, in the order of their names.
#[derive(Clone, Debug)]
enum Step {
    Piece(LabelPiece),
    /// Attribute at this position, with a name in `names`.
    Attribute(usize, Range<usize>),
}

impl LabelPlan {
    /// Forgets the layout, which belongs to a scope.
    pub(super) fn clear(&mut self) {
        self.is_valid = false;
    }

    /// Starts a layout for the points with the keys of this one.
    pub(super) fn start(&mut self, input: &PointInput<'_>) {
        self.clear();
        self.keys.clear();
        self.key_ends.clear();
        for attribute in input.attributes {
            self.keys.extend_from_slice(attribute.key);
            self.key_ends.push(self.keys.len());
        }
        self.reserved = input.reserved.label;
        self.names.clear();
        self.steps.clear();
    }

    /// Adds labels that are the same for all points.
    pub(super) fn push(&mut self, piece: LabelPiece) {
        self.steps.push(Step::Piece(piece));
    }

    /// Adds the label of an attribute.
    pub(super) fn push_attribute(&mut self, at: usize, name: &str) {
        let start = self.names.len();
        self.names.push_str(name);
        self.steps.push(Step::Attribute(at, start..self.names.len()));
    }

    /// Ends the layout. It is valid for other points only if each attribute has a label.
    pub(super) fn finish(&mut self, input: &PointInput<'_>) {
        let labels = self.steps.iter().filter(|step| matches!(step, Step::Attribute(..))).count();
        // Deltas have a label that is not an attribute.
        self.is_valid = labels == self.key_ends.len() && !input.is_delta;
    }

    /// Returns whether the labels of a point have this layout, unless one of its values is empty or too long.
    pub(super) fn fits(&self, input: &PointInput<'_>) -> bool {
        self.is_valid
            && self.key_ends.len() == input.attributes.len()
            && self.reserved == input.reserved.label
            && !input.is_delta
            && self.has_keys(input.attributes)
    }

    fn has_keys(&self, attributes: &[KeyValue<'_>]) -> bool {
        let mut rest = self.keys.as_slice();
        let (mut start, mut is_same) = (0, true);
        for (attribute, end) in attributes.iter().zip(&self.key_ends) {
            let Some((key, after)) = rest.split_at_checked(end - start) else { return false };
            is_same = is_same && key == attribute.key;
            (rest, start) = (after, *end);
        }
        is_same
    }

    /// Writes the labels of a point. Returns `false` if a value is empty or too long, so that the layout does not apply.
    pub(super) fn write(
        &self,
        input: &PointInput<'_>,
        value: &mut String,
        bytes: &mut Vec<u8>,
        pieces: &mut Vec<LabelPiece>,
    ) -> bool {
        bytes.clear();
        pieces.clear();
        for step in &self.steps {
            let (at, name) = match step {
                Step::Piece(piece) => {
                    pieces.push(piece.clone());
                    continue;
                }
                Step::Attribute(at, name) => (*at, name.clone()),
            };
            value.clear();
            let attribute = input.attributes.get(at).and_then(|attribute| attribute.value.as_ref());
            if write_limited(attribute, input.long_labels, value).is_some() || value.is_empty() {
                return false;
            }
            let start = bytes.len();
            encode_label(bytes, self.names.get(name).unwrap_or_default(), value);
            push_own(start..bytes.len(), pieces);
        }
        true
    }
}
