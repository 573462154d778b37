//! Body of a push of task stats: the documents `/task` and `/task/stats` of one task.
//!
//! A client sends them one after the other, in either order, because a shell can concatenate two responses but cannot build JSON;
//! or as `{"task": ..., "stats": ...}`. Both are split into the text of two documents, without a copy. Splitting is a pass over the body,
//! which the usual form does not need: there, the first key of a document tells which one it is.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::lists::BoundedMap;
use super::{TaskMetadata, TaskStats};
use crate::model::json::{self, DocumentError, JsonStr};

/// The documents of a push.
#[derive(Debug)]
pub struct PushedDocuments<'a> {
    pub task: TaskMetadata<'a>,
    pub stats: TaskStats<'a>,
}

/// Reason why a body is not a push of task stats.
#[derive(Debug, Error)]
pub enum PushedDocumentsError {
    #[error("the body is empty: send the responses of $ECS_CONTAINER_METADATA_URI_V4/task and /task/stats")]
    Empty,
    #[error(transparent)]
    Invalid(#[from] DocumentError),
    #[error("the body has no {0} document: send the responses of $ECS_CONTAINER_METADATA_URI_V4/task and /task/stats")]
    Missing(&'static str),
    #[error("the body has two {0} documents: send those of one task")]
    Repeated(&'static str),
    #[error("the body has more than two JSON values: send one /task and one /task/stats document")]
    TooMany,
}

/// Keys that distinguish the documents. Keys of a stats document are container IDs.
#[derive(Debug, Deserialize)]
struct Keys<'a> {
    #[serde(rename = "TaskARN")]
    task_arn: Option<IgnoredAny>,
    #[serde(borrow)]
    task: Option<&'a RawValue>,
    #[serde(borrow)]
    stats: Option<&'a RawValue>,
}

/// Text of the documents.
#[derive(Debug, Default)]
struct Texts<'a> {
    task: Option<&'a [u8]>,
    stats: Option<&'a [u8]>,
}

impl<'a> PushedDocuments<'a> {
    /// Parses the documents of a body.
    pub fn parse(body: &'a [u8]) -> Result<Self, PushedDocumentsError> {
        // Only the other way has errors that name the document.
        match Self::parse_adjacent(body) {
            Some(documents) => Ok(documents),
            None => Self::split_and_parse(body),
        }
    }

    /// Parses two documents after one another. `None` for another form, and if one of them is invalid.
    fn parse_adjacent(body: &'a [u8]) -> Option<Self> {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Document<'a>>();
        let (first, second) = (values.next()?.ok()?, values.next()?.ok()?);
        if values.next().is_some() {
            return None;
        }
        match (first, second) {
            (Document::Task(task), Document::Stats(stats)) | (Document::Stats(stats), Document::Task(task)) => {
                (!task.task_arn.is_empty()).then_some(Self { task: *task, stats })
            }
            _ => None,
        }
    }

    fn split_and_parse(body: &'a [u8]) -> Result<Self, PushedDocumentsError> {
        let texts = Texts::split(body)?;
        let task = texts.task.ok_or(PushedDocumentsError::Missing("/task"))?;
        let stats = texts.stats.ok_or(PushedDocumentsError::Missing("/task/stats"))?;
        Ok(Self { task: TaskMetadata::parse(task)?, stats: TaskStats::parse(stats)? })
    }
}

/// A document, by its first key.
enum Document<'a> {
    Task(Box<TaskMetadata<'a>>),
    Stats(TaskStats<'a>),
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document<'de>, A::Error> {
        let Some(first) = map.next_key::<JsonStr<'de>>()? else { return Ok(Document::Stats(TaskStats::default())) };
        if matches!(&*first, "task" | "stats") {
            return Err(A::Error::custom("another form"));
        }
        // Keys of a task are capitalized, and container IDs start with a digit or a lower-case letter.
        let is_task = first.starts_with(|first: char| first.is_ascii_uppercase());
        let map = MapAccessDeserializer::new(WithFirstKey { first: Some(first), map });
        if is_task {
            return TaskMetadata::deserialize(map).map(|task| Document::Task(Box::new(task)));
        }
        BoundedMap::deserialize(map).map(|BoundedMap(containers)| Document::Stats(TaskStats { containers }))
    }
}

/// A map whose first key has been read.
struct WithFirstKey<'de, A> {
    first: Option<JsonStr<'de>>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithFirstKey<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(JsonStr(Cow::Borrowed(first))) => seed.deserialize(BorrowedStrDeserializer::new(first)).map(Some),
            Some(JsonStr(first)) => seed.deserialize(CowStrDeserializer::new(first)).map(Some),
            None => self.map.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

impl<'a> Texts<'a> {
    fn split(body: &'a [u8]) -> Result<Self, PushedDocumentsError> {
        let mut texts = Self::default();
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Keys<'a>>();
        let (mut count, mut start) = (0, 0);
        while let Some(keys) = values.next() {
            let keys = keys.map_err(|error| json::document_error("body", &error))?;
            let text = body.get(start..values.byte_offset()).unwrap_or_default();
            start = values.byte_offset();
            count += 1;
            if count > 2 {
                return Err(PushedDocumentsError::TooMany);
            }
            texts.add(&keys, text)?;
        }
        if count == 0 { Err(PushedDocumentsError::Empty) } else { Ok(texts) }
    }

