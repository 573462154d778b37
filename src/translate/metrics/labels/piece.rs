//! Input of the labels of a point, and their parts.

use std::ops::Range;

use super::base::BaseLabels;
use crate::model::otlp::borrowed::KeyValue;
use crate::model::series::LabelRun;
use crate::translate::limits::LongLabels;
use crate::translate::names::Naming;

/// The label that the series of a point have in addition to `__name__`.
#[derive(Clone, Copy)]
pub(in super::super) struct ReservedLabel {
    /// `le`, `quantile` or empty.
    pub(in super::super) label: &'static str,
}

/// Input of the labels of a point.
pub(in super::super) struct PointInput<'a> {
    pub(in super::super) attributes: &'a [KeyValue<'a>],
    pub(in super::super) base: &'a BaseLabels<'a>,
    pub(in super::super) reserved: ReservedLabel,
    pub(in super::super) is_delta: bool,
    pub(in super::super) naming: &'a Naming,
    /// Treatment of long labels; `None` if the limits of AMP do not apply to the labels.
    pub(in super::super) long_labels: Option<LongLabels>,
}

/// Part of the labels of a point.
#[derive(Clone, Debug)]
pub(super) enum LabelPiece {
    /// Labels that all points of the scope share.
    Shared(LabelRun),
    /// Labels of the point, in `bytes`.
    Point(Range<usize>),
    /// Position of `__name__`.
    NameSlot,
    /// Position of `le` or `quantile`.
    ReservedSlot,
}

impl LabelPiece {
    pub(super) fn is_slot(&self) -> bool {
        matches!(self, LabelPiece::NameSlot | LabelPiece::ReservedSlot)
    }
}

/// Adds labels of the point. Adjacent labels become one piece.
pub(super) fn push_own(range: Range<usize>, pieces: &mut Vec<LabelPiece>) {
    match pieces.last_mut() {
        Some(LabelPiece::Point(before)) if before.end == range.start => before.end = range.end,
        _ => pieces.push(LabelPiece::Point(range)),
    }
}
