//! Format of a log line: a JSON object with time, level, message and fields.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line_limit::LineLimit;
use crate::model::shortened::shortened;

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
        if !self.lines.take(&metadata.callsite(), *metadata.level() == Level::ERROR) {
            return Ok(());
        }
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields { line: String::new() };
        fields.add("timestamp", &time);
        fields.add("level", metadata.level().as_str());
        event.record(&mut fields);
        writeln!(writer, "{{{}}}", fields.line)
    }
}

/// The members of the object.
struct Fields {
    line: String,
}

impl Fields {
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
        self.add(field.name(), &shortened(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &shortened(format_args!("{value:?}")));
    }
}
