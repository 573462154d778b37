//! Routing by path.

use super::ErrorResponse;
use crate::lambda::Request;
use crate::model::sampling::SamplingCall;
use crate::model::signal::Signal;

/// Handler of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Signal(Signal),
    TaskStats,
    SdkSegments,
    Sampling(SamplingCall),
    HealthCheck,
}

/// Ends of paths. A prefix that API Gateway or a load balancer adds is ignored.
const ROUTES: [(&str, Route); 7] = [
    ("/v1/traces", Route::Signal(Signal::Traces)),
    ("/v1/metrics", Route::Signal(Signal::Metrics)),
    ("/v1/logs", Route::Signal(Signal::Logs)),
    ("/v1/ecs/task-stats", Route::TaskStats),
    ("/TraceSegments", Route::SdkSegments),
    (SamplingCall::Rules.path(), Route::Sampling(SamplingCall::Rules)),
    (SamplingCall::Targets.path(), Route::Sampling(SamplingCall::Targets)),
];

/// Whether the path is that of data, whatever the method is.
pub(super) fn accepts_post(request: &Request) -> bool {
    route_of_data(request.path.trim_end_matches('/')).is_some()
}

/// Returns the path of a request for a log line: of a known route without its prefix, in which a client may have written a token.
pub fn logged_path(request: &Request) -> &str {
    let path = request.path.trim_end_matches('/');
    ROUTES.iter().find(|(end, _)| path.ends_with(end)).map_or(&request.path, |(end, _)| end)
}

fn route_of_data(path: &str) -> Option<Route> {
    ROUTES.iter().find(|(end, _)| path.ends_with(end)).map(|(_, route)| *route)
}

pub(super) fn route(request: &Request) -> Result<Route, ErrorResponse> {
    let path = request.path.trim_end_matches('/');
    if let Some(route) = route_of_data(path) {
        return if request.method == "POST" {
            Ok(route)
        } else {
            Err(ErrorResponse::method_not_allowed("POST", &request.method))
        };
    }
    if path.is_empty() || path.ends_with("/healthz") {
        let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
        return if is_read {
            Ok(Route::HealthCheck)
        } else {
            Err(ErrorResponse::method_not_allowed("GET", &request.method))
        };
    }
    Err(ErrorResponse::not_found(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::Invocation;

    #[test]
    fn logged_path_of_a_known_route_has_no_prefix() {
        for (path, expected) in [
            ("/GetSamplingRules", "/GetSamplingRules"),
            ("/secret/GetSamplingRules", "/GetSamplingRules"),
            ("/samplingtoken/secret/SamplingTargets/", "/SamplingTargets"),
            ("/sampling-token/secret/unknown", "/unknown"),
            ("/prod/v1/traces", "/v1/traces"),
            ("/healthz", "/healthz"),
        ] {
            let event =
                format!(r#"{{"rawPath":"{path}","headers":{{}},"requestContext":{{"http":{{"method":"POST"}}}}}}"#);
            let Ok(Invocation::HttpRequest(request)) = Invocation::parse(&event) else { panic!("{event}") };
            assert_eq!(logged_path(&request), expected, "{path}");
        }
    }
}
