//! Who may push: holders of a bearer token, callers authenticated by IAM, or anyone.
//!
//! The function knows the tokens only by their SHA-256 hashes, and compares in constant time.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use super::ErrorResponse;
use crate::lambda::Request;
use crate::model::arn::Arn;
use crate::rules::glob;
use crate::settings::Auth;

/// A presented token longer than this is none of ours: `sidecarless token` makes 43 characters.
const MAX_TOKEN_BYTES: usize = 1_024;

/// What is shown of a caller's ARN: role names have up to 64 characters, session names too.
const MAX_LOGGED_ARN: usize = 256;

/// The most that decoded telemetry may take, strings left out: a request of Lambda's 6 MB with real telemetry takes less
/// than 40 MB, and twice that fits into the smallest memory size that is recommended.
const DECODED_LIMIT: usize = 96 << 20;

/// Lets callers in or turns them away.
#[derive(Clone, Debug)]
pub struct Authenticator {
    auth: Auth,
    tokens: Vec<[u8; 32]>,
    /// Globs of those whom IAM has authenticated.
    allowed_callers: Vec<String>,
    pub(super) decoded_limit: usize,
}

impl Authenticator {
    pub fn new(auth: Auth, tokens: Vec<[u8; 32]>) -> Self {
        Self { auth, tokens, allowed_callers: vec!["*".into()], decoded_limit: DECODED_LIMIT }
    }

    /// Of the callers that IAM has authenticated only these, as globs of what they are called: the ARN of the session, the
    /// ARN of its role as `arn:aws:iam::<account>:role/<name>`, or the role's name.
    #[must_use]
    pub fn with_callers(self, callers: Vec<String>) -> Self {
        Self { allowed_callers: callers, ..self }
    }

    /// With less room for what is decoded where the function has little memory: a quarter of it, since the event, the body
    /// and what is made of them stand beside it.
    #[must_use]
    pub fn with_memory_limit(self, memory_mb: Option<u64>) -> Self {
        let quarter = memory_mb.and_then(|mb| usize::try_from(mb << 18).ok()).unwrap_or(DECODED_LIMIT);
        Self { decoded_limit: quarter.min(DECODED_LIMIT), ..self }
    }

    pub(super) fn authenticate(&self, request: &Request) -> Result<(), ErrorResponse> {
        match self.auth {
            Auth::Disabled => Ok(()),
            Auth::Iam => match &request.caller {
                Some(caller) => self.authorize_caller(&caller.arn),
                None => Err(ErrorResponse::unauthenticated(
                    "the request was not signed with SigV4, which this function asks for",
                )),
            },
            Auth::Token => self.verify_bearer_token(request.header("authorization")),
        }
    }

    fn authorize_caller(&self, arn: &str) -> Result<(), ErrorResponse> {
        let role = role_of(arn);
        let is_one = |pattern: &String| {
            glob::matches(pattern, arn)
                || role
                    .as_ref()
                    .is_some_and(|(role_arn, name)| glob::matches(pattern, role_arn) || glob::matches(pattern, name))
        };
        if self.allowed_callers.iter().any(is_one) {
            return Ok(());
        }
        let shown: String = arn.chars().take(MAX_LOGGED_ARN).collect();
        Err(ErrorResponse::forbidden(format!("{} is none of SIDECARLESS_IAM_CALLERS", shown.escape_debug())))
    }

    fn verify_bearer_token(&self, header: Option<&str>) -> Result<(), ErrorResponse> {
        let Some(header) = header else {
            return Err(ErrorResponse::unauthenticated(
                "a bearer token is missing: set OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20<token>",
            ));
        };
        let Some(token) = presented_token(header) else {
            return Err(ErrorResponse::unauthenticated("the authorization header is not of the form `Bearer <token>`"));
        };
        let presented = digest(&SHA256, token.as_bytes());
        // Every accepted token is looked at, whatever the ones before it gave.
        let known = self.tokens.iter().fold(false, |known, token| known | constant_time_eq(token, presented.as_ref()));
        if known {
            Ok(())
        } else {
            Err(ErrorResponse::unauthenticated("the bearer token is not one of those accepted here"))
        }
    }
}

