//! Decodes objects to messages and arrays to lists, and records the path to an error.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::key::Key;
use super::value::{Integer, InvalidValue, Scalar};
use super::{JsonDecodeError, JsonError, repair};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::json::wrong_type;
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{AnyValue, KeyValue, number_data_point};

/// State of decoding one request.
pub(super) struct ParseContext<'b> {
    body: &'b Bytes,
    /// Path to an error, innermost step first. It is written only if there is an error.
    path: RefCell<Vec<String>>,
    budget: &'b dyn Budget,
    /// Why decoding stopped, if the request did not fit into the budget.
    exceeded: Cell<Option<BudgetExceeded>>,
}

impl ParseContext<'_> {
    fn push_path(&self, step: impl FnOnce() -> String) {
        self.path.borrow_mut().push(step());
    }

    /// Appends an item to a list, and reserves the memory before the list grows.
    fn push_item<T, E: serde::de::Error>(&self, list: &mut Vec<T>, item: T) -> Result<(), E> {
        if list.len() == list.capacity() {
            let capacity = (2 * list.capacity()).max(4);
            self.budget.reserve(capacity * size_of::<T>()).map_err(|exceeded| {
                self.exceeded.set(Some(exceeded));
                E::custom(exceeded)
            })?;
        }
        list.push(item);
        Ok(())
    }
}

/// A message that is decoded field by field.
pub(super) trait FromJson: Default {
    /// Writes the value to the field `name`, or ignores it.
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error>;
}

/// A label of OTLP 0.x.
#[derive(Default)]
struct Label {
    key: Bytes,
    value: Bytes,
}

impl FromJson for Label {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, value: FieldValue<'_, A>) -> Result<(), A::Error> {
        match name {
            "key" => value.text(&mut self.key),
            "value" => value.text(&mut self.value),
            _ => value.ignored(),
        }
    }
}

/// Value of a field before it is decoded. Each method decodes it as one type. `null` does not change the target.
pub(super) struct FieldValue<'f, A> {
    pub(super) context: &'f ParseContext<'f>,
    pub(super) name: &'f str,
    pub(super) map: &'f mut A,
    /// Whether the renamed list of the message was read from its old name.
    has_old_list: &'f mut bool,
}

