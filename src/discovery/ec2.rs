//! Private addresses of EC2 instances, from the Query API. The EC2 client of the SDK is larger than the rest of the
//! function (docs/decisions/0007-ec2-without-its-sdk.md).
//!
//! Shape: Amazon EC2 API Reference, "DescribeInstances" and "Making requests to the Amazon EC2 API".

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
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

/// Instances of one call. A filter accepts 200 values, but an instance with 50 tags of 384 bytes and 15 network interfaces takes
/// some 40 KB, and the client reads responses of up to 1 MiB.
const INSTANCES_PER_CALL: usize = 25;

/// Calls at the same time.
const CONCURRENCY: usize = 4;

/// End of a complete response.
const END_OF_RESPONSE: &str = "</DescribeInstancesResponse>";

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
        let mut calls = stream::iter(ids.chunks(INSTANCES_PER_CALL))
            .map(|chunk| async move { (chunk, self.describe(chunk, deadline).await) })
            .buffer_unordered(CONCURRENCY);
        while let Some((chunk, (described, error))) = calls.next().await {
            addresses.extend(described);
            if let Some(error) = error {
                let subject = format!("{} instances", chunk.len());
                failures.push(DiscoveryError { call: "DescribeInstances", subject, error });
            }
        }
        (addresses, failures)
    }

    /// Returns the addresses of instances, and the error of the last failed call. If a response is not complete because it is
    /// too large, describes the halves.
    async fn describe(&self, ids: &[&str], deadline: &Deadline) -> (Vec<(String, IpAddr)>, Option<AwsError>) {
        let (mut addresses, mut error) = (Vec::new(), None);
        let mut calls = vec![(ids, None)];
        while let Some((ids, token)) = calls.pop() {
            match self.describe_page(ids, token.as_deref(), deadline).await {
                Ok(Page { instances, next_token }) => {
                    addresses.extend(instances);
                    calls.extend(next_token.map(|token| (ids, Some(token))));
                }
                Err(PageError::Incomplete) if ids.len() > 1 => {
                    let (first, second) = ids.split_at(ids.len() / 2);
                    calls.extend([(first, None), (second, None)]);
                }
                Err(failed) => error = Some(failed.into()),
            }
        }
        (addresses, error)
    }

    async fn describe_page(&self, ids: &[&str], token: Option<&str>, deadline: &Deadline) -> Result<Page, PageError> {
        let mut headers = HeaderMap::with_capacity(5);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        headers.insert(CONTENT_TYPE, form);
        match self.post.post_with_retry(SERVICE, &self.endpoint, &headers, &query(ids, token), deadline).await {
            PostResult::Success { body, .. } => page(&body),
            PostResult::Rejected { error, .. } | PostResult::Retryable { error, .. } => Err(PageError::Call(error)),
        }
    }
}

/// Content of one response.
#[derive(Debug, PartialEq)]
struct Page {
    instances: Vec<(String, IpAddr)>,
    /// Token of the next page; `None` for the last one.
    next_token: Option<String>,
}

/// Error of one call.
#[derive(Debug)]
enum PageError {
    Call(AwsError),
    /// The response ends before its end.
    Incomplete,
}

impl From<PageError> for AwsError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Call(error) => error,
            PageError::Incomplete => {
                AwsError::new(AwsErrorKind::InvalidResponse, "the response of EC2 is cut off or too large")
            }
        }
    }
}

/// Uses a filter, because the call fails if one of `InstanceId.N` no longer exists.
fn query(ids: &[&str], token: Option<&str>) -> Bytes {
    let mut query = format!("Action=DescribeInstances&Version={VERSION}&Filter.1.Name=instance-id");
    if let Some(token) = token {
        query.push_str("&NextToken=");
        query.extend(url::form_urlencoded::byte_serialize(token.as_bytes()));
    }
    for (index, id) in ids.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(query, "&Filter.1.Value.{}=", index + 1);
        query.extend(url::form_urlencoded::byte_serialize(id.as_bytes()));
    }
    query.into()
}

