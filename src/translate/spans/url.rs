//! Builds the URL of a request from the attributes that contain its parts.

use std::borrow::Cow;

use super::key::{Key, KeySet};
use super::value;
use crate::model::otlp::SpanKind;
use crate::model::otlp::any_value::Value;
use crate::translate::Compat;

/// A part: its attribute and its text, which may be empty.
type UrlPart<'a> = Option<(Key, Cow<'a, str>)>;

/// The parts of a URL.
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

/// Initial capacity, which most URLs do not exceed.
const URL_BYTES: usize = 128;

impl<'a> UrlParts<'a> {
    /// Takes a part. Returns true if it is an address, so that a URL can be built.
    pub(super) fn take(&mut self, key: Key, value: Option<&'a Value>) -> bool {
        let (part, is_address) = match key {
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
        *part = Some((key, part_text(key, value)));
        is_address
    }

    /// Returns the URL and the keys that it contains.
    pub(super) fn url(self, kind: SpanKind, compat: Compat) -> (Cow<'a, str>, KeySet) {
        let mut used = KeySet::default();
        if let Some((key, full)) = &self.full {
            used.insert(*key);
            if !compat.consumes_unused_keys() {
                self.consume_within(full, &mut used);
            }
            return (full.clone(), used);
        }
        let scheme = consume(&self.scheme, &mut used).filter(|s| !s.is_empty() || compat.uses_empty_url_parts());
        let scheme = scheme.unwrap_or("http");
        let mut url = String::with_capacity(URL_BYTES);
        url.extend([scheme, "://"]);
        let (host, port) = self.authority(kind, compat, &mut used);
        let is_ipv6 = host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_ok();
        if is_ipv6 && !compat.omits_ipv6_brackets() {
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

    /// Returns host and port, each from the first attribute that is present.
    fn authority(&self, kind: SpanKind, compat: Compat, used: &mut KeySet) -> (&str, &str) {
        if let Some(host) = consume(&self.host, used) {
            return (host, "");
        }
        let (hosts, ports) = if kind == SpanKind::Server {
            (
                [&self.server_name, &self.net_host_name, &self.host_name, &self.server_address],
                [&self.net_host_port, &self.server_port],
            )
        } else {
            let server = if compat.ignores_stable_conventions() {
                [&None, &None]
            } else {
                [&self.server_address, &self.server_port]
            };
            let [address, port] = server;
            ([&self.peer_name, &self.peer_ip, address, &None], [&self.peer_port, port])
        };
        let is_used = |part: &&&UrlPart<'_>| {
            part.as_ref().is_some_and(|(_, text)| !text.is_empty() || compat.uses_empty_url_parts())
        };
        let host = hosts.iter().find(is_used).and_then(|part| consume(part, used)).unwrap_or_default();
        let port = ports.iter().find(is_used).and_then(|part| consume(part, used)).unwrap_or_default();
        (host, port)
    }

    /// Marks the parts that a full URL contains.
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

/// Returns the text of a part. Only a port may be an integer.
fn part_text(key: Key, value: Option<&Value>) -> Cow<'_, str> {
    match key {
        Key::NetHostPort | Key::ServerPort | Key::NetPeerPort => value::string_or_int(value),
        _ => value::string(value),
    }
}
