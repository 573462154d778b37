//! Task sizes of Fargate.

use super::options::{Arch, Reservation};
use super::prices::Fargate;

/// CPU units with their minimum memory, maximum memory and memory increment in MiB (Amazon ECS Developer Guide,
/// "Task definition parameters for Fargate", "Task size").
const SIZES: [(f64, f64, f64, f64); 7] = [
    (256.0, 512.0, 2_048.0, 1_024.0),
    (512.0, 1_024.0, 4_096.0, 1_024.0),
    (1_024.0, 2_048.0, 8_192.0, 1_024.0),
    (2_048.0, 4_096.0, 16_384.0, 1_024.0),
    (4_096.0, 8_192.0, 30_720.0, 1_024.0),
    (8_192.0, 16_384.0, 61_440.0, 4_096.0),
    (16_384.0, 32_768.0, 122_880.0, 8_192.0),
];

/// Returns the cheapest size that fits the need. `None` if none does.
pub(super) fn smallest_fitting(need: Reservation, arch: Arch) -> Option<Reservation> {
    let sizes = SIZES.iter().filter(|(cpu, _, max, _)| *cpu >= need.cpu && *max >= need.mib);
    let sizes = sizes.map(|&(cpu, min, max, step)| {
        // 512 MiB is the only size that is not a multiple of the increment.
        let mib = if need.mib <= min { min } else { (need.mib / step).ceil() * step };
        Reservation { cpu, mib: mib.min(max) }
    });
    sizes.min_by(|a, b| price(*a, arch).total_cmp(&price(*b, arch)))
}

/// Returns the monthly price difference in USD of a task with and without a sidecar. `None` if no size fits.
pub(super) fn difference(size: Reservation, sidecar: Reservation, includes_sidecar: bool, arch: Arch) -> Option<f64> {
    if includes_sidecar {
        let rest = Reservation { cpu: (size.cpu - sidecar.cpu).max(0.0), mib: (size.mib - sidecar.mib).max(0.0) };
        return Some(price(size, arch) - price(smallest_fitting(rest, arch)?, arch));
    }
    let both = Reservation { cpu: size.cpu + sidecar.cpu, mib: size.mib + sidecar.mib };
    Some(price(smallest_fitting(both, arch)?, arch) - price(size, arch))
}

fn price(size: Reservation, arch: Arch) -> f64 {
    Fargate::for_arch(arch).month(size.cpu, size.mib)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of((cpu, mib): (u32, u32)) -> Reservation {
        Reservation { cpu: cpu.into(), mib: mib.into() }
    }

    #[test]
    fn needs_are_rounded_up_to_a_task_size() {
        for (need, expected) in [
            ((0, 0), Some((256, 512))),
            ((256, 512), Some((256, 512))),
            ((256, 513), Some((256, 1024))),
            ((200, 1500), Some((256, 2048))),
            ((256, 2049), Some((512, 3072))),
            ((512, 512), Some((512, 1024))),
            ((768, 1536), Some((1024, 2048))),
            ((1280, 2560), Some((2048, 4096))),
            ((4096, 30_721), Some((8192, 32_768))),
            ((100, 61_441), Some((16_384, 65_536))),
            ((16_384, 122_880), Some((16_384, 122_880))),
            ((16_385, 1024), None),
            ((1024, 122_881), None),
        ] {
            assert_eq!(smallest_fitting(of(need), Arch::X86), expected.map(of), "{need:?}");
        }
    }

    #[test]
    fn task_sizes_determine_the_price_of_a_sidecar() {
        for (size, includes_sidecar, expected) in [
            // 0.25 vCPU and 0.5 GB become 0.5 and 1: 730 * (0.25 * 0.04048 + 0.5 * 0.004445).
            ((256, 512), false, Some(9.010_025)),
            // 1 vCPU and 2 GB become 2 and 4: 730 * (1 * 0.04048 + 2 * 0.004445).
            ((1024, 2048), false, Some(36.040_1)),
            // There is no smaller size.
            ((256, 512), true, Some(0.0)),
            ((512, 1024), true, Some(9.010_025)),
            // The remaining 0.75 vCPU and 1.5 GB need 1 vCPU and 2 GB as before.
            ((1024, 2048), true, Some(0.0)),
            // 256 units and 1,536 MiB remain, rounded up to 2 GB: 730 * 0.25 * 0.04048.
            ((512, 2048), true, Some(7.387_6)),
            ((16_384, 122_880), false, None),
        ] {
            let actual = difference(of(size), of((256, 512)), includes_sidecar, Arch::X86);
            let near = match (actual, expected) {
                (Some(actual), Some(expected)) => (actual - expected).abs() < 1e-9,
                (actual, expected) => actual == expected,
            };
            assert!(near, "{size:?} {includes_sidecar}: {actual:?}");
        }
    }
}
