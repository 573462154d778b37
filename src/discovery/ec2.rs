//! Private addresses of EC2 instances, by the Query API: the SDK's EC2 client is larger than all the rest of this
//! function together (docs/decisions/0007-ec2-without-its-sdk.md).
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
use crate::deadline::Deadline;

/// The name of EC2 in SigV4.
const SERVICE: &str = "ec2";

/// The only version of the Query API that is current.
const VERSION: &str = "2016-11-15";

/// Instances per call: a filter takes 200 values.
const INSTANCES_PER_CALL: usize = 200;

/// EC2's endpoint in one region.
#[derive(Clone, Debug)]
pub struct Ec2Client {
    endpoint: Url,
    post: SigV4Client,
}

impl Ec2Client {
    pub fn new(endpoint: Url, post: SigV4Client) -> Self {
        Self { endpoint, post }
    }

    /// The addresses of these instances; those that have gone have none. A call that fails costs only its own.
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
                Err((reason, passing)) => {
                    let subject = format!("{} instances", chunk.len());
                    failures.push(DiscoveryError { call: "DescribeInstances", subject, reason, retryable: passing });
                }
            }
        }
        (addresses, failures)
    }

    async fn describe(&self, ids: &[&str], deadline: &Deadline) -> Result<Vec<(String, IpAddr)>, (String, bool)> {
        let mut headers = HeaderMap::with_capacity(5);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        headers.insert(CONTENT_TYPE, form);
        match self.post.post_with_retry(SERVICE, &self.endpoint, &headers, &query(ids), deadline).await {
            PostResult::Success { body, .. } => addresses(&body).map_err(|error| (error, false)),
            PostResult::Rejected { error, .. } => Err((format!("EC2 answered {error}"), false)),
            PostResult::Retryable { error, .. } => Err((error.detail, true)),
        }
    }
}

/// By a filter, because an id among `InstanceId.N` that has gone makes the whole call fail.
fn query(ids: &[&str]) -> Bytes {
    let mut query = format!("Action=DescribeInstances&Version={VERSION}&Filter.1.Name=instance-id");
    for (index, id) in ids.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(query, "&Filter.1.Value.{}=", index + 1);
        query.extend(url::form_urlencoded::byte_serialize(id.as_bytes()));
    }
    query.into()
}

/// Ids and addresses out of `reservationSet/item/instancesSet/item`. Network interfaces have addresses too, one level
/// further down.
fn addresses(body: &[u8]) -> Result<Vec<(String, IpAddr)>, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("EC2's answer is no text: {error}"))?;
    let broken = |error: XmlDecodeError| format!("EC2's answer cannot be read: {error}");
    let mut document = Document::new(text);
    let mut root = document.root_element().map_err(broken)?;
    let mut found = Vec::new();
    for_each(&mut root, "reservationSet", &mut |reservations| {
        for_each(reservations, "item", &mut |reservation| {
            for_each(reservation, "instancesSet", &mut |instances| {
                for_each(instances, "item", &mut |instance| {
                    found.extend(id_and_address(instance)?);
                    Ok(())
                })
            })
        })
    })
    .map_err(broken)?;
    Ok(found)
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

/// `None` for an instance without an address, such as one that is terminated.
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

    const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
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
    fn an_instance_has_the_address_that_stands_beside_its_id() {
        let found = addresses(ANSWER.as_bytes()).expect("it is well formed");
        let expected = [("i-0a", "10.0.0.9"), ("i-0c", "10.0.0.10")];
        assert_eq!(found, expected.map(|(id, address)| (id.to_owned(), address.parse().expect("an address"))));
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_never_an_address() {
        for body in ["", "<html>", "not xml", "<a><reservationSet><item>"] {
            if let Ok(found) = addresses(body.as_bytes()) {
                assert!(found.is_empty(), "{body}");
            }
        }
        assert!(addresses(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn ids_are_asked_for_by_a_filter() {
        let expected = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-id\
                        &Filter.1.Value.1=i-0a&Filter.1.Value.2=i%26b";
        assert_eq!(query(&["i-0a", "i&b"]), expected);
    }
}
