//! Tests of the access of browsers: preflights, and the headers of responses.

use std::time::Duration;

use proptest::prelude::*;
use sidecarless::lambda::{HttpResponse, Invocation, Request};
use sidecarless::receiver::Cors;
use sidecarless::settings::values;

use crate::sandbox::{Push, Sandbox};

const SHOP: &str = "https://shop.example.com";
const ORIGINS: (&str, &str) = ("SIDECARLESS_CORS_ORIGINS", "https://shop.example.com, http://localhost:3000");

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    let values: Vec<_> = response.headers.iter().filter(|(other, _)| *other == name).collect();
    assert!(values.len() <= 1, "{name}: {values:?}");
    values.first().map(|(_, value)| value.as_str())
}

fn preflight<'a>(path: &'a str, origin: &'a str) -> Push<'a> {
    Push { method: "OPTIONS", ..Push::new(path, &[]) }
        .with("origin", origin)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization,content-type")
}

#[tokio::test]
async fn preflight_of_a_stated_origin_needs_no_token() {
    let sandbox = Sandbox::start(&[ORIGINS, ("SIDECARLESS_AUTH", "token")]).await;
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs", "/prod/v1/traces/"] {
        let response = sandbox.push(&preflight(path, SHOP)).await;
        assert_eq!((response.status, response.body.len()), (204, 0), "{path}");
        assert_eq!(header(&response, "access-control-allow-origin"), Some(SHOP));
        assert_eq!(header(&response, "access-control-allow-methods"), Some("POST"));
        let allowed = header(&response, "access-control-allow-headers").unwrap();
        assert!(["authorization", "content-type"].iter().all(|name| allowed.split(", ").any(|other| other == *name)));
        assert_eq!(header(&response, "access-control-max-age"), Some("7200"));
        assert_eq!(header(&response, "vary"), Some("origin"));
    }
    let response = sandbox.push(&preflight("/v1/traces", "https://evil.example.com")).await;
    assert_eq!((response.status, header(&response, "vary")), (204, Some("origin")));
    assert!(response.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{:?}", response.headers);
    let response = sandbox.push(&preflight("/v2/traces", SHOP)).await;
    assert_eq!(response.status, 404);
}

#[tokio::test]
async fn responses_to_a_stated_origin_can_be_read() {
    let sandbox = Sandbox::start(&[ORIGINS, ("SIDECARLESS_AUTH", "token")]).await;
    let request = Push::new("/v1/traces", br#"{"resourceSpans":[]}"#).with("content-type", "application/json");
    for origin in [SHOP, "http://localhost:3000"] {
        let response = sandbox
            .push(&Push { headers: request.headers.clone(), ..Push::new("/v1/traces", &[]) }.with("origin", origin))
            .await;
        assert_eq!(response.status, 401);
        assert_eq!(header(&response, "access-control-allow-origin"), Some(origin));
        assert_eq!(header(&response, "access-control-allow-credentials"), Some("true"));
        assert_eq!(header(&response, "access-control-expose-headers"), Some("retry-after"));
        assert_eq!(header(&response, "vary"), Some("origin"));
    }
    let response = sandbox.push(&request).await;
    assert_eq!((header(&response, "access-control-allow-origin"), header(&response, "vary")), (None, Some("origin")));
}

#[tokio::test]
async fn star_allows_every_origin_without_credentials() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_CORS_ORIGINS", "*"), ("SIDECARLESS_AUTH", "none")]).await;
    let body = br#"{"resourceSpans":[]}"#;
    for origin in ["https://any.example.com", "null"] {
        let push = Push::new("/v1/traces", body).with("content-type", "application/json").with("origin", origin);
        let response = sandbox.push(&push).await;
        assert_eq!((response.status, header(&response, "access-control-allow-origin")), (200, Some("*")), "{origin}");
        assert_eq!(header(&response, "access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn without_the_setting_no_header_is_added() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_AUTH", "none")]).await;
    let response = sandbox.push(&preflight("/v1/traces", SHOP)).await;
    assert_eq!((response.status, header(&response, "allow")), (405, Some("POST")));
    assert_eq!((header(&response, "vary"), header(&response, "access-control-allow-origin")), (None, None));
    let request = Push { time: Duration::from_secs(5), ..Push::new("/v1/traces", &[]) }.with("origin", SHOP);
    assert!(sandbox.push(&request).await.headers.iter().all(|(name, _)| *name != "vary"));
}

fn request(origin: &str) -> Request {
    let headers = serde_json::json!({ "Origin": origin, "Access-Control-Request-Method": origin });
    let event = serde_json::json!({
        "rawPath": "/v1/traces", "headers": headers, "requestContext": { "http": { "method": "OPTIONS" } }
    });
    match Invocation::parse(&event.to_string()) {
        Ok(Invocation::HttpRequest(request)) => *request,
        other => panic!("{other:?}"),
    }
}

fn any_origin() -> impl Strategy<Value = String> {
    let similar = prop::sample::select(vec![
        "https://shop.example.com/",
        "https://shop.example.com:443",
        "https://shop.example.com.evil.com",
        "https://evil.com#https://shop.example.com",
        "https://SHOP.example.com",
        "http://shop.example.com",
        "https://shop.example.com,https://shop.example.com",
        "https://shop.example.com\r\nset-cookie: a=b",
        " https://shop.example.com",
        "null",
        "*",
        "",
    ]);
    prop_oneof![similar.prop_map(str::to_owned), any::<String>(), "[ -~]{0,300}".prop_map(|text| text.repeat(200))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn unknown_origin_is_never_in_a_response(origin in any_origin()) {
        let cors = Cors::new(vec![SHOP.to_owned()]);
        let request = request(&origin);
        let preflight = cors.preflight(&request).unwrap();
        let response = cors.with_headers(&request, HttpResponse::default());
        for response in [preflight, response] {
            prop_assert_eq!(response.headers, vec![("vary", "origin".to_owned())]);
        }
    }
}

#[test]
fn origins_are_written_as_browsers_write_them() {
    for (text, expected) in [
        ("https://shop.example.com", Some("https://shop.example.com")),
        ("https://Shop.Example.com:443", Some("https://shop.example.com")),
        ("http://localhost:3000", Some("http://localhost:3000")),
        ("https://bücher.example", Some("https://xn--bcher-kva.example")),
        ("https://[::1]:8443", Some("https://[::1]:8443")),
        ("*", Some("*")),
        ("https://shop.example.com/", None),
        ("https://shop.example.com/path", None),
        ("https://shop.example.com?q", None),
        ("https://user@shop.example.com", None),
        ("https://*.example.com", None),
        ("shop.example.com", None),
        ("ftp://shop.example.com", None),
        ("null", None),
    ] {
        assert_eq!(values::origin(text).ok().as_deref(), expected, "{text}");
    }
}
