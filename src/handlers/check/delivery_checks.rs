//! Where things go: AMP, X-Ray and CloudWatch Logs, each written to or asked once.

use bytes::Bytes;
use serde_json::json;
use url::Url;

use super::caller::ArnBuilder;
use super::handler::CheckHandler;
use super::remedy::{remedy, unreachable_remedy};
use super::report::CheckResult;
use crate::aws::client::PostResult;
use crate::deadline::Deadline;
use crate::deliver::logs::LogsRequest;
use crate::deliver::remote_write::requests;
use crate::deliver::xray;
use crate::deliver::xray_otlp::{self, SplitTraces};
use crate::deliver::{DeliveryError, Destination, Outcome};
use crate::handlers::run::series_writer::REMOTE_WRITE_DISABLED;
use crate::model::otlp::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use crate::model::rejection::Rejections;
use crate::model::sampling::SamplingCall;
use crate::model::segment::SegmentDocument;
use crate::model::series::SeriesBatch;
use crate::settings::TraceDestination;

/// The name of the segment or span that is really written.
const NAME: &str = "sidecarless-check";

/// The series that is really written.
const SERIES: &str = "sidecarless_check";

impl CheckHandler {
    pub(super) async fn check_writes(&self, place: &ArnBuilder, deadline: &Deadline) -> Vec<CheckResult> {
        vec![
            self.check_amp(place, deadline).await,
            self.check_traces(deadline).await,
            self.check_sampling(deadline).await,
            self.check_targets(deadline).await,
            self.check_logs(place, deadline).await,
        ]
    }

    async fn check_amp(&self, place: &ArnBuilder, deadline: &Deadline) -> CheckResult {
        const ACTION: &str = "aps:RemoteWrite";
        let (Some(amp), Some(url)) = (&self.amp, &self.settings.prometheus_endpoint) else {
            return CheckResult::skip(
                ACTION,
                format!("{REMOTE_WRITE_DISABLED}: ticks do nothing, pushed metrics are refused"),
            );
        };
        let mut labels = self.self_metrics.labels().clone();
        labels.set("__name__", SERIES);
        let mut batch = SeriesBatch::default();
        let series = batch.series(labels.iter());
        batch.add_sample(series, deadline.now_ms(), 1.0);
        let Some(request) = requests(&batch).next() else { return CheckResult::skip(ACTION, "nothing to write") };
        let outcome = amp.destination().send(request, deadline).await;
        let Some(error) = &outcome.error else { return CheckResult::ok(ACTION, format!("{SERIES} 1 was written")) };
        let reason = first_of(&outcome.rejected).unwrap_or_else(|| error.to_string());
        let fix = amp_advice(error, &reason, url, place);
        CheckResult::fail(ACTION, reason, fix)
    }

    async fn check_traces(&self, deadline: &Deadline) -> CheckResult {
        match self.settings.trace_destination {
            TraceDestination::XRay => {
                let requests = xray::requests(vec![segment(deadline.now_ms())]);
                let message = format!("the segment {NAME} was written");
                from_delivery("xray:PutTraceSegments", "*", &message, self.xray.destination(), requests, deadline).await
            }
            TraceDestination::XRayOtlp => {
                let SplitTraces { requests, rejected: _ } =
                    xray_otlp::requests(span(deadline.now_ms()), deadline.now_ms());
                let message = format!("the span {NAME} was written");
                from_delivery("xray:PutSpans", "*", &message, self.xray_otlp.destination(), requests, deadline).await
            }
        }
    }

    async fn check_sampling(&self, deadline: &Deadline) -> CheckResult {
        let posted =
            self.xray_otlp.destination().sampling(SamplingCall::Rules, Bytes::from_static(b"{}"), deadline).await;
        from_response("xray:GetSamplingRules", "*", ("X-Ray", "remote samplers get their rules"), posted)
    }

