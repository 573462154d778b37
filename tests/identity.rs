//! Identity of the task that pushes: from its resource attributes and signature to series and segments.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use sidecarless::deadline::Deadline;
use sidecarless::lambda::Event;
use sidecarless::model::otlp::{
    ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans, ScopeSpans, Span,
};

use crate::otlp_builder::{self, attributes, gauge, number, request};
use crate::sandbox::http::Fault;
use crate::sandbox::{self, Push, Sandbox};

const IAM: (&str, &str) = ("SIDECARLESS_AUTH", "iam");
const ANY_AGE: (&str, &str) = ("SIDECARLESS_MAX_SAMPLE_AGE", "off");

fn arn(id: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:111122223333:task/shop/{id}")
}

fn session(role: &str, id: &str) -> String {
    format!("arn:aws:sts::111122223333:assumed-role/{role}/{id}")
}

fn string_attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    attributes(&pairs.iter().map(|&(key, value)| (key, value.into())).collect::<Vec<_>>())
}

fn metrics(pairs: &[(&str, &str)]) -> Vec<u8> {
    request(string_attributes(pairs), None, vec![gauge("queue.length", "", vec![number(7.0, &[])])]).encode_to_vec()
}

fn traces(pairs: &[(&str, &str)]) -> Vec<u8> {
    let span = Span {
        trace_id: Bytes::copy_from_slice(&(0x6563_0000_u128 << 96 | 7).to_be_bytes()),
        span_id: Bytes::from_static(&[1; 8]),
        name: "GET /cart".into(),
        kind: 2,
        start_time_unix_nano: otlp_builder::NANOS,
        end_time_unix_nano: otlp_builder::NANOS + 1_000_000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes: string_attributes(pairs), ..Resource::default() });
    let of_resource = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec()
}

async fn labels_of(sandbox: &Sandbox, body: &[u8], caller: Option<&str>) -> BTreeMap<String, String> {
    let response = sandbox.push(&Push { caller, ..Push::new("/v1/metrics", body) }).await;
    assert_eq!(response.status, 200);
    sandbox.amp.named("queue_length").pop().expect("it arrives, whosever it is").0
}

#[tokio::test]
async fn signing_task_overrides_the_claimed_task() {
    let sandbox = Sandbox::start(&[IAM, ANY_AGE]).await;
    let a = sandbox.aws.ecs().add_task("shop", "cart", None);
    let b = sandbox.aws.ecs().add_task("shop", "bank", None);
    let forged =
        [("aws.ecs.task.arn", arn(&b)), ("aws.ecs.task.family", "bank".into()), ("service.name", "mine".into())];
    let forged: Vec<(&str, &str)> = forged.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let caller = session("cart", &a);

    let labels = labels_of(&sandbox, &metrics(&forged), Some(&caller)).await;
    for (name, expected) in [
        ("aws_ecs_task_arn", arn(&a).as_str()),
        ("aws_ecs_task_id", &a),
        ("aws_ecs_task_family", "cart"),
        ("aws_ecs_task_revision", "12"),
        ("aws_ecs_service_name", "cart"),
        ("aws_ecs_cluster_name", "shop"),
        ("aws_ecs_launchtype", "fargate"),
        ("cloud_region", "eu-west-1"),
        ("service_name", "mine"),
    ] {
        assert_eq!(labels.get(name).map(String::as_str), Some(expected), "{name}");
    }
    assert!(!labels.keys().any(|name| name.starts_with("aws_log")), "lists of log groups are no labels: {labels:?}");

    let response = sandbox.push(&Push { caller: Some(&caller), ..Push::new("/v1/traces", &traces(&forged)) }).await;
    assert_eq!(response.status, 200);
    let xray = sandbox.aws.xray();
    let document = &xray.documents[0];
    assert_eq!(document["aws"]["ecs"]["task_arn"], arn(&a).as_str(), "{document}");
    assert_eq!(document["aws"]["cloudwatch_logs"][0]["log_group"], "/shop/cart", "{document}");
}

/// Attributes with labels of the task's identity, and one other.
const FALSE: [(&str, &str); 7] = [
    ("aws.ecs.task.arn", "evil"),
    ("aws_ecs_task_id", "evil"),
    ("aws/ecs/service/name", "evil"),
    ("aws.ecs..cluster.name", "evil"),
    ("cloud.region", "evil"),
    ("cloud_account_id", "evil"),
    ("queue", "mail"),
];

