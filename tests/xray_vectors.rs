//! Hand-written spans, and the relevant parts of their documents in adot mode and in corrected mode.

use serde_json::{Value, json};
use sidecarless::model::budget::Unlimited;
use sidecarless::translate::Compat::{Adot, Corrected};
use sidecarless::translate::spans::{Indexed, Options};
use std::io::Write as _;

use crate::xray::schema::Schema;
use crate::xray::{CLIENT, CONSUMER, INTERNAL, PARENT, PRODUCER, SERVER, TestSpan, at, with_defaults};

/// A span, and for each mode the fields that each document must have. A field that must be missing is null.
struct Vector {
    number: u32,
    sent: TestSpan,
    adot: Vec<Value>,
    corrected: Vec<Value>,
}

fn same(number: u32, sent: TestSpan, documents: Vec<Value>) -> Vector {
    Vector { number, sent, adot: documents.clone(), corrected: documents }
}

fn differing(number: u32, sent: TestSpan, adot: Vec<Value>, corrected: Vec<Value>) -> Vector {
    Vector { number, sent, adot, corrected }
}

/// Returns the resource of a service on Fargate.
fn on_fargate() -> Value {
    json!({
        "service.name": "checkout", "service.version": "1.4.2", "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "java", "telemetry.sdk.version": "1.42.0", "cloud.provider": "aws",
        "cloud.platform": "aws_ecs", "cloud.account.id": "111122223333", "cloud.availability_zone": "us-east-1a",
        "aws.ecs.launchtype": "fargate", "aws.ecs.task.arn": "T", "aws.ecs.cluster.arn": "C", "container.name": "app",
        "container.id": "abc"
    })
}

fn language(name: &str) -> Value {
    json!({ "telemetry.sdk.language": name })
}

/// Returns a quarter of a second after the start. The collector's division returns the double below `.25`.
fn end_time() -> f64 {
    1_700_000_000_250_000_000_u64 as f64 / 1e9
}

fn listed(keys: &[&str]) -> Options {
    Options { indexed: Indexed::Listed(keys.iter().map(ToString::to_string).collect()), ..Options::default() }
}

fn exception(kind: &str, message: &str, stack: &str) -> Value {
    json!({ "exception.type": kind, "exception.message": message, "exception.stacktrace": stack })
}

fn http_vectors() -> Vec<Vector> {
    let server = json!({
        "http.method": "GET", "http.scheme": "https", "http.host": "shop.example.com", "http.target": "/orders/7?x=1",
        "http.status_code": 200, "http.client_ip": "203.0.113.9", "http.user_agent": "curl/8",
        "http.route": "/orders/{id}"
    });
    let stable = json!({
        "http.request.method": "POST", "url.scheme": "https", "url.path": "/pay", "url.query": "a=1",
        "server.address": "pay.example.com", "server.port": 443, "http.response.status_code": 503,
        "client.address": "198.51.100.4", "network.peer.address": "10.0.0.5"
    });
    let paid = |forwarded: Value| {
        json!({
            "http.request.url": "https://pay.example.com/pay?a=1", "http.request.client_ip": "198.51.100.4",
            "http.request.x_forwarded_for": forwarded, "fault": true, "error": false, "cause": null
        })
    };
    let not_found = json!({
        "http.request.method": "GET", "url.full": "https://api.example.com/v1?q=2", "server.address": "api.example.com",
        "server.port": 443, "http.response.status_code": 404
    });
    let parts = json!({
        "http.request.method": "GET", "url.scheme": "https", "url.path": "/x", "server.address": "api"
    });
    let client_error = |name: &str| {
        json!({
            "type": "subsegment", "namespace": "remote", "parent_id": PARENT, "name": name, "error": true,
            "fault": false, "cause": null, "annotations": null, "metadata.default": null,
            "http": { "request": { "method": "GET", "url": "https://api.example.com/v1?q=2" },
                      "response": { "status": 404, "content_length": 0 } }
        })
    };
    vec![
        same(
            1,
            TestSpan::root(INTERNAL, "any"),
            vec![json!({
                "trace_id": "1-4bf92f35-77b34da6a3ce929d0e0e4736", "id": "00f067aa0ba902b7", "start_time": 1_700_000_000.0,
                "end_time": end_time()
            })],
        ),
        same(
            2,
            TestSpan::root(SERVER, "GET /orders/{id}").on(on_fargate()).with(server),
            vec![json!({
                "name": "checkout", "type": null, "namespace": null, "parent_id": null, "origin": "AWS::ECS::Fargate",
                "http": { "request": { "method": "GET", "url": "https://shop.example.com/orders/7?x=1",
                                       "user_agent": "curl/8", "client_ip": "203.0.113.9", "x_forwarded_for": true },
                          "response": { "status": 200, "content_length": 0 } },
                "error": false, "fault": false, "throttle": false, "cause": null, "service": { "version": "1.4.2" },
                "aws.ecs": { "container": "app", "container_id": "abc", "task_arn": "T", "cluster_arn": "C",
                             "availability_zone": "us-east-1a", "launch_type": "fargate" },
                "aws.account_id": "111122223333",
                "aws.xray": { "sdk": "opentelemetry for java", "sdk_version": "1.42.0", "auto_instrumentation": false },
                "metadata.default/http.route": "/orders/{id}", "metadata.default/otel.resource.container.id": "abc",
                "metadata.default/otel.resource.service.name": "checkout"
            })],
        ),
        differing(
            3,
            TestSpan::root(SERVER, "POST /pay").with(stable),
            vec![paid(json!(null))],
            vec![paid(json!(true))],
        ),
        differing(
            4,
            TestSpan::child(CLIENT, "GET").on(on_fargate()).with(not_found).failed(""),
            vec![client_error("GET")],
            vec![client_error("api.example.com")],
        ),
        differing(
            5,
            TestSpan::child(CLIENT, "GET").with(parts),
            vec![json!({ "http.request.url": "https:///x" })],
            vec![json!({ "http.request.url": "https://api/x", "name": "api", "metadata.otel.name": "GET" })],
        ),
    ]
}

