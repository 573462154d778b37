//! A pipeline from settings and from what Lambda sets: region, credentials, endpoints.

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use thiserror::Error;
use url::Url;

use super::Pipeline;
use super::scrape_cache::ScrapeCache;
use super::self_metrics::SelfMetricsWriter;
use crate::aws::client::SigV4Client;
use crate::aws::clients::{self, ClientError};
use crate::aws::sign::Signer;
use crate::aws::sts::StsClient;
use crate::deliver::circuit_breaker::CircuitBreaker;
use crate::deliver::logs::OtlpLogsClient;
use crate::deliver::remote_write::RemoteWriteClient;
use crate::deliver::shards::ShardQueue;
use crate::deliver::spool::Spool;
use crate::deliver::xray::XRayClient;
use crate::deliver::xray_otlp::XRayOtlpClient;
use crate::discovery::{Discovery, Ec2Client, TagRequirements};
use crate::receiver::Authenticator;
use crate::scrape::Scraper;
use crate::scrape::insights::InsightsClient;
use crate::settings::{Auth, Settings};

/// The pipeline cannot be made.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("AWS_REGION is not set")]
    NoRegion,
    #[error("there is no source of AWS credentials")]
    NoCredentials,
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Pipeline {
    /// A pipeline with the region, credentials and endpoints of the environment that Lambda sets.
    pub async fn from_environment(settings: Settings) -> Result<Self, BuildError> {
        Self::new(settings, &clients::aws().await)
    }

    /// Makes every client once; none connects before it is used.
    pub fn new(settings: Settings, aws: &SdkConfig) -> Result<Self, BuildError> {
        warn_about_disabled_features(&settings);
        let region = aws.region().ok_or(BuildError::NoRegion)?.as_ref().to_owned();
        let credentials: SharedCredentialsProvider = aws.credentials_provider().ok_or(BuildError::NoCredentials)?;
        let http = clients::http()?;
        let post = SigV4Client::new(http.clone(), Signer::new(credentials, region.clone()));
        let endpoints = &settings.endpoints;
        let or_of_region = |set: &Option<Url>, of: fn(&str) -> _| set.clone().map_or_else(|| of(&region), Ok);
        let xray = or_of_region(&endpoints.xray, clients::xray_endpoint)?;
        let ec2 = Ec2Client::new(or_of_region(&endpoints.ec2, clients::ec2_endpoint)?, post.clone());
        let sts = StsClient::new(aws);
        let log_stream = log_stream(&settings, &region, post.clone())?;
        Ok(Self {
            authenticator: Authenticator::new(settings.auth, settings.tokens.clone())
                .with_callers(settings.iam_callers.clone())
                .with_memory_limit(settings.memory_mb),
            discovery: discovery(&settings, aws, ec2),
            scraper: Scraper::new(http, settings.scrape_timeout, settings.prometheus_scrape.body_limit),
            scrape_cache: ScrapeCache::default(),
            insights: InsightsClient::new(clients::logs(aws)),
            shard_queue: settings.shard_queue.as_ref().map(|url| ShardQueue::new(clients::sqs(aws), url)),
            region,
            remote_write: remote_write(&settings, &post),
            xray: XRayClient::new(&xray, post.clone()),
            xray_http: XRayOtlpClient::new(xray, post),
            log_stream,
            sts,
            spool: settings.spool_queue.as_ref().map(|url| Spool::new(clients::sqs(aws), url)),
            amp_circuit: CircuitBreaker::default(),
            xray_circuit: CircuitBreaker::default(),
            self_metrics: SelfMetricsWriter::new(&settings),
            settings,
        })
    }
}

fn discovery(settings: &Settings, aws: &SdkConfig, ec2: Ec2Client) -> Discovery {
    let tags = TagRequirements {
        task_tags: settings.tag_labels.uses_task_tags() || settings.tasks.uses_tags(),
        cluster_tags: settings.tag_labels.uses_cluster_tags(),
    };
    Discovery::new(clients::ecs(aws), ec2, &settings.clusters, settings.tasks.clone(), tags)
}

fn remote_write(settings: &Settings, post: &SigV4Client) -> Option<RemoteWriteClient> {
    settings.prometheus_endpoint.clone().map(|endpoint| RemoteWriteClient::new(endpoint, post.clone()))
}

fn log_stream(settings: &Settings, region: &str, post: SigV4Client) -> Result<Option<OtlpLogsClient>, BuildError> {
    let Some((group, stream)) = settings.otlp_logs() else { return Ok(None) };
    let base = settings.endpoints.logs.clone().map_or_else(|| clients::logs_endpoint(region), Ok)?;
    Ok(OtlpLogsClient::new(base, post, group, stream))
}

fn warn_about_disabled_features(settings: &Settings) {
    if settings.prometheus_endpoint.is_none() {
        tracing::warn!("AWS_PROMETHEUS_ENDPOINT is not set: ticks do nothing, and pushed metrics are refused");
    }
    match settings.auth {
        Auth::Token if settings.tokens.is_empty() => {
            tracing::warn!("SIDECARLESS_TOKENS_SHA256 is not set: every push is refused with 401");
        }
        Auth::Disabled => tracing::warn!("SIDECARLESS_AUTH is none: whoever knows the URL may push"),
        Auth::Token | Auth::Iam => {}
    }
}
