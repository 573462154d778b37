//! `check`: working parts are `ok`, and each problem is one failed check with a fix.

use std::time::Duration;

use prost::Message as _;
use sidecarless::deadline::Deadline;
use sidecarless::handlers::{CheckReport, CheckResult, CheckStatus};
use sidecarless::lambda::Event;
use sidecarless::model::otlp::ExportLogsServiceRequest;
use sidecarless::model::otlp::any_value::Value;

use crate::sandbox::Sandbox;
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse};
use crate::sandbox::task::{Task, closed_port};

const SPOOL: (&str, &str) = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/spool");

const CLOUDWATCH: (&str, &str) = ("SIDECARLESS_CLOUDWATCH_INTERVAL", "2");

async fn check(sandbox: &Sandbox) -> CheckReport {
    sandbox.handlers.check(&Deadline::after(Duration::from_secs(20))).await
}

/// Starts a cluster with a task that serves its stats.
async fn healthy(settings: &[(&str, &str)]) -> (Sandbox, Task) {
    let (sandbox, task) = (Sandbox::start(settings).await, Task::start().await);
    sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    (sandbox, task)
}

/// Returns the SQS event for a message of the queue.
fn message(body: &str) -> String {
    let record =
        serde_json::json!({"messageId": "m-1", "receiptHandle": "handle", "body": body, "eventSource": "aws:sqs"});
    serde_json::json!({"Records": [record]}).to_string()
}

fn result<'a>(report: &'a CheckReport, name: &str) -> &'a CheckResult {
    report.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{name}: {report:#?}"))
}

/// Returns name, message and fix of the only failed check.
fn failed(report: &CheckReport) -> (&'static str, &str, &str) {
    let failed: Vec<_> = report.checks.iter().filter(|check| check.status == CheckStatus::Failed).collect();
    let [one] = failed.as_slice() else { panic!("expected one failure: {failed:#?}") };
    (one.name, &one.message, one.fix.as_deref().unwrap())
}

fn is_operation(request: &RecordedRequest, operation: &str) -> bool {
    request.header("x-amz-target").ends_with(&format!(".{operation}"))
}

fn denied(action: &str) -> Fault {
    let message = format!("User: arn:aws:sts::111122223333:assumed-role/a/b is not authorized to perform: {action}");
    let body = serde_json::json!({"__type": "AccessDeniedException", "message": message}).to_string();
    Fault::Response(StubResponse::of(400, "application/x-amz-json-1.1", body))
}

#[tokio::test]
async fn all_checks_succeed() {
    let (sandbox, task) = healthy(&[SPOOL, CLOUDWATCH]).await;
    let report = check(&sandbox).await;
    let outcomes: Vec<_> = report.checks.iter().map(|check| (check.name, check.status)).collect();
    assert_eq!(
        outcomes,
        [
            ("settings", CheckStatus::Ok),
            ("pushes", CheckStatus::Ok),
            ("credentials", CheckStatus::Ok),
            ("clock", CheckStatus::Ok),
            ("ecs:ListClusters", CheckStatus::Ok),
            ("ecs:ListTasks", CheckStatus::Ok),
            ("ecs:DescribeTasks", CheckStatus::Ok),
            ("ecs:DescribeTaskDefinition", CheckStatus::Ok),
            ("ecs:DescribeClusters", CheckStatus::Ok),
            ("ecs:ListServices", CheckStatus::Skipped),
            ("ecs:DescribeServices", CheckStatus::Skipped),
            ("ecs:ListContainerInstances", CheckStatus::Skipped),
            ("ecs:DescribeContainerInstances", CheckStatus::Skipped),
            ("ec2:DescribeInstances", CheckStatus::Skipped),
            ("container statistics", CheckStatus::Ok),
            ("logs:FilterLogEvents", CheckStatus::Ok),
            ("cloudwatch:GetMetricData", CheckStatus::Ok),
            ("reach a target", CheckStatus::Ok),
            ("aps:RemoteWrite", CheckStatus::Ok),
            ("xray:PutTraceSegments", CheckStatus::Ok),
            ("xray:BatchGetTraces", CheckStatus::Ok),
            ("xray:GetSamplingRules", CheckStatus::Ok),
            ("xray:GetSamplingTargets", CheckStatus::Ok),
            ("logs:PutLogEvents", CheckStatus::Skipped),
            ("sqs:GetQueueAttributes", CheckStatus::Ok),
            ("sqs:ChangeMessageVisibility", CheckStatus::Ok),
            ("sqs:SendMessage", CheckStatus::Ok),
            ("sqs:ReceiveMessage", CheckStatus::Skipped),
        ]
    );
    assert!(report.is_ok());
    assert_eq!(result(&report, "credentials").message, "arn:aws:sts::111122223333:assumed-role/sidecarless/check");
    assert!(result(&report, "reach a target").message.contains(&format!("127.0.0.1:{}", task.port())));

    assert_eq!(sandbox.amp.named("sidecarless_check").iter().map(|(_, value)| *value).collect::<Vec<_>>(), [1.0]);
    let segments = sandbox.aws.xray().documents.clone();
    assert_eq!((segments.len(), &segments[0]["name"]), (1, &"sidecarless-check".into()));
    let [spooled] = sandbox.aws.sqs().bodies.clone().try_into().unwrap();
    let redelivered =
        sandbox.handlers.handle(Event::parse(&message(&spooled)), &Deadline::after(Duration::from_secs(20))).await;
    assert_eq!(redelivered.unwrap().into_json(), serde_json::json!({"batchItemFailures": []}));
    assert_eq!(sandbox.aws.xray().documents.len(), 2, "the spooled segment was not delivered");
}

