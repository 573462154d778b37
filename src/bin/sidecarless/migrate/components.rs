//! What stands in for each component of a collector.

/// Whether there is an equivalent.
pub(super) enum ComponentSupport {
    /// Nothing to set: the text says what does its work.
    Equivalent(&'static str),
    /// Nothing does its work: the text says what to do instead.
    Unsupported(&'static str),
    /// Its configuration is read.
    Translated,
    Unknown,
}

/// By kind (`receivers`, `processors`, `exporters`, `extensions`, `connectors`) and type, the name before the `/`.
pub(super) fn verdict(kind: &str, name: &str) -> ComponentSupport {
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
            "nothing listens on UDP: move X-Ray SDKs to OpenTelemetry's, or POST segments to /TraceSegments",
        ),
        "statsd" => ComponentSupport::Unsupported("nothing listens on UDP: use an OpenTelemetry SDK's metrics"),
        "awscontainerinsightreceiver" => {
            ComponentSupport::Unsupported("it describes hosts, not tasks: use Container Insights of the cluster")
        }
        "hostmetrics" => ComponentSupport::Unsupported("it describes the host: run node_exporter there and scrape it"),
        "jaeger" | "zipkin" | "opencensus" => {
            ComponentSupport::Unsupported("only OTLP is taken: set the client's exporter to OTLP over HTTP")
        }
        "filelog" | "fluentforward" | "tcplog" | "syslog" => {
            ComponentSupport::Unsupported("logs of files and streams: use the awslogs or FireLens log driver")
        }
        "kafka" | "awsfirehose" | "sqlquery" | "jmx" | "redis" | "nginx" | "postgresql" | "mysql" => {
            ComponentSupport::Unsupported(
                "it polls or consumes another system: use that system's Prometheus exporter, which is scraped",
            )
        }
        _ => ComponentSupport::Unknown,
    }
}

fn processor(name: &str) -> ComponentSupport {
    match name {
        "filter" => ComponentSupport::Translated,
        "batch" => ComponentSupport::Equivalent("the SDK's batches"),
        "memory_limiter" => ComponentSupport::Equivalent("limits of the function"),
        "resourcedetection" => {
            ComponentSupport::Equivalent("the SDK's ECS resource detector, and the sender's task (docs/identity.md)")
        }
        "cumulativetodelta" => ComponentSupport::Unsupported("Prometheus wants cumulative metrics: leave it out"),
        "deltatocumulative" | "deltatorate" => {
            ComponentSupport::Unsupported("set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative")
        }
        "tail_sampling" | "groupbytrace" => ComponentSupport::Unsupported(
            "no span waits for its trace: sample at the head, in the SDK or by X-Ray's rules",
        ),
        "probabilistic_sampler" => {
            ComponentSupport::Unsupported("sample in the SDK: OTEL_TRACES_SAMPLER=parentbased_traceidratio")
        }
        "resource" | "attributes" => ComponentSupport::Unsupported(
            "set OTEL_RESOURCE_ATTRIBUTES in the container, or rename labels with SIDECARLESS_RELABEL",
        ),
        "metricstransform" | "transform" | "metricsgeneration" => ComponentSupport::Unsupported(
            "drop and rename labels with SIDECARLESS_RELABEL, compute with recording rules",
        ),
        "span" | "redaction" => ComponentSupport::Unsupported("change spans in the SDK, by a span processor"),
        "k8sattributes" => ComponentSupport::Unsupported("it is of no use on ECS: leave it out"),
        "groupbyattrs" => ComponentSupport::Unsupported("aggregate with recording rules"),
        _ => ComponentSupport::Unknown,
    }
}

fn exporter(name: &str) -> ComponentSupport {
    match name {
        "prometheusremotewrite" | "awsprometheusremotewrite" | "awsxray" | "awscloudwatchlogs" => {
            ComponentSupport::Translated
        }
        "debug" | "logging" => ComponentSupport::Equivalent("SIDECARLESS_LOG"),
        "awsemf" => ComponentSupport::Unsupported(
            "metrics go to AMP only: Container Insights of the cluster gives CloudWatch the task's own",
        ),
        "prometheus" => ComponentSupport::Unsupported("nothing is served for scraping: metrics are written to AMP"),
        "otlp" | "otlphttp" | "loadbalancing" | "datadog" | "splunk_hec" | "signalfx" | "logzio" | "dynatrace"
        | "sapm" => ComponentSupport::Unsupported("no other backend than AMP and X-Ray: push there from the SDK"),
        "file" | "kafka" | "awss3" | "awskinesis" => {
            ComponentSupport::Unsupported("no such destination: push there from the application")
        }
        _ => ComponentSupport::Unknown,
    }
}

fn connector(name: &str) -> ComponentSupport {
    match name {
        "spanmetrics" | "servicegraph" | "signaltometrics" => ComponentSupport::Unsupported(
            "no metrics are made of spans: X-Ray has them by service, and SDKs write http.server.request.duration",
        ),
        "count" | "sum" => ComponentSupport::Unsupported("compute with recording rules"),
        "forward" | "routing" | "failover" | "roundrobin" => {
            ComponentSupport::Unsupported("there is one pipeline: drop series with SIDECARLESS_RELABEL")
        }
        _ => ComponentSupport::Unknown,
    }
}

fn extension(name: &str) -> ComponentSupport {
    match name {
        "health_check" => ComponentSupport::Equivalent("alarms of the template"),
        "pprof" | "zpages" | "memory_ballast" => {
            ComponentSupport::Equivalent("nothing: it served the collector itself")
        }
        "sigv4auth" => ComponentSupport::Translated,
        "awsproxy" => ComponentSupport::Equivalent("/GetSamplingRules and /SamplingTargets, with the bearer token"),
        "ecs_observer" => ComponentSupport::Unsupported(
            "put its rules into SIDECARLESS_SCRAPE_RULES; docker labels are found by themselves (docs/scraping.md)",
        ),
        "file_storage" => ComponentSupport::Equivalent("the spool"),
        _ => ComponentSupport::Unknown,
    }
}
