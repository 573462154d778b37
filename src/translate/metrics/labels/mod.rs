//! Labels of a point: the labels of its resource and scope, which are encoded once, merged with its own attributes.
//!
//! Hot path. The labels that all points of a resource share are encoded once ([`ResourceBase`]), those of a scope are added to
//! them ([`BaseLabels`]). The labels of a point
//! are sorted into them by copying the runs in between ([`PointLabels`]). The positions of `__name__`, and of `le` or
//! `quantile`, are only marked, so that the seventeen series of a histogram share one run. If two attributes have the same
//! label name, all labels are built again, with their values joined.

mod base;
mod piece;
mod plan;
mod point;

pub(super) use base::{BaseLabels, ResourceBase, join, unreserved, warn_invalid_label};
pub(super) use piece::{PointInput, ReservedLabel};
pub(super) use point::PointLabels;
