//! A whole event as Lambda hands it over: no panic from its JSON to decoded telemetry, and a caller without a token gets
//! nothing decoded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidecarless::receiver::{Gate, Received, receive};
use sidecarless::settings::Auth;
use sidecarless::lambda::Invocation;

fuzz_target!(|input: &[u8]| {
    let Ok(event) = str::from_utf8(input) else { return };
    let Ok(Invocation::Push(request)) = Invocation::parse(event) else { return };
    let open = Gate::new(Auth::Open, Vec::new());
    if let Err(refused) = receive(&request, &open, true) {
        let reply = refused.into_reply();
        assert!((400..=503).contains(&reply.status));
    }
    let closed = Gate::new(Auth::Token, Vec::new());
    assert!(matches!(receive(&request, &closed, true), Err(_) | Ok(Received::Look)));
});
