//! Formats ids and times for X-Ray, and derives the ids that a span does not contain.

use std::ops::Deref;

use ring::digest::{Context, SHA256};

use crate::translate::Compat;

pub(super) type TraceId = [u8; 16];
pub(super) type SpanId = [u8; 8];

/// The ids of one document.
#[derive(Clone, Copy)]
pub(super) struct DocumentIds {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
}

/// The two digits of each byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

/// The text of an id, without an allocation: every span has several ids.
pub(super) struct IdText {
    digits: [u8; IdText::MAX_LENGTH],
    len: usize,
}

impl IdText {
    /// `1-8hex-24hex`.
    const MAX_LENGTH: usize = 35;

    fn new() -> Self {
        Self { digits: [0; Self::MAX_LENGTH], len: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        let end = self.len + text.len();
        if let Some(digits) = self.digits.get_mut(self.len..end) {
            digits.copy_from_slice(text);
            self.len = end;
        }
    }

    fn push_hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push(HEX.get(usize::from(*byte)).unwrap_or(b"00"));
        }
    }
}

impl Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        self.digits.get(..self.len).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

/// Returns epoch seconds, with the same division as the collector.
#[expect(
    clippy::cast_precision_loss,
    reason = "times in X-Ray are doubles, with a precision of about 0.2 us in this century"
)]
pub(super) fn seconds(unix_nano: u64) -> f64 {
    unix_nano as f64 / 1e9
}

/// Returns the lower-case hex digits of an id of any length.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| HEX.get(usize::from(*byte)).unwrap_or(b"00"));
    digits.map(|digit| char::from(*digit)).collect()
}

/// Returns 16 lower-case hex digits.
pub(super) fn span_id_text(id: &SpanId) -> IdText {
    let mut text = IdText::new();
    text.push_hex(id);
    text
}

/// Returns `1-8hex-24hex` (AWS X-Ray Developer Guide, "Sending trace data to AWS X-Ray").
pub(super) fn trace_id_text(id: &TraceId) -> IdText {
    let (epoch, rest) = id.split_at(4);
    let mut text = IdText::new();
    text.push(b"1-");
    text.push_hex(epoch);
    text.push(b"-");
    text.push_hex(rest);
    text
}

/// Returns a trace id, or `None` if it does not have 16 bytes or is all zero.
pub(super) fn trace_id(bytes: &[u8], compat: Compat) -> Option<TraceId> {
    id(bytes, compat)
}

/// Returns a span id, or `None` if it does not have 8 bytes or is all zero.
pub(super) fn span_id(bytes: &[u8], compat: Compat) -> Option<SpanId> {
    id(bytes, compat)
}

fn id<const N: usize>(bytes: &[u8], compat: Compat) -> Option<[u8; N]> {
    if compat.accepts_zero_ids() && bytes.is_empty() {
        return Some([0; N]);
    }
    let id: [u8; N] = bytes.try_into().ok()?;
    (id != [0; N] || compat.accepts_zero_ids()).then_some(id)
}

/// Derives an id from the ids of a span, so that a span that is sent again becomes the same documents. `purpose` and
/// `number` distinguish the ids of one span. The id is never all zero.
pub(super) fn derive_id(trace: &TraceId, span: &SpanId, purpose: &[u8], number: [u32; 2]) -> SpanId {
    let mut context = Context::new(&SHA256);
    context.update(trace);
    context.update(span);
    context.update(purpose);
    for part in number {
        context.update(&part.to_be_bytes());
    }
    let mut id = SpanId::default();
    for (to, from) in id.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    if id == SpanId::default() { [0, 0, 0, 0, 0, 0, 0, 1] } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_id_is_written_in_three_parts() {
        let id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
        assert_eq!(&*trace_id_text(&id), "1-4bf92f35-77b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn derived_ids_are_stable_and_depend_on_every_input() {
        let id = |trace: u8, span: u8, purpose: &[u8], number| derive_id(&[trace; 16], &[span; 8], purpose, number);
        assert_eq!(id(1, 2, b"a", [0, 0]), id(1, 2, b"a", [0, 0]));
        for other in [id(2, 2, b"a", [0, 0]), id(1, 1, b"a", [0, 0]), id(1, 2, b"b", [0, 0]), id(1, 2, b"a", [0, 1])] {
            assert_ne!(id(1, 2, b"a", [0, 0]), other);
        }
    }
}
