//! X-Ray segment documents on their way out.

/// One segment or independent subsegment, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The document, at most 64 KB of JSON (AWS X-Ray Developer Guide, "X-Ray segment documents").
    pub json: String,
    /// As the document has it: `1-8hex-24hex`.
    pub trace_id: String,
    /// As the document has it: 16 hex.
    pub id: String,
}
