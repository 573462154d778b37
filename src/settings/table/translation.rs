//! Settings of labels and of the translation of spans and OTLP metrics.

use std::time::Duration;

use super::{ON_OFF, Setting, store};
use crate::rules::relabel::RelabelConfigs;
use crate::settings::values;
use crate::translate::Compat;
use crate::translate::limits::LongLabels;
use crate::translate::metrics::{DeltaPolicy, ExponentialHistogramFormat};
use crate::translate::names::{Strategy, Utf8Names};
use crate::translate::spans::Indexed;

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "SIDECARLESS_EXTERNAL_LABELS",
        values: "list of `name=value`",
        default: "",
        description: "Labels added to all series that do not have them.",
        apply: |settings, text| {
            settings.external_labels = values::parse_list(text, values::name_value)?;
            settings.metrics.external_labels.clone_from(&settings.external_labels);
            Ok(())
        },
    },
    Setting {
        name: "SIDECARLESS_TAG_LABELS",
        values: "list of names and globs",
        default: "",
        description: "Tags that become labels of scraped series: the task tag `team` becomes `tag_team`, the cluster tag `cluster.env` becomes `cluster_tag_env`.",
        apply: |settings, text| store(&mut settings.tag_labels, text.parse()),
    },
    Setting {
        name: "SIDECARLESS_WRITE_RELABEL_CONFIGS",
        values: "YAML or JSON",
        default: "",
        description: "Filters and relabels all series before they are written: a list of `relabel_config`, as `write_relabel_configs` of Prometheus (docs/relabelling.md).",
        apply: |settings, text| store(&mut settings.relabel.configs, RelabelConfigs::parse(text)),
    },
    Setting {
        name: "SIDECARLESS_MAX_SERIES",
        values: "number, or `off`",
        default: "off",
        description: "Maximum number of series of one request or scheduled run. Others are rejected as `max_series`.",
        apply: |settings, text| store(&mut settings.relabel.max_series, values::count_or_off(text, "series")),
    },
    Setting {
        name: "SIDECARLESS_LONG_LABELS",
        values: "`drop`, `cut`, `reject`",
        default: "drop",
        description: "Handling of a label value above the limit of AMP, 2,048 bytes: drops the label, cuts the value, or rejects the series. The log and the response name the label.",
        apply: |settings, text| {
            let choices = [("drop", LongLabels::Drop), ("cut", LongLabels::Cut), ("reject", LongLabels::Reject)];
            store(&mut settings.metrics.long_labels, values::choice(text, &choices))
        },
    },
    Setting {
        name: "SIDECARLESS_COMPAT",
        values: "`corrected`, `adot`",
        default: "corrected",
        description: "Translation of spans and OTLP metrics. `adot` matches ADOT exactly, except where ADOT loses data.",
        apply: |settings, text| {
            let compat = values::choice(text, &[("corrected", Compat::Corrected), ("adot", Compat::Adot)])?;
            settings.spans.compat = compat;
            settings.metrics.naming.compat = compat;
            Ok(())
        },
    },
    Setting {
        name: "SIDECARLESS_XRAY_INDEXED_ATTRIBUTES",
        values: "list of attribute names, or `all`",
        default: "",
        description: "Span attributes that become searchable annotations. Resource attributes have the prefix `otel.resource.`.",
        apply: |settings, text| {
            settings.spans.indexed = match text {
                "all" => Indexed::All,
                _ => Indexed::Listed(values::list(text).map(str::to_owned).collect()),
            };
            Ok(())
        },
    },
    Setting {
        name: "SIDECARLESS_XRAY_LOG_GROUPS",
        values: "list of log groups",
        default: "",
        description: "Log groups that X-Ray links to segments whose resource has no log group.",
        apply: |settings, text| {
            settings.spans.log_groups = values::list(text).map(str::to_owned).collect();
            Ok(())
        },
    },
    Setting {
        name: "SIDECARLESS_DELTA",
        values: "`reject`, `keep`",
        default: "reject",
        description: "Handling of delta metrics. `keep` writes each delta as a sample: query it with `sum_over_time`.",
        apply: |settings, text| {
            let policies = [("reject", DeltaPolicy::Reject), ("keep", DeltaPolicy::Keep)];
            store(&mut settings.metrics.delta, values::choice(text, &policies))
        },
    },
    Setting {
        name: "SIDECARLESS_NAMESPACE",
        values: "text",
        default: "",
        description: "Prefix of OTLP metric names, joined by an underscore.",
        apply: |settings, text| {
            text.clone_into(&mut settings.metrics.naming.namespace);
            Ok(())
        },
    },
    Setting {
        name: "SIDECARLESS_TRANSLATION_STRATEGY",
        values: "`UnderscoreEscapingWithSuffixes`, `UnderscoreEscapingWithoutSuffixes`, `NoUTF8EscapingWithSuffixes`, `NoTranslation`",
        default: "UnderscoreEscapingWithSuffixes",
        description: "Translation of OTLP names, as Prometheus' `translation_strategy`. The last two keep UTF-8 names and require `SIDECARLESS_UTF8_NAMES=send`.",
        apply: |settings, text| {
            let strategies = [
                ("UnderscoreEscapingWithSuffixes", Strategy::UnderscoreEscapingWithSuffixes),
                ("UnderscoreEscapingWithoutSuffixes", Strategy::UnderscoreEscapingWithoutSuffixes),
                ("NoUTF8EscapingWithSuffixes", Strategy::NoUtf8EscapingWithSuffixes),
                ("NoTranslation", Strategy::NoTranslation),
            ];
            store(&mut settings.metrics.naming.strategy, values::choice(text, &strategies))
        },
    },
    Setting {
        name: "SIDECARLESS_UTF8_NAMES",
        values: "`replace`, `send`",
        default: "replace",
        description: "Characters outside `[a-zA-Z0-9_:]` in the names of scraped metrics and labels: replaced with `_`, or sent. AMP does not document support for them.",
        apply: |settings, text| {
            let choices = [("replace", Utf8Names::Replace), ("send", Utf8Names::Send)];
            store(&mut settings.prometheus_scrape.utf8_names, values::choice(text, &choices))
        },
    },
    Setting {
        name: "SIDECARLESS_RESOURCE_LABELS",
        values: "`on`, `off`",
        default: "on",
        description: "Adds resource attributes as labels to OTLP series, as `resource_to_telemetry_conversion` in the ADOT configuration.",
        apply: |settings, text| store(&mut settings.metrics.resource_labels, values::choice(text, ON_OFF)),
    },
    Setting {
        name: "SIDECARLESS_SCOPE_LABELS",
        values: "`on`, `off`",
        default: "on",
        description: "Adds `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and scope attributes as labels.",
        apply: |settings, text| store(&mut settings.metrics.scope_labels, values::choice(text, ON_OFF)),
    },
    Setting {
        name: "SIDECARLESS_TARGET_INFO",
        values: "`on`, `off`",
        default: "on",
        description: "Writes a `target_info` series for each resource.",
        apply: |settings, text| store(&mut settings.metrics.target_info, values::choice(text, ON_OFF)),
    },
    Setting {
        name: "SIDECARLESS_METADATA",
        values: "`on`, `off`",
        default: "off",
        description: "Sends help text, type and unit of OTLP metrics.",
        apply: |settings, text| store(&mut settings.metrics.metadata, values::choice(text, ON_OFF)),
    },
    Setting {
        name: "SIDECARLESS_CREATED_SERIES",
        values: "`on`, `off`",
        default: "off",
        description: "Writes `_created` series for counters, histograms and summaries that have a start time.",
        apply: |settings, text| store(&mut settings.metrics.created, values::choice(text, ON_OFF)),
    },
    Setting {
        name: "SIDECARLESS_EXPONENTIAL_HISTOGRAMS",
        values: "`native`, `classic`",
        default: "native",
        description: "Format of exponential histograms: native histograms, or classic buckets.",
        apply: |settings, text| {
            let formats =
                [("native", ExponentialHistogramFormat::Native), ("classic", ExponentialHistogramFormat::Classic)];
            store(&mut settings.metrics.exponential, values::choice(text, &formats))
        },
    },
    Setting {
        name: "SIDECARLESS_MAX_SAMPLE_AGE",
        values: "duration, or `off`",
        default: "1h",
        description: "Older samples are rejected, because AMP would reject the full request.",
        apply: |settings, text| {
            let milliseconds = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let age = values::duration_or_off(text).map(|age| age.map(milliseconds));
            store(&mut settings.metrics.max_age_ms, age)
        },
    },
];
