//! Authentication of clients by bearer token or by IAM, or none.
//!
//! The function stores only the SHA-256 hashes of tokens and compares them in constant time.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use subtle::{Choice, ConstantTimeEq as _};

use super::ErrorResponse;
use super::route::Route;
use crate::lambda::Request;
use crate::model::arn::Arn;
use crate::rules::glob;
use crate::settings::{Auth, Settings};

/// Maximum length of a presented token. `sidecarless token` generates 43 characters.
const MAX_TOKEN_BYTES: usize = 1_024;

/// Authenticates requests.
#[derive(Clone, Debug)]
pub struct Authenticator {
    auth: Auth,
    tokens: Vec<[u8; 32]>,
    /// Globs of IAM callers.
    allowed_callers: Vec<String>,
}

impl Authenticator {
    pub fn new(auth: Auth, tokens: Vec<[u8; 32]>) -> Self {
        Self { auth, tokens, allowed_callers: vec!["*".into()] }
    }

    pub fn from_settings(settings: &Settings) -> Self {
        Self::new(settings.auth, settings.tokens.clone()).with_callers(settings.iam_callers.clone())
    }

    /// Allows only the IAM callers that match a glob: a glob with colons the ARN of the session, or the ARN of its role as
    /// `arn:aws:iam::<account>:role/<name>`; any other glob the name of a role in the account of the function. `*` allows every
    /// caller.
    #[must_use]
    pub fn with_callers(self, callers: Vec<String>) -> Self {
        Self { allowed_callers: callers, ..self }
    }

    pub(super) fn authenticate(&self, request: &Request, route: Route) -> Result<(), ErrorResponse> {
        match self.auth {
            Auth::Disabled => Ok(()),
            Auth::Iam => match &request.caller {
                Some(caller) => self.authorize_caller(&caller.arn, request.function_account.as_deref()),
                None => Err(ErrorResponse::unauthenticated(
                    "missing SigV4 signature: this function accepts only signed requests",
                )),
            },
            Auth::Token => match (request.header("authorization"), &request.path_token) {
                (Some(header), _) => self.verify_header(header),
                (None, Some(token)) if is_sampling(route) => self.verify_token(token.as_str()),
                (None, _) => Err(missing_token(route)),
            },
        }
    }

    fn authorize_caller(&self, arn: &str, function_account: Option<&str>) -> Result<(), ErrorResponse> {
        let role = Role::of_session(arn);
        let is_match = |pattern: &String| match &role {
            _ if pattern == "*" => true,
            Some(role) if pattern.contains(':') => glob::matches(pattern, arn) || glob::matches(pattern, &role.arn),
            // Another account can have a role of the same name.
            Some(role) => Some(role.account) == function_account && glob::matches(pattern, role.name),
            None => pattern.contains(':') && glob::matches(pattern, arn),
        };
        if self.allowed_callers.iter().any(is_match) {
            return Ok(());
        }
        Err(ErrorResponse::forbidden(format!("{arn} is not in SIDECARLESS_IAM_CALLERS")))
    }

    fn verify_header(&self, header: &str) -> Result<(), ErrorResponse> {
        match presented_token(header) {
            Some(token) => self.verify_token(&token),
            None => Err(ErrorResponse::unauthenticated("invalid authorization header: use `Bearer <token>`")),
        }
    }

    fn verify_token(&self, token: &str) -> Result<(), ErrorResponse> {
        let presented = digest(&SHA256, token.as_bytes());
        // All tokens are compared, so that the time does not depend on which one matches.
        let is_known = self.tokens.iter().fold(Choice::from(0), |known, token| known | token.ct_eq(presented.as_ref()));
        if is_known.into() {
            Ok(())
        } else {
            Err(ErrorResponse::unauthenticated("unknown bearer token: its hash is not in SIDECARLESS_TOKENS_SHA256"))
        }
    }
}

fn is_sampling(route: Route) -> bool {
    matches!(route, Route::Sampling(_))
}

fn missing_token(route: Route) -> ErrorResponse {
    ErrorResponse::unauthenticated(if is_sampling(route) {
        "missing token: the endpoint of a sampler is https://sampler:<token>@<host>, or https://<host>/sampling-token/<token> for Java and .NET"
    } else {
        "missing bearer token: set OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20<token>"
    })
}

