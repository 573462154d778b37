//! Memory and time budgets of this process.
//!
//! Lambda stops a function that exceeds its memory size, and everything in progress is lost. The allocator of the binary counts the
//! allocated bytes; work that would exceed the [`MemoryLimit`] is refused instead.

use std::cell::Cell;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::model::budget::{Budget, BudgetExceeded};

/// Share of the memory size that may be allocated, in eighths. The rest is for the code of the binary, for fragmentation, and for
/// allocations between two checks.
const ALLOCATED_EIGHTHS: usize = 5;

/// Memory size if the environment does not contain it: the default of template.yaml.
const DEFAULT_MEMORY_MB: usize = 512;

/// Number of checks per reading of the clock. A check comes every few microseconds, and reading the clock takes 25 ns.
const CHECKS_PER_CLOCK_READ: usize = 32;

/// Bytes of a reservation that count as one more check. Work on four kilobytes takes some microseconds, too.
const BYTES_PER_CHECK: usize = 4096;

/// Limit of the bytes that this process may have allocated.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimit {
    allocated: fn() -> usize,
    max_allocated: usize,
}

impl MemoryLimit {
    /// Returns the limit for a function of `memory_mb` (`AWS_LAMBDA_FUNCTION_MEMORY_SIZE`). `allocated` returns the allocated bytes
    /// of the process.
    pub fn new(allocated: fn() -> usize, memory_mb: Option<u64>) -> Self {
        let memory_mb = memory_mb.and_then(|mb| usize::try_from(mb).ok()).unwrap_or(DEFAULT_MEMORY_MB);
        Self { allocated, max_allocated: (memory_mb << 20) / 8 * ALLOCATED_EIGHTHS }
    }

    /// Returns no limit, for a command line process that has the memory of its machine.
    pub fn unlimited() -> Self {
        Self { allocated: || 0, max_allocated: usize::MAX }
    }

    /// Returns the maximum number of allocated bytes.
    pub fn max_allocated(&self) -> usize {
        self.max_allocated
    }

    /// Returns the size of a cache, which is `max_bytes` in a function of the default size or a larger one. In a smaller function,
    /// the caches have the same share of the memory.
    pub fn cache_bytes(&self, max_bytes: usize) -> usize {
        let default = (DEFAULT_MEMORY_MB << 20) / 8 * ALLOCATED_EIGHTHS;
        max_bytes / 1024 * (self.max_allocated.min(default) / (default / 1024))
    }

    /// Returns the number of bytes that can be allocated now.
    pub fn available(&self) -> usize {
        self.max_allocated.saturating_sub((self.allocated)())
    }

    /// Returns the budget of work that must leave `reserved` of the remaining time.
    pub fn budget<'a>(&self, deadline: &'a Deadline, reserved: Duration) -> WorkBudget<'a> {
        WorkBudget { memory: *self, deadline, reserved, checks: Cell::new(0) }
    }
}

/// The memory without a time limit, for work that must be finished.
impl Budget for MemoryLimit {
    fn reserve(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        if (self.allocated)().saturating_add(bytes) > self.max_allocated {
            return Err(BudgetExceeded::Memory { limit: self.max_allocated });
        }
        Ok(())
    }
}

/// Budget of one piece of work.
#[derive(Debug)]
pub struct WorkBudget<'a> {
    memory: MemoryLimit,
    deadline: &'a Deadline,
    reserved: Duration,
    checks: Cell<usize>,
}

impl Budget for WorkBudget<'_> {
    fn reserve(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.memory.reserve(bytes)?;
        let checks = self.checks.get().saturating_add(1 + bytes / BYTES_PER_CHECK);
        if checks < CHECKS_PER_CLOCK_READ {
            self.checks.set(checks);
            return Ok(());
        }
        self.checks.set(0);
        if self.deadline.remaining() <= self.reserved { Err(BudgetExceeded::Time) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOCATED: usize = 70 << 20;

    #[test]
    fn five_eighths_of_the_memory_size_may_be_allocated() {
        let deadline = Deadline::after(Duration::from_secs(10));
        for (memory_mb, more_mb, expected) in [
            (Some(128), 10, true),
            (Some(128), 11, false),
            (Some(64), 0, false),
            (Some(112), 0, true),
            (Some(256), 90, true),
            (Some(256), 91, false),
            (None, 250, true),
            (None, 251, false),
        ] {
            let limit = MemoryLimit::new(|| ALLOCATED, memory_mb);
            let result = limit.budget(&deadline, Duration::ZERO).reserve(more_mb << 20);
            assert_eq!(result.is_ok(), expected, "{more_mb} MB more in {memory_mb:?} MB: {result:?}");
        }
        assert_eq!(MemoryLimit::unlimited().budget(&deadline, Duration::ZERO).reserve(usize::MAX), Ok(()));
    }

    #[test]
    fn caches_have_the_same_share_of_a_smaller_function() {
        for (memory_mb, expected_mb) in [(128, 4), (256, 8), (512, 16), (1_024, 16)] {
            assert_eq!(
                MemoryLimit::new(|| 0, Some(memory_mb)).cache_bytes(16 << 20),
                expected_mb << 20,
                "{memory_mb} MB"
            );
        }
        assert_eq!(MemoryLimit::unlimited().cache_bytes(16 << 20), 16 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_before_the_reserved_time() {
        let deadline = Deadline::after(Duration::from_secs(10));
        let budget = MemoryLimit::unlimited().budget(&deadline, deadline.remaining() / 2);
        let checks = || (0..CHECKS_PER_CLOCK_READ).try_for_each(|_| budget.check());
        assert_eq!(checks(), Ok(()));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(checks(), Err(BudgetExceeded::Time));
        assert_eq!(budget.reserve(CHECKS_PER_CLOCK_READ * BYTES_PER_CHECK), Err(BudgetExceeded::Time));
    }
}
