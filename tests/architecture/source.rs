//! Rust sources without comments, literals and tests. A small lexer recognizes comments, literals and blocks.

/// One source file.
pub(crate) struct Source {
    /// Path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// Without comments and test modules.
    pub(crate) text: String,
    /// `text` without the content of string and character literals.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (text, code) = (without(text, false), without(text, true));
        let keep = outside_of_tests(&code);
        let kept = |text: &str| -> String {
            let bytes = text.bytes().zip(&keep).filter(|(_, keep)| **keep).map(|(byte, _)| byte);
            String::from_utf8(bytes.collect()).unwrap()
        };
        Self { path: path.to_owned(), text: kept(&text), code: kept(&code) }
    }

    /// Returns identifiers and keywords.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.code.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
    }

    /// Returns the number of lines with code.
    pub(crate) fn lines(&self) -> usize {
        self.code.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// Returns the names of this crate's modules that the code refers to, by `crate::<name>` or `crate::{<name>, ..}`.
    pub(crate) fn modules(&self) -> Vec<&str> {
        let mut modules = Vec::new();
        for (at, path) in self.code.match_indices("crate::") {
            let rest = &self.code[at + path.len()..];
            match rest.strip_prefix('{') {
                Some(group) => modules.extend(top_level(group).into_iter().map(first_word)),
                None => modules.push(first_word(rest)),
            }
        }
        modules
    }
}

pub(super) fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
}

/// Returns the elements of a `{..}` group.
pub(super) fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut elements) = (0, 0, Vec::new());
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => {
                elements.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                elements.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    elements
}

/// Replaces comments and, if `literals`, the content of literals with spaces. The length in bytes does not change.
fn without(text: &str, literals: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut blank = |from: usize, to: usize| {
        let range = out[from..to.max(from)].iter_mut();
        range.filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let is_raw = rest.starts_with('r') && !ends_in_name(&text[..at]) && raw_guard(&rest[1..]).is_some();
        at += if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            blank(at, at + length);
            length
        } else if rest.starts_with("/*") {
            let length = rest.find("*/").map_or(rest.len(), |end| end + 2);
            blank(at, at + length);
            length
        } else if is_raw || rest.starts_with('"') {
            let (guards, length) = if is_raw { raw_string(rest) } else { (0, string(rest)) };
            if literals {
                blank(at + usize::from(is_raw) + guards + 1, (at + length).saturating_sub(guards + 1));
            }
            length
        } else if rest.starts_with('\'') && character(rest).is_some() {
            let length = character(rest).unwrap_or(1);
            if literals {
                blank(at + 1, at + length - 1);
            }
            length
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
    }
    String::from_utf8(out).unwrap()
}

fn ends_in_name(text: &str) -> bool {
    // `br"..."` is raw, too.
    let before = text.strip_suffix('b').unwrap_or(text);
    before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Returns the number of `#` before the quote of a raw string.
fn raw_guard(rest: &str) -> Option<usize> {
    let guards = rest.bytes().take_while(|byte| *byte == b'#').count();
    rest[guards..].starts_with('"').then_some(guards)
}

/// Returns the number of `#` before and after a raw string, and its total length.
fn raw_string(rest: &str) -> (usize, usize) {
    let guards = raw_guard(&rest[1..]).unwrap_or_default();
    let open = guards + 2;
    let close = format!("\"{}", "#".repeat(guards));
    let length = rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len());
    (guards, length)
}

fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Returns the length of a character literal, or `None` if the quote starts a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inner = &rest[1..];
    if inner.starts_with('\\') {
        let escaped = inner.char_indices().nth(2)?.0;
        return inner[escaped..].find('\'').map(|end| 1 + escaped + end + 1);
    }
    let length = inner.chars().next()?.len_utf8();
    inner[length..].starts_with('\'').then_some(length + 2)
}

/// Returns for each byte whether it is outside every `#[cfg(test)]` item.
fn outside_of_tests(code: &str) -> Vec<bool> {
    let mut keep = vec![true; code.len()];
    for (start, _) in code.match_indices("#[cfg(test)]") {
        let end = start + item_length(&code[start..]);
        keep[start..end].fill(false);
    }
    keep
}

/// Returns the length of an item: through the end of its first block, or through a semicolon before any block.
fn item_length(item: &str) -> usize {
    let mut depth = 0;
    for (at, char) in item.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}
