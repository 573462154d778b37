//! Builds the handlers from the settings and the region, credentials and endpoints of the Lambda environment.

use std::sync::Arc;

use aws_config::SdkConfig;
use reqwest::Client;
use thiserror::Error;

use super::Handlers;
use super::access::ClientFactory;
use super::check::CheckHandler;
use super::delivery_parts::DeliveryParts;
use super::disabled_features::warn_about_disabled_features;
use super::http::{
    HttpHandler, LoadShedder, LogsHandler, MetricsHandler, ProxyHandler, TaskIdentifier, TaskStatsHandler, TraceHandler,
};
use super::log_events::LogEventsHandler;
use super::queue::{QueueHandler, RedeliveryHandler, ShardHandler};
use super::request_summary::RequestSummary;
use super::run::cloudwatch::CloudWatchPoller;
use super::run::exposition::ExpositionScraper;
use super::run::insights::EventWriter;
use super::run::last_samples::LastSamples;
use super::run::scrape::TaskScraper;
use super::run::state::StateCollector;
use super::run::stopped::StoppedTaskWriter;
use super::run::task_series::TaskSeries;
use super::schedule::ScheduleHandler;
use super::self_metrics::SelfMetricsWriter;
use super::service_events::ServiceEventsHandler;
use super::shard_plan::ShardPlanner;
use super::targets::TargetLister;
use super::task_events::TaskEventsHandler;
use crate::aws::clients::{self, ClientError};
use crate::aws::credentials::CachedCredentials;
use crate::aws::endpoints::EndpointError;
use crate::aws::sts::StsClient;
use crate::deliver::shards::ShardQueue;
use crate::discovery::{Discovery, Ec2Client};
use crate::receiver::{Authenticator, Cors};
use crate::scrape::Scraper;
use crate::scrape::insights::InsightsClient;
use crate::settings::{Settings, TraceDestination};
use crate::work_budget::MemoryLimit;

/// The handlers cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("AWS_REGION is not set")]
    NoRegion,
    #[error("no source of AWS credentials found")]
    NoCredentials,
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Handlers {
    /// Builds the handlers with the region, credentials and endpoints of the environment.
    pub async fn from_environment(settings: Settings, memory: MemoryLimit, http: &Client) -> Result<Self, BuildError> {
        Self::new(settings, memory, &clients::aws(http).await, http)
    }

    /// Creates every client once. None of them connects before its first request.
    pub fn new(settings: Settings, memory: MemoryLimit, aws: &SdkConfig, http: &Client) -> Result<Self, BuildError> {
        warn_about_disabled_features(&settings);
        let region = aws.region().ok_or(BuildError::NoRegion)?.as_ref().to_owned();
        let credentials = CachedCredentials::of_function(aws).ok_or(BuildError::NoCredentials)?;
        let clients = ClientFactory::new(&settings, aws, http, &region, &credentials);
        let delivery = DeliveryParts::new(&settings, memory, aws, &clients)?;
        let https = clients::https(http, settings.prometheus_scrape.checks_certificates)?;
        let runs = RunParts::new(&settings, memory, aws, &clients, https)?;
        let targets = Arc::new(runs.targets());
        Ok(Self {
            schedule: runs.schedule(&settings, aws, &delivery),
            http: http_handler(&settings, memory, &delivery, &runs),
            queue: queue_handler(&settings, memory, &delivery, &runs),
            log_events: log_events_handler(memory, &delivery, &runs),
            task_events: task_events_handler(&delivery, &runs),
            service_events: service_events_handler(&delivery, &runs),
            self_metrics: Arc::clone(&delivery.self_metrics),
            self_metrics_writer: self_metrics_writer(&delivery),
            request_summary: RequestSummary::default(),
            check: CheckHandler {
                region,
                sts: StsClient::new(aws),
                discovery: runs.discovery,
                insights: InsightsClient::new(clients::logs(aws)),
                targets: Arc::clone(&targets),
                amp: delivery.amp,
                xray: delivery.xray,
                xray_otlp: delivery.xray_otlp,
                cloudwatch: delivery.cloudwatch,
                logs: delivery.logs,
                spool: delivery.spool,
                spool_deferral: delivery.spool_deferral,
                shard_deferral: delivery.shard_deferral,
                self_metrics: delivery.self_metrics,
                access: vec![clients.amp.clone(), clients.xray.clone()],
                settings,
            },
            targets,
        })
    }
}

