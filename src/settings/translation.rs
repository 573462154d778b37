//! Settings of translation: how stats, spans and metrics become what they become.

use std::time::Duration;

use super::reader::{ON_OFF, Reader};
use super::{names, values};
use crate::translate::metrics::{DeltaPolicy, ExponentialHistogramFormat};
use crate::translate::names::{Naming, Strategy};
use crate::translate::spans::Indexed;
use crate::translate::{Compat, metrics, spans, stats};

impl Reader {
    pub(super) fn stats(&mut self) -> Option<stats::Options> {
        let names = self.required(names::STATS_NAMES, str::parse);
        let metrics = self.required(names::STATS_METRICS, str::parse);
        let labels = self.required(names::STATS_LABELS, str::parse);
        let approximate_memory_usage = self.choice(names::INSIGHTS_MEMORY, ON_OFF);
        Some(stats::Options {
            names: names?,
            metrics: metrics?,
            labels: labels?,
            approximate_memory_usage: approximate_memory_usage?,
        })
    }

    pub(super) fn spans(&mut self, compat: Compat) -> Option<spans::Options> {
        let indexed = self.required(names::XRAY_INDEXED, |text| match text {
            "all" => Ok(Indexed::All),
            _ => Ok(Indexed::Listed(values::list(text).map(str::to_owned).collect())),
        });
        let log_groups =
            self.required(names::LOG_GROUPS, |text| values::parse_list(text, |group| Ok(group.to_owned())));
        Some(spans::Options { compat, indexed: indexed?, log_groups: log_groups? })
    }

    pub(super) fn metrics(
        &mut self,
        compat: Compat,
        external_labels: Vec<(String, String)>,
    ) -> Option<metrics::Options> {
        let naming = self.naming(compat);
        let resource_labels = self.choice(names::RESOURCE_LABELS, ON_OFF);
        let scope_labels = self.choice(names::SCOPE_LABELS, ON_OFF);
        let target_info = self.choice(names::TARGET_INFO, ON_OFF);
        let metadata = self.choice(names::METADATA, ON_OFF);
        let created = self.choice(names::CREATED, ON_OFF);
        let delta = self.choice(names::DELTA, &[("reject", DeltaPolicy::Reject), ("keep", DeltaPolicy::Keep)]);
        let exponential = self.choice(
            names::EXPONENTIAL,
            &[("native", ExponentialHistogramFormat::Native), ("classic", ExponentialHistogramFormat::Classic)],
        );
        let max_age = self.required(names::MAX_SAMPLE_AGE, values::duration_or_off);
        let milliseconds = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Some(metrics::Options {
            naming: naming?,
            resource_labels: resource_labels?,
            scope_labels: scope_labels?,
            target_info: target_info?,
            external_labels,
            metadata: metadata?,
            created: created?,
            delta: delta?,
            exponential: exponential?,
            max_age_ms: max_age?.map(milliseconds),
            is_relabelled_later: true,
            ..metrics::Options::default()
        })
    }

    fn naming(&mut self, compat: Compat) -> Option<Naming> {
        let namespace = self.required(names::NAMESPACE, |text| Ok(text.to_owned()));
        let strategy = self.choice(
            names::STRATEGY,
            &[
                ("UnderscoreEscapingWithSuffixes", Strategy::UnderscoreEscapingWithSuffixes),
                ("UnderscoreEscapingWithoutSuffixes", Strategy::UnderscoreEscapingWithoutSuffixes),
            ],
        );
        Some(Naming { namespace: namespace?, strategy: strategy?, compat })
    }
}
