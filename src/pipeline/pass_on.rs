//! What passes through unread: the calls of remote samplers to X-Ray, and OTLP logs to CloudWatch Logs.

use bytes::Bytes;

use super::Pipeline;
use crate::aws::post::Posted;
use crate::collect::receive::{self, Encoding, Refused};
use crate::deadline::Deadline;
use crate::invocation::HttpReply;
use crate::model::sampling::SamplingCall;

/// When a client is to come again, unless the service says.
const RETRY_AFTER_S: u64 = 1;

impl Pipeline {
    /// A remote sampler asks X-Ray, through us.
    pub(super) async fn pass_on(&self, call: SamplingCall, body: Bytes, deadline: &Deadline) -> HttpReply {
        match self.xray_http.sampling(call, body, deadline).await {
            Posted::Done { status, body, .. } => receive::passed_on(status.as_u16(), body.into()),
            Posted::Refused { status, reason, .. } => {
                tracing::warn!(
                    status = status.as_u16(),
                    reason,
                    "X-Ray refused a sampler's call with {status}: {reason}"
                );
                receive::passed_on(status.as_u16(), reason.into_bytes())
            }
            Posted::Failed { why, .. } => {
                Refused::unavailable(format!("X-Ray: {why}"), RETRY_AFTER_S).encoded(Encoding::Json).into_reply()
            }
        }
    }

    /// Logs go to CloudWatch Logs as they are. What it cannot take now goes back to the client.
    pub(super) async fn pass_logs_on(
        &self,
        logs: &Bytes,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpReply, Refused> {
        let Some(stream) = &self.log_stream else { return Err(Refused::no_logs().encoded(encoding)) };
        let refused = match stream.export(logs, encoding.content_type(), deadline).await {
            Posted::Done { body, .. } => return Ok(receive::export_response(encoding, body)),
            Posted::Refused { status, reason, .. } => {
                Refused::passed_on(status.as_u16(), format!("CloudWatch Logs: {reason}"))
            }
            Posted::Failed { why, retry_after } => {
                let seconds = retry_after.map_or(RETRY_AFTER_S, |wait| wait.as_secs().max(RETRY_AFTER_S));
                Refused::unavailable(format!("CloudWatch Logs: {why}"), seconds)
            }
        };
        Err(refused.encoded(encoding))
    }
}
