//! The name of a document, which is a node of the trace map.

use std::borrow::Cow;

use ::url::Url;

use super::key::{Attributes, Key};
use super::resource::ResourceContext;
use super::{aws, rpc, sql, url, value};
use crate::model::escaped_json::{MAX_TEXT_BYTES, limited};
use crate::model::otlp::SpanKind;
use crate::model::otlp::borrowed::{Span, text};
use crate::translate::Compat;

/// Maximum length of a name, in characters (AWS X-Ray Developer Guide, "Required segment fields").
const MAX_NAME_LENGTH: usize = 200;

/// A name and its `namespace`.
pub(super) struct SegmentName<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) namespace: Option<&'static str>,
}

/// How the trace map shows a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A service that handles a request or a message.
    Service,
    /// A call, or work within a service.
    Call,
}

/// Returns the name of the full span. In adot mode, the order of the sources is the same as in the collector
/// (awsxrayexporter, `internal/translator/segment.go`, `MakeSegment`).
pub(super) fn base<'a>(
    attributes: &Attributes<'a>,
    span: &'a Span<'a>,
    resource: &ResourceContext<'a>,
    role: Role,
    compat: Compat,
) -> SegmentName<'a> {
    let kind = value::kind(span);
    let (source, name) = if compat.names_every_kind_by_peer() {
        collector_source(attributes, kind, resource, compat)
    } else if role == Role::Service {
        service_source(attributes, kind, resource, compat)
    } else {
        call_source(attributes, kind, compat)
    };
    let is_service = role == Role::Service && !compat.names_every_kind_by_peer();
    let namespace = if is_service {
        None
    } else if aws::is_aws_call(attributes, compat) || source == NameSource::AwsService {
        Some("aws")
    } else {
        matches!(kind, SpanKind::Client | SpanKind::Producer).then_some("remote")
    };
    let text = match source {
        NameSource::SpanName => sanitize_span_name(text(span.name), compat),
        _ => sanitize_name(name, compat).unwrap_or_else(|| sanitize_span_name(text(span.name), compat)),
    };
    SegmentName { text, namespace }
}

#[derive(PartialEq, Eq)]
enum NameSource {
    AwsService,
    Other,
    SpanName,
}

const SPAN_NAME: (NameSource, Cow<'static, str>) = (NameSource::SpanName, Cow::Borrowed(""));

fn collector_source<'a>(
    attributes: &Attributes<'a>,
    kind: SpanKind,
    resource: &ResourceContext<'a>,
    compat: Compat,
) -> (NameSource, Cow<'a, str>) {
    if let Some(name) = application_signals(attributes, kind, compat).filter(|name| !name.is_empty()) {
        return (NameSource::Other, name);
    }
    for (key, source) in [(Key::PeerService, NameSource::Other), (Key::AwsService, NameSource::AwsService)] {
        if !attributes.bytes(key).is_empty() {
            return (source, attributes.text(key));
        }
    }
    if let Some(name) = database(attributes, compat) {
        return (NameSource::Other, name);
    }
    let is_server = kind == SpanKind::Server;
    if let Some(name) = resource.service_name.as_ref().filter(|name| is_server && !name.is_empty()) {
        return (NameSource::Other, name.clone());
    }
    first(attributes, &[Key::RpcService, Key::HttpHost, Key::NetPeerName])
}

/// The name of a service is its own: its peer is the caller, and its database a call.
fn service_source<'a>(
    attributes: &Attributes<'a>,
    kind: SpanKind,
    resource: &ResourceContext<'a>,
    compat: Compat,
) -> (NameSource, Cow<'a, str>) {
    let local = attributes.text(Key::AwsLocalService);
    let service_name = resource.service_name.clone().unwrap_or_default();
    if let Some(name) = [local, service_name].into_iter().find(|name| !name.is_empty()) {
        return (NameSource::Other, name);
    }
    if kind != SpanKind::Server {
        return SPAN_NAME;
    }
    match rpc::service(attributes, compat) {
        service if service.is_empty() => first_host(attributes, &[Key::HttpHost]),
        service => (NameSource::Other, service),
    }
}