impl<'de, A: MapAccess<'de>> FieldValue<'_, A> {
    pub(super) fn text(self, target: &mut Bytes) -> Result<(), A::Error> {
        let body = self.context.body;
        self.scalar(|raw| raw.text(body), |value| *target = value)
    }

    pub(super) fn text_with(self, keep: impl FnOnce(Bytes)) -> Result<(), A::Error> {
        let body = self.context.body;
        self.scalar(|raw| raw.text(body), keep)
    }

    /// Decodes a trace or span id of any length.
    pub(super) fn id(self, target: &mut Bytes) -> Result<(), A::Error> {
        self.scalar(Scalar::hex, |value| *target = value)
    }

    pub(super) fn base64_with(self, keep: impl FnOnce(Bytes)) -> Result<(), A::Error> {
        self.scalar(Scalar::base64, keep)
    }

    pub(super) fn integer<T: Integer>(self, target: &mut T) -> Result<(), A::Error> {
        self.scalar(Scalar::integer, |value| *target = value)
    }

    pub(super) fn integer_with<T: Integer>(self, keep: impl FnOnce(T)) -> Result<(), A::Error> {
        self.scalar(Scalar::integer, keep)
    }

    pub(super) fn double(self, target: &mut f64) -> Result<(), A::Error> {
        self.scalar(Scalar::double, |value| *target = value)
    }

    pub(super) fn double_with(self, keep: impl FnOnce(f64)) -> Result<(), A::Error> {
        self.scalar(Scalar::double, keep)
    }

    pub(super) fn boolean_with(self, keep: impl FnOnce(bool)) -> Result<(), A::Error> {
        self.scalar(Scalar::boolean, keep)
    }

    /// Decodes an enum with these names, numbered from 0.
    pub(super) fn choice(self, names: &[&str], target: &mut i32) -> Result<(), A::Error> {
        self.scalar(|raw| raw.choice(names), |value| *target = value)
    }

    fn scalar<T>(
        self,
        convert: impl FnOnce(Scalar<'de>) -> Result<Option<T>, InvalidValue>,
        keep: impl FnOnce(T),
    ) -> Result<(), A::Error> {
        let value = self.map.next_value::<Scalar>().and_then(|raw| convert(raw).map_err(A::Error::custom));
        if let Some(value) = with_path(value, self.context, self.name)? {
            keep(value);
        }
        Ok(())
    }

    pub(super) fn integers<T: Integer>(self, target: &mut Vec<T>) -> Result<(), A::Error> {
        self.list(|raw| raw.integer().map(Option::unwrap_or_default), target)
    }

    pub(super) fn doubles(self, target: &mut Vec<f64>) -> Result<(), A::Error> {
        self.list(|raw| raw.double().map(Option::unwrap_or_default), target)
    }

    fn list<T>(
        self,
        convert: impl Fn(Scalar<'_>) -> Result<T, InvalidValue>,
        target: &mut Vec<T>,
    ) -> Result<(), A::Error> {
        let seed = ListSeed { context: self.context, convert, target };
        with_path(self.map.next_value_seed(seed), self.context, self.name)
    }

    pub(super) fn message_with<M: FromJson>(self, keep: impl FnOnce(M)) -> Result<(), A::Error> {
        let seed = MessageSeed(self.context, PhantomData);
        if let Some(message) = with_path(self.map.next_value_seed(seed), self.context, self.name)? {
            keep(message);
        }
        Ok(())
    }

    pub(super) fn message<M: FromJson>(self, target: &mut Option<M>) -> Result<(), A::Error> {
        self.message_with(|message| *target = Some(message))
    }

    pub(super) fn messages<M: FromJson>(self, target: &mut Vec<M>) -> Result<(), A::Error> {
        let seed = MessagesSeed { context: self.context, target };
        with_path(self.map.next_value_seed(seed), self.context, self.name)
    }

    /// Decodes a list by its new name, which replaces a list by its old name unless it is empty: writers of the time between the
    /// versions wrote the items to both.
    pub(super) fn new_messages<M: FromJson>(self, target: &mut Vec<M>) -> Result<(), A::Error> {
        if !*self.has_old_list {
            return self.messages(target);
        }
        let (mut list, has_old_list) = (Vec::new(), self.has_old_list);
        let seed = MessagesSeed { context: self.context, target: &mut list };
        with_path(self.map.next_value_seed(seed), self.context, self.name)?;
        if !list.is_empty() {
            *target = list;
            *has_old_list = false;
        }
        Ok(())
    }

    /// Decodes a list by its old name, or ignores it if there are items by the new name.
    pub(super) fn old_messages<M: FromJson>(self, target: &mut Vec<M>) -> Result<(), A::Error> {
        if !target.is_empty() && !*self.has_old_list {
            return self.ignored();
        }
        *self.has_old_list = true;
        self.messages(target)
    }

    /// Decodes labels, which the metrics of OTLP 0.x have in place of attributes.
    pub(super) fn labels(self, target: &mut Vec<KeyValue>) -> Result<(), A::Error> {
        let (context, mut labels) = (self.context, Vec::<Label>::new());
        self.messages(&mut labels)?;
        for Label { key, value } in labels {
            let value = Some(AnyValue { value: Some(Value::String(value)) });
            context.push_item(target, KeyValue { key, value })?;
        }
        Ok(())
    }

    /// Decodes a number that is an integer or a double by its notation.
    pub(super) fn number_with(self, keep: impl FnOnce(number_data_point::Value)) -> Result<(), A::Error> {
        self.scalar(Scalar::number, keep)
    }

    pub(super) fn ignored(self) -> Result<(), A::Error> {
        with_path(self.map.next_value::<IgnoredAny>(), self.context, self.name).map(|_| ())
    }
}

pub(super) fn with_path<T, E>(result: Result<T, E>, context: &ParseContext, name: &str) -> Result<T, E> {
    if result.is_err() {
        context.push_path(|| name.to_owned());
    }
    result
}

/// Decodes a body as one message.
pub(super) fn request<M: FromJson>(body: &Bytes, budget: &dyn Budget) -> Result<M, JsonDecodeError> {
    if let Some(text) = repair::unicode(body) {
        return decode(text, body, budget);
    }
    let body = repair::repaired(body, budget)?;
    decode(std::str::from_utf8(&body).unwrap_or_default(), &body, budget)
}

/// Decodes the text of a body. `serde_json` validates the strings of bytes, and not those of a text.
fn decode<M: FromJson>(text: &str, body: &Bytes, budget: &dyn Budget) -> Result<M, JsonDecodeError> {
    budget.reserve(text_size(body))?;
    let context = ParseContext { body, path: RefCell::new(Vec::new()), budget, exceeded: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let message = MessageSeed(&context, PhantomData).deserialize(&mut reader);
    message.and_then(|message| reader.end().map(|()| message.unwrap_or_default())).map_err(|error| {
        match context.exceeded.get() {
            Some(exceeded) => exceeded.into(),
            None => into_json_error(&error, context.path.into_inner()).into(),
        }
    })
}

/// Returns an upper bound of the memory for the texts of a body. A text without escapes is a slice of the body, except that ids and
/// base64 are decoded to at most three quarters of their length. Texts with escapes are unescaped to a buffer, which grows by
/// doubling, and copied.
fn text_size(body: &[u8]) -> usize {
    if body.contains(&b'\\') { 3 * body.len() } else { body.len() / 4 * 3 + 3 }
}

fn into_json_error(error: &serde_json::Error, steps: Vec<String>) -> JsonError {
    let mut path = String::new();
    for step in steps.iter().rev() {
        if !path.is_empty() && !step.starts_with('[') {
            path.push('.');
        }
        path.push_str(step);
    }
    if path.is_empty() {
        path.push_str("request");
    }
    let text = error.to_string();
    let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem).to_owned();
    JsonError { path, problem, line: error.line(), column: error.column() }
}

/// Decodes an object, or `null` as `None`.
struct MessageSeed<'p, M>(&'p ParseContext<'p>, PhantomData<M>);

impl<'de, M: FromJson> DeserializeSeed<'de> for MessageSeed<'_, M> {
    type Value = Option<M>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de, M: FromJson> Visitor<'de> for MessageSeed<'_, M> {
    type Value = Option<M>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut message, mut has_old_list) = (M::default(), false);
        while let Some(Key(name)) = map.next_key()? {
            let has_old_list = &mut has_old_list;
            message.field(&name, FieldValue { context: self.0, name: &name, map: &mut map, has_old_list })?;
        }
        Ok(Some(message))
    }
}

