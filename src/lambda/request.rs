//! HTTP requests of all origins.
//!
//! Payload formats: Lambda Function URL and API Gateway HTTP API 2.0, API Gateway REST API 1.0, Application Load Balancer
//! (single and multi-value headers), VPC Lattice 2.0.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::fields::{BodyText, Fields, typed};
use super::origin::RequestOrigin;
use super::request_path::{PathToken, without_stage, without_token};

/// An HTTP request. Its debug output contains neither headers, which have the token, nor the body.
pub struct Request {
    pub origin: RequestOrigin,
    /// Upper case.
    pub method: String,
    /// Without the query and the token.
    pub path: String,
    pub path_token: Option<PathToken>,
    /// Names are in lower case, and the values of a repeated header are joined with commas.
    pub headers: HashMap<String, String>,
    pub body: Body,
    /// Address of the TCP peer of the origin.
    pub source_ip: Option<String>,
    /// Account of this function; `None` if the runtime sends no valid ARN of it.
    pub function_account: Option<String>,
    /// Caller that IAM authenticated, if the origin requires IAM.
    pub caller: Option<Caller>,
    /// Whether the event has multi-value headers only. A load balancer that sends them expects them in the response.
    pub multi_value_headers: bool,
}

/// A body as the client sent it. Base64 is decoded when the event is parsed, because decoding is as fast as a copy.
/// Decompression and decoding wait until the caller is authenticated.
#[derive(Debug)]
pub struct Body(Result<Bytes, InvalidBody>);

/// Error for a body that is not base64, although the event marks it as such.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid base64 body: {0}")]
pub struct InvalidBody(#[from] DecodeError);

/// A caller that signed its request with SigV4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub account: String,
    /// `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
    pub arn: String,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, method, path, source_ip, caller, .. } = self;
        let mut debug = formatter.debug_struct("Request");
        debug.field("origin", origin).field("method", method).field("path", path);
        debug.field("source_ip", source_ip).field("caller", caller).finish_non_exhaustive()
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Body {
    /// Returns the bytes that the client sent.
    pub fn bytes(&self) -> Result<Bytes, InvalidBody> {
        self.0.clone()
    }

    /// Decodes the field `body`. A missing body is empty.
    fn decode(body: BodyText<'_>, is_base64: bool) -> Result<Self, serde_json::Error> {
        let text = match body {
            BodyText::Missing => return Ok(Self(Ok(Bytes::new()))),
            BodyText::OtherType => return Err(serde::de::Error::custom("the body is not a string")),
            BodyText::Text(text) => text,
        };
        if !is_base64 {
            return Ok(Self(Ok(text.into_owned().into())));
        }
        if let Ok(bytes) = base64_simd::STANDARD.decode_to_vec(text.as_bytes()) {
            return Ok(Self(Ok(bytes.into())));
        }
        // The fast decoder reports no reason, so the other one decodes again.
        Ok(Self(STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(InvalidBody)))
    }
}

#[derive(Default, Deserialize)]
struct RequestContext<'a> {
    #[serde(borrow, default)]
    http: Option<RequestContextHttp<'a>>,
    #[serde(default)]
    authorizer: Option<Authorizer>,
    #[serde(default)]
    identity: Option<RequestIdentity>,
    /// API Gateway prefixes the path with the stage unless it is `$default`.
    #[serde(default)]
    stage: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContextHttp<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    path: Option<Cow<'a, str>>,
    #[serde(default)]
    source_ip: Option<String>,
}

#[derive(Deserialize)]
struct Authorizer {
    #[serde(default)]
    iam: Option<Iam>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    #[serde(default)]
    account_id: Option<String>,
    #[serde(default)]
    user_arn: Option<String>,
}

/// `requestContext.identity` of a REST API or of VPC Lattice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestIdentity {
    #[serde(default)]
    source_ip: Option<String>,
    #[serde(default)]
    account_id: Option<String>,
    #[serde(default)]
    user_arn: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    principal: Option<String>,
}

