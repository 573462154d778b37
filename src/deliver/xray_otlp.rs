//! OTLP traces to X-Ray, and the sampling calls of X-Ray's remote samplers.
//!
//! OTLP: Amazon CloudWatch User Guide, "OTLP Endpoint". Sampling: AWS X-Ray API Reference, GetSamplingRules and
//! GetSamplingTargets; bodies are forwarded without decoding them, because samplers write times in different ways.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::destination::Destination;
use super::outcome::{DeliveryError, Outcome, Spoolable};
use crate::aws::client::{PostResult, SigV4Client};
use crate::aws::xray::XRayApi;
use crate::deadline::Deadline;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::otlp::split::{EncodedTraces, RequestLimits, split};
use crate::model::otlp::{ExportResponse, ExportTraceServiceRequest, InstrumentationScope, Resource, Span, text};
use crate::model::rejection::Rejections;
use crate::model::sampling::SamplingCall;
use crate::model::shortened::shortened;
use crate::model::spool::Payload;

/// The service name of X-Ray in SigV4.
const SERVICE: &str = "xray";

/// Spans and bytes per OTLP request. The limits of the endpoint are 10,000 and 5 MB.
const OTLP_LIMITS: RequestLimits = RequestLimits { spans: 10_000, bytes: 4_800_000 };

/// The limit of the endpoint for one span.
const SPAN_BYTES: usize = 200_000;

/// The limit of the endpoint for a resource and a scope.
const RESOURCE_BYTES: usize = 16_000;

/// How far a span may start in the future and in the past: two hours and fourteen days, the limits of the endpoint.
const MAX_AHEAD_MS: i64 = 2 * 3_600_000;
const MAX_AGE_MS: i64 = 14 * 86_400_000;

/// Cache duration of a GetSamplingRules response. Samplers request the rules every 300 s.
const RULES_TTL_MS: i64 = 300_000;

/// X-Ray's OTLP and sampling endpoints in one region.
#[derive(Debug)]
pub struct XRayOtlpClient {
    url: Url,
    post: SigV4Client,
    api: XRayApi,
    rules: Mutex<Option<CachedSamplingRules>>,
}

#[derive(Debug)]
struct CachedSamplingRules {
    request: Bytes,
    response: Bytes,
    fetched_ms: i64,
}

/// Requests within the limits of the endpoint, and the spans that are in none of them.
#[derive(Debug)]
#[must_use]
pub struct SplitTraces {
    pub requests: Vec<EncodedTraces>,
    pub rejected: Rejections,
}

/// Splits traces into requests. Spans for which the endpoint would reject a whole request are removed.
///
/// # Errors
/// Returns an error if the requests do not fit into the budget: each repeats the resource and the scope of its spans.
pub fn requests(
    mut traces: ExportTraceServiceRequest,
    now_ms: i64,
    budget: &dyn Budget,
) -> Result<SplitTraces, BudgetExceeded> {
    let rejected = remove_invalid_spans(&mut traces, now_ms);
    Ok(SplitTraces { requests: split(traces, OTLP_LIMITS, budget)?, rejected })
}

impl Spoolable for EncodedTraces {
    fn into_payloads(requests: Vec<Self>) -> Vec<Payload> {
        if requests.is_empty() { Vec::new() } else { vec![Payload::OtlpTraces(requests)] }
    }
}

impl Destination for XRayOtlpClient {
    type Request = EncodedTraces;

    const NAME: &'static str = "X-Ray";

    const CONCURRENCY: usize = 4;

    async fn send(&self, request: EncodedTraces, deadline: &Deadline) -> Outcome<EncodedTraces> {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let mut outcome = Outcome::default();
        match self.post.post_with_retry(SERVICE, &self.url, &headers, &request.body, deadline).await {
            PostResult::Success { body, .. } => {
                let partial = ExportResponse::decode(body).ok().and_then(|response| response.partial_success);
                let (count, message) =
                    partial.map_or((0, String::new()), |partial| (partial.rejected, partial.error_message));
                let count = u64::try_from(count).unwrap_or_default().min(request.spans);
                outcome.delivered = request.spans - count;
                outcome.rejected.add("rejected_by_xray", count, || message);
            }
            PostResult::Retryable { error, retry_after } => return Outcome::retryable(request, error, retry_after),
            PostResult::Rejected { status, error, .. } if error.kind.is_access_denied() => {
                return Outcome::access_denied(request, status, error);
            }
            PostResult::Rejected { status, error, .. } => {
                outcome.rejected.add("rejected_by_xray", request.spans, || format!("X-Ray returned {error}"));
                outcome.error = Some(DeliveryError::Rejected { status, error });
            }
        }
        outcome
    }
}

impl XRayOtlpClient {
    /// `endpoint` is X-Ray's in one region.
    pub fn new(mut endpoint: Url, post: SigV4Client, api: XRayApi) -> Self {
        endpoint.set_path("/v1/traces");
        Self { url: endpoint, post, api, rules: Mutex::default() }
    }

