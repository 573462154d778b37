//! What AMP, Cortex or Prometheus says when it does not take a remote write request.
//!
//! The answer names the first series that failed; series before and after it may have been stored. Its text is not a
//! contract, so it is only read for words that have been stable over years: those of Cortex
//! (pkg/util/validation/errors.go, pkg/ingester/ingester.go) and of Prometheus (storage/interface.go).

use serde_json::Value;

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A series has another value at that time already. A retry of ours that arrived before is no such case: equal values
    /// are taken.
    Duplicate,
    /// Older than the newest sample of its series, beyond the window for that.
    OutOfOrder,
    /// Older than the backend keeps open.
    TooOld,
    TooFarAhead,
    /// The workspace, the metric or a label set has as many series as it may.
    SeriesLimit,
    /// A name, a value, their number or their size.
    InvalidLabels,
    InvalidExemplar,
    InvalidHistogram,
    /// More samples per second than the workspace may take: nothing of the request is stored.
    IngestionRate,
    /// More requests per second than the API takes.
    RequestRate,
    /// Another replica of a highly available pair is elected: nothing is wrong.
    OtherReplica,
    TooLarge,
    /// Media type or encoding: remote write 2.0 is not known there.
    Unsupported,
    /// Signature, permission or workspace.
    Access,
    /// 5xx.
    Unavailable,
    Other,
}

/// An answer, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmpError {
    pub kind: Kind,
    /// The series or metric that the answer names, as it names it.
    pub series: Option<String>,
    /// The message in the answer.
    pub message: String,
}

impl Kind {
    /// A stable word for counters.
    pub fn reason(self) -> &'static str {
        match self {
            Kind::Duplicate => "duplicate_sample",
            Kind::OutOfOrder => "out_of_order",
            Kind::TooOld => "too_old",
            Kind::TooFarAhead => "too_far_ahead",
            Kind::SeriesLimit => "series_limit",
            Kind::InvalidLabels => "invalid_labels",
            Kind::InvalidExemplar => "invalid_exemplar",
            Kind::InvalidHistogram => "invalid_histogram",
            Kind::IngestionRate => "ingestion_rate",
            Kind::RequestRate => "request_rate",
            Kind::OtherReplica => "other_replica",
            Kind::TooLarge => "request_too_large",
            Kind::Unsupported => "unsupported_media_type",
            Kind::Access => "access_denied",
            Kind::Unavailable => "unavailable",
            Kind::Other => "refused_by_backend",
        }
    }
}

/// Words of a message, all in lower case, and what they mean. The first line of which all words occur counts, so that the
/// particular stands before the general.
const WORDS: &[(&[&str], Kind)] = &[
    (&["replicas did not match"], Kind::OtherReplica),
    (&["ingestion rate limit"], Kind::IngestionRate),
    (&["rate limit", "exceeded while adding"], Kind::IngestionRate),
    (&["rate exceeded"], Kind::RequestRate),
    (&["throttl"], Kind::RequestRate),
    (&["too many requests"], Kind::RequestRate),
    (&["series limit"], Kind::SeriesLimit),
    (&["maximum active series"], Kind::SeriesLimit),
    (&["exemplar"], Kind::InvalidExemplar),
    (&["duplicate sample"], Kind::Duplicate),
    (&["new-value-for-timestamp"], Kind::Duplicate),
    (&["duplicate label"], Kind::InvalidLabels),
    (&["too old"], Kind::TooOld),
    (&["sample-too-old"], Kind::TooOld),
    (&["greater_than_max_sample_age"], Kind::TooOld),
    (&["out of order"], Kind::OutOfOrder),
    (&["out-of-order"], Kind::OutOfOrder),
    (&["too new"], Kind::TooFarAhead),
    (&["too far in the future"], Kind::TooFarAhead),
    (&["too-far-in-future"], Kind::TooFarAhead),
    (&["out of bounds"], Kind::TooOld),
    (&["histogram"], Kind::InvalidHistogram),
    (&["label"], Kind::InvalidLabels),
    (&["metric name"], Kind::InvalidLabels),
];

/// Reads an answer other than 200.
pub fn read(status: u16, body: &str) -> AmpError {
    let message = message(body);
    let series = named_series(&message);
    AmpError { kind: kind(status, &message), series, message }
}

fn kind(status: u16, message: &str) -> Kind {
    match status {
        202 => return Kind::OtherReplica,
        401 | 403 | 404 => return Kind::Access,
        413 => return Kind::TooLarge,
        415 => return Kind::Unsupported,
        500.. => return Kind::Unavailable,
        _ => {}
    }
    // What a series is called must not decide what is wrong with it.
    let message = message_without_quotes(message).to_lowercase();
    let found = WORDS.iter().find(|(words, _)| words.iter().all(|word| message.contains(word)));
    match found {
        Some(&(_, kind)) => kind,
        None if status == 429 => Kind::RequestRate,
        None => Kind::Other,
    }
}

/// The text of the answer; that of `message` or `error` where it is JSON.
fn message(body: &str) -> String {
    let body = body.trim();
    let Ok(Value::Object(fields)) = serde_json::from_str(body) else { return body.to_owned() };
    let text = ["message", "Message", "error"].iter().find_map(|name| fields.get(*name)?.as_str());
    text.unwrap_or(body).to_owned()
}

/// The message without what it quotes: text in double quotes, and label sets in braces.
fn message_without_quotes(message: &str) -> String {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    let mut out = String::with_capacity(message.len());
    for char in message.chars() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            other if !quoted && depth == 0 => out.push(other),
            _ => {}
        }
    }
    out
}

