//! The `http` block, from the old and from the stable semantic conventions.
//!
//! Rules: awsxrayexporter, `internal/translator/http.go`.

use std::borrow::Cow;
use std::net::IpAddr;

use super::key::{Attributes, Key, KeySet};
use super::segment::Http;
use super::url::UrlParts;
use super::value;
use crate::model::otlp::SpanKind;
use crate::model::otlp::borrowed::Span;
use crate::model::otlp::borrowed::Value;
use crate::translate::Compat;

/// Keys that the block can take from the span.
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

/// Keys that the block can take from the span in corrected mode.
const FURTHER: KeySet = KeySet::from_keys(&[Key::NetSockPeerAddr]);

/// Keys that mark a span as an HTTP span only in adot mode: connections have them as well.
const CONNECTION_MARKERS: KeySet = KeySet::from_keys(&[Key::NetHostPort, Key::HttpScheme, Key::UrlScheme]);

/// Keys that mark a span as an HTTP span.
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
    Key::HttpHost,
    Key::HttpTarget,
    Key::HttpServerName,
    Key::UrlPath,
    Key::UrlQuery,
]);

/// Reads the block, and marks the attributes in it as consumed. Returns `None` if the span is not an HTTP span.
pub(super) fn read<'a>(attributes: &mut Attributes<'a>, span: &'a Span<'a>, compat: Compat) -> Option<Http<'a>> {
    let mut parser = HttpParser { kind: value::kind(span), compat, ..HttpParser::default() };
    for (key, attribute) in attributes.iter() {
        if CONSUMED.contains(key) || (FURTHER.contains(key) && !compat.consumes_unused_keys()) {
            parser.take(key, value::content(attribute));
        }
    }
    if compat.consumes_unused_keys() {
        attributes.consumed.add(CONSUMED);
    }
    if !parser.is_http {
        return None;
    }
    let mut http = parser.http;
    if parser.has_address {
        let (url, used) = parser.parts.url(parser.kind, compat);
        http.url = url;
        attributes.consumed.add(used);
    }
    http.x_forwarded_for = if compat.forwards_only_without_peer() {
        !http.client_ip.is_empty() && !parser.has_peer
    } else {
        parser.has_client && is_forwarded(&http.client_ip, &parser.peer, attributes)
    };
    http.content_length = content_length(attributes, span, compat);
    if !compat.consumes_unused_keys() {
        http.consume(attributes);
    }
    Some(http)
}

/// State of one pass over the attributes, in wire order. If two attributes fill one field, the last one counts.
#[derive(Default)]
struct HttpParser<'a> {
    kind: SpanKind,
    compat: Compat,
    http: Http<'a>,
    parts: UrlParts<'a>,
    is_http: bool,
    /// Whether an attribute contains an address, so that a URL can be built.
    has_address: bool,
    has_peer: bool,
    /// Address of the other end of the connection.
    peer: Cow<'a, str>,
    /// Whether an attribute contains the address of the client, which may be forwarded.
    has_client: bool,
}

impl<'a> HttpParser<'a> {
    fn take(&mut self, key: Key, value: Option<&'a Value<'a>>) {
        self.is_http |= HTTP_MARKERS.contains(key)
            || (CONNECTION_MARKERS.contains(key) && self.compat.takes_connections_for_http());
        match key {
            Key::HttpMethod | Key::HttpRequestMethod => self.http.method = value::string(value),
            Key::HttpUserAgent | Key::UserAgentOriginal => self.http.user_agent = value::string(value),
            Key::HttpStatusCode | Key::HttpResponseStatusCode => {
                self.http.status = Some(value::http_status(value, self.compat));
            }
            Key::HttpClientIp => {
                self.http.client_ip = value::string(value);
                self.has_client = true;
            }
            Key::ClientAddress => self.take_client(value),
            Key::NetPeerIp | Key::NetworkPeerAddress | Key::NetSockPeerAddr => self.take_peer(key, value),
            _ => self.has_address |= self.parts.take(key, value),
        }
    }

    fn take_client(&mut self, value: Option<&'a Value<'a>>) {
        let address = value::string(value);
        if address.parse::<IpAddr>().is_ok() {
            self.http.client_ip = address;
            self.has_client = true;
        }
    }

    /// Takes the address of the other end of the connection.
    fn take_peer(&mut self, key: Key, value: Option<&'a Value<'a>>) {
        let address = value::string(value);
        if key == Key::NetPeerIp {
            self.parts.take(key, value);
        } else if address.parse::<IpAddr>().is_err() {
            return;
        }
        self.has_address = true;
        self.has_peer = true;
        self.peer = address.clone();
        let is_server = matches!(self.kind, SpanKind::Client | SpanKind::Producer);
        if self.http.client_ip.is_empty() && (!is_server || self.compat.takes_peer_for_client()) {
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
        for key in
            [Key::HttpClientIp, Key::ClientAddress, Key::NetPeerIp, Key::NetworkPeerAddress, Key::NetSockPeerAddr]
        {
            attributes.consume_if(key, &self.client_ip);
        }
        for key in [Key::HttpStatusCode, Key::HttpResponseStatusCode] {
            if self.status.is_some() && value::lenient_int(attributes.value(key)) == self.status {
                attributes.consumed.insert(key);
            }
        }
        for key in [Key::HttpResponseBodySize, Key::HttpResponseContentLength] {
            // A length of 0 is not written.
            if self.content_length != 0 && value::lenient_int(attributes.value(key)) == Some(self.content_length) {
                attributes.consumed.insert(key);
            }
        }
    }
}

/// Whether the address of a client is from `X-Forwarded-For`: it is not the address of the peer or, if that is unknown,
/// it has no port.
fn is_forwarded(client: &str, peer: &str, attributes: &Attributes<'_>) -> bool {
    if client.is_empty() || client == peer {
        return false;
    }
    if peer.is_empty() {
        return !attributes.has(Key::ClientPort);
    }
    let address = |text: &str| text.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    address(client).is_none() || address(client) != address(peer)
}

/// Returns the response size, or 0 if it is unknown.
fn content_length(attributes: &Attributes<'_>, span: &Span<'_>, compat: Compat) -> i64 {
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
    if compat.ignores_response_size() { 0 } else { length_attribute(attributes) }
}

/// Returns the size from the attributes of the stable and the old conventions, or from a captured header.
fn length_attribute(attributes: &Attributes<'_>) -> i64 {
    let header = match attributes.value(Key::HttpResponseHeaderLength) {
        Some(Value::Array(values)) => values.values.first().and_then(|value| value.value.as_ref()),
        value => value,
    };
    [attributes.value(Key::HttpResponseBodySize), attributes.value(Key::HttpResponseContentLength), header]
        .into_iter()
        .find_map(value::lenient_int)
        .unwrap_or(0)
}