fn self_metrics_writer(delivery: &DeliveryParts) -> SelfMetricsWriter {
    SelfMetricsWriter {
        self_metrics: Arc::clone(&delivery.self_metrics),
        relabel: Arc::clone(&delivery.relabel),
        amp: delivery.amp.clone(),
    }
}

fn log_events_handler(memory: MemoryLimit, delivery: &DeliveryParts, runs: &RunParts) -> LogEventsHandler {
    LogEventsHandler {
        discovery: Arc::clone(&runs.discovery),
        events: Arc::clone(&runs.events),
        memory,
        writer: delivery.writer.clone(),
    }
}

fn task_events_handler(delivery: &DeliveryParts, runs: &RunParts) -> TaskEventsHandler {
    TaskEventsHandler {
        discovery: Arc::clone(&runs.discovery),
        stopped: Arc::clone(&runs.stopped),
        writer: delivery.writer.clone(),
    }
}

fn service_events_handler(delivery: &DeliveryParts, runs: &RunParts) -> ServiceEventsHandler {
    ServiceEventsHandler {
        discovery: Arc::clone(&runs.discovery),
        series: Arc::clone(&runs.series),
        writer: delivery.writer.clone(),
    }
}

/// Dependencies of runs that collect series.
struct RunParts {
    discovery: Arc<Discovery>,
    series: Arc<TaskSeries>,
    scraper: Arc<TaskScraper>,
    events: Arc<EventWriter>,
    stopped: Arc<StoppedTaskWriter>,
    cloudwatch: Arc<CloudWatchPoller>,
    state: Arc<StateCollector>,
}

impl RunParts {
    fn new(
        settings: &Settings,
        memory: MemoryLimit,
        aws: &SdkConfig,
        clients: &ClientFactory<'_>,
        https: Client,
    ) -> Result<Self, EndpointError> {
        let region = aws.region().map_or("", |region| region.as_ref());
        let discovery = Arc::new(discovery(settings, aws, clients.ec2()?, memory));
        let series = Arc::new(TaskSeries::new(settings));
        let expositions = Arc::new(ExpositionScraper::new(Arc::clone(&series), settings.scrape_interval, memory));
        let last_samples = Arc::new(LastSamples::new(memory));
        let (timeout, body_limit) = (settings.scrape_timeout, settings.prometheus_scrape.body_limit);
        let scraper = TaskScraper {
            series: Arc::clone(&series),
            scraper: Scraper::new(clients.http.clone(), https, timeout, body_limit, memory),
            timeout,
            expositions: Arc::clone(&expositions),
            last_samples: Arc::clone(&last_samples),
            memory,
        };
        let events = EventWriter {
            series: Arc::clone(&series),
            discovery: Arc::clone(&discovery),
            region: region.to_owned(),
            has_task_filter: !settings.tasks.is_empty(),
        };
        let cloudwatch = CloudWatchPoller::new(clients.cloudwatch()?, &discovery, &series, settings.cloudwatch, memory);
        let needs_services = cloudwatch.needs_services();
        let state = Arc::new(StateCollector::new(&discovery, &series, &last_samples, memory, needs_services));
        let stopped =
            StoppedTaskWriter { series: Arc::clone(&series), expositions, state: Arc::clone(&state), last_samples };
        let (scraper, events, stopped) = (Arc::new(scraper), Arc::new(events), Arc::new(stopped));
        Ok(Self { discovery, series, scraper, events, stopped, cloudwatch: Arc::new(cloudwatch), state })
    }

    fn targets(&self) -> TargetLister {
        TargetLister {
            discovery: Arc::clone(&self.discovery),
            series: Arc::clone(&self.series),
            cloudwatch: Arc::clone(&self.cloudwatch),
        }
    }