/// Returns the token of `Bearer <token>`, or the password of `Basic` (RFC 7617). X-Ray remote samplers cannot set headers, but
/// take user and password from a URL.
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

/// The role of a session.
struct Role<'a> {
    /// Without the path of the role, which the ARN of a session does not contain (IAM User Guide, "IAM identifiers").
    arn: String,
    account: &'a str,
    name: &'a str,
}

impl<'a> Role<'a> {
    /// Returns `None` for a caller without a role, such as a user.
    fn of_session(session_arn: &'a str) -> Option<Self> {
        let Arn { partition, account, .. } = Arn::parse(session_arn)?;
        let (name, _) = Arn::parse(session_arn)?.resource_of("assumed-role")?.rsplit_once('/')?;
        Some(Self { arn: format!("arn:{partition}:iam::{account}:role/{name}"), account, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::{Event, Invocation};

    fn is_allowed(authenticator: &Authenticator, authorization: Option<&str>, signed: bool) -> bool {
        is_allowed_in("1", authenticator, authorization, signed)
    }

    /// `account` is the account of the function.
    fn is_allowed_in(account: &str, authenticator: &Authenticator, authorization: Option<&str>, signed: bool) -> bool {
        let headers = authorization.map_or("{}".into(), |value| format!(r#"{{"authorization":"{value}"}}"#));
        let authorizer =
            if signed { r#"{"iam":{"accountId":"1","userArn":"arn:aws:sts::1:assumed-role/r/s"}}"# } else { "null" };
        let event = format!(
            r#"{{"headers":{headers},"requestContext":{{"http":{{"method":"POST"}},"authorizer":{authorizer}}}}}"#
        );
        let function = format!("arn:aws:lambda:eu-west-1:{account}:function:sidecarless");
        match Event::parse(&event).invoked_as(&function).0 {
            Ok(Invocation::HttpRequest(request)) => authenticator.authenticate(&request, Route::TaskStats).is_ok(),
            other => panic!("{event}: {other:?}"),
        }
    }

    #[test]
    fn only_known_tokens_are_accepted() {
        let hash = |token: &str| <[u8; 32]>::try_from(digest(&SHA256, token.as_bytes()).as_ref()).unwrap();
        let authenticator = Authenticator::new(Auth::Token, vec![hash("old"), hash("new")]);
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
            assert_eq!(is_allowed(&authenticator, authorization, true), expected, "{authorization:?}");
        }
        assert!(
            !is_allowed(&Authenticator::new(Auth::Token, vec![]), Some("Bearer old"), false),
            "without tokens, every token is rejected"
        );
    }

    #[test]
    fn only_listed_iam_callers_are_accepted() {
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
            let authenticator = Authenticator::new(Auth::Iam, vec![]).with_callers(callers);
            assert_eq!(is_allowed(&authenticator, None, true), expected, "{authenticator:?}");
        }
    }

    #[test]
    fn role_name_is_a_role_of_the_functions_account() {
        for (callers, account, expected) in [
            ("r", "1", true),
            ("r", "2", false),
            ("r*", "2", false),
            ("r", "", false),
            ("*", "2", true),
            ("arn:aws:iam::*:role/r", "2", true),
            ("arn:aws:iam::2:role/r", "2", false),
            ("arn:aws:sts::*:assumed-role/r/*", "2", true),
        ] {
            let authenticator = Authenticator::new(Auth::Iam, vec![]).with_callers(vec![callers.to_owned()]);
            assert_eq!(is_allowed_in(account, &authenticator, None, true), expected, "{callers} in account {account}");
        }
    }

    #[test]
    fn iam_requires_a_signature_and_none_requires_nothing() {
        assert!(is_allowed(&Authenticator::new(Auth::Iam, vec![]), None, true));
        assert!(!is_allowed(&Authenticator::new(Auth::Iam, vec![]), Some("Bearer old"), false));
        assert!(is_allowed(&Authenticator::new(Auth::Disabled, vec![]), None, false));
    }
}
