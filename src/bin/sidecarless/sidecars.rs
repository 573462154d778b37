//! What tells the containers apart that sidecarless takes the place of.

/// Parts of the images of the collector: ADOT's of today and of once, and OpenTelemetry's own.
const COLLECTORS: [&str; 4] = ["aws-otel-collector", "adot-collector", "opentelemetry-collector", "otelcol"];

/// Of the X-Ray daemon.
const DAEMON: &str = "xray-daemon";

/// Whether an image is that of a collector.
pub(super) fn is_collector(image: &str) -> bool {
    COLLECTORS.iter().any(|part| image.contains(part))
}

/// Whether an image is that of a collector or of the X-Ray daemon.
pub(super) fn is_sidecar(image: &str) -> bool {
    is_collector(image) || image.contains(DAEMON)
}
