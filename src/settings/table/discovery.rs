//! Settings of task discovery and of scheduled runs.

use std::time::Duration;

use super::{ON_OFF, Setting, store, store_some};
use crate::rules::InvalidValue;
use crate::rules::task_filter::TaskFilter;
use crate::settings::values;

/// Divisors of a minute, so that delayed messages keep the schedule.
const INTERVALS: &[(&str, Duration)] = &[
    ("60s", Duration::from_secs(60)),
    ("30s", Duration::from_secs(30)),
    ("20s", Duration::from_secs(20)),
    ("15s", Duration::from_secs(15)),
];

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "SIDECARLESS_CLUSTERS",
        values: "list of names, ARNs and globs",
        default: "*",
        description: "Clusters to scrape. Without globs, ListClusters is not called.",
        apply: |settings, text| store(&mut settings.clusters, values::parse_list(text, values::cluster)),
    },
    Setting {
        name: "SIDECARLESS_TASK_FILTER",
        values: "rules such as `service=cart-*,!label.team=qa`",
        default: "",
        description: "Tasks to scrape: comma-separated rules of `key=glob` conditions joined by `&`. A rule that starts with `!` excludes tasks. Keys: `service`, `family`, `launch-type`, `cluster`, `label.<docker label>`, `tag.<name>`. If unset, all tasks are scraped.",
        apply: |settings, text| store(&mut settings.tasks, TaskFilter::parse(text)),
    },
    Setting {
        name: "SIDECARLESS_SOURCES",
        values: "list of `push`, `endpoint`, `insights`, `prometheus`",
        default: "push,endpoint,insights,prometheus",
        description: "Enabled sources: stats that tasks push, stats endpoints, Container Insights for all other tasks, and Prometheus endpoints declared by docker labels or SIDECARLESS_SCRAPE_RULES.",
        apply: |settings, text| store(&mut settings.sources, values::sources(text)),
    },
    Setting {
        name: "SIDECARLESS_INSIGHTS_DELAY",
        values: "duration, or `off`",
        default: "3m",
        description: "Delay before Container Insights events are read. Events arrive one to two minutes late, so each run reads the one-minute window that started this long ago. `off` disables polling: use it with a subscription filter.",
        apply: |settings, text| store(&mut settings.insights_lag, values::duration_or_off(text)),
    },
    Setting {
        name: "SIDECARLESS_CLOUDWATCH_INTERVAL",
        values: "`1` to `10`, or `off`",
        default: "2",
        description: "Minutes between two reads of the CloudWatch metrics of services without a stats source. CloudWatch charges for each read (docs/cost.md). Above 1, the newest sample can be older than the five minutes that Prometheus queries look back: use `last_over_time`.",
        apply: |settings, text| store(&mut settings.cloudwatch.interval_min, values::minutes_or_off(text, 1..=10)),
    },
    Setting {
        name: "SIDECARLESS_CLOUDWATCH_METRICS",
        values: "list of `default`, `ebs`, `service-connect`",
        default: "default",
        description: "CloudWatch metrics that are read: of services without a stats source, `default` is CPU and memory and `ebs` the use of EBS volumes; `service-connect` is the traffic of all services with Service Connect, at six times the price of `default` (docs/cost.md).",
        apply: |settings, text| store(&mut settings.cloudwatch.metrics, text.parse()),
    },
    Setting {
        name: "SIDECARLESS_STOPPED_TASKS",
        values: "`on`, `off`",
        default: "on",
        description: "Polls for stopped tasks, writes their stop reasons and ends their series. Use `off` with ECS task state change events.",
        apply: |settings, text| store(&mut settings.stopped_tasks, values::choice(text, ON_OFF)),
    },
    Setting {
        name: "SIDECARLESS_MAX_INLINE_TASKS",
        values: "number",
        default: "300",
        description: "Maximum number of tasks that a scheduled run scrapes itself. With a queue, more tasks are split into shards of 100.",
        apply: |settings, text| {
            let tasks = text.parse().map_err(|_| InvalidValue::new(format!("invalid number of tasks \"{text}\"")));
            store(&mut settings.inline_tasks, tasks)
        },
    },
    Setting {
        name: "SIDECARLESS_SHARD_QUEUE_URL",
        values: "URL",
        default: "",
        description: "SQS queue for shards and for scrape intervals below 60s. If unset, the spool is used.",
        apply: |settings, text| store_some(&mut settings.shard_queue, values::url(text)),
    },
    Setting {
        name: "SIDECARLESS_SCRAPE_INTERVAL",
        values: "`60s`, `30s`, `20s`, `15s`",
        default: "60s",
        description: "Time between two scrapes of a task. Intervals below 60s require a queue.",
        apply: |settings, text| store(&mut settings.scrape_interval, values::choice(text, INTERVALS)),
    },
];
