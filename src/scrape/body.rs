//! Memory for response bodies: they are read while there is room for them, and keep their room until they are translated.
//!
//! A body waits while other bodies take up the memory; the smallest one gets it first. Bodies that wait for each other cannot stop
//! a run, because there is a reserve that has room for the bodies of any one target.

use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::memory_pool::{MemoryPool, Units};
use super::{MAX_STATS_BYTES, ScrapeError};
use crate::work_budget::MemoryLimit;

/// Unit in which memory is given to bodies.
const UNIT: usize = 16 << 10;

/// Bytes that each target may read at any time. Most stats documents are smaller, so they never wait.
const FREE_BYTES: usize = UNIT;

/// Most memory for bodies. More would not make a run faster, because translation takes longer than reading.
const MAX_SHARED_BYTES: usize = 64 << 20;

/// Memory for the bodies of all targets.
#[derive(Clone, Debug)]
pub(super) struct BodyMemory {
    shared: MemoryPool,
    shared_units: usize,
    /// For one target at a time.
    reserve: MemoryPool,
    reserve_bytes: usize,
    /// Most bytes of one body.
    largest_body: usize,
    waiting: watch::Sender<Waiting>,
}

/// Number of targets that wait for memory.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    shared: usize,
    reserve: usize,
}

/// Counts a waiting target until it is dropped.
struct WaitingTarget<'a> {
    waiting: &'a watch::Sender<Waiting>,
    /// It waits for shared memory, too, not only for the reserve.
    shared: bool,
}

impl<'a> WaitingTarget<'a> {
    fn new(waiting: &'a watch::Sender<Waiting>, shared: bool) -> Self {
        waiting.send_modify(|waiting| {
            waiting.shared += usize::from(shared);
            waiting.reserve += 1;
        });
        Self { waiting, shared }
    }
}

impl Drop for WaitingTarget<'_> {
    fn drop(&mut self) {
        self.waiting.send_modify(|waiting| {
            waiting.shared -= usize::from(self.shared);
            waiting.reserve -= 1;
        });
    }
}

/// Memory of the bodies of one target, until it is dropped.
#[derive(Debug)]
pub struct BodyPermits {
    memory: BodyMemory,
    shared: Option<Units>,
    reserve: Option<Units>,
    bytes: usize,
}

impl BodyMemory {
    /// A compressed body and what it decompresses to must fit: together, they take one and a half times the limit of a body.
    pub(super) fn new(memory: MemoryLimit, body_limit: usize) -> Self {
        let max = memory.max_allocated();
        let shared_units = (max / 10).min(MAX_SHARED_BYTES) / UNIT;
        let largest = (body_limit.saturating_add(body_limit / 2)).max(2 * MAX_STATS_BYTES + UNIT);
        Self {
            shared: MemoryPool::new(shared_units),
            shared_units,
            reserve: MemoryPool::new(1),
            reserve_bytes: largest.min(max / 10 * 3),
            largest_body: body_limit.max(MAX_STATS_BYTES),
            waiting: watch::Sender::default(),
        }
    }

    /// Returns the permits of one target, without memory.
    pub(super) fn permits(&self) -> BodyPermits {
        BodyPermits { memory: self.clone(), shared: None, reserve: None, bytes: 0 }
    }
}

impl BodyPermits {
    /// Returns the bytes of the target, which are at most twice what it has sent.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Waits until another target waits for the memory that this one has.
    pub(super) async fn wanted(&self) {
        let is_wanted = |waiting: &Waiting| {
            self.shared.is_some() && waiting.shared > 0 || self.reserve.is_some() && waiting.reserve > 0
        };
        if self.memory.waiting.subscribe().wait_for(is_wanted).await.is_err() {
            // The sender exists as long as this target.
            std::future::pending().await
        }
    }

    /// Makes room for `more` bytes after the content of `body`, which has `expected` bytes at its end, if this is known. Waits
    /// until there is memory.
    pub(super) async fn grow(
        &mut self,
        body: &mut Vec<u8>,
        more: usize,
        expected: Option<usize>,
    ) -> Result<(), ScrapeError> {
        let needed = body.len() + more;
        if needed <= body.capacity() {
            return Ok(());
        }
        let doubled = needed.max((body.capacity() * 2).min(self.memory.largest_body));
        let capacity = expected.map_or(doubled, |expected| doubled.min(expected.max(needed)));
        self.add(capacity - body.capacity()).await?;
        body.reserve_exact(capacity - body.len());
        Ok(())
    }

