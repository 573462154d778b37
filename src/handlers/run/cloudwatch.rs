//! CloudWatch metrics of ECS: CPU and memory of services whose tasks have no stats source, and the traffic of Service Connect.
//!
//! Whether a run reads them depends only on its scheduled minute, and which minutes it reads on the points that this execution
//! environment has written. A new environment reads only the last interval. Points that were not delivered are read again.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;

use super::context::{RunContext, Step};
use super::metric_scopes::{ReadScope, discovery_scopes, ran_services, without_source};
use super::task_series::TaskSeries;
use crate::aws::error::{AwsError, AwsErrorKind};
use crate::deadline::Deadline;
use crate::discovery::{Discovery, DiscoveryResult};
use crate::model::arn::cluster_name;
use crate::model::cache::Cache;
use crate::model::cloudwatch::{MetricQuery, Minutes, PERIOD_MS, Statistic};
use crate::model::task::Task;
use crate::scrape::cloudwatch::{CloudWatchClient, MetricData};
use crate::settings::CloudWatchSettings;
use crate::translate::cloudwatch::{EcsMetric, MetricGroup, MetricScope, sample_ms};
use crate::work_budget::MemoryLimit;

/// Time from the end of a minute until its points are read: ECS sends a value for each task, and the statistics of a minute change
/// until all of them have arrived. Amazon ECS Developer Guide, "Amazon ECS CloudWatch metrics": sent in 1-minute periods.
/// Measured for Container Insights, which ECS sends in the same way: 80 s in the median, at most 140 s. Runs have whole minutes.
const LAG_MS: i64 = 180_000;

/// Oldest minute that is read. It bounds the points of one call, and AMP accepts samples that are this old in any order.
const MAX_LOOKBACK_MS: i64 = 600_000;

/// Age of what is remembered about a statistic. It only matters within [`MAX_LOOKBACK_MS`]; services that are gone expire.
const MEMORY_TTL_MS: i64 = MAX_LOOKBACK_MS + 300_000;

/// Memory for about ten thousand services or three thousand discovery names. The points of others are read for the last interval
/// only.
const MEMORY_BYTES: usize = 8 << 20;

/// IAM action that the calls need.
pub(in crate::handlers) const ACTION: &str = "cloudwatch:GetMetricData";

/// Reads and writes the metrics.
#[derive(Debug)]
pub(in crate::handlers) struct CloudWatchPoller {
    client: CloudWatchClient,
    discovery: Arc<Discovery>,
    series: Arc<TaskSeries>,
    settings: CloudWatchSettings,
    /// End of the last written minute of each statistic.
    written: Cache<StatisticKey, i64>,
    /// Whether a missing permission has been logged. It needs a person, and the calls go on meanwhile.
    is_denial_logged: AtomicBool,
}

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct StatisticKey {
    scope: Arc<MetricScope>,
    /// Name in CloudWatch.
    metric: &'static str,
    statistic: Statistic,
}

/// A metric to read.
#[derive(Debug)]
struct Request<'a> {
    read: &'a ReadScope,
    metric: &'static EcsMetric,
    query: MetricQuery,
}

/// Numbers of what is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::handlers) struct ReadCounts {
    pub(in crate::handlers) services: u32,
    pub(in crate::handlers) discovery_names: u32,
}

/// What a run reads.
#[derive(Debug)]
struct Scopes {
    scopes: Vec<ReadScope>,
    counts: ReadCounts,
    /// Number of discovery names that are not read, because there are too many.
    skipped: usize,
}

/// What a run has read, to be remembered once it is delivered.
#[must_use]
#[derive(Debug, Default)]
pub(in crate::handlers) struct ReadMinutes(HashMap<StatisticKey, Minutes>);

impl CloudWatchPoller {
    pub(in crate::handlers) fn new(
        client: CloudWatchClient,
        discovery: &Arc<Discovery>,
        series: &Arc<TaskSeries>,
        settings: CloudWatchSettings,
        memory: MemoryLimit,
    ) -> Self {
        let (discovery, series) = (Arc::clone(discovery), Arc::clone(series));
        let weigh = |key: &StatisticKey, _: &i64| key.scope.size();
        let written = Cache::new(MEMORY_TTL_MS, memory.cache_bytes(MEMORY_BYTES), weigh);
        Self { client, discovery, series, settings, written, is_denial_logged: AtomicBool::new(false) }
    }

