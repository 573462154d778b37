//! HTTP requests: OTLP pushes, task stats, X-Ray SDK segments, sampling calls and health checks.

mod identity;
mod load_shed;
mod logs;
mod metrics;
mod proxy;
mod task_stats;
mod traces;

use std::sync::Arc;
use std::time::Duration;

pub(super) use identity::TaskIdentifier;
pub(super) use load_shed::LoadShedder;
pub(super) use logs::LogsHandler;
pub(super) use metrics::MetricsHandler;
pub(super) use proxy::ProxyHandler;
pub(super) use task_stats::TaskStatsHandler;
pub(super) use traces::TraceHandler;

use super::self_metrics::SelfMetrics;
use crate::deadline::Deadline;
use crate::lambda::{HttpResponse, Request};
use crate::model::signal::Signal;
use crate::receiver::{self, Authenticator, Cors, DecodedRequest, Encoding, ErrorResponse};
use crate::translate::metrics::ClientIdentity;
use crate::work_budget::MemoryLimit;

/// Time limit of the delivery of a request. SDK exporters wait ten seconds for a response (OpenTelemetry specification, "OpenTelemetry
/// Protocol Exporter", `OTEL_EXPORTER_OTLP_TIMEOUT`), which must leave time for a cold start: a client that waits no longer would
/// not see the response, nor its `Retry-After`.
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit of spooling what was not delivered, in addition to the reserve of the deadline: SQS takes a fraction of it, and a client
/// still waits for the response if neither the destination nor SQS responds.
pub(super) const SPOOL_TIMEOUT: Duration = Duration::from_secs(1);

/// Handles HTTP requests.
#[derive(Debug)]
pub(super) struct HttpHandler {
    pub(super) authenticator: Authenticator,
    pub(super) cors: Cors,
    /// `None`: pushed telemetry is not looked up in ECS.
    pub(super) identifier: Option<TaskIdentifier>,
    pub(super) traces: TraceHandler,
    pub(super) metrics: MetricsHandler,
    pub(super) task_stats: TaskStatsHandler,
    pub(super) logs: LogsHandler,
    pub(super) proxy: ProxyHandler,
    pub(super) self_metrics: Arc<SelfMetrics>,
    pub(super) memory: MemoryLimit,
}

impl HttpHandler {
    /// Authenticates, decodes and handles a request.
    pub(super) async fn handle(&self, request: &Request, deadline: &Deadline) -> HttpResponse {
        if let Some(response) = self.cors.preflight(request) {
            return response;
        }
        let budget = self.memory.budget(deadline, Duration::ZERO);
        let decoded = receiver::decode_request(request, &self.authenticator, self.logs.accepts_logs(), &budget);
        let response = match decoded {
            Ok(decoded) => self.respond(request, decoded, deadline).await,
            Err(error) => Err(error),
        };
        let response = response.unwrap_or_else(|error| {
            let status = error.status();
            tracing::warn!(status, path = receiver::logged_path(request), error = error.message(), "request failed");
            self.self_metrics.record(|counters| counters.record_http_error(status));
            error.into_http_response()
        });
        self.cors.with_headers(request, response)
    }

    async fn respond(
        &self,
        request: &Request,
        decoded: DecodedRequest,
        deadline: &Deadline,
    ) -> Result<HttpResponse, ErrorResponse> {
        match decoded {
            DecodedRequest::Traces(mut traces, encoding) => {
                self.traces.check_load(&traces, encoding, deadline)?;
                if let Some(identifier) = &self.identifier {
                    self.traces.reserve_attributes(&traces, encoding)?;
                    // The attributes of a resource without spans would not be used.
                    let used = traces.resource_spans.iter_mut().filter(|spans| spans.has_spans());
                    let resources = used.map(|spans| &mut spans.resource);
                    let task = identifier.attach(resources, Signal::Traces, request, deadline).await;
                    TaskIdentifier::sender(request, task.as_ref()).protect_traces(&mut traces);
                }
                self.traces.push(traces, encoding, deadline).await
            }
            DecodedRequest::Metrics { mut metrics, encoding, sender } => {
                self.metrics.check_load(&metrics, encoding, deadline)?;
                let mut task = None;
                if let Some(identifier) = &self.identifier {
                    self.metrics.reserve_attributes(&metrics, encoding)?;
                    // The attributes of a resource without points would not be used.
                    let used = metrics.resource_metrics.iter_mut().filter(|metrics| metrics.has_points());
                    let resources = used.map(|metrics| &mut metrics.resource);
                    task = identifier.attach(resources, Signal::Metrics, request, deadline).await;
                    TaskIdentifier::sender(request, task.as_ref()).protect_metrics(&mut metrics);
                }
                let client = ClientIdentity { instance: task.map(|task| task.id.to_string()).or(sender) };
                self.metrics.push(metrics, encoding, &client, deadline).await
            }
            DecodedRequest::Logs(records, encoding) => self.logs.push(records, encoding, deadline).await,
            DecodedRequest::TaskStats(body) => self
                .task_stats
                .push(&body, request, deadline)
                .await
                .map_err(|error| error.with_encoding(Encoding::Json)),
            DecodedRequest::SdkSegments(body) => self.traces.push_segments(&body, deadline).await,
            DecodedRequest::Sampling(call, body) => Ok(self.proxy.sampling_call(call, body, deadline).await),
            DecodedRequest::HealthCheck => Ok(receiver::health_response()),
        }
    }
}