/// The name of a call is the called service, or its host. Work within a service has no host.
fn call_source<'a>(attributes: &Attributes<'a>, kind: SpanKind, compat: Compat) -> (NameSource, Cow<'a, str>) {
    if let Some(name) = application_signals(attributes, kind, compat).filter(|name| !name.is_empty()) {
        return (NameSource::Other, name);
    }
    let named = [
        (Key::PeerService, NameSource::Other),
        (Key::ServicePeerName, NameSource::Other),
        (Key::AwsService, NameSource::AwsService),
    ];
    for (key, source) in named {
        if !attributes.bytes(key).is_empty() {
            return (source, attributes.text(key));
        }
    }
    if aws::is_aws_call(attributes, compat) {
        let service = rpc::aws_service(attributes, compat);
        if !service.is_empty() {
            return (NameSource::Other, service);
        }
    }
    if let Some(name) = database(attributes, compat) {
        return (NameSource::Other, name);
    }
    match (rpc::service(attributes, compat), kind) {
        (service, _) if !service.is_empty() => (NameSource::Other, service),
        (_, SpanKind::Internal | SpanKind::Unspecified) => SPAN_NAME,
        (_, SpanKind::Client) => {
            first_host(attributes, &[Key::HttpHost, Key::NetPeerName, Key::ServerAddress, Key::UrlFull, Key::HttpUrl])
        }
        _ => first_host(attributes, &[Key::HttpHost, Key::NetPeerName]),
    }
}

/// Returns the first of the attributes that is not empty.
fn first<'a>(attributes: &Attributes<'a>, keys: &[Key]) -> (NameSource, Cow<'a, str>) {
    match keys.iter().find(|key| !attributes.bytes(**key).is_empty()) {
        Some(key) => (NameSource::Other, attributes.text(*key)),
        None => SPAN_NAME,
    }
}

/// Returns the first host in the attributes, without its port. A URL would be one node for each path.
fn first_host<'a>(attributes: &Attributes<'a>, keys: &[Key]) -> (NameSource, Cow<'a, str>) {
    let hosts = keys.iter().map(|key| match attributes.text(*key) {
        Cow::Borrowed(text) => Cow::Borrowed(url::host_of(text)),
        Cow::Owned(text) => Cow::Owned(url::host_of(&text).to_owned()),
    });
    hosts.into_iter().find(|host| !host.is_empty()).map_or(SPAN_NAME, |host| (NameSource::Other, host))
}

/// Returns the service name that the AWS distributions of the SDKs record.
fn application_signals<'a>(attributes: &Attributes<'a>, kind: SpanKind, compat: Compat) -> Option<Cow<'a, str>> {
    match kind {
        SpanKind::Server => Some(attributes.text(Key::AwsLocalService)),
        SpanKind::Internal if attributes.bytes(Key::AwsSpanKind) == b"LOCAL_ROOT" => {
            Some(attributes.text(Key::AwsLocalService))
        }
        SpanKind::Client | SpanKind::Producer | SpanKind::Consumer => Some(remote_service(attributes, compat)),
        _ => None,
    }
}

/// Returns `aws.remote.service`. On AWS SDK calls, the prefix of the SDK or of CloudFormation is removed.
pub(super) fn remote_service<'a>(attributes: &Attributes<'a>, compat: Compat) -> Cow<'a, str> {
    let name = attributes.text(Key::AwsRemoteService);
    if !aws::is_aws_call(attributes, compat) {
        return name;
    }
    match name.strip_prefix("AWS.SDK.").or_else(|| name.strip_prefix("AWS::")) {
        Some(rest) => Cow::Owned(rest.to_owned()),
        None => name,
    }
}

/// Returns the database name, followed by `@` and the host if it is known.
fn database<'a>(attributes: &Attributes<'a>, compat: Compat) -> Option<Cow<'a, str>> {
    let is_stable = !compat.ignores_stable_conventions();
    let name = sql::database(attributes, compat);
    if name.is_empty() {
        return None;
    }
    if name.len() > MAX_TEXT_BYTES {
        return Some(name);
    }
    let mut host = connection_host(&attributes.text(Key::DbConnectionString));
    if host.is_none() && is_stable && attributes.has(Key::DbNamespace) {
        host = Some(attributes.text(Key::ServerAddress).into_owned()).filter(|host| !host.is_empty());
    }
    Some(match host {
        Some(host) => Cow::Owned(format!("{name}@{host}")),
        None => name,
    })
}

