//! Limits of the work for one document. What is beyond them cannot fit into a document, so they do not change documents that fit.

/// "Segment documents can be up to 64 kB in size" (AWS X-Ray Developer Guide), in the smaller of the two meanings of
/// kB.
pub(super) const MAX_DOCUMENT_BYTES: usize = 64_000;

/// Maximum number of documents of a request that are truncated. Truncating a document takes about 2 ms. The attributes of a request of
/// 20 MiB, the maximum, fill 330 documents; more are only too large because of a resource that they share.
pub(super) const TRUNCATED_DOCUMENTS: u64 = 1_000;

/// Maximum size of a block of a document in escaped form, which has at most twice the size of the JSON.
pub(super) const BLOCK_BYTES: usize = 2 * MAX_DOCUMENT_BYTES;

/// Maximum number of stack frames of a document. A frame has at least 32 bytes: `{"path":"","label":"","line":0},`.
pub(super) const FRAMES: usize = MAX_DOCUMENT_BYTES / 32;

/// Maximum number of exceptions. An exception has at least 52 bytes: `{"id":"0123456789abcdef","type":"","message":""},`.
pub(super) const EXCEPTIONS: usize = MAX_DOCUMENT_BYTES / 48;

/// Maximum number of links. A link has at least 71 bytes: `{"trace_id":"1-01234567-0123456789abcdef01234567","id":""},`.
pub(super) const LINKS: usize = MAX_DOCUMENT_BYTES / 58;

/// Maximum number of log groups. An empty one is `{},`.
pub(super) const LOG_GROUPS: usize = MAX_DOCUMENT_BYTES / 3;

/// Maximum number of DynamoDB tables. A name has at least three bytes: `"",`.
pub(super) const TABLES: usize = MAX_DOCUMENT_BYTES / 2;

/// Maximum size of JSON texts in `aws.xray.metadata.` attributes, which have white space.
pub(in crate::translate) const NAMESPACE_BYTES: usize = 4 * MAX_DOCUMENT_BYTES;

/// What a document does not contain because of the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Omitted {
    pub(super) frames: u64,
    pub(super) exceptions: u64,
    pub(super) links: u64,
    /// Attributes, events and values.
    pub(super) items: u64,
}

impl Omitted {
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}
