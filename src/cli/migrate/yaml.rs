//! YAML as JSON: one shape to look into. References such as `${env:X}` stay text.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value};

/// Deepest nesting that is read; a collector's configuration has about ten levels.
const DEEPEST: usize = 64;

/// Reads one document; the error says the line.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let opening = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    // Bounded before the parser sees it: its tree is built and dropped by recursion.
    let indent = text.lines().map(|line| line.len() - line.trim_start().len()).max().unwrap_or(0);
    if opening > 4096 || indent > 1024 {
        return Err("no collector configuration: nested too deeply".into());
    }
    let documents = Yaml::load_from_str(text).map_err(|error| format!("no YAML: {error}"))?;
    let document = documents.first().ok_or("no YAML: it is empty")?;
    let value = json(document, 0)?;
    if value.is_object() { Ok(value) } else { Err("no collector configuration: not a mapping".into()) }
}

fn json(yaml: &Yaml<'_>, depth: usize) -> Result<Value, String> {
    if depth > DEEPEST {
        return Err("no collector configuration: nested too deeply".into());
    }
    Ok(match yaml {
        Yaml::Value(Scalar::Boolean(value)) => Value::from(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(text)) => Value::from(text.as_ref()),
        Yaml::Representation(text, ..) => Value::from(text.as_ref()),
        Yaml::Sequence(items) => {
            Value::Array(items.iter().map(|item| json(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(entries) => {
            let entry =
                |(key, value): (&Yaml<'_>, &Yaml<'_>)| Ok((plain(&json(key, depth + 1)?), json(value, depth + 1)?));
            Value::Object(entries.iter().map(entry).collect::<Result<Map<_, _>, String>>()?)
        }
        Yaml::Tagged(_, inner) => json(inner, depth + 1)?,
        _ => Value::Null,
    })
}

/// A scalar without quotes.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
