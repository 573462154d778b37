//! Reads YAML of settings into a small tree. JSON is YAML.
//!
//! Memory and time are proportional to the size of the text: aliases are copied, and the copies count towards a limit.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::InvalidValue;

/// Maximum size of a text: an environment variable of Lambda has at most 4 KB, a parameter of Systems Manager 8 KB.
const MAX_TEXT: usize = 64 * 1024;

/// Maximum nesting depth. Relabelling rules of a scrape rule have five levels.
const MAX_DEPTH: usize = 16;

/// Memory of the tree, which aliases multiply.
const MAX_TREE: usize = 4 << 20;

/// Memory of a node without its text.
const NODE_BYTES: usize = 96;

/// A value, and the line in which it starts.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text without quotes. Only plain text can be a number or null.
    Scalar {
        text: String,
        is_plain: bool,
    },
    Sequence(Vec<Node>),
    /// Keys and values in order.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Returns the text of a scalar; empty for null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => Some(""),
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        let is_null = |text: &str| matches!(text, "" | "~" | "null" | "Null" | "NULL");
        matches!(&self.value, Value::Scalar { text, is_plain: true } if is_null(text))
    }

    /// Returns what this is, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Scalar { .. } => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// Reads one document. `None` if it is empty.
pub(super) fn read(text: &str) -> Result<Option<Node>, InvalidValue> {
    if text.len() > MAX_TEXT {
        return Err(InvalidValue::new(format!("{} bytes of YAML: at most {MAX_TEXT} are read", text.len())));
    }
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| InvalidValue::new(format!("invalid YAML: {error}")))?;
        tree.add(event, span)?;
    }
    Ok(tree.root.filter(|root| !root.is_null()))
}

/// A sequence or mapping that is not complete.
#[derive(Debug)]
struct Open {
    line: usize,
    anchor: usize,
    is_mapping: bool,
    /// Items of a sequence; keys and values of a mapping.
    items: Vec<Node>,
    /// Memory of the tree before it.
    size_before: usize,
}

#[derive(Debug, Default)]
struct Tree {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    size: usize,
    root: Option<Node>,
    documents: usize,
}

impl Tree {
    fn add(&mut self, event: Event<'_>, span: Span) -> Result<(), InvalidValue> {
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(invalid(line, "a second document: use one"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let is_plain = style == ScalarStyle::Plain && !is_text;
                let before = self.size;
                self.reserve(NODE_BYTES + text.len(), line)?;
                let node = Node { line, value: Value::Scalar { text: text.into_owned(), is_plain } };
                self.complete(node, anchor, before)?;
            }
            Event::SequenceStart(anchor, _) => self.start(line, anchor, false)?,
            Event::MappingStart(anchor, _) => self.start(line, anchor, true)?,
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => {
                let size = self.anchors.get(&anchor).map(|(_, size)| *size);
                let size = size.ok_or_else(|| invalid(line, "an alias of a value that contains it"))?;
                let before = self.size;
                self.reserve(size, line)?;
                let node = self.anchors.get(&anchor).map(|(node, _)| Node { line, ..node.clone() });
                node.map_or(Ok(()), |node| self.complete(node, 0, before))?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn start(&mut self, line: usize, anchor: usize, is_mapping: bool) -> Result<(), InvalidValue> {
        if self.open.len() == MAX_DEPTH {
            return Err(invalid(line, &format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let size_before = self.size;
        self.reserve(NODE_BYTES, line)?;
        self.open.push(Open { line, anchor, is_mapping, items: Vec::new(), size_before });
        Ok(())
    }

    fn end(&mut self) -> Result<(), InvalidValue> {
        let Some(Open { line, anchor, is_mapping, items, size_before }) = self.open.pop() else { return Ok(()) };
        let value = if is_mapping {
            let mut items = items.into_iter();
            Value::Mapping(std::iter::from_fn(|| items.next().zip(items.next())).collect())
        } else {
            Value::Sequence(items)
        };
        self.complete(Node { line, value }, anchor, size_before)
    }

    /// Adds a complete node to the one that contains it.
    fn complete(&mut self, node: Node, anchor: usize, size_before: usize) -> Result<(), InvalidValue> {
        if anchor > 0 {
            let size = self.size - size_before;
            self.reserve(size, node.line)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn reserve(&mut self, bytes: usize, line: usize) -> Result<(), InvalidValue> {
        self.size += bytes;
        if self.size > MAX_TREE {
            return Err(invalid(line, "aliases make it too large: write fewer values"));
        }
        Ok(())
    }
}

fn invalid(line: usize, message: &str) -> InvalidValue {
    InvalidValue::new(format!("line {line}: {message}"))
}
