//! Every setting: its name, what values it takes, its default, and what it does.
//!
//! README's reference, `sidecarless --help` and the template are held to this table by tests/settings.rs.

use super::names::*;

/// One row of the reference.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    /// What values it takes, for people.
    pub values: &'static str,
    /// As it would be written; empty when unset is the default.
    pub default: &'static str,
    pub description: &'static str,
}

/// The reference, in the order in which it is shown.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: PROMETHEUS_ENDPOINT,
        values: "URL",
        default: "",
        description: "Remote write URL of the AMP workspace, as the ADOT sidecar calls it. Unset: ticks do nothing and pushed metrics are refused by name.",
    },
    Setting {
        name: AUTH,
        values: "`token`, `iam`, `none`",
        default: "token",
        description: "Who may push: holders of a bearer token, callers that signed with IAM, or anyone.",
    },
    Setting {
        name: TOKENS,
        values: "list of 64 hex digits",
        default: "",
        description: "SHA-256 hashes of the accepted bearer tokens. Several are accepted, so that tokens can be changed one client at a time.",
    },
    Setting {
        name: IAM_CALLERS,
        values: "list of globs",
        default: "*",
        description: "With `SIDECARLESS_AUTH=iam`, which of the callers that may invoke the URL may push: names of roles, their ARNs, or ARNs of their sessions.",
    },
    Setting {
        name: IDENTITY,
        values: "`on`, `off`",
        default: "on",
        description: "What is pushed gets the cluster, service, task and zone of the task that signed the request, or that it names (docs/identity.md).",
    },
    Setting {
        name: CLUSTERS,
        values: "`*`, or a list of names, ARNs and globs",
        default: "*",
        description: "Clusters whose tasks a tick scrapes. A list of plain names and ARNs saves the ListClusters call.",
    },
    Setting {
        name: TASKS,
        values: "rules such as `service=cart-*,!label.team=qa`",
        default: "",
        description: "Tasks that are looked at: rules with commas between them, `&` between the conditions of one and `!` before one that drops; conditions are `service=`, `family=`, `launch-type=`, `cluster=`, `label.<docker label>=` and `tag.<name>=` with a glob. Unset: all.",
    },
    Setting {
        name: STATS,
        values: "list of `endpoint`, `insights`, `prometheus`",
        default: "endpoint,insights,prometheus",
        description: "Sources in use: stats endpoints inside tasks, Container Insights for the tasks without one, and Prometheus endpoints that docker labels or SIDECARLESS_SCRAPE_RULES declare.",
    },
    Setting {
        name: INSIGHTS_LAG,
        values: "duration, or `off`",
        default: "3m",
        description: "How far behind the tick the minute lies whose Container Insights events are read: they arrive one to two minutes late. `off`: they are not read, but pushed by a subscription filter.",
    },
    Setting {
        name: STOPPED,
        values: "`on`, `off`",
        default: "on",
        description: "A tick looks for tasks that stopped lately, writes why, and ends their series. `off` where ECS task state change events say so.",
    },
    Setting {
        name: INLINE_TASKS,
        values: "number",
        default: "300",
        description: "A tick scrapes up to so many tasks itself. Of more it makes messages of 100 tasks each, when there is a queue for them.",
    },
    Setting {
        name: SHARD_QUEUE,
        values: "URL",
        default: "",
        description: "SQS queue for the messages of ticks with many tasks and for scrapes within the minute. Unset: the spool's.",
    },
    Setting {
        name: SPOOL_QUEUE,
        values: "URL",
        default: "",
        description: "SQS queue for what cannot be delivered now. Unset: it goes back to its sender with 503.",
    },
    Setting {
        name: SCRAPE_INTERVAL,
        values: "`60s`, `30s`, `20s`, `15s`",
        default: "60s",
        description: "Time between two scrapes of a task. Less than a minute needs a queue: the tick sends itself delayed messages.",
    },
    Setting {
        name: STATS_NAMES,
        values: "`default`, `adot`, `both`",
        default: "default",
        description: "Names of task and container metrics: `ecs_task_cpu_utilized`, or with today's ADOT unit suffixes `ecs_task_cpu_utilized_None` (and that receiver's numbers, faults included), or both.",
    },
    Setting {
        name: STATS_METRICS,
        values: "`default`, `all`, or a list of names",
        default: "default",
        description: "Which of the task and container metrics are written. The default is the nine of the ADOT filter, and `ecs.task.memory.usage` and `ecs.task.cpu.usage.vcpu`.",
    },
    Setting {
        name: STATS_LABELS,
        values: "`stable`, `all`, or a list of labels",
        default: "stable",
        description: "Labels of task and container metrics: `stable` are those that stay the same over a task's life.",
    },
    Setting {
        name: INSIGHTS_MEMORY,
        values: "`on`, `off`",
        default: "off",
        description: "Writes `ecs_task_memory_usage` also from Container Insights, which knows only the memory without page cache.",
    },
    Setting {
        name: SCRAPE_RANGES,
        values: "list of CIDRs",
        default: "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7",
        description: "Where the address of a task may lie. Link-local addresses are never scraped.",
    },
    Setting {
        name: SCRAPE_TIMEOUT,
        values: "duration",
        default: "5s",
        description: "Time for one scrape, connecting included.",
    },
    Setting {
        name: SCRAPE_RULES,
        values: "rules such as `service=cart-* port=9404 path=/metrics job=cart`",
        default: "",
        description: "Prometheus endpoints of tasks without a docker label that declares them: rules with `;` between them, of conditions as in SIDECARLESS_TASK_FILTER, `port=`, `path=`, `job=` and `container=` (docs/scraping.md).",
    },
    Setting {
        name: BODY_LIMIT,
        values: "size",
        default: "16MB",
        description: "A Prometheus endpoint that answers with more bytes, before or after they are inflated, counts as down.",
    },
    Setting {
        name: SAMPLE_LIMIT,
        values: "number, or `off`",
        default: "50000",
        description: "A Prometheus endpoint with more samples counts as down, and none of them is written.",
    },
    Setting {
        name: HONOR_LABELS,
        values: "`on`, `off`",
        default: "off",
        description: "Where a scraped label has the name of one of the target's: `on` keeps the scraped one, `off` renames it to `exported_<name>`.",
    },
    Setting {
        name: HONOR_TIMESTAMPS,
        values: "`on`, `off`",
        default: "on",
        description: "Timestamps on a scraped page stand; `off` puts the time of the scrape in their place.",
    },
    Setting {
        name: EXTERNAL_LABELS,
        values: "list of `name=value`",
        default: "",
        description: "Labels for every series that does not have them already.",
    },
    Setting {
        name: TAG_LABELS,
        values: "list of names and globs",
        default: "",
        description: "Tags that become labels of all that is scraped: `team` of a task is `tag_team`, `cluster.env` of its cluster is `cluster_tag_env`.",
    },
    Setting {
        name: COMPAT,
        values: "`corrected`, `adot`",
        default: "corrected",
        description: "Translation of spans and OTLP metrics: `adot` is the collector's to the letter, data losses aside.",
    },
    Setting {
        name: XRAY_INDEXED,
        values: "list of attribute names, or `all`",
        default: "",
        description: "Span attributes that become searchable annotations. Resource attributes are named `otel.resource.<name>`.",
    },
    Setting {
        name: LOG_GROUPS,
        values: "list of log group names",
        default: "",
        description: "CloudWatch log groups that X-Ray links from segments whose resource names none.",
    },
    Setting {
        name: DELTA,
        values: "`reject`, `keep`",
        default: "reject",
        description: "Metrics of delta temporality: refused with the reason, or written as they are, to be summed with sum_over_time.",
    },
    Setting {
        name: NAMESPACE,
        values: "text",
        default: "",
        description: "Put before the name of every pushed metric, with an underscore.",
    },
    Setting {
        name: STRATEGY,
        values: "`UnderscoreEscapingWithSuffixes`, `UnderscoreEscapingWithoutSuffixes`",
        default: "UnderscoreEscapingWithSuffixes",
        description: "How pushed metrics are named: Prometheus' `translation_strategy`.",
    },
    Setting {
        name: RESOURCE_LABELS,
        values: "`on`, `off`",
        default: "on",
        description: "Every resource attribute is a label of every pushed series, as `resource_to_telemetry_conversion` does in ADOT's configuration.",
    },
    Setting {
        name: SCOPE_LABELS,
        values: "`on`, `off`",
        default: "on",
        description: "`otel_scope_name`, `otel_scope_version` and the attributes of the scope as labels.",
    },
    Setting {
        name: TARGET_INFO,
        values: "`on`, `off`",
        default: "on",
        description: "A `target_info` series per resource.",
    },
    Setting {
        name: METADATA,
        values: "`on`, `off`",
        default: "off",
        description: "Help, type and unit of every pushed metric go out with its series.",
    },
    Setting {
        name: CREATED,
        values: "`on`, `off`",
        default: "off",
        description: "A `_created` series beside counters, histograms and summaries that tell when they began.",
    },
    Setting {
        name: EXPONENTIAL,
        values: "`native`, `classic`",
        default: "native",
        description: "What exponential histograms become: native histograms, or classic buckets for workspaces without them.",
    },
    Setting {
        name: MAX_SAMPLE_AGE,
        values: "duration, or `off`",
        default: "1h",
        description: "Older samples are set aside and counted: AMP would refuse the request for them.",
    },
    Setting {
        name: RELABEL,
        values: "rules, separated by `;`",
        default: "",
        description: "Filters and relabels all series before they are sent: `keep`, `drop`, `drop-label`, `rename-label`, `hash-label`, `cap-label`, `max-series` (docs/relabelling.md).",
    },
    Setting {
        name: TRACES_TO,
        values: "`xray`, `xray-otlp`",
        default: "xray",
        description: "Where spans go: PutTraceSegments, or the OTLP endpoint of X-Ray in accounts with Transaction Search.",
    },
    Setting {
        name: SELF_METRICS,
        values: "list of `amp`, `emf`, or `off`",
        default: "amp",
        description: "Where the function's own metrics `sidecarless_*` go: some 25 samples a minute and environment to AMP, or a line per invocation into the log, of which CloudWatch makes metrics at its own price.",
    },
    Setting {
        name: LOG_GROUP,
        values: "name of a log group",
        default: "",
        description: "Where OTLP logs go, through the OTLP endpoint of CloudWatch Logs. Unset: `/v1/logs` is answered with 404.",
    },
    Setting {
        name: LOG_STREAM,
        values: "name of a log stream",
        default: "otlp",
        description: "The stream of that group. Both have to exist.",
    },
    Setting {
        name: LOG,
        values: "`error`, `warn`, `info`, `debug`, or a tracing filter",
        default: "info",
        description: "What is logged. Lambda's own `AWS_LAMBDA_LOG_LEVEL` stands when this is unset.",
    },
];
