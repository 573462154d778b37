//! Response to health checks. It contains nothing secret.

use crate::lambda::{HttpResponse, Request};

/// Signals that the function accepts in addition to traces.
#[derive(Clone, Copy, Debug)]
pub struct EnabledSignals {
    pub metrics: bool,
    pub logs: bool,
}

/// Returns the version and the enabled signals, as HTML for a browser and as JSON for other clients.
pub fn health_response(request: &Request, signals: EnabledSignals) -> HttpResponse {
    let (version, metrics, logs) = (env!("CARGO_PKG_VERSION"), on_off(signals.metrics), on_off(signals.logs));
    let is_browser = request.header("accept").is_some_and(|accept| accept.contains("text/html"));
    let (content_type, body) = if is_browser {
        let page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>sidecarless</title>\
             <style>body{{font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em}}</style>\
             <h1>sidecarless {version}</h1><p>This is an OpenTelemetry endpoint. Traces are on, metrics are {metrics}, logs are {logs}.\
             <p>Point an SDK here: <code>OTEL_EXPORTER_OTLP_ENDPOINT</code> is this address, \
             <code>OTEL_EXPORTER_OTLP_PROTOCOL</code> is <code>http/protobuf</code>.</html>\n"
        );
        ("text/html; charset=utf-8", page)
    } else {
        let json = serde_json::json!({"name": "sidecarless", "version": version, "traces": "on", "metrics": metrics, "logs": logs});
        ("application/json", json.to_string())
    };
    HttpResponse { status: 200, headers: vec![("content-type", content_type.into())], body: body.into_bytes() }
}

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}