/// Decodes an array of objects, or `null` as an empty array.
struct MessagesSeed<'p, 't, M> {
    context: &'p ParseContext<'p>,
    target: &'t mut Vec<M>,
}

impl<'de, M: FromJson> DeserializeSeed<'de> for MessagesSeed<'_, '_, M> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de, M: FromJson> Visitor<'de> for MessagesSeed<'_, '_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let item = items.next_element_seed(MessageSeed(self.context, PhantomData));
            let Some(item) = item.inspect_err(|_| self.context.push_path(|| format!("[{index}]")))? else { break };
            self.context.push_item(self.target, item.unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Decodes an array of scalars, or `null` as an empty array.
struct ListSeed<'p, 't, F, T> {
    context: &'p ParseContext<'p>,
    convert: F,
    target: &'t mut Vec<T>,
}

impl<'de, F: Fn(Scalar<'_>) -> Result<T, InvalidValue>, T> DeserializeSeed<'de> for ListSeed<'_, '_, F, T> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de, F: Fn(Scalar<'_>) -> Result<T, InvalidValue>, T> Visitor<'de> for ListSeed<'_, '_, F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of numbers")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let item = items.next_element::<Scalar>();
            let item = item.and_then(|raw| raw.map(&self.convert).transpose().map_err(A::Error::custom));
            let Some(item) = item.inspect_err(|_| self.context.push_path(|| format!("[{index}]")))? else { break };
            self.context.push_item(self.target, item)?;
        }
        Ok(())
    }
}
