//! Identification of the client of a request: for metrics without resource attributes that identify it, and for limits per client.

use ring::digest::{Context, SHA256};

use crate::lambda::Request;

/// Length of the digest in hexadecimal digits. A collision among a million clients is unlikely.
const DIGITS: usize = 16;

/// Returns an id that is the same for all requests of a client: a digest of the signer, or of address and user agent. It is not
/// the session name of the signer, which whoever assumes the role can choose. `None` if the address is unknown.
pub(super) fn client_id(request: &Request) -> Option<String> {
    let mut context = Context::new(&SHA256);
    match &request.caller {
        Some(caller) => context.update(caller.arn.as_bytes()),
        None => {
            context.update(address(request)?.as_bytes());
            context.update(b" ");
            context.update(request.header("user-agent").unwrap_or_default().as_bytes());
        }
    }
    let mut id = hex::encode(context.finish());
    id.truncate(DIGITS);
    Some(id)
}

/// Returns whom the limits per client apply to: the signer, or the address. The user agent is not part of it, because a client
/// chooses it freely. Empty if the address is unknown.
pub fn sender(request: &Request) -> &str {
    match &request.caller {
        Some(caller) => &caller.arn,
        None => address(request).unwrap_or_default(),
    }
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

    fn request(source_ip: &str, agent: &str, authorizer: &str) -> Request {
        let event = format!(
            r#"{{"headers":{{"user-agent":"{agent}"}},"requestContext":{{"authorizer":{authorizer},
                "http":{{"method":"POST","sourceIp":{source_ip}}}}}}}"#
        );
        match Invocation::parse(&event) {
            Ok(Invocation::HttpRequest(request)) => *request,
            other => panic!("{event}: {other:?}"),
        }
    }

    fn id_of(source_ip: &str, agent: &str, authorizer: &str) -> Option<String> {
        client_id(&request(source_ip, agent, authorizer))
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
    fn id_of_signed_request_depends_on_role_and_session() {
        let id = |session: &str| {
            id_of(
                r#""10.0.0.1""#,
                "x",
                &format!(r#"{{"iam":{{"accountId":"1","userArn":"arn:aws:sts::1:assumed-role/{session}"}}}}"#),
            )
        };
        assert_eq!(id("cart/5f0e6c1d").as_ref().map(String::len), Some(DIGITS));
        assert_eq!(id("cart/5f0e6c1d"), id("cart/5f0e6c1d"));
        assert_ne!(id("cart/5f0e6c1d"), id("cart/5f0e6c1e"));
        assert_ne!(id("cart/5f0e6c1d"), id("bank/5f0e6c1d"), "another role can have a session of the same name");
    }

    #[test]
    fn sender_does_not_depend_on_what_the_client_chooses() {
        assert_eq!(sender(&request(r#""10.0.0.1""#, "OTel-Go", "null")), "10.0.0.1");
        assert_eq!(sender(&request("null", "OTel-Go", "null")), "");
        let iam = r#"{"iam":{"accountId":"1","userArn":"arn:aws:sts::1:assumed-role/cart/a"}}"#;
        assert_eq!(sender(&request(r#""10.0.0.1""#, "x", iam)), "arn:aws:sts::1:assumed-role/cart/a");
    }
}
