//! A cache with a maximum age and a maximum size in bytes, shared by the invocations of an execution environment.
//!
//! The caller passes the time. A full cache keeps its entries until they expire, and stores no new ones: a client that fills it
//! does not displace the entries of others.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::age::is_younger;

/// Age limit of entries that never expire.
pub(crate) const NO_TTL: i64 = i64::MAX;

/// The cache. Methods return clones: values are cheap to clone.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    ttl_ms: i64,
    max_bytes: usize,
    /// Returns the bytes that a key and a value refer to.
    weigh: fn(&K, &V) -> usize,
    entries: Mutex<Entries<K, V>>,
}

#[derive(Debug)]
struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    /// Bytes of all entries.
    bytes: usize,
    /// Number of uses so far.
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    inserted_ms: i64,
    ttl_ms: i64,
    bytes: usize,
    /// Number of its last use. The lowest is the entry that was used least recently.
    used: u64,
}

impl<V> Entry<V> {
    fn is_fresh(&self, now_ms: i64) -> bool {
        self.ttl_ms == NO_TTL || is_younger(self.inserted_ms, self.ttl_ms, now_ms)
    }
}

impl<K: Eq + Hash, V> Entries<K, V> {
    fn insert(&mut self, key: K, mut entry: Entry<V>) {
        self.uses += 1;
        entry.used = self.uses;
        self.bytes += entry.bytes;
        self.bytes -= self.by_key.insert(key, entry).map_or(0, |replaced| replaced.bytes);
    }

    fn retain(&mut self, keep: impl Fn(&K, &Entry<V>) -> bool) {
        self.by_key.retain(|key, entry| keep(key, entry));
        self.bytes = self.by_key.values().map(|entry| entry.bytes).sum();
    }

    fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q, now_ms: i64) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let entry = self.by_key.get_mut(key).filter(|entry| entry.is_fresh(now_ms))?;
        self.uses += 1;
        entry.used = self.uses;
        Some(&entry.value)
    }

    /// Removes the entries that were used least recently until the others have at most `max_bytes`.
    fn shrink(&mut self, max_bytes: usize) {
        let mut uses: Vec<(u64, usize)> = self.by_key.values().map(|entry| (entry.used, entry.bytes)).collect();
        uses.sort_unstable();
        let (mut bytes, mut first_kept) = (self.bytes, 0);
        for (used, size) in uses {
            if bytes <= max_bytes {
                break;
            }
            bytes -= size;
            first_kept = used + 1;
        }
        self.retain(|_, entry| entry.used >= first_kept);
    }
}

impl<K: Eq + Hash, V> Cache<K, V> {
    pub(crate) fn new(ttl_ms: i64, max_bytes: usize, weigh: fn(&K, &V) -> usize) -> Self {
        Self { ttl_ms, max_bytes, weigh, entries: Mutex::new(Entries { by_key: HashMap::new(), bytes: 0, uses: 0 }) }
    }

