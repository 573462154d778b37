//! A pipeline from settings and from what Lambda sets: region, credentials, endpoints.

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use thiserror::Error;
use url::Url;

use super::Pipeline;
use super::own::OwnMetrics;
use super::pages_before::PagesBefore;
use crate::aws::post::SignedPost;
use crate::aws::sign::Signer;
use crate::aws::sts::Sts;
use crate::clients::{self, ClientError};
use crate::collect::discover::{Discovery, Ec2, WantedTags};
use crate::collect::insights::Insights;
use crate::collect::receive::Gate;
use crate::collect::scrape::Scraper;
use crate::config::{Auth, RemoteWriteVersion, Settings};
use crate::deliver::circuit::Circuit;
use crate::deliver::logs::LogStream;
use crate::deliver::remote_write::{RemoteWrite, Version};
use crate::deliver::shards::ShardQueue;
use crate::deliver::spool::Spool;
use crate::deliver::xray::XRay;
use crate::deliver::xray_http::XRayHttp;

/// The pipeline cannot be made.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("AWS_REGION is not set")]
    NoRegion,
    #[error("there is no source of AWS credentials")]
    NoCredentials,
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Pipeline {
    /// A pipeline with the region, credentials and endpoints of the environment that Lambda sets.
    pub async fn from_environment(settings: Settings) -> Result<Self, StartError> {
        Self::new(settings, &clients::aws().await)
    }

    /// Makes every client once; none connects before it is used.
    pub fn new(settings: Settings, aws: &SdkConfig) -> Result<Self, StartError> {
        warn_of_what_is_off(&settings);
        let region = aws.region().ok_or(StartError::NoRegion)?.as_ref().to_owned();
        let credentials: SharedCredentialsProvider = aws.credentials_provider().ok_or(StartError::NoCredentials)?;
        let http = clients::http()?;
        let post = SignedPost::new(http.clone(), Signer::new(credentials, region.clone()));
        let endpoints = &settings.endpoints;
        let or_of_region = |set: &Option<Url>, of: fn(&str) -> _| set.clone().map_or_else(|| of(&region), Ok);
        let xray = or_of_region(&endpoints.xray, clients::xray_endpoint)?;
        let ec2 = Ec2::new(or_of_region(&endpoints.ec2, clients::ec2_endpoint)?, post.clone());
        let sts = Sts::new(or_of_region(&endpoints.sts, clients::sts_endpoint)?, post.clone());
        let log_stream = log_stream(&settings, &region, post.clone())?;
        Ok(Self {
            gate: Gate::new(settings.auth, settings.tokens.clone())
                .with_callers(settings.iam_callers.clone())
                .within_memory(settings.memory_mb),
            discovery: discovery(&settings, aws, ec2),
            scraper: Scraper::new(http, settings.scrape_timeout, settings.pages.body_limit),
            pages_before: PagesBefore::default(),
            insights: Insights::new(clients::logs(aws)),
            shard_queue: settings.shard_queue.as_ref().map(|url| ShardQueue::new(clients::sqs(aws), url)),
            region,
            remote_write: remote_write(&settings, &post),
            xray: XRay::new(&xray, post.clone()),
            xray_http: XRayHttp::new(xray, post),
            log_stream,
            sts,
            spool: settings.spool_queue.as_ref().map(|url| Spool::new(clients::sqs(aws), url)),
            amp_circuit: Circuit::default(),
            xray_circuit: Circuit::default(),
            own: OwnMetrics::new(&settings),
            settings,
        })
    }
}

fn discovery(settings: &Settings, aws: &SdkConfig, ec2: Ec2) -> Discovery {
    let tags = WantedTags {
        of_tasks: settings.tag_labels.wants_tasks() || settings.tasks.asks_for_tags(),
        of_clusters: settings.tag_labels.wants_clusters(),
    };
    Discovery::new(clients::ecs(aws), ec2, &settings.clusters, settings.tasks.clone(), tags)
}

fn remote_write(settings: &Settings, post: &SignedPost) -> Option<RemoteWrite> {
    let version = match settings.remote_write {
        RemoteWriteVersion::V1 => Version::V1,
        RemoteWriteVersion::V2 => Version::V2,
    };
    settings.prometheus_endpoint.clone().map(|endpoint| RemoteWrite::new(endpoint, post.clone(), version))
}

fn log_stream(settings: &Settings, region: &str, post: SignedPost) -> Result<Option<LogStream>, StartError> {
    let Some((group, stream)) = &settings.logs_to else { return Ok(None) };
    let base = settings.endpoints.logs.clone().map_or_else(|| clients::logs_endpoint(region), Ok)?;
    Ok(LogStream::new(base, post, group, stream))
}

fn warn_of_what_is_off(settings: &Settings) {
    if settings.prometheus_endpoint.is_none() {
        tracing::warn!("AWS_PROMETHEUS_ENDPOINT is not set: ticks do nothing, and pushed metrics are refused");
    }
    match settings.auth {
        Auth::Token if settings.tokens.is_empty() => {
            tracing::warn!("SIDECARLESS_TOKENS_SHA256 is not set: every push is refused with 401");
        }
        Auth::Open => tracing::warn!("SIDECARLESS_AUTH is none: whoever knows the URL may push"),
        Auth::Token | Auth::Iam => {}
    }
}
