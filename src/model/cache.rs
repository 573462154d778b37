//! A cache with a maximum age and a maximum number of entries, shared by the invocations of an execution environment.
//!
//! The caller passes the time. There is no eviction order: a full cache drops its expired entries, or all of them if
//! none has expired. For values that are bounded by their size, use another structure.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Age limit of entries that never expire.
pub(crate) const NO_TTL: i64 = i64::MAX;

/// Entry limit of a cache whose keys are few, or whose owner removes entries.
pub(crate) const UNBOUNDED: usize = usize::MAX;

/// The cache. Methods return clones: values are cheap to clone.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    ttl_ms: i64,
    max_entries: usize,
    entries: Mutex<HashMap<K, Entry<V>>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    inserted_ms: i64,
    ttl_ms: i64,
}

impl<V> Entry<V> {
    fn is_fresh(&self, now_ms: i64) -> bool {
        self.ttl_ms == NO_TTL || now_ms.saturating_sub(self.inserted_ms) < self.ttl_ms
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(ttl_ms: i64, max_entries: usize) -> Self {
        Self { ttl_ms, max_entries, entries: Mutex::default() }
    }

    /// Returns the value of a key, unless it has expired.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, now_ms: i64) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.lock().get(key).filter(|entry| entry.is_fresh(now_ms)).map(|entry| entry.value.clone())
    }

    /// Returns the value of a key even if it has expired: for use when a new one cannot be fetched.
    pub(crate) fn get_stale<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.lock().get(key).map(|entry| entry.value.clone())
    }

    /// Returns the keys that have no value, or an expired one.
    pub(crate) fn missing<'k>(&self, keys: impl IntoIterator<Item = &'k K>, now_ms: i64) -> Vec<K>
    where
        K: Clone + 'k,
    {
        let entries = self.lock();
        let is_fresh = |key: &K| entries.get(key).is_some_and(|entry| entry.is_fresh(now_ms));
        keys.into_iter().filter(|key| !is_fresh(key)).cloned().collect()
    }

    /// Returns all values that have not expired, in no particular order.
    pub(crate) fn values(&self, now_ms: i64) -> Vec<V> {
        let entries = self.lock();
        entries.values().filter(|entry| entry.is_fresh(now_ms)).map(|entry| entry.value.clone()).collect()
    }

    pub(crate) fn insert(&self, key: K, value: V, now_ms: i64) {
        self.insert_with_ttl(key, value, now_ms, self.ttl_ms);
    }

    /// Inserts a value with a different age limit, such as a shorter one for a failed lookup.
    pub(crate) fn insert_with_ttl(&self, key: K, value: V, now_ms: i64, ttl_ms: i64) {
        let mut entries = self.lock();
        if !entries.contains_key(&key) {
            self.make_room(&mut entries, now_ms);
        }
        entries.insert(key, Entry { value, inserted_ms: now_ms, ttl_ms });
    }

    /// Inserts several values. The batch never evicts its own entries, so it may exceed the maximum.
    pub(crate) fn insert_all(&self, batch: impl IntoIterator<Item = (K, V)>, now_ms: i64) {
        let mut batch = batch.into_iter().peekable();
        if batch.peek().is_none() {
            return;
        }
        let ttl_ms = self.ttl_ms;
        let mut entries = self.lock();
        self.make_room(&mut entries, now_ms);
        entries.extend(batch.map(|(key, value)| (key, Entry { value, inserted_ms: now_ms, ttl_ms })));
    }

    /// Removes the entries for which `keep` returns `false`.
    pub(crate) fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        self.lock().retain(|key, entry| keep(key, &entry.value));
    }

    /// Removes the expired entries.
    pub(crate) fn remove_expired(&self, now_ms: i64) {
        self.lock().retain(|_, entry| entry.is_fresh(now_ms));
    }

    fn make_room(&self, entries: &mut HashMap<K, Entry<V>>, now_ms: i64) {
        if entries.len() >= self.max_entries {
            entries.retain(|_, entry| entry.is_fresh(now_ms));
        }
        if entries.len() >= self.max_entries {
            entries.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_expires_at_its_age_limit() {
        let cache = Cache::new(1_000, UNBOUNDED);
        cache.insert("a", 1, 0);
        cache.insert_with_ttl("b", 2, 0, 10);
        for (key, now_ms, expected) in
            [("a", 999, Some(1)), ("a", 1_000, None), ("b", 9, Some(2)), ("b", 10, None), ("c", 0, None)]
        {
            assert_eq!(cache.get(key, now_ms), expected, "{key} at {now_ms}");
        }
        assert_eq!(cache.get_stale("a"), Some(1), "an expired entry is still there");
        assert_eq!(cache.missing(&["a", "b", "c"], 500), ["b", "c"]);
        assert_eq!(cache.values(500), [1]);
        cache.remove_expired(500);
        assert_eq!((cache.get_stale("a"), cache.get_stale("b")), (Some(1), None));
    }

    #[test]
    fn entry_without_age_limit_never_expires() {
        let cache = Cache::new(NO_TTL, UNBOUNDED);
        cache.insert("a", 1, 0);
        assert_eq!(cache.get("a", i64::MAX), Some(1));
    }

    #[test]
    fn full_cache_drops_expired_entries_or_all() {
        let cache = Cache::new(100, 2);
        cache.insert("a", 1, 0);
        cache.insert("b", 2, 50);
        cache.insert("c", 3, 120);
        assert_eq!(cache.missing(&["a", "b", "c"], 120), ["a"], "a had expired");
        cache.insert("c", 3, 121);
        assert_eq!(cache.values(121).len(), 2, "a key that exists needs no room");
        cache.insert("d", 4, 121);
        assert_eq!(cache.values(121), [4], "none had expired");
        cache.insert_all([("e", 5), ("f", 6), ("g", 7)], 122);
        assert_eq!(cache.values(122).len(), 4, "a batch keeps its own entries");
        cache.insert_all([], 122);
        assert_eq!(cache.values(122).len(), 4, "an empty batch evicts nothing");
        cache.retain(|key, _| *key == "e");
        assert_eq!(cache.values(122), [5]);
    }
}