/// The token of `Bearer <token>`; or the password of `Basic`, which clients that can send no header of their own take from a
/// URL (RFC 7617): X-Ray's remote samplers.
fn presented_token(header: &str) -> Option<Cow<'_, str>> {
    let (scheme, credentials) = header.trim().split_once(' ')?;
    let credentials = Some(credentials.trim()).filter(|text| !text.is_empty() && text.len() <= MAX_TOKEN_BYTES)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Cow::Borrowed(credentials));
    }
    let decoded = STANDARD.decode(credentials).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    (!password.is_empty()).then(|| Cow::Owned(password.to_owned()))
}

/// ARN and name of the role that a session is of. Its path is not part of a session's ARN (IAM User Guide, "IAM identifiers").
fn role_of(session_arn: &str) -> Option<(String, &str)> {
    let arn = Arn::parse(session_arn)?;
    let (role, _) = arn.resource_of("assumed-role")?.rsplit_once('/')?;
    Some((format!("arn:{}:iam::{}:role/{role}", arn.partition, arn.account), role))
}

/// Equality in a time that does not depend on where the difference is.
fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::Invocation;

    fn admitted(gate: &Authenticator, authorization: Option<&str>, signed: bool) -> bool {
        let headers = authorization.map_or("{}".into(), |value| format!(r#"{{"authorization":"{value}"}}"#));
        let authorizer =
            if signed { r#"{"iam":{"accountId":"1","userArn":"arn:aws:sts::1:assumed-role/r/s"}}"# } else { "null" };
        let event = format!(
            r#"{{"headers":{headers},"requestContext":{{"http":{{"method":"POST"}},"authorizer":{authorizer}}}}}"#
        );
        match Invocation::parse(&event) {
            Ok(Invocation::HttpRequest(request)) => gate.authenticate(&request).is_ok(),
            other => panic!("{event}: {other:?}"),
        }
    }

    #[test]
    fn only_holders_of_an_accepted_token_come_in() {
        let hash = |token: &str| <[u8; 32]>::try_from(digest(&SHA256, token.as_bytes()).as_ref()).unwrap();
        let gate = Authenticator::new(Auth::Token, vec![hash("old"), hash("new")]);
        for (authorization, expected) in [
            (Some("Bearer old"), true),
            (Some("bearer new"), true),
            (Some("Bearer  new "), true),
            (Some("Bearer nex"), false),
            (Some("Bearer newnew"), false),
            (Some("Bearer "), false),
            (Some("new"), false),
            (Some("Basic new"), false),
            // sampler:new, :new, new and sampler:
            (Some("Basic c2FtcGxlcjpuZXc="), true),
            (Some("basic Om5ldw=="), true),
            (Some("Basic bmV3"), false),
            (Some("Basic c2FtcGxlcjo="), false),
            (Some("Digest c2FtcGxlcjpuZXc="), false),
            (None, false),
        ] {
            assert_eq!(admitted(&gate, authorization, true), expected, "{authorization:?}");
        }
        assert!(
            !admitted(&Authenticator::new(Auth::Token, vec![]), Some("Bearer old"), false),
            "no token is accepted when none is set"
        );
    }

    #[test]
    fn of_signed_callers_only_those_that_are_named_come_in() {
        for (callers, expected) in [
            ("*", true),
            ("r", true),
            ("r*", true),
            ("arn:aws:iam::1:role/r", true),
            ("arn:aws:iam::*:role/*", true),
            ("arn:aws:sts::1:assumed-role/r/*", true),
            ("s", false),
            ("arn:aws:iam::2:role/*", false),
            ("other,arn:aws:iam::1:role/r", true),
            ("other", false),
        ] {
            let callers = callers.split(',').map(str::to_owned).collect();
            let gate = Authenticator::new(Auth::Iam, vec![]).with_callers(callers);
            assert_eq!(admitted(&gate, None, true), expected, "{gate:?}");
        }
    }

    #[test]
    fn iam_asks_for_a_signed_request_and_none_for_nothing() {
        assert!(admitted(&Authenticator::new(Auth::Iam, vec![]), None, true));
        assert!(!admitted(&Authenticator::new(Auth::Iam, vec![]), Some("Bearer old"), false));
        assert!(admitted(&Authenticator::new(Auth::Disabled, vec![]), None, false));
    }
}
