//! Parser of expositions.
//!
//! One parser handles both formats, because their tokens are the same. The whitespace between tokens differs: text 0.0.4
//! allows any amount, OpenMetrics exactly one space. OpenMetrics has no comments and ends with `# EOF`. Sources: "Exposition
//! formats" of the Prometheus documentation and the OpenMetrics 1.0 specification. Where Prometheus' own parser
//! (`model/textparse`) is laxer or stricter, its behaviour is used.

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use super::cursor::SyntaxError;
use super::cursor::{Cursor, quoted};
pub use super::entry::{Entry, MetadataEntry, MetadataValue, ParsedExemplar, ParsedSample};
pub use super::labels::Label;
use super::labels::{braces, string, unescaped};
use super::layout::{LayoutReader, Line, MissingLines};
use super::number::{self, NumberError};
use crate::model::exposition::Format;
use crate::model::series::MetadataKind;

/// Up to this number of labels, duplicates are found by comparing all pairs, which allocates no memory.
const FEW_LABELS: usize = 16;

/// Parser of an exposition. It cannot continue after an error.
pub struct Parser<'a> {
    cursor: Cursor<'a>,
    format: Format,
    sample_start: Cursor<'a>,
    /// Whether whitespace precedes the last sample.
    is_indented: bool,
    /// Kept between lines to reuse the memory.
    labels: Vec<Label<'a>>,
    exemplar_labels: Vec<Label<'a>>,
    layout: Option<LayoutReader<'a>>,
    /// Line of the layout that the last sample has. It was not parsed, so its name and labels are empty.
    line: Option<Line<'a>>,
    /// End of the series of the last sample.
    series_end: Cursor<'a>,
}

/// Value and time of an exemplar.
type ValueAndTime = (f64, Option<i64>);

impl<'a> Parser<'a> {
    pub fn new(body: &'a [u8], format: Format) -> Self {
        let cursor = Cursor::new(body);
        Self {
            cursor,
            format,
            sample_start: cursor,
            is_indented: false,
            labels: Vec::new(),
            exemplar_labels: Vec::new(),
            layout: None,
            line: None,
            series_end: cursor,
        }
    }

    /// Does not parse the series of lines that a layout has.
    pub(super) fn with_layout(self, layout: Option<LayoutReader<'a>>) -> Self {
        Self { layout, ..self }
    }

