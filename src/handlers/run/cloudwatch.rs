//! CPU and memory of services whose tasks have no stats source, from the CloudWatch metrics that ECS reports for every service.
//!
//! Whether a run reads them depends only on its scheduled minute, and which minutes it reads on the points that this execution
//! environment has written. A new environment reads only the last interval. Points that were not delivered are read again.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;

use super::context::{RunContext, Step};
use super::task_series::TaskSeries;
use crate::aws::error::{AwsError, AwsErrorKind};
use crate::deadline::Deadline;
use crate::discovery::{Discovery, DiscoveryResult};
use crate::model::arn::cluster_name;
use crate::model::cache::Cache;
use crate::model::cloudwatch::{MetricQuery, Minutes, PERIOD_MS, Statistic};
use crate::model::ecs::TaskStatus;
use crate::model::task::Task;
use crate::scrape::cloudwatch::{CloudWatchClient, MetricData};
use crate::settings::CloudWatchSettings;
use crate::translate::cloudwatch::{ServiceIdentity, ServiceMetric, sample_ms};
use crate::work_budget::MemoryLimit;

/// Time from the end of a minute until its points are read: ECS sends a value for each task, and the statistics of a minute change
/// until all of them have arrived. Amazon ECS Developer Guide, "Amazon ECS CloudWatch metrics": sent in 1-minute periods.
/// Measured for Container Insights, which ECS sends in the same way: 80 s in the median, at most 140 s. Runs have whole minutes.
const LAG_MS: i64 = 180_000;

/// Oldest minute that is read. It bounds the points of one call, and AMP accepts samples that are this old in any order.
const MAX_LOOKBACK_MS: i64 = 600_000;

/// Age of what is remembered about a statistic. It only matters within [`MAX_LOOKBACK_MS`]; services that are gone expire.
const MEMORY_TTL_MS: i64 = MAX_LOOKBACK_MS + 300_000;

/// Memory for about ten thousand services. The points of others are read for the last interval only.
const MEMORY_BYTES: usize = 8 << 20;

/// IAM action that the calls need.
pub(in crate::handlers) const ACTION: &str = "cloudwatch:GetMetricData";

/// Reads and writes the metrics of services.
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

/// A statistic of a metric of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct StatisticKey {
    cluster_arn: Arc<str>,
    service: Arc<str>,
    metric: &'static str,
    statistic: Statistic,
}

/// A service whose tasks have no stats source.
#[derive(Debug)]
struct Service<'a> {
    identity: ServiceIdentity,
    /// One of its tasks.
    task: &'a Task,
}