    pub(in crate::handlers) fn interval_min(&self) -> Option<u8> {
        self.settings.interval_min
    }

    /// Returns whether the services have to be described: only their descriptions contain the discovery names.
    pub(in crate::handlers) fn needs_services(&self) -> bool {
        self.interval_min().is_some() && self.settings.metrics.contains(MetricGroup::ServiceConnect)
    }

    /// Returns the numbers of services without a stats source and of discovery names that are read. 0 if nothing is read.
    pub(in crate::handlers) fn counts(&self, discovered: &DiscoveryResult, deadline: &Deadline) -> ReadCounts {
        let unknown = discovered.without_definition.iter();
        let read = self.scopes(discovered.tasks.iter(), unknown, deadline);
        self.interval_min().map(|_| read.counts).unwrap_or_default()
    }

    fn scopes<'t>(
        &self,
        tasks: impl Iterator<Item = &'t Arc<Task>>,
        unknown: impl Iterator<Item = &'t Arc<Task>>,
        deadline: &Deadline,
    ) -> Scopes {
        let unknown = unknown.map(|task| (&**task, true));
        let ran = ran_services(tasks.map(|task| (&**task, self.series.source(task).is_some())).chain(unknown));
        let mut scopes: Vec<ReadScope> = without_source(&ran).collect();
        let mut counts = ReadCounts { services: count(scopes.len()), discovery_names: 0 };
        let mut skipped = 0;
        if self.needs_services() {
            let connect = discovery_scopes(&ran, &self.discovery.cached_services(deadline));
            (counts.discovery_names, skipped) = (count(connect.discovery_names), connect.skipped);
            scopes.extend(connect.scopes);
        }
        Scopes { scopes, counts, skipped }
    }

    /// Tests the permission with one metric of a cluster. `None` if the settings disable the reads.
    pub(in crate::handlers) async fn check_access(
        &self,
        cluster: &str,
        deadline: &Deadline,
    ) -> Option<Result<(), AwsError>> {
        let metric = self.interval_min().and_then(|_| self.settings.metrics.metrics().next())?;
        let dimensions = vec![("ClusterName", cluster_name(cluster).into())];
        let query = MetricQuery { dimensions, ..MetricScope::default().query(metric) };
        let end_ms = deadline.started_ms().div_euclid(PERIOD_MS) * PERIOD_MS;
        let (queries, minute) = ([query], Minutes { start_ms: end_ms - PERIOD_MS, end_ms });
        let mut calls = pin!(self.client.metric_data(&queries, minute, deadline));
        Some(match calls.next().await? {
            Ok(data) if data.is_forbidden => Err(forbidden()),
            result => result.map(drop),
        })
    }

    /// Writes the points of services none of whose tasks has a stats source, and of discovery names, if the scheduled minute of a
    /// run is one in which they are read. If shards scrape the tasks, `discovered` has no tasks, and the services are those of tasks that this environment
    /// has described in the last minutes.
    pub(in crate::handlers) async fn poll(
        &self,
        scheduled_ms: i64,
        discovered: &DiscoveryResult,
        run: &mut RunContext<'_>,
    ) -> ReadMinutes {
        let due = self.interval_min().and_then(|minutes| last_interval(scheduled_ms, i64::from(minutes)));
        let Some(interval) = due else { return ReadMinutes::default() };
        let cached = self.discovery.cached_tasks(run.deadline);
        let tasks = cached.iter().chain(&discovered.tasks).chain(&discovered.filtered);
        let included = tasks.filter(|task| self.discovery.matching_rule(task).is_ok());
        let read = self.scopes(included, discovered.without_definition.iter(), run.deadline);
        if read.skipped > 0 {
            let (discovery_names, skipped) = (read.counts.discovery_names, read.skipped);
            tracing::warn!(
                discovery_names,
                skipped,
                "too many discovery names: CloudWatch metrics of some are not read"
            );
        }
        self.read(&read.scopes, interval, run).await
    }

    async fn read(&self, scopes: &[ReadScope], interval: Minutes, run: &mut RunContext<'_>) -> ReadMinutes {
        let requests = self.requests(scopes, interval, run.deadline.now_ms());
        let mut read = ReadMinutes(self.unwritten(&requests, interval, run.deadline.now_ms()));
        let Some(start_ms) = read.0.values().map(|minutes| minutes.start_ms).min() else { return read };
        let minutes = Minutes { start_ms, ..interval };
        let queries: Vec<MetricQuery> = requests.iter().map(|request| request.query.clone()).collect();
        run.stats.cloudwatch_metrics += queries.len() as u64;
        let deadline = run.step_deadline(Step::CloudWatch);
        let mut failed = 0;
        let mut calls = pin!(self.client.metric_data(&queries, minutes, &deadline));
        while let Some(result) = run.wait_for(calls.next()).await {
            match result {
                Ok(data) => {
                    failed += data.failed;
                    self.log_forbidden(&data);
                    self.append(data, &requests, &mut read, run);
                    run.deliver_if_full().await;
                }
                Err(error) => self.log_error(&error),
            }
        }
        if failed > 0 {
            tracing::warn!(statistics = failed, "CloudWatch could not read all metrics of services");
        }
        read
    }

    /// Remembers what was written. If it was not delivered, later runs read the same minutes.
    pub(in crate::handlers) fn remember(&self, read: ReadMinutes, is_delivered: bool, now_ms: i64) {
        let written_ms = |minutes: Minutes| if is_delivered { minutes.end_ms } else { minutes.start_ms };
        self.written.remove_expired(now_ms);
        self.written.insert_all(read.0.into_iter().map(|(key, minutes)| (key, written_ms(minutes))), now_ms);
    }

    /// Returns the metrics that have minutes to read.
    fn requests<'a>(&self, scopes: &'a [ReadScope], interval: Minutes, now_ms: i64) -> Vec<Request<'a>> {
        let all = scopes.iter().flat_map(|read| {
            let metrics = read.scope.metrics(self.settings.metrics, read.has_tls);
            metrics.map(move |metric| Request { read, metric, query: read.scope.query(metric) })
        });
        let is_complete = |key: &StatisticKey| self.first_unwritten_ms(key, interval, now_ms) >= interval.end_ms;
        all.filter(|request| !request.keys().all(|key| is_complete(&key))).collect()
    }

    /// Returns the first unwritten minute of each statistic, as the start and end of the minutes written.
    fn unwritten(&self, requests: &[Request<'_>], interval: Minutes, now_ms: i64) -> HashMap<StatisticKey, Minutes> {
        let none_from = |start_ms| Minutes { start_ms, end_ms: start_ms };
        let keys = requests.iter().flat_map(Request::keys);
        keys.map(|key| (key.clone(), none_from(self.first_unwritten_ms(&key, interval, now_ms)))).collect()
    }

    fn first_unwritten_ms(&self, key: &StatisticKey, interval: Minutes, now_ms: i64) -> i64 {
        let oldest_ms = self.series.max_age_ms.map_or(i64::MIN, |max_age_ms| oldest_minute_ms(now_ms, max_age_ms));
        first_unwritten_ms(self.written.get(key, now_ms), interval).max(oldest_ms)
    }

    /// Writes the points that have not been written.
    fn append(&self, data: MetricData, requests: &[Request<'_>], read: &mut ReadMinutes, run: &mut RunContext<'_>) {
        for statistic in data.points {
            let Some(request) = requests.get(statistic.query) else { continue };
            let Some(minutes) = read.0.get_mut(&request.key(statistic.statistic)) else { continue };
            let unwritten = statistic.points.iter().position(|point| point.start_ms >= minutes.start_ms);
            let points = unwritten.and_then(|first| statistic.points.get(first..)).unwrap_or_default();
            let ReadScope { scope, cluster_tags, .. } = request.read;
            let extra = self.series.cluster_labels(cluster_tags);
            scope.write(request.metric, statistic.statistic, points, &extra, &mut run.batch);
            // Without a point, later runs read the same minutes again, because the points may only be late.
            minutes.end_ms = points.last().map_or(minutes.start_ms, sample_ms);
        }
    }

    fn log_error(&self, error: &AwsError) {
        if !error.kind.is_access_denied() {
            tracing::warn!(error = error.to_string(), "CloudWatch metrics of services could not be read");
        } else if !self.is_denial_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                action = ACTION,
                error = error.to_string(),
                "CloudWatch metrics of services are not read, because an IAM permission is missing"
            );
        }
    }

    fn log_forbidden(&self, data: &MetricData) {
        if data.is_forbidden {
            self.log_error(&forbidden());
        }
    }
}