#[tokio::test]
async fn separate_queue_of_shards_is_checked() {
    const SHARDS: (&str, &str) =
        ("SIDECARLESS_SHARD_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/shards");
    let defer = |request: &RecordedRequest| {
        is_operation(request, "ChangeMessageVisibility") && String::from_utf8_lossy(&request.body).contains("/shards")
    };
    for is_denied in [false, true] {
        let (sandbox, _task) = healthy(&[SPOOL, SHARDS]).await;
        if is_denied {
            sandbox.aws.fail_always(defer, denied("sqs:ChangeMessageVisibility"));
        }
        let report = check(&sandbox).await;
        assert_eq!(report.is_ok(), !is_denied, "{report:?}");
        if is_denied {
            let (name, _, fix) = failed(&report);
            assert_eq!(name, "sqs:ChangeMessageVisibility");
            let arn = "arn:aws:sqs:eu-west-1:111122223333:shards";
            assert_eq!(fix, format!("allow sqs:ChangeMessageVisibility on {arn} in the policy of the role"));
        }
    }
}

#[tokio::test]
async fn check_event_returns_the_same_results() {
    let (sandbox, _task) = healthy(&[SPOOL]).await;
    let deadline = Deadline::after(Duration::from_secs(20));
    let response =
        sandbox.handlers.handle(Event::parse(r#"{"sidecarless":"check"}"#), &deadline).await.unwrap().into_json();
    assert_eq!(response["ok"], true, "{response:#}");
    assert_eq!(response["checks"][2]["name"], "credentials");
    assert_eq!(response["checks"][2]["status"], "ok");
}

#[tokio::test]
async fn missing_permission_is_reported_with_its_resource() {
    type Kind = fn(&RecordedRequest) -> bool;
    let describe: Kind = |request| is_operation(request, "DescribeTasks");
    let list: Kind = |request| is_operation(request, "ListTasks");
    let put: Kind = |request| request.path == "/TraceSegments";
    let rules: Kind = |request| request.path == "/GetSamplingRules";
    let targets: Kind = |request| request.path == "/SamplingTargets";
    let send: Kind = |request| is_operation(request, "SendMessage");
    let defer: Kind = |request| is_operation(request, "ChangeMessageVisibility");
    let metrics: Kind = |request| is_operation(request, "GetMetricData");
    let logs: Kind = |request| is_operation(request, "FilterLogEvents");
    let queue: Kind = |request| is_operation(request, "GetQueueAttributes");
    for (kind, action, resource) in [
        (describe, "ecs:DescribeTasks", "arn:aws:ecs:eu-west-1:111122223333:task/*"),
        (list, "ecs:ListTasks", "*"),
        (put, "xray:PutTraceSegments", "*"),
        (rules, "xray:GetSamplingRules", "*"),
        (targets, "xray:GetSamplingTargets", "*"),
        (send, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:spool"),
        (defer, "sqs:ChangeMessageVisibility", "arn:aws:sqs:eu-west-1:111122223333:spool"),
        (metrics, "cloudwatch:GetMetricData", "*"),
        (logs, "logs:FilterLogEvents", "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/ecs/containerinsights/*"),
        (queue, "sqs:GetQueueAttributes", "arn:aws:sqs:eu-west-1:111122223333:spool"),
    ] {
        let (sandbox, _task) = healthy(&[SPOOL, CLOUDWATCH]).await;
        sandbox.aws.fail_always(kind, denied(action));
        let report = check(&sandbox).await;
        let (name, message, fix) = failed(&report);
        assert_eq!(name, action);
        assert!(message.contains("not authorized to perform"), "{action}: {message}");
        assert_eq!(fix, format!("allow {action} on {resource} in the policy of the role"));
    }
}

#[tokio::test]
async fn role_that_cannot_be_assumed_is_reported_with_its_policies() {
    let arn = "arn:aws:iam::444455556666:role/traces";
    for is_denied in [false, true] {
        let (sandbox, _task) = healthy(&[("SIDECARLESS_XRAY_ROLE_ARN", arn)]).await;
        sandbox.aws.sts().rejects_roles = is_denied;
        let report = check(&sandbox).await;
        let role = result(&report, "sts:AssumeRole");
        let expected = if is_denied { CheckStatus::Failed } else { CheckStatus::Ok };
        assert_eq!(role.status, expected, "{report:#?}");
        assert!(role.message.contains(if is_denied { "not authorized" } else { arn }), "{}", role.message);
        let fix = role.fix.as_deref().unwrap_or_default();
        assert_eq!(fix.starts_with(&format!("allow sts:AssumeRole on {arn}")), is_denied, "{fix}");
    }
}

#[tokio::test]
async fn checks_that_need_a_cluster_are_skipped_without_one() {
    let sandbox = Sandbox::start(&[]).await;
    let report = check(&sandbox).await;
    assert!(report.is_ok(), "{report:#?}");
    for skipped in ["ecs:ListTasks", "ecs:DescribeTasks", "logs:FilterLogEvents", "reach a target"] {
        assert_eq!(result(&report, skipped).status, CheckStatus::Skipped, "{skipped}");
    }
    sandbox.aws.ecs().add_cluster("empty");
    let report = check(&sandbox).await;
    assert_eq!(result(&report, "ecs:DescribeTasks").status, CheckStatus::Ok, "{report:#?}");
    assert_eq!(sandbox.aws.ecs().count("DescribeTasks"), 1, "a nonexistent task must be described");
}

#[tokio::test]
async fn wrong_workspace_url_and_missing_permission_differ() {
    let closed_url = format!("http://127.0.0.1:{}/workspaces/ws-1/api/v1/remote_write", closed_port().await);
    for (setting, response, expected) in [
        (
            None,
            Some((404, "not found")),
            "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/<id>/api/v1/remote_write",
        ),
        (
            None,
            Some((403, "is not authorized to perform: aps:RemoteWrite")),
            "allow aps:RemoteWrite on arn:aws:aps:eu-west-1:111122223333:workspace/ws-1 in the policy of the role",
        ),
        (
            Some(closed_url.as_str()),
            None,
            "to the remote write URL of a workspace; if it is correct, give the subnets a route to aps-workspaces",
        ),
    ] {
        let settings: Vec<_> = setting.map(|url| ("AWS_PROMETHEUS_ENDPOINT", url)).into_iter().collect();
        let (sandbox, _task) = healthy(&settings).await;
        if let Some((status, body)) = response {
            sandbox.amp.fail_always(Fault::status(status, body));
        }
        let report = check(&sandbox).await;
        let (name, _, fix) = failed(&report);
        assert_eq!(name, "aps:RemoteWrite");
        assert!(fix.contains(expected), "{fix}");
    }
}

#[tokio::test]
async fn clock_skew_of_ten_minutes_fails_one_minute_does_not() {
    for (ahead_s, expected) in [(600, "behind AWS"), (-600, "ahead of AWS")] {
        let (sandbox, _task) = healthy(&[]).await;
        sandbox.aws.sts().ahead_s = ahead_s;
        let report = check(&sandbox).await;
        let (name, message, fix) = failed(&report);
        assert_eq!(name, "clock");
        assert!(message.ends_with(expected), "{message}");
        assert!(fix.starts_with("set this machine's clock"), "{fix}");
    }
    let (sandbox, _task) = healthy(&[]).await;
    sandbox.aws.sts().ahead_s = 60;
    let report = check(&sandbox).await;
    let clock = result(&report, "clock");
    assert!(report.is_ok() && clock.message.contains("behind AWS; signatures allow 300 s"), "{clock:?}");
}

#[tokio::test]
async fn target_that_refuses_connections_is_named_with_address() {
    let sandbox = Sandbox::start(&[]).await;
    let port = closed_port().await;
    sandbox.aws.ecs().add_task("shop", "cart", Some(port));
    let report = check(&sandbox).await;
    let (name, message, fix) = failed(&report);
    assert_eq!(name, "reach a target");
    assert!(
        message.starts_with(&format!("127.0.0.1:{port} of task ")) && message.ends_with("refuses connections"),
        "{message}"
    );
    for word in [format!("listen on 0.0.0.0:{port}"), "route".into(), "security group".into()] {
        assert!(fix.contains(&word), "{word}: {fix}");
    }
}

#[tokio::test]
async fn unreachable_service_fails_if_another_is_reachable() {
    let (sandbox, _task) = healthy(&[]).await;
    let port = closed_port().await;
    let other = sandbox.aws.ecs().add_task("shop", "pricing", Some(port));
    let report = check(&sandbox).await;
    let (name, message, _) = failed(&report);
    let id = other.rsplit('/').next().unwrap().to_owned();
    assert!(name == "reach a target" && message.contains(&id) && message.ends_with("refuses connections"), "{message}");
}

#[tokio::test]
async fn unknown_credentials_fail() {
    let (sandbox, _task) = healthy(&[]).await;
    sandbox.aws.sts().rejects_credentials = true;
    let report = check(&sandbox).await;
    let (name, message, fix) = failed(&report);
    assert_eq!(name, "credentials");
    assert!(
        message.contains("InvalidClientTokenId") && fix.contains("aws sts get-caller-identity"),
        "{message}: {fix}"
    );
}

#[tokio::test]
async fn checks_of_disabled_features_are_skipped() {
    let settings =
        [("AWS_PROMETHEUS_ENDPOINT", ""), ("SIDECARLESS_SOURCES", "endpoint"), ("SIDECARLESS_AUTH", "token")];
    let (sandbox, _task) = healthy(&settings).await;
    let report = check(&sandbox).await;
    assert!(report.is_ok(), "{report:#?}");
    for skipped in ["pushes", "logs:FilterLogEvents", "aps:RemoteWrite", "sqs:SendMessage"] {
        assert_eq!(result(&report, skipped).status, CheckStatus::Skipped, "{skipped}");
    }
}

#[tokio::test]
async fn log_record_is_written_to_the_log_group() {
    let logs = [("SIDECARLESS_LOG_GROUP", "/shop/otlp"), ("SIDECARLESS_LOG_STREAM", "tasks")];
    let (sandbox, _task) = healthy(&logs).await;
    let report = check(&sandbox).await;
    assert_eq!(result(&report, "logs:PutLogEvents").status, CheckStatus::Ok, "{report:#?}");
    let request = ExportLogsServiceRequest::decode(sandbox.aws.otlp_logs().taken[0].body.as_slice()).unwrap();
    let record = request.resource_logs[0].scope_logs[0].log_records[0].body.clone().and_then(|body| body.value);
    assert_eq!(record, Some(Value::String("sidecarless-check".into())), "{request:?}");

    sandbox.aws.fail_always(|request| request.path == "/v1/logs", denied("logs:PutLogEvents"));
    let report = check(&sandbox).await;
    let (name, _, fix) = failed(&report);
    let resource = "arn:aws:logs:eu-west-1:111122223333:log-group:/shop/otlp:*";
    assert_eq!(
        (name, fix),
        ("logs:PutLogEvents", &*format!("allow logs:PutLogEvents on {resource} in the policy of the role"))
    );
}

#[tokio::test]
async fn otlp_destination_is_checked_with_an_otlp_span() {
    let (sandbox, _task) = healthy(&[("SIDECARLESS_TRACE_DESTINATION", "xray-otlp")]).await;
    let report = check(&sandbox).await;
    assert_eq!(result(&report, "xray:PutSpans").status, CheckStatus::Ok, "{report:#?}");
    let xray = sandbox.aws.xray();
    assert_eq!((xray.otlp.len(), xray.documents.len()), (1, 0));
}
