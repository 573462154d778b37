//! State of one run: the series and counts it has accumulated, and the time limits of its steps.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::series_writer::{DeliveredPart, RunPart, SeriesWriter};
use super::stats::RunStats;
use crate::deadline::Deadline;
use crate::handlers::delivery::{DeliverySummary, SettledDelivery};
use crate::model::rejection::Rejections;
use crate::model::series::SeriesBatch;
use crate::translate::self_metrics::TargetCounts;

/// Step of a scheduled run that has a separate time limit.
///
/// The limit is a share of the time that remains when the step starts. A peer that hangs then leaves time for the steps after
/// it, and for delivering the series of the steps before it.
#[derive(Clone, Copy, Debug)]
pub(in crate::handlers) enum Step {
    /// A few ECS calls per cluster. Series that end late do less harm than scrapes that are skipped.
    StoppedTasks,
    /// Calls for services and container instances, which are made during the scrapes.
    State,
    /// Most of the work of a run, so it gets most of the time.
    Scrapes,
    /// Container Insights events come after the scrapes. The other half is for the delivery.
    Insights,
    /// One or a few calls, for series that come minutes late in any case.
    CloudWatch,
}

/// Series that are delivered together. A request to AMP has some thousand; a few requests at once make use of the connections.
const PART_SERIES: usize = 20_000;

/// Bytes of labels after which series are delivered. At 128 MB of memory, it is a small part.
const PART_LABEL_BYTES: usize = 4 << 20;

/// Share of the remaining time for sending one part while the run goes on, if AMP does not respond, and for spooling it.
const PART_TIME_SHARE: u32 = 4;

/// State of one run. Its series are delivered in parts while it goes on, so that its memory does not grow with their number.
pub(in crate::handlers) struct RunContext<'a> {
    pub(in crate::handlers) deadline: &'a Deadline,
    pub(in crate::handlers) batch: SeriesBatch,
    pub(in crate::handlers) stats: RunStats,
    /// Whether the caller retries a run whose series are not delivered.
    is_retried: bool,
    /// Whether the number of targets is known, even if there are none.
    counts_targets: bool,
    writer: &'a SeriesWriter,
    /// Part that is being delivered. Its time is running, so whatever the run waits for has to let it make progress.
    delivery: Option<BoxFuture<'a, DeliveredPart>>,
    /// Sum of the delivered parts.
    delivered: Option<SettledDelivery>,
    /// Series of the parts that were started, before the rules.
    series_started: usize,
    /// Series of the delivered parts, after the rules.
    series_delivered: usize,
}

fn merge(parts: Option<SettledDelivery>, part: SettledDelivery) -> SettledDelivery {
    match parts {
        Some(parts) => parts.merge(part),
        None => part,
    }
}

impl Step {
    fn limit(self, remaining: Duration) -> Duration {
        match self {
            Self::StoppedTasks | Self::CloudWatch => remaining / 4,
            Self::State => remaining / 2,
            Self::Scrapes => remaining * 3 / 4,
            Self::Insights => remaining / 2,
        }
    }
}

impl<'a> RunContext<'a> {
    /// Returns the context of a scheduled run, which no caller retries.
    pub(in crate::handlers) fn scheduled(deadline: &'a Deadline, writer: &'a SeriesWriter) -> Self {
        Self { counts_targets: true, ..Self::without_scrapes(deadline, writer) }
    }

    /// Returns the context of a scheduled run that scrapes nothing.
    pub(in crate::handlers) fn without_scrapes(deadline: &'a Deadline, writer: &'a SeriesWriter) -> Self {
        Self { is_retried: false, ..Self::for_event(deadline, writer) }
    }

    /// Returns the context of a run for an event or message. The caller retries it if its series are not delivered.
    pub(in crate::handlers) fn for_event(deadline: &'a Deadline, writer: &'a SeriesWriter) -> Self {
        Self {
            deadline,
            batch: SeriesBatch::default(),
            stats: RunStats::default(),
            is_retried: true,
            counts_targets: false,
            writer,
            delivery: None,
            delivered: None,
            series_started: 0,
            series_delivered: 0,
        }
    }

    /// Returns the number of series that the run wrote so far.
    pub(in crate::handlers) fn series_count(&self) -> usize {
        self.series_started + self.batch.len()
    }

    /// Starts the delivery of the series if there are enough for a part. Waits for the part before it.
    pub(in crate::handlers) async fn deliver_if_full(&mut self) {
        if self.batch.len() >= PART_SERIES || self.batch.label_bytes() >= PART_LABEL_BYTES {
            self.start_part().await;
        }
    }

    /// Delivers all series, to free their memory.
    pub(in crate::handlers) async fn deliver_now(&mut self) {
        if !self.batch.is_empty() {
            self.start_part().await;
        }
        self.finish_part().await;
    }

    /// Waits for other work of the run. The part that is being delivered makes progress meanwhile.
    pub(in crate::handlers) async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let Some(delivery) = &mut self.delivery else { return work.await };
            tokio::select! {
                result = &mut work => return result,
                delivered = delivery => self.record(delivered),
            }
        }
    }

    async fn start_part(&mut self) {
        self.finish_part().await;
        let (writer, part) = (self.writer, self.take_part(Rejections::default(), PART_TIME_SHARE));
        self.delivery = Some(Box::pin(writer.deliver_part(part, self.deadline)));
    }

    fn take_part(&mut self, skipped: Rejections, time_share: u32) -> RunPart {
        let batch = std::mem::take(&mut self.batch);
        self.series_started += batch.len();
        RunPart { series_before: self.series_delivered, batch, skipped, time_share, is_retried: self.is_retried }
    }

    /// Waits until the part that is being delivered is complete.
    pub(in crate::handlers) async fn finish_part(&mut self) {
        if let Some(delivery) = &mut self.delivery {
            let delivered = delivery.await;
            self.record(delivered);
        }
    }

    fn record(&mut self, delivered: DeliveredPart) {
        self.delivery = None;
        self.series_delivered += delivered.series;
        self.delivered = Some(merge(self.delivered.take(), delivered.settled));
    }

    /// Delivers the rest of the series, and counts and logs all of them and the inputs that the run rejected.
    pub(in crate::handlers) async fn deliver(&mut self) -> DeliverySummary {
        let skipped = self.stats.take_rejected();
        self.writer.count_inputs(&skipped, self.target_counts());
        self.finish_part().await;
        let last = self.take_part(skipped, 1);
        let last = self.writer.deliver_part(last, self.deadline).await;
        self.writer.report(merge(self.delivered.take(), last.settled), self.deadline)
    }

    /// Returns the counts of targets; `None` if the run does not scrape targets.
    pub(in crate::handlers) fn target_counts(&self) -> Option<TargetCounts> {
        let targets = self.stats.targets;
        (self.counts_targets || targets != TargetCounts::default()).then_some(targets)
    }

    /// Returns the deadline of a step that starts now. The steps share the time of the run with the delivery.
    pub(in crate::handlers) fn step_deadline(&self, step: Step) -> Deadline {
        self.deadline.capped(step.limit(self.deadline.remaining()))
    }
}
