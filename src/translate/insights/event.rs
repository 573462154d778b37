//! One performance log event as it comes: every field but the type may be missing, and a number may be anything.
//!
//! Fields: Amazon CloudWatch User Guide, "Container Insights performance log events for Amazon ECS". Under enhanced
//! observability some may come under a second name, with the level in front: the plain one is preferred.

use serde::Deserialize;

use crate::model::json::{Number, Text};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "Type")]
    pub(super) kind: Text<'a>,
    pub(super) cluster_name: Text<'a>,
    /// Milliseconds since 1970.
    pub(super) timestamp: Number,
    pub(super) task_id: Text<'a>,
    pub(super) task_definition_family: Text<'a>,
    pub(super) task_definition_revision: Text<'a>,
    pub(super) service_name: Text<'a>,
    #[serde(rename = "AccountID")]
    pub(super) account_id: Text<'a>,
    pub(super) region: Text<'a>,
    pub(super) availability_zone: Text<'a>,
    pub(super) launch_type: Text<'a>,
    pub(super) known_status: Text<'a>,
    pub(super) pull_started_at: Number,
    pub(super) pull_stopped_at: Number,
    pub(super) container_name: Text<'a>,
    pub(super) image: Text<'a>,
    pub(super) container_known_status: Text<'a>,
    #[serde(flatten)]
    pub(super) usage: Usage,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// CPU in units, memory in MiB, network bytes as rates, everything else on network and storage since the start.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Usage {
    pub(super) cpu_utilized: Number,
    pub(super) cpu_reserved: Number,
    pub(super) memory_utilized: Number,
    pub(super) memory_reserved: Number,
    pub(super) storage_read_bytes: Number,
    pub(super) storage_write_bytes: Number,
    pub(super) network_rx_bytes: Number,
    pub(super) network_rx_packets: Number,
    pub(super) network_rx_errors: Number,
    pub(super) network_rx_dropped: Number,
    pub(super) network_tx_bytes: Number,
    pub(super) network_tx_packets: Number,
    pub(super) network_tx_errors: Number,
    pub(super) network_tx_dropped: Number,
    /// Decimal gigabytes.
    pub(super) ephemeral_storage_utilized: Number,
    pub(super) ephemeral_storage_reserved: Number,
    container_cpu_utilized: Number,
    container_cpu_reserved: Number,
    container_memory_utilized: Number,
    container_memory_reserved: Number,
    container_storage_read_bytes: Number,
    container_storage_write_bytes: Number,
    container_network_rx_bytes: Number,
    container_network_tx_bytes: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Counts {
    pub(super) desired_task_count: Number,
    pub(super) running_task_count: Number,
    pub(super) pending_task_count: Number,
    pub(super) deployment_count: Number,
    pub(super) task_set_count: Number,
    pub(super) task_count: Number,
    pub(super) service_count: Number,
    pub(super) container_instance_count: Number,
}

impl Usage {
    /// Takes the second name of a container's number where the first is missing.
    pub(super) fn settle_container(&mut self) {
        for (number, twin) in [
            (&mut self.cpu_utilized, self.container_cpu_utilized),
            (&mut self.cpu_reserved, self.container_cpu_reserved),
            (&mut self.memory_utilized, self.container_memory_utilized),
            (&mut self.memory_reserved, self.container_memory_reserved),
            (&mut self.storage_read_bytes, self.container_storage_read_bytes),
            (&mut self.storage_write_bytes, self.container_storage_write_bytes),
            (&mut self.network_rx_bytes, self.container_network_rx_bytes),
            (&mut self.network_tx_bytes, self.container_network_tx_bytes),
        ] {
            number.0 = number.0.or(twin.0);
        }
    }
}
