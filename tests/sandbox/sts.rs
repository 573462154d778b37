//! STS: GetCallerIdentity, with the clock of AWS, and AssumeRole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::http::{RecordedRequest, StubResponse};

#[derive(Default)]
pub(crate) struct State {
    /// Offset of the clock of AWS.
    pub(crate) ahead_s: i64,
    /// Whether all credentials are rejected.
    pub(crate) rejects_credentials: bool,
    /// Whether no role can be assumed.
    pub(crate) rejects_roles: bool,
    /// ARN and external ID of each assumed role.
    pub(crate) assumed: Vec<(String, String)>,
}

/// Returns the response, or `None` if the request is for another service.
pub(crate) fn serve(state: &Arc<Mutex<State>>, request: &RecordedRequest) -> Option<StubResponse> {
    if request.body.starts_with(b"Action=AssumeRole") {
        return Some(state.lock().unwrap().assume(request));
    }
    request.body.starts_with(b"Action=GetCallerIdentity").then(|| state.lock().unwrap().respond(request))
}

impl State {
    fn assume(&mut self, request: &RecordedRequest) -> StubResponse {
        if self.rejects_roles {
            let code = "<Code>AccessDenied</Code><Message>User is not authorized to perform: sts:AssumeRole</Message>";
            let body = format!("<ErrorResponse><Error><Type>Sender</Type>{code}</Error></ErrorResponse>");
            return StubResponse::of(403, "text/xml", body);
        }
        let fields: HashMap<_, _> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        self.assumed.push((field("RoleArn"), field("ExternalId")));
        let expiry = jiff::Timestamp::from_second(now_s() + 3_600).unwrap();
        let keys =
            "<AccessKeyId>ASIAASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>";
        let credentials = format!("<Credentials>{keys}<Expiration>{expiry}</Expiration></Credentials>");
        let result = format!("<AssumeRoleResult>{credentials}</AssumeRoleResult>");
        StubResponse::of(200, "text/xml", format!("<AssumeRoleResponse>{result}</AssumeRoleResponse>"))
    }

    fn respond(&self, request: &RecordedRequest) -> StubResponse {
        assert!(request.header("authorization").contains("/eu-west-1/sts/aws4_request"), "it is not signed for sts");
        let at = jiff::Timestamp::from_second(now_s() + self.ahead_s).unwrap();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
        let (status, body) = if self.rejects_credentials {
            let code = "<Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message>";
            (403, format!("<ErrorResponse><Error><Type>Sender</Type>{code}</Error></ErrorResponse>"))
        } else {
            let arn = "<Arn>arn:aws:sts::111122223333:assumed-role/sidecarless/check</Arn>";
            let result = format!("<GetCallerIdentityResult>{arn}</GetCallerIdentityResult>");
            (200, format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"))
        };
        StubResponse::Http {
            status,
            headers: vec![("date", date), ("content-type", "text/xml".into())],
            body: body.into(),
        }
    }
}

fn now_s() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}
