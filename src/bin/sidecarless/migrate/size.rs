//! The size of a Fargate task once the sidecar's share is free.

use serde_json::Value;

use super::definition::{Sidecar, items};
use super::report::MigrationReport;

/// CPU units, least and most MiB, and the step between.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size>
const SIZES: [(u64, u64, u64, u64); 7] = [
    (256, 512, 2048, 0),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];

/// Says the smallest size that holds what is left, if it is smaller than today's.
pub(super) fn suggest_size(definition: &Value, sidecars: &[Sidecar], report: &mut MigrationReport) {
    let (Some(cpu), Some(memory)) = (amount(&definition["cpu"]), amount(&definition["memory"])) else { return };
    let rest: Vec<&Value> = items(definition, "containerDefinitions").collect();
    let theirs = || sidecars.iter().map(|sidecar| &sidecar.container);
    let needed = |whole: u64, of: fn(&Value) -> u64| {
        let reserved: Vec<u64> = rest.iter().map(|container| of(container)).collect();
        // A container without a reservation may use whatever the sidecar did not.
        let free = whole.saturating_sub(theirs().map(of).fold(0, u64::saturating_add));
        if reserved.contains(&0) { free } else { reserved.into_iter().fold(0, u64::saturating_add) }
    };
    let (cpu_needed, memory_needed) = (needed(cpu, cpu_of), needed(memory, memory_of));
    let fitting = SIZES
        .iter()
        .filter(|size| size.0 >= cpu_needed)
        .find_map(|size| Some((size.0, smallest(size, memory_needed)?)));
    report.note(match fitting {
        Some((smaller, least)) if (smaller, least) != (cpu, memory) && smaller <= cpu && least <= memory => format!(
            "size: cpu {cpu} and memory {memory} stay; {cpu_needed} units and {memory_needed} MiB are left to hold, which fit {smaller} and {least} on Fargate"
        ),
        _ => format!("size: cpu {cpu} and memory {memory} stay; by the reservations, no smaller Fargate size holds what is left"),
    });
}

fn smallest(&(_, least, most, step): &(u64, u64, u64, u64), needed: u64) -> Option<u64> {
    let memory = match step {
        0 => needed.max(least).checked_next_power_of_two()?,
        step => least + needed.saturating_sub(least).div_ceil(step) * step,
    };
    (memory <= most).then_some(memory)
}

fn cpu_of(container: &Value) -> u64 {
    container["cpu"].as_u64().unwrap_or(0)
}

fn memory_of(container: &Value) -> u64 {
    container["memoryReservation"].as_u64().or_else(|| container["memory"].as_u64()).unwrap_or(0)
}

/// CPU units or MiB; `1 vCPU` and `2 GB` are 1024 and 2048.
fn amount(value: &Value) -> Option<u64> {
    let text = value.as_str()?.to_lowercase();
    let scaled = text.strip_suffix("vcpu").or_else(|| text.strip_suffix("gb"));
    match scaled {
        None => text.trim().parse().ok(),
        Some(number) => {
            // Quarters are the smallest: exact in thousandths.
            let (whole, part) = number.trim().split_once('.').unwrap_or((number.trim(), "0"));
            let thousandths: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
            let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
            whole.checked_mul(1024)?.checked_add(thousandths * 1024 / 1000)
        }
    }
}
