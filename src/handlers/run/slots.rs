//! Slots for targets that are scraped at the same time.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::deadline::Deadline;

/// Time after which a target counts as slow. Most targets respond within tens of milliseconds.
const SLOW_AFTER: Duration = Duration::from_millis(500);

/// Slots for targets that are scraped at the same time. A slow target moves to another slot, so that other targets do not wait for
/// it.
#[derive(Debug)]
pub(super) struct Slots {
    prompt: Semaphore,
    slow: Semaphore,
}

impl Slots {
    pub(super) fn new(prompt: usize, slow: usize) -> Self {
        Self { prompt: Semaphore::new(prompt), slow: Semaphore::new(slow) }
    }

    /// Scrapes a target in a slot.
    pub(super) async fn scrape<F: Future>(&self, deadline: &Deadline, scrape: impl FnOnce() -> F) -> F::Output {
        let slot = self.prompt.acquire().await.ok();
        let mut scrape = pin!(scrape());
        if let Some(output) = deadline.timeout(SLOW_AFTER, &mut scrape).await {
            return output;
        }
        let slow_slot = self.slow.try_acquire().ok();
        let _prompt_slot = slot.filter(|_| slow_slot.is_none());
        scrape.await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stuck_targets_do_not_delay_others_for_their_timeout() {
        let (slots, deadline) = (Slots::new(4, 20), Deadline::after(Duration::from_secs(100)));
        let (slots, deadline) = (&slots, &deadline);
        let results = stream::iter(0..40)
            .map(|number| async move {
                let seconds = if number < 20 { 5 } else { 0 };
                slots.scrape(deadline, || tokio::time::sleep(Duration::from_secs(seconds))).await;
                (number, deadline.elapsed())
            })
            .buffer_unordered(40);
        let results: Vec<(u64, Duration)> = results.collect().await;
        let slowest = results.iter().filter(|(number, _)| *number >= 20).map(|(_, elapsed)| *elapsed).max();
        assert!(slowest < Some(Duration::from_millis(2_600)), "{slowest:?}: five rounds of four stuck targets");
    }

    #[tokio::test(start_paused = true)]
    async fn number_of_open_targets_is_limited() {
        let (slots, deadline) = (Slots::new(2, 3), Deadline::after(Duration::from_secs(100)));
        let (slots, deadline) = (&slots, &deadline);
        let open = std::cell::Cell::new(0);
        let (open, most) = (&open, &std::cell::Cell::new(0));
        stream::iter(0..20)
            .map(|_| {
                slots.scrape(deadline, move || async move {
                    open.set(open.get() + 1);
                    most.set(most.get().max(open.get()));
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    open.set(open.get() - 1);
                })
            })
            .buffer_unordered(20)
            .collect::<Vec<_>>()
            .await;
        assert_eq!(most.get(), 5);
    }
}
