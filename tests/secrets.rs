//! Secrets of others: a server that repeats them in redirects and errors, and settings that have them by mistake. None is in the output
//! of the binary: log lines, responses, results and errors.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use sidecarless::model::segment::SegmentDocument;
use sidecarless::model::spool::{Payload, SpoolMessage};

use crate::ecs::fake_aws::{FakeAws, now_ms};

const SECRET: &str = "s3cret-s3cret";

/// A part of the secret.
const PART: &str = "s3c";

/// Characters of a response in a report of `push-stats`, and in other errors.
const CUTS: [usize; 2] = [300, 1_024];

/// Host in the URLs of the server.
const ELSEWHERE: &str = "elsewhere.example";

/// Starts a server that gives each request one status, and secrets in the header and the body of the response.
fn leaking_server(status: u16) -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let url = format!("https://user:{SECRET}@{ELSEWHERE}/login?token={SECRET}#{SECRET}");
    let mut message = format!("moved to {url}\nPOST\n/\n\nx-amz-security-token:{SECRET}\n\nhost;x-amz-date\n0f");
    let body_of = |message: &str| json!({"__type": "InvalidSignatureException", "message": message}).to_string();
    for cut in CUTS {
        // The text is cut within the secret.
        let padding = cut - "https://user:s3cret".len() - body_of(&message).len();
        message = format!("{message} {} {url}", "x".repeat(padding));
    }
    let body = body_of(&message);
    let response = format!(
        "HTTP/1.1 {status} X\r\nlocation: {url}\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let response: Arc<str> = response.into();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let response = Arc::clone(&response);
            std::thread::spawn(move || respond(connection, &response));
        }
    });
    port
}

fn respond(mut connection: TcpStream, response: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some(("content-length", value)) = line.to_ascii_lowercase().trim_end().split_once(": ") {
            length = value.parse().unwrap_or_default();
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length])?;
    connection.write_all(response.as_bytes())
}

/// Returns ECS with a task whose endpoints are at the port.
fn ecs(port: u16) -> FakeAws {
    let labels = json!({"sidecarless.stats.port": port.to_string(), "ECS_PROMETHEUS_EXPORTER_PORT": port.to_string(),
        "ECS_PROMETHEUS_METRICS_PATH": format!("/metrics?token={SECRET}"),
        "prometheus.io/scrape": "true", "prometheus.io/port": port.to_string(),
        "prometheus.io/path": format!("https://u:{SECRET}-that-is-longer-than-what-is-shown@a/")});
    let arn = |resource: &str| format!("arn:aws:ecs:eu-west-1:111122223333:{resource}");
    let definition = arn("task-definition/cart:1");
    let task = json!({"taskArn": arn("task/shop/t1"), "clusterArn": arn("cluster/shop"), "taskDefinitionArn": definition,
        "group": "service:cart-svc", "launchType": "FARGATE", "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
        "attachments": [{"type": "ElasticNetworkInterface",
            "details": [{"name": "privateIPv4Address", "value": "127.0.0.1"}]}],
        "containers": [{"name": "app", "lastStatus": "RUNNING"}]});
    let aws = FakeAws::new();
    aws.world(|world| {
        world.tasks.insert("shop".into(), vec![task]);
        let container = json!({"name": "app", "essential": true, "dockerLabels": labels});
        let json =
            json!({"taskDefinitionArn": definition, "networkMode": "awsvpc", "containerDefinitions": [container]});
        world.definitions.insert(definition.clone(), json);
    });
    aws
}

fn push(path: &str, body: &Value) -> Value {
    json!({"version": "2.0", "rawPath": path, "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "203.0.113.9"}},
        "body": body.to_string(), "isBase64Encoded": false})
}

/// Returns an event for each caller of a destination.
fn events() -> Vec<Value> {
    let (now_ms, nanos) = (now_ms(), (now_ms() * 1_000_000).to_string());
    let trace_id = format!("{:08x}{:024x}", now_ms / 1_000, 1);
    let span = json!({"traceId": trace_id, "spanId": "00f067aa0ba902b7", "name": "a", "kind": 2,
        "startTimeUnixNano": nanos, "endTimeUnixNano": nanos});
    let gauge = json!({"name": "a", "gauge": {"dataPoints": [{"asDouble": 1, "timeUnixNano": nanos}]}});
    let record = json!({"timeUnixNano": nanos, "body": {"stringValue": "a"}});
    let segment = format!(r#"{{"name":"a","id":"00f067aa0ba902b7","trace_id":"1-{}-{:024x}"}}"#, &trace_id[..8], 1);
    let payload = Payload::Segments(vec![SegmentDocument::new(&segment)]);
    let spooled =
        SpoolMessage { payload, error: "503: busy".into(), first_attempt_ms: now_ms }.into_messages().remove(0);
    vec![
        json!({"sidecarless": "scrape"}),
        push("/v1/traces", &json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})),
        push("/v1/metrics", &json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [gauge]}]}]})),
        push("/v1/logs", &json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})),
        push(&format!("/sampling-token/{SECRET}/GetSamplingRules"), &json!({})),
        push(&format!("/sampling-token/{SECRET}/unknown"), &json!({})),
        json!({"Records": [{"messageId": "m-1", "receiptHandle": "handle", "body": spooled.text,
            "eventSource": "aws:sqs", "attributes": {"ApproximateReceiveCount": "1"}}]}),
    ]
}

