//! A destination that has just failed is not asked again at once.
//!
//! While a circuit is open, what is meant for its destination goes to the spool without an attempt, and what comes back
//! from the spool goes back to it: an outage costs one attempt per environment and interval, not one per message.

use std::sync::atomic::{AtomicI64, Ordering};

/// How long a circuit stays open: long enough that a minute of outage costs a handful of attempts, short enough that its
/// end is noticed before samples age.
const OPEN_MS: i64 = 10_000;

/// The circuit of one destination, as this environment knows it.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    open_until_ms: AtomicI64,
}

impl CircuitBreaker {
    pub fn is_open(&self, now_ms: i64) -> bool {
        now_ms < self.open_until_ms.load(Ordering::Relaxed)
    }

    /// Notes how a delivery ended: failures that pass open the circuit, a success closes it.
    pub fn record(&self, delivered: bool, now_ms: i64) {
        let open_until_ms = if delivered { 0 } else { now_ms + OPEN_MS };
        self.open_until_ms.store(open_until_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_opens_it_for_a_while_and_a_success_closes_it() {
        let circuit = CircuitBreaker::default();
        assert!(!circuit.is_open(0));
        circuit.record(false, 1_000);
        assert!(circuit.is_open(1_000) && circuit.is_open(10_999));
        assert!(!circuit.is_open(11_000), "it closes by itself");
        circuit.record(false, 12_000);
        circuit.record(true, 12_001);
        assert!(!circuit.is_open(12_002));
    }
}
