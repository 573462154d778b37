//! AWS Signature Version 4, for what the SDK has no client for. The only file that knows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::error::{AwsError, AwsErrorKind, error_chain};

/// Signs requests with the function's own credentials.
#[derive(Clone, Debug)]
pub struct Signer {
    credentials: SharedCredentialsProvider,
    region: String,
}

impl Signer {
    pub fn new(credentials: SharedCredentialsProvider, region: impl Into<String>) -> Self {
        Self { credentials, region: region.into() }
    }

    /// What is signed with, from wherever the environment says.
    pub(super) async fn credentials(&self) -> Result<Identity, AwsError> {
        Ok(self.credentials.provide_credentials().await.map_err(|error| AwsError::missing_credentials(&error))?.into())
    }

    /// Adds `authorization`, `x-amz-date` and, with temporary credentials, `x-amz-security-token` to the headers of a
    /// POST. Every header that is there already is signed.
    pub async fn sign(
        &self,
        service: &str,
        url: &Url,
        headers: &mut HeaderMap,
        body: &[u8],
        now_ms: i64,
    ) -> Result<(), AwsError> {
        let identity = self.credentials().await?;
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
        let signed = self.signature(&identity, service, url, (headers, body), now)?;
        for (name, value) in signed {
            let name = HeaderName::try_from(name).map_err(|error| signing_error(&error))?;
            let value = HeaderValue::try_from(value).map_err(|error| signing_error(&error))?;
            headers.insert(name, value);
        }
        Ok(())
    }

    fn signature(
        &self,
        identity: &Identity,
        service: &str,
        url: &Url,
        (headers, body): (&HeaderMap, &[u8]),
        now: SystemTime,
    ) -> Result<Vec<(String, String)>, AwsError> {
        let parameters = v4::SigningParams::builder()
            .identity(identity)
            .region(&self.region)
            .name(service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| signing_error(&error))?
            .into();
        let texts = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let request = SignableRequest::new("POST", url.as_str(), texts, SignableBody::Bytes(body))
            .map_err(|error| signing_error(&error))?;
        let (instructions, _) = sign(request, &parameters).map_err(|error| signing_error(&error))?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

fn signing_error(error: &dyn std::error::Error) -> AwsError {
    AwsError::new(AwsErrorKind::InvalidRequest, format!("cannot sign the request: {}", error_chain(error)))
}