#[tokio::test]
async fn identity_of_a_signed_request_wins_over_points_and_scopes() {
    let sandbox = Sandbox::start(&[IAM, ANY_AGE]).await;
    let a = sandbox.aws.ecs().add_task("shop", "cart", None);
    let values: Vec<(&str, otlp_builder::Value)> = FALSE.iter().map(|&(key, value)| (key, value.into())).collect();
    let twice = [string_attributes(&FALSE), string_attributes(&FALSE)].concat();
    let scope = InstrumentationScope { attributes: twice.clone(), ..InstrumentationScope::default() };
    for resource in [Vec::new(), twice] {
        let body = request(resource, Some(scope.clone()), vec![gauge("queue.length", "", vec![number(7.0, &values)])]);
        let body = body.encode_to_vec();

        let labels = labels_of(&sandbox, &body, Some(&session("cart", &a))).await;
        let mut values = labels.iter().filter(|(name, _)| !name.starts_with("otel_scope_"));
        assert!(values.all(|(_, value)| !value.contains("evil")), "{labels:?}");
        let named = ["aws_ecs_task_arn", "aws_ecs_task_id", "aws_ecs_service_name", "cloud_region", "queue"];
        let named = named.map(|name| labels[name].as_str());
        assert_eq!(named, [arn(&a).as_str(), &a, "cart", "eu-west-1", "mail"]);

        let labels = labels_of(&sandbox, &body, Some(&session("cart", "no-task"))).await;
        assert!(!labels.keys().any(|name| name.starts_with("aws_ecs_")), "no task is named: {labels:?}");
        let labels = labels_of(&sandbox, &body, Some(&session("bank", &a))).await;
        assert!(!labels.keys().any(|name| name.starts_with("aws_ecs_")), "it is not its task: {labels:?}");
    }
}

#[tokio::test]
async fn session_is_a_task_only_if_ecs_confirms_it() {
    let sandbox = Sandbox::start(&[IAM, ANY_AGE]).await;
    let a = sandbox.aws.ecs().add_task("shop", "cart", None);
    for (case, caller) in [
        ("a role that the task does not have", session("bank", &a)),
        ("another account", session("cart", &a).replace("111122223333", "444455556666")),
        ("a task that does not exist", session("cart", &"f".repeat(32))),
        ("no task's id", session("cart", "botocore-session-1700000000")),
        ("no role", "arn:aws:iam::111122223333:user/ann".into()),
    ] {
        let labels = labels_of(&sandbox, &metrics(&[("service.name", "mine")]), Some(&caller)).await;
        assert!(!labels.contains_key("aws_ecs_task_arn"), "{case}: {labels:?}");
    }
}

#[tokio::test]
async fn resource_with_task_arn_is_completed() {
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    let a = sandbox.aws.ecs().add_task("shop", "cart", None);
    let labels = labels_of(&sandbox, &metrics(&[("aws.ecs.task.arn", &arn(&a)), ("cloud.region", "mars")]), None).await;
    assert_eq!((labels["aws_ecs_service_name"].as_str(), labels["cloud_region"].as_str()), ("cart", "mars"));

    for (case, task) in [("unknown task", arn(&"f".repeat(32))), ("invalid ARN", "cart".into())] {
        let labels = labels_of(&sandbox, &metrics(&[("aws.ecs.task.arn", &task)]), None).await;
        assert!(!labels.contains_key("aws_ecs_service_name"), "{case}: {labels:?}");
    }
}

#[tokio::test]
async fn lookups_are_cached_and_misses_expire_after_a_minute() {
    let sandbox = Sandbox::start(&[IAM, ANY_AGE, ("SIDECARLESS_CLUSTERS", "shop")]).await;
    let a = sandbox.aws.ecs().add_task("shop", "cart", None);
    for caller in [session("cart", &a), session("cart", &"f".repeat(32))] {
        let before = sandbox.aws.ecs().count("DescribeTasks");
        for _ in 0..5 {
            labels_of(&sandbox, &metrics(&[]), Some(&caller)).await;
        }
        assert_eq!(sandbox.aws.ecs().count("DescribeTasks") - before, 1, "{caller}");
    }
}