    fn schedule(&self, settings: &Settings, aws: &SdkConfig, delivery: &DeliveryParts) -> ScheduleHandler {
        let scrapes = settings.sources.endpoint || settings.sources.prometheus;
        let queue = settings.shard_queue.as_ref().filter(|_| scrapes);
        ScheduleHandler {
            discovery: Arc::clone(&self.discovery),
            shards: ShardPlanner {
                queue: queue.map(|url| ShardQueue::new(clients::sqs(aws), url)),
                max_inline_tasks: settings.inline_tasks,
                scrape_interval: settings.scrape_interval,
            },
            scraper: Arc::clone(&self.scraper),
            state: Arc::clone(&self.state),
            insights: InsightsClient::new(clients::logs(aws)),
            insights_lag: settings.insights_lag.filter(|_| settings.sources.insights),
            events: Arc::clone(&self.events),
            cloudwatch: Arc::clone(&self.cloudwatch),
            stopped: Arc::clone(&self.stopped),
            lists_stopped: settings.stopped_tasks,
            writer: delivery.writer.clone(),
        }
    }
}

fn http_handler(settings: &Settings, memory: MemoryLimit, delivery: &DeliveryParts, runs: &RunParts) -> HttpHandler {
    let load = LoadShedder { has_spool: delivery.spool.is_some(), self_metrics: Arc::clone(&delivery.self_metrics) };
    let load = Arc::new(load);
    let xray_otlp = Some(&delivery.xray_otlp).filter(|_| settings.trace_destination == TraceDestination::XRayOtlp);
    HttpHandler {
        authenticator: Authenticator::from_settings(settings),
        cors: Cors::new(settings.cors_origins.clone()),
        identifier: settings.identity.then(|| TaskIdentifier { discovery: Arc::clone(&runs.discovery) }),
        traces: TraceHandler {
            options: settings.spans.clone(),
            xray: Arc::clone(&delivery.xray),
            xray_otlp: xray_otlp.cloned(),
            load: Arc::clone(&load),
            tracker: Arc::clone(&delivery.tracker),
            memory,
        },
        metrics: MetricsHandler {
            options: settings.metrics.clone(),
            writer: delivery.writer.clone().filter(|_| settings.metrics_to.amp),
            cloudwatch: delivery.cloudwatch.clone(),
            tracker: Arc::clone(&delivery.tracker),
            load: Arc::clone(&load),
            self_metrics: Arc::clone(&delivery.self_metrics),
            memory,
        },
        task_stats: TaskStatsHandler::new(
            TaskIdentifier { discovery: Arc::clone(&runs.discovery) },
            Arc::clone(&runs.series),
            delivery.writer.clone(),
            Arc::clone(&delivery.self_metrics),
            memory,
        ),
        logs: LogsHandler { logs: delivery.logs.clone(), load, tracker: Arc::clone(&delivery.tracker), memory },
        proxy: ProxyHandler { xray: Arc::clone(&delivery.xray_otlp) },
        self_metrics: Arc::clone(&delivery.self_metrics),
        memory,
    }
}

fn queue_handler(settings: &Settings, memory: MemoryLimit, delivery: &DeliveryParts, runs: &RunParts) -> QueueHandler {
    QueueHandler {
        shards: ShardHandler {
            discovery: Arc::clone(&runs.discovery),
            scraper: Arc::clone(&runs.scraper),
            state: Arc::clone(&runs.state),
            writer: delivery.writer.clone(),
            deferral: delivery.shard_deferral.clone(),
            self_metrics: Arc::clone(&delivery.self_metrics),
        },
        redelivery: RedeliveryHandler {
            amp: delivery.amp.clone(),
            xray: Arc::clone(&delivery.xray),
            xray_otlp: Arc::clone(&delivery.xray_otlp),
            cloudwatch: delivery.cloudwatch.clone(),
            logs: delivery.logs.clone(),
            spool: delivery.spool.clone(),
            deferral: delivery.spool_deferral.clone(),
            max_sample_age_ms: settings.metrics.max_age_ms,
            self_metrics: Arc::clone(&delivery.self_metrics),
            memory,
        },
    }
}

fn discovery(settings: &Settings, aws: &SdkConfig, ec2: Ec2Client, memory: MemoryLimit) -> Discovery {
    Discovery::new(clients::ecs(aws), ec2, &settings.clusters, settings.tasks.clone(), settings.into(), memory)
}
