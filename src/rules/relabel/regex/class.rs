//! Classes: `[a-z]`, `[[:alpha:]]`, `\d`, `\pL`.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{escape, unicode};
use crate::rules::InvalidValue;

/// Maximum number of ranges of a class: all letters are about 700.
const MAX_RANGES: usize = 20_000;

/// Distance in which the end of a name is looked for, so that the time is linear.
const MAX_NAME: usize = 64;

type Ranges = Vec<ClassUnicodeRange>;

/// Names of classes in brackets, and their ranges.
const NAMED: [(&str, &[(char, char)]); 14] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", &[('0', '9')]),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

const DIGIT: &[(char, char)] = &[('0', '9')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// Reads a class from its `[`. Returns the rest.
pub(super) fn bracket(text: &str, ignores_case: bool) -> Result<(ClassUnicode, &str), InvalidValue> {
    let missing = || InvalidValue::new("missing closing ]");
    let inner = &text[1..];
    let (is_negated, mut rest) = inner.strip_prefix('^').map_or((false, inner), |rest| (true, rest));
    let (mut ranges, mut is_first) = (Ranges::new(), true);
    loop {
        if rest.starts_with(']') && !is_first {
            break;
        }
        is_first = false;
        if let Some((named, after)) = named(rest, ignores_case)? {
            ranges.extend(named);
            rest = after;
        } else if let Some((escaped, after)) = escaped(rest, ignores_case)? {
            ranges.extend(escaped);
            rest = after;
        } else {
            let (range, after) = range(rest).ok_or_else(missing)??;
            ranges.push(range);
            rest = after;
        }
        if ranges.len() > MAX_RANGES {
            return Err(InvalidValue::new(format!("a class has more than {MAX_RANGES} ranges")));
        }
    }
    let mut class = ClassUnicode::new(ranges);
    if ignores_case {
        class.case_fold_simple();
    }
    if is_negated {
        class.negate();
    }
    Ok((class, &rest[1..]))
}

/// Reads a class that starts with a backslash: `\d`, `\pL`, `\p{Greek}`. `None` if it is another escape.
pub(super) fn escaped(text: &str, ignores_case: bool) -> Result<Option<(Ranges, &str)>, InvalidValue> {
    let Some(escape) = text.strip_prefix('\\') else { return Ok(None) };
    let ranges = match escape.as_bytes().first() {
        Some(b'd' | b'D') => DIGIT,
        Some(b's' | b'S') => SPACE,
        Some(b'w' | b'W') => WORD,
        Some(b'p' | b'P') => return unicode_class(text, ignores_case).map(Some),
        _ => return Ok(None),
    };
    let is_negated = escape.starts_with(|char: char| char.is_ascii_uppercase());
    let class = ClassUnicode::new(ranges.iter().map(|&(from, to)| ClassUnicodeRange::new(from, to)));
    Ok(Some((finished(class, is_negated, ignores_case), &escape[1..])))
}

/// Reads `[:alpha:]` or `[:^alpha:]`.
fn named(text: &str, ignores_case: bool) -> Result<Option<(Ranges, &str)>, InvalidValue> {
    let Some(inner) = text.strip_prefix("[:") else { return Ok(None) };
    let near = &inner[..inner.floor_char_boundary(MAX_NAME)];
    let Some(end) = near.find(":]") else { return Ok(None) };
    let (name, rest) = (&inner[..end], &inner[end + 2..]);
    let (is_negated, plain) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
    let (_, ranges) = NAMED.iter().find(|(other, _)| *other == plain).ok_or_else(|| invalid(&format!("[:{name}:]")))?;
    let class = ClassUnicode::new(ranges.iter().map(|&(from, to)| ClassUnicodeRange::new(from, to)));
    Ok(Some((finished(class, is_negated, ignores_case), rest)))
}

/// Reads `\pL`, `\p{Greek}` or `\p{^Greek}`, from the backslash.
fn unicode_class(text: &str, ignores_case: bool) -> Result<(Ranges, &str), InvalidValue> {
    let after = &text[2..];
    let (name, rest) = match after.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or_else(|| invalid(&text[..3]))?,
        None => after.split_at(after.chars().next().map_or(0, char::len_utf8)),
    };
    let (is_inverted, name) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
    let class = unicode::class(name).ok_or_else(|| invalid(&format!("{}{{{name}}}", &text[..2])))?;
    Ok((finished(class, is_inverted != text.starts_with("\\P"), ignores_case), rest))
}

fn finished(mut class: ClassUnicode, is_negated: bool, ignores_case: bool) -> Ranges {
    if ignores_case {
        class.case_fold_simple();
    }
    if is_negated {
        class.negate();
    }
    class.ranges().to_vec()
}

type Read<'a, T> = Result<(T, &'a str), InvalidValue>;

/// Reads a character or a range of characters. `None` if the text ends.
fn range(text: &str) -> Option<Read<'_, ClassUnicodeRange>> {
    let (from, rest) = match class_char(text)? {
        Ok(found) => found,
        Err(error) => return Some(Err(error)),
    };
    let Some(after) = rest.strip_prefix('-').filter(|after| !after.is_empty() && !after.starts_with(']')) else {
        return Some(Ok((ClassUnicodeRange::new(from, from), rest)));
    };
    let (to, after) = match class_char(after)? {
        Ok(found) => found,
        Err(error) => return Some(Err(error)),
    };
    if to < from {
        return Some(Err(invalid(&text[..text.len() - after.len()])));
    }
    Some(Ok((ClassUnicodeRange::new(from, to), after)))
}

fn class_char(text: &str) -> Option<Read<'_, char>> {
    if text.starts_with('\\') {
        return Some(escape::char(text));
    }
    let char = text.chars().next()?;
    Some(Ok((char, &text[char.len_utf8()..])))
}

fn invalid(class: &str) -> InvalidValue {
    InvalidValue::new(format!("invalid character class range \"{class}\""))
}