fn failure_vectors() -> Vec<Vector> {
    let slow_down = json!({
        "error": true, "throttle": true, "fault": false, "cause.exceptions.0.type": "",
        "cause.exceptions.0.message": "slow down", "cause.exceptions.0.remote": null
    });
    vec![
        same(
            6,
            TestSpan::child(CLIENT, "GET").with(json!({ "http.status_code": 429 })).failed("slow down"),
            vec![slow_down],
        ),
        same(
            7,
            TestSpan::child(INTERNAL, "work").failed("db down"),
            vec![json!({
                "type": "subsegment", "namespace": null, "name": "work", "fault": true, "cause.exceptions.0.type": "",
                "cause.exceptions.0.message": "db down", "cause.exceptions.1": null
            })],
        ),
    ]
}

fn aws_vectors() -> Vec<Vector> {
    let get_item = |tables: &[&str]| {
        json!({
            "rpc.system": "aws-api", "rpc.service": "DynamoDB", "rpc.method": "GetItem", "aws.region": "us-east-1",
            "aws.request_id": "RQ", "aws.dynamodb.table_names": tables, "http.status_code": 200
        })
    };
    vec![
        same(
            8,
            TestSpan::child(CLIENT, "DynamoDB.GetItem").with(get_item(&["t1"])),
            vec![json!({
                "name": "DynamoDB", "namespace": "aws", "aws.operation": "GetItem", "aws.region": "us-east-1",
                "aws.request_id": "RQ", "aws.table_name": "t1",
                "http": { "request": {}, "response": { "status": 200, "content_length": 0 } },
                "metadata.default": { "rpc.system": "aws-api", "rpc.service": "DynamoDB",
                                      "aws.dynamodb.table_names": ["t1"] }
            })],
        ),
        same(
            9,
            TestSpan::child(CLIENT, "DynamoDB.GetItem").with(get_item(&["t1", "t2"])),
            vec![json!({
                "aws.table_names": ["t1", "t2"], "aws.table_name": null
            })],
        ),
    ]
}

