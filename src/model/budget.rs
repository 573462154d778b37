//! Limit of the memory and time that the processing of one input may take.
//!
//! A small input can describe a large result: one resource attribute becomes a label of every point. The result is therefore
//! checked against a [`Budget`] while it grows: once per span, point, sample or document, and before each large allocation.

use thiserror::Error;

/// The limit that was reached.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BudgetExceeded {
    /// The memory of the function is too small for the input.
    #[error(
        "it needs more than {limit} bytes of memory: send smaller batches, or raise the memory size of the function"
    )]
    Memory { limit: usize },
    /// Too many documents must be truncated, which takes much longer than writing them.
    #[error(
        "more than {limit} of its documents are larger than X-Ray accepts: send smaller attributes, or smaller batches"
    )]
    TruncatedDocuments { limit: u64 },
    /// The invocation has no time left for the input.
    #[error(
        "the invocation has no time left for it: send smaller batches, or raise the timeout or memory size of the function"
    )]
    Time,
}

impl BudgetExceeded {
    /// Returns whether the input can never be processed. Otherwise another invocation may have the time for it.
    pub fn is_permanent(self) -> bool {
        self != Self::Time
    }
}

/// Limit of memory and time.
pub trait Budget {
    /// Returns an error if the work must stop, or if `bytes` more than are allocated now would exceed the memory.
    fn reserve(&self, bytes: usize) -> Result<(), BudgetExceeded>;

    /// Returns an error if the work must stop.
    fn check(&self) -> Result<(), BudgetExceeded> {
        self.reserve(0)
    }
}

/// A budget without limits, for input that the function itself wrote, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Budget for Unlimited {
    fn reserve(&self, _bytes: usize) -> Result<(), BudgetExceeded> {
        Ok(())
    }
}
