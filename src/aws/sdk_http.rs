//! HTTP client of the SDK: the one of deliveries and scrapes, so that the root certificates are read once.

use std::error::Error;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::{ErrorKind, ReconnectMode, RetryConfig};

/// Returns a client of the SDK that sends its requests with `http`.
pub fn sdk_http_client(http: &reqwest::Client) -> SharedHttpClient {
    SharedHttpClient::new(SdkHttpClient { http: http.clone() })
}

/// Returns retries without a new connection after each error of a server. The HTTP client does not tell the SDK which connection it
/// uses, for which the SDK would log an error.
#[must_use]
pub fn on_open_connections(retries: RetryConfig) -> RetryConfig {
    retries.with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

#[derive(Debug)]
struct SdkHttpClient {
    http: reqwest::Client,
}

impl HttpClient for SdkHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector { http: self.http.clone(), read_timeout: settings.read_timeout() })
    }
}

/// Sends requests. The SDK sets the time limit of an attempt itself.
#[derive(Debug)]
struct Connector {
    http: reqwest::Client,
    /// Time limit of a request without its connection, such as that of the instance metadata service.
    read_timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, read_timeout) = (self.http.clone(), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap));
            let mut request = request.map_err(|error| ConnectorError::user(error.into()))?;
            *request.timeout_mut() = read_timeout;
            let response = http.execute(request).await.map_err(connector_error)?;
            let response = http::Response::<reqwest::Body>::from(response).map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Classifies an error for the retries of the SDK. The error names the server and not the path: that of the container credentials is
/// a secret (Amazon ECS Developer Guide, "Task IAM role", `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`).
fn connector_error(mut error: reqwest::Error) -> ConnectorError {
    if let Some(url) = error.url_mut() {
        *url = url.join("/").unwrap_or_else(|_| url.clone());
    }
    let is_connection_error = error.is_connect() || has_io_error(&error);
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if is_connection_error {
        ConnectorError::io(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        // The server closed the connection before its response.
        ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
    }
}

fn has_io_error(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |error| (*error).source()).any(|error| error.is::<std::io::Error>())
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody as Body;

    use super::*;
    use crate::aws::certificates::RootCertificates;
    use crate::aws::clients;
    use crate::aws::error::error_chain;

    #[tokio::test]
    async fn error_names_the_server_without_the_path() {
        let http = clients::http(RootCertificates::BuiltIn).expect("a client");
        let connector = Connector { http, read_timeout: None };
        let mut request = HttpRequest::new(Body::empty());
        request.set_uri("http://127.0.0.1:1/v2/credentials/secret?secret").expect("a URI");
        let error = connector.call(request).await.expect_err("nothing listens on the port");
        let text = error_chain(&error);
        assert!(text.contains("http://127.0.0.1:1/") && !text.contains("secret"), "{text}");
    }
}
