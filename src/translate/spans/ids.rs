//! Ids and times as X-Ray writes them, and the ids that a span does not bring along.

use std::ops::Deref;

use ring::digest::{Context, SHA256};

use crate::translate::Compat;

pub(super) type TraceId = [u8; 16];
pub(super) type SpanId = [u8; 8];

/// Both digits of every byte.
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

/// The text of an id. Every span has some, and none of them needs a place on the heap.
pub(super) struct IdText {
    digits: [u8; IdText::LONGEST],
    len: usize,
}

impl IdText {
    /// `1-8hex-24hex`.
    const LONGEST: usize = 35;

    fn new() -> Self {
        Self { digits: [0; Self::LONGEST], len: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        let end = self.len + text.len();
        if let Some(room) = self.digits.get_mut(self.len..end) {
            room.copy_from_slice(text);
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

/// Epoch seconds, by the very division that the collector does.
#[expect(clippy::cast_precision_loss, reason = "X-Ray's times are doubles: about 0.2 us in this century")]
pub(super) fn seconds(unix_nano: u64) -> f64 {
    unix_nano as f64 / 1e9
}

/// Lower case hex of an id of any length.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| HEX.get(usize::from(*byte)).unwrap_or(b"00"));
    digits.map(|digit| char::from(*digit)).collect()
}

/// 16 digits of lower case hex.
pub(super) fn span_id_text(id: &SpanId) -> IdText {
    let mut text = IdText::new();
    text.push_hex(id);
    text
}

/// `1-8hex-24hex` (AWS X-Ray Developer Guide, "Sending trace data to AWS X-Ray").
pub(super) fn trace_id_text(id: &TraceId) -> IdText {
    let (epoch, rest) = id.split_at(4);
    let mut text = IdText::new();
    text.push(b"1-");
    text.push_hex(epoch);
    text.push(b"-");
    text.push_hex(rest);
    text
}

/// 16 bytes and not all zero; the collector takes none for all zero.
pub(super) fn trace_id(bytes: &[u8], compat: Compat) -> Option<TraceId> {
    id(bytes, compat)
}

/// 8 bytes and not all zero; the collector takes none for all zero.
pub(super) fn span_id(bytes: &[u8], compat: Compat) -> Option<SpanId> {
    id(bytes, compat)
}

fn id<const N: usize>(bytes: &[u8], compat: Compat) -> Option<[u8; N]> {
    if compat == Compat::Adot && bytes.is_empty() {
        return Some([0; N]);
    }
    let id: [u8; N] = bytes.try_into().ok()?;
    (compat == Compat::Adot || id != [0; N]).then_some(id)
}

/// An id made of the span's own, so that a client that sends a span again gets the same documents again. `what` parts
/// the ids of one span from each other. Never all zero.
pub(super) fn derive_id(trace: &TraceId, span: &SpanId, what: &[u8], number: [u32; 2]) -> SpanId {
    let mut context = Context::new(&SHA256);
    context.update(trace);
    context.update(span);
    context.update(what);
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
    fn a_trace_id_is_written_in_three_parts() {
        let id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
        assert_eq!(&*trace_id_text(&id), "1-4bf92f35-77b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn derived_ids_repeat_and_differ_by_everything_they_are_made_of() {
        let id = |trace: u8, span: u8, what: &[u8], number| derive_id(&[trace; 16], &[span; 8], what, number);
        assert_eq!(id(1, 2, b"a", [0, 0]), id(1, 2, b"a", [0, 0]));
        for other in [id(2, 2, b"a", [0, 0]), id(1, 1, b"a", [0, 0]), id(1, 2, b"b", [0, 0]), id(1, 2, b"a", [0, 1])] {
            assert_ne!(id(1, 2, b"a", [0, 0]), other);
        }
    }
}
