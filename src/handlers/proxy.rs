//! What passes through unread: the calls of remote samplers to X-Ray, and OTLP logs to CloudWatch Logs.

use bytes::Bytes;

use super::Pipeline;
use crate::aws::client::PostResult;
use crate::deadline::Deadline;
use crate::lambda::HttpResponse;
use crate::model::sampling::SamplingCall;
use crate::receiver::{self, Encoding, ErrorResponse};

/// When a client is to come again, unless the service says.
const RETRY_AFTER_S: u64 = 1;

impl Pipeline {
    /// A remote sampler asks X-Ray, through us.
    pub(super) async fn proxy_sampling_call(
        &self,
        call: SamplingCall,
        body: Bytes,
        deadline: &Deadline,
    ) -> HttpResponse {
        match self.xray_http.sampling(call, body, deadline).await {
            PostResult::Success { status, body, .. } => receiver::passed_on(status.as_u16(), body.into()),
            PostResult::Rejected { status, body, error } => {
                tracing::warn!(status = status.as_u16(), reason = body, "X-Ray refused a sampler's call with {error}");
                receiver::passed_on(status.as_u16(), body.into_bytes())
            }
            PostResult::Retryable { error, .. } => ErrorResponse::unavailable(format!("X-Ray: {error}"), RETRY_AFTER_S)
                .with_encoding(Encoding::Json)
                .into_reply(),
        }
    }

    /// Logs go to CloudWatch Logs as they are. What it cannot take now goes back to the client.
    pub(super) async fn forward_logs(
        &self,
        logs: &Bytes,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let Some(stream) = &self.log_stream else { return Err(ErrorResponse::logs_disabled().with_encoding(encoding)) };
        let refused = match stream.export(logs, encoding.content_type(), deadline).await {
            PostResult::Success { body, .. } => return Ok(receiver::export_response(encoding, body)),
            PostResult::Rejected { status, body, .. } => {
                ErrorResponse::upstream_error(status.as_u16(), format!("CloudWatch Logs: {body}"))
            }
            PostResult::Retryable { error, retry_after } => {
                let seconds = retry_after.map_or(RETRY_AFTER_S, |wait| wait.as_secs().max(RETRY_AFTER_S));
                ErrorResponse::unavailable(format!("CloudWatch Logs: {error}"), seconds)
            }
        };
        Err(refused.with_encoding(encoding))
    }
}