fn split_vectors() -> Vec<Vector> {
    let s3 = json!({
        "aws.span.kind": "LOCAL_ROOT", "aws.local.service": "worker", "aws.remote.service": "AWS::S3",
        "aws.remote.operation": "GetObject", "rpc.system": "aws-api", "rpc.method": "GetObject"
    });
    let call = json!({
        "id": "00f067aa0ba902b7", "parent_id": "<service>", "type": "subsegment", "name": "S3", "namespace": "aws",
        "aws.operation": "GetObject", "aws.account_id": "111122223333", "origin": "AWS::ECS::Fargate",
        "metadata.default/otel.resource.service.name": null, "metadata.default/aws.local.service": "worker"
    });
    let service = |account: Value, parent: Value, metadata: Value, stored: Value| {
        json!({
            "id": "<service>", "parent_id": parent, "type": null, "namespace": null, "http": null, "name": "worker",
            "aws.operation": null, "aws.account_id": account, "origin": "AWS::ECS::Fargate",
            "metadata.default/otel.resource.service.name": stored, "metadata.default/aws.local.service": null,
            "metadata": metadata
        })
    };
    let account = json!("111122223333");
    let any = Value::String("<any>".into());
    let kafka = json!({ "messaging.system": "kafka" });
    let kafka_root = json!({
        "messaging.system": "kafka", "aws.span.kind": "LOCAL_ROOT", "aws.remote.service": "kafka-topic"
    });
    let consumed = |name: &str| {
        json!({
            "type": null, "namespace": null, "parent_id": PARENT, "name": name,
            "links.0": { "trace_id": "1-01010101-010101010101010101010101", "id": "0202020202020202" },
            "metadata.default/otel.resource.service.name": "checkout"
        })
    };
    vec![
        differing(
            10,
            TestSpan::root(CLIENT, "S3.GetObject").on(on_fargate()).with(s3.clone()),
            vec![call.clone(), service(json!(null), json!(null), any.clone(), json!("checkout"))],
            vec![call.clone(), service(account.clone(), json!(null), any, json!("checkout"))],
        ),
        differing(
            11,
            TestSpan::child(CLIENT, "S3.GetObject").on(on_fargate()).with(s3),
            vec![call.clone(), service(json!(null), json!(PARENT), json!({ "default": {} }), json!(null))],
            vec![call, service(account, json!(PARENT), json!(null), json!(null))],
        ),
        same(
            12,
            TestSpan::child(INTERNAL, "x").on(on_fargate()).with(json!({
                "aws.span.kind": "LOCAL_ROOT", "aws.local.service": "job"
            })),
            vec![json!({
                "type": null, "namespace": null, "parent_id": PARENT, "name": "job",
                "metadata.default/otel.resource.service.name": null
            })],
        ),
        differing(
            13,
            TestSpan::child(CONSUMER, "orders process").on(on_fargate()).with(kafka).linked(),
            vec![consumed("orders process")],
            vec![consumed("checkout")],
        ),
        same(
            14,
            TestSpan::child(CONSUMER, "orders process").on(on_fargate()).with(kafka_root).linked(),
            vec![
                json!({
                    "type": "subsegment", "namespace": "remote", "name": "kafka-topic", "links": null,
                    "metadata.default/otel.resource.service.name": "checkout"
                }),
                json!({
                    "name": "checkout",
                    "links.0": { "trace_id": "1-01010101-010101010101010101010101", "id": "0202020202020202" }
                }),
            ],
        ),
        same(
            15,
            TestSpan::child(PRODUCER, "orders send"),
            vec![json!({
                "type": "subsegment", "namespace": "remote", "name": "orders send"
            })],
        ),
    ]
}

fn database_vectors() -> Vec<Vector> {
    let old = json!({
        "db.system": "postgresql", "db.name": "shop", "db.connection_string": "postgresql://db.internal:5432",
        "db.statement": "SELECT 1", "db.user": "app", "net.peer.name": "db.internal"
    });
    let sql = json!({
        "url": "SELECT shop.orders", "connection_string": "postgresql://db.internal:5432/shop",
        "database_type": "postgresql", "user": "app", "sanitized_query": "SELECT 1"
    });
    let stable = json!({
        "db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": "SELECT 2", "server.address": "db"
    });
    let shop = |default: Value| {
        json!({ "name": "shop@db.internal", "namespace": "remote", "sql": sql, "http": null,
                "metadata.default": default })
    };
    vec![
        differing(
            16,
            TestSpan::child(CLIENT, "SELECT shop.orders").with(old),
            vec![shop(json!(null))],
            vec![shop(json!({ "net.peer.name": "db.internal" }))],
        ),
        same(
            17,
            TestSpan::child(CLIENT, "GET").with(json!({
                "db.system": "redis", "db.statement": "GET k", "net.peer.name": "cache"
            })),
            vec![json!({
                "sql": null, "name": "cache", "metadata.default/db.system": "redis",
                "metadata.default/db.statement": "GET k"
            })],
        ),
        differing(
            18,
            TestSpan::child(CLIENT, "SELECT orders").with(stable),
            vec![json!({
                "sql": null, "name": "SELECT orders", "metadata.default": {
                    "db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": "SELECT 2"
                }
            })],
            vec![json!({
                "name": "shop@db", "metadata.default": { "server.address": "db" }, "sql": {
                    "url": "SELECT orders", "connection_string": "db/shop", "database_type": "postgresql",
                    "sanitized_query": "SELECT 2"
                }
            })],
        ),
    ]
}

