//! Clients of the destinations, each of which may be in another region or account than the function.

use aws_config::SdkConfig;
use url::Url;

use crate::aws::client::SigV4Client;
use crate::aws::credentials::{CachedCredentials, Role};
use crate::aws::endpoints::{EndpointError, EndpointRules};
use crate::aws::error::AwsError;
use crate::aws::sign::Signer;
use crate::aws::xray::XRayApi;
use crate::deadline::Deadline;
use crate::deliver::cloudwatch::OtlpMetricsClient;
use crate::deliver::logs::OtlpLogsClient;
use crate::deliver::remote_write::{RemoteWriteClient, workspace_region};
use crate::deliver::xray::XRayClient;
use crate::deliver::xray_otlp::XRayOtlpClient;
use crate::discovery::Ec2Client;
use crate::scrape::cloudwatch::CloudWatchClient;
use crate::settings::{AccessSettings, Settings};

/// Region and credentials of the calls to one destination.
#[derive(Clone, Debug)]
pub(super) struct DestinationAccess {
    region: String,
    credentials: CachedCredentials,
    /// Role that the function assumes. `None`: the calls are made with the role of the function.
    role: Option<String>,
}

/// Creates clients.
#[derive(Debug)]
pub(super) struct ClientFactory<'a> {
    settings: &'a Settings,
    aws: &'a SdkConfig,
    pub(super) http: &'a reqwest::Client,
    function: DestinationAccess,
    pub(super) amp: DestinationAccess,
    pub(super) xray: DestinationAccess,
}

/// Result of assuming the role of a destination.
#[derive(Debug)]
pub(super) struct AssumedRole {
    pub(super) arn: String,
    pub(super) result: Result<(), AwsError>,
}

impl DestinationAccess {
    /// `region` is the region of the destination if the settings have none. `function` are the credentials of the function.
    fn new(settings: &AccessSettings, region: &str, function: &CachedCredentials, aws: &SdkConfig) -> Self {
        let region = settings.region.clone().unwrap_or_else(|| region.to_owned());
        let credentials = match settings.role_arn.clone() {
            None => function.clone(),
            Some(arn) => {
                let role = Role { arn, external_id: settings.external_id.clone() };
                CachedCredentials::of_role(role, &region, aws)
            }
        };
        Self { region, credentials, role: settings.role_arn.clone() }
    }

    /// Returns a client that signs requests for this destination.
    fn client(&self, http: &reqwest::Client) -> SigV4Client {
        SigV4Client::new(http.clone(), Signer::new(self.credentials.clone(), self.region.clone()))
    }

    /// Assumes the role of the destination. `None` if there is none.
    pub(super) async fn assume_role(&self, deadline: &Deadline) -> Option<AssumedRole> {
        let arn = self.role.clone()?;
        let loaded = deadline.timeout(deadline.remaining(), self.credentials.check()).await;
        Some(AssumedRole { arn, result: loaded.unwrap_or_else(|| Err(AwsError::timeout())) })
    }
}

impl<'a> ClientFactory<'a> {
    /// `region` and `credentials` are those of the function.
    pub(super) fn new(
        settings: &'a Settings,
        aws: &'a SdkConfig,
        http: &'a reqwest::Client,
        region: &str,
        credentials: &CachedCredentials,
    ) -> Self {
        let access = |settings, region| DestinationAccess::new(settings, region, credentials, aws);
        let workspace = settings.prometheus_endpoint.as_ref().and_then(workspace_region);
        let amp = access(&settings.amp_access, workspace.unwrap_or(region));
        let xray = access(&settings.xray_access, region);
        Self { settings, aws, http, function: access(&AccessSettings::default(), region), amp, xray }
    }

    pub(super) fn amp(&self) -> Option<RemoteWriteClient> {
        let endpoint = self.settings.prometheus_endpoint.clone()?;
        Some(RemoteWriteClient::new(endpoint, self.amp.client(self.http)))
    }

    /// Returns the client of PutTraceSegments, and the client of the OTLP endpoint and of sampling calls.
    pub(super) fn xray(&self) -> Result<(XRayClient, XRayOtlpClient), EndpointError> {
        let configured = self.settings.endpoints.xray.as_ref();
        let DestinationAccess { region, credentials, .. } = &self.xray;
        let api = XRayApi::new(self.aws, region, credentials.clone(), configured);
        let endpoint = configured.cloned().map_or_else(|| EndpointRules::new(self.aws, region).xray(), Ok)?;
        let otlp = XRayOtlpClient::new(endpoint, self.xray.client(self.http), api.clone());
        Ok((XRayClient::new(api), otlp))
    }

    /// `None` if OTLP logs are not accepted.
    pub(super) fn logs(&self) -> Result<Option<OtlpLogsClient>, EndpointError> {
        let Some((group, stream)) = self.settings.otlp_logs() else { return Ok(None) };
        let endpoint = self.endpoint(self.settings.endpoints.logs.as_ref(), EndpointRules::logs)?;
        Ok(OtlpLogsClient::new(endpoint, self.function.client(self.http), group, stream))
    }

    /// `None` if no data points are sent to CloudWatch.
    pub(super) fn cloudwatch_otlp(&self) -> Result<Option<OtlpMetricsClient>, EndpointError> {
        if !self.settings.metrics_to.cloudwatch {
            return Ok(None);
        }
        let endpoint = self.endpoint(self.settings.endpoints.cloudwatch.as_ref(), EndpointRules::cloudwatch)?;
        Ok(Some(OtlpMetricsClient::new(endpoint, self.function.client(self.http))))
    }

    pub(super) fn ec2(&self) -> Result<Ec2Client, EndpointError> {
        let endpoint = self.endpoint(self.settings.endpoints.ec2.as_ref(), EndpointRules::ec2)?;
        Ok(Ec2Client::new(endpoint, self.function.client(self.http)))
    }

    pub(super) fn cloudwatch(&self) -> Result<CloudWatchClient, EndpointError> {
        let endpoint = self.endpoint(self.settings.endpoints.cloudwatch.as_ref(), EndpointRules::cloudwatch)?;
        Ok(CloudWatchClient::new(endpoint, self.function.client(self.http)))
    }

    /// Returns the configured endpoint, or the endpoint in the region of the function.
    fn endpoint(
        &self,
        configured: Option<&Url>,
        of_region: fn(&EndpointRules) -> Result<Url, EndpointError>,
    ) -> Result<Url, EndpointError> {
        let of_region = || of_region(&EndpointRules::new(self.aws, &self.function.region));
        configured.cloned().map_or_else(of_region, Ok)
    }
}
