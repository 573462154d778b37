//! Size of a Fargate task without its sidecars.

use serde_json::Value;

use super::definition::{Sidecar, items};
use super::report::MigrationReport;

/// CPU units, minimum memory, maximum memory and memory increment in MiB.
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

/// Reports the smallest size that fits the remaining containers, if it is smaller than the current size.
pub(super) fn suggest_size(definition: &Value, sidecars: &[Sidecar], report: &mut MigrationReport) {
    let (Some(cpu), Some(memory)) = (amount(&definition["cpu"]), amount(&definition["memory"])) else { return };
    let rest: Vec<&Value> = items(definition, "containerDefinitions").collect();
    let removed = || sidecars.iter().map(|sidecar| &sidecar.container);
    let needed = |total: u64, of: fn(&Value) -> u64| {
        let reserved: Vec<u64> = rest.iter().map(|container| of(container)).collect();
        // A container without a reservation can use all of the task except the reservation of the sidecar.
        let free = total.saturating_sub(removed().map(of).fold(0, u64::saturating_add));
        if reserved.contains(&0) { free } else { reserved.into_iter().fold(0, u64::saturating_add) }
    };
    let (cpu_needed, memory_needed) = (needed(cpu, cpu_of), needed(memory, memory_of));
    let fitting = SIZES
        .iter()
        .filter(|size| size.0 >= cpu_needed)
        .find_map(|size| Some((size.0, smallest(size, memory_needed)?)));
    report.note(match fitting {
        Some((smaller, min)) if (smaller, min) != (cpu, memory) && smaller <= cpu && min <= memory => format!(
            "size: cpu {cpu} and memory {memory} are unchanged; the remaining {cpu_needed} units and {memory_needed} MiB fit {smaller} and {min} on Fargate"
        ),
        _ => format!("size: cpu {cpu} and memory {memory} are unchanged; the remaining reservations do not fit a smaller Fargate size"),
    });
}

fn smallest(&(_, min, max, step): &(u64, u64, u64, u64), needed: u64) -> Option<u64> {
    let memory = match step {
        0 => needed.max(min).checked_next_power_of_two()?,
        step => min + needed.saturating_sub(min).div_ceil(step) * step,
    };
    (memory <= max).then_some(memory)
}

fn cpu_of(container: &Value) -> u64 {
    container["cpu"].as_u64().unwrap_or(0)
}

fn memory_of(container: &Value) -> u64 {
    container["memoryReservation"].as_u64().or_else(|| container["memory"].as_u64()).unwrap_or(0)
}

/// Parses CPU units or MiB. `1 vCPU` is 1024 and `2 GB` is 2048.
fn amount(value: &Value) -> Option<u64> {
    let text = value.as_str()?.to_lowercase();
    let scaled = text.strip_suffix("vcpu").or_else(|| text.strip_suffix("gb"));
    match scaled {
        None => text.trim().parse().ok(),
        Some(number) => {
            // The smallest fraction is a quarter, which is exact in thousandths.
            let (integer, part) = number.trim().split_once('.').unwrap_or((number.trim(), "0"));
            let thousandths: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
            let integer: u64 = if integer.is_empty() { 0 } else { integer.parse().ok()? };
            integer.checked_mul(1024)?.checked_add(thousandths * 1024 / 1000)
        }
    }
}
