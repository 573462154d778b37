//! The service in front of the function for an HTTP request.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fields::Fields;

/// Service that an HTTP request came through. The response must have the format of the same service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOrigin {
    /// Lambda Function URL or API Gateway HTTP API.
    HttpApi,
    RestApi,
    Alb,
    VpcLattice,
}

/// The parts of a `requestContext` that identify the origin.
#[derive(Deserialize)]
struct RequestContextProbe {
    #[serde(default)]
    http: Option<IgnoredAny>,
    #[serde(default)]
    elb: Option<IgnoredAny>,
    #[serde(default, rename = "serviceNetworkArn")]
    service_network_arn: Option<IgnoredAny>,
}

impl RequestOrigin {
    /// Returns the origin of an event, or `None` if the event is not an HTTP request.
    pub(super) fn from_fields(fields: &Fields<'_>) -> Option<Self> {
        let probe: RequestContextProbe = serde_json::from_str(fields.request_context?.get()).ok()?;
        if probe.http.is_some() {
            Some(RequestOrigin::HttpApi)
        } else if probe.elb.is_some() {
            Some(RequestOrigin::Alb)
        } else if probe.service_network_arn.is_some() {
            Some(RequestOrigin::VpcLattice)
        } else if fields.http_method.is_some() {
            Some(RequestOrigin::RestApi)
        } else {
            None
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            RequestOrigin::HttpApi => "Function URL or HTTP API",
            RequestOrigin::RestApi => "REST API",
            RequestOrigin::Alb => "load balancer",
            RequestOrigin::VpcLattice => "VPC Lattice",
        }
    }
}
