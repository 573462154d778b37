//! Authorization of a push: a token, or the signature of the task role.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use sidecarless::aws::clients;
use sidecarless::aws::credentials::CachedCredentials;
use sidecarless::aws::error::{AwsError, AwsErrorKind};
use sidecarless::aws::sign::Signer;
use sidecarless::deadline::Deadline;
use thiserror::Error;
use url::Url;

/// Reason why a push was not authorized.
#[derive(Debug, Error)]
pub(crate) enum AuthorizationError {
    #[error("SIDECARLESS_TOKEN is not set, and the task role cannot sign: {0}")]
    Signing(AwsError),
    #[error("invalid SIDECARLESS_TOKEN: it contains a line break or another control character")]
    Token,
}

/// How a push is authorized.
pub(crate) enum Authorization {
    Token(String),
    /// Signature for a service; `None` if there are no credentials.
    Role {
        signer: Option<Signer>,
        service: String,
    },
}

impl Authorization {
    /// Signs with the credentials of the task role, or of another source that the AWS SDK finds.
    pub(crate) async fn of_role(url: &Url, variables: &[(String, String)], http: &reqwest::Client) -> Self {
        let (service, region) = scope(url, variables);
        let credentials = CachedCredentials::of_function(&clients::aws(http).await);
        Self::Role { signer: credentials.map(|credentials| Signer::new(credentials, region)), service }
    }

    /// Adds the headers that authorize a POST request.
    pub(crate) async fn add(&self, url: &Url, headers: &mut HeaderMap, body: &[u8]) -> Result<(), AuthorizationError> {
        match self {
            Self::Token(token) => {
                let value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| AuthorizationError::Token)?;
                headers.insert(AUTHORIZATION, value);
                Ok(())
            }
            Self::Role { signer: Some(signer), service } => {
                let now_ms = Deadline::after(Duration::ZERO).now_ms();
                signer.sign(service, url, headers, body, now_ms).await.map_err(AuthorizationError::Signing)
            }
            Self::Role { signer: None, .. } => Err(AuthorizationError::Signing(AwsError::new(
                AwsErrorKind::MissingCredentials,
                "the task has no role",
            ))),
        }
    }
}

/// Returns the value of a variable that is not empty.
pub(crate) fn value<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
    variables.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// Returns the service and the region that requests to an address are signed for. An address with another domain is that of the
/// function, unless AWS_SIGV4_SERVICE names another service.
fn scope(url: &Url, variables: &[(String, String)]) -> (String, String) {
    let labels: Vec<&str> = url.host_str().unwrap_or_default().rsplit('.').collect();
    match labels.as_slice() {
        ["aws", "on", region, "lambda-url", ..] => ("lambda".into(), (*region).into()),
        ["aws", "on", region, "vpc-lattice-svcs", ..] => ("vpc-lattice-svcs".into(), (*region).into()),
        _ => {
            let variable = |name, default: &str| value(variables, name).unwrap_or(default).to_owned();
            (variable("AWS_SIGV4_SERVICE", "lambda"), variable("AWS_REGION", ""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_tells_the_service_and_the_region() {
        let variables = [("AWS_REGION".to_owned(), "eu-west-2".to_owned())];
        for (url, service, region) in [
            ("https://abc.lambda-url.eu-west-1.on.aws/v1/ecs/task-stats", "lambda", "eu-west-1"),
            ("https://s-0.7d67968.vpc-lattice-svcs.us-east-1.on.aws/", "vpc-lattice-svcs", "us-east-1"),
            ("https://telemetry.example.com/", "lambda", "eu-west-2"),
            ("http://127.0.0.1:8080/", "lambda", "eu-west-2"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(scope(&url, &variables), (service.to_owned(), region.to_owned()), "{url}");
        }
    }
}
