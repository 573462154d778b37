//! Container images that sidecarless replaces.

/// Parts of image names of ADOT, current and old, and of the OpenTelemetry Collector.
const COLLECTORS: [&str; 4] = ["aws-otel-collector", "adot-collector", "opentelemetry-collector", "otelcol"];

/// Part of the image name of the X-Ray daemon.
const DAEMON: &str = "xray-daemon";

/// Returns whether the image is a collector.
pub(super) fn is_collector(image: &str) -> bool {
    COLLECTORS.iter().any(|part| image.contains(part))
}

/// Returns whether the image is a collector or the X-Ray daemon.
pub(super) fn is_sidecar(image: &str) -> bool {
    is_collector(image) || image.contains(DAEMON)
}