/// Reads ids and addresses from `reservationSet/item/instancesSet/item`. The addresses of network interfaces are one
/// level deeper.
fn page(body: &[u8]) -> Result<Page, PageError> {
    let text = body.trim_ascii_end();
    if !text.ends_with(END_OF_RESPONSE.as_bytes()) {
        return Err(PageError::Incomplete);
    }
    let text = std::str::from_utf8(text).map_err(|error| invalid_response(&error))?;
    let mut document = Document::new(text);
    let mut root = document.root_element().map_err(|error| invalid_response(&error))?;
    let mut page = Page { instances: Vec::new(), next_token: None };
    while let Some(mut child) = root.next_tag() {
        match child.start_el().local() {
            "reservationSet" => {
                read_reservations(&mut child, &mut page.instances).map_err(|error| invalid_response(&error))?;
            }
            "nextToken" => {
                let token = try_data(&mut child).map_err(|error| invalid_response(&error))?;
                page.next_token = Some(token.trim().to_owned()).filter(|token| !token.is_empty());
            }
            _ => {}
        }
    }
    Ok(page)
}

fn read_reservations(
    reservations: &mut ScopedDecoder<'_, '_>,
    instances_found: &mut Vec<(String, IpAddr)>,
) -> Result<(), XmlDecodeError> {
    for_each(reservations, "item", &mut |reservation| {
        for_each(reservation, "instancesSet", &mut |instances| {
            for_each(instances, "item", &mut |instance| {
                instances_found.extend(id_and_address(instance)?);
                Ok(())
            })
        })
    })
}

fn invalid_response(error: &dyn std::error::Error) -> PageError {
    PageError::Call(AwsError::new(AwsErrorKind::InvalidResponse, format!("invalid response of EC2: {error}")))
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
    // An instance in a subnet for IPv6 only has no private IPv4 address.
    let (mut id, mut address, mut ipv6) = (None, None, None);
    while let Some(mut child) = instance.next_tag() {
        match child.start_el().local() {
            "instanceId" => id = Some(try_data(&mut child)?.trim().to_owned()),
            "privateIpAddress" => address = try_data(&mut child)?.trim().parse().ok(),
            "ipv6Address" => ipv6 = try_data(&mut child)?.trim().parse().ok(),
            _ => {}
        }
    }
    Ok(id.zip(address.or(ipv6)))
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
  <item><instanceId>i-0d</instanceId><ipv6Address>2001:db8::d</ipv6Address></item>
 </instancesSet></item>
 <item><instancesSet><item><ipv6Address>2001:db8::c</ipv6Address><privateIpAddress>10.0.0.10</privateIpAddress><instanceId>i-0c</instanceId></item></instancesSet></item>
</reservationSet></DescribeInstancesResponse>"#;

    #[test]
    fn address_is_read_from_the_instance_not_its_interfaces() {
        let page = page(RESPONSE.as_bytes()).expect("it is well formed");
        let expected = [("i-0a", "10.0.0.9"), ("i-0d", "2001:db8::d"), ("i-0c", "10.0.0.10")];
        assert_eq!(page.next_token, None);
        assert_eq!(page.instances, expected.map(|(id, address)| (id.to_owned(), address.parse().expect("an address"))));
    }

    #[test]
    fn every_cut_of_a_response_is_incomplete() {
        for end in 0..RESPONSE.len() {
            assert!(matches!(page(&RESPONSE.as_bytes()[..end]), Err(PageError::Incomplete)), "{end}");
        }
        for body in [&b"not xml</DescribeInstancesResponse>"[..], b"\xff\xfe</DescribeInstancesResponse>"] {
            assert!(page(body).is_err());
        }
    }

    #[test]
    fn token_of_the_next_page_is_read_and_sent() {
        let text = "<DescribeInstancesResponse><reservationSet/><nextToken> a=&amp;b </nextToken></DescribeInstancesResponse>\n";
        let token = page(text.as_bytes()).expect("it is well formed").next_token;
        assert_eq!(token.as_deref(), Some("a=&b"));
        assert!(query(&["i-0a"], token.as_deref()).ends_with(b"&NextToken=a%3D%26b&Filter.1.Value.1=i-0a"));
    }

    #[test]
    fn query_filters_by_escaped_instance_id() {
        let expected = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-id\
                        &Filter.1.Value.1=i-0a&Filter.1.Value.2=i%26b";
        assert_eq!(query(&["i-0a", "i&b"], None), expected);
    }
}
