//! Labels of a point: the resource's and scope's, written once, merged with the point's own.
//!
//! Hot path. What all points of a scope share is encoded once and sorted ([`BaseLabels`]); a point's labels are sorted
//! into it by copying the runs between them ([`PointLabels`]). The place of `__name__`, and of `le` or `quantile`, is only
//! marked, so that the seventeen series of a histogram share one run. Where two attributes come to the same label the
//! whole set is put together anew, with their values joined.

mod base;
mod point;

pub(super) use base::BaseLabels;
pub(super) use point::{PointLabels, ReservedLabel};
