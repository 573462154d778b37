//! Equivalents of collector components.

/// Support for a component.
pub(super) enum ComponentSupport {
    /// Replaced without configuration, the text names the replacement.
    Equivalent(&'static str),
    /// Not replaced. The text is a workaround.
    Unsupported(&'static str),
    /// Its configuration is translated.
    Translated,
    Unknown,
}

/// Returns the support for a component by kind (`receivers`, `processors`, `exporters`, `extensions`, `connectors`) and type, the
/// part of its name before the `/`.
pub(super) fn support(kind: &str, name: &str) -> ComponentSupport {
    match kind {
        "receivers" => receiver(name),
        "processors" => processor(name),
        "exporters" => exporter(name),
        "extensions" => extension(name),
        "connectors" => connector(name),
        _ => ComponentSupport::Unknown,
    }
}

fn receiver(name: &str) -> ComponentSupport {
    match name {
        "otlp" | "prometheus" | "awsecscontainermetrics" => ComponentSupport::Translated,
        "awsxray" => ComponentSupport::Unsupported(
            "UDP is not supported: replace X-Ray SDKs with OpenTelemetry SDKs, or POST segments to /TraceSegments",
        ),
        "statsd" => ComponentSupport::Unsupported("UDP is not supported: use the metrics API of an OpenTelemetry SDK"),
        "awscontainerinsightreceiver" => {
            ComponentSupport::Unsupported("it collects host metrics: enable Container Insights for the cluster")
        }
        "hostmetrics" => {
            ComponentSupport::Unsupported("it collects host metrics: run and scrape node_exporter on the host")
        }
        "jaeger" | "zipkin" | "opencensus" => {
            ComponentSupport::Unsupported("only OTLP is supported: use the OTLP/HTTP exporter in the client")
        }
        "filelog" | "fluentforward" | "tcplog" | "syslog" => ComponentSupport::Unsupported(
            "log files and streams are not supported: use the awslogs or FireLens log driver",
        ),
        "kafka" | "awsfirehose" | "sqlquery" | "jmx" | "redis" | "nginx" | "postgresql" | "mysql" => {
            ComponentSupport::Unsupported("it reads another system: scrape the Prometheus exporter of that system")
        }
        _ => ComponentSupport::Unknown,
    }
}

fn processor(name: &str) -> ComponentSupport {
    match name {
        "filter" | "metricstransform" | "attributes" => ComponentSupport::Translated,
        "batch" => ComponentSupport::Equivalent("replaced by the batches of the SDK"),
        "memory_limiter" => ComponentSupport::Equivalent("replaced by the limits of the function"),
        "resourcedetection" => ComponentSupport::Equivalent(
            "replaced by the ECS resource detector of the SDK and by task identity (docs/identity.md)",
        ),
        "cumulativetodelta" => {
            ComponentSupport::Unsupported("not needed, because Prometheus uses cumulative metrics: remove it")
        }
        "deltatocumulative" | "deltatorate" => {
            ComponentSupport::Unsupported("set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative")
        }
        "tail_sampling" | "groupbytrace" => ComponentSupport::Unsupported(
            "spans are not buffered by trace: use head sampling in the SDK or X-Ray sampling rules",
        ),
        "probabilistic_sampler" => {
            ComponentSupport::Unsupported("sample in the SDK: OTEL_TRACES_SAMPLER=parentbased_traceidratio")
        }
        "resource" => ComponentSupport::Unsupported(
            "set OTEL_RESOURCE_ATTRIBUTES in the container, or rename labels with SIDECARLESS_WRITE_RELABEL_CONFIGS",
        ),
        "transform" | "metricsgeneration" => ComponentSupport::Unsupported(
            "drop and rename labels with SIDECARLESS_WRITE_RELABEL_CONFIGS, compute metrics with recording rules",
        ),
        "span" | "redaction" => ComponentSupport::Unsupported("change spans with a span processor in the SDK"),
        "k8sattributes" => ComponentSupport::Unsupported("it has no effect on ECS: remove it"),
        "groupbyattrs" => ComponentSupport::Unsupported("aggregate with recording rules"),
        _ => ComponentSupport::Unknown,
    }
}

fn exporter(name: &str) -> ComponentSupport {
    match name {
        "prometheusremotewrite" | "awsprometheusremotewrite" | "awsxray" | "awscloudwatchlogs" => {
            ComponentSupport::Translated
        }
        "debug" | "logging" => ComponentSupport::Equivalent("replaced by SIDECARLESS_LOG"),
        "awsemf" => ComponentSupport::Unsupported(
            "metrics go only to AMP: for task metrics in CloudWatch, enable Container Insights for the cluster",
        ),
        "prometheus" => ComponentSupport::Unsupported("the function cannot be scraped: metrics are written to AMP"),
        "otlp" | "otlphttp" | "loadbalancing" | "datadog" | "splunk_hec" | "signalfx" | "logzio" | "dynatrace"
        | "sapm" => {
            ComponentSupport::Unsupported("only AMP and X-Ray are supported: export to this destination from the SDK")
        }
        "file" | "kafka" | "awss3" | "awskinesis" => {
            ComponentSupport::Unsupported("not a supported destination: write to it from the application")
        }
        _ => ComponentSupport::Unknown,
    }
}

fn connector(name: &str) -> ComponentSupport {
    match name {
        "spanmetrics" | "servicegraph" | "signaltometrics" => ComponentSupport::Unsupported(
            "span metrics are not supported: use the service metrics of X-Ray, or http.server.request.duration from the SDK",
        ),
        "count" | "sum" => ComponentSupport::Unsupported("compute metrics with recording rules"),
        "forward" | "routing" | "failover" | "roundrobin" => ComponentSupport::Unsupported(
            "there is only one pipeline: drop series with SIDECARLESS_WRITE_RELABEL_CONFIGS",
        ),
        _ => ComponentSupport::Unknown,
    }
}

fn extension(name: &str) -> ComponentSupport {
    match name {
        "health_check" => ComponentSupport::Equivalent("replaced by the alarms of the template"),
        "pprof" | "zpages" | "memory_ballast" => ComponentSupport::Equivalent("not needed without a collector"),
        "sigv4auth" => ComponentSupport::Translated,
        "awsproxy" => {
            ComponentSupport::Equivalent("replaced by /GetSamplingRules and /SamplingTargets, with the bearer token")
        }
        "ecs_observer" => ComponentSupport::Unsupported(
            "move its rules to SIDECARLESS_SCRAPE_RULES; docker labels are discovered automatically (docs/scraping.md)",
        ),
        "file_storage" => ComponentSupport::Equivalent("replaced by the spool"),
        _ => ComponentSupport::Unknown,
    }
}
