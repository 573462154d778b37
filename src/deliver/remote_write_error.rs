//! Remote write errors of AMP, Cortex and Prometheus.
//!
//! The response names the first series that failed; series before and after it may have been stored. Its text is not a
//! contract, so only words are matched that have been stable for years, from Cortex (pkg/util/validation/errors.go,
//! pkg/ingester/ingester.go) and Prometheus (storage/interface.go).

use reqwest::StatusCode;
use serde_json::Value;

/// What AMP did with the samples of a request that it did not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It stored what it could, and named one series that it could not store.
    PartlyStored,
    /// It stored nothing, and would store nothing of the same request later.
    NothingStored,
    /// It stored nothing, and would accept parts of the request.
    TooLarge,
    /// It rejected the caller or the address, and would accept the request after these are corrected.
    AccessDenied,
}

/// Kind of a remote write error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The series already has a different value at this time. Retries do not cause this error, because equal values are
    /// accepted.
    DuplicateSample,
    /// Older than the newest sample of its series, and outside the out-of-order window.
    OutOfOrder,
    /// Older than the backend accepts.
    TooOld,
    TooFarInFuture,
    /// The workspace, the metric or a label set has reached its series limit.
    SeriesLimit,
    /// Invalid label name or value, or too many or too large labels.
    InvalidLabels,
    InvalidExemplar,
    InvalidHistogram,
    /// The workspace exceeds its limit of samples per second. No part of the request is stored.
    IngestionRate,
    /// The API exceeds its limit of requests per second.
    RequestRate,
    /// Another replica of a highly available pair is elected. This is not a failure.
    ReplicaNotElected,
    TooLarge,
    /// Media type or encoding.
    Unsupported,
    /// The request cannot be decompressed or parsed.
    Malformed,
    /// The workspace has reached its limit of highly available pairs.
    TooManyClusters,
    /// Signature, permission or workspace.
    AccessDenied,
    /// 5xx.
    Unavailable,
    Other,
}

/// A parsed error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteWriteError {
    pub kind: ErrorKind,
    /// Series or metric named in the response, verbatim.
    pub series: Option<String>,
    /// Message of the response.
    pub message: String,
}

impl ErrorKind {
    /// Returns the reason label of counters.
    pub fn reason(self) -> &'static str {
        match self {
            ErrorKind::DuplicateSample => "duplicate_sample",
            ErrorKind::OutOfOrder => "out_of_order",
            ErrorKind::TooOld => "too_old",
            ErrorKind::TooFarInFuture => "too_far_in_future",
            ErrorKind::SeriesLimit => "series_limit",
            ErrorKind::InvalidLabels => "invalid_labels",
            ErrorKind::InvalidExemplar => "invalid_exemplar",
            ErrorKind::InvalidHistogram => "invalid_histogram",
            ErrorKind::IngestionRate => "ingestion_rate_limit",
            ErrorKind::RequestRate => "request_rate_limit",
            ErrorKind::ReplicaNotElected => "replica_not_elected",
            ErrorKind::TooLarge => "request_too_large",
            ErrorKind::Unsupported => "unsupported_media_type",
            ErrorKind::Malformed => "malformed_request",
            ErrorKind::TooManyClusters => "too_many_ha_clusters",
            ErrorKind::AccessDenied => "access_denied",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Other => "rejected_by_amp",
        }
    }
}

