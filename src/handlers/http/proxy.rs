//! Requests that are forwarded without decoding them: sampling calls to X-Ray, and OTLP logs to CloudWatch Logs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::DELIVERY_TIMEOUT;
use crate::aws::client::PostResult;
use crate::deadline::Deadline;
use crate::deliver::logs::{LogsRequest, OtlpLogsClient};
use crate::deliver::xray_otlp::XRayOtlpClient;
use crate::deliver::{Delivery, DeliveryError, Destination as _};
use crate::lambda::HttpResponse;
use crate::model::sampling::SamplingCall;
use crate::receiver::{self, Encoding, ErrorResponse};

/// `Retry-After` of a response if the service did not send one.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Forwards sampling calls and logs.
#[derive(Debug)]
pub(in crate::handlers) struct ProxyHandler {
    pub(in crate::handlers) xray: Arc<Delivery<XRayOtlpClient>>,
    /// `None` if `SIDECARLESS_LOG_GROUP` is not set: log requests get a 404 response.
    pub(in crate::handlers) logs: Option<Arc<Delivery<OtlpLogsClient>>>,
}

impl ProxyHandler {
    pub(super) fn accepts_logs(&self) -> bool {
        self.logs.is_some()
    }

    /// Forwards a call of a remote sampler to X-Ray.
    pub(super) async fn sampling_call(&self, call: SamplingCall, body: Bytes, deadline: &Deadline) -> HttpResponse {
        match self.xray.destination().sampling(call, body, deadline).await {
            PostResult::Success { status, body, .. } => receiver::passed_on(status.as_u16(), body.into()),
            PostResult::Rejected { status, body, error } => {
                let status = status.as_u16();
                tracing::warn!(status, error = error.detail, "X-Ray rejected a sampling call");
                receiver::passed_on(status, body.into_bytes())
            }
            PostResult::Retryable { error, retry_after } => unavailable(XRayOtlpClient::NAME, &error, retry_after)
                .with_encoding(Encoding::Json)
                .into_http_response(),
        }
    }

    /// Forwards logs to CloudWatch Logs. Logs that are not delivered are returned to the client: they are never spooled.
    pub(super) async fn forward_logs(
        &self,
        body: Bytes,
        encoding: Encoding,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        let Some(logs) = &self.logs else { return Err(ErrorResponse::logs_disabled().with_encoding(encoding)) };
        let request = LogsRequest { body, content_type: encoding.content_type() };
        let outcome = logs.deliver([request], &deadline.capped(DELIVERY_TIMEOUT)).await;
        let error = match outcome.error {
            None => {
                tracing::info!(destination = OtlpLogsClient::NAME, "logs delivered");
                return Ok(receiver::export_response(encoding, outcome.response));
            }
            Some(DeliveryError::Rejected { status, error }) => {
                ErrorResponse::upstream_error(status.as_u16(), format!("{}: {error}", OtlpLogsClient::NAME))
            }
            Some(error) => unavailable(OtlpLogsClient::NAME, &error, outcome.retry_after),
        };
        Err(error.with_encoding(encoding))
    }
}

fn unavailable(service: &str, error: &dyn std::error::Error, retry_after: Option<Duration>) -> ErrorResponse {
    let retry_after = retry_after.unwrap_or(RETRY_AFTER).max(RETRY_AFTER);
    ErrorResponse::unavailable(format!("{service}: {error}"), retry_after.as_secs())
}
