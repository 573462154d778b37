//! Whose credentials these are, by STS' Query API: the one call that needs no permission.
//!
//! Shape: AWS Security Token Service API Reference, "GetCallerIdentity". The SDK's own client is linked for roles that are
//! assumed, but not handed out.

use aws_smithy_xml::decode::{Document, ScopedDecoder, try_data};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use url::Url;

use super::client::{PostResult, SigV4Client};
use crate::deadline::Deadline;

/// The name of STS in SigV4.
const SERVICE: &str = "sts";

const QUERY: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";

/// STS' endpoint in one region.
#[derive(Clone, Debug)]
pub struct StsClient {
    endpoint: Url,
    post: SigV4Client,
}

/// What STS says.
#[derive(Debug)]
pub struct CallerIdentity {
    pub identity: CredentialStatus,
    /// The `Date` of the answer, in milliseconds since the epoch, when there was one.
    pub date_ms: Option<i64>,
}

/// Whether the credentials are good.
#[derive(Debug, PartialEq, Eq)]
pub enum CredentialStatus {
    /// Of this ARN.
    Valid(String),
    /// STS knows no such credentials, or does not take the signature.
    Rejected(String),
    /// There is nothing to sign with.
    Missing(String),
    /// Nobody could be asked.
    Unreachable(String),
}

impl StsClient {
    pub fn new(endpoint: Url, post: SigV4Client) -> Self {
        Self { endpoint, post }
    }

    /// Asks once.
    pub async fn get_caller_identity(&self, deadline: &Deadline) -> CallerIdentity {
        if let Err(error) = self.post.credentials().await {
            return CallerIdentity {
                identity: CredentialStatus::Missing(super::client::error_chain(&error)),
                date_ms: None,
            };
        }
        let mut headers = HeaderMap::with_capacity(5);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        headers.insert(CONTENT_TYPE, form);
        match self.post.post(SERVICE, &self.endpoint, headers, Bytes::from_static(QUERY), deadline).await {
            PostResult::Success { headers, body, .. } => {
                let unread = || CredentialStatus::Unreachable("what answered is not STS".into());
                CallerIdentity {
                    identity: arn(&body).map_or_else(unread, CredentialStatus::Valid),
                    date_ms: date_ms(&headers),
                }
            }
            PostResult::Rejected { status, headers, reason } => CallerIdentity {
                identity: CredentialStatus::Rejected(format!("{status}: {reason}")),
                date_ms: date_ms(&headers),
            },
            PostResult::Retryable { why, .. } => {
                CallerIdentity { identity: CredentialStatus::Unreachable(why), date_ms: None }
            }
        }
    }
}

/// RFC 9110, section 5.6.7: the preferred format is one of RFC 2822's.
fn date_ms(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(time.as_millisecond())
}

/// `GetCallerIdentityResult/Arn`.
fn arn(body: &[u8]) -> Option<String> {
    let mut document = Document::new(std::str::from_utf8(body).ok()?);
    let mut root = document.root_element().ok()?;
    while let Some(mut result) = root.next_tag() {
        if result.start_el().local() == "GetCallerIdentityResult" {
            return text_of("Arn", &mut result);
        }
    }
    None
}

fn text_of(name: &str, parent: &mut ScopedDecoder<'_, '_>) -> Option<String> {
    while let Some(mut child) = parent.next_tag() {
        if child.start_el().local() == name {
            return Some(try_data(&mut child).ok()?.trim().to_owned()).filter(|text| !text.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <UserId>AROA123:sidecarless</UserId><Account>111122223333</Account>
    <Arn>arn:aws:sts::111122223333:assumed-role/tasks/sidecarless</Arn>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>01234567</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>"#;

    #[test]
    fn the_arn_is_read_and_nothing_else_is_one() {
        let expected = Some("arn:aws:sts::111122223333:assumed-role/tasks/sidecarless".to_owned());
        assert_eq!(arn(ANSWER.as_bytes()), expected);
        for body in ["", "<html><Arn>a</Arn></html>", "{}", "<a><GetCallerIdentityResult><Arn/>"] {
            assert_eq!(arn(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        for (date, expected) in [
            ("Sun, 22 Nov 2026 23:25:00 GMT", Some(1_795_389_900_000)),
            ("Mon, 22 Nov 2026 23:25:00 GMT", None),
            ("now", None),
        ] {
            let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]);
            assert_eq!(date_ms(&headers), expected, "{date}");
        }
        assert_eq!(date_ms(&HeaderMap::new()), None);
    }
}