/// Lower-case words of a message and their meaning. The first entry whose words all occur applies, so specific entries precede
/// general ones.
pub const PATTERNS: &[(&[&str], ErrorKind)] = &[
    (&["replicas did not match"], ErrorKind::ReplicaNotElected),
    (&["too many ha clusters"], ErrorKind::TooManyClusters),
    (&["ingestion rate limit"], ErrorKind::IngestionRate),
    (&["ingestion burst size limit"], ErrorKind::IngestionRate),
    (&["rate limit", "exceeded while adding"], ErrorKind::IngestionRate),
    (&["rate exceeded"], ErrorKind::RequestRate),
    (&["throttl"], ErrorKind::RequestRate),
    (&["too many requests"], ErrorKind::RequestRate),
    (&["series limit"], ErrorKind::SeriesLimit),
    (&["maximum active series"], ErrorKind::SeriesLimit),
    (&["exemplar"], ErrorKind::InvalidExemplar),
    (&["duplicate sample"], ErrorKind::DuplicateSample),
    (&["new-value-for-timestamp"], ErrorKind::DuplicateSample),
    (&["duplicate label"], ErrorKind::InvalidLabels),
    (&["too old"], ErrorKind::TooOld),
    (&["sample-too-old"], ErrorKind::TooOld),
    (&["greater_than_max_sample_age"], ErrorKind::TooOld),
    (&["out of order"], ErrorKind::OutOfOrder),
    (&["out-of-order"], ErrorKind::OutOfOrder),
    (&["too new"], ErrorKind::TooFarInFuture),
    (&["too far in the future"], ErrorKind::TooFarInFuture),
    (&["too-far-in-future"], ErrorKind::TooFarInFuture),
    (&["out of bounds"], ErrorKind::TooOld),
    (&["histogram"], ErrorKind::InvalidHistogram),
    (&["label"], ErrorKind::InvalidLabels),
    (&["metric name"], ErrorKind::InvalidLabels),
    (&["snappy"], ErrorKind::Malformed),
    (&["proto"], ErrorKind::Malformed),
    (&["unmarshal"], ErrorKind::Malformed),
    (&["unexpected eof"], ErrorKind::Malformed),
];

/// Whether a response with a retryable status is about the series of the request: a retry would not be accepted. AMP returns 429
/// for series limits (Amazon Managed Service for Prometheus User Guide, "Troubleshooting": "429 or limit exceeded errors"), as
/// Cortex did before https://github.com/cortexproject/cortex/pull/3833.
pub fn is_permanent(status: StatusCode, body: &str) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        && matches!(parse(status.as_u16(), body).kind, ErrorKind::SeriesLimit | ErrorKind::TooManyClusters)
}

impl RemoteWriteError {
    /// Returns what AMP did with the samples. An error that names a series comes from an ingester, which stores the other
    /// samples of the request (https://github.com/cortexproject/cortex/pull/273; pkg/ingester/ingester.go, "partial"); an error
    /// about the request comes from the distributor or from a proxy before it.
    pub fn effect(&self, status: u16) -> Effect {
        match self.kind {
            ErrorKind::DuplicateSample
            | ErrorKind::OutOfOrder
            | ErrorKind::TooOld
            | ErrorKind::TooFarInFuture
            | ErrorKind::SeriesLimit
            | ErrorKind::InvalidLabels
            | ErrorKind::InvalidExemplar
            | ErrorKind::InvalidHistogram
                if matches!(status, 400 | 429) =>
            {
                Effect::PartlyStored
            }
            ErrorKind::TooLarge => Effect::TooLarge,
            ErrorKind::AccessDenied => Effect::AccessDenied,
            _ => Effect::NothingStored,
        }
    }
}

/// Parses a response with a status other than 200.
pub fn parse(status: u16, body: &str) -> RemoteWriteError {
    let message = message(body);
    let series = named_series(&message);
    RemoteWriteError { kind: kind(status, &message), series, message }
}

fn kind(status: u16, message: &str) -> ErrorKind {
    match status {
        202 => return ErrorKind::ReplicaNotElected,
        401 | 403 | 404 => return ErrorKind::AccessDenied,
        413 => return ErrorKind::TooLarge,
        415 => return ErrorKind::Unsupported,
        500.. => return ErrorKind::Unavailable,
        _ => {}
    }
    // The name of a series must not affect the kind of error.
    let message = message_without_quotes(message).to_lowercase();
    let pattern = PATTERNS.iter().find(|(words, _)| words.iter().all(|word| message.contains(word)));
    match pattern {
        Some(&(_, kind)) => kind,
        None if status == 429 => ErrorKind::RequestRate,
        None => ErrorKind::Other,
    }
}

