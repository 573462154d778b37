//! What X-Ray takes without the SDK: OTLP, and the sampling calls of X-Ray's remote samplers.
//!
//! OTLP: Amazon CloudWatch User Guide, "OTLP Endpoint". Sampling: AWS X-Ray API Reference, GetSamplingRules and
//! GetSamplingTargets; bodies pass through unread, because samplers differ in how they write times.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::Url;

use crate::aws::client::{PostResult, SigV4Client};
use crate::deadline::Deadline;
use crate::model::otlp::split::{EncodedTraces, RequestLimits, split};
use crate::model::otlp::{ExportResponse, ExportTraceServiceRequest, Span, text};
use crate::model::rejection::Rejections;
use crate::model::sampling::SamplingCall;

/// The service name of X-Ray in SigV4.
const SERVICE: &str = "xray";

/// Spans and bytes per OTLP request: the endpoint's limits are 10,000 and 5 MB.
const OTLP_LIMITS: RequestLimits = RequestLimits { spans: 10_000, bytes: 4_800_000 };

/// The endpoint's limit for one span.
const SPAN_BYTES: usize = 200_000;

/// How far ahead and how far back a span may lie for the endpoint: two hours, and fourteen days.
const MAX_AHEAD_MS: i64 = 2 * 3_600_000;
const MAX_AGE_MS: i64 = 14 * 86_400_000;

/// OTLP requests of one push under way at the same time.
const CONCURRENCY: usize = 4;

/// How long an answer to GetSamplingRules stands: samplers ask every 300 s.
const RULES_TTL_MS: i64 = 300_000;

/// X-Ray's HTTP endpoint in one region.
#[derive(Debug)]
pub struct XRayOtlpClient {
    base: Url,
    post: SigV4Client,
    rules: Mutex<Option<CachedSamplingRules>>,
}

#[derive(Debug)]
struct CachedSamplingRules {
    request: Bytes,
    answer: Bytes,
    fetched_ms: i64,
}

/// What became of pushed spans: `delivered` + `rejected` + the spans of `undelivered` are the spans handed in.
#[derive(Debug, Default)]
pub struct ExportResult {
    pub delivered: u64,
    pub rejected: Rejections,
    pub undelivered: Vec<EncodedTraces>,
    /// What the last attempt failed with, when some are undelivered.
    pub error: Option<String>,
}

impl XRayOtlpClient {
    pub fn new(base: Url, post: SigV4Client) -> Self {
        Self { base, post, rules: Mutex::default() }
    }

    /// Sends spans as OTLP, cut to the endpoint's limits.
    pub async fn export(&self, mut spans: ExportTraceServiceRequest, deadline: &Deadline) -> ExportResult {
        let refused = remove_invalid_spans(&mut spans, deadline.now_ms());
        let exported = self.export_parts(split(spans, OTLP_LIMITS), deadline).await;
        ExportResult { rejected: refused, ..ExportResult::default() }.merge(exported)
    }

    /// Cuts spans as they would be sent, and sends none of them.
    pub fn split_only(&self, mut spans: ExportTraceServiceRequest, why: &str, deadline: &Deadline) -> ExportResult {
        let rejected = remove_invalid_spans(&mut spans, deadline.now_ms());
        ExportResult {
            rejected,
            undelivered: split(spans, OTLP_LIMITS),
            error: Some(why.to_owned()),
            ..ExportResult::default()
        }
    }

    /// Sends requests that were cut to the endpoint's limits.
    pub async fn export_parts(&self, parts: Vec<EncodedTraces>, deadline: &Deadline) -> ExportResult {
        let parts = stream::iter(parts);
        let outcomes = parts.map(|part| self.export_part(part, deadline)).buffer_unordered(CONCURRENCY);
        outcomes.fold(ExportResult::default(), async |sum, outcome| sum.merge(outcome)).await
    }

    async fn export_part(&self, part: EncodedTraces, deadline: &Deadline) -> ExportResult {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        match self.post.post_with_retry(SERVICE, &self.url("/v1/traces"), &headers, &part.body, deadline).await {
            PostResult::Success { body, .. } => {
                let partial = ExportResponse::decode(body).ok().and_then(|response| response.partial_success);
                let (count, message) =
                    partial.map_or((0, String::new()), |partial| (partial.rejected, partial.error_message));
                let count = u64::try_from(count).unwrap_or_default().min(part.spans);
                let mut exported = ExportResult { delivered: part.spans - count, ..ExportResult::default() };
                exported.rejected.add("rejected_by_xray", count, || message);
                exported
            }
            PostResult::Rejected { error, .. } => {
                let mut exported = ExportResult::default();
                exported.rejected.add("rejected_by_xray", part.spans, || format!("X-Ray answered {error}"));
                exported
            }
            PostResult::Retryable { error, .. } => {
                ExportResult { undelivered: vec![part], error: Some(error.detail), ..ExportResult::default() }
            }
        }
    }

