//! The URL of a request, put together from the attributes that describe it in parts.

use std::borrow::Cow;

use super::http::string_or_int;
use super::key::{Key, KeySet};
use super::value;
use crate::model::otlp::SpanKind;
use crate::model::otlp::any_value::Value;
use crate::translate::Compat;

/// A part: the attribute it came from and its text, which may be empty.
type UrlPart<'a> = Option<(Key, Cow<'a, str>)>;

/// What a URL can be made of.
#[derive(Default)]
pub(super) struct UrlParts<'a> {
    full: UrlPart<'a>,
    scheme: UrlPart<'a>,
    host: UrlPart<'a>,
    target: UrlPart<'a>,
    path: UrlPart<'a>,
    query: UrlPart<'a>,
    server_name: UrlPart<'a>,
    net_host_name: UrlPart<'a>,
    host_name: UrlPart<'a>,
    server_address: UrlPart<'a>,
    net_host_port: UrlPart<'a>,
    server_port: UrlPart<'a>,
    peer_name: UrlPart<'a>,
    peer_ip: UrlPart<'a>,
    peer_port: UrlPart<'a>,
}

/// As long as most URLs are.
const URL_BYTES: usize = 128;

impl<'a> UrlParts<'a> {
    /// Takes a part. True if a URL can be made now that it is known.
    pub(super) fn take(&mut self, key: Key, value: Option<&'a Value>) -> bool {
        let (place, is_address) = match key {
            Key::HttpUrl | Key::UrlFull => (&mut self.full, true),
            Key::HttpScheme | Key::UrlScheme => (&mut self.scheme, false),
            Key::HttpHost => (&mut self.host, true),
            Key::HttpTarget => (&mut self.target, false),
            Key::UrlPath => (&mut self.path, false),
            Key::UrlQuery => (&mut self.query, false),
            Key::HttpServerName => (&mut self.server_name, true),
            Key::NetHostName => (&mut self.net_host_name, true),
            Key::HostName => (&mut self.host_name, true),
            Key::ServerAddress => (&mut self.server_address, true),
            Key::NetHostPort => (&mut self.net_host_port, false),
            Key::ServerPort => (&mut self.server_port, false),
            Key::NetPeerName => (&mut self.peer_name, true),
            Key::NetPeerIp => (&mut self.peer_ip, true),
            Key::NetPeerPort => (&mut self.peer_port, false),
            _ => return false,
        };
        *place = Some((key, string_or_int_if_port(key, value)));
        is_address
    }

    /// The URL, and the keys that are in it.
    pub(super) fn url(self, kind: SpanKind, compat: Compat) -> (Cow<'a, str>, KeySet) {
        let mut used = KeySet::default();
        if let Some((key, full)) = &self.full {
            used.insert(*key);
            if compat == Compat::Corrected {
                self.consume_within(full, &mut used);
            }
            return (full.clone(), used);
        }
        let scheme = consume(&self.scheme, &mut used).filter(|s| !s.is_empty() || compat == Compat::Adot);
        let scheme = scheme.unwrap_or("http");
        let mut url = String::with_capacity(URL_BYTES);
        url.extend([scheme, "://"]);
        let (host, port) = self.authority(kind, compat, &mut used);
        if compat == Compat::Corrected && host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_ok() {
            url.extend(["[", host, "]"]);
        } else {
            url.push_str(host);
        }
        if !port.is_empty() && (scheme, port) != ("http", "80") && (scheme, port) != ("https", "443") {
            url.extend([":", port]);
        }
        self.push_path(&mut url, &mut used);
        (Cow::Owned(url), used)
    }

    fn push_path(&self, url: &mut String, used: &mut KeySet) {
        if let Some(target) = consume(&self.target, used) {
            return url.push_str(target);
        }
        url.push_str(consume(&self.path, used).unwrap_or("/"));
        if let Some(query) = consume(&self.query, used) {
            if !query.starts_with('?') {
                url.push('?');
            }
            url.push_str(query);
        }
    }

    /// Host and port, each from the first attribute that is there, even when it is empty.
    fn authority(&self, kind: SpanKind, compat: Compat, used: &mut KeySet) -> (&str, &str) {
        if let Some(host) = consume(&self.host, used) {
            return (host, "");
        }
        let best = compat == Compat::Corrected;
        let (hosts, ports) = if kind == SpanKind::Server {
            (
                [&self.server_name, &self.net_host_name, &self.host_name, &self.server_address],
                [&self.net_host_port, &self.server_port],
            )
        } else {
            let address = if best { &self.server_address } else { &None };
            let port = if best { &self.server_port } else { &None };
            ([&self.peer_name, &self.peer_ip, address, &None], [&self.peer_port, port])
        };
        let is_there = |part: &&&UrlPart<'_>| part.as_ref().is_some_and(|(_, text)| !best || !text.is_empty());
        let host = hosts.iter().find(is_there).and_then(|part| consume(part, used)).unwrap_or_default();
        let port = ports.iter().find(is_there).and_then(|part| consume(part, used)).unwrap_or_default();
        (host, port)
    }

    /// Marks the parts that a full URL says as well.
    fn consume_within(&self, full: &str, used: &mut KeySet) {
        let https = full.starts_with("https:");
        let parts = [
            &self.scheme,
            &self.host,
            &self.target,
            &self.path,
            &self.query,
            &self.server_name,
            &self.net_host_name,
            &self.host_name,
            &self.server_address,
            &self.net_host_port,
            &self.server_port,
            &self.peer_name,
            &self.peer_ip,
            &self.peer_port,
        ];
        for (key, text) in parts.into_iter().flatten() {
            let is_implied = matches!(key, Key::NetHostPort | Key::ServerPort | Key::NetPeerPort)
                && text == if https { "443" } else { "80" };
            if is_implied || full.contains(text.as_ref()) {
                used.insert(*key);
            }
        }
    }
}

fn consume<'p>(part: &'p UrlPart<'_>, used: &mut KeySet) -> Option<&'p str> {
    let (key, text) = part.as_ref()?;
    used.insert(*key);
    Some(text)
}

fn string_or_int_if_port(key: Key, value: Option<&Value>) -> Cow<'_, str> {
    match key {
        Key::NetHostPort | Key::ServerPort | Key::NetPeerPort => string_or_int(value),
        _ => value::string(value),
    }
}
