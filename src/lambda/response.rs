//! Responses in the format of each trigger.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Request, RequestOrigin};

/// Response to an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// Summary of a scheduled run. The scheduler ignores it; it is for operators who invoke the function.
    Json(Value),
    /// Ids of the SQS messages that SQS must deliver again. All others are deleted from the queue.
    BatchItemFailures(Vec<String>),
    Http {
        response: HttpResponse,
        origin: RequestOrigin,
        multi_value_headers: bool,
    },
}

/// Response to an HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Converts to the format of the request's origin.
    pub fn into_response(self, request: &Request) -> Response {
        Response::Http { response: self, origin: request.origin, multi_value_headers: request.multi_value_headers }
    }
}

impl Response {
    /// Returns the JSON that Lambda expects.
    pub fn into_json(self) -> Value {
        match self {
            Response::Json(summary) => summary,
            Response::BatchItemFailures(ids) => {
                let failures: Vec<Value> = ids.into_iter().map(|id| json!({"itemIdentifier": id})).collect();
                json!({"batchItemFailures": failures})
            }
            Response::Http { response, origin, multi_value_headers } => response.into_json(origin, multi_value_headers),
        }
    }
}

impl HttpResponse {
    fn into_json(self, origin: RequestOrigin, multi_value_headers: bool) -> Value {
        let (body, is_base64) = match String::from_utf8(self.body) {
            // A short binary body may be valid UTF-8. It still reaches the client unchanged, because a JSON string can contain
            // any character.
            Ok(text) => (text, false),
            Err(error) => (STANDARD.encode(error.as_bytes()), true),
        };
        let mut json = json!({"statusCode": self.status, "body": body, "isBase64Encoded": is_base64});
        let (key, headers) = if multi_value_headers {
            let lists = self.headers.into_iter().map(|(name, value)| (name.to_owned(), json!([value])));
            ("multiValueHeaders", lists.collect())
        } else {
            let texts = self.headers.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value)));
            ("headers", texts.collect())
        };
        json[key] = Value::Object(headers);
        match origin {
            // Without this field, the emulator of `cargo lambda` responds with 500.
            RequestOrigin::HttpApi => json["cookies"] = json!([]),
            RequestOrigin::Alb => {
                json["statusDescription"] = json!(format!("{} {}", self.status, reason_phrase(self.status)))
            }
            RequestOrigin::RestApi | RequestOrigin::VpcLattice => {}
        }
        json
    }
}

fn reason_phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_origin_gets_its_format() {
        let response =
            HttpResponse { status: 200, headers: vec![("content-type", "text/plain".into())], body: b"ok".to_vec() };
        for (origin, multi, expected) in [
            (
                RequestOrigin::HttpApi,
                false,
                json!({"statusCode":200,"headers":{"content-type":"text/plain"},"body":"ok","isBase64Encoded":false,"cookies":[]}),
            ),
            (
                RequestOrigin::RestApi,
                false,
                json!({"statusCode":200,"headers":{"content-type":"text/plain"},"body":"ok","isBase64Encoded":false}),
            ),
            (
                RequestOrigin::Alb,
                true,
                json!({"statusCode":200,"multiValueHeaders":{"content-type":["text/plain"]},"body":"ok",
                    "isBase64Encoded":false,"statusDescription":"200 OK"}),
            ),
        ] {
            let response = Response::Http { response: response.clone(), origin, multi_value_headers: multi };
            assert_eq!(response.into_json(), expected, "{origin:?}");
        }
    }

    #[test]
    fn failed_messages_are_listed() {
        let json = Response::BatchItemFailures(vec!["m2".into()]).into_json();
        assert_eq!(json, json!({"batchItemFailures": [{"itemIdentifier": "m2"}]}));
        assert_eq!(Response::BatchItemFailures(Vec::new()).into_json(), json!({"batchItemFailures": []}));
    }

    #[test]
    fn binary_body_is_encoded_as_base64() {
        let response = HttpResponse { status: 400, headers: Vec::new(), body: vec![0xff, 0xfe] };
        let json = response.into_json(RequestOrigin::VpcLattice, false);
        assert_eq!((json["body"].as_str(), json["isBase64Encoded"].as_bool()), (Some("//4="), Some(true)));
    }
}
