//! The numbers of a task: the sum of its containers', as far as its own limits do not settle them.

use super::metrics::Reading;
use super::readings::{MIB, Readings, UNITS};
use super::{Numbers, Report};

/// The readings of a task, added up container by container.
pub(crate) struct Total<'a> {
    report: &'a Report<'a>,
    numbers: Numbers,
    network: NetworkOf,
    readings: Readings,
}

/// Whose numbers a container's network statistics are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NetworkOf {
    /// Each container's own: they add up.
    Container,
    /// Every container reports the whole task's: they count once.
    Task,
}

impl<'a> Total<'a> {
    pub(crate) fn new(report: &'a Report<'a>, numbers: Numbers) -> Self {
        let network = if numbers == Numbers::Corrected { network_of(report) } else { NetworkOf::Container };
        let mut readings = Readings::default();
        // The task's series stand even when it has no container to add.
        for reading in Reading::ALL {
            match reading {
                Reading::Duration | Reading::EphemeralUtilized | Reading::EphemeralReserved => {}
                Reading::MemoryUsageMax if numbers == Numbers::Corrected => {}
                Reading::CpuUsageVcpu
                | Reading::CpuUtilized
                | Reading::CpuReserved
                | Reading::RateRx
                | Reading::RateTx => {
                    readings.float(*reading, 0.0);
                }
                _ => readings.integer(*reading, 0),
            }
        }
        Total { report, numbers, network, readings }
    }

    pub(crate) fn add(&mut self, container: &Readings) {
        for &reading in Reading::ALL {
            let Some(value) = container.at(reading) else { continue };
            let sum = match self.readings.at(reading) {
                Some(sum) if self.is_shared(reading) => sum.larger(value),
                Some(sum) => sum.plus(value, self.numbers),
                None => value,
            };
            self.readings.set(reading, sum);
        }
    }

    /// Whether every container reports one and the same number, of the task or of its host, which then counts once. The
    /// largest is taken: the containers were read a moment apart, and a counter must not go back.
    fn is_shared(&self, reading: Reading) -> bool {
        use Reading::{
            CpuCores, CpuOnlines, CpuUsageSystem, RateRx, RateTx, RxBytes, RxDropped, RxErrors, RxPackets, TxBytes,
            TxDropped, TxErrors, TxPackets,
        };
        match reading {
            CpuUsageSystem | CpuCores | CpuOnlines => self.numbers == Numbers::Corrected,
            RateRx | RateTx | RxBytes | RxPackets | RxErrors | RxDropped | TxBytes | TxPackets | TxErrors
            | TxDropped => self.network == NetworkOf::Task,
            _ => false,
        }
    }

    /// What the task's own limits settle, and what follows from the sums.
    pub(crate) fn finish(mut self) -> Readings {
        let limits = self.report.task.limits.unwrap_or_default();
        if let Some(memory) = limits.memory {
            self.readings.integer(Reading::MemoryReserved, memory);
            if self.numbers == Numbers::Corrected {
                // A container without a limit of its own reports 2^63-4096: two of them would wrap to -8192.
                self.readings.integer(Reading::MemoryUsageLimit, memory.saturating_mul(MIB));
            }
        }
        if let Some(cpu) = limits.cpu {
            self.readings.float(Reading::CpuReserved, cpu * UNITS);
        }
        let of = |reading| self.readings.at(reading).map_or(0.0, |value| value.as_f64(self.numbers));
        let (vcpu, reserved) = (of(Reading::CpuUsageVcpu), of(Reading::CpuReserved));
        self.readings.float(Reading::CpuUtilized, if reserved > 0.0 { vcpu * UNITS } else { 0.0 });
        self.ephemeral_storage();
        self.readings
    }

    /// Only Fargate tells; elsewhere the receiver writes 0, which is not so.
    fn ephemeral_storage(&mut self) {
        let storage = self.report.task.ephemeral_storage_metrics.unwrap_or_default();
        let guess = (self.numbers == Numbers::Adot).then_some(0);
        if let Some(utilized) = storage.utilized.or(guess) {
            self.readings.integer(Reading::EphemeralUtilized, utilized);
        }
        if let Some(reserved) = storage.reserved.or(guess) {
            self.readings.integer(Reading::EphemeralReserved, reserved);
        }
    }
}

/// Under awsvpc the agent reports the task's network on each container (amazon-ecs-agent `agent/stats/engine.go`), and
/// Fargate knows no other mode.
fn network_of(report: &Report<'_>) -> NetworkOf {
    let task = report.task;
    let mut networks = task.containers().iter().flat_map(|container| container.networks.iter().flatten());
    let awsvpc = report.network_mode == Some("awsvpc")
        || task.launch_type.eq_ignore_ascii_case("FARGATE")
        || networks.any(|network| &*network.network_mode == "awsvpc");
    if awsvpc { NetworkOf::Task } else { NetworkOf::Container }
}
