//! What stands in for each component of a collector.

/// Whether there is an equivalent.
pub(super) enum Verdict {
    /// Nothing to set: the text says what does its work.
    Same(&'static str),
    /// Nothing does its work: the text says what to do instead.
    None(&'static str),
    /// Its configuration is read.
    Looked,
    Unknown,
}

/// By kind (`receivers`, `processors`, `exporters`, `extensions`, `connectors`) and type, the name before the `/`.
pub(super) fn verdict(kind: &str, name: &str) -> Verdict {
    match kind {
        "receivers" => receiver(name),
        "processors" => processor(name),
        "exporters" => exporter(name),
        "extensions" => extension(name),
        "connectors" => connector(name),
        _ => Verdict::Unknown,
    }
}

fn receiver(name: &str) -> Verdict {
    match name {
        "otlp" | "prometheus" | "awsecscontainermetrics" => Verdict::Looked,
        "awsxray" => Verdict::None(
            "nothing listens on UDP: move X-Ray SDKs to OpenTelemetry's, or POST segments to /TraceSegments",
        ),
        "statsd" => Verdict::None("nothing listens on UDP: use an OpenTelemetry SDK's metrics"),
        "awscontainerinsightreceiver" => {
            Verdict::None("it describes hosts, not tasks: use Container Insights of the cluster")
        }
        "hostmetrics" => Verdict::None("it describes the host: run node_exporter there and scrape it"),
        "jaeger" | "zipkin" | "opencensus" => {
            Verdict::None("only OTLP is taken: set the client's exporter to OTLP over HTTP")
        }
        "filelog" | "fluentforward" | "tcplog" | "syslog" => {
            Verdict::None("logs of files and streams: use the awslogs or FireLens log driver")
        }
        "kafka" | "awsfirehose" | "sqlquery" | "jmx" | "redis" | "nginx" | "postgresql" | "mysql" => Verdict::None(
            "it polls or consumes another system: use that system's Prometheus exporter, which is scraped",
        ),
        _ => Verdict::Unknown,
    }
}

fn processor(name: &str) -> Verdict {
    match name {
        "filter" => Verdict::Looked,
        "batch" => Verdict::Same("the SDK's batches"),
        "memory_limiter" => Verdict::Same("limits of the function"),
        "resourcedetection" => {
            Verdict::Same("the SDK's ECS resource detector, and the sender's task (docs/identity.md)")
        }
        "cumulativetodelta" => Verdict::None("Prometheus wants cumulative metrics: leave it out"),
        "deltatocumulative" | "deltatorate" => {
            Verdict::None("set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative")
        }
        "tail_sampling" | "groupbytrace" => {
            Verdict::None("no span waits for its trace: sample at the head, in the SDK or by X-Ray's rules")
        }
        "probabilistic_sampler" => Verdict::None("sample in the SDK: OTEL_TRACES_SAMPLER=parentbased_traceidratio"),
        "resource" | "attributes" => {
            Verdict::None("set OTEL_RESOURCE_ATTRIBUTES in the container, or rename labels with SIDECARLESS_RELABEL")
        }
        "metricstransform" | "transform" | "metricsgeneration" => {
            Verdict::None("drop and rename labels with SIDECARLESS_RELABEL, compute with recording rules")
        }
        "span" | "redaction" => Verdict::None("change spans in the SDK, by a span processor"),
        "k8sattributes" => Verdict::None("it is of no use on ECS: leave it out"),
        "groupbyattrs" => Verdict::None("aggregate with recording rules"),
        _ => Verdict::Unknown,
    }
}

fn exporter(name: &str) -> Verdict {
    match name {
        "prometheusremotewrite" | "awsprometheusremotewrite" | "awsxray" | "awscloudwatchlogs" => Verdict::Looked,
        "debug" | "logging" => Verdict::Same("SIDECARLESS_LOG"),
        "awsemf" => {
            Verdict::None("metrics go to AMP only: Container Insights of the cluster gives CloudWatch the task's own")
        }
        "prometheus" => Verdict::None("nothing is served for scraping: metrics are written to AMP"),
        "otlp" | "otlphttp" | "loadbalancing" | "datadog" | "splunk_hec" | "signalfx" | "logzio" | "dynatrace"
        | "sapm" => Verdict::None("no other backend than AMP and X-Ray: push there from the SDK"),
        "file" | "kafka" | "awss3" | "awskinesis" => {
            Verdict::None("no such destination: push there from the application")
        }
        _ => Verdict::Unknown,
    }
}

fn connector(name: &str) -> Verdict {
    match name {
        "spanmetrics" | "servicegraph" | "signaltometrics" => Verdict::None(
            "no metrics are made of spans: X-Ray has them by service, and SDKs write http.server.request.duration",
        ),
        "count" | "sum" => Verdict::None("compute with recording rules"),
        "forward" | "routing" | "failover" | "roundrobin" => {
            Verdict::None("there is one pipeline: drop series with SIDECARLESS_RELABEL")
        }
        _ => Verdict::Unknown,
    }
}

fn extension(name: &str) -> Verdict {
    match name {
        "health_check" => Verdict::Same("alarms of the template"),
        "pprof" | "zpages" | "memory_ballast" => Verdict::Same("nothing: it served the collector itself"),
        "sigv4auth" => Verdict::Looked,
        "awsproxy" => Verdict::Same("/GetSamplingRules and /SamplingTargets, with the bearer token"),
        "ecs_observer" => Verdict::None(
            "put its rules into SIDECARLESS_SCRAPE_RULES; docker labels are found by themselves (docs/scraping.md)",
        ),
        "file_storage" => Verdict::Same("the spool"),
        _ => Verdict::Unknown,
    }
}