fn forbidden() -> AwsError {
    AwsError::new(AwsErrorKind::AccessDenied, "a result has the status Forbidden")
}

impl Request<'_> {
    fn keys(&self) -> impl Iterator<Item = StatisticKey> {
        self.query.statistics.iter().map(|statistic| self.key(*statistic))
    }

    fn key(&self, statistic: Statistic) -> StatisticKey {
        StatisticKey { scope: Arc::clone(&self.read.scope), metric: self.metric.cloudwatch_name, statistic }
    }
}

/// Returns the minutes that a run reads if nothing has been written: as many as the interval has, the last of which ended
/// [`LAG_MS`] before the scheduled minute. `None` if runs of this minute do not read.
fn last_interval(scheduled_ms: i64, interval_min: i64) -> Option<Minutes> {
    let minute = scheduled_ms.div_euclid(PERIOD_MS);
    let end_ms = minute * PERIOD_MS - LAG_MS;
    let is_due = minute.rem_euclid(interval_min.max(1)) == 0;
    is_due.then_some(Minutes { start_ms: end_ms - interval_min * PERIOD_MS, end_ms })
}

/// Returns the start of the first minute whose sample is not too old.
fn oldest_minute_ms(now_ms: i64, max_age_ms: i64) -> i64 {
    let oldest_end_ms =
        now_ms.saturating_sub(max_age_ms).saturating_add(PERIOD_MS - 1).div_euclid(PERIOD_MS) * PERIOD_MS;
    oldest_end_ms - PERIOD_MS
}

