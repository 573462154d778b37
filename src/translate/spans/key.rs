//! The attribute keys that the translation reads, and the attributes of a span by key.

use std::borrow::Cow;
use std::collections::HashSet;

use super::value;
use crate::model::otlp::borrowed::KeyValue;
use crate::model::otlp::borrowed::Value;

macro_rules! keys {
    ($($name:ident = $text:literal,)*) => {
        /// A known attribute key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Key {
            $($name,)*
            /// `aws.xray.metadata.<namespace>`.
            XrayMetadata,
            /// `otel.resource.<key>`, which replaces the resource attribute with that key.
            OtelResource,
            Other,
        }

        fn exact(key: &[u8]) -> Option<Key> {
            match key {
                $($text => Some(Key::$name),)*
                _ => None,
            }
        }
    };
}

keys! {
    AwsAccountId = b"aws.account_id",
    AwsAuthRegion = b"aws.auth.region",
    AwsDynamodbTableNames = b"aws.dynamodb.table_names",
    AwsLocalService = b"aws.local.service",
    AwsOperation = b"aws.operation",
    AwsQueueUrl = b"aws.queue_url",
    AwsQueueUrl2 = b"aws.queue.url",
    AwsRegion = b"aws.region",
    AwsRemoteOperation = b"aws.remote.operation",
    AwsRemoteService = b"aws.remote.service",
    AwsRequestId = b"aws.request_id",
    AwsRequestId2 = b"aws.requestId",
    AwsRequestId3 = b"aws.request.id",
    AwsService = b"aws.service",
    AwsSpanKind = b"aws.span.kind",
    AwsSqsQueueUrl = b"aws.sqs.queue.url",
    AwsTableName = b"aws.table_name",
    AwsTableName2 = b"aws.table.name",
    AwsXrayAnnotations = b"aws.xray.annotations",
    AwsXrayInProgress = b"aws.xray.inprogress",
    ClientAddress = b"client.address",
    ClientPort = b"client.port",
    CloudRegion = b"cloud.region",
    DbCollectionName = b"db.collection.name",
    DbConnectionString = b"db.connection_string",
    DbName = b"db.name",
    DbNamespace = b"db.namespace",
    DbQueryText = b"db.query.text",
    DbStatement = b"db.statement",
    DbSystem = b"db.system",
    DbSystemName = b"db.system.name",
    DbUser = b"db.user",
    EndUserId = b"enduser.id",
    HostName = b"host.name",
    HttpClientIp = b"http.client_ip",
    HttpHost = b"http.host",
    HttpMethod = b"http.method",
    HttpRequestMethod = b"http.request.method",
    HttpResponseBodySize = b"http.response.body.size",
    HttpResponseContentLength = b"http.response_content_length",
    HttpResponseHeaderLength = b"http.response.header.content-length",
    HttpResponseStatusCode = b"http.response.status_code",
    HttpScheme = b"http.scheme",
    HttpServerName = b"http.server_name",
    HttpStatusCode = b"http.status_code",
    HttpStatusText = b"http.status_text",
    HttpTarget = b"http.target",
    HttpUrl = b"http.url",
    HttpUserAgent = b"http.user_agent",
    K8sRemoteNamespace = b"K8s.RemoteNamespace",
    MessageType = b"message.type",
    MessagingOperation = b"messaging.operation",
    MessagingOperationType = b"messaging.operation.type",
    MessagingPayloadSize = b"messaging.message_payload_size_bytes",
    MessagingUrl = b"messaging.url",
    NetHostName = b"net.host.name",
    NetHostPort = b"net.host.port",
    NetPeerIp = b"net.peer.ip",
    NetPeerName = b"net.peer.name",
    NetPeerPort = b"net.peer.port",
    NetSockPeerAddr = b"net.sock.peer.addr",
    NetworkPeerAddress = b"network.peer.address",
    PeerService = b"peer.service",
    RemoteTarget = b"remoteTarget",
    RpcConnectErrorCode = b"rpc.connect_rpc.error_code",
    RpcGrpcStatusCode = b"rpc.grpc.status_code",
    RpcMethod = b"rpc.method",
    RpcResponseStatusCode = b"rpc.response.status_code",
    RpcService = b"rpc.service",
    RpcSystem = b"rpc.system",
    RpcSystemName = b"rpc.system.name",
    ServerAddress = b"server.address",
    ServerPort = b"server.port",
    ServicePeerName = b"service.peer.name",
    UrlFull = b"url.full",
    UrlPath = b"url.path",
    UrlQuery = b"url.query",
    UrlScheme = b"url.scheme",
    UserAgentOriginal = b"user_agent.original",
}

/// Prefix of attributes whose value is a metadata namespace in JSON.
pub(super) const XRAY_METADATA: &str = "aws.xray.metadata.";
/// Prefix of resource attributes in annotations and metadata.
pub(super) const OTEL_RESOURCE: &str = "otel.resource.";

impl Key {
    const COUNT: usize = Key::Other as usize;

