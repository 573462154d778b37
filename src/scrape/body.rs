//! Memory for response bodies: they are read while there is room for them, and keep their room until they are translated.
//!
//! A body waits while other bodies take up the memory. Bodies that wait for each other cannot stop a run, because there is a
//! reserve that has room for the bodies of any one target.

use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    shared: Arc<Semaphore>,
    shared_units: usize,
    /// For one target at a time.
    reserve: Arc<Semaphore>,
    reserve_bytes: usize,
    /// Most bytes of one body.
    largest_body: usize,
}

/// Memory of the bodies of one target, until it is dropped.
#[derive(Debug)]
pub struct BodyPermits {
    memory: BodyMemory,
    shared: Option<OwnedSemaphorePermit>,
    reserve: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl BodyMemory {
    /// A compressed body and what it decompresses to must fit: together, they take one and a half times the limit of a body.
    pub(super) fn new(memory: MemoryLimit, body_limit: usize) -> Self {
        let max = memory.max_allocated();
        let shared_units = (max / 10).min(MAX_SHARED_BYTES) / UNIT;
        let largest = (body_limit.saturating_add(body_limit / 2)).max(2 * MAX_STATS_BYTES + UNIT);
        Self {
            shared: Arc::new(Semaphore::new(shared_units)),
            shared_units,
            reserve: Arc::new(Semaphore::new(1)),
            reserve_bytes: largest.min(max / 10 * 3),
            largest_body: body_limit.max(MAX_STATS_BYTES),
        }
    }

    /// Returns the permits of one target, without memory.
    pub(super) fn permits(&self) -> BodyPermits {
        BodyPermits { memory: self.clone(), shared: None, reserve: None, bytes: 0 }
    }
}

impl BodyPermits {
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
        let held = self.shared.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = units.saturating_sub(held);
        if missing == 0 || self.reserve.is_some() {
            return Ok(());
        }
        let Ok(missing) = u32::try_from(missing) else { return Err(ScrapeError::Memory) };
        if let Ok(permit) = Arc::clone(&self.memory.shared).try_acquire_many_owned(missing) {
            self.add_shared(permit);
            return Ok(());
        }
        let reserve = Box::pin(Arc::clone(&self.memory.reserve).acquire_owned());
        if units > self.memory.shared_units / 2 {
            // It would hold up smaller bodies while memory is collected for it.
            self.reserve = reserve.await.ok();
            return Ok(());
        }
        let shared = Box::pin(Arc::clone(&self.memory.shared).acquire_many_owned(missing));
        match select(shared, reserve).await {
            Either::Left((Ok(permit), _)) => self.add_shared(permit),
            Either::Right((Ok(permit), _)) => self.reserve = Some(permit),
            // The semaphores are never closed.
            Either::Left((Err(_), _)) | Either::Right((Err(_), _)) => {}
        }
        Ok(())
    }

    fn add_shared(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.shared {
            Some(shared) => shared.merge(permit),
            None => self.shared = Some(permit),
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
