//! Format of a performance log event. All fields except the type are optional, and a number may have any JSON type.
//!
//! Fields: Amazon CloudWatch User Guide, "Container Insights performance log events for Amazon ECS". With enhanced
//! observability, some fields may have a second name with the level as prefix. The name without prefix takes
//! precedence.

use serde::Deserialize;

use crate::model::json::{JsonStr, LenientNumber};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct PerformanceEvent<'a> {
    #[serde(borrow, rename = "Type")]
    pub(super) kind: JsonStr<'a>,
    pub(super) cluster_name: JsonStr<'a>,
    /// Milliseconds since 1970.
    pub(super) timestamp: LenientNumber,
    pub(super) task_id: JsonStr<'a>,
    pub(super) task_definition_family: JsonStr<'a>,
    pub(super) task_definition_revision: JsonStr<'a>,
    pub(super) service_name: JsonStr<'a>,
    #[serde(rename = "AccountID")]
    pub(super) account_id: JsonStr<'a>,
    pub(super) region: JsonStr<'a>,
    pub(super) availability_zone: JsonStr<'a>,
    pub(super) launch_type: JsonStr<'a>,
    pub(super) known_status: JsonStr<'a>,
    pub(super) pull_started_at: LenientNumber,
    pub(super) pull_stopped_at: LenientNumber,
    pub(super) container_name: JsonStr<'a>,
    pub(super) image: JsonStr<'a>,
    pub(super) container_known_status: JsonStr<'a>,
    #[serde(flatten)]
    pub(super) usage: Usage,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// CPU is in CPU units and memory in MiB. Network bytes are rates; other network and storage values are sums since the
/// start.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Usage {
    pub(super) cpu_utilized: LenientNumber,
    pub(super) cpu_reserved: LenientNumber,
    pub(super) memory_utilized: LenientNumber,
    pub(super) memory_reserved: LenientNumber,
    pub(super) storage_read_bytes: LenientNumber,
    pub(super) storage_write_bytes: LenientNumber,
    pub(super) network_rx_bytes: LenientNumber,
    pub(super) network_rx_packets: LenientNumber,
    pub(super) network_rx_errors: LenientNumber,
    pub(super) network_rx_dropped: LenientNumber,
    pub(super) network_tx_bytes: LenientNumber,
    pub(super) network_tx_packets: LenientNumber,
    pub(super) network_tx_errors: LenientNumber,
    pub(super) network_tx_dropped: LenientNumber,
    /// Decimal gigabytes.
    pub(super) ephemeral_storage_utilized: LenientNumber,
    pub(super) ephemeral_storage_reserved: LenientNumber,
    /// Restarts since the previous event.
    pub(super) restart_count: LenientNumber,
    container_cpu_utilized: LenientNumber,
    container_cpu_reserved: LenientNumber,
    container_memory_utilized: LenientNumber,
    container_memory_reserved: LenientNumber,
    container_storage_read_bytes: LenientNumber,
    container_storage_write_bytes: LenientNumber,
    container_network_rx_bytes: LenientNumber,
    container_network_tx_bytes: LenientNumber,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Counts {
    pub(super) desired_task_count: LenientNumber,
    pub(super) running_task_count: LenientNumber,
    pub(super) pending_task_count: LenientNumber,
    pub(super) deployment_count: LenientNumber,
    pub(super) task_set_count: LenientNumber,
    pub(super) task_count: LenientNumber,
    pub(super) service_count: LenientNumber,
    pub(super) container_instance_count: LenientNumber,
}

impl PerformanceEvent<'_> {
    /// Returns the texts that become labels.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = [
            &self.cluster_name,
            &self.task_id,
            &self.task_definition_family,
            &self.task_definition_revision,
            &self.service_name,
            &self.account_id,
            &self.region,
            &self.availability_zone,
            &self.launch_type,
            &self.known_status,
            &self.container_name,
            &self.image,
            &self.container_known_status,
        ];
        texts.into_iter().map(|text| &**text)
    }
}

impl Usage {
    /// Uses the value with the second name if the first is missing.
    pub(super) fn apply_container_fallbacks(&mut self) {
        for (number, fallback) in [
            (&mut self.cpu_utilized, self.container_cpu_utilized),
            (&mut self.cpu_reserved, self.container_cpu_reserved),
            (&mut self.memory_utilized, self.container_memory_utilized),
            (&mut self.memory_reserved, self.container_memory_reserved),
            (&mut self.storage_read_bytes, self.container_storage_read_bytes),
            (&mut self.storage_write_bytes, self.container_storage_write_bytes),
            (&mut self.network_rx_bytes, self.container_network_rx_bytes),
            (&mut self.network_tx_bytes, self.container_network_tx_bytes),
        ] {
            number.0 = number.0.or(fallback.0);
        }
    }
}