    fn from_bytes(key: &[u8]) -> Key {
        match exact(key) {
            Some(key) => key,
            None if key.starts_with(XRAY_METADATA.as_bytes()) => Key::XrayMetadata,
            None if key.starts_with(OTEL_RESOURCE.as_bytes()) => Key::OtelResource,
            None => Key::Other,
        }
    }
}

/// A set of known keys.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeySet(u128);

impl KeySet {
    pub(super) const fn from_keys(keys: &[Key]) -> KeySet {
        let mut bits = 0;
        let mut index = 0;
        while index < keys.len() {
            bits |= 1 << keys[index] as u8;
            index += 1;
        }
        KeySet(bits)
    }

    pub(super) fn contains(self, key: Key) -> bool {
        self.0 & (1 << key as u8) != 0
    }

    pub(super) fn add(&mut self, keys: KeySet) {
        self.0 |= keys.0;
    }

    pub(super) fn insert(&mut self, key: Key) {
        self.0 |= 1 << key as u8;
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.0 &= !(1 << key as u8);
    }
}

/// Attributes of a span, indexed by known key.
pub(super) struct Attributes<'a> {
    list: &'a [KeyValue<'a>],
    keys: &'a [Key],
    /// Position of the first attribute with a known key, `u32::MAX` if there is none.
    first: [u32; Key::COUNT],
    /// Whether a key is repeated.
    repeats: bool,
    /// Keys that are treated as absent.
    hidden: KeySet,
    /// Keys whose value has been written to a field, so that metadata does not need to contain it.
    pub(super) consumed: KeySet,
}

impl<'a> Attributes<'a> {
    /// Reads the attributes of a span. `keys` is a buffer that all spans share.
    pub(super) fn read(list: &'a [KeyValue<'a>], keys: &'a mut Vec<Key>) -> Self {
        keys.clear();
        let (mut first, mut repeats) = ([u32::MAX; Key::COUNT], false);
        for (position, attribute) in list.iter().enumerate() {
            let key = Key::from_bytes(attribute.key);
            match first.get_mut(key as usize) {
                Some(first) if *first == u32::MAX => *first = u32::try_from(position).unwrap_or(u32::MAX),
                Some(_) => repeats = true,
                None => repeats |= value::is_repeated_later(list, position),
            }
            keys.push(key);
        }
        let (hidden, consumed) = (KeySet::default(), KeySet::default());
        Attributes { list, keys, first, repeats, hidden, consumed }
    }

    /// Prepares for the next document of the span, which does not contain the attributes in `hidden`.
    pub(super) fn reset(&mut self, hidden: KeySet) {
        self.hidden = hidden;
        self.consumed = KeySet::default();
    }

    /// Whether the key is present, with any value.
    pub(super) fn has(&self, key: Key) -> bool {
        !self.hidden.contains(key) && self.first.get(key as usize).is_some_and(|&position| position != u32::MAX)
    }

    /// Returns the first value of the key.
    pub(super) fn value(&self, key: Key) -> Option<&'a Value<'a>> {
        if self.hidden.contains(key) {
            return None;
        }
        value::content(self.list.get(*self.first.get(key as usize)? as usize)?)
    }

    /// Returns the bytes of the first value of the key, and an empty slice if it is not a string.
    pub(super) fn bytes(&self, key: Key) -> &'a [u8] {
        value::string_bytes(self.value(key))
    }

    /// Returns the text of the first value of the key, and an empty text if it is not a string.
    pub(super) fn text(&self, key: Key) -> Cow<'a, str> {
        value::string(self.value(key))
    }

    /// Returns the attributes that are not hidden, in wire order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &'a KeyValue<'a>)> {
        let hidden = self.hidden;
        self.keys.iter().copied().zip(self.list).filter(move |(key, _)| !hidden.contains(*key))
    }

    /// Returns the attributes that are not hidden, with their positions. Of attributes with one key, only the last is
    /// returned.
    pub(super) fn iter_last(&self) -> impl Iterator<Item = (usize, Key, &'a KeyValue<'a>)> {
        let (hidden, list, repeats) = (self.hidden, self.list, self.repeats);
        let pairs = self.keys.iter().copied().zip(list).enumerate();
        let all = pairs.map(|(position, (key, attribute))| (position, key, attribute));
        all.filter(move |(position, key, _)| {
            !(hidden.contains(*key) || repeats && value::is_repeated_later(list, *position))
        })
    }

    /// Returns the keys of all attributes.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a [u8]> {
        self.list.iter().map(|attribute| attribute.key)
    }

    /// Returns the `otel.resource.` keys, each of which replaces a resource attribute.
    pub(super) fn replaced_resource_keys(&self) -> HashSet<&'a [u8]> {
        let known = self.keys.iter().zip(self.list);
        let replacing = known.filter(|(key, _)| **key == Key::OtelResource);
        replacing.map(|(_, attribute)| attribute.key).collect()
    }

    /// Marks the key as consumed if its value is `text`.
    pub(super) fn consume_if(&mut self, key: Key, text: &str) {
        if let Some(Value::String(bytes)) = self.value(key)
            && (*bytes == text.as_bytes() || value::is_lossy(bytes, text))
        {
            self.consumed.insert(key);
        }
    }
}
