//! The `http` block, from the old and from the stable semantic conventions.
//!
//! Rules: awsxrayexporter, `internal/translator/http.go`. The collector takes every network attribute for itself, block or
//! not; at best an attribute is taken only where its value is in the block.

use std::borrow::Cow;
use std::net::IpAddr;

use super::json::JsonWriter;
use super::key::{Attributes, Key, KeySet};
use super::url::UrlParts;
use super::value;
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{Span, SpanKind, text};
use crate::translate::Compat;

/// Keys that the block takes from the span, whether it uses them or not.
const CONSUMED: KeySet = KeySet::from_keys(&[
    Key::HttpMethod,
    Key::HttpRequestMethod,
    Key::HttpClientIp,
    Key::HttpUserAgent,
    Key::UserAgentOriginal,
    Key::HttpStatusCode,
    Key::HttpResponseStatusCode,
    Key::HttpUrl,
    Key::UrlFull,
    Key::HttpScheme,
    Key::UrlScheme,
    Key::HttpHost,
    Key::HttpTarget,
    Key::HttpServerName,
    Key::NetHostPort,
    Key::HostName,
    Key::NetHostName,
    Key::NetPeerName,
    Key::NetPeerPort,
    Key::NetPeerIp,
    Key::NetworkPeerAddress,
    Key::ClientAddress,
    Key::UrlPath,
    Key::UrlQuery,
    Key::ServerAddress,
    Key::ServerPort,
]);

/// Keys that make a span one of HTTP.
const HTTP_MARKERS: KeySet = KeySet::from_keys(&[
    Key::HttpMethod,
    Key::HttpRequestMethod,
    Key::HttpClientIp,
    Key::HttpUserAgent,
    Key::UserAgentOriginal,
    Key::HttpStatusCode,
    Key::HttpResponseStatusCode,
    Key::HttpUrl,
    Key::UrlFull,
    Key::HttpScheme,
    Key::UrlScheme,
    Key::HttpHost,
    Key::HttpTarget,
    Key::HttpServerName,
    Key::NetHostPort,
    Key::UrlPath,
    Key::UrlQuery,
]);

/// The block before it is written. An empty text is left out.
#[derive(Default)]
pub(super) struct Http<'a> {
    method: Cow<'a, str>,
    user_agent: Cow<'a, str>,
    client_ip: Cow<'a, str>,
    x_forwarded_for: bool,
    url: Cow<'a, str>,
    status: Option<i64>,
    content_length: i64,
}

/// Reads the block and marks what went into it as spent. Nothing for a span that is not one of HTTP.
pub(super) fn read<'a>(attributes: &mut Attributes<'a>, span: &'a Span, compat: Compat) -> Option<Http<'a>> {
    let mut reading = HttpParser { kind: value::kind(span), compat, ..HttpParser::default() };
    for (key, attribute) in attributes.iter() {
        if CONSUMED.contains(key) {
            reading.take(key, value::content(attribute));
        }
    }
    if compat == Compat::Adot {
        attributes.consumed.add(CONSUMED);
    }
    if !reading.is_http {
        return None;
    }
    let mut http = reading.http;
    if reading.is_addressable {
        let (url, used) = reading.parts.url(reading.kind, compat);
        http.url = url;
        attributes.consumed.add(used);
    }
    http.x_forwarded_for = !http.client_ip.is_empty() && !reading.peer_seen;
    http.content_length = content_length(attributes, span, compat);
    if compat == Compat::Corrected {
        http.consume(attributes);
    }
    Some(http)
}

/// The state of one pass over the attributes, in wire order: of two that feed one field the later one stands.
#[derive(Default)]
struct HttpParser<'a> {
    kind: SpanKind,
    compat: Compat,
    http: Http<'a>,
    parts: UrlParts<'a>,
    is_http: bool,
    /// Whether there is enough to make a URL of.
    is_addressable: bool,
    peer_seen: bool,
}

impl<'a> HttpParser<'a> {
    fn take(&mut self, key: Key, value: Option<&'a Value>) {
        self.is_http |= HTTP_MARKERS.contains(key);
        match key {
            Key::HttpMethod | Key::HttpRequestMethod => self.http.method = value::string(value),
            Key::HttpUserAgent | Key::UserAgentOriginal => self.http.user_agent = value::string(value),
            Key::HttpStatusCode | Key::HttpResponseStatusCode => {
                self.http.status = Some(status(value, self.compat));
            }
            Key::HttpClientIp => self.http.client_ip = value::string(value),
            Key::ClientAddress => self.take_address(value, true),
            Key::NetPeerIp | Key::NetworkPeerAddress => self.take_peer(key, value),
            _ => self.is_addressable |= self.parts.take(key, value),
        }
    }

