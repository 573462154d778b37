//! Limits of the lookups that clients cause. Clients choose which tasks they name, and the ECS quota of the account is shared
//! with deployments: a lookup that exceeds a limit is not made, and the push goes on without identity.

use std::sync::Arc;

use crate::aws::rate_limiter::RateLimiter;
use crate::model::cache::Cache;

/// ECS calls for all clients of an environment: half of the calls that the environment allows itself.
const CALLS_PER_SECOND: u32 = 5;
const CALL_BURST: u32 = 25;

/// Lookups for one client. A gateway that sends for several tasks gets them within minutes, and each is cached for an hour. With
/// the ten environments that the template reserves, one client causes at most half of the 20 calls per second of the ECS quota.
const LOOKUPS_PER_SECOND: u32 = 1;
const LOOKUP_BURST: u32 = 20;

/// Lifetime of the count of a client. Its bucket is full again after 20 s without a lookup.
const SENDER_TTL_MS: i64 = 600_000;

/// Memory for the counts: some ten thousand clients. If there are more, new ones share the limit of the environment.
const MAX_BYTES: usize = 2 << 20;

/// Token buckets of an environment and of its clients.
#[derive(Debug)]
pub(super) struct LookupLimits {
    environment: RateLimiter,
    senders: Cache<Arc<str>, Arc<RateLimiter>>,
}

impl Default for LookupLimits {
    fn default() -> Self {
        let weigh = |sender: &Arc<str>, _: &Arc<RateLimiter>| sender.len() + size_of::<RateLimiter>();
        Self {
            environment: RateLimiter::new(CALLS_PER_SECOND, CALL_BURST),
            senders: Cache::new(SENDER_TTL_MS, MAX_BYTES, weigh),
        }
    }
}

impl LookupLimits {
    /// Returns whether `sender` may cause a lookup with this number of calls now, without waiting.
    pub(super) fn allow(&self, sender: &str, calls: usize, now_ms: i64) -> bool {
        let limit = self.senders.get(sender, now_ms).unwrap_or_else(|| {
            let limit = Arc::new(RateLimiter::new(LOOKUPS_PER_SECOND, LOOKUP_BURST));
            self.senders.insert(sender.into(), Arc::clone(&limit), now_ms);
            limit
        });
        // A lookup in more clusters than the burst is made when the bucket is full.
        let calls = u32::try_from(calls).unwrap_or(u32::MAX).min(CALL_BURST);
        let is_allowed = limit.try_acquire(1, now_ms);
        let is_available = is_allowed && self.environment.try_acquire(calls, now_ms);
        if is_allowed && !is_available {
            limit.release(1, now_ms);
        }
        is_available
    }

    /// Does not count the last lookup of a client, because ECS confirmed the task: many tasks can share the address of a NAT gateway.
    pub(super) fn confirm(&self, sender: &str, now_ms: i64) {
        if let Some(limit) = self.senders.get(sender, now_ms) {
            limit.release(1, now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_use_the_lookups_of_another() {
        let limits = LookupLimits::default();
        let allowed = |sender: &str, now_ms| (0..100).filter(|_| limits.allow(sender, 1, now_ms)).count();
        assert_eq!(allowed("a", 1_000_000), 20);
        assert_eq!(allowed("b", 1_000_000), 5, "the rest of the environment");
        assert_eq!(allowed("a", 1_002_000), 2);
        assert_eq!(allowed("c", 1_002_000), 8);
        assert_eq!(allowed("a", 1_100_000), 20);
    }

    #[test]
    fn confirmed_tasks_do_not_count() {
        let limits = LookupLimits::default();
        for second in 0..100 {
            let now_ms = 1_000_000 + second * 1_000;
            for _ in 0..5 {
                assert!(limits.allow("nat", 1, now_ms), "second {second}");
                limits.confirm("nat", now_ms);
            }
        }
    }

    #[test]
    fn calls_of_all_clients_are_limited() {
        let limits = LookupLimits::default();
        let allowed = |calls, now_ms| (0..1_000).filter(|n| limits.allow(&n.to_string(), calls, now_ms)).count();
        assert_eq!(allowed(1, 1_000_000), 25);
        assert_eq!(allowed(3, 1_001_000), 1);
        assert_eq!(allowed(1_000, 1_010_000), 1, "the largest lookup needs a full bucket");
    }
}
