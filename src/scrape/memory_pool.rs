//! Units of memory that targets wait for. The target with the smallest body gets them first, so that a page of some kilobytes
//! does not wait for large ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Units that are shared by all targets.
#[derive(Clone, Debug)]
pub(super) struct MemoryPool(Arc<Mutex<PoolState>>);

#[derive(Debug)]
struct PoolState {
    free: usize,
    waiting: BTreeMap<Priority, Waiter>,
    arrivals: u64,
}

/// Size of the body, and the order of arrival.
type Priority = (usize, u64);

#[derive(Debug)]
struct Waiter {
    units: usize,
    granted: oneshot::Sender<Units>,
}

/// Units of one target. They return to the pool when they are dropped.
#[derive(Debug)]
pub(super) struct Units {
    pool: MemoryPool,
    count: usize,
}

struct GrantOnDrop<'a>(&'a MemoryPool);

impl Drop for GrantOnDrop<'_> {
    fn drop(&mut self) {
        self.0.grant(&mut self.0.lock());
    }
}

impl MemoryPool {
    pub(super) fn new(units: usize) -> Self {
        Self(Arc::new(Mutex::new(PoolState { free: units, waiting: BTreeMap::new(), arrivals: 0 })))
    }

    /// Returns units if they are free and no smaller body waits. `size` is the size of the body.
    pub(super) fn try_acquire(&self, size: usize, units: usize) -> Option<Units> {
        let mut state = self.lock();
        let is_first = state.waiting.first_key_value().is_none_or(|(first, _)| size < first.0);
        if !is_first || units > state.free {
            return None;
        }
        state.free -= units;
        drop(state);
        Some(self.units(units))
    }

    /// Waits for units. `size` is the size of the body.
    pub(super) async fn acquire(&self, size: usize, units: usize) -> Option<Units> {
        // A target that stops to wait may have held up others. Declared first, so that it is dropped after the receiver.
        let _grants = GrantOnDrop(self);
        let (granted, receiver) = oneshot::channel();
        self.add(size, Waiter { units, granted });
        receiver.await.ok()
    }

    fn add(&self, size: usize, waiter: Waiter) {
        let mut state = self.lock();
        state.arrivals += 1;
        let priority = (size, state.arrivals);
        state.waiting.insert(priority, waiter);
        self.grant(&mut state);
    }

    /// Gives free units to waiting targets.
    fn grant(&self, state: &mut PoolState) {
        while let Some(first) = state.waiting.first_entry() {
            if first.get().granted.is_closed() {
                // The target no longer waits.
                first.remove();
                continue;
            }
            if first.get().units > state.free {
                return;
            }
            let Waiter { units, granted } = first.remove();
            match granted.send(self.units(units)) {
                Ok(()) => state.free -= units,
                // They were not taken from the free ones.
                Err(mut not_sent) => not_sent.count = 0,
            }
        }
    }

    fn units(&self, count: usize) -> Units {
        Units { pool: self.clone(), count }
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Units {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds other units of the same target.
    pub(super) fn merge(&mut self, mut other: Units) {
        self.count += std::mem::take(&mut other.count);
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        if self.count > 0 {
            let mut state = self.pool.lock();
            state.free += self.count;
            self.pool.grant(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn smallest_body_gets_units_first() {
        let pool = MemoryPool::new(10);
        let mut all = pool.try_acquire(10, 10);
        assert_eq!(all.as_ref().map(Units::count), Some(10));
        let (mut large, mut small) = (Box::pin(pool.acquire(9, 4)), Box::pin(pool.acquire(2, 2)));
        assert!(large.as_mut().now_or_never().is_none() && small.as_mut().now_or_never().is_none());
        drop(all.take());
        let small = small.now_or_never().flatten();
        let large = large.now_or_never().flatten();
        assert_eq!((small.map(|it| it.count()), large.map(|it| it.count())), (Some(2), Some(4)));
        assert!(pool.try_acquire(20, 10).is_some(), "all units returned");
    }

    #[test]
    fn larger_body_does_not_overtake_a_waiting_one() {
        let pool = MemoryPool::new(4);
        let held = pool.try_acquire(3, 3);
        let mut waiting = Box::pin(pool.acquire(5, 4));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(pool.try_acquire(6, 1).is_none() && pool.try_acquire(4, 1).is_some());
        drop(held);
        assert!(waiting.now_or_never().flatten().is_some());
    }

    #[test]
    fn target_that_no_longer_waits_holds_up_no_others() {
        let pool = MemoryPool::new(4);
        let _held = pool.try_acquire(2, 2);
        let (mut first, mut second) = (Box::pin(pool.acquire(3, 3)), Box::pin(pool.acquire(4, 2)));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().flatten().is_some());
    }

    #[test]
    fn units_of_a_target_that_no_longer_waits_are_not_lost() {
        let pool = MemoryPool::new(4);
        let held = pool.try_acquire(4, 4);
        let mut waiting: Vec<_> = (0..3).map(|size| Box::pin(pool.acquire(size, 4))).collect();
        assert!(waiting.iter_mut().all(|waiting| waiting.as_mut().now_or_never().is_none()));
        drop(waiting.remove(0));
        drop(held);
        drop(waiting);
        assert!(pool.try_acquire(9, 4).is_some());
    }
}
