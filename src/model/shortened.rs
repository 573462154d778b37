//! Texts from outside, in log lines and responses: paths, names, and the errors of parsers, which quote their input. Their secrets are
//! [masked](super::masked).

use std::fmt::{self, Display, Write};

use super::masked::MaskedText;

/// Maximum length of a text in bytes. It holds the longest list of rejections of real telemetry, and a hundred of the longest
/// texts are a thirtieth of the response size of Lambda, 6 MB.
pub const MAX_TEXT_BYTES: usize = 2_048;

/// Marks a text that is not complete.
const CUT: &str = "...";

/// Displays a text with at most [`MAX_TEXT_BYTES`], with its control characters escaped and its secrets masked. A text that is already
/// shortened is displayed unchanged, so that nothing is escaped twice.
#[derive(Clone, Copy, Debug)]
pub struct Shortened<T>(pub T);

impl<T: Display> Display for Shortened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shortened(&self.0))
    }
}

/// Returns the text as [`Shortened`] displays it. A longer text is never formatted as a whole.
pub fn shortened(text: impl Display) -> String {
    shortened_to(MAX_TEXT_BYTES, text)
}

/// Returns the text with at most `max_bytes`.
pub fn shortened_to(max_bytes: usize, text: impl Display) -> String {
    let mut cut = CutText { masked: MaskedText::default(), end: 0, hidden: 0, max_bytes };
    // An error only means that the limit is reached.
    let is_complete = write!(cut, "{text}").is_ok();
    let mut text = cut.masked.into_text();
    if !is_complete {
        text.truncate(cut.end);
        if !text.ends_with(CUT) {
            text.push_str(CUT);
        }
    }
    text
}

/// Collects a text up to the limit.
struct CutText {
    masked: MaskedText,
    /// End of the part that leaves room for the mark.
    end: usize,
    /// Characters that are not shown.
    hidden: usize,
    max_bytes: usize,
}

impl Write for CutText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        let before = self.masked.as_str().len();
        if is_escaped(c) {
            self.masked.push_as(c, |text| text.extend(c.escape_unicode()));
        } else {
            self.masked.push(c);
        }
        let (length, shown) = (self.masked.as_str().len(), self.masked.final_len());
        // A user name that is cut would not be recognized.
        self.end = if shown + CUT.len() <= self.max_bytes { shown } else { self.end.min(shown) };
        self.hidden += usize::from(length <= before);
        if length > self.max_bytes || self.hidden > self.max_bytes { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Returns whether a character can change how a terminal or browser shows a line: control characters, line separators, and
/// the marks of writing direction (Unicode Technical Report 36, "Bidirectional Text Spoofing").
fn is_escaped(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        for c in ["x", "é", "😀", "\u{1}", "\u{10fffd}"] {
            let text = shortened(c.repeat(1_000_000));
            assert!((MAX_TEXT_BYTES - 10..=MAX_TEXT_BYTES).contains(&text.len()), "{c:?}: {}", text.len());
            assert!(text.ends_with(CUT), "{c:?}");
            assert_eq!(shortened(&text), text, "{c:?}");
        }
        for length in [0, MAX_TEXT_BYTES - 1, MAX_TEXT_BYTES] {
            let text = "x".repeat(length);
            assert_eq!(shortened(&text), text);
        }
    }

    #[test]
    fn secret_is_masked_wherever_the_text_is_cut() {
        let text = "see https://hunter:hunter2@a.example/b?hunter=2, or x-amz-security-token:hunter2, or postgres://hunter2@db";
        for max_bytes in 0..=text.len() {
            let cut = shortened_to(max_bytes, text);
            assert!(!cut.contains("hu"), "{cut}");
            assert!(cut.len() <= max_bytes.max(CUT.len()), "{cut}");
            assert_eq!(shortened_to(max_bytes.max(CUT.len()), &cut), cut);
        }
    }

    #[test]
    fn control_characters_are_escaped_once() {
        let text = shortened("a\n\u{1b}[31m \\ \" \u{9b}\u{202e}é");
        assert_eq!(text, r#"a\u{a}\u{1b}[31m \ " \u{9b}\u{202e}é"#);
        assert_eq!(Shortened(&text).to_string(), text);
    }

    #[test]
    fn formatting_stops_at_the_limit() {
        struct Endless(&'static str);
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("https://a")?;
                loop {
                    f.write_str(self.0)?;
                }
            }
        }
        assert_eq!(shortened(Endless("/xyz")).len(), MAX_TEXT_BYTES);
        for hidden in ["?xyz", "@", "a@"] {
            assert!(shortened(Endless(hidden)).len() < 20, "{hidden}");
        }
    }
}
