//! Who sent a request, as far as the request itself tells: for metrics that do not say whose they are.

use ring::digest::{Context, SHA256};

use crate::lambda::Request;

/// Digits of the digest: enough that no two of a million senders meet.
const DIGITS: usize = 16;

/// Something that the same sender has with every push and no other has: of a signed request the session name of its role,
/// which is the task's id; else a digest of its address and its user agent. `None` when not even an address is known.
pub(super) fn client_id(request: &Request) -> Option<String> {
    if let Some(session) = request.caller.as_ref().and_then(|caller| caller.arn.rsplit_once('/')) {
        return Some(session.1.to_owned());
    }
    let mut context = Context::new(&SHA256);
    context.update(address(request)?.as_bytes());
    context.update(b" ");
    context.update(request.header("user-agent").unwrap_or_default().as_bytes());
    let hex: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(hex.chars().take(DIGITS).collect())
}

/// The peer of the door; behind a load balancer the last address that it has added itself.
fn address(request: &Request) -> Option<&str> {
    let forwarded = || request.header("x-forwarded-for")?.rsplit(',').next().map(str::trim);
    request.source_ip.as_deref().or_else(forwarded).filter(|address| !address.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::Invocation;

    fn sender_of(source_ip: &str, agent: &str, authorizer: &str) -> Option<String> {
        let event = format!(
            r#"{{"headers":{{"user-agent":"{agent}"}},"requestContext":{{"authorizer":{authorizer},
                "http":{{"method":"POST","sourceIp":{source_ip}}}}}}}"#
        );
        match Invocation::parse(&event) {
            Ok(Invocation::HttpRequest(request)) => client_id(&request),
            other => panic!("{event}: {other:?}"),
        }
    }

    #[test]
    fn a_sender_is_the_same_with_every_push_and_no_other() {
        let one = sender_of(r#""10.0.0.1""#, "OTel-Go", "null");
        assert_eq!(one.as_ref().map(String::len), Some(DIGITS));
        assert_eq!(one, sender_of(r#""10.0.0.1""#, "OTel-Go", "null"));
        assert_ne!(one, sender_of(r#""10.0.0.2""#, "OTel-Go", "null"));
        assert_ne!(one, sender_of(r#""10.0.0.1""#, "OTel-Java", "null"));
        assert_eq!(sender_of("null", "OTel-Go", "null"), None);
    }

    #[test]
    fn a_signed_request_is_sent_by_its_session() {
        let iam = r#"{"iam":{"accountId":"1","userArn":"arn:aws:sts::1:assumed-role/cart/5f0e6c1d"}}"#;
        assert_eq!(sender_of(r#""10.0.0.1""#, "x", iam).as_deref(), Some("5f0e6c1d"));
    }
}
