//! OTLP traces to X-Ray, and the sampling calls of X-Ray's remote samplers.
//!
//! OTLP: Amazon CloudWatch User Guide, "OTLP Endpoint". Sampling: AWS X-Ray API Reference, GetSamplingRules and
//! GetSamplingTargets; bodies are forwarded without decoding them, because samplers write times in different ways.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::destination::Destination;
use super::otlp::{self, ExportKind, OtlpEndpoint, OtlpRequest};
use super::outcome::Outcome;
use crate::aws::client::{PostResult, SigV4Client};
use crate::aws::xray::XRayApi;
use crate::deadline::Deadline;
use crate::model::age::is_younger;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::otlp::limits::{EndpointLimits, SplitExport, span_head};
use crate::model::otlp::split::{EncodedExport, RequestLimits};
use crate::model::otlp::wire::WireRequest;
use crate::model::otlp::{TraceRequest, decoded_size};
use crate::model::sampling::SamplingCall;

/// Limits of the endpoint (Amazon CloudWatch User Guide, "OTLP Endpoint"). The size of a request is below the limit of 5 MB.
pub const LIMITS: EndpointLimits = EndpointLimits {
    noun: "span",
    head: span_head,
    request: RequestLimits { items: 10_000, bytes: 4_800_000 },
    item_bytes: 200_000,
    resource_bytes: 16_000,
    max_ahead_ms: 2 * 3_600_000,
    max_age_ms: 14 * 86_400_000,
    max_spread_ms: 86_400_000,
};

/// Cache duration of a GetSamplingRules response. Samplers request the rules every 300 s.
const RULES_TTL_MS: i64 = 300_000;

/// X-Ray's OTLP and sampling endpoints in one region.
#[derive(Debug)]
pub struct XRayOtlpClient {
    endpoint: OtlpEndpoint,
    api: XRayApi,
    rules: Mutex<Option<CachedSamplingRules>>,
}

#[derive(Debug)]
struct CachedSamplingRules {
    request: Bytes,
    response: Bytes,
    fetched_ms: i64,
}

/// Encodes and splits traces. Spans for which the endpoint would reject a whole request are removed.
///
/// # Errors
/// Returns an error if the requests do not fit into the budget.
pub fn split(traces: TraceRequest, now_ms: i64, budget: &dyn Budget) -> Result<SplitExport, BudgetExceeded> {
    budget.reserve(traces.encoded_len())?;
    let body = Bytes::from(traces.encode_to_vec());
    drop(traces);
    budget.reserve(decoded_size::wire(&body))?;
    // Cannot fail, because this function encoded the request.
    LIMITS.split(WireRequest::decode(body).unwrap_or_default(), now_ms, budget)
}

/// Returns the requests for a batch of exports.
pub fn requests(exports: Vec<EncodedExport>) -> impl Iterator<Item = OtlpRequest> {
    otlp::requests(ExportKind::Spans, exports)
}

impl Destination for XRayOtlpClient {
    type Request = OtlpRequest;

    const NAME: &'static str = "X-Ray";

    const CONCURRENCY: usize = 4;

    async fn send(&self, request: OtlpRequest, deadline: &Deadline) -> Outcome<OtlpRequest> {
        self.endpoint.send(request, deadline).await
    }
}

impl XRayOtlpClient {
    /// `endpoint` is X-Ray's in one region.
    pub fn new(mut endpoint: Url, post: SigV4Client, api: XRayApi) -> Self {
        endpoint.set_path("/v1/traces");
        let endpoint = OtlpEndpoint {
            url: endpoint,
            post,
            service: "xray",
            name: Self::NAME,
            rejected: "rejected_by_xray",
            headers: HeaderMap::with_capacity(6),
            is_unknown_address: |_| false,
        };
        Self { endpoint, api, rules: Mutex::default() }
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
        is_younger(cached.fetched_ms, RULES_TTL_MS, now_ms).then(|| cached.response.clone())
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
