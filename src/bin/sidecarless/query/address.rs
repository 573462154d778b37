//! URL and region of a workspace.

use aws_config::SdkConfig;
use sidecarless::aws::endpoints::EndpointRules;
use sidecarless::deliver::remote_write::workspace_region;
use sidecarless::model::arn::Arn;
use sidecarless::model::masked::masked_url;
use url::Url;

use super::{QueryError, QueryOptions};

/// APIs of a workspace. Their URLs are accepted in place of that of the workspace, because Grafana and the function have those.
const APIS: [&str; 3] = ["/api/v1/query", "/api/v1/remote_write", "/api/v1"];

/// The URL of a query, and the region of its signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) url: Url,
    pub(super) region: String,
}

impl Address {
    /// Returns the address that the options name, or else the variable `AWS_PROMETHEUS_ENDPOINT` of the function.
    pub(super) fn new(
        options: &QueryOptions,
        variables: &[(String, String)],
        aws: &SdkConfig,
    ) -> Result<Self, QueryError> {
        let region_of_caller = aws.region().map(|region| region.as_ref().to_owned());
        if let Some(workspace) = &options.workspace {
            let (id, region) = id_and_region(workspace)?;
            let region = options.region.clone().or(region).or(region_of_caller).ok_or(QueryError::NoRegion)?;
            let endpoint = EndpointRules::new(aws, &region).workspaces();
            let mut url = endpoint.map_err(|error| QueryError::Client(error.into()))?;
            url.set_path(&format!("workspaces/{id}/api/v1/query"));
            return Ok(Self { url, region });
        }
        let of_function = variables.iter().find(|(name, value)| name == "AWS_PROMETHEUS_ENDPOINT" && !value.is_empty());
        let url = options.url.as_ref().or(of_function.map(|(_, value)| value)).ok_or(QueryError::NoWorkspace)?;
        let url = query_url(url)?;
        let of_url = workspace_region(&url).map(str::to_owned);
        let region = options.region.clone().or(of_url).or(region_of_caller).ok_or(QueryError::NoRegion)?;
        Ok(Self { url, region })
    }
}

/// Returns the ID of a workspace, and the region in its ARN.
fn id_and_region(workspace: &str) -> Result<(&str, Option<String>), QueryError> {
    let arn = Arn::parse(workspace);
    let id = arn.map_or(Some(workspace), |arn| arn.resource_of("workspace"));
    let is_id = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let id = id.filter(is_id).ok_or_else(|| QueryError::InvalidWorkspace(workspace.to_owned()))?;
    Ok((id, arn.map(|arn| arn.region.to_owned())))
}

/// Returns the URL for queries of a workspace. A query is not sent in plain text, except on this machine.
fn query_url(text: &str) -> Result<Url, QueryError> {
    let invalid = || QueryError::InvalidUrl(masked_url(text));
    let mut url = Url::parse(text.trim()).map_err(|_| invalid())?;
    let is_local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.host().is_none() || !(url.scheme() == "https" || url.scheme() == "http" && is_local) {
        return Err(invalid());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let base = APIS.into_iter().find_map(|api| path.strip_suffix(api)).unwrap_or(&path);
    url.set_path(&format!("{base}/api/v1/query"));
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};

    use super::*;
    use crate::output::OutputFormat;

    fn address(workspace: Option<&str>, url: Option<&str>, region: Option<&str>) -> Result<(String, String), String> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let options = QueryOptions {
            promql: "up".into(),
            workspace: owned(workspace),
            url: owned(url),
            region: owned(region),
            format: OutputFormat::Table,
        };
        let aws =
            SdkConfig::builder().region(Region::new("eu-west-1")).behavior_version(BehaviorVersion::latest()).build();
        let address = Address::new(&options, &[], &aws);
        address.map(|address| (address.url.into(), address.region)).map_err(|error| error.to_string())
    }

    #[test]
    fn workspace_is_an_id_or_an_arn() {
        let of = |host: &str, region: &str| {
            Ok((format!("https://aps-workspaces.{host}/workspaces/ws-1/api/v1/query"), region.into()))
        };
        let arn = Some("arn:aws:aps:us-east-1:111122223333:workspace/ws-1");
        for (workspace, region, expected) in [
            (Some("ws-1"), None, of("eu-west-1.amazonaws.com", "eu-west-1")),
            (Some("ws-1"), Some("us-east-2"), of("us-east-2.amazonaws.com", "us-east-2")),
            (Some("ws-1"), Some("cn-north-1"), of("cn-north-1.amazonaws.com.cn", "cn-north-1")),
            (arn, None, of("us-east-1.amazonaws.com", "us-east-1")),
        ] {
            assert_eq!(address(workspace, None, region), expected, "{workspace:?} {region:?}");
        }
        for workspace in ["", "ws/1", "arn:aws:aps:us-east-1:111122223333:rule/ws-1", "ws-1?a=b"] {
            let error = address(Some(workspace), None, None).expect_err("invalid");
            assert!(error.starts_with("invalid workspace"), "{workspace}: {error}");
        }
    }

    #[test]
    fn url_is_that_of_the_workspace_or_of_an_api() {
        let base = "https://aps-workspaces.us-west-2.amazonaws.com/workspaces/ws-1";
        for suffix in ["", "/", "/api/v1/remote_write", "/api/v1/query", "/api/v1/", "?query=up#a"] {
            let expected = Ok((format!("{base}/api/v1/query"), "us-west-2".into()));
            assert_eq!(address(None, Some(&format!("{base}{suffix}")), None), expected, "{suffix}");
        }
        let local = address(None, Some("http://127.0.0.1:9090"), None);
        assert_eq!(local, Ok(("http://127.0.0.1:9090/api/v1/query".into(), "eu-west-1".into())));
        for url in ["ws-1", "http://prometheus.example.com", "ftp://a", "data:text"] {
            let error = address(None, Some(url), None).expect_err("invalid");
            assert!(error.starts_with("invalid URL"), "{url}: {error}");
        }
        let error = address(None, Some("ftp://user:secret@a?secret"), None).expect_err("invalid");
        assert!(error.contains("ftp://...@a") && !error.contains("secret"), "{error}");
        assert!(address(None, None, None).expect_err("no workspace").starts_with("no workspace: set --workspace"));
    }
}
