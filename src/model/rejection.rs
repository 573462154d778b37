//! What was not taken, counted by reason.
//!
//! Every item that comes in is either written or stands here: received = written + refused. The list grows with the
//! number of reasons, which is fixed by the code, never with the input.

use std::fmt::{self, Display, Write as _};

/// A first example longer than this many characters is cut: it may quote what the client sent.
const EXAMPLE_CHARS: usize = 200;

/// Refused items by reason, in the order in which the reasons were first met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    entries: Vec<Rejection>,
}

/// One reason, how often it was met, and its first example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// A stable word for counters, such as `delta_temporality`.
    pub reason: &'static str,
    pub count: u64,
    /// A sentence that names the first item refused and what its sender can do.
    pub example: String,
}

impl Rejections {
    /// Counts `count` items under `reason`; `example` is only asked for the first time.
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

    /// Takes over the counts of `other`.
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

/// Joins what can be displayed with commas, for messages that name several things.
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
    fn the_first_example_of_a_reason_stands_for_all_of_them() {
        let mut refusals = Rejections::default();
        refusals.add("delta_temporality", 2, || "metric a".into());
        refusals.add("delta_temporality", 3, || unreachable!("asked only once"));
        refusals.add("empty_name", 1, || "a metric without a name".into());
        refusals.add("never", 0, || unreachable!("nothing to count"));

        assert_eq!(refusals.total(), 6);
        assert_eq!(refusals.to_string(), "5 delta_temporality: metric a; 1 empty_name: a metric without a name");
    }

    #[test]
    fn a_long_example_is_cut_at_a_character() {
        let mut refusals = Rejections::default();
        refusals.add("long", 1, || "é".repeat(1000));
        assert_eq!(refusals.to_string().chars().count(), "1 long: ".len() + EXAMPLE_CHARS + 3);
    }
}
