//! Checks of the destinations AMP, X-Ray, CloudWatch and CloudWatch Logs. Each check sends one request.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use reqwest::StatusCode;
use serde_json::json;
use url::Url;

use super::caller::ArnBuilder;
use super::handler::CheckHandler;
use super::remedy::{remedy, unreachable_remedy};
use super::report::CheckResult;
use crate::aws::client::PostResult;
use crate::aws::error::{AwsError, AwsErrorKind};
use crate::aws::sdk_error::CallError;
use crate::deadline::Deadline;
use crate::deliver::cloudwatch;
use crate::deliver::logs;
use crate::deliver::remote_write::requests;
use crate::deliver::xray;
use crate::deliver::xray_otlp;
use crate::deliver::{DeliveryError, Destination, Outcome};
use crate::handlers::run::series_writer::REMOTE_WRITE_DISABLED;
use crate::model::otlp::split::EncodedExport;
use crate::model::otlp::{
    AnyValue, ExportLogsServiceRequest, ExportMetricsServiceRequest, ExportTraceServiceRequest, Gauge, LogRecord,
    Metric, NumberDataPoint, ResourceLogs, ResourceMetrics, ResourceSpans, ScopeLogs, ScopeMetrics, ScopeSpans, Span,
    any_value, metric, number_data_point,
};
use crate::model::sampling::SamplingCall;
use crate::model::segment::SegmentDocument;
use crate::model::series::SeriesBatch;
use crate::settings::TraceDestination;

/// Name of the segment, span or log record that is written.
const NAME: &str = "sidecarless-check";

/// Name of the series that is written.
const SERIES: &str = "sidecarless_check";

const REMOTE_WRITE: &str = "aps:RemoteWrite";

/// Attempts to read the written trace, and the time between them. X-Ray indexes a segment within seconds.
const READ_ATTEMPTS: u32 = 5;
const READ_INTERVAL: Duration = Duration::from_secs(1);

impl CheckHandler {
    pub(super) async fn check_writes(&self, arns: &ArnBuilder, deadline: &Deadline) -> Vec<CheckResult> {
        let mut checks = vec![self.check_amp(arns, deadline).await];
        checks.extend(self.check_traces(deadline).await);
        checks.push(self.check_sampling_rules(deadline).await);
        checks.push(self.check_sampling_targets(deadline).await);
        checks.extend(self.check_cloudwatch_otlp(deadline).await);
        checks.push(self.check_logs(arns, deadline).await);
        checks
    }

    async fn check_amp(&self, arns: &ArnBuilder, deadline: &Deadline) -> CheckResult {
        let (Some(amp), Some(url)) = (&self.amp, &self.settings.prometheus_endpoint) else {
            let message =
                format!("{REMOTE_WRITE_DISABLED}: scheduled runs do nothing, and pushed metrics are rejected");
            return CheckResult::skip(REMOTE_WRITE, message);
        };
        let mut labels = self.self_metrics.labels().clone();
        labels.set("__name__", SERIES);
        let mut batch = SeriesBatch::default();
        let series = batch.series(labels.iter());
        batch.add_sample(series, deadline.now_ms(), 1.0);
        match send(amp.destination(), requests(&batch), deadline).await {
            Ok(()) => CheckResult::ok(REMOTE_WRITE, format!("the sample {SERIES} 1 was written")),
            Err(failure) => {
                let fix = amp_remedy(&failure, url, arns);
                CheckResult::fail(REMOTE_WRITE, failure.message, fix)
            }
        }
    }

    async fn check_traces(&self, deadline: &Deadline) -> Vec<CheckResult> {
        let now_ms = deadline.now_ms();
        match self.settings.trace_destination {
            TraceDestination::XRay => {
                let segment = segment(now_ms);
                let trace_id = segment.ids().trace_id;
                let sent = send(self.xray.destination(), xray::requests(vec![segment]), deadline).await;
                let read_back = match sent {
                    Ok(()) => Some(self.read_back(&trace_id, deadline).await),
                    Err(_) => None,
                };
                let written = format!("the segment {NAME} was written");
                let sent = result_of("xray:PutTraceSegments", "*", &written, sent);
                std::iter::once(sent).chain(read_back).collect()
            }
            TraceDestination::XRayOtlp => {
                let export = EncodedExport { body: span(now_ms).encode_to_vec().into(), items: 1 };
                let sent = send(self.xray_otlp.destination(), xray_otlp::requests(vec![export]), deadline).await;
                vec![result_of("xray:PutSpans", "*", &format!("the span {NAME} was written"), sent)]
            }
        }
    }

