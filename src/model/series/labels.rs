//! Label sets and their remote write 1.0 encoding.

use prost::encoding::{encode_varint, encoded_len_varint};

/// Tag of `TimeSeries.labels`, length-delimited field 1.
const LABELS_TAG: u8 = 0x0a;
/// Tag of `Label.name`, length-delimited field 1.
const NAME_TAG: u8 = 0x0a;
/// Tag of `Label.value`, length-delimited field 2.
const VALUE_TAG: u8 = 0x12;

/// Labels of a series: unique names sorted by byte, no empty values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    pairs: Vec<(String, String)>,
}

impl Labels {
    /// Sets a label and replaces one of the same name. An empty value removes the label: in Prometheus, both are equal.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.pairs.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
            Ok(at) if value.is_empty() => {
                self.pairs.remove(at);
            }
            Ok(at) => value.clone_into(&mut self.pairs[at].1),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.to_owned(), value.to_owned())),
        }
    }

    /// Sets a label unless its name is already present.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    /// Removes the labels for whose name `keeps` returns `false`.
    pub fn retain(&mut self, mut keeps: impl FnMut(&str) -> bool) {
        self.pairs.retain(|(name, _)| keeps(name));
    }

    /// Changes each value that `change` returns another text for. A label without text is removed.
    pub fn change_values(&mut self, mut change: impl FnMut(&str, &str) -> Option<String>) {
        for (name, value) in &mut self.pairs {
            if let Some(changed) = change(name, value) {
                *value = changed;
            }
        }
        self.pairs.retain(|(_, value)| !value.is_empty());
    }

    pub fn remove(&mut self, name: &str) {
        self.set(name, "");
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        Some(&self.pairs[at].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut labels = Labels::default();
        for (name, value) in pairs {
            labels.set(name, value);
        }
        labels
    }
}

/// Appends a label as `TimeSeries.labels` of remote write 1.0. The key of a series is its encoded labels, sorted by label name.
pub fn encode_label(out: &mut Vec<u8>, name: &str, value: &str) {
    let body = body_len(name, value);
    // Each length of a short label takes one byte, and nearly all labels are short.
    if let (Ok(body @ 0..0x80), Ok(name_len), Ok(value_len)) =
        (u8::try_from(body), u8::try_from(name.len()), u8::try_from(value.len()))
    {
        out.extend_from_slice(&[LABELS_TAG, body, NAME_TAG, name_len]);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&[VALUE_TAG, value_len]);
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(LABELS_TAG);
    encode_length(body, out);
    out.push(NAME_TAG);
    encode_length(name.len(), out);
    out.extend_from_slice(name.as_bytes());
    out.push(VALUE_TAG);
    encode_length(value.len(), out);
    out.extend_from_slice(value.as_bytes());
}

/// Returns the number of bytes that [`encode_label`] appends.
pub fn encoded_label_len(name: &str, value: &str) -> usize {
    let body = body_len(name, value);
    1 + encoded_len_varint(body as u64) + body
}

fn body_len(name: &str, value: &str) -> usize {
    2 + encoded_len_varint(name.len() as u64) + name.len() + encoded_len_varint(value.len() as u64) + value.len()
}

/// Encodes a length. Most lengths are below 128 and take one byte.
fn encode_length(length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(short @ 0..0x80) => out.push(short),
        _ => encode_varint(length as u64, out),
    }
}

/// Decodes labels written by [`encode_label`]. Iteration ends at invalid bytes.
pub fn decode_labels(encoded: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    DecodedLabels { rest: encoded }
}

/// Returns the lengths of names and values of encoded labels in bytes, without validating the text.
pub fn label_lengths(mut encoded: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    std::iter::from_fn(move || {
        let mut rest = encoded.get(1..)?;
        prost::encoding::decode_varint(&mut rest).ok()?;
        let name = skip_delimited(&mut rest)?;
        let value = skip_delimited(&mut rest)?;
        encoded = rest;
        Some((name.len(), value.len()))
    })
}

/// Returns the content of each encoded label after its tag and length.
pub(super) fn label_bodies(mut encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || skip_delimited(&mut encoded))
}

struct DecodedLabels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for DecodedLabels<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest.get(1..)?;
        prost::encoding::decode_varint(&mut rest).ok()?;
        let name = delimited(&mut rest)?;
        let value = delimited(&mut rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

fn delimited<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(skip_delimited(rest)?).ok()
}

fn skip_delimited<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    *rest = rest.get(1..)?;
    let length = usize::try_from(prost::encoding::decode_varint(rest).ok()?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}
