//! Endpoints for requests that the function signs itself, from the endpoint rules of the SDK. They contain the domain of each
//! partition, and the names of FIPS and dual-stack endpoints.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::endpoint::EndpointFuture;
use futures_util::FutureExt as _;
use thiserror::Error;
use url::Url;

/// The SDK has no endpoint for a region.
#[derive(Debug, Error)]
#[error("AWS_REGION is {region}, for which the SDK has no endpoint of {service}: {detail}")]
pub struct EndpointError {
    service: &'static str,
    region: String,
    detail: String,
}

/// Region and kind of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRules {
    region: String,
    use_fips: bool,
    use_dual_stack: bool,
}

/// Resolves the endpoint of one service, with the resolver of its SDK client.
macro_rules! resolve {
    ($client:ident, $service:expr, $rules:expr) => {{
        use $client::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
        let EndpointRules { region, use_fips, use_dual_stack } = $rules;
        let parameters =
            Params::builder().region(region.as_str()).use_fips(*use_fips).use_dual_stack(*use_dual_stack).build();
        match parameters {
            Ok(parameters) => url($service, region, DefaultResolver::new().resolve_endpoint(&parameters)),
            Err(error) => Err(EndpointError::new($service, region, error.to_string())),
        }
    }};
}

impl EndpointError {
    fn new(service: &'static str, region: &str, detail: impl Into<String>) -> Self {
        Self { service, region: region.to_owned(), detail: detail.into() }
    }
}

impl EndpointRules {
    /// Returns the rules for a region, with `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`.
    pub fn new(aws: &SdkConfig, region: &str) -> Self {
        let (use_fips, use_dual_stack) = (aws.use_fips(), aws.use_dual_stack());
        Self {
            region: region.to_owned(),
            use_fips: use_fips.unwrap_or_default(),
            use_dual_stack: use_dual_stack.unwrap_or_default(),
        }
    }

    /// Returns the X-Ray endpoint, for the OTLP API, which the SDK client does not have.
    pub fn xray(&self) -> Result<Url, EndpointError> {
        resolve!(aws_sdk_xray, "X-Ray", self)
    }

    /// Returns the CloudWatch Logs endpoint, for the OTLP API, which the SDK client does not have.
    pub fn logs(&self) -> Result<Url, EndpointError> {
        resolve!(aws_sdk_cloudwatchlogs, "CloudWatch Logs", self)
    }

    /// Returns the EC2 endpoint. Its SDK client is not linked, but it has the same endpoint rules as the client of ECS, except
    /// that the FIPS endpoints of AWS GovCloud (US) have no suffix (endpoint rule set of EC2 in the SDKs).
    pub fn ec2(&self) -> Result<Url, EndpointError> {
        let is_suffixed = !self.is_gov_cloud() || self.use_dual_stack;
        self.like_ecs("EC2", "ec2", is_suffixed)
    }

    /// Returns the CloudWatch endpoint. Its SDK client is not linked, but it has the same endpoint rules as the client of ECS,
    /// except that the FIPS endpoints of AWS GovCloud (US) have no suffix (endpoint rule set of CloudWatch in the SDKs).
    pub fn cloudwatch(&self) -> Result<Url, EndpointError> {
        self.like_ecs("CloudWatch", "monitoring", !self.is_gov_cloud())
    }

    /// Returns the endpoint of Systems Manager, whose FIPS endpoints in AWS GovCloud (US) have no suffix (endpoint rule set of SSM in the SDKs).
    pub fn ssm(&self) -> Result<Url, EndpointError> {
        self.like_ecs("Systems Manager", "ssm", !self.is_gov_cloud())
    }

    /// Returns the endpoint of the workspaces of Amazon Managed Service for Prometheus.
    pub fn workspaces(&self) -> Result<Url, EndpointError> {
        self.like_ecs("Amazon Managed Service for Prometheus", "aps-workspaces", true)
    }

    fn is_gov_cloud(&self) -> bool {
        self.region.starts_with("us-gov-")
    }

    /// Returns the endpoint of a service that has the rules of ECS. `is_suffixed`: whether FIPS endpoints have the suffix `-fips`.
    fn like_ecs(&self, service: &'static str, name: &str, is_suffixed: bool) -> Result<Url, EndpointError> {
        let rules = Self { use_fips: self.use_fips && is_suffixed, ..self.clone() };
        let mut endpoint = resolve!(aws_sdk_ecs, service, &rules)?;
        let host = endpoint.host_str().and_then(|host| host.strip_prefix("ecs")).map(|rest| format!("{name}{rest}"));
        let result = endpoint.set_host(host.as_deref());
        result.map_err(|error| EndpointError::new(service, &self.region, error.to_string()))?;
        Ok(endpoint)
    }
}

/// The resolvers compute endpoints without I/O, so their futures are ready.
fn url(service: &'static str, region: &str, endpoint: EndpointFuture<'_>) -> Result<Url, EndpointError> {
    let failed = |detail: String| EndpointError::new(service, region, detail);
    let endpoint = endpoint.now_or_never().ok_or_else(|| failed("the resolver is not ready".into()))?;
    let endpoint = endpoint.map_err(|error| failed(error.to_string()))?;
    Url::parse(endpoint.url()).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(region: &str, use_fips: bool, use_dual_stack: bool) -> EndpointRules {
        EndpointRules { region: region.into(), use_fips, use_dual_stack }
    }

    #[test]
    fn fips_and_dual_stack_endpoints_follow_the_sdk() {
        for (region, fips, dual_stack, expected) in [
            (
                "eu-west-1",
                false,
                false,
                "xray.*.amazonaws.com ec2.*.amazonaws.com logs.*.amazonaws.com monitoring.*.amazonaws.com",
            ),
            (
                "us-east-1",
                true,
                false,
                "xray-fips.*.amazonaws.com ec2-fips.*.amazonaws.com logs-fips.*.amazonaws.com monitoring-fips.*.amazonaws.com",
            ),
            ("us-east-1", false, true, "xray.*.api.aws ec2.*.api.aws logs.*.api.aws monitoring.*.api.aws"),
            (
                "us-gov-west-1",
                true,
                false,
                "xray-fips.*.amazonaws.com ec2.*.amazonaws.com logs.*.amazonaws.com monitoring.*.amazonaws.com",
            ),
            (
                "eusc-de-east-1",
                false,
                false,
                "xray.*.amazonaws.eu ec2.*.amazonaws.eu logs.*.amazonaws.eu monitoring.*.amazonaws.eu",
            ),
        ] {
            let rules = rules(region, fips, dual_stack);
            let hosts = [rules.xray(), rules.ec2(), rules.logs(), rules.cloudwatch()]
                .map(|url| url.expect("an endpoint").host_str().expect("a host").replace(region, "*"));
            assert_eq!(hosts.join(" "), expected, "{region}, FIPS {fips}, dual-stack {dual_stack}");
        }
    }

    #[test]
    fn region_that_is_not_a_host_label_has_no_endpoint() {
        for region in ["", "eu west 1", "evil.example/"] {
            assert!(rules(region, false, false).ec2().is_err(), "{region:?}");
        }
    }
}