    /// Reads the trace of the written segment. The function does not need the permission, so a missing one is not a failure.
    async fn read_back(&self, trace_id: &str, deadline: &Deadline) -> CheckResult {
        const ACTION: &str = "xray:BatchGetTraces";
        for _ in 0..READ_ATTEMPTS {
            match self.xray.destination().api().has_trace(trace_id, deadline).await {
                Ok(true) => return CheckResult::ok(ACTION, format!("the trace {trace_id} was read back")),
                Ok(false) => deadline.sleep(READ_INTERVAL).await,
                Err(CallError { error, .. }) if error.kind.is_access_denied() => {
                    let fix = format!("to let this check read its trace back, {}", remedy(ACTION, "*", &error));
                    return CheckResult::skip(ACTION, "the trace was not read back").with_fix(fix);
                }
                Err(CallError { error, .. }) => return CheckResult::skip(ACTION, format!("not read back: {error}")),
            }
        }
        CheckResult::skip(ACTION, format!("X-Ray accepted the trace {trace_id}, and has not indexed it yet"))
    }

    async fn check_sampling_rules(&self, deadline: &Deadline) -> CheckResult {
        let body = Bytes::from_static(b"{}");
        let response = self.xray_otlp.destination().sampling(SamplingCall::Rules, body, deadline).await;
        sampling_result("xray:GetSamplingRules", "remote samplers can read their rules", response)
    }

