//! Rejected items, counted by reason.
//!
//! Every received item is either written or rejected: received = written + rejected. The list grows with the number of
//! reasons, which is fixed, not with the input.

use std::fmt::{self, Display, Write as _};

/// Maximum characters of an example, because it can contain text from the client.
const EXAMPLE_CHARS: usize = 200;

/// Rejected items by reason, in order of first occurrence.
#[must_use = "rejected items must be counted and reported"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    entries: Vec<Rejection>,
}

/// A reason with its count and first example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Stable label value, such as `delta_temporality`.
    pub reason: &'static str,
    pub count: u64,
    /// Names the first rejected item, and the fix if there is one.
    pub example: String,
}

impl Rejections {
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds `count` items to `reason`. `example` is called only for the first item of a reason.
    pub fn add(&mut self, reason: &'static str, count: u64, example: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.reason == reason) {
            entry.count += count;
            return;
        }
        let mut example = example();
        if let Some((cut, _)) = example.char_indices().nth(EXAMPLE_CHARS) {
            example.truncate(cut);
            example.push_str("...");
        }
        self.entries.push(Rejection { reason, count, example });
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: Rejections) {
        for entry in other.entries {
            self.add(entry.reason, entry.count, || entry.example);
        }
    }

    pub fn total(&self) -> u64 {
        self.entries.iter().map(|entry| entry.count).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rejection> {
        self.entries.iter()
    }
}

impl Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{} {}: {}", entry.count, entry.reason, entry.example)?;
        }
        Ok(())
    }
}

/// Joins items with commas, for messages.
pub fn join<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{item}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_keeps_its_first_example() {
        let mut rejections = Rejections::default();
        rejections.add("delta_temporality", 2, || "metric a".into());
        rejections.add("delta_temporality", 3, || unreachable!("called only for the first item"));
        rejections.add("empty_name", 1, || "a metric without a name".into());
        rejections.add("never", 0, || unreachable!("there are no items"));

        assert_eq!(rejections.total(), 6);
        assert_eq!(rejections.to_string(), "5 delta_temporality: metric a; 1 empty_name: a metric without a name");
    }

    #[test]
    fn long_example_is_cut_between_characters() {
        let mut rejections = Rejections::default();
        rejections.add("long", 1, || "é".repeat(1000));
        assert_eq!(rejections.to_string().chars().count(), "1 long: ".len() + EXAMPLE_CHARS + 3);
    }
}
