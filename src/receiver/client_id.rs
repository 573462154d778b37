//! Identification of the client of a request, for metrics without resource attributes that identify it.

use ring::digest::{Context, SHA256};

use crate::lambda::Request;

/// Length of the digest in hexadecimal digits. A collision among a million clients is unlikely.
const DIGITS: usize = 16;

/// Returns an id that is the same for all requests of a client. For a signed request, it is the session name of the role,
/// which is the task id; otherwise it is a digest of address and user agent. `None` if the address is unknown.
pub(super) fn client_id(request: &Request) -> Option<String> {
    if let Some(session) = request.caller.as_ref().and_then(|caller| caller.arn.rsplit_once('/')) {
        return Some(session.1.to_owned());
    }
    let mut context = Context::new(&SHA256);
    context.update(address(request)?.as_bytes());
    context.update(b" ");
    context.update(request.header("user-agent").unwrap_or_default().as_bytes());
    let mut id = hex::encode(context.finish());
    id.truncate(DIGITS);
    Some(id)
}

/// Returns the address of the TCP peer. Behind a load balancer, this is the last address in the header, which the load balancer
/// added itself.
fn address(request: &Request) -> Option<&str> {
    let forwarded = || request.header("x-forwarded-for")?.rsplit(',').next().map(str::trim);
    request.source_ip.as_deref().or_else(forwarded).filter(|address| !address.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::Invocation;

    fn id_of(source_ip: &str, agent: &str, authorizer: &str) -> Option<String> {
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
    fn id_depends_on_address_and_user_agent() {
        let one = id_of(r#""10.0.0.1""#, "OTel-Go", "null");
        assert_eq!(one.as_ref().map(String::len), Some(DIGITS));
        assert_eq!(one, id_of(r#""10.0.0.1""#, "OTel-Go", "null"));
        assert_ne!(one, id_of(r#""10.0.0.2""#, "OTel-Go", "null"));
        assert_ne!(one, id_of(r#""10.0.0.1""#, "OTel-Java", "null"));
        assert_eq!(id_of("null", "OTel-Go", "null"), None);
    }

    #[test]
    fn id_of_signed_request_is_its_session_name() {
        let iam = r#"{"iam":{"accountId":"1","userArn":"arn:aws:sts::1:assumed-role/cart/5f0e6c1d"}}"#;
        assert_eq!(id_of(r#""10.0.0.1""#, "x", iam).as_deref(), Some("5f0e6c1d"));
    }
}
