//! Where things go: AMP, X-Ray and CloudWatch Logs, each written to or asked once.

use bytes::Bytes;
use serde_json::json;
use url::Url;

use super::advice::{advice, no_way};
use super::caller::Place;
use super::finding::Finding;
use crate::aws::post::Posted;
use crate::config::TracesTo;
use crate::deadline::Deadline;
use crate::model::otlp::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use crate::model::refusal::Refusals;
use crate::model::sampling::SamplingCall;
use crate::model::segment::Document;
use crate::model::series::SeriesBatch;
use crate::pipeline::{Pipeline, WITHOUT_PROMETHEUS};

/// The name of the segment or span that is really written.
const NAME: &str = "sidecarless-check";

/// The series that is really written.
const SERIES: &str = "sidecarless_check";

impl Pipeline {
    pub(super) async fn check_writes(&self, place: &Place, deadline: &Deadline) -> Vec<Finding> {
        vec![
            self.check_amp(place, deadline).await,
            self.check_traces(deadline).await,
            self.check_sampling(deadline).await,
            self.check_targets(deadline).await,
            self.check_logs(place, deadline).await,
        ]
    }

    async fn check_amp(&self, place: &Place, deadline: &Deadline) -> Finding {
        const ACTION: &str = "aps:RemoteWrite";
        let (Some(remote_write), Some(url)) = (&self.remote_write, &self.settings.prometheus_endpoint) else {
            return Finding::skip(
                ACTION,
                format!("{WITHOUT_PROMETHEUS}: ticks do nothing, pushed metrics are refused"),
            );
        };
        let mut labels = self.own.labels().clone();
        labels.set("__name__", SERIES);
        let mut batch = SeriesBatch::default();
        let series = batch.series(labels.iter());
        batch.push(series, deadline.now_ms(), 1.0);
        let written = remote_write.write(&batch, deadline).await;
        let reason = match (written.rejected.iter().next(), written.undelivered.first()) {
            (None, None) => return Finding::ok(ACTION, format!("{SERIES} 1 was written")),
            (Some(refusal), _) => refusal.example.clone(),
            (None, Some(undelivered)) => undelivered.why.clone(),
        };
        let fix = amp_advice(&reason, url, place);
        Finding::fail(ACTION, reason, fix)
    }

    async fn check_traces(&self, deadline: &Deadline) -> Finding {
        let (action, what, rejected, why) = match self.settings.traces_to {
            TracesTo::XRay => {
                let sent = self.xray.send(vec![segment(deadline.now_ms())], deadline).await;
                ("xray:PutTraceSegments", "segment", sent.rejected, sent.why.filter(|_| !sent.undelivered.is_empty()))
            }
            TracesTo::XRayOtlp => {
                let sent = self.xray_http.export(span(deadline.now_ms()), deadline).await;
                ("xray:PutSpans", "span", sent.rejected, sent.why)
            }
        };
        match first_of(&rejected).or(why) {
            None => Finding::ok(action, format!("the {what} {NAME} was written")),
            Some(reason) => {
                let fix = advice(action, "*", &reason);
                Finding::fail(action, reason, fix)
            }
        }
    }

    async fn check_sampling(&self, deadline: &Deadline) -> Finding {
        let posted = self.xray_http.sampling(SamplingCall::Rules, Bytes::from_static(b"{}"), deadline).await;
        of_post("xray:GetSamplingRules", "*", ("X-Ray", "remote samplers get their rules"), posted)
    }

    async fn check_targets(&self, deadline: &Deadline) -> Finding {
        let nothing = Bytes::from_static(br#"{"SamplingStatisticsDocuments":[]}"#);
        let posted = self.xray_http.sampling(SamplingCall::Targets, nothing, deadline).await;
        of_post("xray:GetSamplingTargets", "*", ("X-Ray", "remote samplers get their targets"), posted)
    }

    async fn check_logs(&self, place: &Place, deadline: &Deadline) -> Finding {
        const ACTION: &str = "logs:PutLogEvents";
        let (Some(stream), Some((group, _))) = (&self.log_stream, &self.settings.logs_to) else {
            return Finding::skip(ACTION, "SIDECARLESS_LOG_GROUP is not set: pushed logs are refused");
        };
        let posted = stream.export(&log_record(deadline.now_ms()), "application/json", deadline).await;
        let group = place.arn("logs", &format!("log-group:{group}:*"));
        of_post(ACTION, &group, ("CloudWatch Logs", "the record sidecarless-check was written"), posted)
    }
}

/// `well`: who answers, and what it means when all is well.
fn of_post(action: &'static str, resource: &str, (who, well): (&str, &str), posted: Posted) -> Finding {
    let reason = match posted {
        Posted::Done { .. } => return Finding::ok(action, well),
        Posted::Refused { status, reason, .. } => format!("{who} answered {status}: {reason}"),
        Posted::Failed { why, .. } => why,
    };
    let fix = advice(action, resource, &reason);
    Finding::fail(action, reason, fix)
}

/// AMP's answers are about the URL as often as about the permission.
fn amp_advice(reason: &str, url: &Url, place: &Place) -> String {
    let answered = |status: &str| reason.starts_with(&format!("AMP answered {status}"));
    let workspace = url.path_segments().and_then(|mut parts| parts.find(|part| part.starts_with("ws-"))).unwrap_or("*");
    if answered("404") || answered("405") {
        return format!(
            "there is no remote write at AWS_PROMETHEUS_ENDPOINT: it is \
             https://aps-workspaces.{}.amazonaws.com/workspaces/<id>/api/v1/remote_write",
            place.region()
        );
    }
    if answered("401") || answered("403") {
        let advised = advice("aps:RemoteWrite", &place.arn("aps", &format!("workspace/{workspace}")), "AccessDenied");
        let of_clock = advice("aps:RemoteWrite", "*", reason);
        let is_clock = of_clock == super::advice::CLOCK;
        return if is_clock {
            of_clock
        } else {
            format!("{advised}; region and workspace of the URL have to be right")
        };
    }
    if reason.contains("dns") || reason.contains("connect") || reason.contains("no answer") {
        return format!(
            "AWS_PROMETHEUS_ENDPOINT has to be the address of a workspace; if it is, {}",
            no_way("aps-workspaces")
        );
    }
    advice("aps:RemoteWrite", "*", reason)
}

fn first_of(refusals: &Refusals) -> Option<String> {
    refusals.iter().next().map(|refusal| refusal.example.clone())
}

/// A millisecond of work, on a trace of its own.
pub(super) fn segment(now_ms: i64) -> Document {
    let id = format!("{now_ms:016x}");
    let trace_id = format!("1-{:08x}-{now_ms:024x}", now_ms / 1_000);
    #[expect(clippy::cast_precision_loss, reason = "X-Ray's times are doubles")]
    let end = now_ms as f64 / 1_000.0;
    let json = json!({"name": NAME, "id": id, "trace_id": trace_id, "start_time": end - 0.001, "end_time": end});
    Document::new(&json.to_string())
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
