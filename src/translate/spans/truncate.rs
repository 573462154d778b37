//! Truncates documents over the size limit of X-Ray, so that they are not rejected.
//!
//! Content is removed in this order until the document fits: the last stack frames (counted in `truncated`), the ends
//! of long strings, metadata from the largest entry to the smallest with resource attributes last, links, exceptions,
//! annotations, and full blocks. The metadata namespace `sidecarless` contains the counts of removed items.

use std::cmp::Reverse;
use std::io;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::limits::{MAX_DOCUMENT_BYTES, Omitted};

/// Space for the counts of removed items.
const NOTE_BYTES: usize = 300;

/// Frames that an exception keeps, in the order in which the limits are tried.
pub(super) const FRAMES: [usize; 6] = [128, 64, 32, 16, 8, 4];
/// Bytes that a string keeps, in the order in which the limits are tried.
const STRINGS: [usize; 4] = [16_384, 4_096, 1_024, 250];
/// Blocks that are removed if the document is still too large.
const BLOCKS: [&str; 9] = ["annotations", "cause", "sql", "http", "aws", "metadata", "service", "user", "links"];
/// Bytes that a string keeps if the document is still too large without the blocks.
const MIN_NAME_BYTES: usize = 100;

/// Returns a document of at most [`MAX_DOCUMENT_BYTES`]. `omitted` is what the document does not contain already.
pub(super) fn truncate_document(document: &str, omitted: Omitted) -> String {
    let Ok(Value::Object(root)) = serde_json::from_str(document) else { return document.to_owned() };
    let mut truncator = Truncator { root, size: None, removed: Map::new(), original_bytes: document.len() };
    truncator.count("frames", omitted.frames);
    truncator.count("exceptions", omitted.exceptions);
    truncator.count("links", omitted.links);
    truncator.count("items", omitted.items);
    truncator.shrink();
    truncator.finish()
}

struct Truncator {
    root: Map<String, Value>,
    /// Size of the document, unless it has changed since it was measured.
    size: Option<usize>,
    removed: Map<String, Value>,
    original_bytes: usize,
}

impl Truncator {
    fn shrink(&mut self) {
        for keep in FRAMES {
            if self.fits() {
                return;
            }
            self.cut_frames(keep);
        }
        for keep in STRINGS {
            if self.fits() {
                return;
            }
            let cut: u64 = self.root.values_mut().map(|value| cut_strings(value, keep)).sum();
            self.count("strings", cut);
        }
        self.remove_metadata();
        self.halve_list(&["links"], "links");
        self.halve_list(&["cause", "exceptions"], "exceptions");
        for block in BLOCKS {
            if self.fits() {
                return;
            }
            let removed = self.root.remove(block).map_or(0, |_| 1);
            self.count(block, removed);
        }
        self.root.values_mut().for_each(|value| {
            cut_strings(value, MIN_NAME_BYTES);
        });
    }

    fn fits(&mut self) -> bool {
        self.measure() + NOTE_BYTES <= MAX_DOCUMENT_BYTES
    }

    fn measure(&mut self) -> usize {
        *self.size.get_or_insert_with(|| size(&self.root))
    }

    /// Counts items that were removed.
    fn count(&mut self, item: &str, count: u64) {
        if count > 0 {
            self.size = None;
            let before = self.removed.get(item).and_then(Value::as_u64).unwrap_or(0);
            self.removed.insert(item.to_owned(), json!(before + count));
        }
    }

    fn cut_frames(&mut self, keep: usize) {
        let exceptions = self.root.get_mut("cause").and_then(|cause| cause.get_mut("exceptions"));
        let Some(exceptions) = exceptions.and_then(Value::as_array_mut) else { return };
        let mut cut = 0;
        for exception in exceptions.iter_mut().filter_map(Value::as_object_mut) {
            let Some(stack) = exception.get_mut("stack").and_then(Value::as_array_mut) else { continue };
            let over = stack.len().saturating_sub(keep) as u64;
            if over > 0 {
                stack.truncate(keep);
                let before = exception.get("truncated").and_then(Value::as_u64).unwrap_or(0);
                exception.insert("truncated".to_owned(), json!(before + over));
                cut += over;
            }
        }
        self.count("frames", cut);
    }

    /// Removes entries until the document fits: the largest first, and resource attributes last.
    fn remove_metadata(&mut self) {
        let mut excess = (self.measure() + NOTE_BYTES).saturating_sub(MAX_DOCUMENT_BYTES);
        let Some(Value::Object(metadata)) = self.root.get_mut("metadata") else { return };
        let mut entries: Vec<(bool, Reverse<usize>, usize)> = Vec::new();
        for (key, value) in metadata.values().filter_map(Value::as_object).flatten() {
            let is_resource = key.starts_with(super::key::OTEL_RESOURCE);
            entries.push((is_resource, Reverse(size(value) + key.len()), entries.len()));
        }
        entries.sort_unstable();
        let mut is_removed = vec![false; entries.len()];
        let mut removed = 0;
        for (_, Reverse(bytes), position) in entries {
            if excess == 0 {
                break;
            }
            if let Some(is_removed) = is_removed.get_mut(position) {
                *is_removed = true;
            }
            removed += 1;
            excess = excess.saturating_sub(bytes);
        }
        let mut is_removed = is_removed.into_iter();
        for members in metadata.values_mut().filter_map(Value::as_object_mut) {
            members.retain(|_, _| !is_removed.next().unwrap_or(false));
        }
        self.count("metadata", removed);
    }

    /// Removes the second half of a list until the document fits or one item remains.
    fn halve_list(&mut self, path: &[&str], item: &str) {
        while !self.fits() {
            let mut keys = path.iter();
            let first = keys.next().and_then(|key| self.root.get_mut(*key));
            let list = keys.try_fold(first, |value, key| value.map(|value| value.get_mut(*key)));
            let Some(list) = list.flatten().and_then(Value::as_array_mut).filter(|list| list.len() > 1) else { return };
            let keep = list.len() / 2;
            let removed = (list.len() - keep) as u64;
            list.truncate(keep);
            self.count(item, removed);
        }
    }

    fn finish(mut self) -> String {
        self.removed.insert("original_size_bytes".to_owned(), json!(self.original_bytes));
        let metadata = self.root.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("sidecarless".to_owned(), json!({ "truncated": self.removed }));
        }
        Value::Object(self.root).to_string()
    }
}

/// Returns the size of JSON, without writing it to memory.
fn size(value: &impl Serialize) -> usize {
    let mut counter = ByteCounter(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

struct ByteCounter(usize);

impl io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const CUT: &str = "... (truncated)";

/// Cuts the strings in a value that are longer than `keep` bytes, and returns their number.
fn cut_strings(value: &mut Value, keep: usize) -> u64 {
    match value {
        Value::String(text) if text.len() > keep => {
            let end = text.floor_char_boundary(keep.saturating_sub(CUT.len()));
            text.truncate(end);
            text.push_str(CUT);
            1
        }
        Value::Array(items) => items.iter_mut().map(|item| cut_strings(item, keep)).sum(),
        Value::Object(members) => members.values_mut().map(|member| cut_strings(member, keep)).sum(),
        _ => 0,
    }
}
