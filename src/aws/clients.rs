//! HTTP and SDK clients on one HTTP stack and one TLS stack: hyper 1 and rustls with ring.
//!
//! Lambda freezes the process between invocations, and servers close idle connections meanwhile. Connections are therefore
//! reused within a burst of requests, but not by the scheduled run of the next minute. The HTTP client does not follow
//! redirects and does not use proxies, because addresses come from ECS and settings only.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use thiserror::Error;

use super::certificates::RootCertificates;
use super::endpoints::EndpointError;
use super::sdk_http::{on_open_connections, sdk_http_client};

/// Timeout of idle connections. AWS front ends usually keep them for 20 s or longer.
const POOL_IDLE: Duration = Duration::from_secs(12);

/// Timeout of connecting, TLS included. It takes milliseconds within a region, and never ends without a route.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout of one attempt of a control plane call such as DescribeTasks.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Error of creating a client.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("cannot create the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// Installs ring as the TLS provider.
fn install_tls() {
    // Fails only if ring has been installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Creates the HTTP client of all requests.
pub fn http(certificates: RootCertificates) -> Result<reqwest::Client, ClientError> {
    install_tls();
    let builder = certificates
        .configure(reqwest::Client::builder())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true);
    Ok(builder.build()?)
}

/// Creates the HTTP client of the command line, which trusts the certificates of the system, such as those of a company's proxy. In
/// container images without certificates it trusts the built-in ones.
pub fn http_of_command_line() -> Result<reqwest::Client, ClientError> {
    http(RootCertificates::System).or_else(|_| http(RootCertificates::BuiltIn))
}

/// Returns the HTTP client of scrapes with TLS: `http`, or one that accepts every certificate. Those of tasks are often self-signed,
/// and have no IP address.
pub fn https(http: &reqwest::Client, checks_certificates: bool) -> Result<reqwest::Client, ClientError> {
    if checks_certificates {
        return Ok(http.clone());
    }
    install_tls();
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .danger_accept_invalid_certs(true);
    Ok(builder.build()?)
}

/// Loads region, credentials and endpoints of the SDK from the environment variables that Lambda sets. The SDK sends its requests
/// with `http`.
pub async fn aws(http: &reqwest::Client) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(CALL_TIMEOUT).build();
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(sdk_http_client(http));
    let config = loader.timeout_config(timeouts).load().await;
    let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
    config.into_builder().retry_config(on_open_connections(retries)).build()
}

/// Creates an ECS client with the SDK's retries.
pub fn ecs(aws: &SdkConfig) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(aws)
}

/// Creates an SQS client with the SDK's retries.
pub fn sqs(aws: &SdkConfig) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(aws)
}

/// Creates a CloudWatch Logs client with the SDK's retries.
pub fn logs(aws: &SdkConfig) -> aws_sdk_cloudwatchlogs::Client {
    aws_sdk_cloudwatchlogs::Client::new(aws)
}