    async fn check_targets(&self, deadline: &Deadline) -> CheckResult {
        let nothing = Bytes::from_static(br#"{"SamplingStatisticsDocuments":[]}"#);
        let posted = self.xray_otlp.destination().sampling(SamplingCall::Targets, nothing, deadline).await;
        from_response("xray:GetSamplingTargets", "*", ("X-Ray", "remote samplers get their targets"), posted)
    }

    async fn check_logs(&self, place: &ArnBuilder, deadline: &Deadline) -> CheckResult {
        const ACTION: &str = "logs:PutLogEvents";
        let (Some(logs), Some((group, _))) = (&self.logs, self.settings.otlp_logs()) else {
            return CheckResult::skip(ACTION, "SIDECARLESS_LOG_GROUP is not set: pushed logs are refused");
        };
        let request = LogsRequest { body: log_record(deadline.now_ms()), content_type: "application/json" };
        let group = place.arn("logs", &format!("log-group:{group}:*"));
        let message = "the record sidecarless-check was written";
        from_delivery(ACTION, &group, message, logs.destination(), [request], deadline).await
    }
}

/// Sends requests once, whether or not the circuit breaker of the destination is open.
async fn from_delivery<D: Destination>(
    action: &'static str,
    resource: &str,
    message: &str,
    destination: &D,
    requests: impl IntoIterator<Item = D::Request>,
    deadline: &Deadline,
) -> CheckResult {
    let mut outcome = Outcome::default();
    for request in requests {
        outcome = outcome.merge(destination.send(request, deadline).await);
    }
    let error = outcome.error.map(|error| error.to_string());
    let Some(reason) = first_of(&outcome.rejected).or(error) else { return CheckResult::ok(action, message) };
    let fix = remedy(action, resource, &reason);
    CheckResult::fail(action, reason, fix)
}

/// `well`: who answers, and what it means when all is well.
fn from_response(action: &'static str, resource: &str, (who, well): (&str, &str), posted: PostResult) -> CheckResult {
    let reason = match posted {
        PostResult::Success { .. } => return CheckResult::ok(action, well),
        PostResult::Rejected { error, .. } => format!("{who} answered {error}"),
        PostResult::Retryable { error, .. } => error.detail,
    };
    let fix = remedy(action, resource, &reason);
    CheckResult::fail(action, reason, fix)
}

/// AMP's answers are about the URL as often as about the permission.
fn amp_advice(error: &DeliveryError, reason: &str, url: &Url, place: &ArnBuilder) -> String {
    let status = if let DeliveryError::Rejected { status, .. } = error { status.as_u16() } else { 0 };
    let workspace = url.path_segments().and_then(|mut parts| parts.find(|part| part.starts_with("ws-"))).unwrap_or("*");
    if matches!(status, 404 | 405) {
        return format!(
            "there is no remote write at AWS_PROMETHEUS_ENDPOINT: it is \
             https://aps-workspaces.{}.amazonaws.com/workspaces/<id>/api/v1/remote_write",
            place.region()
        );
    }
    if matches!(status, 401 | 403) {
        let advised = remedy("aps:RemoteWrite", &place.arn("aps", &format!("workspace/{workspace}")), "AccessDenied");
        let of_clock = remedy("aps:RemoteWrite", "*", reason);
        let is_clock = of_clock == super::remedy::CLOCK;
        return if is_clock {
            of_clock
        } else {
            format!("{advised}; region and workspace of the URL have to be right")
        };
    }
    if reason.contains("dns") || reason.contains("connect") || reason.contains("no answer") {
        return format!(
            "AWS_PROMETHEUS_ENDPOINT has to be the address of a workspace; if it is, {}",
            unreachable_remedy("aps-workspaces")
        );
    }
    remedy("aps:RemoteWrite", "*", reason)
}

fn first_of(refusals: &Rejections) -> Option<String> {
    refusals.iter().next().map(|refusal| refusal.example.clone())
}

/// A millisecond of work, on a trace of its own.
pub(super) fn segment(now_ms: i64) -> SegmentDocument {
    let id = format!("{now_ms:016x}");
    let trace_id = format!("1-{:08x}-{now_ms:024x}", now_ms / 1_000);
    #[expect(clippy::cast_precision_loss, reason = "X-Ray's times are doubles")]
    let end = now_ms as f64 / 1_000.0;
    let json = json!({"name": NAME, "id": id, "trace_id": trace_id, "start_time": end - 0.001, "end_time": end});
    SegmentDocument::new(&json.to_string())
}

/// An export request of one record (OTLP/HTTP, "JSON Protobuf Encoding").
fn log_record(now_ms: i64) -> Bytes {
    let record = json!({"timeUnixNano": format!("{now_ms}000000"), "body": {"stringValue": NAME}});
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).to_string().into()
}

fn span(now_ms: i64) -> ExportTraceServiceRequest {
    let now = now_ms.unsigned_abs();
    let trace_id = u128::from(now / 1_000) << 96 | u128::from(now);
    let span = Span {
        trace_id: Bytes::copy_from_slice(&trace_id.to_be_bytes()),
        span_id: Bytes::copy_from_slice(&now.to_be_bytes()),
        name: NAME.into(),
        start_time_unix_nano: now.saturating_sub(1) * 1_000_000,
        end_time_unix_nano: now * 1_000_000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}
