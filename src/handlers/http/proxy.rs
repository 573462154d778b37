//! Sampling calls, which are forwarded to X-Ray without decoding them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::aws::client::PostResult;
use crate::deadline::Deadline;
use crate::deliver::xray_otlp::XRayOtlpClient;
use crate::deliver::{Delivery, Destination as _};
use crate::lambda::HttpResponse;
use crate::model::masked::masked;
use crate::model::sampling::SamplingCall;
use crate::receiver::{self, Encoding, ErrorResponse};

/// `Retry-After` of a response if the service did not send one.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Forwards sampling calls.
#[derive(Debug)]
pub(in crate::handlers) struct ProxyHandler {
    pub(in crate::handlers) xray: Arc<Delivery<XRayOtlpClient>>,
}

impl ProxyHandler {
    /// Forwards a call of a remote sampler to X-Ray.
    pub(super) async fn sampling_call(&self, call: SamplingCall, body: Bytes, deadline: &Deadline) -> HttpResponse {
        match self.xray.destination().sampling(call, body, deadline).await {
            PostResult::Success { status, body, .. } => receiver::passed_on(status.as_u16(), body.into()),
            PostResult::Rejected { status, body, error } => {
                let status = status.as_u16();
                tracing::warn!(status, error = error.detail, "X-Ray rejected a sampling call");
                receiver::passed_on(status, masked(&body).into_bytes())
            }
            PostResult::Retryable { error, retry_after } => {
                let retry_after = retry_after.unwrap_or(RETRY_AFTER).max(RETRY_AFTER);
                ErrorResponse::unavailable(format!("{}: {error}", XRayOtlpClient::NAME), retry_after.as_secs())
                    .with_encoding(Encoding::Json)
                    .into_http_response()
            }
        }
    }
}
