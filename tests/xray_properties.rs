//! Properties of segment documents in the default mode, for spans with any of the attributes that decide a name, a URL or an address.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sidecarless::translate::Compat::Corrected;

use crate::xray::{CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, TestSpan};

/// Returns some of the attributes, each with one of its values.
fn some_of(choices: &'static [(&'static str, &'static [&'static str])]) -> impl Strategy<Value = Map<String, Value>> {
    let one = |(key, values): (&'static str, &'static [&'static str])| {
        prop::option::of(prop::sample::select(values))
            .prop_map(move |value| value.map(|value| (key.to_owned(), json!(value))))
    };
    let all: Vec<_> = choices.iter().map(|choice| one(*choice)).collect();
    all.prop_map(|attributes| attributes.into_iter().flatten().collect())
}

fn document(kind: i32, is_child: bool, attributes: Map<String, Value>) -> Value {
    let span = if is_child { TestSpan::child(kind, "span") } else { TestSpan::root(kind, "span") };
    let span = span.on(json!({ "service.name": "shop" })).with(Value::Object(attributes));
    span.documents(Corrected).remove(0)
}

const NAMES: &[(&str, &[&str])] = &[
    ("peer.service", &["caller"]),
    ("service.peer.name", &["caller"]),
    ("net.peer.name", &["caller"]),
    ("server.address", &["caller"]),
    ("http.host", &["host"]),
    ("db.name", &["caller"]),
    ("db.namespace", &["caller"]),
    ("aws.service", &["caller"]),
    ("aws.remote.service", &["caller"]),
    ("rpc.system", &["aws-api", "grpc"]),
    ("rpc.system.name", &["aws-api", "grpc"]),
    ("rpc.service", &["SQS", "cart.Cart"]),
    ("rpc.method", &["SQS/ReceiveMessage", "Get", "cart.Cart/Get"]),
    ("messaging.operation", &["receive", "process"]),
    ("messaging.operation.type", &["receive", "process"]),
];

const URLS: &[(&str, &[&str])] = &[
    ("http.request.method", &["GET"]),
    ("http.scheme", &["http", "https"]),
    ("url.scheme", &["http", "https", ""]),
    ("http.host", &["shop.example.com", "shop.example.com:8080", "shop.example.com:443", "[::1]:80", ""]),
    ("server.address", &["shop", "shop:8443", "fd00::1", "10.0.0.4:80", "https://shop:443/a", "http://shop"]),
    ("server.port", &["80", "443", "8443", ""]),
    ("net.host.name", &["shop:80", "shop"]),
    ("net.host.port", &["80", "8080"]),
    ("net.peer.name", &["shop:443", "http://shop:80/", "shop"]),
    ("net.peer.port", &["443", "8080"]),
    ("net.peer.ip", &["10.0.0.4", "fd00::2"]),
    ("http.target", &["/a?b", "b", "http://shop:80/a", ""]),
    ("url.path", &["/a", "a", ""]),
    ("url.query", &["q=1", "?q", ""]),
];

const CLIENTS: &[(&str, &[&str])] = &[
    ("http.request.method", &["GET"]),
    ("http.client_ip", &["198.51.100.7", "10.0.0.9", "unknown"]),
    ("client.address", &["198.51.100.7", "10.0.0.9", "host"]),
    ("client.port", &["50270"]),
    ("net.peer.ip", &["10.0.0.9", ""]),
    ("network.peer.address", &["10.0.0.9", "::ffff:10.0.0.9", "/run/app.sock"]),
    ("net.sock.peer.addr", &["10.0.0.9"]),
];

const CONNECTIONS: &[(&str, &[&str])] = &[
    ("net.peer.name", &["db"]),
    ("net.peer.port", &["5432"]),
    ("net.peer.ip", &["10.0.3.4"]),
    ("net.host.ip", &["10.0.1.2"]),
    ("net.host.port", &["46682"]),
    ("net.transport", &["ip_tcp"]),
    ("network.transport", &["tcp"]),
    ("network.peer.address", &["10.0.3.4"]),
    ("server.address", &["db"]),
    ("server.port", &["5432"]),
    ("url.scheme", &["https"]),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn services_have_their_own_name(
        kind in prop::sample::select(&[SERVER, CONSUMER][..]), is_child: bool, attributes in some_of(NAMES)
    ) {
        let document = document(kind, is_child, attributes);
        if document["type"].is_null() {
            prop_assert_eq!((&document["name"], &document["namespace"]), (&json!("shop"), &Value::Null));
        } else {
            prop_assert!(kind == CONSUMER && is_child, "{}", document);
            prop_assert_eq!(&document["namespace"], "aws");
        }
    }

    #[test]
    fn calls_have_a_namespace_and_work_has_none(
        kind in prop::sample::select(&[CLIENT, PRODUCER, INTERNAL][..]), attributes in some_of(NAMES)
    ) {
        let is_aws = ["rpc.system", "rpc.system.name"].iter().any(|key| attributes.get(*key) == Some(&json!("aws-api")))
            || attributes.contains_key("aws.service");
        let document = document(kind, true, attributes);
        prop_assert_eq!(&document["type"], "subsegment");
        match document["namespace"].as_str() {
            Some("aws") => prop_assert!(is_aws),
            Some("remote") => prop_assert!(kind != INTERNAL),
            _ => prop_assert_eq!(kind, INTERNAL),
        }
    }

    #[test]
    fn urls_have_one_port_and_no_default_port(
        kind in prop::sample::select(&[SERVER, CLIENT][..]), attributes in some_of(URLS)
    ) {
        let document = document(kind, false, attributes);
        let Some(text) = document["http"]["request"]["url"].as_str() else { return Ok(()) };
        let url = url::Url::parse(text).unwrap();
        prop_assert!(url.has_host() && matches!(url.scheme(), "http" | "https"), "{}", text);
        prop_assert_eq!(text.matches("://").count(), 1, "{}", text);
        // The parser removes default ports, and makes an empty path a slash.
        let normal = url.as_str();
        prop_assert!(normal == text || normal.trim_end_matches('/') == text, "{} is not {}", text, normal);
    }

    #[test]
    fn forwarded_addresses_are_not_those_of_peers(attributes in some_of(CLIENTS)) {
        let document = document(SERVER, false, attributes.clone());
        let request = &document["http"]["request"];
        let peers = ["net.peer.ip", "network.peer.address", "net.sock.peer.addr"];
        let mut peers = peers.iter().filter_map(|key| attributes.get(*key)).filter_map(Value::as_str);
        if request["x_forwarded_for"] == true {
            let ip = request["client_ip"].as_str().unwrap();
            prop_assert!(["http.client_ip", "client.address"].iter().any(|key| attributes.get(*key) == Some(&json!(ip))));
            prop_assert!(peers.all(|peer| peer.trim_start_matches("::ffff:") != ip), "{}", document);
        }
    }

    #[test]
    fn connections_are_not_http_requests(
        kind in prop::sample::select(&[INTERNAL, CLIENT][..]), attributes in some_of(CONNECTIONS)
    ) {
        let document = document(kind, true, attributes.clone());
        prop_assert!(document["http"].is_null(), "{}", document);
        if kind == INTERNAL {
            prop_assert_eq!(&document["name"], "span");
            for (key, value) in attributes {
                prop_assert_eq!(&document["metadata"]["default"][&key], &value, "{}", key);
            }
        }
    }
}
