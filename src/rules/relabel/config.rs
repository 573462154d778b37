//! Reads rules: the fields of `relabel_config`, their defaults and their checks, as Prometheus 2.42 has them.

use super::regex::{Expressions, Template};
use super::rule::{Action, Rule};
use crate::rules::InvalidValue;
use crate::rules::yaml::{self, Node, Value};
use crate::translate::names::is_legacy_label;

/// Maximum number of rules. Each of them takes time for every series.
const MAX_RULES: usize = 1_000;

/// Maximum number of source labels of a rule.
const MAX_SOURCE_LABELS: usize = 150;

/// Number of errors after which reading ends.
const MAX_ERRORS: usize = 5;

/// Characters of a value in an error.
const SHOWN_CHARS: usize = 60;

const FIELDS: &str = "source_labels, separator, target_label, regex, modulus, replacement or action";

const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REPLACEMENT: &str = "$1";

/// Fields of a rule with their defaults.
#[derive(Debug)]
struct Fields {
    source_labels: Option<Vec<String>>,
    separator: String,
    target_label: String,
    /// `None` if it is not set.
    regex: Option<String>,
    modulus: u64,
    replacement: String,
    action: Action,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            source_labels: None,
            separator: DEFAULT_SEPARATOR.into(),
            target_label: String::new(),
            regex: None,
            modulus: 0,
            replacement: DEFAULT_REPLACEMENT.into(),
            action: Action::Replace,
        }
    }
}

/// Reads a list of rules. The error names each invalid rule by its number.
pub(super) fn rules(text: &str) -> Result<Vec<Rule>, InvalidValue> {
    yaml::read(text)?.map_or_else(|| Ok(Vec::new()), |list| rules_of(&list, &mut Expressions::default()))
}

/// Reads the rules of a list.
pub(super) fn rules_of(list: &Node, expressions: &mut Expressions) -> Result<Vec<Rule>, InvalidValue> {
    if list.is_null() {
        return Ok(Vec::new());
    }
    let Value::Sequence(items) = &list.value else {
        let kind = list.kind();
        return Err(InvalidValue::new(format!("{kind}: use a list of rules, such as [{{action: drop, regex: x}}]")));
    };
    if items.len() > MAX_RULES {
        return Err(InvalidValue::new(format!("{} rules: at most {MAX_RULES} are applied", items.len())));
    }
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        match rule(item, expressions) {
            Ok(rule) => rules.push(rule),
            Err(error) => errors.push(format!("rule {} (line {}): {error}", index + 1, item.line)),
        }
        if errors.len() == MAX_ERRORS {
            break;
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(InvalidValue::new(errors.join("; "))) }
}

fn rule(node: &Node, expressions: &mut Expressions) -> Result<Rule, InvalidValue> {
    let Value::Mapping(entries) = &node.value else {
        let kind = if node.is_null() { "empty" } else { node.kind() };
        return Err(InvalidValue::new(format!("{kind}: use a mapping with {FIELDS}")));
    };
    let (mut fields, mut seen) = (Fields::default(), Vec::new());
    for (key, value) in entries {
        let name = key.text().unwrap_or_default();
        if seen.contains(&name) {
            return Err(InvalidValue::new(format!("{}: set twice", shown(name))));
        }
        seen.push(name);
        set(&mut fields, name, value).map_err(|error| InvalidValue::new(format!("{}: {error}", shown(name))))?;
    }
    check(&fields)?;
    let in_field = |error| InvalidValue::new(format!("regex: {error}"));
    let pattern = expressions.pattern(fields.regex.as_deref().unwrap_or(DEFAULT_REGEX)).map_err(in_field)?;
    Ok(Rule {
        action: fields.action,
        source_labels: fields.source_labels.unwrap_or_default(),
        separator: fields.separator,
        target: Template::new(&fields.target_label, &pattern),
        replacement: Template::new(&fields.replacement, &pattern),
        target_label: fields.target_label,
        modulus: fields.modulus,
        pattern,
    })
}

fn set(fields: &mut Fields, name: &str, value: &Node) -> Result<(), InvalidValue> {
    match name {
        "source_labels" => fields.source_labels = source_labels(value)?,
        "separator" => fields.separator = text(value)?,
        "target_label" => fields.target_label = text(value)?,
        "regex" => fields.regex = Some(text(value)?),
        "modulus" => fields.modulus = modulus(value)?,
        "replacement" => fields.replacement = text(value)?,
        "action" => {
            let name = text(value)?;
            let unknown = || {
                let names = Action::names();
                InvalidValue::new(format!("unknown action \"{}\": use {names}", shown(&name)))
            };
            fields.action = Action::parse(&name).ok_or_else(unknown)?;
        }
        "<<" => return Err(InvalidValue::new("merge keys are not supported: write the fields out")),
        _ => return Err(InvalidValue::new(format!("unknown field: use {FIELDS}"))),
    }
    Ok(())
}