const JAVA: &str = "com.foo.BarException: boom\n\tat com.foo.A.run(A.java:10)\n\tat java.base/java.lang.Thread.run(\
                    Thread.java:840)\nCaused by: java.io.IOException: disk\n\tat com.foo.B.read(B.java:5)\n\t... 1 more";

const PYTHON: &str = "Traceback (most recent call last):\n  File \"foo.py\", line 5, in greet\n    raise ValueError\n\
                      ValueError: bad\n\nDuring handling of the above exception, another exception occurred:\n\n\
                      Traceback (most recent call last):\n  File \"main.py\", line 14, in <module>\n    greet_many([])\n  \
                      File \"greetings.py\", line 12, in greet_many\n    greet(None)\nTypeError: outer\n";

const V8: &str = "Error: x\n    at speedy (/home/f.js:6:11)\n";
const DOTNET: &str = "x\n   at NS.P.Main(String[] a) in C:\\x\\P.cs:line 12\n   at System.Int32.Parse(String s)\n";

fn stack_vectors() -> Vec<Vector> {
    let speedy = |label: &str| json!([{ "path": "/home/f.js", "line": 6, "label": label }]);
    let stack = |frames: Value| vec![json!({ "cause.exceptions.0.stack": frames })];
    vec![
        same(
            19,
            TestSpan::root(SERVER, "x")
                .on(on_fargate())
                .with(json!({ "http.status_code": 500 }))
                .event("exception", exception("com.foo.BarException", "boom", JAVA)),
            vec![json!({
                "fault": true, "cause.exceptions.0.message": "boom", "cause.exceptions.0.remote": false,
                "cause.exceptions.0.cause": "<exception 1>", "cause.exceptions.0.stack": [
                    { "path": "A.java", "line": 10, "label": "com.foo.A.run" },
                    { "path": "Thread.java", "line": 840, "label": "java.lang.Thread.run" }
                ],
                "cause.exceptions.1.type": "java.io.IOException", "cause.exceptions.1.message": "disk",
                "cause.exceptions.1.stack": [{ "path": "B.java", "line": 5, "label": "com.foo.B.read" }],
                "cause.exceptions.2": null
            })],
        ),
        same(
            20,
            TestSpan::root(SERVER, "x")
                .on(language("python"))
                .event("exception", exception("TypeError", "outer", PYTHON)),
            vec![json!({
                "cause.exceptions.0.type": "TypeError", "cause.exceptions.0.cause": "<exception 1>",
                "cause.exceptions.0.stack": [
                    { "path": "greetings.py", "line": 12, "label": "greet_many" },
                    { "path": "main.py", "line": 14, "label": "<module>" }
                ],
                "cause.exceptions.1.type": "ValueError", "cause.exceptions.1.message": "bad",
                "cause.exceptions.1.stack": [{ "path": "foo.py", "line": 5, "label": "greet" }]
            })],
        ),
        differing(
            21,
            TestSpan::root(SERVER, "x").on(language("nodejs")).event("exception", exception("Error", "x", V8)),
            stack(json!(null)),
            stack(speedy("speedy")),
        ),
        differing(
            21,
            TestSpan::root(SERVER, "x").on(language("javascript")).event("exception", exception("Error", "x", V8)),
            stack(speedy("speedy ")),
            stack(speedy("speedy")),
        ),
        same(
            22,
            TestSpan::root(SERVER, "x").on(language("dotnet")).event("exception", exception("E", "x", DOTNET)),
            stack(json!([
                { "path": "C:\\x\\P.cs", "line": 12, "label": "NS.P.Main(String[] a)" },
                { "path": "", "line": 0, "label": "System.Int32.Parse(String s)" }
            ])),
        ),
        same(
            23,
            TestSpan::child(CLIENT, "x").with(json!({ "rpc.system": "aws-api" })).event_at(
                1_700_000_000_123_456_000,
                "HTTP request failure",
                json!({ "http.response.status_code": 503, "aws.http.error_message": "Service Unavailable" }),
            ),
            vec![json!({
                "cause.exceptions.0.type": "aws.http.error.event", "cause.exceptions.0.remote": true,
                "cause.exceptions.0.message": "503@1700000000.123456@Service Unavailable", "fault": false
            })],
        ),
    ]
}

