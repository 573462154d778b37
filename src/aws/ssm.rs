//! Parameters of Systems Manager. One call at the start of an environment does not need the SDK client, which is large.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::client::{PostResult, SigV4Client};
use super::error::{AwsError, AwsErrorKind};
use crate::deadline::Deadline;

const SERVICE: &str = "ssm";

/// Operation, as the AWS JSON 1.1 protocol names it.
const TARGET: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-amz-target"), HeaderValue::from_static("AmazonSSM.GetParameter"));

/// Response of GetParameter.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetParameterResponse {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

/// Returns the value of a parameter, by its name or ARN. A SecureString is decrypted.
pub async fn parameter(
    client: &SigV4Client,
    endpoint: &Url,
    name: &str,
    deadline: &Deadline,
) -> Result<String, AwsError> {
    let json = HeaderValue::from_static("application/x-amz-json-1.1");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, json), TARGET]);
    let body = Bytes::from(json!({"Name": name, "WithDecryption": true}).to_string());
    match client.post_with_retry(SERVICE, endpoint, &headers, &body, deadline).await {
        PostResult::Success { body, .. } => serde_json::from_slice(&body)
            .map(|GetParameterResponse { parameter }| parameter.value)
            // The body can contain a secret.
            .map_err(|_| AwsError::new(AwsErrorKind::InvalidResponse, "the response has no value")),
        PostResult::Rejected { error, .. } | PostResult::Retryable { error, .. } => Err(error),
    }
}
