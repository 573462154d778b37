//! Parses stack traces into frames and chained exceptions.
//!
//! The format depends on the language. SDKs record the text in `exception.stacktrace`. In adot mode, the result is
//! the same as in the collector (awsxrayexporter, `internal/translator/cause.go`), but no input causes a panic.

mod dotnet;
mod go;
mod java;
mod javascript;
mod python;
mod ruby;
mod rust;
mod text;
mod trace;

pub use self::trace::{CauseException, StackFrame, StackTrace};
use crate::translate::Compat;

/// The format of a stack trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Java,
    Python,
    JavaScript,
    DotNet,
    Go,
    Rust,
    Ruby,
    Unknown,
}

impl Language {
    /// Returns the format for a value of `telemetry.sdk.language`. PHP uses the format of Java.
    pub fn from_sdk_language(language: &[u8], compat: Compat) -> Language {
        match language {
            b"java" | b"php" => Language::Java,
            b"python" => Language::Python,
            b"javascript" => Language::JavaScript,
            b"dotnet" => Language::DotNet,
            b"go" => Language::Go,
            _ if compat.knows_fewer_languages() => Language::Unknown,
            b"nodejs" | b"webjs" => Language::JavaScript,
            b"rust" => Language::Rust,
            b"ruby" => Language::Ruby,
            _ => Language::Unknown,
        }
    }
}

/// Maximum length of a stack trace, in bytes and in lines. Those of real exceptions have some hundred lines, and a document has space
/// for two thousand frames.
const MAX_BYTES: usize = 512 << 10;
const MAX_LINES: usize = 16_384;

/// Returns the part of a stack trace within the limits that is closest to the deepest call, and the number of other lines.
pub(super) fn limited(language: Language, text: &str) -> (&str, u64) {
    if text.len() <= MAX_LINES || language == Language::Unknown {
        return (text, 0);
    }
    let (kept, other) = if language == Language::Python {
        let line = text.rmatch_indices('\n').nth(MAX_LINES).map_or(0, |(at, _)| at + 1);
        let start = text.ceil_char_boundary(line.max(text.len().saturating_sub(MAX_BYTES)));
        let (other, kept) = text.split_at_checked(start).unwrap_or(("", text));
        (kept, other)
    } else {
        let line = text.match_indices('\n').nth(MAX_LINES - 1).map_or(text.len(), |(at, _)| at + 1);
        let end = text.floor_char_boundary(line.min(MAX_BYTES));
        text.split_at_checked(end).unwrap_or((text, ""))
    };
    (kept, other.lines().count() as u64)
}

/// Parses a stack trace. Lines in another format are ignored.
pub fn parse(language: Language, text: &str, compat: Compat) -> StackTrace<'_> {
    if text.is_empty() {
        return StackTrace::default();
    }
    match language {
        Language::Java => java::parse(text, compat),
        Language::Python if compat.reads_python_upwards() => python::parse_upwards(text),
        Language::Python => python::parse(text),
        Language::JavaScript => javascript::parse(text, compat),
        Language::DotNet => dotnet::parse(text, compat),
        Language::Go => go::parse(text, compat),
        Language::Rust => rust::parse(text),
        Language::Ruby => ruby::parse(text),
        Language::Unknown => StackTrace::default(),
    }
}

#[cfg(test)]
mod tests;
