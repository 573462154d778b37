//! Flags: `(?i)` and `(?s-U:`.

use super::group::Flags;
use crate::rules::InvalidValue;

/// Flags at the start of a group, or for the rest of one.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) flags: Flags,
    /// Whether a group starts.
    pub(super) is_group: bool,
    pub(super) rest: &'a str,
}

/// Reads flags after `(?`, and the `)` or `:` after them.
pub(super) fn read(text: &str, before: Flags) -> Result<Opening<'_>, InvalidValue> {
    let (mut flags, mut is_on, mut has_flag) = (before, true, false);
    for (at, char) in text.char_indices() {
        match char {
            'i' => flags.ignores_case = is_on,
            'm' => flags.is_multi_line = is_on,
            's' => flags.dot_matches_newline = is_on,
            'U' => flags.is_ungreedy = is_on,
            '-' if is_on => {
                (is_on, has_flag) = (false, false);
                continue;
            }
            ':' | ')' if is_on || has_flag => {
                return Ok(Opening { flags, is_group: char == ':', rest: &text[at + 1..] });
            }
            _ => {
                let read = &text[..at + char.len_utf8()];
                return Err(InvalidValue::new(format!("invalid or unsupported Perl syntax \"(?{read}\"")));
            }
        }
        has_flag = true;
    }
    Err(InvalidValue::new("missing closing )"))
}