    /// Returns the keys that have no value, or an expired one.
    pub(crate) fn missing<'k>(&self, keys: impl IntoIterator<Item = &'k K>, now_ms: i64) -> Vec<K>
    where
        K: Clone + 'k,
    {
        let entries = self.lock();
        let is_fresh = |key: &K| entries.by_key.get(key).is_some_and(|entry| entry.is_fresh(now_ms));
        keys.into_iter().filter(|key| !is_fresh(key)).cloned().collect()
    }

    /// Stores a value, unless the cache is full.
    pub(crate) fn insert(&self, key: K, value: V, now_ms: i64) {
        self.insert_with_ttl(key, value, now_ms, self.ttl_ms);
    }

    /// Stores a value with a different age limit, such as a shorter one for a failed lookup.
    pub(crate) fn insert_with_ttl(&self, key: K, value: V, now_ms: i64, ttl_ms: i64) {
        let entry = self.entry(&key, value, now_ms, ttl_ms);
        let mut entries = self.lock();
        let replaced = entries.by_key.get(&key).map_or(0, |entry| entry.bytes);
        if entries.bytes - replaced + entry.bytes > self.max_bytes {
            entries.retain(|_, entry| entry.is_fresh(now_ms));
        }
        let replaced = entries.by_key.get(&key).map_or(0, |entry| entry.bytes);
        if entries.bytes - replaced + entry.bytes <= self.max_bytes {
            entries.insert(key, entry);
        }
    }

    /// Stores the values that a run needs now. All of them are stored: if they do not fit, the others that were used least recently
    /// are removed. A run that found some of its values in the cache stores them again, so that they are not removed for the new
    /// ones.
    pub(crate) fn insert_all(&self, batch: impl IntoIterator<Item = (K, V)>, now_ms: i64) {
        let mut entries = self.lock();
        let (mut first, mut bytes) = (None, 0);
        for (key, value) in batch {
            let entry = self.entry(&key, value, now_ms, self.ttl_ms);
            bytes += entry.bytes;
            entries.insert(key, entry);
            first = first.or(Some(entries.uses));
        }
        let Some(first) = first else { return };
        if entries.bytes > self.max_bytes {
            entries.retain(|_, entry| entry.is_fresh(now_ms) || entry.used >= first);
            entries.shrink(self.max_bytes.max(bytes));
        }
    }

    /// Removes the entries for which `keep` returns `false`.
    pub(crate) fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        self.lock().retain(|key, entry| keep(key, &entry.value));
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut entries = self.lock();
        entries.bytes -= entries.by_key.remove(key).map_or(0, |removed| removed.bytes);
    }

    /// Removes the expired entries.
    pub(crate) fn remove_expired(&self, now_ms: i64) {
        self.lock().retain(|_, entry| entry.is_fresh(now_ms));
    }

    fn entry(&self, key: &K, value: V, inserted_ms: i64, ttl_ms: i64) -> Entry<V> {
        let bytes = size_of::<K>() + size_of::<Entry<V>>() + (self.weigh)(key, &value);
        Entry { value, inserted_ms, ttl_ms, bytes, used: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// Returns the value of a key, unless it has expired.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, now_ms: i64) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.lock().get(key, now_ms).cloned()
    }

    /// Returns the values of the keys that have one which has not expired.
    pub(crate) fn get_all<'k>(&self, keys: impl IntoIterator<Item = &'k K>, now_ms: i64) -> HashMap<K, V>
    where
        K: Clone + 'k,
    {
        let mut entries = self.lock();
        let found = keys.into_iter().filter_map(|key| Some((key.clone(), entries.get(key, now_ms)?.clone())));
        found.collect()
    }

    /// Returns the value of a key even if it has expired: for use when a new one cannot be fetched.
    pub(crate) fn get_stale<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.lock().by_key.get(key).map(|entry| entry.value.clone())
    }

    /// Returns all values that have not expired, in no particular order.
    pub(crate) fn values(&self, now_ms: i64) -> Vec<V> {
        let entries = self.lock();
        entries.by_key.values().filter(|entry| entry.is_fresh(now_ms)).map(|entry| entry.value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of an entry without the bytes that it refers to.
    const ENTRY: usize = size_of::<&str>() + size_of::<Entry<usize>>();

    /// Each value refers to as many bytes as it says.
    fn cache(ttl_ms: i64, max_bytes: usize) -> Cache<&'static str, usize> {
        Cache::new(ttl_ms, max_bytes, |_, bytes| *bytes)
    }

    fn sorted(cache: &Cache<&'static str, usize>, now_ms: i64) -> Vec<usize> {
        let mut values = cache.values(now_ms);
        values.sort_unstable();
        values
    }

    #[test]
    fn entry_expires_at_its_age_limit() {
        let cache = cache(1_000, usize::MAX);
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
    fn entry_from_before_a_step_of_the_clock_expires() {
        let cache = cache(1_000, usize::MAX);
        cache.insert("a", 1, 600_000);
        assert_eq!(cache.get("a", 599_990), Some(1), "a caller may have read the clock before");
        assert_eq!(cache.get("a", 300_000), None);
    }

    #[test]
    fn entry_without_age_limit_never_expires() {
        let cache = cache(NO_TTL, usize::MAX);
        cache.insert("a", 1, 0);
        assert_eq!(cache.get("a", i64::MAX), Some(1));
    }

    #[test]
    fn full_cache_stores_no_entry_before_another_expires() {
        let cache = cache(100, 2 * ENTRY + 100);
        cache.insert("a", 50, 0);
        cache.insert("b", 50, 60);
        cache.insert("c", 1, 61);
        assert_eq!(sorted(&cache, 61), [50, 50]);
        cache.insert("b", 51, 62);
        assert_eq!(sorted(&cache, 62), [50, 50], "a larger value does not fit");
        cache.insert("b", 40, 63);
        assert_eq!(sorted(&cache, 63), [40, 50], "a key that exists needs no room");
        cache.insert("c", 30, 100);
        assert_eq!(sorted(&cache, 100), [30, 40], "a has expired");
        cache.insert("d", usize::MAX / 2, 1_000);
        assert_eq!(sorted(&cache, 1_000), [0; 0], "it never fits");
        cache.insert("e", 100, 1_000);
        assert_eq!(sorted(&cache, 1_000), [100], "expired entries use no room");
    }

    #[test]
    fn batch_is_stored_and_removes_only_what_it_must() {
        let cache = cache(NO_TTL, 4 * ENTRY + 100);
        cache.insert_all([("a", 25), ("b", 25), ("c", 25), ("d", 25)], 0);
        cache.insert_all([("a", 25), ("b", 20)], 1);
        assert_eq!(sorted(&cache, 1), [20, 25, 25, 25], "keys that exist need no room");
        cache.insert_all([], 1);
        assert_eq!(cache.values(1).len(), 4);
        cache.insert_all([("a", 25), ("e", 60)], 2);
        assert_eq!(sorted(&cache, 2), [20, 25, 60], "two of the others do not fit");
        cache.insert_all([("e", 1_000), ("f", 1_000)], 3);
        assert_eq!(sorted(&cache, 3), [1_000, 1_000], "a run needs all of its batch");
        cache.retain(|key, _| *key == "f");
        cache.insert_all([("g", 5)], 4);
        assert_eq!(sorted(&cache, 4), [5]);
        cache.remove("g");
        cache.remove("h");
        cache.insert("i", 3 * ENTRY, 5);
        assert_eq!(sorted(&cache, 5), [3 * ENTRY], "a removed entry needs no room");
    }

    #[test]
    fn batch_removes_the_entries_used_least_recently() {
        let cache = cache(NO_TTL, 4 * ENTRY + 100);
        for (key, bytes) in [("a", 21), ("b", 22), ("c", 23), ("d", 24)] {
            cache.insert(key, bytes, 0);
        }
        assert_eq!(cache.get("a", 0), Some(21));
        assert_eq!(cache.get_all(&["c", "x"], 0), [("c", 23)].into());
        cache.insert_all([("e", 20)], 0);
        assert_eq!(sorted(&cache, 0), [20, 21, 23, 24], "b was used before all others");
        cache.insert_all([("f", 20), ("a", 21)], 0);
        assert_eq!(sorted(&cache, 0), [20, 20, 21, 23], "then d");
    }
}
