//! Builds the URL of a request from the attributes that contain its parts.

use std::borrow::Cow;

use super::key::{Key, KeySet};
use super::value;
use crate::model::otlp::SpanKind;
use crate::model::otlp::borrowed::Value;
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
    pub(super) fn take(&mut self, key: Key, value: Option<&'a Value<'a>>) -> bool {
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

    /// Returns the URL and the keys that it contains. The URL is empty if the host is unknown.
    pub(super) fn url(self, kind: SpanKind, compat: Compat) -> (Cow<'a, str>, KeySet) {
        let mut used = KeySet::default();
        let is_adot = compat.joins_url_parts_unread();
        if let Some((key, full)) = &self.full {
            used.insert(*key);
            if !compat.consumes_unused_keys() {
                self.consume_within(full, &mut used);
            }
            return (if is_adot { full.clone() } else { without_default_port(full.clone()) }, used);
        }
        if is_adot {
            let url = self.join_unread(kind, compat, &mut used);
            return (Cow::Owned(url), used);
        }
        match self.join(kind, compat, &mut used) {
            Some(url) => (Cow::Owned(url), used),
            None => (Cow::Borrowed(""), KeySet::default()),
        }
    }

    /// Joins the parts as the collector does.
    fn join_unread(&self, kind: SpanKind, compat: Compat, used: &mut KeySet) -> String {
        let scheme = consume(&self.scheme, used).unwrap_or("http");
        let mut url = String::with_capacity(URL_BYTES);
        url.extend([scheme, "://"]);
        let (host, port) = self.authority(kind, compat, used);
        url.push_str(host);
        if !port.is_empty() && !is_default_port(scheme, port) {
            url.extend([":", port]);
        }
        self.push_path(&mut url, compat, used);
        url
    }

    /// Joins the parts. A host can have a port, or be a URL, and a target can be a URL. Port 443 without a scheme is
    /// HTTPS. Returns `None` if there is no host.
    fn join(&self, kind: SpanKind, compat: Compat, used: &mut KeySet) -> Option<String> {
        if let Some((key, target)) = self.target.as_ref().filter(|(_, target)| has_scheme(target)) {
            used.insert(*key);
            return Some(without_default_port(Cow::Borrowed(target)).into_owned());
        }
        let (host, port) = self.authority(kind, compat, used);
        let mut url = String::with_capacity(URL_BYTES);
        if has_scheme(host) {
            url.push_str(host);
            let has_path = host.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/').contains('/'));
            if !has_path {
                url.truncate(host.trim_end_matches('/').len());
                self.push_path(&mut url, compat, used);
            }
            return Some(without_default_port(Cow::Owned(url)).into_owned());
        }
        if host.contains('/') {
            // A path, such as that of a socket.
            return None;
        }
        let (host, own_port) = split_port(host);
        let port = if own_port.is_empty() { port } else { own_port };
        let scheme = consume(&self.scheme, used).filter(|scheme| !scheme.is_empty());
        let scheme = scheme.unwrap_or(if port == "443" { "https" } else { "http" });
        url.extend([scheme, "://"]);
        match host.bytes().filter(|byte| *byte == b':').count() >= 2 && !host.starts_with('[') {
            true => url.extend(["[", host, "]"]),
            false => url.push_str(host),
        }
        if !port.is_empty() && !is_implied_port(scheme, port) {
            url.extend([":", port]);
        }
        self.push_path(&mut url, compat, used);
        (!host.is_empty()).then_some(url)
    }

    fn push_path(&self, url: &mut String, compat: Compat, used: &mut KeySet) {
        let is_used = |text: &&str| !text.is_empty() || compat.uses_empty_url_parts();
        let slash = |text: &str| if text.starts_with('/') || compat.joins_url_parts_unread() { "" } else { "/" };
        if let Some(target) = consume(&self.target, used).filter(is_used) {
            return url.extend([slash(target), target]);
        }
        let path = consume(&self.path, used).filter(is_used).unwrap_or("/");
        url.extend([slash(path), path]);
        if let Some(query) = consume(&self.query, used).filter(is_used) {
            if !query.starts_with('?') {
                url.push('?');
            }
            url.push_str(query);
        }
    }

    /// Returns host and port, each from the first attribute that is present.
    fn authority(&self, kind: SpanKind, compat: Compat, used: &mut KeySet) -> (&str, &str) {
        let is_used = |part: &&&UrlPart<'_>| {
            part.as_ref().is_some_and(|(_, text)| !text.is_empty() || compat.uses_empty_url_parts())
        };
        if is_used(&&&self.host) {
            return (consume(&self.host, used).unwrap_or_default(), "");
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
            // A name is better than an address.
            ([&self.peer_name, address, &self.peer_ip, &None], [&self.peer_port, port])
        };
        let host = hosts.iter().find(is_used).and_then(|part| consume(part, used)).unwrap_or_default();
        let port = ports.iter().find(is_used).and_then(|part| consume(part, used)).unwrap_or_default();
        (host, port)
    }

    /// Marks the parts that a full URL contains.
    fn consume_within(&self, full: &str, used: &mut KeySet) {
        let https = full.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"));
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

/// Whether a part is a URL.
fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// Splits a host from its port, which is empty if there is none.
fn split_port(host: &str) -> (&str, &str) {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        // Other colons are a part of an IPv6 address.
        Some((name, port)) if is_port(port) && (name.ends_with(']') || !name.contains(':')) => (name, port),
        _ => (host, ""),
    }
}