#[tokio::test]
async fn telemetry_is_delivered_while_ecs_is_unavailable() {
    for denied in [true, false] {
        let sandbox = Sandbox::start(&[IAM, ANY_AGE, ("SIDECARLESS_CLUSTERS", "shop")]).await;
        let a = sandbox.aws.ecs().add_task("shop", "cart", None);
        if denied {
            sandbox.aws.ecs().denied.push("shop".into());
        } else {
            sandbox.aws.fail(vec![Fault::Response(sandbox::http::StubResponse::Hang); 10]);
        }
        let (body, caller) = (metrics(&[("service.name", "mine")]), session("cart", &a));
        assert_eq!(labels_of(&sandbox, &body, Some(&caller)).await["service_name"], "mine");
        let calls = sandbox.aws.ecs().calls.clone();
        labels_of(&sandbox, &body, Some(&caller)).await;
        assert_eq!(sandbox.aws.ecs().calls, calls, "the next push does not wait for it again");
    }
}

#[tokio::test]
async fn disabled_identity_makes_no_ecs_calls() {
    let sandbox = Sandbox::start(&[IAM, ANY_AGE, ("SIDECARLESS_IDENTITY", "off")]).await;
    let a = sandbox.aws.ecs().add_task("shop", "cart", None);
    let labels = labels_of(&sandbox, &metrics(&[]), Some(&session("cart", &a))).await;
    assert!(!labels.contains_key("aws_ecs_task_arn"));
    assert!(sandbox.aws.ecs().calls.is_empty());
}

#[tokio::test]
async fn signed_caller_that_is_no_task_cannot_claim_one() {
    let sandbox = Sandbox::start(&[IAM, ANY_AGE]).await;
    let victim = sandbox.aws.ecs().add_task("shop", "bank", None);
    let named = [
        ("aws.ecs.task.arn", arn(&victim)),
        ("aws.ecs.task.family", "bank".into()),
        ("aws.ecs.task.id", victim.clone()),
    ];
    let named: Vec<(&str, &str)> = named.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut instances = Vec::new();
    for (case, caller) in [
        ("a free session name", session("cart", "free")),
        ("the session name of the victim", session("cart", &victim)),
        ("the role of the victim", session("bank", "free")),
        ("a task that does not exist", session("cart", &"f".repeat(32))),
        ("no role", "arn:aws:iam::111122223333:user/ann".into()),
    ] {
        let labels = labels_of(&sandbox, &metrics(&named), Some(&caller)).await;
        assert!(
            !labels.iter().any(|(name, value)| name.starts_with("aws_ecs") || *value == victim),
            "{case}: {labels:?}"
        );
        instances.push(labels["instance"].clone());
        let response = sandbox.push(&Push { caller: Some(&caller), ..Push::new("/v1/traces", &traces(&named)) }).await;
        assert_eq!(response.status, 200);
        let document = sandbox.aws.xray().documents.pop().unwrap();
        assert!(!document.to_string().contains(&victim), "{case}: {document}");
    }
    instances.dedup();
    assert_eq!(instances.len(), 5, "each caller has its own series");
}

#[tokio::test]
async fn false_claim_does_not_hide_the_task() {
    let sandbox = Sandbox::start(&[ANY_AGE, ("SIDECARLESS_CLUSTERS", "shop,bank")]).await;
    sandbox.aws.ecs().add_task("bank", "bank", None);
    sandbox.aws.ecs().add_task("shop", "bank", None);
    // The sandbox numbers the tasks of each cluster, so this id is only in one of them.
    let task = sandbox.aws.ecs().add_task("shop", "cart", None);
    let false_arn = arn(&task).replace("task/shop/", "task/bank/");
    let labels = labels_of(&sandbox, &metrics(&[("aws.ecs.task.arn", &false_arn)]), None).await;
    assert!(!labels.contains_key("aws_ecs_service_name"), "{labels:?}");
    labels_of(&sandbox, &metrics(&[("aws.ecs.task.arn", &arn(&task))]), None).await;
    let services = |(labels, _): (BTreeMap<String, String>, _)| labels.get("aws_ecs_service_name").cloned();
    let services: Vec<String> = sandbox.amp.named("queue_length").into_iter().filter_map(services).collect();
    assert_eq!(services, ["cart"]);
}

