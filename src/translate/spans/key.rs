//! The attribute keys that mean something to X-Ray, and a span's attributes looked up by them.

use std::borrow::Cow;

use super::value;
use crate::model::otlp::KeyValue;
use crate::model::otlp::any_value::Value;

macro_rules! keys {
    ($($name:ident = $text:literal,)*) => {
        /// A known attribute key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Key {
            $($name,)*
            /// `aws.xray.metadata.<namespace>`.
            XrayMetadata,
            /// `otel.resource.<key>`, which stands in the way of a resource's own.
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
    AwsService = b"aws.service",
    AwsSpanKind = b"aws.span.kind",
    AwsSqsQueueUrl = b"aws.sqs.queue.url",
    AwsTableName = b"aws.table_name",
    AwsTableName2 = b"aws.table.name",
    AwsXrayAnnotations = b"aws.xray.annotations",
    AwsXrayInProgress = b"aws.xray.inprogress",
    ClientAddress = b"client.address",
    CloudRegion = b"cloud.region",
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
    MessagingPayloadSize = b"messaging.message_payload_size_bytes",
    MessagingUrl = b"messaging.url",
    NetHostName = b"net.host.name",
    NetHostPort = b"net.host.port",
    NetPeerIp = b"net.peer.ip",
    NetPeerName = b"net.peer.name",
    NetPeerPort = b"net.peer.port",
    NetworkPeerAddress = b"network.peer.address",
    PeerService = b"peer.service",
    RemoteTarget = b"remoteTarget",
    RpcGrpcStatusCode = b"rpc.grpc.status_code",
    RpcMethod = b"rpc.method",
    RpcResponseStatusCode = b"rpc.response.status_code",
    RpcService = b"rpc.service",
    RpcSystem = b"rpc.system",
    RpcSystemName = b"rpc.system.name",
    ServerAddress = b"server.address",
    ServerPort = b"server.port",
    UrlFull = b"url.full",
    UrlPath = b"url.path",
    UrlQuery = b"url.query",
    UrlScheme = b"url.scheme",
    UserAgentOriginal = b"user_agent.original",
}

/// Prefix of attributes whose value is a metadata namespace as JSON text.
pub(super) const XRAY_METADATA: &str = "aws.xray.metadata.";
/// Prefix of a resource's attributes in annotations and metadata.
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
        let mut at = 0;
        while at < keys.len() {
            bits |= 1 << keys[at] as u8;
            at += 1;
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

/// A span's attributes, read once: which known key stands where.
pub(super) struct Attributes<'a> {
    list: &'a [KeyValue],
    keys: Vec<Key>,
    /// Where the first attribute of a known key stands; past the end when there is none.
    first: [u32; Key::COUNT],
    /// Whether some key stands there twice.
    repeats: bool,
    /// Keys that are as good as absent.
    hidden: KeySet,
    /// Keys whose value went into a field of its own, so that metadata needs no copy.
    pub(super) consumed: KeySet,
}

impl<'a> Attributes<'a> {
    /// Of no span yet.
    pub(super) fn new() -> Self {
        let first = [u32::MAX; Key::COUNT];
        let (hidden, spent) = (KeySet::default(), KeySet::default());
        Attributes { list: &[], keys: Vec::new(), first, repeats: false, hidden, consumed: spent }
    }

    /// Reads the attributes of a span in place of the one before.
    pub(super) fn read(&mut self, list: &'a [KeyValue]) {
        self.list = list;
        self.first.fill(u32::MAX);
        self.repeats = false;
        self.keys.clear();
        self.reset(KeySet::default());
        for (at, attribute) in list.iter().enumerate() {
            let key = Key::from_bytes(&attribute.key);
            match self.first.get_mut(key as usize) {
                Some(place) if *place == u32::MAX => *place = u32::try_from(at).unwrap_or(u32::MAX),
                Some(_) => self.repeats = true,
                None => self.repeats |= value::shadowed(list, at),
            }
            self.keys.push(key);
        }
    }

    /// Starts over for another document of the same span, without the attributes `hidden`.
    pub(super) fn reset(&mut self, hidden: KeySet) {
        self.hidden = hidden;
        self.consumed = KeySet::default();
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: Key) -> bool {
        !self.hidden.contains(key) && self.first.get(key as usize).is_some_and(|&at| at != u32::MAX)
    }

    /// The first value of the key.
    pub(super) fn value(&self, key: Key) -> Option<&'a Value> {
        if self.hidden.contains(key) {
            return None;
        }
        value::content(self.list.get(*self.first.get(key as usize)? as usize)?)
    }

    /// The first value of the key if it is a string, else nothing.
    pub(super) fn bytes(&self, key: Key) -> &'a [u8] {
        value::string_bytes(self.value(key))
    }

    /// The first value of the key if it is a string, else the empty text.
    pub(super) fn text(&self, key: Key) -> Cow<'a, str> {
        value::string(self.value(key))
    }

    /// Every attribute that is not hidden, in wire order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &'a KeyValue)> {
        let hidden = self.hidden;
        self.keys.iter().copied().zip(self.list).filter(move |(key, _)| !hidden.contains(*key))
    }

    /// As [`Attributes::iter`] with each one's place; of those with the same key only the last.
    pub(super) fn iter_placed(&self) -> impl Iterator<Item = (usize, Key, &'a KeyValue)> {
        let (hidden, list, repeats) = (self.hidden, self.list, self.repeats);
        let whole = self.keys.iter().copied().zip(list).enumerate().map(|(at, (key, attribute))| (at, key, attribute));
        whole.filter(move |(at, key, _)| !(hidden.contains(*key) || repeats && value::shadowed(list, *at)))
    }

    /// Whether an attribute has exactly this key.
    pub(super) fn contains_key(&self, key: &str) -> bool {
        self.list.iter().any(|attribute| attribute.key == key.as_bytes())
    }

    /// Marks the key as written if its text is `text`.
    pub(super) fn consume_if(&mut self, key: Key, text: &str) {
        if let Some(Value::String(bytes)) = self.value(key)
            && (bytes == text.as_bytes() || value::is_lossy(bytes, text))
        {
            self.consumed.insert(key);
        }
    }
}
