//! Region of a workspace, from the host of its remote write URL.

use url::Url;

/// First labels of the hosts of workspaces (AWS General Reference, "Amazon Managed Service for Prometheus endpoints and quotas").
const SERVICES: [&str; 2] = ["aps-workspaces", "aps-workspaces-fips"];

/// Returns the region in the host of a workspace: of the public, the FIPS and the dual-stack endpoint, and of an interface endpoint
/// (`vpce-ID.aps-workspaces.REGION.vpce.DOMAIN`), in every partition. `None` for other hosts, such as private names.
pub fn workspace_region(endpoint: &Url) -> Option<&str> {
    let mut labels = endpoint.host_str()?.split('.');
    labels.find(|label| SERVICES.contains(label))?;
    let region = labels.next()?;
    // The domain follows, and a region has the form `eu-west-1`.
    let is_region =
        labels.next().is_some() && region.split('-').count() >= 3 && region.ends_with(|c: char| c.is_ascii_digit());
    is_region.then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_read_from_each_form_of_the_host() {
        for (host, expected) in [
            ("aps-workspaces.us-east-1.amazonaws.com", Some("us-east-1")),
            ("aps-workspaces-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("aps-workspaces.eu-west-1.api.aws", Some("eu-west-1")),
            ("aps-workspaces.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("aps-workspaces.eusc-de-east-1.amazonaws.eu", Some("eusc-de-east-1")),
            ("vpce-0a1b-c2d3.aps-workspaces.eu-central-1.vpce.amazonaws.com", Some("eu-central-1")),
            ("vpce-0a1b-c2d3-eu-central-1a.aps-workspaces.eu-central-1.vpce.amazonaws.com", Some("eu-central-1")),
            ("prometheus.example.com", None),
            ("aps-workspaces.example.com", None),
            ("aps-workspaces.us-east-1", None),
            ("127.0.0.1", None),
        ] {
            let url = Url::parse(&format!("https://{host}/workspaces/ws-1/api/v1/remote_write")).expect("a URL");
            assert_eq!(workspace_region(&url), expected, "{host}");
        }
    }
}