/// Returns the start of the first minute that has not been written.
fn first_unwritten_ms(written_ms: Option<i64>, interval: Minutes) -> i64 {
    written_ms.unwrap_or(interval.start_ms).max(interval.end_ms - MAX_LOOKBACK_MS)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn due_runs_read_each_minute_once() {
        for interval in 1..=10 {
            let read = (0..60).filter_map(|minute| last_interval(minute * MINUTE + 17_000, interval));
            let read: Vec<Minutes> = read.collect();
            assert_eq!(
                read.len(),
                usize::try_from(60_i64.div_euclid(interval) + i64::from(60 % interval > 0)).unwrap()
            );
            for pair in read.windows(2) {
                assert_eq!(pair[0].end_ms, pair[1].start_ms, "every {interval} minutes");
            }
        }
        let read = last_interval(20 * MINUTE + 59_999, 2).unwrap();
        assert_eq!(
            read,
            Minutes { start_ms: 15 * MINUTE, end_ms: 17 * MINUTE },
            "the last one ended three minutes before"
        );
        assert_eq!(last_interval(21 * MINUTE, 2), None);
    }

    #[test]
    fn unwritten_minutes_are_read_for_ten_minutes() {
        let interval = Minutes { start_ms: 18 * MINUTE, end_ms: 20 * MINUTE };
        for (written, expected) in [(None, 18), (Some(19), 19), (Some(20), 20), (Some(13), 13), (Some(2), 10)] {
            let start_ms = first_unwritten_ms(written.map(|minute: i64| minute * MINUTE), interval);
            assert_eq!(start_ms, expected * MINUTE, "{written:?}");
        }
    }

    #[test]
    fn samples_that_are_too_old_are_not_read() {
        for (now_ms, max_age_ms, expected) in
            [(20 * MINUTE, 5 * MINUTE, 14), (20 * MINUTE + 1, 5 * MINUTE, 15), (20 * MINUTE + 30_000, 60 * MINUTE, -40)]
        {
            let start_ms = oldest_minute_ms(now_ms, max_age_ms);
            assert_eq!(start_ms, expected * MINUTE, "{now_ms} {max_age_ms}");
            assert!(start_ms + MINUTE >= now_ms - max_age_ms, "the sample of the minute is not too old");
        }
    }
}
