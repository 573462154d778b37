//! Settings of scrapes and of task and container metrics.

use super::{ON_OFF, Setting, store};
use crate::rules::scrape_rule::ScrapeRule;
use crate::settings::values;

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "SIDECARLESS_STATS_NAMES",
        values: "`default`, `adot`, `both`",
        default: "default",
        description: "Names of task and container metrics. `adot` adds the unit suffixes of ADOT (`ecs_task_cpu_utilized_None`) and keeps its values, including known errors. `both` writes both.",
        apply: |settings, text| store(&mut settings.stats.names, text.parse()),
    },
    Setting {
        name: "SIDECARLESS_STATS_METRICS",
        values: "`default`, `all`, or a list of names",
        default: "default",
        description: "Task and container metrics to write. `default`: the nine metrics of the ADOT filter, `ecs.task.memory.usage` and `ecs.task.cpu.usage.vcpu`.",
        apply: |settings, text| store(&mut settings.stats.metrics, text.parse()),
    },
    Setting {
        name: "SIDECARLESS_STATS_LABELS",
        values: "`stable`, `all`, or a list of labels",
        default: "stable",
        description: "Labels of task and container metrics. `stable`: labels that do not change while a task runs.",
        apply: |settings, text| store(&mut settings.stats.labels, text.parse()),
    },
    Setting {
        name: "SIDECARLESS_STATE_METRICS",
        values: "`default`, `all`, `none`, or a list of names",
        default: "default",
        description: "Metrics about the state of ECS to write: clusters, services, tasks and container instances, from the ECS API alone (docs/metrics.md).",
        apply: |settings, text| store(&mut settings.state, text.parse()),
    },
    Setting {
        name: "SIDECARLESS_INSIGHTS_MEMORY_USAGE",
        values: "`on`, `off`",
        default: "off",
        description: "Writes `ecs_task_memory_usage` from Container Insights, whose value excludes the page cache.",
        apply: |settings, text| store(&mut settings.stats.approximate_memory_usage, values::choice(text, ON_OFF)),
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_CIDRS",
        values: "list of CIDRs",
        default: "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7",
        description: "Allowed addresses of targets. Link-local addresses are never scraped, loopback addresses only with a range within 127.0.0.0/8 or ::1.",
        apply: |settings, text| store(&mut settings.scrape_ranges, values::parse_list(text, values::cidr)),
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_TIMEOUT",
        values: "duration",
        default: "5s",
        description: "Timeout of a scrape, including the connection.",
        apply: |settings, text| store(&mut settings.scrape_timeout, values::positive_duration(text)),
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_RULES",
        values: "rules such as `service=cart-* port=9404 path=/metrics job=cart`",
        default: "",
        description: "Prometheus endpoints without docker labels: rules separated by `;`, with conditions as in SIDECARLESS_TASK_FILTER and `port=`, `path=`, `scheme=`, `job=`, `container=`; or a list in YAML with the same keys and `metric_relabel_configs` (docs/scraping.md).",
        apply: |settings, text| store(&mut settings.prometheus_scrape.rules, ScrapeRule::parse_all(text)),
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_CHECK_CERTIFICATES",
        values: "`on`, `off`",
        default: "on",
        description: "Whether targets with `prometheus.io/scheme=https` must have a certificate of a known authority for their address. `off` accepts every certificate, also self-signed ones.",
        apply: |settings, text| {
            store(&mut settings.prometheus_scrape.checks_certificates, values::choice(text, ON_OFF))
        },
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_BODY_LIMIT",
        values: "size",
        default: "16MB",
        description: "Maximum size of an exposition, compressed and decompressed. Larger ones fail the scrape.",
        apply: |settings, text| store(&mut settings.prometheus_scrape.body_limit, values::size(text)),
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_SAMPLE_LIMIT",
        values: "number, or `off`",
        default: "50000",
        description: "Maximum number of samples in an exposition. Larger ones fail the scrape.",
        apply: |settings, text| {
            store(&mut settings.prometheus_scrape.sample_limit, values::count_or_off(text, "samples"))
        },
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_HONOR_LABELS",
        values: "`on`, `off`",
        default: "off",
        description: "If a scraped label conflicts with a target label: `on` keeps the scraped value, `off` renames the scraped label to `exported_<name>`.",
        apply: |settings, text| store(&mut settings.prometheus_scrape.honor_labels, values::choice(text, ON_OFF)),
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_HONOR_TIMESTAMPS",
        values: "`on`, `off`",
        default: "on",
        description: "Whether to use the timestamps in scraped expositions. `off` uses the scrape time instead.",
        apply: |settings, text| store(&mut settings.prometheus_scrape.honor_timestamps, values::choice(text, ON_OFF)),
    },
];