impl Request {
    pub(super) fn parse(fields: &mut Fields<'_>, origin: RequestOrigin) -> Result<Self, serde_json::Error> {
        type Text<'a> = Option<Cow<'a, str>>;
        type Headers<'a> = Option<HashMap<String, &'a RawValue>>;
        let RequestContext { http, authorizer, identity, stage } = typed(fields.request_context)?;
        let (raw_path, path): (Text<'_>, Text<'_>) = (typed(fields.raw_path)?, typed(fields.path)?);
        let (method, http_method): (Text<'_>, Text<'_>) = (typed(fields.method)?, typed(fields.http_method)?);
        let (single, multi): (Headers<'_>, Headers<'_>) = (typed(fields.headers)?, typed(fields.multi_value_headers)?);
        let multi_value_headers = single.is_none() && multi.is_some();
        let headers = single.or(multi).unwrap_or_default();
        let RequestContextHttp { method: context_method, path: http_path, source_ip } = http.unwrap_or_default();
        let path = raw_path.or(path).or(http_path).unwrap_or_default();
        let (path, path_token) = without_token(without_stage(&path, stage.as_deref()));
        Ok(Self {
            origin,
            method: context_method.or(method).or(http_method).unwrap_or_default().to_ascii_uppercase(),
            path,
            path_token,
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), header_value(value)))
                .collect(),
            body: Body::decode(
                std::mem::take(&mut fields.body),
                typed::<Option<bool>>(fields.is_base64_encoded)?.unwrap_or_default(),
            )?,
            source_ip: source_ip.or_else(|| identity.as_ref().and_then(|identity| identity.source_ip.clone())),
            function_account: None,
            caller: caller(authorizer, identity),
            multi_value_headers,
        })
    }
}

/// Returns a header value that is a string or a list of strings. No origin sends anything else, which is treated as empty.
fn header_value(value: &RawValue) -> String {
    let texts = |value: &RawValue| serde_json::from_str::<Vec<String>>(value.get()).map(|values| values.join(","));
    serde_json::from_str::<String>(value.get()).or_else(|_| texts(value)).unwrap_or_default()
}

