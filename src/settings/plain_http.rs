//! Refusal of `http://` endpoints: requests to them would send telemetry, and signatures, in plain text.

use url::{Host, Url};

use super::{AWS_ENDPOINT_URL, PREFIX};

/// Returns an error for each endpoint with plain HTTP, unless it is on this machine, as the services of tests are.
pub(crate) fn errors(variables: &[(String, String)]) -> impl Iterator<Item = String> {
    let endpoints = variables.iter().filter(|(name, _)| is_endpoint(name));
    endpoints.filter(|(_, value)| Url::parse(value.trim()).is_ok_and(|url| is_refused(&url))).map(|(name, _)| {
        format!(
            "{name}: plain HTTP is refused, because the telemetry could be read and changed on its way: use https://"
        )
    })
}

/// Returns whether a variable is the endpoint of a service. The AWS SDK reads one variable for each service.
fn is_endpoint(name: &str) -> bool {
    name.starts_with(AWS_ENDPOINT_URL)
        || name == "AWS_PROMETHEUS_ENDPOINT"
        || (name.starts_with(PREFIX) && (name.ends_with("_URL") || name.ends_with("_ENDPOINT")))
}

fn is_refused(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_accepted_only_on_loopback() {
        for (url, is_accepted) in [
            ("https://aps-workspaces.eu-west-1.amazonaws.com/api", true),
            ("http://127.0.0.1:9090/api", true),
            ("http://127.9.8.7/api", true),
            ("http://localhost:4566", true),
            ("http://sqs.eu-west-1.localhost:4566/1/spool", true),
            ("http://[::1]:9090", true),
            ("http://aps-workspaces.eu-west-1.amazonaws.com/api", false),
            (" HTTP://10.0.0.1/api ", false),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost.example.com", false),
            ("http://user@127.0.0.1@example.com", false),
            ("http://[::ffff:10.0.0.1]", false),
            ("http://0.0.0.0", false),
        ] {
            for name in [
                "AWS_ENDPOINT_URL",
                "AWS_ENDPOINT_URL_SQS",
                "AWS_ENDPOINT_URL_ECS",
                "AWS_PROMETHEUS_ENDPOINT",
                "SIDECARLESS_SPOOL_QUEUE_URL",
                "SIDECARLESS_SHARD_QUEUE_URL",
            ] {
                let variables = [(name.to_owned(), url.to_owned())];
                let found: Vec<String> = errors(&variables).collect();
                assert_eq!(found.is_empty(), is_accepted, "{url}: {found:?}");
                assert!(found.iter().all(|error| error.starts_with(name) && error.contains("https://")), "{found:?}");
            }
        }
        let other = [("HTTP_PROXY".to_owned(), "http://10.0.0.1".to_owned())];
        assert_eq!(errors(&other).count(), 0);
    }
}
