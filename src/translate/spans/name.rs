//! What a document is called: one node of X-Ray's map.

use std::borrow::Cow;

use url::Url;

use super::key::{Attributes, Key};
use super::resource::ResourceContext;
use super::{aws, value};
use crate::model::otlp::{Span, SpanKind, text};
use crate::translate::Compat;

/// Longest name that X-Ray takes (AWS X-Ray Developer Guide, "Required segment fields").
const MAX_NAME_LENGTH: usize = 200;

/// A name, and the `namespace` that goes with it.
pub(super) struct SegmentName<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) namespace: Option<&'static str>,
}

/// The name by the collector's order of sources (awsxrayexporter, `internal/translator/segment.go`, `MakeSegment`); at
/// best every source is cleaned, a consumer is called by its service, and `server.address` names a client's peer.
pub(super) fn base<'a>(
    attributes: &Attributes<'a>,
    span: &'a Span,
    resource: &ResourceContext<'a>,
    compat: Compat,
) -> SegmentName<'a> {
    let kind = value::kind(span);
    let mut namespace = aws::is_aws_call(attributes, compat).then_some("aws");
    let (source, text) = source(attributes, kind, resource, compat);
    if source == NameSource::AwsService {
        namespace = Some("aws");
    }
    if namespace.is_none() && matches!(kind, SpanKind::Client | SpanKind::Producer) {
        namespace = Some("remote");
    }
    let text = match source {
        NameSource::SpanName => sanitize_name_adot(self::text(&span.name), compat),
        _ => sanitize_name(text, compat).unwrap_or_else(|| sanitize_name_adot(self::text(&span.name), compat)),
    };
    SegmentName { text, namespace }
}

#[derive(PartialEq, Eq)]
enum NameSource {
    AwsService,
    Other,
    SpanName,
}

fn source<'a>(
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
    let is_service = kind == SpanKind::Server || (kind == SpanKind::Consumer && compat == Compat::Corrected);
    if let Some(name) = resource.service_name.as_ref().filter(|name| is_service && !name.is_empty()) {
        return (NameSource::Other, name.clone());
    }
    for key in [Key::RpcService, Key::HttpHost, Key::NetPeerName] {
        if !attributes.bytes(key).is_empty() {
            return (NameSource::Other, attributes.text(key));
        }
    }
    if compat == Compat::Corrected && kind == SpanKind::Client && !attributes.bytes(Key::ServerAddress).is_empty() {
        return (NameSource::Other, attributes.text(Key::ServerAddress));
    }
    (NameSource::SpanName, Cow::Borrowed(""))
}

/// What AWS' own distributions say that a span stands for.
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

/// `aws.remote.service`, without the prefix of an AWS SDK or of CloudFormation on calls of an AWS SDK.
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

/// The database, with its host where one is known.
fn database<'a>(attributes: &Attributes<'a>, compat: Compat) -> Option<Cow<'a, str>> {
    let best = compat == Compat::Corrected;
    let mut name = attributes.text(Key::DbName);
    if name.is_empty() && best {
        name = attributes.text(Key::DbNamespace);
    }
    if name.is_empty() {
        return None;
    }
    let mut host = connection_host(&attributes.text(Key::DbConnectionString));
    if host.is_none() && best && attributes.has(Key::DbNamespace) {
        host = Some(attributes.text(Key::ServerAddress).into_owned()).filter(|host| !host.is_empty());
    }
    Some(match host {
        Some(host) => Cow::Owned(format!("{name}@{host}")),
        None => name,
    })
}

/// The host of a connection string that is a URL, maybe behind `jdbc:`.
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
    let is_url = Url::parse(rest).is_ok() || host.contains(',');
    (is_url && !host.is_empty()).then(|| host.to_owned())
}

/// A name as X-Ray takes it. Nothing when nothing is left of it.
pub(super) fn sanitize_name(name: Cow<'_, str>, compat: Compat) -> Option<Cow<'_, str>> {
    if compat == Compat::Adot {
        return Some(name);
    }
    let is_allowed = |c: char| c.is_alphabetic() || c.is_numeric() || c.is_whitespace() || "_.:/%&#=+\\-@".contains(c);
    let fits = name.len() <= MAX_NAME_LENGTH
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:/%&#=+-@ ".contains(&b));
    let name = if fits { name } else { name.chars().filter(|c| is_allowed(*c)).take(MAX_NAME_LENGTH).collect() };
    (!name.trim().is_empty()).then_some(name)
}

/// A span's name as the collector cleans it: other characters are taken out, and the text is cut after 200 bytes.
fn sanitize_name_adot(name: Cow<'_, str>, compat: Compat) -> Cow<'_, str> {
    let kept = if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:/%&#=+-@ ".contains(&b)) {
        name
    } else {
        name.chars().filter(|c| c.is_alphabetic() || c.is_ascii_digit() || " _.:/%&#=+-@".contains(*c)).collect()
    };
    let kept = match compat {
        Compat::Adot if kept.len() > MAX_NAME_LENGTH => {
            Cow::Owned(String::from_utf8_lossy(kept.as_bytes().get(..MAX_NAME_LENGTH).unwrap_or_default()).into_owned())
        }
        Compat::Corrected if kept.len() > MAX_NAME_LENGTH => kept.chars().take(MAX_NAME_LENGTH).collect(),
        _ => kept,
    };
    let is_blank = if compat == Compat::Corrected { kept.trim().is_empty() } else { kept.is_empty() };
    if is_blank { Cow::Borrowed("span") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_connection_string_is_read_where_it_is_a_url() {
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
    fn names_lose_what_x_ray_refuses() {
        let best = |name: &'static str| sanitize_name(name.into(), Compat::Corrected).map(Cow::into_owned);
        assert_eq!(best("a,b$c\\d").as_deref(), Some("abc\\d"));
        assert_eq!(best("?*"), None);
        assert_eq!(sanitize_name_adot("a,b$c\\d\te".into(), Compat::Adot), "abcde");
        assert_eq!(sanitize_name_adot("?".into(), Compat::Adot), "span");
        let long = "é".repeat(300);
        assert_eq!(sanitize_name(long.clone().into(), Compat::Corrected).unwrap().chars().count(), 200);
        assert_eq!(sanitize_name_adot(long.into(), Compat::Adot).chars().count(), 100);
    }
}