/// A metric of a service.
#[derive(Debug)]
struct Request<'a> {
    service: &'a Service<'a>,
    metric: &'static ServiceMetric,
    query: MetricQuery,
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
        let weigh = |key: &StatisticKey, _: &i64| key.cluster_arn.len() + key.service.len();
        let written = Cache::new(MEMORY_TTL_MS, memory.cache_bytes(MEMORY_BYTES), weigh);
        Self { client, discovery, series, settings, written, is_denial_logged: AtomicBool::new(false) }
    }

    pub(in crate::handlers) fn interval_min(&self) -> Option<u8> {
        self.settings.interval_min
    }

    /// Returns the number of services that are read. 0 if nothing is read.
    pub(in crate::handlers) fn service_count(&self, discovered: &DiscoveryResult) -> u32 {
        let services = self.services(discovered.tasks.iter(), discovered.without_definition.iter()).len();
        self.interval_min().map_or(0, |_| u32::try_from(services).unwrap_or(u32::MAX))
    }

    fn services<'t>(
        &self,
        tasks: impl Iterator<Item = &'t Arc<Task>>,
        unknown: impl Iterator<Item = &'t Arc<Task>>,
    ) -> Vec<Service<'t>> {
        let unknown = unknown.map(|task| (&**task, true));
        services_without_source(tasks.map(|task| (&**task, self.series.source(task).is_some())).chain(unknown))
    }

    /// Tests the permission with one metric of a cluster. `None` if the settings disable the reads.
    pub(in crate::handlers) async fn check_access(
        &self,
        cluster: &str,
        deadline: &Deadline,
    ) -> Option<Result<(), AwsError>> {
        let metric = self.interval_min().and_then(|_| self.settings.metrics.metrics().next())?;
        let service = ServiceIdentity { cluster: cluster_name(cluster).into(), ..ServiceIdentity::default() };
        let query = MetricQuery { dimensions: vec![("ClusterName", service.cluster.clone())], ..service.query(metric) };
        let end_ms = deadline.started_ms().div_euclid(PERIOD_MS) * PERIOD_MS;
        let (queries, minute) = ([query], Minutes { start_ms: end_ms - PERIOD_MS, end_ms });
        let mut calls = pin!(self.client.metric_data(&queries, minute, deadline));
        Some(match calls.next().await? {
            Ok(data) if data.is_forbidden => Err(forbidden()),
            result => result.map(drop),
        })
    }

    /// Writes the points of services none of whose tasks has a stats source, if the scheduled minute of a run is one in which they
    /// are read. If shards scrape the tasks, `discovered` has no tasks, and the services are those of tasks that this environment
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
        let services = self.services(included, discovered.without_definition.iter());
        self.read(&services, interval, run).await
    }

    async fn read(&self, services: &[Service<'_>], interval: Minutes, run: &mut RunContext<'_>) -> ReadMinutes {
        let requests = self.requests(services, interval, run.deadline.now_ms());
        let mut read = ReadMinutes(self.unwritten(&requests, interval, run.deadline.now_ms()));
        let Some(start_ms) = read.0.values().map(|minutes| minutes.start_ms).min() else { return read };
        let minutes = Minutes { start_ms, ..interval };
        let queries: Vec<MetricQuery> = requests.iter().map(|request| request.query.clone()).collect();
        run.stats.cloudwatch_metrics += queries.len() as u64;
        let deadline = run.step_deadline(Step::CloudWatch);
        let mut failed = 0;
        let mut calls = pin!(self.client.metric_data(&queries, minutes, &deadline));
        while let Some(result) = calls.next().await {
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

    /// Returns the metrics of services that have minutes to read.
    fn requests<'a>(&self, services: &'a [Service<'a>], interval: Minutes, now_ms: i64) -> Vec<Request<'a>> {
        let all = services.iter().flat_map(|service| {
            let metrics = self.settings.metrics.metrics();
            metrics.map(move |metric| Request { service, metric, query: service.identity.query(metric) })
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
            let Service { identity, task } = request.service;
            let extra = self.series.cluster_labels(&task.cluster_tags);
            identity.write(request.metric, statistic.statistic, points, &extra, &mut run.batch);
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
        StatisticKey {
            cluster_arn: Arc::clone(&self.service.task.cluster_arn),
            service: Arc::clone(&self.service.identity.service),
            metric: self.metric.name,
            statistic,
        }
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

/// Returns the services that have run a task, and none of whose tasks has a stats source. `tasks` have no source if they come with
/// `false`.
fn services_without_source<'a>(tasks: impl Iterator<Item = (&'a Task, bool)>) -> Vec<Service<'a>> {
    // By service: one of its tasks that ran, and whether a task has a source.
    let mut services: BTreeMap<(&str, &str), (Option<&Task>, bool)> = BTreeMap::new();
    for (task, has_source) in tasks {
        let Some(service) = &task.service else { continue };
        let (ran, is_served) = services.entry((&task.cluster_arn, service)).or_default();
        *is_served |= has_source;
        if ran.is_none() && (task.last_status == TaskStatus::Running || task.started_at_ms.is_some()) {
            *ran = Some(task);
        }
    }
    let unserved = services.into_values().filter(|(_, is_served)| !is_served);
    unserved.filter_map(|(task, _)| Service::of(task?)).collect()
}

impl<'a> Service<'a> {
    fn of(task: &'a Task) -> Option<Self> {
        let identity = ServiceIdentity {
            cluster: Arc::clone(&task.cluster),
            service: task.service.clone()?,
            region: Arc::clone(&task.region),
            account: Arc::clone(&task.account),
        };
        Some(Self { identity, task })
    }
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

    fn task(service: &str, status: TaskStatus) -> Task {
        let mut task = Task { last_status: status, cluster_arn: "arn:shop".into(), ..Task::default() };
        task.set_group(service);
        task
    }

    #[test]
    fn services_with_any_source_are_not_read() {
        let tasks = [
            (task("service:cart", TaskStatus::Running), false),
            (task("service:cart", TaskStatus::Running), false),
            (task("service:web", TaskStatus::Running), false),
            (task("service:web", TaskStatus::Running), true),
            (task("service:new", TaskStatus::Provisioning), false),
            (task("family:job", TaskStatus::Running), false),
            (Task { started_at_ms: Some(1), ..task("service:ended", TaskStatus::Stopped) }, false),
        ];
        let services = services_without_source(tasks.iter().map(|(task, has_source)| (task, *has_source)));
        let names: Vec<&str> = services.iter().map(|service| &*service.identity.service).collect();
        assert_eq!(names, ["cart", "ended"]);
    }
}