    /// Passes a sampler's call on and its answer back.
    pub async fn sampling(&self, call: SamplingCall, body: Bytes, deadline: &Deadline) -> PostResult {
        if let Some(answer) = self.cached_rules(call, &body, deadline.now_ms()) {
            return PostResult::Success { status: reqwest::StatusCode::OK, headers: HeaderMap::new(), body: answer };
        }
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let posted = self.post.post(SERVICE, &self.url(call.path()), headers, body.clone(), deadline).await;
        if let PostResult::Success { body: answer, .. } = &posted {
            self.cache_rules(call, body, answer, deadline.now_ms());
        }
        posted
    }

    fn cached_rules(&self, call: SamplingCall, request: &Bytes, now_ms: i64) -> Option<Bytes> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = rules.as_ref().filter(|kept| call == SamplingCall::Rules && kept.request == *request)?;
        (now_ms - kept.fetched_ms < RULES_TTL_MS).then(|| kept.answer.clone())
    }

    /// Keeps rules; forgets them when the answer about targets says that they have changed since.
    fn cache_rules(&self, call: SamplingCall, request: Bytes, answer: &Bytes, now_ms: i64) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        match call {
            SamplingCall::Rules => {
                *rules = Some(CachedSamplingRules { request, answer: answer.clone(), fetched_ms: now_ms })
            }
            SamplingCall::Targets => {
                let modified_ms = modified_ms(answer);
                if rules.as_ref().is_some_and(|kept| modified_ms >= kept.fetched_ms) {
                    *rules = None;
                }
            }
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

/// Takes out the spans for which the endpoint would refuse a whole request.
fn remove_invalid_spans(request: &mut ExportTraceServiceRequest, now_ms: i64) -> Rejections {
    let mut refused = Rejections::default();
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for scope in scopes {
        scope.spans.retain(|span| {
            let Some((reason, why)) = rejection_reason(span, now_ms) else { return true };
            refused.add(reason, 1, || format!("the span `{}` {why}", text(&span.name).escape_debug()));
            false
        });
    }
    refused
}

/// Why the endpoint takes no request with this span in it.
fn rejection_reason(span: &Span, now_ms: i64) -> Option<(&'static str, &'static str)> {
    let started_ms = i64::try_from(span.start_time_unix_nano / 1_000_000).unwrap_or(i64::MAX);
    if started_ms > now_ms.saturating_add(MAX_AHEAD_MS) {
        return Some(("too_far_in_future", "begins more than two hours from now"));
    }
    if started_ms < now_ms.saturating_sub(MAX_AGE_MS) {
        return Some(("too_old", "began more than fourteen days ago"));
    }
    (span.encoded_len() > SPAN_BYTES).then_some(("too_large", "has more than 200 kB"))
}

/// `LastRuleModification` of an answer to GetSamplingTargets, in milliseconds; 0 when it does not say.
fn modified_ms(answer: &[u8]) -> i64 {
    #[derive(Deserialize)]
    struct Targets {
        #[serde(rename = "LastRuleModification", default)]
        last_rule_modification: Option<f64>,
    }
    let targets: Option<Targets> = serde_json::from_slice(answer).ok();
    let seconds = targets.and_then(|targets| targets.last_rule_modification).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "a float outside of i64 saturates, and means never or always")]
    let milliseconds = (seconds * 1_000.0) as i64;
    milliseconds
}

impl ExportResult {
    fn merge(mut self, other: Self) -> Self {
        self.delivered += other.delivered;
        self.rejected.merge(other.rejected);
        self.undelivered.extend(other.undelivered);
        self.error = other.error.or(self.error);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::{ResourceSpans, ScopeSpans};

    #[test]
    fn a_span_beyond_the_limits_of_the_endpoint_costs_only_itself() {
        let now_ms = 1_795_389_900_000;
        let at = |ms: i64, name: String| Span {
            start_time_unix_nano: u64::try_from(ms).unwrap() * 1_000_000,
            name: name.into(),
            ..Span::default()
        };
        let spans = vec![
            at(now_ms, "now".into()),
            at(now_ms - MAX_AGE_MS + 1, "old".into()),
            at(now_ms - MAX_AGE_MS - 1, "too old".into()),
            at(now_ms + MAX_AHEAD_MS - 1, "ahead".into()),
            at(now_ms + MAX_AHEAD_MS + 1, "too far ahead".into()),
            at(now_ms, "x".repeat(SPAN_BYTES)),
        ];
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let mut request = ExportTraceServiceRequest { resource_spans };
        let refused = remove_invalid_spans(&mut request, now_ms);
        let left: Vec<_> = request.resource_spans[0].scope_spans[0].spans.iter().map(|span| text(&span.name)).collect();
        assert_eq!(left, ["now", "old", "ahead"]);
        let reasons: Vec<_> = refused.iter().map(|refusal| (refusal.reason, refusal.count)).collect();
        assert_eq!(reasons, [("too_old", 1), ("too_far_in_future", 1), ("too_large", 1)]);
    }
}
