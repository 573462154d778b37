//! A validator for the keywords of JSON Schema that `schema/segment.json` uses.

use serde_json::Value;

pub(crate) struct Schema {
    root: Value,
}

impl Schema {
    pub(crate) fn of_segments() -> Self {
        Schema { root: serde_json::from_str(include_str!("../schema/segment.json")).unwrap() }
    }

    /// Returns the errors of a document.
    pub(crate) fn validation_errors(&self, document: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(&self.root, document, "$", &mut errors);
        errors
    }

    fn satisfies(&self, schema: &Value, value: &Value) -> bool {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
        for (keyword, rule) in schema.as_object().unwrap() {
            let is_valid = match keyword.as_str() {
                "$comment" | "properties" | "definitions" | "then" => true,
                "$ref" => {
                    self.check(&self.root["definitions"][rule.as_str().unwrap()], value, path, errors);
                    true
                }
                "type" => is_type(value, rule.as_str().unwrap()),
                "enum" => rule.as_array().unwrap().contains(value),
                "anyOf" => rule.as_array().unwrap().iter().any(|schema| self.satisfies(schema, value)),
                "if" => !self.satisfies(rule, value) || self.satisfies(&schema["then"], value),
                "required" => rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
                "minLength" => length(value) >= rule.as_u64().unwrap(),
                "maxLength" => length(value) <= rule.as_u64().unwrap(),
                "exclusiveMinimum" => value.as_f64() > rule.as_f64(),
                "format" => value.as_str().is_none_or(|text| is_format(text, rule.as_str().unwrap())),
                "items" => {
                    for (position, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{path}[{position}]"), errors);
                    }
                    true
                }
                "propertyNames" => value
                    .as_object()
                    .is_none_or(|members| members.keys().all(|key| self.satisfies(rule, &Value::from(key.as_str())))),
                "additionalProperties" => {
                    self.check_members(schema, value, path, errors);
                    true
                }
                keyword => panic!("unknown keyword {keyword}"),
            };
            if !is_valid {
                errors.push(format!("{path}: {value} does not match {keyword} {rule}"));
            }
        }
    }

    fn check_members(&self, schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
        let rule = &schema["additionalProperties"];
        for (key, member) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            match (schema["properties"].get(key), rule) {
                (Some(schema), _) | (None, schema @ Value::Object(_)) => self.check(schema, member, &path, errors),
                (None, Value::Bool(false)) => errors.push(format!("{path}: unknown field")),
                _ => {}
            }
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        name => panic!("unknown type {name}"),
    }
}

fn length(value: &Value) -> u64 {
    value.as_str().map_or(u64::MAX, |text| text.chars().count() as u64)
}

fn is_format(text: &str, format: &str) -> bool {
    let is_hex = |text: &str, digits: usize| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == digits && text.bytes().all(is_digit) && text.bytes().any(|byte| byte != b'0')
    };
    match format {
        "hex16" => is_hex(text, 16),
        "trace-id" => {
            text.len() == 35
                && text.starts_with("1-")
                && text[10..].starts_with('-')
                && is_hex(&text[2..].replace('-', ""), 32)
        }
        "name" => text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/%&#=+\\-@".contains(c)),
        "annotation-key" => text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.'),
        format => panic!("unknown format {format}"),
    }
}