    /// Forwards a call of a sampler, and returns the response of X-Ray.
    pub async fn sampling(&self, call: SamplingCall, body: Bytes, deadline: &Deadline) -> PostResult {
        if let Some(response) = self.cached_rules(call, &body, deadline.now_ms()) {
            return PostResult::Success { status: reqwest::StatusCode::OK, headers: HeaderMap::new(), body: response };
        }
        let result = self.api.sampling(call, body.clone(), deadline).await;
        if let PostResult::Success { body: response, .. } = &result {
            self.cache_rules(call, body, response, deadline.now_ms());
        }
        result
    }

    fn cached_rules(&self, call: SamplingCall, request: &Bytes, now_ms: i64) -> Option<Bytes> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = rules.as_ref().filter(|cached| call == SamplingCall::Rules && cached.request == *request)?;
        (now_ms - cached.fetched_ms < RULES_TTL_MS).then(|| cached.response.clone())
    }

    /// Caches rules. Removes them when a response to GetSamplingTargets reports that they have changed.
    fn cache_rules(&self, call: SamplingCall, request: Bytes, response: &Bytes, now_ms: i64) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        match call {
            SamplingCall::Rules => {
                *rules = Some(CachedSamplingRules { request, response: response.clone(), fetched_ms: now_ms })
            }
            SamplingCall::Targets => {
                let modified_ms = modified_ms(response);
                if rules.as_ref().is_some_and(|cached| modified_ms >= cached.fetched_ms) {
                    *rules = None;
                }
            }
        }
    }
}

/// Removes the spans for which the endpoint would reject a whole request.
fn remove_invalid_spans(request: &mut ExportTraceServiceRequest, now_ms: i64) -> Rejections {
    let mut rejected = Rejections::default();
    for resource_spans in &mut request.resource_spans {
        let resource_bytes = resource_spans.resource.as_ref().map_or(0, Resource::encoded_len);
        for scope in &mut resource_spans.scope_spans {
            let scope_bytes = scope.scope.as_ref().map_or(0, InstrumentationScope::encoded_len);
            let is_repeatable = resource_bytes + scope_bytes <= RESOURCE_BYTES;
            scope.spans.retain(|span| {
                let reason = if is_repeatable { rejection_reason(span, now_ms) } else { Some(RESOURCE_TOO_LARGE) };
                let Some(RejectReason { code, message }) = reason else { return true };
                rejected.add(code, 1, || format!("span \"{}\" {message}", shortened(text(&span.name))));
                false
            });
        }
    }
    rejected
}

/// Reason why the endpoint rejects a span.
struct RejectReason {
    code: &'static str,
    message: &'static str,
}

const RESOURCE_TOO_LARGE: RejectReason =
    RejectReason { code: "too_large", message: "has a resource and a scope that are larger than 16 kB" };

/// Returns the reason why the endpoint accepts no request with a span; `None` if it does.
fn rejection_reason(span: &Span, now_ms: i64) -> Option<RejectReason> {
    let started_ms = i64::try_from(span.start_time_unix_nano / 1_000_000).unwrap_or(i64::MAX);
    if started_ms > now_ms.saturating_add(MAX_AHEAD_MS) {
        return Some(RejectReason { code: "too_far_in_future", message: "starts more than two hours from now" });
    }
    if started_ms < now_ms.saturating_sub(MAX_AGE_MS) {
        return Some(RejectReason { code: "too_old", message: "started more than fourteen days ago" });
    }
    (span.encoded_len() > SPAN_BYTES).then_some(RejectReason { code: "too_large", message: "is larger than 200 kB" })
}

/// Returns `LastRuleModification` of a response to GetSamplingTargets in milliseconds; 0 if there is none.
fn modified_ms(response: &[u8]) -> i64 {
    #[derive(Deserialize)]
    struct Targets {
        #[serde(rename = "LastRuleModification", default)]
        last_rule_modification: Option<f64>,
    }
    let targets: Option<Targets> = serde_json::from_slice(response).ok();
    let seconds = targets.and_then(|targets| targets.last_rule_modification).unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float outside of the range of i64 saturates, and means never or always"
    )]
    let milliseconds = (seconds * 1_000.0) as i64;
    milliseconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::{ResourceSpans, ScopeSpans};

    #[test]
    fn span_beyond_the_limits_is_removed_alone() {
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
        let rejected = remove_invalid_spans(&mut request, now_ms);
        let remaining: Vec<_> =
            request.resource_spans[0].scope_spans[0].spans.iter().map(|span| text(&span.name)).collect();
        assert_eq!(remaining, ["now", "old", "ahead"]);
        let reasons: Vec<_> = rejected.iter().map(|rejection| (rejection.reason, rejection.count)).collect();
        assert_eq!(reasons, [("too_old", 1), ("too_far_in_future", 1), ("too_large", 1)]);
    }
}
