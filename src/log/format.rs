//! Format of a log line: a JSON object with time, level, message and fields.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line_limit::LineLimit;
use crate::model::shortened::shortened_to;

/// Formats events as JSON, within the limit of lines.
pub(super) struct JsonLine {
    pub(super) lines: &'static LineLimit,
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let max_text = self.lines.take(&metadata.callsite(), *metadata.level() == Level::ERROR);
        let Some(max_text) = max_text else { return Ok(()) };
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields { line: String::new(), max_text };
        fields.add("timestamp", &time);
        fields.add("level", metadata.level().as_str());
        event.record(&mut fields);
        self.lines.add_bytes(fields.line.len());
        writeln!(writer, "{{{}}}", fields.line)
    }
}

/// The members of the object.
struct Fields {
    line: String,
    /// Maximum length of a text in bytes.
    max_text: usize,
}

impl Fields {
    /// Adds a text that is shortened. JSON has two bytes for a quotation mark and for a backslash.
    fn add_text(&mut self, name: &str, text: impl fmt::Display) {
        let mut text = shortened_to(self.max_text, text);
        let escapes = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        if text.len() + escapes > self.max_text {
            text = shortened_to(self.max_text / 2, text);
        }
        self.add(name, &text);
    }

    fn add<T: serde::Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        // Numbers, booleans and texts can always be written as JSON.
        let (Ok(name), Ok(value)) = (serde_json::to_string(name), serde_json::to_string(value)) else { return };
        if !self.line.is_empty() {
            self.line.push(',');
        }
        self.line.push_str(&name);
        self.line.push(':');
        self.line.push_str(&value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field.name(), format_args!("{value:?}"));
    }
}