    async fn check_sampling_targets(&self, deadline: &Deadline) -> CheckResult {
        let body = Bytes::from_static(br#"{"SamplingStatisticsDocuments":[]}"#);
        let response = self.xray_otlp.destination().sampling(SamplingCall::Targets, body, deadline).await;
        sampling_result("xray:GetSamplingTargets", "remote samplers can read their targets", response)
    }

    /// `None` if no data points are sent to CloudWatch.
    async fn check_cloudwatch_otlp(&self, deadline: &Deadline) -> Option<CheckResult> {
        let cloudwatch = self.cloudwatch.as_ref()?;
        let export = EncodedExport { body: data_point(deadline.now_ms()), items: 1 };
        let sent = send(cloudwatch.destination(), cloudwatch::requests(vec![export]), deadline).await;
        let message = format!("the data point {SERIES} 1 was written");
        Some(result_of("cloudwatch:PutMetricData", "*", &message, sent))
    }

    async fn check_logs(&self, arns: &ArnBuilder, deadline: &Deadline) -> CheckResult {
        const ACTION: &str = "logs:PutLogEvents";
        let (Some(logs), Some((group, _))) = (&self.logs, self.settings.otlp_logs()) else {
            return CheckResult::skip(ACTION, "SIDECARLESS_LOG_GROUP is not set: pushed logs are rejected");
        };
        let export = EncodedExport { body: log_record(deadline.now_ms()), items: 1 };
        let sent = send(logs.destination(), logs::requests(vec![export]), deadline).await;
        let group = arns.arn("logs", &format!("log-group:{group}:*"));
        result_of(ACTION, &group, &format!("the log record {NAME} was written"), sent)
    }
}

/// Cause of a failed delivery.
struct Failure {
    message: String,
    /// HTTP status of a rejection. `None` if the destination did not respond or rejected a single item.
    status: Option<StatusCode>,
    error: AwsError,
}

/// Sends requests once, whether or not the circuit breaker of the destination is open.
async fn send<D: Destination>(
    destination: &D,
    requests: impl IntoIterator<Item = D::Request>,
    deadline: &Deadline,
) -> Result<(), Failure> {
    let mut outcome = Outcome::default();
    for request in requests {
        outcome = outcome.merge(destination.send(request, deadline).await);
    }
    let rejection = outcome.rejected.iter().next().map(|rejection| rejection.example.clone());
    let (status, error) = match outcome.error {
        Some(DeliveryError::Rejected { status, error } | DeliveryError::AccessDenied { status, error }) => {
            (Some(status), error)
        }
        Some(DeliveryError::Retryable { error }) => (None, error),
        Some(DeliveryError::CircuitOpen) => {
            (None, AwsError::new(AwsErrorKind::Unreachable, "the circuit breaker is open"))
        }
        None => match &rejection {
            Some(example) => (None, AwsError::new(AwsErrorKind::Rejected, example.as_str())),
            None => return Ok(()),
        },
    };
    Err(Failure { message: rejection.unwrap_or_else(|| error.to_string()), status, error })
}

fn result_of(action: &'static str, resource: &str, message: &str, sent: Result<(), Failure>) -> CheckResult {
    match sent {
        Ok(()) => CheckResult::ok(action, message),
        Err(Failure { message, error, status: _ }) => CheckResult::from_error(action, resource, message, &error),
    }
}

fn sampling_result(action: &'static str, message: &str, response: PostResult) -> CheckResult {
    match response {
        PostResult::Success { .. } => CheckResult::ok(action, message),
        PostResult::Rejected { error, .. } => {
            CheckResult::from_error(action, "*", format!("X-Ray responded with {error}"), &error)
        }
        PostResult::Retryable { error, .. } => CheckResult::from_error(action, "*", error.detail.as_str(), &error),
    }
}

/// Returns how to fix a failed write to AMP. Its cause is often the URL.
fn amp_remedy(Failure { status, error, .. }: &Failure, url: &Url, arns: &ArnBuilder) -> String {
    if matches!(*status, Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)) {
        return format!(
            "AWS_PROMETHEUS_ENDPOINT is not a remote write URL: use \
             https://aps-workspaces.{}.amazonaws.com/workspaces/<id>/api/v1/remote_write",
            arns.region()
        );
    }
    let workspace = url.path_segments().and_then(|mut parts| parts.find(|part| part.starts_with("ws-"))).unwrap_or("*");
    let fix = remedy(REMOTE_WRITE, &arns.arn("aps", &format!("workspace/{workspace}")), error);
    match error.kind {
        AwsErrorKind::AccessDenied => format!("{fix}; verify the region and the workspace in AWS_PROMETHEUS_ENDPOINT"),
        AwsErrorKind::Unreachable | AwsErrorKind::Timeout | AwsErrorKind::OutOfTime => format!(
            "set AWS_PROMETHEUS_ENDPOINT to the remote write URL of a workspace; if it is correct, {}",
            unreachable_remedy("aps-workspaces")
        ),
        _ => fix,
    }
}

/// Returns a segment of one millisecond in a new trace.
pub(super) fn segment(now_ms: i64) -> SegmentDocument {
    let id = format!("{now_ms:016x}");
    let trace_id = format!("1-{:08x}-{now_ms:024x}", now_ms / 1_000);
    #[expect(clippy::cast_precision_loss, reason = "X-Ray's times are doubles")]
    let end = now_ms as f64 / 1_000.0;
    let json = json!({"name": NAME, "id": id, "trace_id": trace_id, "start_time": end - 0.001, "end_time": end});
    SegmentDocument::new(&json.to_string())
}

/// Returns an export request with one data point.
fn data_point(now_ms: i64) -> Bytes {
    let value = Some(number_data_point::Value::Double(1.0));
    let point = NumberDataPoint { time_unix_nano: now_ms.unsigned_abs() * 1_000_000, value, ..Default::default() };
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
    let metric = Metric { name: SERIES.into(), data, ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into()
}

/// Returns an export request with one log record.
fn log_record(now_ms: i64) -> Bytes {
    let body = AnyValue { value: Some(any_value::Value::String(NAME.into())) };
    let time_unix_nano = now_ms.unsigned_abs() * 1_000_000;
    let record = LogRecord { time_unix_nano, body: Some(body), ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec().into()
}

/// Returns an export request with one span of one millisecond.
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