    async fn add(&mut self, bytes: usize) -> Result<(), ScrapeError> {
        self.bytes += bytes;
        if self.bytes > self.memory.reserve_bytes {
            return Err(ScrapeError::Memory);
        }
        let units = self.bytes.saturating_sub(FREE_BYTES).div_ceil(UNIT);
        let missing = units.saturating_sub(self.shared.as_ref().map_or(0, Units::count));
        if missing == 0 || self.reserve.is_some() {
            return Ok(());
        }
        let memory = self.memory.clone();
        if let Some(more) = memory.shared.try_acquire(units, missing) {
            self.add_shared(more);
            return Ok(());
        }
        let shared_is_enough = units <= memory.shared_units / 2;
        let _waiting = WaitingTarget::new(&memory.waiting, shared_is_enough);
        let reserve = Box::pin(memory.reserve.acquire(units, 1));
        if !shared_is_enough {
            // It would hold up smaller bodies while memory is collected for it.
            self.reserve = reserve.await;
            return Ok(());
        }
        match select(Box::pin(memory.shared.acquire(units, missing)), reserve).await {
            Either::Left((Some(more), _)) => self.add_shared(more),
            Either::Right((reserve, _)) => self.reserve = reserve,
            // The pools grant whatever they have.
            Either::Left((None, _)) => {}
        }
        Ok(())
    }

    fn add_shared(&mut self, more: Units) {
        match &mut self.shared {
            Some(shared) => shared.merge(more),
            None => self.shared = Some(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MB: usize = 1 << 20;

    /// 128 MB: 8 MB are shared.
    fn memory(body_limit: usize) -> BodyMemory {
        BodyMemory::new(MemoryLimit::new(|| 0, Some(128)), body_limit)
    }

    async fn fills(permits: &mut BodyPermits, bytes: usize) -> bool {
        let mut body = Vec::new();
        let grow = permits.grow(&mut body, bytes, Some(bytes));
        tokio::time::timeout(Duration::from_secs(1), grow).await.is_ok_and(|result| result.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn small_bodies_never_wait() {
        let memory = memory(16 * MB);
        let mut large: Vec<_> = (0..9).map(|_| memory.permits()).collect();
        for permits in &mut large {
            assert!(fills(permits, MB - UNIT).await);
        }
        assert!(!fills(&mut memory.permits(), MB).await);
        for _ in 0..100 {
            assert!(fills(&mut memory.permits(), FREE_BYTES).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_target_can_always_finish() {
        let memory = memory(16 * MB);
        let mut readers: Vec<_> = (0..8).map(|_| memory.permits()).collect();
        for permits in &mut readers {
            assert!(fills(permits, MB).await);
        }
        let mut one = readers.remove(3);
        assert!(fills(&mut one, 20 * MB).await, "it gets the reserve");
        assert!(!fills(&mut readers[0], 2 * MB).await, "others wait");
        drop(one);
        assert!(fills(&mut readers[0], 20 * MB).await, "the next one gets it");
    }

    #[tokio::test]
    async fn body_of_unknown_size_grows_to_the_limit() {
        let memory = memory(13 * MB);
        let (mut permits, mut body) = (memory.permits(), Vec::new());
        while body.len() + 700_000 <= 13 * MB {
            permits.grow(&mut body, 700_000, None).await.unwrap();
            body.extend_from_slice(&[0; 700_000]);
        }
        assert!(body.capacity() <= 13 * MB, "{}", body.capacity());
    }

    #[tokio::test]
    async fn body_over_the_reserve_never_fits() {
        let mut permits = memory(16 * MB).permits();
        assert!(matches!(permits.grow(&mut Vec::new(), 25 * MB, None).await, Err(ScrapeError::Memory)));
    }

    #[tokio::test]
    async fn capacity_is_at_most_the_expected_size() {
        let mut permits = memory(16 * MB).permits();
        let mut body = Vec::new();
        for _ in 0..3 {
            permits.grow(&mut body, 10_000, Some(30_000)).await.unwrap();
            body.extend_from_slice(&[0; 10_000]);
        }
        assert_eq!((body.capacity(), permits.bytes), (30_000, 30_000));
    }
}