    /// Returns the line of the layout that the last sample has.
    pub(super) fn last_line(&self) -> Option<Line<'a>> {
        self.line
    }

    /// Returns the text of the series of the last sample, and its labels, if the layout has no line for it.
    pub(super) fn last_series(&mut self) -> (&'a [u8], &mut Vec<Label<'a>>) {
        (self.series_end.since(self.sample_start), &mut self.labels)
    }

    pub(super) fn layout(&self) -> Option<&LayoutReader<'a>> {
        self.layout.as_ref()
    }

    /// Returns the lines of the layout that the exposition does not have.
    pub(super) fn missing_lines(self) -> MissingLines {
        self.layout.map(LayoutReader::finish).unwrap_or_default()
    }

    /// Returns the next entry, or `None` at the end of the exposition.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'a, '_>>, SyntaxError> {
        match self.format {
            Format::Text => self.next_text_entry(),
            Format::OpenMetrics => self.next_open_metrics_entry(),
        }
    }

    /// Returns the error of the last sample if it is syntactically valid but unusable: it has a duplicate label (the metric
    /// name is the label `__name__`), or whitespace before its name, which Prometheus reads as a part of the name.
    pub fn validate_sample(&self) -> Option<SyntaxError> {
        if self.is_indented {
            return Some(self.sample_start.error("whitespace before the metric name"));
        }
        let is_duplicate = |(at, label): (usize, &Label)| {
            label.name == "__name__" || self.labels.iter().take(at).any(|before| before.name == label.name)
        };
        let repeated = if self.labels.len() <= FEW_LABELS {
            self.labels.iter().enumerate().find(|&label| is_duplicate(label)).map(|(_, label)| label)
        } else {
            let mut names = BTreeSet::from(["__name__"]);
            self.labels.iter().find(|label| !names.insert(label.name.as_ref()))
        };
        let name = &repeated?.name;
        Some(self.sample_start.error(format!("duplicate label {}", quoted(name.as_bytes()))))
    }

    fn next_text_entry(&mut self) -> Result<Option<Entry<'a, '_>>, SyntaxError> {
        loop {
            self.is_indented = !self.cursor.skip_whitespace().is_empty();
            match self.cursor.peek() {
                None => return Ok(None),
                Some(b'\n') => self.cursor.skip(1),
                Some(b'#') => {
                    if let Some(metadata) = self.text_metadata()? {
                        return Ok(Some(Entry::Metadata(metadata)));
                    }
                }
                Some(_) => return self.sample().map(Some),
            }
        }
    }

    /// Parses a line that starts with `#`. Returns `None` for a comment.
    fn text_metadata(&mut self) -> Result<Option<MetadataEntry<'a>>, SyntaxError> {
        let cursor = &mut self.cursor;
        cursor.skip(1);
        let has_gap = !cursor.skip_whitespace().is_empty();
        let keyword = *[&b"HELP"[..], b"TYPE"]
            .iter()
            .find(|word| has_gap && cursor.rest().starts_with(word))
            .unwrap_or(&&b""[..]);
        let mut next = *cursor;
        next.skip(keyword.len());
        if keyword.is_empty() || next.skip_whitespace().is_empty() {
            cursor.line();
            return Ok(None);
        }
        *cursor = next;
        let family = self.family(keyword)?;
        // Like Prometheus, skip one byte between name and text, whichever it is.
        let text = self.cursor.line().get(1..).unwrap_or_default();
        self.metadata(keyword, family, text).map(Some)
    }

    fn next_open_metrics_entry(&mut self) -> Result<Option<Entry<'a, '_>>, SyntaxError> {
        if self.cursor.peek() != Some(b'#') {
            return if self.cursor.is_at_end() { Err(self.unfinished()) } else { self.sample().map(Some) };
        }
        if self.cursor.consume(b"# EOF") {
            self.cursor.consume(b"\n");
            return if self.cursor.is_at_end() { Ok(None) } else { Err(self.cursor.error("content after # EOF")) };
        }
        let Some(keyword) = [&b"HELP"[..], b"TYPE", b"UNIT"].into_iter().find(|word| self.keyword(word)) else {
            return Err(self.cursor.expected("# HELP, # TYPE, # UNIT or # EOF"));
        };
        let family = self.family(keyword)?;
        if !self.cursor.consume(b" ") {
            return Err(self.cursor.expected("a space and text"));
        }
        let text = self.cursor.line();
        if self.cursor.is_at_end() {
            return Err(self.unfinished());
        }
        Ok(Some(Entry::Metadata(self.metadata(keyword, family, text)?)))
    }

    /// Skips `# WORD ` if it comes next. Returns whether it did.
    fn keyword(&mut self, word: &[u8]) -> bool {
        let mut ahead = self.cursor;
        let is_next = ahead.consume(b"# ") && ahead.consume(word) && ahead.consume(b" ");
        if is_next {
            self.cursor = ahead;
        }
        is_next
    }

    fn family(&mut self, keyword: &[u8]) -> Result<Cow<'a, str>, SyntaxError> {
        if self.cursor.peek() == Some(b'"') {
            return string(&mut self.cursor, self.format);
        }
        let name = self.cursor.name(true);
        if name.is_empty() {
            let expected = format!("a metric name after {}", String::from_utf8_lossy(keyword));
            return Err(self.cursor.expected(&expected));
        }
        Ok(name)
    }

    /// Parses the text after `# HELP`, `# TYPE` or `# UNIT`. The cursor is at the end of the line.
    fn metadata(
        &mut self,
        keyword: &[u8],
        family: Cow<'a, str>,
        text: &'a [u8],
    ) -> Result<MetadataEntry<'a>, SyntaxError> {
        let Ok(text) = str::from_utf8(text) else {
            return Err(self.cursor.error(format!("invalid UTF-8 in {}", quoted(text))));
        };
        let value = match keyword {
            b"HELP" => MetadataValue::Help(unescaped(text, self.format == Format::OpenMetrics)),
            b"TYPE" => match metric_type(text, self.format) {
                Some(kind) => MetadataValue::Type(kind),
                None => return Err(self.cursor.error(format!("invalid metric type {}", quoted(text.as_bytes())))),
            },
            _ if is_unit_of(text, &family) => MetadataValue::Unit(Cow::Borrowed(text)),
            _ => {
                let (unit, family) = (quoted(text.as_bytes()), quoted(family.as_bytes()));
                return Err(self.cursor.error(format!("unit {unit} is not a suffix of the metric name {family}")));
            }
        };
        self.cursor.skip(1);
        Ok(MetadataEntry { family, value })
    }

    fn sample(&mut self) -> Result<Entry<'a, '_>, SyntaxError> {
        self.labels.clear();
        self.exemplar_labels.clear();
        self.sample_start = self.cursor;
        let rest = self.cursor.rest();
        self.line = self.layout.as_mut().and_then(|layout| layout.next_if_in(rest));
        let name = match self.line {
            Some(line) => {
                self.cursor.skip(line.text().len());
                Cow::Borrowed("")
            }
            None => self.series()?,
        };
        let (value, timestamp_ms, exemplar) = match self.format {
            Format::Text => {
                let (value, timestamp_ms) = self.text_value()?;
                (value, timestamp_ms, None)
            }
            Format::OpenMetrics => self.open_metrics_value()?,
        };
        let labels = &mut self.exemplar_labels;
        let exemplar = exemplar.map(|(value, timestamp_ms)| ParsedExemplar { labels, value, timestamp_ms });
        Ok(Entry::Sample(ParsedSample { name, labels: &mut self.labels, value, timestamp_ms, exemplar }))
    }

    /// Parses the name and the labels of a sample. Returns the name.
    fn series(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        let mut name = self.cursor.name(true);
        if name.is_empty() && self.cursor.peek() != Some(b'{') {
            return Err(self.cursor.expected("a metric name"));
        }
        self.series_end = self.cursor;
        if self.format == Format::Text {
            self.cursor.skip_whitespace();
        }
        if self.cursor.consume(b"{") {
            braces(&mut self.cursor, self.format, &mut self.labels, Some(&mut name))?;
            self.series_end = self.cursor;
        }
        if name.is_empty() {
            return Err(self.sample_start.error("sample without a metric name"));
        }
        let text = self.series_end.since(self.sample_start);
        self.line = self.layout.as_mut().and_then(|layout| layout.skip_to(text));
        Ok(name)
    }

    fn text_value(&mut self) -> Result<(f64, Option<i64>), SyntaxError> {
        let cursor = &mut self.cursor;
        cursor.skip_whitespace();
        let start = *cursor;
        let text = cursor.take_while(|byte| !matches!(byte, b'{' | b' ' | b'\t' | b'\n'));
        if text.is_empty() {
            return Err(cursor.expected("a value"));
        }
        let value =
            number::float(text).map_err(|error| start.error(format!("invalid value {}: {error}", quoted(text))))?;
        cursor.skip_whitespace();
        let start = *cursor;
        let digits = cursor.take_while(|byte| byte.is_ascii_digit());
        cursor.skip_whitespace();
        if !matches!(cursor.peek(), None | Some(b'\n')) {
            return Err(start.expected("a timestamp in digits or the end of the line"));
        }
        cursor.skip(1);
        if digits.is_empty() {
            return Ok((value, None));
        }
        let timestamp = number::milliseconds(digits);
        let timestamp =
            timestamp.map_err(|error| start.error(format!("invalid timestamp {}: {error}", quoted(digits))))?;
        Ok((value, Some(timestamp)))
    }

    fn open_metrics_value(&mut self) -> Result<(f64, Option<i64>, Option<ValueAndTime>), SyntaxError> {
        let value = self.token("value", number::float)?;
        let mut timestamp_ms = None;
        if self.cursor.peek() == Some(b' ') && !self.cursor.rest().starts_with(b" # {") {
            timestamp_ms = Some(self.token("timestamp", number::seconds_to_ms)?);
        }
        let mut exemplar = None;
        if self.cursor.consume(b" # {") {
            braces(&mut self.cursor, self.format, &mut self.exemplar_labels, None)?;
            let value = self.token("exemplar value", number::float)?;
            let is_timed = self.cursor.peek() == Some(b' ');
            let time = is_timed.then(|| self.token("exemplar timestamp", number::seconds_to_ms)).transpose()?;
            exemplar = Some((value, time));
        }
        if self.cursor.is_at_end() {
            return Err(self.unfinished());
        }
        if !self.cursor.consume(b"\n") {
            return Err(self.cursor.expected("the end of the line"));
        }
        Ok((value, timestamp_ms, exemplar))
    }

    /// Parses one space and a number.
    fn token<T>(&mut self, noun: &str, parse: impl Fn(&[u8]) -> Result<T, NumberError>) -> Result<T, SyntaxError> {
        let cursor = &mut self.cursor;
        if !cursor.consume(b" ") {
            return Err(cursor.expected(&format!("a space and the {noun}")));
        }
        let start = *cursor;
        let text = cursor.take_while(|byte| !matches!(byte, b' ' | b'\n'));
        if text.is_empty() {
            return Err(cursor.expected(&format!("the {noun} after one space")));
        }
        parse(text).map_err(|error| start.error(format!("invalid {noun} {}: {error}", quoted(text))))
    }

    fn unfinished(&self) -> SyntaxError {
        self.cursor.error("missing # EOF at the end of the exposition")
    }
}

fn metric_type(word: &str, format: Format) -> Option<MetadataKind> {
    let is_open_metrics = format == Format::OpenMetrics;
    Some(match word {
        "counter" => MetadataKind::Counter,
        "gauge" => MetadataKind::Gauge,
        "histogram" => MetadataKind::Histogram,
        "summary" => MetadataKind::Summary,
        "untyped" if !is_open_metrics => MetadataKind::Unknown,
        "unknown" if is_open_metrics => MetadataKind::Unknown,
        "gaugehistogram" if is_open_metrics => MetadataKind::GaugeHistogram,
        "info" if is_open_metrics => MetadataKind::Info,
        "stateset" if is_open_metrics => MetadataKind::StateSet,
        _ => return None,
    })
}

/// Returns whether a unit is the last word of a family name. An empty unit is valid for every family.
fn is_unit_of(unit: &str, family: &str) -> bool {
    unit.is_empty() || family.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}
