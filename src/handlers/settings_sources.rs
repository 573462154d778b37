//! Settings of the environment, and of the SSM parameter that it names.

use std::time::Duration;

use reqwest::Client;
use url::Url;

use super::BuildError;
use crate::aws::client::SigV4Client;
use crate::aws::credentials::CachedCredentials;
use crate::aws::endpoints::EndpointRules;
use crate::aws::sign::Signer;
use crate::aws::{clients, ssm};
use crate::deadline::Deadline;
use crate::settings::{Sources, plain_http};

/// Time limit of reading the parameter. Lambda starts an environment within ten seconds (AWS Lambda Developer Guide, "Lambda execution
/// environment lifecycle").
const READ_TIMEOUT: Duration = Duration::from_secs(7);

/// Variables that replace the endpoint, in the order of the SDK.
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL"];

/// Reads the settings of the environment, and of the SSM parameter that it names. A parameter that cannot be read is an error of the
/// settings: without it, the function would send or keep data otherwise than it should.
pub async fn settings_sources(variables: Vec<(String, String)>, http: &Client) -> Sources {
    let mut sources = Sources::new(variables);
    let Some(name) = sources.parameter().map(str::to_owned) else { return sources };
    // An endpoint that is refused gets no signature.
    if plain_http::errors(sources.variables()).next().is_some() {
        return sources;
    }
    match read(&name, sources.variables(), http).await {
        Ok(text) => sources.add_parameter(&name, &text),
        Err(error) => sources.fail(format_args!("cannot read the SSM parameter {name}: {error}")),
    }
    sources
}

async fn read(name: &str, variables: &[(String, String)], http: &Client) -> Result<String, Box<dyn std::error::Error>> {
    let aws = clients::aws(http).await;
    let region = aws.region().ok_or(BuildError::NoRegion)?.as_ref();
    let credentials = CachedCredentials::of_function(&aws).ok_or(BuildError::NoCredentials)?;
    let endpoint = match endpoint(variables) {
        Some(url) => url.parse::<Url>()?,
        None => EndpointRules::new(&aws, region).ssm()?,
    };
    let client = SigV4Client::new(http.clone(), Signer::new(credentials, region));
    Ok(ssm::parameter(&client, &endpoint, name, &Deadline::after(READ_TIMEOUT)).await?)
}

fn endpoint(variables: &[(String, String)]) -> Option<&str> {
    let value = |name| variables.iter().find(|(other, value)| other == name && !value.trim().is_empty());
    ENDPOINT_VARIABLES.into_iter().find_map(value).map(|(_, url)| url.trim())
}
