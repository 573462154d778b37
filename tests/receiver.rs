//! Authentication by IAM, and requests that are forwarded unparsed.

use prost::Message as _;
use sidecarless::lambda::HttpResponse;
use sidecarless::model::otlp::RpcStatus;

use crate::sandbox::http::{Fault, StubResponse};
use crate::sandbox::{Push, Sandbox};

const LOG_GROUP: (&str, &str) = ("SIDECARLESS_LOG_GROUP", "/shop/otlp");

fn message(response: &HttpResponse) -> String {
    let status =
        RpcStatus::decode(response.body.as_slice()).expect("errors are google.rpc.Status in the request's encoding");
    status.message
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn logs_and_the_response_are_forwarded_unchanged() {
    let sandbox = Sandbox::start(&[LOG_GROUP, ("SIDECARLESS_LOG_STREAM", "tasks")]).await;
    for (content_type, body) in
        [("application/x-protobuf", &b"\x0a\x00"[..]), ("application/json", b"{\"resourceLogs\":[]}")]
    {
        let response = sandbox.push(&Push::new("/v1/logs", body).with("content-type", content_type)).await;
        assert_eq!((response.status, header(&response, "content-type")), (200, Some(content_type)));
        assert_eq!(response.body, br#"{"partialSuccess":{}}"#);
        let logs = sandbox.aws.otlp_logs();
        let taken = logs.taken.last().unwrap();
        assert_eq!((taken.body.as_slice(), taken.header("content-type")), (body, content_type));
        assert_eq!((taken.header("x-aws-log-group"), taken.header("x-aws-log-stream")), ("/shop/otlp", "tasks"));
        assert!(taken.header("authorization").contains("/eu-west-1/logs/aws4_request"), "it is signed for logs");
        let signed = taken.header("authorization");
        assert!(signed.contains("x-aws-log-group;x-aws-log-stream"), "so are the names: {signed}");
    }
}

#[tokio::test]
async fn errors_of_cloudwatch_logs_are_returned_to_the_client() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    let push = Push { time: std::time::Duration::from_secs(2), ..Push::new("/v1/logs", b"\x0a\x00") };
    let busy =
        StubResponse::Http { status: 429, headers: vec![("retry-after", "7".into())], body: b"slow down".to_vec() };
    for (stub, status, text, retry_after) in [
        (
            StubResponse::of(400, "text/plain", "no such log group"),
            400,
            "CloudWatch Logs: 400 Bad Request: no such log group",
            None,
        ),
        (
            StubResponse::of(403, "text/plain", "not authorized"),
            403,
            "CloudWatch Logs: 403 Forbidden: not authorized",
            None,
        ),
        (
            StubResponse::of(413, "text/plain", "too large"),
            413,
            "CloudWatch Logs: 413 Payload Too Large: too large",
            None,
        ),
        (StubResponse::of(500, "text/plain", "sick"), 503, "sick", Some("1")),
        (busy, 503, "slow down", Some("7")),
        (StubResponse::Reset, 503, "CloudWatch Logs", Some("1")),
    ] {
        sandbox.aws.otlp_logs().response = Some(stub);
        let response = sandbox.push(&push).await;
        assert_eq!(
            (response.status, header(&response, "retry-after")),
            (status, retry_after),
            "{}",
            message(&response)
        );
        assert!(message(&response).contains(text), "{}", message(&response));
    }
    sandbox.aws.otlp_logs().response = None;
    sandbox.aws.fail([Fault::status(503, "for a moment")]);
    assert_eq!(sandbox.push(&push).await.status, 200, "later pushes are forwarded");
    assert_eq!(sandbox.aws.otlp_logs().taken.len(), 1);
}

#[tokio::test]
async fn unlisted_callers_are_rejected_before_decoding() {
    for named in ["arn:aws:iam::111122223333:role/cart", "cart", "bank-*,cart"] {
        callers_are_limited_to_cart(named).await;
    }
}

async fn callers_are_limited_to_cart(named: &str) {
    let sandbox = Sandbox::start(&[("SIDECARLESS_AUTH", "iam"), ("SIDECARLESS_IAM_CALLERS", named)]).await;
    let garbage = [0xff, 0xfe];
    for (caller, status, text) in [
        (None, 401, "missing SigV4 signature"),
        (Some("arn:aws:sts::111122223333:assumed-role/bank/5f0e"), 403, "not in SIDECARLESS_IAM_CALLERS"),
        (Some("arn:aws:sts::444455556666:assumed-role/cart/5f0e"), 403, "not in SIDECARLESS_IAM_CALLERS"),
        (Some("arn:aws:iam::111122223333:user/cart"), 403, "not in SIDECARLESS_IAM_CALLERS"),
        (Some("arn:aws:sts::111122223333:assumed-role/cart/5f0e"), 400, "invalid OTLP protobuf"),
    ] {
        let response = sandbox.push(&Push { caller, ..Push::new("/v1/traces", &garbage) }).await;
        assert_eq!(response.status, status, "{caller:?}: {}", message(&response));
        assert!(message(&response).contains(text), "{caller:?}: {}", message(&response));
    }
}

#[tokio::test]
async fn health_check_tells_nothing_about_the_function() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_AUTH", "token")]).await;
    for path in ["/", "/healthz"] {
        let push = Push { method: "GET", ..Push::new(path, b"") }.with("accept", "text/html");
        let response = sandbox.push(&push).await;
        assert_eq!((response.status, response.body.as_slice()), (200, &b"ok\n"[..]), "{path}");
    }
}

#[tokio::test]
async fn text_of_the_request_in_a_response_is_shortened() {
    let sandbox = Sandbox::start(&[LOG_GROUP]).await;
    let long = "\u{1b}\n".repeat(200_000);
    let json = |body: String| body.replace('\u{1b}', "\\u001b").replace('\n', "\\n");
    let wrong_type = json(format!(r#"{{"resourceSpans":"{long}"}}"#));
    let wrong_name =
        json(format!(r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":7,"{long}":8}}]}}}}]}}"#));
    let path = format!("/{long}");
    for (case, push) in [
        (
            "a text of the wrong type",
            Push::new("/v1/traces", wrong_type.as_bytes()).with("content-type", "application/json"),
        ),
        ("an unknown name", Push::new("/v1/metrics", wrong_name.as_bytes()).with("content-type", "application/json")),
        ("a path", Push::new(&path, b"")),
        ("a method", Push { method: &long, ..Push::new("/v1/traces", b"") }),
        ("an encoding", Push::new("/v1/traces", b"x").with("content-encoding", &long)),
    ] {
        let response = sandbox.push(&push).await;
        assert!((400..=415).contains(&response.status), "{case}: {}", response.status);
        assert!(response.body.len() < 5_000, "{case}: {} bytes", response.body.len());
        assert!(!response.body.contains(&0x1b), "{case}: {}", String::from_utf8_lossy(&response.body));
    }
}
