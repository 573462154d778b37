//! Skips requests to a destination for a while after a failure.
//!
//! While the circuit breaker is open, items are spooled without an attempt, and spooled messages stay in the queue. An outage
//! then costs one attempt per execution environment and interval instead of one per message.

use std::sync::atomic::{AtomicI64, Ordering};

/// How long the circuit breaker stays open: long enough that a minute of outage costs few attempts, short enough that samples
/// are delivered before they are too old.
const OPEN_MS: i64 = 10_000;

/// Circuit breaker of one destination in this execution environment.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    open_until_ms: AtomicI64,
}

impl CircuitBreaker {
    pub fn is_open(&self, now_ms: i64) -> bool {
        let remaining_ms = self.open_until_ms.load(Ordering::Relaxed).saturating_sub(now_ms);
        // More than it can be if the clock stepped back.
        (1..=OPEN_MS).contains(&remaining_ms)
    }

    /// Records the result of a delivery: a retryable failure opens the circuit breaker, anything else closes it.
    pub fn record(&self, delivered: bool, now_ms: i64) {
        let open_until_ms = if delivered { 0 } else { now_ms + OPEN_MS };
        self.open_until_ms.store(open_until_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_opens_it_for_a_while_and_success_closes_it() {
        let circuit = CircuitBreaker::default();
        assert!(!circuit.is_open(0));
        circuit.record(false, 1_000);
        assert!(circuit.is_open(1_000) && circuit.is_open(10_999));
        assert!(!circuit.is_open(11_000), "it closes by itself");
        circuit.record(false, 12_000);
        circuit.record(true, 12_001);
        assert!(!circuit.is_open(12_002));
    }

    #[test]
    fn clock_that_steps_back_closes_it() {
        let circuit = CircuitBreaker::default();
        circuit.record(false, 600_000);
        assert!(!circuit.is_open(300_000), "otherwise it would be open for five minutes");
        assert!(circuit.is_open(600_000));
    }
}