/// Returns the text of the response, or its `message` or `error` field if it is JSON.
fn message(body: &str) -> String {
    let body = body.trim();
    let Ok(Value::Object(fields)) = serde_json::from_str(body) else { return body.to_owned() };
    let text = ["message", "Message", "error"].iter().find_map(|name| fields.get(*name)?.as_str());
    text.unwrap_or(body).to_owned()
}

/// Returns the message without text in double quotes and label sets in braces.
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

/// Returns the label set in braces with its metric name, if any; otherwise the quoted text after `metric`.
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

/// Returns the length of the text through the brace that closes the first one.
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
    fn bodies_are_parsed_into_kind_and_series() {
        let quorum = "maxFailure (quorum) on a given error family, rpc error: code = Code(400) desc = ";
        let at = "timestamp=2026-11-23T01:00:00Z";
        for (status, body, kind, series) in [
            (
                202,
                "replicas did not match, rejecting sample: replica=b, elected=a".to_owned(),
                ErrorKind::ReplicaNotElected,
                None,
            ),
            (
                400,
                format!("{quorum}user=1: err: duplicate sample for timestamp. {at}, series={SERIES}"),
                ErrorKind::DuplicateSample,
                Some(SERIES),
            ),
            (
                400,
                format!("user=1: err: out of order sample. {at}, series={SERIES}"),
                ErrorKind::OutOfOrder,
                Some(SERIES),
            ),
            (
                400,
                format!("user=1: err: too old sample. {at}, series={{__name__=\"up\"}}"),
                ErrorKind::TooOld,
                Some("{__name__=\"up\"}"),
            ),
            (400, "timestamp too old: 1700000000000 metric: \"up\"".to_owned(), ErrorKind::TooOld, Some("up")),
            (400, "out of bounds".to_owned(), ErrorKind::TooOld, None),
            (400, "timestamp too new: 1900000000000 metric: \"up\"".to_owned(), ErrorKind::TooFarInFuture, Some("up")),
            (
                400,
                format!("per-user series limit of 5 exceeded (local limit: 5) {SERIES}"),
                ErrorKind::SeriesLimit,
                Some(SERIES),
            ),
            (400, "per-metric series limit of 5 exceeded".to_owned(), ErrorKind::SeriesLimit, None),
            (400, "per-labelset series limit of 5 exceeded".to_owned(), ErrorKind::SeriesLimit, None),
            (
                400,
                format!("series has too many labels (actual: 151, limit: 150) series: '{SERIES}'"),
                ErrorKind::InvalidLabels,
                Some(SERIES),
            ),
            (
                400,
                "label value too long (actual: 3000, limit: 2048) metric: \"up\"".to_owned(),
                ErrorKind::InvalidLabels,
                Some("up"),
            ),
            (
                400,
                "labels size bytes exceeded for metric (actual: 8000, limit: 7168) metric: \"up\"".to_owned(),
                ErrorKind::InvalidLabels,
                Some("up"),
            ),
            (400, "sample invalid label: \"a.b\" metric \"up\"".to_owned(), ErrorKind::InvalidLabels, Some("up")),
            (400, "sample invalid metric name: \"a.b\"".to_owned(), ErrorKind::InvalidLabels, Some("a.b")),
            (400, "sample missing metric name".to_owned(), ErrorKind::InvalidLabels, None),
            (400, "duplicate label name: \"a\" metric \"up\"".to_owned(), ErrorKind::InvalidLabels, Some("up")),
            (
                400,
                format!("exemplar missing labels, timestamp: 5 series: {SERIES} labels: {{}}"),
                ErrorKind::InvalidExemplar,
                Some(SERIES),
            ),
            (
                400,
                format!("invalid native histogram: 5 observations in buckets, count is 4, series={SERIES}"),
                ErrorKind::InvalidHistogram,
                Some(SERIES),
            ),
            (
                400,
                format!("user=1: err: out of order sample. {at}, series={{__name__=\"exemplar_histogram\"}}"),
                ErrorKind::OutOfOrder,
                Some("{__name__=\"exemplar_histogram\"}"),
            ),
            (400, "an unknown error".to_owned(), ErrorKind::Other, None),
            (401, "no".to_owned(), ErrorKind::AccessDenied, None),
            (
                403,
                r#"{"message":"The security token included in the request is expired"}"#.to_owned(),
                ErrorKind::AccessDenied,
                None,
            ),
            (413, String::new(), ErrorKind::TooLarge, None),
            (415, "unsupported proto version".to_owned(), ErrorKind::Unsupported, None),
            (429, r#"{"message":"Rate exceeded"}"#.to_owned(), ErrorKind::RequestRate, None),
            (429, String::new(), ErrorKind::RequestRate, None),
            (
                429,
                "ingestion rate limit (70000) exceeded while adding 500 samples and 3 metadata".to_owned(),
                ErrorKind::IngestionRate,
                None,
            ),
            (429, "per-user series limit of 5 exceeded".to_owned(), ErrorKind::SeriesLimit, None),
            (500, "at least 2 live replicas required".to_owned(), ErrorKind::Unavailable, None),
            (503, "too many inflight push requests".to_owned(), ErrorKind::Unavailable, None),
        ] {
            let error = parse(status, &body);
            assert_eq!((error.kind, error.series.as_deref()), (kind, series), "{status} {body}");
        }
    }

    #[test]
    fn status_and_message_determine_what_was_stored() {
        for (status, body, effect) in [
            (400, "err: out of order sample. series={__name__=\"up\"}", Effect::PartlyStored),
            (400, "err: duplicate sample for timestamp. series={__name__=\"up\"}", Effect::PartlyStored),
            (400, "timestamp too old: 1700000000000 metric: \"up\"", Effect::PartlyStored),
            (400, "series has too many labels (actual: 151, limit: 150) series: 'up{}'", Effect::PartlyStored),
            (400, "per-user series limit of 5 exceeded", Effect::PartlyStored),
            (429, "per-user series limit of 5 exceeded", Effect::PartlyStored),
            (
                429,
                "per-metric series limit of 5 exceeded, please contact administrator to raise it",
                Effect::PartlyStored,
            ),
            (429, "too many HA clusters (limit: 500)", Effect::NothingStored),
            (400, "snappy: corrupt input", Effect::NothingStored),
            (400, "proto: WriteRequest: illegal tag 0", Effect::NothingStored),
            (400, "Bad Request", Effect::NothingStored),
            (400, "", Effect::NothingStored),
            (415, "unsupported media type", Effect::NothingStored),
            (422, "cannot process", Effect::NothingStored),
            (413, "request body too large", Effect::TooLarge),
            (403, "{\"message\":\"Forbidden\"}", Effect::AccessDenied),
            (404, "workspace not found", Effect::AccessDenied),
        ] {
            assert_eq!(parse(status, body).effect(status), effect, "{status} {body}");
        }
    }

    #[test]
    fn only_rate_limits_are_retried() {
        for (status, body, expected) in [
            (429, "per-user series limit (local limit: 0 global limit: 5) exceeded", true),
            (429, "per-labelset series limit of 5 exceeded", true),
            (429, "ingestion rate limit (70000) exceeded while adding 500 samples and 3 metadata", false),
            (429, "ingestion burst size limit (5) exceeded", false),
            (429, r#"{"message":"Rate exceeded"}"#, false),
            (429, "", false),
            (503, "per-user series limit of 5 exceeded", false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(is_permanent(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn message_is_extracted_from_json() {
        assert_eq!(parse(429, r#"{"message":"Rate exceeded"}"#).message, "Rate exceeded");
        assert_eq!(parse(400, r#"{"status":"error","error":"out of order sample"}"#).kind, ErrorKind::OutOfOrder);
        assert_eq!(parse(400, "{").series, None);
    }
}
