//! Which path leads where.

use super::ErrorResponse;
use crate::lambda::Request;
use crate::model::sampling::SamplingCall;
use crate::model::signal::Signal;

/// Where a request leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Signal(Signal),
    Logs,
    SdkSegments,
    Sampling(SamplingCall),
    HealthCheck,
}

/// Paths are looked at from their end, so that a prefix, as API Gateway or a load balancer may put, does no harm.
const ROUTES: [(&str, Route); 6] = [
    ("/v1/traces", Route::Signal(Signal::Traces)),
    ("/v1/metrics", Route::Signal(Signal::Metrics)),
    ("/v1/logs", Route::Logs),
    ("/TraceSegments", Route::SdkSegments),
    (SamplingCall::Rules.path(), Route::Sampling(SamplingCall::Rules)),
    (SamplingCall::Targets.path(), Route::Sampling(SamplingCall::Targets)),
];

pub(super) fn route(request: &Request) -> Result<Route, ErrorResponse> {
    let path = request.path.trim_end_matches('/');
    if let Some(&(_, route)) = ROUTES.iter().find(|(end, _)| path.ends_with(end)) {
        return if request.method == "POST" {
            Ok(route)
        } else {
            Err(ErrorResponse::method_not_allowed("POST", &request.method))
        };
    }
    if path.is_empty() || path.ends_with("/healthz") {
        let looks = matches!(request.method.as_str(), "GET" | "HEAD");
        return if looks {
            Ok(Route::HealthCheck)
        } else {
            Err(ErrorResponse::method_not_allowed("GET", &request.method))
        };
    }
    Err(ErrorResponse::not_found(path))
}
