//! Settings of AMP, X-Ray, CloudWatch Logs, the spool, internal metrics and the log.

use super::{Setting, store, store_some};
use crate::settings::{TraceDestination, values};

/// Name of the log level setting. `log::init` reads it before all other settings.
pub const LOG_SETTING: &str = "SIDECARLESS_LOG";

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "AWS_PROMETHEUS_ENDPOINT",
        values: "URL",
        default: "",
        description: "Remote write URL of the AMP workspace. If unset, scheduled runs do nothing and OTLP metrics are rejected.",
        apply: |settings, text| store_some(&mut settings.prometheus_endpoint, values::endpoint(text)),
    },
    Setting {
        name: "SIDECARLESS_AMP_REGION",
        values: "region",
        default: "",
        description: "Region of the workspace. If unset, the region in the host of `AWS_PROMETHEUS_ENDPOINT`; for hosts without a region, the region of the function.",
        apply: |settings, text| store_some(&mut settings.amp_access.region, values::region(text)),
    },
    Setting {
        name: "SIDECARLESS_AMP_ROLE_ARN",
        values: "ARN",
        default: "",
        description: "Role to assume for writes to the workspace, for a workspace in another account. If unset, the role of the function writes.",
        apply: |settings, text| store_some(&mut settings.amp_access.role_arn, values::role_arn(text)),
    },
    Setting {
        name: "SIDECARLESS_AMP_EXTERNAL_ID",
        values: "text",
        default: "",
        description: "External ID that the trust policy of that role requires.",
        apply: |settings, text| store_some(&mut settings.amp_access.external_id, values::external_id(text)),
    },
    Setting {
        name: "SIDECARLESS_METRICS_TO",
        values: "list of `amp`, `cloudwatch`",
        default: "amp",
        description: "Destinations of pushed OTLP metrics. `cloudwatch` sends them unchanged to the CloudWatch OTLP endpoint of the region. Scraped metrics go to AMP.",
        apply: |settings, text| store(&mut settings.metrics_to, values::metrics_to(text)),
    },
    Setting {
        name: "SIDECARLESS_TRACE_DESTINATION",
        values: "`xray`, `xray-otlp`",
        default: "xray",
        description: "API that receives spans: PutTraceSegments, or the X-Ray OTLP endpoint, which requires Transaction Search.",
        apply: |settings, text| {
            let destinations = [("xray", TraceDestination::XRay), ("xray-otlp", TraceDestination::XRayOtlp)];
            store(&mut settings.trace_destination, values::choice(text, &destinations))
        },
    },
    Setting {
        name: "SIDECARLESS_XRAY_REGION",
        values: "region",
        default: "",
        description: "Region of X-Ray. If unset, the region of the function.",
        apply: |settings, text| store_some(&mut settings.xray_access.region, values::region(text)),
    },
    Setting {
        name: "SIDECARLESS_XRAY_ROLE_ARN",
        values: "ARN",
        default: "",
        description: "Role to assume for calls to X-Ray in another account. If unset, the role of the function makes them.",
        apply: |settings, text| store_some(&mut settings.xray_access.role_arn, values::role_arn(text)),
    },
    Setting {
        name: "SIDECARLESS_XRAY_EXTERNAL_ID",
        values: "text",
        default: "",
        description: "External ID that the trust policy of that role requires.",
        apply: |settings, text| store_some(&mut settings.xray_access.external_id, values::external_id(text)),
    },
    Setting {
        name: "SIDECARLESS_LOG_GROUP",
        values: "log group",
        default: "",
        description: "Existing log group for OTLP logs, written through the CloudWatch Logs OTLP endpoint. If unset, `/v1/logs` responds with 404.",
        apply: |settings, text| store_some(&mut settings.log_group, values::log_name(text)),
    },
    Setting {
        name: "SIDECARLESS_LOG_STREAM",
        values: "log stream",
        default: "otlp",
        description: "Existing log stream in that group.",
        apply: |settings, text| store(&mut settings.log_stream, values::log_name(text)),
    },
    Setting {
        name: "SIDECARLESS_SPOOL_QUEUE_URL",
        values: "URL",
        default: "",
        description: "SQS queue for undelivered items. If unset, they are refused with 503 and the sender retries.",
        apply: |settings, text| store_some(&mut settings.spool_queue, values::url(text)),
    },
    Setting {
        name: "SIDECARLESS_SELF_METRICS",
        values: "list of `amp`, `emf`; or `off`",
        default: "amp",
        description: "Destinations of internal metrics (`sidecarless_*`). `amp` writes about 25 samples per minute and environment. `emf` logs one line per invocation, from which CloudWatch creates billed metrics.",
        apply: |settings, text| {
            let destinations = values::self_metrics(text)?;
            settings.self_metrics.amp = destinations.amp;
            settings.self_metrics.emf = destinations.emf;
            Ok(())
        },
    },
    Setting {
        name: LOG_SETTING,
        values: "`error`, `warn`, `info`, `debug`, or a tracing filter",
        default: "info",
        description: "Log level. If unset, `AWS_LAMBDA_LOG_LEVEL` applies. Other crates log at most warnings, because at lower levels they print headers and bodies.",
        // `log::init` reads it before all other settings.
        apply: |_, _| Ok(()),
    },
    Setting {
        name: "SIDECARLESS_SETTINGS",
        values: "lines of `NAME=value`",
        default: "",
        description: "Settings that have no environment variable of their own, one a line (docs/deploy.md). A setting that is also an environment variable, with another value than its default, is an error.",
        // `Sources` reads it before all other settings.
        apply: |_, _| Ok(()),
    },
    Setting {
        name: "SIDECARLESS_SETTINGS_PARAMETER",
        values: "name or ARN",
        default: "",
        description: "SSM parameter with such lines, which the function reads when it starts: for more than the 4 KB that environment variables of Lambda may have. SecureString is decrypted.",
        // `Sources` reads it before all other settings.
        apply: |_, _| Ok(()),
    },
];