fn calls(sandbox: &Sandbox) -> [usize; 2] {
    let ecs = sandbox.aws.ecs();
    ["DescribeTasks", "ListTasks"].map(|operation| ecs.count(operation))
}

#[tokio::test]
async fn claims_that_ecs_does_not_confirm_list_no_tasks() {
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    let a = sandbox.aws.ecs().add_task("shop", "cart", None);
    for number in 0..3 {
        labels_of(&sandbox, &metrics(&[("aws.ecs.task.arn", &arn(&format!("f{number:031}")))]), None).await;
    }
    assert_eq!(calls(&sandbox), [3, 0]);
    // The first confirmed task allows the list, and the second lookup makes it.
    let ids: Vec<String> =
        [a].into_iter().chain((0..3).map(|_| sandbox.aws.ecs().add_task("shop", "cart", None))).collect();
    for id in &ids {
        let labels = labels_of(&sandbox, &metrics(&[("aws.ecs.task.arn", &arn(id))]), None).await;
        assert_eq!(labels["aws_ecs_service_name"], "cart", "{id}");
    }
    assert_eq!(calls(&sandbox), [6, 1]);
}

#[tokio::test]
async fn confirmed_task_keeps_its_identity_while_lookups_are_limited() {
    let sandbox = Sandbox::start(&[ANY_AGE]).await;
    let deadline = Deadline::after(Duration::from_secs(7_200));
    let push = async |claimed: String| {
        let body = metrics(&[("aws.ecs.task.arn", &claimed)]);
        let event = Event::parse(&Sandbox::event(&Push::new("/v1/metrics", &body)));
        sandbox.handlers.handle(event, &deadline).await.unwrap();
        sandbox.amp.named("queue_length").pop().unwrap().0.contains_key("aws_ecs_service_name")
    };
    let a = sandbox.aws.ecs().add_task("shop", "cart", None);
    assert!(push(arn(&a)).await);
    sandbox.aws.ecs().add_cluster("bank");
    // The description expires, and false claims of the same client use all its lookups.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3_601)).await;
    tokio::time::resume();
    for number in 0..6 {
        assert!(!push(arn(&format!("f{number:031}")).replace("task/shop", "task/bank")).await);
    }
    assert!(push(arn(&a)).await);
    assert!(calls(&sandbox)[0] <= 1 + 5, "the last lookup is not allowed");
}

#[tokio::test]
async fn claims_that_cannot_be_true_cause_no_calls() {
    let sandbox = Sandbox::start(&[ANY_AGE, ("SIDECARLESS_CLUSTERS", "shop,bank")]).await;
    let id = "f".repeat(32);
    for claimed in [
        arn(&id).replace("/shop/", "/other/"),
        arn(&id).replace("shop", &"c".repeat(256)),
        arn(&format!("{}{id}", "-".repeat(100_000))),
        arn("5f0e"),
        "x".repeat(100_000),
    ] {
        labels_of(&sandbox, &metrics(&[("aws.ecs.task.arn", &claimed)]), None).await;
    }
    assert!(sandbox.aws.ecs().calls.is_empty(), "{:?}", sandbox.aws.ecs().calls);
}

#[tokio::test]
async fn claims_of_one_client_cause_a_limited_number_of_calls() {
    let sandbox = Sandbox::start(&[ANY_AGE, ("SIDECARLESS_CLUSTERS", "shop")]).await;
    sandbox.aws.ecs().add_task("shop", "cart", None);
    let clock = sidecarless::deadline::Deadline::after(std::time::Duration::from_secs(600));
    for number in 0..100 {
        let claimed = arn(&format!("{number:032x}"));
        labels_of(&sandbox, &metrics(&[("aws.ecs.task.arn", &claimed)]), None).await;
    }
    let allowed = 6 + usize::try_from(clock.elapsed().as_secs()).unwrap() / 5 + 1;
    let calls = sandbox.aws.ecs().count("DescribeTasks");
    assert!((5..=allowed).contains(&calls), "{calls} calls, {allowed} are allowed");
}
