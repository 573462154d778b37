//! Entries of an exposition.

use std::borrow::Cow;

use super::labels::Label;
use crate::model::series::MetadataKind;

/// A line that is neither empty nor a comment.
#[derive(Debug, PartialEq)]
pub enum Entry<'a, 'p> {
    Metadata(MetadataEntry<'a>),
    Sample(ParsedSample<'a, 'p>),
}

/// Metadata line of a metric family.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataEntry<'a> {
    pub family: Cow<'a, str>,
    pub value: MetadataValue<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MetadataValue<'a> {
    Help(Cow<'a, str>),
    Type(MetadataKind),
    /// OpenMetrics only.
    Unit(Cow<'a, str>),
}

#[derive(Debug, PartialEq)]
pub struct ParsedSample<'a, 'p> {
    pub name: Cow<'a, str>,
    /// In the order of the exposition. Names are not necessarily unique, see `Parser::validate_sample`.
    pub labels: &'p mut Vec<Label<'a>>,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
    /// OpenMetrics only.
    pub exemplar: Option<ParsedExemplar<'a, 'p>>,
}

/// Exemplar of a sample.
#[derive(Debug, PartialEq)]
pub struct ParsedExemplar<'a, 'p> {
    pub labels: &'p mut Vec<Label<'a>>,
    pub value: f64,
    pub timestamp_ms: Option<i64>,
}
