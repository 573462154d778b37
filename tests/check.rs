//! `check`: what is well is `ok`, and each thing that is wrong makes its own line fail, with what mends it.

use std::time::Duration;

use sidecarless::deadline::Deadline;
use sidecarless::handlers::{CheckReport, CheckResult, CheckStatus};
use sidecarless::lambda::Event;

use crate::sandbox::Sandbox;
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse};
use crate::sandbox::task::{Task, closed_port};

const SPOOL: (&str, &str) = ("SIDECARLESS_SPOOL_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/spool");

async fn check(sandbox: &Sandbox) -> CheckReport {
    sandbox.pipeline.check(&Deadline::after(Duration::from_secs(20))).await
}

/// A cluster with a task that serves its stats.
async fn healthy(settings: &[(&str, &str)]) -> (Sandbox, Task) {
    let (sandbox, task) = (Sandbox::start(settings).await, Task::start().await);
    sandbox.aws.ecs().add_task("shop", "cart", Some(task.port()));
    (sandbox, task)
}

/// The event with which the queue hands it over.
fn message(body: &str) -> String {
    let record =
        serde_json::json!({"messageId": "m-1", "receiptHandle": "handle", "body": body, "eventSource": "aws:sqs"});
    serde_json::json!({"Records": [record]}).to_string()
}

fn of<'a>(checked: &'a CheckReport, check: &str) -> &'a CheckResult {
    checked.checks.iter().find(|finding| finding.name == check).unwrap_or_else(|| panic!("{check}: {checked:#?}"))
}

/// The only finding that failed: which check, what it says, and what mends it.
fn failed(checked: &CheckReport) -> (&'static str, &str, &str) {
    let failed: Vec<_> = checked.checks.iter().filter(|finding| finding.status == CheckStatus::Failed).collect();
    let [one] = failed.as_slice() else { panic!("not one failed, but {failed:#?}") };
    (one.name, &one.message, one.fix.as_deref().unwrap())
}

fn asks_for(heard: &RecordedRequest, operation: &str) -> bool {
    heard.header("x-amz-target").ends_with(&format!(".{operation}"))
}

fn denied(action: &str) -> Fault {
    let message = format!("User: arn:aws:sts::111122223333:assumed-role/a/b is not authorized to perform: {action}");
    let body = serde_json::json!({"__type": "AccessDeniedException", "message": message}).to_string();
    Fault::Answer(StubResponse::of(400, "application/x-amz-json-1.1", body))
}

#[tokio::test]
async fn everything_is_well() {
    let (sandbox, task) = healthy(&[SPOOL]).await;
    let checked = check(&sandbox).await;
    let outcomes: Vec<_> = checked.checks.iter().map(|finding| (finding.name, finding.status)).collect();
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
            ("ecs:DescribeClusters", CheckStatus::Skipped),
            ("ecs:DescribeContainerInstances", CheckStatus::Skipped),
            ("ec2:DescribeInstances", CheckStatus::Skipped),
            ("logs:FilterLogEvents", CheckStatus::Ok),
            ("reach a target", CheckStatus::Ok),
            ("aps:RemoteWrite", CheckStatus::Ok),
            ("xray:PutTraceSegments", CheckStatus::Ok),
            ("xray:GetSamplingRules", CheckStatus::Ok),
            ("xray:GetSamplingTargets", CheckStatus::Ok),
            ("logs:PutLogEvents", CheckStatus::Skipped),
            ("sqs:GetQueueAttributes", CheckStatus::Ok),
            ("sqs:ChangeMessageVisibility", CheckStatus::Ok),
            ("sqs:SendMessage", CheckStatus::Ok),
            ("sqs:ReceiveMessage", CheckStatus::Skipped),
        ]
    );
    assert!(checked.is_ok());
    assert_eq!(of(&checked, "credentials").message, "arn:aws:sts::111122223333:assumed-role/sidecarless/check");
    assert!(of(&checked, "reach a target").message.contains(&format!("127.0.0.1:{}", task.port())));

    assert_eq!(sandbox.amp.named("sidecarless_check").iter().map(|(_, value)| *value).collect::<Vec<_>>(), [1.0]);
    let segments = sandbox.aws.xray().documents.clone();
    assert_eq!((segments.len(), &segments[0]["name"]), (1, &"sidecarless-check".into()));
    let [spooled] = sandbox.aws.sqs().bodies.clone().try_into().unwrap();
    let redelivered =
        sandbox.pipeline.handle(Event::parse(&message(&spooled)), &Deadline::after(Duration::from_secs(20))).await;
    assert_eq!(redelivered.unwrap().into_json(), serde_json::json!({"batchItemFailures": []}));
    assert_eq!(sandbox.aws.xray().documents.len(), 2, "the one of the queue is not there");
}

