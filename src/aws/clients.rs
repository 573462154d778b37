//! The clients of AWS and of everything else, on one HTTP and one TLS stack: hyper 1 and rustls with ring.
//!
//! Lambda freezes the process between invocations, and servers close what is idle for longer: connections are kept for a
//! burst, and not for the next minute's tick. Redirects are never followed, and proxies never asked: addresses come from
//! ECS and from settings.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use thiserror::Error;
use url::Url;

/// How long an idle connection is kept. The usual keep-alive of AWS front ends is 20 s and more.
const POOL_IDLE: Duration = Duration::from_secs(12);

/// Time to connect, TLS included: within a region it takes milliseconds; without a route it takes for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for one attempt at a control plane call such as DescribeTasks.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client cannot be made.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("the HTTP client cannot be made: {0}")]
    Http(#[from] reqwest::Error),
    #[error("AWS_REGION is no region: {0}")]
    Region(#[from] url::ParseError),
}

/// Installs ring as the one provider of TLS.
fn install_tls() {
    // It fails only when a provider is installed already, which is then this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The client of remote write and of scrapes.
pub fn http() -> Result<reqwest::Client, ClientError> {
    install_tls();
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true);
    Ok(builder.build()?)
}

/// The SDK's HTTP client, without what it does beforehand: with each client of a service that is made, it reads the
/// machine's certificates and makes a connector, only to see that it can. A push needs none of them, a tick two.
#[derive(Debug)]
struct LazyHttpClient(SharedHttpClient);

impl HttpClient for LazyHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }
}

/// Region, credentials, endpoints and HTTP client of the SDK, from the environment that Lambda sets.
pub async fn aws() -> SdkConfig {
    let http = Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .pool_idle_timeout(POOL_IDLE)
        .build_https();
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(CALL_TIMEOUT).build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(LazyHttpClient(http))
        .timeout_config(timeouts)
        .load()
        .await
}

/// ECS with the SDK's retries.
pub fn ecs(aws: &SdkConfig) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(aws)
}

/// SQS with the SDK's retries.
pub fn sqs(aws: &SdkConfig) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(aws)
}

/// CloudWatch Logs with the SDK's retries.
pub fn logs(aws: &SdkConfig) -> aws_sdk_cloudwatchlogs::Client {
    aws_sdk_cloudwatchlogs::Client::new(aws)
}

/// EC2's endpoint in a region (AWS General Reference, "Amazon EC2 endpoints and quotas").
pub fn ec2_endpoint(region: &str) -> Result<Url, ClientError> {
    endpoint("ec2", region)
}

/// X-Ray's endpoint in a region (AWS General Reference, "AWS X-Ray endpoints and quotas").
pub fn xray_endpoint(region: &str) -> Result<Url, ClientError> {
    endpoint("xray", region)
}

/// CloudWatch Logs, for what its SDK client does not know.
pub fn logs_endpoint(region: &str) -> Result<Url, ClientError> {
    endpoint("logs", region)
}

fn endpoint(service: &str, region: &str) -> Result<Url, ClientError> {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Ok(Url::parse(&format!("https://{service}.{region}.{suffix}"))?)
}
