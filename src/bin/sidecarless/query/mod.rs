//! `sidecarless query`: an instant query of the workspace, with the credentials of the caller.

mod address;
mod options;
mod table;

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use sidecarless::aws::client::{PostResult, SigV4Client};
use sidecarless::aws::clients::{self, ClientError};
use sidecarless::aws::credentials::CachedCredentials;
use sidecarless::aws::sign::Signer;
use sidecarless::deadline::Deadline;
use thiserror::Error;
use url::Url;

use address::Address;
pub(crate) use options::QueryOptions;

use crate::output::{CommandOutput, OutputFormat};

/// Name of Amazon Managed Service for Prometheus in signatures.
const SERVICE: &str = "aps";

/// Next steps if no series match.
const NO_SERIES: &str = "no series match the query; check:\n  \
    - the last five minutes: series without a sample in this time are not found, unless the query has a range, as in last_over_time(up[1h])\n  \
    - the names: docs/metrics.md lists them, and count by (__name__) ({__name__!=\"\"}) those of the workspace\n  \
    - what the function collects: sidecarless targets, and sidecarless check\n";

/// Time limit of the command, retries included: the timeout of the function in template.yaml.
const TIMEOUT: Duration = Duration::from_secs(50);

/// The query has no result.
#[derive(Debug, Error)]
pub(crate) enum QueryError {
    #[error(
        "no workspace: set --workspace to the stack output WorkspaceId, or --url or AWS_PROMETHEUS_ENDPOINT to the URL of the workspace"
    )]
    NoWorkspace,
    #[error("invalid workspace \"{0}\": use its ID, such as ws-0123abcd, or its ARN")]
    InvalidWorkspace(String),
    #[error("invalid URL \"{0}\": use https://aps-workspaces.REGION.amazonaws.com/workspaces/ID")]
    InvalidUrl(String),
    #[error("no region: set --region or AWS_REGION")]
    NoRegion,
    #[error("no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    NoCredentials,
    #[error("{url} denies access: {detail}: the caller needs aps:QueryMetrics on the workspace")]
    AccessDenied { url: Url, detail: String },
    #[error("{url} rejects the query: {detail}")]
    Rejected { url: Url, detail: String },
    #[error("{url} has no workspace: check its ID, and its region in --region")]
    NotFound { url: Url },
    #[error("{url} did not answer: {detail}")]
    Failed { url: Url, detail: String },
    #[error(
        "{url}: the response is not JSON, or it is larger than 1 MiB: aggregate the series in the query, as in count(...)"
    )]
    InvalidResponse { url: Url },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Runs the query. The result is incomplete if no series match.
pub(crate) async fn run(options: QueryOptions, variables: &[(String, String)]) -> Result<CommandOutput, QueryError> {
    let http = clients::http_of_command_line()?;
    let aws = clients::aws(&http).await;
    let Address { url, region } = Address::new(&options, variables, &aws)?;
    let credentials = CachedCredentials::of_function(&aws).ok_or(QueryError::NoCredentials)?;
    let client = SigV4Client::new(http, Signer::new(credentials, region));
    let data = data(&client, url, &options.promql).await?;
    let has_series = data["result"].as_array().is_none_or(|result| !result.is_empty());
    if !has_series {
        crate::report(NO_SERIES);
    }
    let text = match options.format {
        OutputFormat::Json => format!("{data:#}\n"),
        OutputFormat::Table => table::of_data(&data),
    };
    Ok(CommandOutput::new(text, has_series))
}

/// Returns the member `data` of the response (Prometheus, "HTTP API", "Instant queries").
async fn data(client: &SigV4Client, url: Url, promql: &str) -> Result<Value, QueryError> {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, form)]);
    let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("query", promql).finish();
    match client.post_with_retry(SERVICE, &url, &headers, &Bytes::from(body), &Deadline::after(TIMEOUT)).await {
        PostResult::Success { body, .. } => {
            let mut response: Value = serde_json::from_slice(&body).unwrap_or_default();
            let data = response.get_mut("data").map(Value::take);
            data.filter(|data| data.is_object()).ok_or(QueryError::InvalidResponse { url })
        }
        PostResult::Rejected { error, .. } | PostResult::Retryable { error, .. } if error.kind.is_access_denied() => {
            Err(QueryError::AccessDenied { url, detail: error.detail })
        }
        PostResult::Rejected { status: StatusCode::NOT_FOUND, .. } => Err(QueryError::NotFound { url }),
        PostResult::Rejected { body, error, .. } => {
            Err(QueryError::Rejected { url, detail: prometheus_error(&body).unwrap_or(error.detail) })
        }
        PostResult::Retryable { error, .. } => Err(QueryError::Failed { url, detail: error.detail }),
    }
}

/// Returns the message of Prometheus, such as the place of a syntax error.
fn prometheus_error(body: &str) -> Option<String> {
    let response: Value = serde_json::from_str(body).ok()?;
    Some(response.get("error")?.as_str()?.to_owned())
}