    fn take_address(&mut self, value: Option<&'a Value>, overwrite: bool) {
        let address = value::string(value);
        if address.parse::<IpAddr>().is_ok() && (overwrite || self.http.client_ip.is_empty()) {
            self.http.client_ip = address;
        }
    }

    /// The other end of the connection. For the collector it is the client, even where this span is the client.
    fn take_peer(&mut self, key: Key, value: Option<&'a Value>) {
        let address = value::string(value);
        if key == Key::NetPeerIp {
            self.parts.take(key, value);
        } else if address.parse::<IpAddr>().is_err() {
            return;
        }
        self.is_addressable = true;
        self.peer_seen = true;
        let is_own_server =
            self.compat == Compat::Corrected && matches!(self.kind, SpanKind::Client | SpanKind::Producer);
        if self.http.client_ip.is_empty() && !is_own_server {
            self.http.client_ip = address;
        }
    }
}

impl Http<'_> {
    fn consume(&self, attributes: &mut Attributes<'_>) {
        for key in [Key::HttpMethod, Key::HttpRequestMethod] {
            attributes.consume_if(key, &self.method);
        }
        for key in [Key::HttpUserAgent, Key::UserAgentOriginal] {
            attributes.consume_if(key, &self.user_agent);
        }
        for key in [Key::HttpClientIp, Key::ClientAddress, Key::NetPeerIp, Key::NetworkPeerAddress] {
            attributes.consume_if(key, &self.client_ip);
        }
        for key in [Key::HttpStatusCode, Key::HttpResponseStatusCode] {
            if self.status.is_some() && value::lenient_int(attributes.value(key)) == self.status {
                attributes.consumed.insert(key);
            }
        }
    }

    pub(super) fn write(&self, json: &mut JsonWriter) {
        json.key("http");
        json.open('{');
        json.key("request");
        json.open('{');
        json.text_field_unless_empty("method", &self.method);
        json.text_field_unless_empty("url", &self.url);
        json.text_field_unless_empty("user_agent", &self.user_agent);
        json.text_field_unless_empty("client_ip", &self.client_ip);
        if self.x_forwarded_for {
            json.boolean_field("x_forwarded_for", true);
        }
        json.close('}');
        json.key("response");
        json.open('{');
        if let Some(status) = self.status {
            json.key("status");
            json.int(status);
        }
        json.key("content_length");
        json.int(self.content_length);
        json.close('}');
        json.close('}');
    }
}

/// A status code; the collector takes 0 from one that is no int.
pub(super) fn status(value: Option<&Value>, compat: Compat) -> i64 {
    match compat {
        Compat::Adot => value::int(value),
        Compat::Corrected => value::lenient_int(value).unwrap_or(0),
    }
}

/// The size of the response. The collector knows it from message events of RPC alone.
fn content_length(attributes: &Attributes<'_>, span: &Span, compat: Compat) -> i64 {
    if attributes.bytes(Key::MessageType) == b"RECEIVED" {
        let size = value::int(attributes.value(Key::MessagingPayloadSize));
        if size != 0 {
            return size;
        }
    }
    for event in &span.events {
        let find = |key: &[u8]| event.attributes.iter().find(|a| a.key == key).and_then(value::content);
        if value::string_bytes(find(b"message.type")) == b"RECEIVED" {
            let size = value::int(find(b"messaging.message_payload_size_bytes"));
            if size != 0 {
                return size;
            }
        }
    }
    if compat == Compat::Adot { 0 } else { stated_length(attributes) }
}

/// The size as the semantic conventions have it, old, stable and as a captured header.
fn stated_length(attributes: &Attributes<'_>) -> i64 {
    let header = match attributes.value(Key::HttpResponseHeaderLength) {
        Some(Value::Array(values)) => values.values.first().and_then(|value| value.value.as_ref()),
        value => value,
    };
    [attributes.value(Key::HttpResponseBodySize), attributes.value(Key::HttpResponseContentLength), header]
        .into_iter()
        .find_map(value::lenient_int)
        .unwrap_or(0)
}

/// Text of an attribute that may be a string or an int, such as a port.
pub(super) fn string_or_int(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        Some(Value::Int(number)) => Cow::Owned(number.to_string()),
        Some(Value::String(bytes)) => text(bytes),
        _ => Cow::Borrowed(""),
    }
}