    fn add(&mut self, keys: &Keys<'a>, text: &'a [u8]) -> Result<(), PushedDocumentsError> {
        if keys.task.is_none() && keys.stats.is_none() {
            let is_task = keys.task_arn.is_some();
            let (slot, name) = if is_task { (&mut self.task, "/task") } else { (&mut self.stats, "/task/stats") };
            return set(slot, text, name);
        }
        keys.task.map_or(Ok(()), |task| set(&mut self.task, task.get().as_bytes(), "/task"))?;
        keys.stats.map_or(Ok(()), |stats| set(&mut self.stats, stats.get().as_bytes(), "/task/stats"))
    }
}

fn set<'a>(slot: &mut Option<&'a [u8]>, text: &'a [u8], name: &'static str) -> Result<(), PushedDocumentsError> {
    match slot.replace(text) {
        None => Ok(()),
        Some(_) => Err(PushedDocumentsError::Repeated(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str =
        r#"{"Cluster":"shop","TaskARN":"arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e","Containers":[]}"#;
    const STATS: &str = r#"{"ab":{"id":"ab","read":"2026-11-28T10:00:00Z"},"cd":null}"#;

    fn parse(body: &str) -> Result<(String, usize), String> {
        let documents = PushedDocuments::parse(body.as_bytes()).map_err(|error| error.to_string())?;
        Ok((documents.task.task_arn.to_string(), documents.stats.containers.len()))
    }

    #[test]
    fn documents_come_in_either_order_or_in_an_object() {
        for body in [
            format!("{TASK}{STATS}"),
            format!("{STATS}\n{TASK}\n"),
            format!(" {TASK} \n {STATS}"),
            format!("{{\"task\":{TASK},\"stats\":{STATS}}}"),
            format!("{{\"stats\":{STATS},\"other\":1,\"task\":{TASK}}}"),
            format!("{{\"other\":{{}},\"task\":{TASK},\"stats\":{STATS}}}"),
            format!("{{\"new\":1,{}{STATS}", &TASK[1..]),
        ] {
            let expected = ("arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e".to_owned(), 2);
            assert_eq!(parse(&body), Ok(expected), "{body}");
        }
    }

    #[test]
    fn body_without_both_documents_is_an_error_that_names_the_rest() {
        for (body, expected) in [
            (String::new(), "the body is empty"),
            ("  \n".to_owned(), "the body is empty"),
            (TASK.to_owned(), "the body has no /task/stats document"),
            (STATS.to_owned(), "the body has no /task document"),
            (format!("{TASK}{TASK}"), "the body has two /task documents"),
            (format!("{STATS}{STATS}"), "the body has two /task/stats documents"),
            (format!("{TASK}{STATS}{STATS}"), "the body has more than two JSON values"),
            (format!("{{\"task\":{TASK},\"stats\":{STATS}}}{TASK}"), "the body has two /task documents"),
            ("wget: server returned error".to_owned(), "invalid body: expected value at line 1 column 1"),
            (format!("{{\"task\":{TASK}}}"), "the body has no /task/stats document"),
            (format!("{{\"task\":{TASK},\"stats\":null}}"), "the body has no /task/stats document"),
            (format!("{TASK}[1]"), "invalid body: invalid"),
            (format!("{TASK}{{\"ab\":1}}"), "invalid /task/stats document"),
            (format!("{TASK}{{\"ab\""), "invalid body: EOF"),
        ] {
            let error = parse(&body).unwrap_err();
            assert!(error.starts_with(expected), "{body}: {error}");
        }
    }
}