fn caller(authorizer: Option<Authorizer>, identity: Option<RequestIdentity>) -> Option<Caller> {
    if let Some(iam) = authorizer.and_then(|authorizer| authorizer.iam) {
        return Some(Caller { account: iam.account_id?, arn: iam.user_arn? });
    }
    let identity = identity?;
    if identity.kind.as_deref() == Some("AWS_IAM") {
        let arn = identity.principal?;
        let account = arn.split(':').nth(4)?.to_owned();
        return Some(Caller { account, arn });
    }
    Some(Caller { account: identity.account_id?, arn: identity.user_arn? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::Invocation;

    fn request(event: &str) -> Request {
        match Invocation::parse(event) {
            Ok(Invocation::HttpRequest(request)) => *request,
            other => panic!("{event}: {other:?}"),
        }
    }

    #[test]
    fn debug_output_has_neither_headers_nor_body() {
        let event = r#"{"rawPath":"/v1/traces","headers":{"authorization":"Bearer secret"},"body":"secret",
            "requestContext":{"http":{"method":"POST"}}}"#;
        let shown = format!("{:?}", request(event));
        assert!(shown.contains("/v1/traces") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn function_url_request_has_its_caller() {
        let request = request(
            r#"{"version":"2.0","rawPath":"/v1/traces","headers":{"Content-Type":"application/x-protobuf"},
                "requestContext":{"stage":"$default","http":{"method":"POST","path":"/v1/traces","sourceIp":"203.0.113.9"},
                  "authentication":null,"authorizer":{"iam":{"accountId":"111122223333","callerId":"AROA:9f2c",
                    "cognitoIdentity":null,"userArn":"arn:aws:sts::111122223333:assumed-role/checkout/9f2c"}}},
                "body":"CgA=","isBase64Encoded":true}"#,
        );
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/traces"));
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(request.source_ip.as_deref(), Some("203.0.113.9"));
        assert_eq!(request.caller.map(|caller| caller.account).as_deref(), Some("111122223333"));
        assert_eq!(request.body.bytes().as_deref(), Ok(&[10, 0][..]));
    }

    #[test]
    fn body_is_decoded_from_every_event_notation() {
        for (fields, expected) in [
            (r#""body":"+/8=","isBase64Encoded":true"#, Ok(&[0xfb, 0xff][..])),
            (r#""isBase64Encoded":true,"body":"+\/8=""#, Ok(&[0xfb, 0xff])),
            (r#""body":"{\"a\":\"\u00e9\"}","isBase64Encoded":false"#, Ok("{\"a\":\"é\"}".as_bytes())),
            (r#""body":"+/8=""#, Ok(b"+/8=")),
            (r#""body":null,"isBase64Encoded":true"#, Ok(&[])),
            (r#""body":"","isBase64Encoded":true"#, Ok(&[])),
            (r#""isBase64Encoded":true"#, Ok(&[])),
            (r#""body":"+/!=","isBase64Encoded":true"#, Err("invalid base64 body: Invalid symbol 33, offset 2.")),
            (r#""body":"+/8","isBase64Encoded":true"#, Err("invalid base64 body: Invalid padding")),
        ] {
            let event = format!(r#"{{"requestContext":{{"http":{{"method":"POST"}}}},{fields}}}"#);
            let bytes = request(&event).body.bytes();
            assert_eq!(bytes.as_deref().map_err(ToString::to_string), expected.map_err(str::to_owned), "{fields}");
        }
    }

    #[test]
    fn method_of_cargo_lambda_emulator_is_post_despite_get() {
        let request = request(
            r#"{"type":null,"methodArn":null,"httpMethod":"GET","rawPath":"/v1/traces","rawQueryString":null,"headers":{},
                "requestContext":{"accountId":null,"timeEpoch":1795390655,"http":{"method":"POST","path":"/v1/traces"}},
                "body":"CgL//g==","isBase64Encoded":true}"#,
        );
        assert_eq!(request.method, "POST");
    }

    #[test]
    fn every_origin_results_in_the_same_request() {
        for (origin, event) in [
            (
                RequestOrigin::Alb,
                r#"{"requestContext":{"elb":{"targetGroupArn":"arn"}},"httpMethod":"POST","path":"/v1/metrics",
                    "multiValueHeaders":{"content-encoding":["gzip"],"x-a":["1","2"]},"body":"CgIKAA==","isBase64Encoded":true}"#,
            ),
            (
                RequestOrigin::VpcLattice,
                r#"{"version":"2.0","path":"/v1/metrics?x=1","method":"POST","headers":{"content-encoding":["gzip"],"x-a":["1","2"]},
                    "body":"CgIKAA==","isBase64Encoded":true,"requestContext":{"serviceNetworkArn":"arn","timeEpoch":"1795389946000000",
                    "identity":{"type":"AWS_IAM","principal":"arn:aws:sts::1:assumed-role/r/s"}}}"#,
            ),
            (
                RequestOrigin::RestApi,
                r#"{"resource":"/{proxy+}","path":"/v1/metrics","httpMethod":"POST","headers":{"Content-Encoding":"gzip","x-a":"1,2"},
                    "multiValueHeaders":{"Content-Encoding":["gzip"]},"requestContext":{"stage":"prod","identity":{"sourceIp":"10.0.0.1",
                    "accountId":null,"userArn":null}},"body":"CgIKAA==","isBase64Encoded":true}"#,
            ),
            (
                RequestOrigin::HttpApi,
                r#"{"version":"2.0","rawPath":"/prod/v1/metrics","headers":{"content-encoding":"gzip","x-a":"1,2"},
                    "requestContext":{"stage":"prod","http":{"method":"post"}},"body":"CgIKAA==","isBase64Encoded":true}"#,
            ),
        ] {
            let request = request(event);
            assert_eq!(request.origin, origin);
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/metrics"), "{origin:?}");
            assert_eq!(request.header("content-encoding"), Some("gzip"), "{origin:?}");
            assert_eq!(request.header("x-a"), Some("1,2"), "{origin:?}");
            assert_eq!(request.body.bytes().map(|body| body.len()), Ok(4), "{origin:?}");
        }
    }
}
