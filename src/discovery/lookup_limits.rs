//! Limits of the lookups that clients cause. Clients choose which tasks they name, and the ECS quota of the account is shared
//! with deployments: a lookup that exceeds a limit is not made, and telemetry is processed without identity.

use std::sync::Arc;
use std::time::Duration;

use crate::aws::rate_limiter::RateLimiter;
use crate::deadline::Deadline;
use crate::model::cache::Cache;

/// ECS calls for all clients of an environment. The quota of the account is 20 calls per second with a burst of 100 (Amazon ECS
/// Developer Guide, "Request throttling for the Amazon ECS API"), of which a scheduled run takes up to ten: the ten environments that
/// the template reserves take the other ten. A new environment that receives the pushes of a fleet takes some seconds for its first
/// ten calls.
const CALLS_PER_SECOND: u32 = 1;
const CALL_BURST: u32 = 10;

/// Lookups for one client that ECS does not confirm: a fifth of the calls of the environment, so that clients that name unknown tasks leave
/// calls to others.
const LOOKUPS_PER_MINUTE: u32 = 12;
const LOOKUP_BURST: u32 = 5;

/// Time for which the lookups of an environment may wait, in milliseconds: a quarter of the time, and ten seconds at once. An
/// environment that waits handles no other request.
const WAIT_MS_PER_SECOND: u32 = 250;
const WAIT_MS_BURST: u32 = 10_000;

/// Lifetime of the count of a client. Its bucket is full again after 25 s without a lookup.
const SENDER_TTL_MS: i64 = 600_000;

/// Memory for the counts: some ten thousand clients. If there are more, new ones share the limit of the environment.
const MAX_BYTES: usize = 2 << 20;

/// The client that causes a lookup.
#[derive(Clone, Copy, Debug)]
pub struct LookupClient<'a> {
    /// Signer or address.
    pub sender: &'a str,
    /// How long a lookup may wait for the limit of the environment.
    pub max_wait: Duration,
}

/// Token buckets of an environment and of its clients.
#[derive(Debug)]
pub(super) struct LookupLimits {
    environment: RateLimiter,
    /// Milliseconds for which lookups may wait.
    waits: RateLimiter,
    senders: Cache<Arc<str>, Arc<RateLimiter>>,
}

impl Default for LookupLimits {
    fn default() -> Self {
        let weigh = |sender: &Arc<str>, _: &Arc<RateLimiter>| sender.len() + size_of::<RateLimiter>();
        Self {
            environment: RateLimiter::new(CALLS_PER_SECOND, CALL_BURST),
            waits: RateLimiter::new(WAIT_MS_PER_SECOND, WAIT_MS_BURST),
            senders: Cache::new(SENDER_TTL_MS, MAX_BYTES, weigh),
        }
    }
}

impl LookupLimits {
    /// Returns whether the client may cause a lookup with this number of calls, after a wait if necessary.
    pub(super) async fn acquire(&self, client: LookupClient<'_>, calls: usize, deadline: &Deadline) -> bool {
        let now_ms = deadline.now_ms();
        let limit = self.senders.get(client.sender, now_ms).unwrap_or_else(|| {
            let limit = Arc::new(RateLimiter::per_minute(LOOKUPS_PER_MINUTE, LOOKUP_BURST));
            self.senders.insert(client.sender.into(), Arc::clone(&limit), now_ms);
            limit
        });
        if !limit.try_acquire(1, now_ms) {
            return false;
        }
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let max_wait = client.max_wait.min(Duration::from_millis(self.waits.available(now_ms).into()));
        let is_available = self.environment.acquire_within(calls, max_wait, deadline).await;
        if is_available {
            let waited_ms = deadline.now_ms().saturating_sub(now_ms);
            self.waits.charge(u32::try_from(waited_ms).unwrap_or_default(), now_ms);
        } else {
            limit.release(1, now_ms);
        }
        is_available
    }

    /// Counts a call in addition to those of a lookup. Lookups wait for it later.
    pub(super) fn charge_call(&self, now_ms: i64) {
        self.environment.charge(1, now_ms);
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

    /// Limits, and the time of an invocation that never ends.
    struct Limited {
        limits: LookupLimits,
        deadline: Deadline,
    }

    impl Limited {
        fn new() -> Self {
            Self { limits: LookupLimits::default(), deadline: Deadline::after(Duration::from_secs(900)) }
        }

        async fn acquire(&self, sender: &str, calls: usize, max_wait: Duration) -> bool {
            self.limits.acquire(LookupClient { sender, max_wait }, calls, &self.deadline).await
        }

        /// Returns how many of 100 lookups are allowed now.
        async fn allowed(&self, sender: &str) -> usize {
            let mut allowed = 0;
            for _ in 0..100 {
                allowed += usize::from(self.acquire(sender, 1, Duration::ZERO).await);
            }
            allowed
        }
    }

    async fn advance(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_cannot_use_the_lookups_of_another() {
        let limited = Limited::new();
        assert_eq!(limited.allowed("a").await, 5);
        assert_eq!(limited.allowed("b").await, 5, "the rest of the environment");
        advance(5).await;
        assert_eq!(limited.allowed("a").await, 1);
        assert_eq!(limited.allowed("c").await, 4);
        advance(100).await;
        assert_eq!(limited.allowed("a").await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn confirmed_tasks_do_not_count() {
        let limited = Limited::new();
        for second in 0..100 {
            assert!(limited.acquire("nat", 1, Duration::ZERO).await, "second {second}");
            limited.limits.confirm("nat", limited.deadline.now_ms());
            advance(1).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_all_clients_are_limited() {
        let limited = Limited::new();
        let mut calls = 0;
        for second in 0..100 {
            for client in 0..20 {
                let is_allowed = limited.acquire(&format!("{second} {client}"), 3, Duration::ZERO).await;
                calls += if is_allowed { 3 } else { 0 };
            }
            advance(1).await;
        }
        assert!((100..=10 + 100).contains(&calls), "{calls}");
    }

    #[tokio::test(start_paused = true)]
    async fn environment_waits_for_lookups_a_part_of_the_time() {
        let limited = Limited::new();
        let (mut waited, mut refused) = (Duration::ZERO, 0);
        while limited.deadline.elapsed() < Duration::from_secs(300) {
            let before = limited.deadline.elapsed();
            let sender = format!("{before:?}");
            if limited.acquire(&sender, 1, Duration::from_secs(1)).await {
                waited += limited.deadline.elapsed() - before;
            } else {
                refused += 1;
            }
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        assert!(refused > 1_000 && (80..=90).contains(&waited.as_secs()), "{waited:?}, {refused} refused");
    }

    #[tokio::test(start_paused = true)]
    async fn lookup_with_more_calls_than_the_burst_delays_the_next() {
        let limited = Limited::new();
        assert!(limited.acquire("a", 30, Duration::ZERO).await);
        advance(20).await;
        assert!(!limited.acquire("b", 1, Duration::from_millis(900)).await);
        assert!(limited.acquire("b", 1, Duration::from_secs(1)).await);
    }
}
