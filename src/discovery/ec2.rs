//! Private addresses of EC2 instances, from the Query API. The EC2 client of the SDK is larger than the rest of the
//! function (docs/decisions/0007-ec2-without-its-sdk.md).
//!
//! Shape: Amazon EC2 API Reference, "DescribeInstances" and "Making requests to the Amazon EC2 API".

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

use super::ecs_client::DiscoveryError;
use crate::aws::client::{PostResult, SigV4Client};
use crate::aws::error::{AwsError, AwsErrorKind};
use crate::deadline::Deadline;

/// Service name of EC2 in SigV4.
const SERVICE: &str = "ec2";

/// Current version of the Query API.
const VERSION: &str = "2016-11-15";

/// A filter accepts 200 values.
const INSTANCES_PER_CALL: usize = 200;

/// EC2 endpoint of a region.
#[derive(Clone, Debug)]
pub struct Ec2Client {
    endpoint: Url,
    post: SigV4Client,
}

impl Ec2Client {
    pub fn new(endpoint: Url, post: SigV4Client) -> Self {
        Self { endpoint, post }
    }

    /// Returns the addresses of instances, and failed calls. Terminated instances have no address. A failed call
    /// affects only the instances in it.
    pub(super) async fn private_addresses(
        &self,
        ids: &HashSet<&str>,
        deadline: &Deadline,
    ) -> (HashMap<String, IpAddr>, Vec<DiscoveryError>) {
        let mut ids: Vec<&str> = ids.iter().copied().collect();
        ids.sort_unstable();
        let (mut addresses, mut failures) = (HashMap::new(), Vec::new());
        for chunk in ids.chunks(INSTANCES_PER_CALL) {
            match self.describe(chunk, deadline).await {
                Ok(described) => addresses.extend(described),
                Err(error) => {
                    let subject = format!("{} instances", chunk.len());
                    failures.push(DiscoveryError { call: "DescribeInstances", subject, error });
                }
            }
        }
        (addresses, failures)
    }

    async fn describe(&self, ids: &[&str], deadline: &Deadline) -> Result<Vec<(String, IpAddr)>, AwsError> {
        let mut headers = HeaderMap::with_capacity(5);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        headers.insert(CONTENT_TYPE, form);
        match self.post.post_with_retry(SERVICE, &self.endpoint, &headers, &query(ids), deadline).await {
            PostResult::Success { body, .. } => addresses(&body),
            PostResult::Rejected { error, .. } | PostResult::Retryable { error, .. } => Err(error),
        }
    }
}

/// Uses a filter, because the call fails if one of `InstanceId.N` no longer exists.
fn query(ids: &[&str]) -> Bytes {
    let mut query = format!("Action=DescribeInstances&Version={VERSION}&Filter.1.Name=instance-id");
    for (index, id) in ids.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(query, "&Filter.1.Value.{}=", index + 1);
        query.extend(url::form_urlencoded::byte_serialize(id.as_bytes()));
    }
    query.into()
}

/// Reads ids and addresses from `reservationSet/item/instancesSet/item`. The addresses of network interfaces are one
/// level deeper.
fn addresses(body: &[u8]) -> Result<Vec<(String, IpAddr)>, AwsError> {
    let text = std::str::from_utf8(body).map_err(|error| invalid_response(&error))?;
    let mut document = Document::new(text);
    let mut root = document.root_element().map_err(|error| invalid_response(&error))?;
    let mut instances_found = Vec::new();
    for_each(&mut root, "reservationSet", &mut |reservations| {
        for_each(reservations, "item", &mut |reservation| {
            for_each(reservation, "instancesSet", &mut |instances| {
                for_each(instances, "item", &mut |instance| {
                    instances_found.extend(id_and_address(instance)?);
                    Ok(())
                })
            })
        })
    })
    .map_err(|error| invalid_response(&error))?;
    Ok(instances_found)
}

fn invalid_response(error: &dyn std::error::Error) -> AwsError {
    AwsError::new(AwsErrorKind::InvalidResponse, format!("invalid response of EC2: {error}"))
}

type Visit<'v, 'inp> = &'v mut dyn FnMut(&mut ScopedDecoder<'inp, '_>) -> Result<(), XmlDecodeError>;

fn for_each<'inp>(
    parent: &mut ScopedDecoder<'inp, '_>,
    name: &str,
    visit: Visit<'_, 'inp>,
) -> Result<(), XmlDecodeError> {
    while let Some(mut child) = parent.next_tag() {
        if child.start_el().local() == name {
            visit(&mut child)?;
        }
    }
    Ok(())
}

/// Returns `None` for an instance without an address, such as a terminated one.
fn id_and_address(instance: &mut ScopedDecoder<'_, '_>) -> Result<Option<(String, IpAddr)>, XmlDecodeError> {
    let (mut id, mut address) = (None, None);
    while let Some(mut child) = instance.next_tag() {
        match child.start_el().local() {
            "instanceId" => id = Some(try_data(&mut child)?.trim().to_owned()),
            "privateIpAddress" => address = try_data(&mut child)?.trim().parse().ok(),
            _ => {}
        }
    }
    Ok(id.zip(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>8f7724cf</requestId>
<reservationSet>
 <item><reservationId>r-1</reservationId><instancesSet>
  <item><instanceId>i-0a</instanceId><instanceState><code>16</code><name>running</name></instanceState>
   <networkInterfaceSet><item><privateIpAddress>10.9.9.9</privateIpAddress></item></networkInterfaceSet>
   <privateIpAddress>10.0.0.9</privateIpAddress><tagSet><item><key>instanceId</key><value>x &amp; y</value></item></tagSet></item>
  <item><instanceId>i-0b</instanceId><privateIpAddress/></item>
 </instancesSet></item>
 <item><instancesSet><item><privateIpAddress>10.0.0.10</privateIpAddress><instanceId>i-0c</instanceId></item></instancesSet></item>
</reservationSet></DescribeInstancesResponse>"#;

    #[test]
    fn address_is_read_from_the_instance_not_its_interfaces() {
        let instances = addresses(RESPONSE.as_bytes()).expect("it is well formed");
        let expected = [("i-0a", "10.0.0.9"), ("i-0c", "10.0.0.10")];
        assert_eq!(instances, expected.map(|(id, address)| (id.to_owned(), address.parse().expect("an address"))));
    }

    #[test]
    fn invalid_response_has_no_addresses() {
        for body in ["", "<html>", "not xml", "<a><reservationSet><item>"] {
            if let Ok(instances) = addresses(body.as_bytes()) {
                assert!(instances.is_empty(), "{body}");
            }
        }
        assert!(addresses(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn query_filters_by_escaped_instance_id() {
        let expected = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-id\
                        &Filter.1.Value.1=i-0a&Filter.1.Value.2=i%26b";
        assert_eq!(query(&["i-0a", "i&b"]), expected);
    }
}