/// Returns everything that a command writes.
fn output(command: &mut Command, input: &str) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // Not every command reads its input.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text")).concat()
}

/// Returns the settings with which all destinations are at the port.
fn destinations(port: u16) -> Vec<(&'static str, String)> {
    let base = format!("http://127.0.0.1:{port}");
    let user = format!("http://user:{SECRET}@127.0.0.1:{port}");
    let mut settings: Vec<_> = ["XRAY", "CLOUDWATCH_LOGS", "SQS", "STS", "CLOUDWATCH"]
        .map(|service| (&*format!("AWS_ENDPOINT_URL_{service}").leak(), base.clone()))
        .into();
    settings.extend([
        ("AWS_PROMETHEUS_ENDPOINT", format!("{user}/api/v1/remote_write?token={SECRET}")),
        ("AWS_SESSION_TOKEN", SECRET.into()),
        ("SIDECARLESS_AUTH", "none".into()),
        ("SIDECARLESS_LOG_GROUP", "/shop".into()),
        ("SIDECARLESS_SPOOL_QUEUE_URL", format!("{base}/123456789012/spool")),
    ]);
    settings
}

/// Runs commands concurrently: most of them wait for retries.
fn assert_no_secret(commands: Vec<(Command, String)>) -> String {
    let run =
        |(mut command, input): (Command, String)| std::thread::spawn(move || (output(&mut command, &input), command));
    let running: Vec<_> = commands.into_iter().map(run).collect();
    let checked = running.into_iter().map(|thread| {
        let (written, command) = thread.join().expect("no panic");
        assert!(!written.contains(PART), "{:?}: {written}", command.get_args().collect::<Vec<_>>());
        written
    });
    checked.collect()
}

#[test]
fn secret_in_a_response_is_not_in_any_output() {
    for status in [302, 400, 403, 503] {
        let port = leaking_server(status);
        let aws = ecs(port);
        let owned = destinations(port);
        let settings: Vec<_> = owned.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let command = |settings: &[(&str, &str)], arguments: &[&str]| {
            let mut command = aws.command(settings);
            command.args(arguments);
            command
        };
        let invoked = events().into_iter().map(|event| (command(&settings, &["invoke", "-"]), event.to_string()));
        let base = format!("http://127.0.0.1:{port}");
        let all = [&settings[..], &[("AWS_ENDPOINT_URL", &base), ("AWS_ENDPOINT_URL_ECS", &base)]].concat();
        let task =
            [("ECS_CONTAINER_METADATA_URI_V4", &*base), ("SIDECARLESS_URL", &base), ("SIDECARLESS_TOKEN", SECRET)];
        let others = [
            command(&settings, &["targets"]),
            command(&settings, &["query", "up"]),
            command(&all, &["check", "--json"]),
            command(&all, &["estimate"]),
            command(&all, &["redrive"]),
            command(&task, &["push-stats", "--once"]),
        ];
        let written = assert_no_secret(invoked.chain(others.map(|command| (command, String::new()))).collect());
        let shown = written.matches(&format!("https://...@{ELSEWHERE}/login?...")).count();
        assert!(shown >= 7, "{status}: the rest of an error is shown: {written}");
        println!("show: status {status}: {shown} URLs without secrets");
    }
}

#[test]
fn secret_in_an_invalid_setting_is_not_repeated() {
    let aws = FakeAws::new();
    let invalid = [
        ("AWS_PROMETHEUS_ENDPOINT", format!("ftp://user:{SECRET}@a.example/write")),
        ("AWS_PROMETHEUS_ENDPOINT", format!("https://user:{SECRET}/{SECRET}@a.example/write")),
        ("AWS_PROMETHEUS_ENDPOINT", format!("https://user:{SECRET}@a.example")),
        ("AWS_PROMETHEUS_ENDPOINT", format!("http://user:{SECRET}@a.example/write")),
        ("SIDECARLESS_SPOOL_QUEUE_URL", format!("https://user:{SECRET}@a b/spool")),
        ("SIDECARLESS_CORS_ORIGINS", format!("https://user:{SECRET}@a.example")),
        ("SIDECARLESS_SCRAPE_RULES", format!("service=a path=/metrics?{SECRET}")),
        ("SIDECARLESS_TOKENS_SHA256", SECRET.into()),
        ("AWS_ENDPOINT_URL_XRAY", format!("https://user:{SECRET}@a b")),
    ];
    for (name, value) in &invalid {
        let mut command = aws.command(&[(name, value)]);
        command.arg("targets");
        let written = assert_no_secret(vec![(command, String::new())]);
        assert!(written.contains(name), "{value}: {written}");
    }
    let mut command = aws.command(&[]);
    command.args(["query", "up", "--url", &format!("ftp://user:{SECRET}@a.example?{SECRET}")]);
    assert!(assert_no_secret(vec![(command, String::new())]).contains("ftp://...@a.example"));
}
