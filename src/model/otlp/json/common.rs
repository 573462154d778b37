//! common/v1 and resource/v1.

use serde::de::MapAccess;

use super::read::{FieldValue, FromJson};
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, Resource};

impl FromJson for AnyValue {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        let target = &mut self.value;
        match name {
            "stringValue" | "string_value" => value.text_with(|text| *target = Some(Value::String(text))),
            "boolValue" | "bool_value" => value.boolean_with(|flag| *target = Some(Value::Bool(flag))),
            "intValue" | "int_value" => value.integer_with(|whole| *target = Some(Value::Int(whole))),
            "doubleValue" | "double_value" => value.double_with(|double| *target = Some(Value::Double(double))),
            "arrayValue" | "array_value" => value.message_with(|array| *target = Some(Value::Array(array))),
            "kvlistValue" | "kvlist_value" => value.message_with(|list| *target = Some(Value::KvList(list))),
            "bytesValue" | "bytes_value" => value.base64_with(|bytes| *target = Some(Value::Bytes(bytes))),
            _ => value.ignored(),
        }
    }
}

impl FromJson for ArrayValue {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "values" => value.messages(&mut self.values),
            _ => value.ignored(),
        }
    }
}

impl FromJson for KeyValueList {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "values" => value.messages(&mut self.values),
            _ => value.ignored(),
        }
    }
}

impl FromJson for KeyValue {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "key" => value.text(&mut self.key),
            "value" => value.message(&mut self.value),
            _ => value.ignored(),
        }
    }
}

impl FromJson for InstrumentationScope {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "name" => value.text(&mut self.name),
            "version" => value.text(&mut self.version),
            "attributes" => value.messages(&mut self.attributes),
            "droppedAttributesCount" | "dropped_attributes_count" => value.integer(&mut self.dropped_attributes_count),
            _ => value.ignored(),
        }
    }
}

impl FromJson for Resource {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "attributes" => value.messages(&mut self.attributes),
            "droppedAttributesCount" | "dropped_attributes_count" => value.integer(&mut self.dropped_attributes_count),
            _ => value.ignored(),
        }
    }
}