fn annotation_vectors() -> Vec<Vector> {
    let tenant = json!({ "tenant-id": "acme", "http.method": "GET" });
    let scalars = json!({ "s": "x", "n": 3, "arr": ["a"] });
    let kept = |metadata: Value| vec![json!({ "annotations": { "s": "x", "n": 3 }, "metadata.default": metadata })];
    let nested = json!({ "k": 1 });
    vec![
        same(
            24,
            TestSpan::root(SERVER, "x").on(on_fargate()).with(tenant).under(listed(&[
                "tenant-id",
                "http.method",
                "otel.resource.service.name",
            ])),
            vec![json!({
                "annotations": { "tenant_id": "acme", "http.method": "GET", "otel.resource.service.name": "checkout" },
                "http.request.method": "GET", "metadata.default/otel.resource.service.name": null,
                "metadata.default/otel.resource.service.version": "1.4.2"
            })],
        ),
        same(
            25,
            TestSpan::root(SERVER, "x").with(json!({
                "aws.xray.annotations": ["tenant", "http.method"], "tenant": "acme", "http.method": "GET"
            })),
            vec![json!({ "annotations": { "tenant": "acme" }, "metadata.default": null })],
        ),
        differing(
            26,
            TestSpan::root(INTERNAL, "x")
                .on(json!({ "m": nested }))
                .with(scalars)
                .under(Options { indexed: Indexed::All, ..Options::default() }),
            kept(json!({ "otel.resource.m": nested })),
            kept(json!({ "otel.resource.m": nested, "arr": ["a"] })),
        ),
        same(
            27,
            TestSpan::child(INTERNAL, "x").with(json!({
                "aws.xray.metadata.debug": "{\"k\":1}", "aws.xray.metadata.Default": "{\"z\":2}",
                "aws.xray.metadata.bad": "nope"
            })),
            vec![
                json!({ "metadata": { "debug": { "k": 1 }, "default": { "z": 2, "aws.xray.metadata.bad": "nope" } } }),
            ],
        ),
        same(
            28,
            TestSpan::root(SERVER, "x").with(json!({ "aws.xray.inprogress": true })),
            vec![json!({
                "in_progress": true, "end_time": null, "metadata.default": null
            })],
        ),
        same(
            28,
            TestSpan::root(SERVER, "x").with(json!({ "aws.xray.inprogress": false })),
            vec![json!({
                "in_progress": null, "end_time": end_time(), "metadata.default": null
            })],
        ),
    ]
}

fn name_and_resource_vectors() -> Vec<Vector> {
    let named = |name: &str| vec![json!({ "name": name })];
    let arns = "arn:aws:logs:us-east-1:1:log-group:/ecs/app:*&arn:aws:logs:us-east-1:1:log-group:g2";
    let elsewhere = json!({ "cloud.provider": "gcp", "host.id": "i-1" });
    let nowhere = json!({ "aws": null, "origin": null });
    vec![
        same(29, TestSpan::child(INTERNAL, "a,b$c\\d\te"), named("abcde")),
        same(29, TestSpan::child(INTERNAL, "?"), named("span")),
        differing(29, TestSpan::child(INTERNAL, "x").with(json!({ "peer.service": "a,b" })), named("a,b"), named("ab")),
        same(
            30,
            TestSpan::root(SERVER, "x").on(json!({ "aws.log.group.arns": arns })),
            vec![json!({
                "aws.cloudwatch_logs": [
                    { "log_group": "/ecs/app", "arn": "arn:aws:logs:us-east-1:1:log-group:/ecs/app:*" },
                    { "log_group": "g2", "arn": "arn:aws:logs:us-east-1:1:log-group:g2" }
                ]
            })],
        ),
        same(31, TestSpan::root(SERVER, "x").on(elsewhere.clone()), vec![nowhere.clone()]),
        // The collector panics here.
        same(
            31,
            TestSpan::root(CLIENT, "x").on(elsewhere).with(json!({ "aws.span.kind": "LOCAL_ROOT" })),
            vec![nowhere.clone(), nowhere],
        ),
        same(
            32,
            TestSpan::root(SERVER, "x").on(json!({ "k8s.cluster.name": "c1", "host.id": "i-1" })),
            vec![json!({
                "aws.ec2": { "instance_id": "i-1" }, "aws.eks": { "cluster_name": "c1" }, "origin": null
            })],
        ),
    ]
}

