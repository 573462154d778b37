//! Authentication by IAM, and responses to invalid requests.

use prost::Message as _;
use sidecarless::lambda::HttpResponse;
use sidecarless::model::otlp::RpcStatus;

use crate::sandbox::{Push, Sandbox};

const LOG_GROUP: (&str, &str) = ("SIDECARLESS_LOG_GROUP", "/shop/otlp");

fn message(response: &HttpResponse) -> String {
    let status =
        RpcStatus::decode(response.body.as_slice()).expect("errors are google.rpc.Status in the request's encoding");
    status.message
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
