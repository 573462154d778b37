//! A Lambda event, from its JSON to decoded telemetry: no panic, and requests without a token are not decoded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::lambda::Invocation;
use sidecarless::model::budget::Unlimited;
use sidecarless::receiver::{Authenticator, DecodedRequest, decode_request};
use sidecarless::settings::Auth;

fuzz_target!(|input: &[u8]| {
    let Ok(event) = str::from_utf8(input) else { return };
    let Ok(Invocation::HttpRequest(request)) = Invocation::parse(event) else { return };
    let disabled = Authenticator::new(Auth::Disabled, Vec::new());
    if let Err(error) = decode_request(&request, &disabled, true, &Unlimited) {
        let response = error.into_http_response();
        assert!((400..=503).contains(&response.status));
    }
    let token = Authenticator::new(Auth::Token, Vec::new());
    assert!(matches!(decode_request(&request, &token, true, &Unlimited), Err(_) | Ok(DecodedRequest::HealthCheck)));
});