fn vectors() -> Vec<Vector> {
    [
        http_vectors(),
        failure_vectors(),
        aws_vectors(),
        split_vectors(),
        database_vectors(),
        stack_vectors(),
        annotation_vectors(),
        name_and_resource_vectors(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn check(name: &str, expected: &[Value], documents: &[Value], failures: &mut Vec<String>) {
    if expected.len() != documents.len() {
        failures.push(format!("{name}: {} documents", documents.len()));
        return;
    }
    for (expected, document) in expected.iter().zip(documents) {
        for (path, value) in expected.as_object().unwrap() {
            let actual = at(document, path);
            let expected = match value.as_str() {
                Some("<any>") => actual,
                Some("<service>") => &documents[1]["id"],
                Some("<exception 1>") => &document["cause"]["exceptions"][1]["id"],
                _ => value,
            };
            if actual != expected {
                failures.push(format!("{name}: {path} is {actual}, expected {expected}"));
            }
        }
    }
}

#[test]
fn only_adot_mode_writes_values_that_mean_nothing() {
    let members = json!({ "http.request.method": "GET" });
    let span = TestSpan::root(SERVER, "x").with(members);
    let written = |compat, path: &str| at(&span.documents(compat)[0], path).clone();
    for (path, in_adot_mode) in [
        ("fault", json!(false)),
        ("error", json!(false)),
        ("throttle", json!(false)),
        ("http.response.content_length", json!(0)),
        ("aws.xray", json!({ "auto_instrumentation": false })),
    ] {
        assert_eq!(written(Adot, path), in_adot_mode, "{path}");
        assert_eq!(written(Corrected, path), Value::Null, "{path}");
    }
}

#[test]
fn response_size_is_in_one_field_unless_it_is_zero() {
    for (key, size, in_http, in_metadata) in [
        ("http.response.body.size", 1234, json!(1234), Value::Null),
        ("http.response_content_length", 1234, json!(1234), Value::Null),
        ("http.response.body.size", 0, Value::Null, json!(0)),
    ] {
        let document =
            &TestSpan::root(SERVER, "x").with(json!({ "http.method": "GET", key: size })).documents(Corrected)[0];
        assert_eq!(*at(document, "http.response.content_length"), in_http, "{key}");
        assert_eq!(document["metadata"]["default"][key], in_metadata, "{key}");
    }
}

#[test]
fn vectors_become_the_expected_documents() {
    let (mut failures, schema) = (Vec::new(), Schema::of_segments());
    let vectors = vectors();
    for vector in &vectors {
        for (compat, expected) in [(Adot, &vector.adot), (Corrected, &vector.corrected)] {
            let documents = vector.sent.documents(compat);
            if compat == Corrected {
                failures.extend(documents.iter().flat_map(|document| schema.validation_errors(document)));
            }
            let documents: Vec<_> = documents.into_iter().map(with_defaults).collect();
            check(&format!("vector {} {compat:?}", vector.number), expected, &documents, &mut failures);
        }
    }
    let mut numbers: Vec<_> = vectors.iter().map(|vector| vector.number).collect();
    numbers.dedup();
    let _ = writeln!(std::io::stderr(), "{} vectors in {} rows, each in both modes", numbers.len(), vectors.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn local_root_call_becomes_two_documents() {
    let split = TestSpan::root(CLIENT, "x").with(json!({ "aws.span.kind": "LOCAL_ROOT" }));
    let mut request = split.request();
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    for _ in 1..120 {
        spans.extend(TestSpan::root(SERVER, "x").request().resource_spans[0].scope_spans[0].spans.clone());
    }
    let segments =
        sidecarless::translate::spans::segments(&(&request).into(), &Options::default(), &Unlimited).unwrap();
    assert_eq!((segments.received, segments.documents.len()), (120, 121));
}