fn text(value: &Node) -> Result<String, InvalidValue> {
    value.text().map(str::to_owned).ok_or_else(|| InvalidValue::new(format!("{}: use a text", value.kind())))
}

fn source_labels(value: &Node) -> Result<Option<Vec<String>>, InvalidValue> {
    let Value::Sequence(items) = &value.value else {
        return if value.is_null() { Ok(None) } else { Err(InvalidValue::new("use a list, such as [job, instance]")) };
    };
    if items.len() > MAX_SOURCE_LABELS {
        return Err(InvalidValue::new(format!("{} labels: at most {MAX_SOURCE_LABELS} are read", items.len())));
    }
    let label = |item: &Node| {
        let name = text(item)?;
        let is_valid = item.is_null() || is_legacy_label(&name);
        is_valid.then_some(name).ok_or_else(|| {
            let name = shown(item.text().unwrap_or_default());
            InvalidValue::new(format!("\"{name}\" is not a valid label name"))
        })
    };
    items.iter().map(label).collect::<Result<_, _>>().map(Some)
}

/// Reads a number as YAML 1.1 writes it: decimal, hexadecimal, octal or binary, with underscores, or with a fraction, which is
/// cut off.
fn modulus(value: &Node) -> Result<u64, InvalidValue> {
    let invalid = || InvalidValue::new("use a number from 1 to 18446744073709551615, without quotes");
    let Value::Scalar { text, is_plain: true } = &value.value else { return Err(invalid()) };
    if value.is_null() {
        return Ok(0);
    }
    let digits = text.strip_prefix('+').unwrap_or(text).replace('_', "");
    let number = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    let integer = match digits.as_bytes() {
        [b'0', b'x', ..] => number(&digits[2..], 16),
        [b'0', b'o', ..] => number(&digits[2..], 8),
        [b'0', b'b', ..] => number(&digits[2..], 2),
        [b'0', _, ..] if !digits.contains(['.', 'e', 'E']) => number(&digits[1..], 8),
        _ => number(&digits, 10),
    };
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let float =
        || digits.parse::<f64>().ok().filter(|float| is_decimal && (0.0..18_446_744_073_709_551_616.0).contains(float));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in the range of the type; the fraction is cut off"
    )]
    integer.or_else(|| float().map(|float| float as u64)).ok_or_else(invalid)
}

/// The checks of Prometheus, in its order.
fn check(fields: &Fields) -> Result<(), InvalidValue> {
    let Fields { source_labels, separator, target_label, regex, modulus, replacement, action } = fields;
    let has_target = action.has_target();
    let error = |field: &str, message: &str| Err(InvalidValue::new(format!("{field}: {message}")));
    if *action == Action::HashMod && *modulus == 0 {
        return error("modulus", "hashmod needs a number above zero");
    }
    if has_target && target_label.is_empty() {
        return error("target_label", &format!("the action {} needs a label", action.name()));
    }
    let is_valid = if *action == Action::HashMod { is_legacy_label(target_label) } else { is_target(target_label) };
    if has_target && !is_valid {
        return error("target_label", &format!("\"{}\" is not a valid label name", shown(target_label)));
    }
    let is_default = replacement == DEFAULT_REPLACEMENT;
    if action.has_target() && !matches!(action, Action::Replace | Action::HashMod) && !is_default {
        return error("replacement", &format!("the action {} has none", action.name()));
    }
    if *action == Action::LabelMap && !is_target(replacement) {
        return error("replacement", &format!("\"{}\" is not a valid label name", shown(replacement)));
    }
    let has_defaults = *modulus == 0 && separator == DEFAULT_SEPARATOR && is_default;
    if matches!(action, Action::KeepEqual | Action::DropEqual) && !(has_defaults && regex.is_none()) {
        return error(action.name(), "has only source_labels and target_label");
    }
    let has_only_regex = has_defaults && source_labels.is_none() && target_label.is_empty();
    if matches!(action, Action::LabelDrop | Action::LabelKeep) && !has_only_regex {
        return error(action.name(), "has only a regex");
    }
    Ok(())
}

/// Returns whether a text is a label name, or can become one when its references (`$1`, `${name}`) are replaced.
fn is_target(text: &str) -> bool {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let after = &rest[char.len_utf8()..];
        rest = match char {
            '$' => {
                let (is_braced, name) = after.strip_prefix('{').map_or((false, after), |name| (true, name));
                let end = name.find(|char| !is_word(char)).unwrap_or(name.len());
                let name = &name[end..];
                match if is_braced { name.strip_prefix('}') } else { Some(name) } {
                    Some(rest) if end > 0 => rest,
                    _ => return false,
                }
            }
            '0'..='9' if rest.len() == text.len() => return false,
            _ if is_word(char) => after,
            _ => return false,
        };
    }
    !text.is_empty()
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}