fn is_default_port(scheme: &str, port: &str) -> bool {
    matches!((scheme, port), ("http", "80") | ("https", "443"))
}

/// Whether the port is the default of the scheme, in any case.
fn is_implied_port(scheme: &str, port: &str) -> bool {
    match port {
        "80" => scheme.eq_ignore_ascii_case("http"),
        "443" => scheme.eq_ignore_ascii_case("https"),
        _ => false,
    }
}

/// Removes the port that the scheme implies, as in the examples of the AWS X-Ray Developer Guide.
fn without_default_port(url: Cow<'_, str>) -> Cow<'_, str> {
    let shortened = url.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let (name, port) = split_port(host);
        is_implied_port(scheme, port).then(|| [scheme, "://", user, name, path].concat())
    });
    shortened.map_or(url, Cow::Owned)
}

/// Returns the host of an attribute that can also have a port, or be a URL. A path, such as that of a socket, stays as it is.
pub(super) fn host_of(text: &str) -> &str {
    if text.starts_with('/') {
        return text;
    }
    let rest = text.split_once("://").filter(|_| has_scheme(text)).map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    split_port(authority.rsplit_once('@').map_or(authority, |(_, host)| host)).0
}

fn consume<'p>(part: &'p UrlPart<'_>, used: &mut KeySet) -> Option<&'p str> {
    let (key, text) = part.as_ref()?;
    used.insert(*key);
    Some(text)
}

/// Returns the text of a part. Only a port may be an integer.
fn part_text<'a>(key: Key, value: Option<&'a Value<'a>>) -> Cow<'a, str> {
    match key {
        Key::NetHostPort | Key::ServerPort | Key::NetPeerPort => value::string_or_int(value),
        _ => value::string(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::otlp::SpanKind::Client;

    fn url_of(parts: &[(Key, &'static str)]) -> String {
        let values: Vec<_> = parts.iter().map(|(key, text)| (*key, Value::String(text.as_bytes()))).collect();
        let mut url = UrlParts::default();
        for (key, value) in &values {
            url.take(*key, Some(value));
        }
        url.url(Client, Compat::Corrected).0.into_owned()
    }

    #[test]
    fn default_port_is_removed_for_schemes_in_any_case() {
        let parts = |scheme, host| url_of(&[(Key::HttpScheme, scheme), (Key::HttpHost, host), (Key::HttpTarget, "/a")]);
        assert_eq!(parts("HTTPS", "h:443"), "HTTPS://h/a");
        assert_eq!(parts("HTTPS", "h:80"), "HTTPS://h:80/a");
        for (full, expected) in [
            ("HTTP://h:80/x", "HTTP://h/x"),
            ("https://h:443", "https://h"),
            ("https://u:p@h:443?q", "https://u:p@h?q"),
            ("http://[2001:db8::1]:80/x", "http://[2001:db8::1]/x"),
            ("http://2001:db8::80/x", "http://2001:db8::80/x"),
            ("http://h:8080/x", "http://h:8080/x"),
            ("ftp://h:80/x", "ftp://h:80/x"),
        ] {
            assert_eq!(url_of(&[(Key::UrlFull, full)]), expected);
        }
    }

    #[test]
    fn path_of_a_socket_has_no_url() {
        assert_eq!(url_of(&[(Key::ServerAddress, "/var/run/docker.sock"), (Key::UrlPath, "/v1")]), "");
    }

    #[test]
    fn host_is_without_port_and_path() {
        for (text, host) in [
            ("https://h:443/p?q", "h"),
            ("https://u:p@h/p", "h"),
            ("h:443", "h"),
            ("h", "h"),
            ("[::1]:80", "[::1]"),
            ("2001:db8::80", "2001:db8::80"),
            ("/var/run/docker.sock", "/var/run/docker.sock"),
            ("https://", ""),
        ] {
            assert_eq!(host_of(text), host, "{text}");
        }
    }
}
