//! STS: GetCallerIdentity, with the clock of AWS.

use std::sync::{Arc, Mutex};

use super::http::{RecordedRequest, StubResponse};

#[derive(Default)]
pub(crate) struct State {
    /// Offset of the clock of AWS.
    pub(crate) ahead_s: i64,
    /// Whether all credentials are rejected.
    pub(crate) rejects_credentials: bool,
}

/// Returns the response, or `None` if the request is for another service.
pub(crate) fn serve(state: &Arc<Mutex<State>>, request: &RecordedRequest) -> Option<StubResponse> {
    request.body.starts_with(b"Action=GetCallerIdentity").then(|| state.lock().unwrap().respond(request))
}

impl State {
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