#[tokio::test]
async fn the_event_says_the_same() {
    let (sandbox, _task) = healthy(&[SPOOL]).await;
    let deadline = Deadline::after(Duration::from_secs(20));
    let reply =
        sandbox.pipeline.handle(Event::parse(r#"{"sidecarless":"check"}"#), &deadline).await.unwrap().into_json();
    assert_eq!(reply["ok"], true, "{reply:#}");
    assert_eq!(reply["checks"][2]["name"], "credentials");
    assert_eq!(reply["checks"][2]["status"], "ok");
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named_with_its_resource() {
    type Kind = fn(&RecordedRequest) -> bool;
    let describe: Kind = |heard| asks_for(heard, "DescribeTasks");
    let list: Kind = |heard| asks_for(heard, "ListTasks");
    let put: Kind = |heard| heard.path == "/TraceSegments";
    let rules: Kind = |heard| heard.path == "/GetSamplingRules";
    let targets: Kind = |heard| heard.path == "/SamplingTargets";
    let send: Kind = |heard| asks_for(heard, "SendMessage");
    let put_off: Kind = |heard| asks_for(heard, "ChangeMessageVisibility");
    let logs: Kind = |heard| asks_for(heard, "FilterLogEvents");
    let queue: Kind = |heard| asks_for(heard, "GetQueueAttributes");
    for (kind, action, resource) in [
        (describe, "ecs:DescribeTasks", "arn:aws:ecs:eu-west-1:111122223333:task/*"),
        (list, "ecs:ListTasks", "*"),
        (put, "xray:PutTraceSegments", "*"),
        (rules, "xray:GetSamplingRules", "*"),
        (targets, "xray:GetSamplingTargets", "*"),
        (send, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:111122223333:spool"),
        (put_off, "sqs:ChangeMessageVisibility", "arn:aws:sqs:eu-west-1:111122223333:spool"),
        (logs, "logs:FilterLogEvents", "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/ecs/containerinsights/*"),
        (queue, "sqs:GetQueueAttributes", "arn:aws:sqs:eu-west-1:111122223333:spool"),
    ] {
        let (sandbox, _task) = healthy(&[SPOOL]).await;
        sandbox.aws.fail_always(kind, denied(action));
        let checked = check(&sandbox).await;
        let (which, says, fix) = failed(&checked);
        assert_eq!(which, action);
        assert!(says.contains("not authorized to perform"), "{action}: {says}");
        assert_eq!(fix, format!("allow {action} on {resource} in the policy of the role"));
    }
}

#[tokio::test]
async fn without_a_cluster_nothing_that_needs_one_is_said_to_fail() {
    let sandbox = Sandbox::start(&[]).await;
    let checked = check(&sandbox).await;
    assert!(checked.is_ok(), "{checked:#?}");
    for skipped in ["ecs:ListTasks", "ecs:DescribeTasks", "logs:FilterLogEvents", "reach a target"] {
        assert_eq!(of(&checked, skipped).status, CheckStatus::Skipped, "{skipped}");
    }
    sandbox.aws.ecs().add_cluster("empty");
    let checked = check(&sandbox).await;
    assert_eq!(of(&checked, "ecs:DescribeTasks").status, CheckStatus::Ok, "{checked:#?}");
    assert_eq!(sandbox.aws.ecs().count("DescribeTasks"), 1, "a task that is none was asked for");
}

#[tokio::test]
async fn a_wrong_address_of_the_workspace_is_told_from_a_missing_permission() {
    let nobody = format!("http://127.0.0.1:{}/workspaces/ws-1/api/v1/remote_write", closed_port().await);
    for (setting, answer, expected) in [
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
            Some(nobody.as_str()),
            None,
            "has to be the address of a workspace; if it is, give the subnets a way to aps-workspaces",
        ),
    ] {
        let settings: Vec<_> = setting.map(|url| ("AWS_PROMETHEUS_ENDPOINT", url)).into_iter().collect();
        let (sandbox, _task) = healthy(&settings).await;
        if let Some((status, body)) = answer {
            sandbox.amp.fail_always(Fault::status(status, body));
        }
        let checked = check(&sandbox).await;
        let (which, _, fix) = failed(&checked);
        assert_eq!(which, "aps:RemoteWrite");
        assert!(fix.contains(expected), "{fix}");
    }
}

#[tokio::test]
async fn a_clock_that_is_ten_minutes_off_fails_and_one_minute_does_not() {
    for (ahead_s, expected) in [(600, "behind AWS"), (-600, "ahead of AWS")] {
        let (sandbox, _task) = healthy(&[]).await;
        sandbox.aws.sts().ahead_s = ahead_s;
        let checked = check(&sandbox).await;
        let (which, says, fix) = failed(&checked);
        assert_eq!(which, "clock");
        assert!(says.ends_with(expected), "{says}");
        assert!(fix.starts_with("set this machine's clock"), "{fix}");
    }
    let (sandbox, _task) = healthy(&[]).await;
    sandbox.aws.sts().ahead_s = 60;
    let checked = check(&sandbox).await;
    let clock = of(&checked, "clock");
    assert!(checked.is_ok() && clock.message.contains("behind AWS, of the 300 s"), "{clock:?}");
}

#[tokio::test]
async fn a_target_at_which_nobody_listens_fails_by_its_address() {
    let sandbox = Sandbox::start(&[]).await;
    let port = closed_port().await;
    sandbox.aws.ecs().add_task("shop", "cart", Some(port));
    let checked = check(&sandbox).await;
    let (which, says, fix) = failed(&checked);
    assert_eq!(which, "reach a target");
    assert!(says.starts_with(&format!("127.0.0.1:{port} of task ")) && says.ends_with("refuses connections"), "{says}");
    for word in [format!("listen on 0.0.0.0:{port}"), "route".into(), "security group".into()] {
        assert!(fix.contains(&word), "{word}: {fix}");
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_fails_beside_one_that_can() {
    let (sandbox, _task) = healthy(&[]).await;
    let port = closed_port().await;
    let other = sandbox.aws.ecs().add_task("shop", "pricing", Some(port));
    let checked = check(&sandbox).await;
    let (which, says, _) = failed(&checked);
    let id = other.rsplit('/').next().unwrap().to_owned();
    assert!(which == "reach a target" && says.contains(&id) && says.ends_with("refuses connections"), "{says}");
}

#[tokio::test]
async fn credentials_that_nobody_knows_fail() {
    let (sandbox, _task) = healthy(&[]).await;
    sandbox.aws.sts().rejects_credentials = true;
    let checked = check(&sandbox).await;
    let (which, says, fix) = failed(&checked);
    assert_eq!(which, "credentials");
    assert!(says.contains("InvalidClientTokenId") && fix.contains("aws sts get-caller-identity"), "{says}: {fix}");
}

#[tokio::test]
async fn what_the_settings_leave_out_is_skipped() {
    let settings =
        [("AWS_PROMETHEUS_ENDPOINT", ""), ("SIDECARLESS_SOURCES", "endpoint"), ("SIDECARLESS_AUTH", "token")];
    let (sandbox, _task) = healthy(&settings).await;
    let checked = check(&sandbox).await;
    assert!(checked.is_ok(), "{checked:#?}");
    for skipped in ["pushes", "logs:FilterLogEvents", "aps:RemoteWrite", "sqs:SendMessage"] {
        assert_eq!(of(&checked, skipped).status, CheckStatus::Skipped, "{skipped}");
    }
}

#[tokio::test]
async fn logs_are_tried_where_they_go() {
    let logs = [("SIDECARLESS_LOG_GROUP", "/shop/otlp"), ("SIDECARLESS_LOG_STREAM", "tasks")];
    let (sandbox, _task) = healthy(&logs).await;
    let checked = check(&sandbox).await;
    assert_eq!(of(&checked, "logs:PutLogEvents").status, CheckStatus::Ok, "{checked:#?}");
    let request: serde_json::Value = serde_json::from_slice(&sandbox.aws.otlp_logs().taken[0].body).unwrap();
    let record = request.pointer("/resourceLogs/0/scopeLogs/0/logRecords/0/body/stringValue");
    assert_eq!(record, Some(&"sidecarless-check".into()), "{request}");

    sandbox.aws.fail_always(|heard| heard.path == "/v1/logs", denied("logs:PutLogEvents"));
    let checked = check(&sandbox).await;
    let (which, _, fix) = failed(&checked);
    let resource = "arn:aws:logs:eu-west-1:111122223333:log-group:/shop/otlp:*";
    assert_eq!(
        (which, fix),
        ("logs:PutLogEvents", &*format!("allow logs:PutLogEvents on {resource} in the policy of the role"))
    );
}

#[tokio::test]
async fn spans_by_otlp_are_tried_by_otlp() {
    let (sandbox, _task) = healthy(&[("SIDECARLESS_TRACE_DESTINATION", "xray-otlp")]).await;
    let checked = check(&sandbox).await;
    assert_eq!(of(&checked, "xray:PutSpans").status, CheckStatus::Ok, "{checked:#?}");
    let xray = sandbox.aws.xray();
    assert_eq!((xray.otlp.len(), xray.documents.len()), (1, 0));
}
