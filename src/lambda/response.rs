//! Answers, in the shape that the trigger expects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Request, RequestOrigin};

/// The answer to an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To a schedule, which reads nothing of it: what was done, for people who invoke by hand.
    Json(Value),
    /// To a queue: the ids of the messages that are to come again. All others are done with.
    BatchItemFailures(Vec<String>),
    Http {
        reply: HttpResponse,
        door: RequestOrigin,
        multi_value_headers: bool,
    },
}

/// The answer to an HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The reply by the door the request came through.
    pub fn into_response(self, request: &Request) -> Response {
        Response::Http { reply: self, door: request.origin, multi_value_headers: request.multi_value_headers }
    }
}

impl Response {
    /// What Lambda takes back.
    pub fn into_json(self) -> Value {
        match self {
            Response::Json(summary) => summary,
            Response::BatchItemFailures(ids) => {
                let failures: Vec<Value> = ids.into_iter().map(|id| json!({"itemIdentifier": id})).collect();
                json!({"batchItemFailures": failures})
            }
            Response::Http { reply, door, multi_value_headers } => reply.into_json(door, multi_value_headers),
        }
    }
}

impl HttpResponse {
    fn into_json(self, door: RequestOrigin, multi_value_headers: bool) -> Value {
        let (body, is_base64) = match String::from_utf8(self.body) {
            // Binary bodies of a few bytes may be UTF-8 by chance, and still must reach the client byte by byte: they do,
            // because a JSON string carries any character.
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
        match door {
            // The emulator of `cargo lambda` answers 500 when this is missing.
            RequestOrigin::HttpApi => json["cookies"] = json!([]),
            RequestOrigin::Alb => {
                json["statusDescription"] = json!(format!("{} {}", self.status, reason_phrase(self.status)))
            }
            RequestOrigin::RestApi | RequestOrigin::VpcLattice => {}
        }
        json
    }
}

/// The reason phrases of the statuses this function answers with (RFC 9110, section 15).
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_door_gets_the_shape_it_knows() {
        let reply =
            HttpResponse { status: 200, headers: vec![("content-type", "text/plain".into())], body: b"ok".to_vec() };
        for (door, multi, expected) in [
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
            let reply = Response::Http { reply: reply.clone(), door, multi_value_headers: multi };
            assert_eq!(reply.into_json(), expected, "{door:?}");
        }
    }

    #[test]
    fn messages_that_are_to_come_again_are_named() {
        let json = Response::BatchItemFailures(vec!["m2".into()]).into_json();
        assert_eq!(json, json!({"batchItemFailures": [{"itemIdentifier": "m2"}]}));
        assert_eq!(Response::BatchItemFailures(Vec::new()).into_json(), json!({"batchItemFailures": []}));
    }

    #[test]
    fn a_body_that_is_no_text_goes_as_base64() {
        let reply = HttpResponse { status: 400, headers: Vec::new(), body: vec![0xff, 0xfe] };
        let json = reply.into_json(RequestOrigin::VpcLattice, false);
        assert_eq!((json["body"].as_str(), json["isBase64Encoded"].as_bool()), (Some("//4="), Some(true)));
    }
}