/// Returns the host of a connection string that is a URL, with or without the prefix `jdbc:`.
fn connection_host(connection: &str) -> Option<String> {
    let rest = connection.strip_prefix("jdbc:").unwrap_or(connection);
    let (_, after) = rest.split_once("://")?;
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host_and_port.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?.0,
        None => {
            let (host, port) = host_and_port.split_once(':').unwrap_or((host_and_port, ""));
            port.bytes().all(|byte| byte.is_ascii_digit()).then_some(host)?
        }
    };
    let is_url = Url::parse(limited(rest)).is_ok() || host.contains(',');
    (is_url && !host.is_empty()).then(|| host.to_owned())
}

/// Removes the characters that X-Ray rejects. Returns `None` if no other character is left.
pub(super) fn sanitize_name(name: Cow<'_, str>, compat: Compat) -> Option<Cow<'_, str>> {
    if compat.keeps_invalid_names() {
        return Some(name);
    }
    let is_allowed = |c: char| c.is_alphabetic() || c.is_numeric() || c.is_whitespace() || "_.:/%&#=+\\-@".contains(c);
    let fits = name.len() <= MAX_NAME_LENGTH
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:/%&#=+-@ ".contains(&b));
    let name = if fits { name } else { name.chars().filter(|c| is_allowed(*c)).take(MAX_NAME_LENGTH).collect() };
    (!name.trim().is_empty()).then_some(name)
}

/// Removes characters from a span name as the collector does (`segment.go`, `fixSegmentName`), and limits its length.
fn sanitize_span_name(name: Cow<'_, str>, compat: Compat) -> Cow<'_, str> {
    let kept = if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:/%&#=+-@ ".contains(&b)) {
        name
    } else {
        let is_kept = |c: &char| c.is_alphabetic() || c.is_ascii_digit() || " _.:/%&#=+-@".contains(*c);
        // One more than the maximum, which is cut below.
        name.chars().filter(is_kept).take(MAX_NAME_LENGTH + 1).collect()
    };
    let kept = match kept.as_bytes().get(..MAX_NAME_LENGTH) {
        Some(start) if compat.cuts_names_at_bytes() => Cow::Owned(String::from_utf8_lossy(start).into_owned()),
        Some(_) => kept.chars().take(MAX_NAME_LENGTH).collect(),
        None => kept,
    };
    let is_blank = if compat.keeps_blank_names() { kept.is_empty() } else { kept.trim().is_empty() };
    if is_blank { Cow::Borrowed("span") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_host_reads_urls_only() {
        let cases = [
            ("postgresql://db.internal:5432", Some("db.internal")),
            ("jdbc:mysql://user:secret@h:3306/x?y=z", Some("h")),
            ("postgresql://[::1]:5432/x", Some("::1")),
            ("jdbc:sqlserver://h:1433;databaseName=x", None),
            ("oracle:thin:@h:1521/x", None),
            ("Server=h;Database=x", None),
            ("mysql://h1,h2:3306/x", Some("h1,h2")),
            ("", None),
        ];
        for (connection, host) in cases {
            assert_eq!(connection_host(connection).as_deref(), host, "{connection}");
        }
    }

    #[test]
    fn names_lose_invalid_characters() {
        let sanitized = |name: &'static str| sanitize_name(name.into(), Compat::Corrected).map(Cow::into_owned);
        assert_eq!(sanitized("a,b$c\\d").as_deref(), Some("abc\\d"));
        assert_eq!(sanitized("?*"), None);
        assert_eq!(sanitize_span_name("a,b$c\\d\te".into(), Compat::Adot), "abcde");
        assert_eq!(sanitize_span_name("?".into(), Compat::Adot), "span");
        let long = "é".repeat(300);
        assert_eq!(sanitize_name(long.clone().into(), Compat::Corrected).unwrap().chars().count(), 200);
        assert_eq!(sanitize_span_name(long.into(), Compat::Adot).chars().count(), 100);
    }
}
