//! AWS Signature Version 4, for requests without an SDK client.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::credentials::CachedCredentials;
use super::error::{AwsError, AwsErrorKind, error_chain};

/// The one service that does not support signed payloads, and needs a header that says so (VPC Lattice User Guide, "SIGv4 authenticated
/// requests").
const VPC_LATTICE: &str = "vpc-lattice-svcs";

/// Signs requests for one region.
#[derive(Clone, Debug)]
pub struct Signer {
    credentials: CachedCredentials,
    region: String,
}

impl Signer {
    pub fn new(credentials: CachedCredentials, region: impl Into<String>) -> Self {
        Self { credentials, region: region.into() }
    }

    /// Signs the next request with new credentials, if they are temporary.
    pub fn discard_credentials(&self) {
        self.credentials.discard();
    }

    /// Adds `authorization`, `x-amz-date` and, with temporary credentials, `x-amz-security-token` to the headers of a POST.
    /// All headers that are already present are signed.
    pub async fn sign(
        &self,
        service: &str,
        url: &Url,
        headers: &mut HeaderMap,
        body: &[u8],
        now_ms: i64,
    ) -> Result<(), AwsError> {
        let credentials = self.credentials.provide_credentials().await;
        let identity = credentials.map_err(|error| AwsError::from_credentials(&error))?.into();
        let parameters = self.parameters(service, &identity, now_ms)?;
        let body = if service == VPC_LATTICE { SignableBody::UnsignedPayload } else { SignableBody::Bytes(body) };
        for (name, value) in signature(&parameters, url, headers, body)? {
            let name = HeaderName::try_from(name).map_err(|error| signing_error(&error))?;
            let value = HeaderValue::try_from(value).map_err(|error| signing_error(&error))?;
            headers.insert(name, value);
        }
        Ok(())
    }

    fn parameters<'a>(
        &'a self,
        service: &'a str,
        identity: &'a Identity,
        now_ms: i64,
    ) -> Result<SigningParams<'a>, AwsError> {
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
        let mut settings = SigningSettings::default();
        if service == VPC_LATTICE {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder()
            .identity(identity)
            .region(&self.region)
            .name(service)
            .time(now)
            .settings(settings)
            .build();
        Ok(parameters.map_err(|error| signing_error(&error))?.into())
    }
}

/// Returns the headers that sign a request.
fn signature(
    parameters: &SigningParams<'_>,
    url: &Url,
    headers: &HeaderMap,
    body: SignableBody<'_>,
) -> Result<Vec<(String, String)>, AwsError> {
    let texts = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let request = SignableRequest::new("POST", url.as_str(), texts, body).map_err(|error| signing_error(&error))?;
    let (instructions, _) = sign(request, parameters).map_err(|error| signing_error(&error))?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn signing_error(error: &dyn std::error::Error) -> AwsError {
    AwsError::new(AwsErrorKind::InvalidRequest, format!("cannot sign the request: {}", error_chain(error)))
}
