//! Converts YAML to JSON values. References such as `${env:X}` stay text.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value};

use super::error::InputError;

/// Maximum nesting depth. Collector configurations have about ten levels.
const MAX_DEPTH: usize = 64;

const TOO_DEEP: InputError = InputError::Config("nested too deeply");

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Value, InputError> {
    let opening = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    // Checked before parsing, because the parser builds and drops its tree by recursion.
    let indent = text.lines().map(|line| line.len() - line.trim_start().len()).max().unwrap_or(0);
    if opening > 4096 || indent > 1024 {
        return Err(TOO_DEEP);
    }
    let documents = Yaml::load_from_str(text).map_err(|error| InputError::Yaml(error.to_string()))?;
    let document = documents.first().ok_or_else(|| InputError::Yaml("empty document".into()))?;
    let value = json(document, 0)?;
    if value.is_object() { Ok(value) } else { Err(InputError::Config("not a mapping")) }
}

fn json(yaml: &Yaml<'_>, depth: usize) -> Result<Value, InputError> {
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP);
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
            Value::Object(entries.iter().map(entry).collect::<Result<Map<_, _>, InputError>>()?)
        }
        Yaml::Tagged(_, inner) => json(inner, depth + 1)?,
        _ => Value::Null,
    })
}

/// Returns a scalar without quotes.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