/// The label set in braces, with a metric name before it if there is one; else what is quoted behind `metric`.
fn named_series(message: &str) -> Option<String> {
    if let Some(open) = message.find('{') {
        let start = message[..open].rfind(|char: char| !is_name_char(char)).map_or(0, |before| before + 1);
        let start = if message.is_char_boundary(start) { start } else { open };
        let length = closing(&message[open..])?;
        return Some(message[start..open + length].to_owned());
    }
    let behind = message.split_once("metric").map(|(_, behind)| behind)?;
    let quoted = behind.split_once('"')?.1;
    let (name, _) = quoted.split_once('"')?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_name_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || char == ':'
}

/// Length of a text up to and with the brace that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted && depth == 1 => return Some(at + 1),
            '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: &str = r#"up{job="a"}"#;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn bodies_are_read_by_kind_and_series() {
        let quorum = "maxFailure (quorum) on a given error family, rpc error: code = Code(400) desc = ";
        let at = "timestamp=2026-11-23T01:00:00Z";
        for (status, body, kind, series) in [
            (
                202,
                "replicas did not match, rejecting sample: replica=b, elected=a".to_owned(),
                Kind::OtherReplica,
                None,
            ),
            (
                400,
                format!("{quorum}user=1: err: duplicate sample for timestamp. {at}, series={SERIES}"),
                Kind::Duplicate,
                Some(SERIES),
            ),
            (400, format!("user=1: err: out of order sample. {at}, series={SERIES}"), Kind::OutOfOrder, Some(SERIES)),
            (
                400,
                format!("user=1: err: too old sample. {at}, series={{__name__=\"up\"}}"),
                Kind::TooOld,
                Some("{__name__=\"up\"}"),
            ),
            (400, "timestamp too old: 1700000000000 metric: \"up\"".to_owned(), Kind::TooOld, Some("up")),
            (400, "out of bounds".to_owned(), Kind::TooOld, None),
            (400, "timestamp too new: 1900000000000 metric: \"up\"".to_owned(), Kind::TooFarAhead, Some("up")),
            (
                400,
                format!("per-user series limit of 5 exceeded (local limit: 5) {SERIES}"),
                Kind::SeriesLimit,
                Some(SERIES),
            ),
            (400, "per-metric series limit of 5 exceeded".to_owned(), Kind::SeriesLimit, None),
            (400, "per-labelset series limit of 5 exceeded".to_owned(), Kind::SeriesLimit, None),
            (
                400,
                format!("series has too many labels (actual: 151, limit: 150) series: '{SERIES}'"),
                Kind::InvalidLabels,
                Some(SERIES),
            ),
            (
                400,
                "label value too long (actual: 3000, limit: 2048) metric: \"up\"".to_owned(),
                Kind::InvalidLabels,
                Some("up"),
            ),
            (
                400,
                "labels size bytes exceeded for metric (actual: 8000, limit: 7168) metric: \"up\"".to_owned(),
                Kind::InvalidLabels,
                Some("up"),
            ),
            (400, "sample invalid label: \"a.b\" metric \"up\"".to_owned(), Kind::InvalidLabels, Some("up")),
            (400, "sample invalid metric name: \"a.b\"".to_owned(), Kind::InvalidLabels, Some("a.b")),
            (400, "sample missing metric name".to_owned(), Kind::InvalidLabels, None),
            (400, "duplicate label name: \"a\" metric \"up\"".to_owned(), Kind::InvalidLabels, Some("up")),
            (
                400,
                format!("exemplar missing labels, timestamp: 5 series: {SERIES} labels: {{}}"),
                Kind::InvalidExemplar,
                Some(SERIES),
            ),
            (
                400,
                format!("invalid native histogram: 5 observations in buckets, count is 4, series={SERIES}"),
                Kind::InvalidHistogram,
                Some(SERIES),
            ),
            (
                400,
                format!("user=1: err: out of order sample. {at}, series={{__name__=\"exemplar_histogram\"}}"),
                Kind::OutOfOrder,
                Some("{__name__=\"exemplar_histogram\"}"),
            ),
            (400, "what nobody has seen yet".to_owned(), Kind::Other, None),
            (401, "no".to_owned(), Kind::Access, None),
            (
                403,
                r#"{"message":"The security token included in the request is expired"}"#.to_owned(),
                Kind::Access,
                None,
            ),
            (413, String::new(), Kind::TooLarge, None),
            (415, "unsupported proto version".to_owned(), Kind::Unsupported, None),
            (429, r#"{"message":"Rate exceeded"}"#.to_owned(), Kind::RequestRate, None),
            (429, String::new(), Kind::RequestRate, None),
            (
                429,
                "ingestion rate limit (70000) exceeded while adding 500 samples and 3 metadata".to_owned(),
                Kind::IngestionRate,
                None,
            ),
            (429, "per-user series limit of 5 exceeded".to_owned(), Kind::SeriesLimit, None),
            (500, "at least 2 live replicas required".to_owned(), Kind::Unavailable, None),
            (503, "too many inflight push requests".to_owned(), Kind::Unavailable, None),
        ] {
            let error = read(status, &body);
            assert_eq!((error.kind, error.series.as_deref()), (kind, series), "{status} {body}");
        }
    }

    #[test]
    fn the_message_is_taken_out_of_json() {
        assert_eq!(read(429, r#"{"message":"Rate exceeded"}"#).message, "Rate exceeded");
        assert_eq!(read(400, r#"{"status":"error","error":"out of order sample"}"#).kind, Kind::OutOfOrder);
        assert_eq!(read(400, "{").series, None);
    }
}
