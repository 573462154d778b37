//! Splits a segment document that is too large at its subsegments.
//!
//! The X-Ray SDKs send the subsegments of a large segment as documents of their own, with the trace, the parent and the type
//! `subsegment` ("Subsegments", AWS X-Ray Developer Guide). A subsegment stays within its parent if there is space for it. The
//! document is parsed once, and each of its bytes is written once.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::is_hex;
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::json::wrong_type;

/// Maximum size of a part: 64 kB in the smaller of the two meanings of kB.
const MAX_PART_BYTES: usize = 64_000;

/// Members of the document that an SDK adds to a subsegment that it sends alone, in quotes.
const OF_INDEPENDENT: [&str; 3] = [r#""trace_id""#, r#""parent_id""#, r#""type""#];

/// A segment or subsegment.
#[derive(Default)]
struct Node<'a> {
    id: Cow<'a, str>,
    /// The members as JSON, each with a comma, except `subsegments` and [`OF_INDEPENDENT`].
    members: String,
    children: Vec<Node<'a>>,
    /// Size of the object with all its subsegments.
    size: usize,
}

/// Why a document was not split.
#[derive(Debug)]
pub(super) enum SplitError {
    BudgetExceeded(BudgetExceeded),
    /// A list of subsegments contains something else.
    Invalid(serde_json::Error),
}

/// A part of a document.
pub(super) enum Part {
    Document(String),
    /// A segment that is too large without its subsegments.
    TooLarge {
        id: String,
        bytes: usize,
    },
}

/// Calls `add` with the parts of a document, until it returns false. The document is valid JSON, and has this trace ID.
pub(super) fn split(
    document: &str,
    trace_id: &str,
    budget: &dyn Budget,
    mut add: impl FnMut(Part) -> bool,
) -> Result<(), SplitError> {
    // The members are copied to texts that grow by doubling.
    budget.reserve(3 * document.len()).map_err(SplitError::BudgetExceeded)?;
    let context = Context { budget, exceeded: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_str(document);
    let root = NodeSeed { context: &context, is_root: true }.deserialize(&mut reader);
    let root = root.map_err(|error| match context.exceeded.get() {
        Some(exceeded) => SplitError::BudgetExceeded(exceeded),
        None => SplitError::Invalid(error),
    })?;
    let mut open = vec![OpenNode { node: root, parent: None }];
    while let Some(OpenNode { node, parent }) = open.pop() {
        // A subsegment of three bytes takes thirty times as much memory. The list of the others grows by doubling.
        budget.reserve(node.children.len() * 4 * size_of::<OpenNode<'_>>()).map_err(SplitError::BudgetExceeded)?;
        let [trace, parent_key, kind] = OF_INDEPENDENT;
        let head = |parent| format!(r#"{trace}:"{trace_id}",{parent_key}:"{parent}",{kind}:"subsegment","#);
        let (part, detached, id) = node.into_part(&parent.map(head).unwrap_or_default());
        if !add(part) {
            return Ok(());
        }
        open.extend(detached.into_iter().map(|node| OpenNode { node, parent: Some(Rc::clone(&id)) }));
    }
    Ok(())
}

/// A segment or subsegment that becomes a part.
struct OpenNode<'a> {
    node: Node<'a>,
    /// ID of the segment that contains it; `None` for the document itself.
    parent: Option<Rc<str>>,
}

impl<'a> Node<'a> {
    /// Returns the part with the subsegments that fit into it, the others, and the ID of the part.
    fn into_part(self, head: &str) -> (Part, Vec<Node<'a>>, Rc<str>) {
        let id: Rc<str> = if is_hex(&self.id, 16) { self.id.into() } else { "".into() };
        let mut size = head.len() + self.members.len() + SUBSEGMENTS.len() + 2;
        let is_too_large = size > MAX_PART_BYTES;
        let (mut kept, mut detached) = (Vec::new(), Vec::new());
        for child in self.children {
            let child_size = child.size + 1;
            if is_too_large || size + child_size > MAX_PART_BYTES {
                detached.push(child);
            } else {
                size += child_size;
                kept.push(child);
            }
        }
        if is_too_large {
            return (Part::TooLarge { id: id.to_string(), bytes: size }, detached, id);
        }
        let mut document = String::with_capacity(size);
        document.push('{');
        document.push_str(head);
        write_members(&mut document, &self.members, &kept);
        (Part::Document(document), detached, id)
    }

    fn write(&self, document: &mut String) {
        document.push('{');
        write_members(document, &self.members, &self.children);
    }
}

const SUBSEGMENTS: &str = r#""subsegments":[]"#;

/// Writes members, subsegments and the end of the object.
fn write_members(document: &mut String, members: &str, children: &[Node<'_>]) {
    document.push_str(members);
    if children.is_empty() {
        // Without the comma of the last member.
        document.truncate(document.trim_end_matches(',').len());
    } else {
        document.push_str(SUBSEGMENTS.trim_end_matches(']'));
        for (at, child) in children.iter().enumerate() {
            if at > 0 {
                document.push(',');
            }
            child.write(document);
        }
        document.push(']');
    }
    document.push('}');
}

struct Context<'b> {
    budget: &'b dyn Budget,
    /// Why parsing stopped, if the document did not fit into the budget.
    exceeded: Cell<Option<BudgetExceeded>>,
}

/// Parses an object.
struct NodeSeed<'c> {
    context: &'c Context<'c>,
    is_root: bool,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a subsegment")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node<'de>, E> {
        Err(wrong_type(text, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut node = Node::default();
        while let Some(key) = map.next_key::<&RawValue>()? {
            match key.get() {
                r#""subsegments""# => {
                    map.next_value_seed(ListSeed { context: self.context, children: &mut node.children })?;
                }
                name => {
                    let value = map.next_value::<&RawValue>()?;
                    if name == r#""id""# {
                        node.id = serde_json::from_str(value.get()).map_err(A::Error::custom)?;
                    }
                    if self.is_root || !OF_INDEPENDENT.contains(&name) {
                        node.members.extend([name, ":", value.get(), ","]);
                    }
                }
            }
        }
        let children: usize = node.children.iter().map(|child| child.size + 1).sum();
        node.size = node.members.len() + SUBSEGMENTS.len() + children + 2;
        Ok(node)
    }
}

/// Parses a list of subsegments, or null.
struct ListSeed<'c, 'n, 'a> {
    context: &'c Context<'c>,
    children: &'n mut Vec<Node<'a>>,
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of subsegments")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        Err(wrong_type(text, &self))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(node) = list.next_element_seed(NodeSeed { context: self.context, is_root: false })? {
            if self.children.len() == self.children.capacity() {
                let capacity = (2 * self.children.capacity()).max(4);
                self.context.budget.reserve(capacity * size_of::<Node<'_>>()).map_err(|exceeded| {
                    self.context.exceeded.set(Some(exceeded));
                    A::Error::custom(exceeded)
                })?;
            }
            self.children.push(node);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::{SdkSegments, validate_body};
    use crate::model::budget::Unlimited;

    const TRACE: &str = "1-581cf771-a006649127e371903a2de979";

    /// A segment or subsegment: the length of its data, and its subsegments.
    #[derive(Clone, Debug)]
    struct Tree(usize, Vec<Tree>);

    /// Returns a segment with ids in order.
    fn segment(tree: &Tree, next_id: &mut u64) -> Value {
        *next_id += 1;
        let mut segment = json!({
            "name": format!("call \\ {next_id}"), "id": format!("{next_id:016x}"), "start_time": 1.5, "end_time": 2,
            "metadata": { "default": { "text": "\"é".repeat(tree.0 / 4), "subsegments": [1] } }
        });
        if !tree.1.is_empty() {
            segment["subsegments"] = tree.1.iter().map(|child| self::segment(child, next_id)).collect();
        }
        segment
    }

    fn root(tree: &Tree) -> Value {
        let mut root = segment(tree, &mut 0);
        root["trace_id"] = json!(TRACE);
        root["parent_id"] = json!("70de5b6f19ff9a0a");
        root["user"] = json!("u");
        root
    }

    fn push(document: &Value) -> SdkSegments {
        let body = json!({ "TraceSegmentDocuments": [document.to_string()] }).to_string();
        validate_body(body.as_bytes(), &Unlimited).unwrap()
    }

    /// Adds each segment by its id, with its parent and without its subsegments.
    fn collect(segment: &Value, parent: &str, all: &mut BTreeMap<String, (String, Value)>) {
        let mut own = segment.clone();
        for key in ["subsegments", "trace_id", "parent_id", "type"] {
            own.as_object_mut().unwrap().remove(key);
        }
        let id = segment["id"].as_str().unwrap();
        for child in segment["subsegments"].as_array().into_iter().flatten() {
            collect(child, id, all);
        }
        assert!(all.insert(id.to_owned(), (parent.to_owned(), own)).is_none(), "{id} twice");
    }

    /// Tests that the parts have the content of the document.
    fn check(document: &Value) -> usize {
        let SdkSegments { documents, received, rejected } = push(document);
        assert_eq!((received, rejected.total()), (documents.len() as u64, 0), "{rejected}");
        let (mut expected, mut actual) = (BTreeMap::new(), BTreeMap::new());
        collect(document, "70de5b6f19ff9a0a", &mut expected);
        for part in &documents {
            assert!(part.text().len() <= 65_536, "{}", part.text().len());
            let part: Value = serde_json::from_str(&part.text()).unwrap();
            assert_eq!(part["trace_id"], TRACE);
            let expected = if part["id"] == document["id"] { Value::Null } else { json!("subsegment") };
            assert_eq!(part["type"], expected);
            collect(&part, part["parent_id"].as_str().unwrap(), &mut actual);
        }
        assert_eq!(actual, expected);
        documents.len()
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let leaf = (0..40_000_usize).prop_map(|bytes| Tree(bytes, Vec::new()));
        leaf.prop_recursive(6, 40, 8, |inner| {
            (0..50_000_usize, prop::collection::vec(inner, 0..8)).prop_map(|(bytes, children)| Tree(bytes, children))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn parts_have_the_content_of_the_document(tree in trees()) {
            check(&root(&tree));
        }
    }

    #[test]
    fn many_small_subsegments_stay_together() {
        let document = root(&Tree(0, vec![Tree(0, Vec::new()); 1_000]));
        assert!(document.to_string().len() > 130_000);
        assert_eq!(check(&document), 1 + 1_000 - kept(&document));
    }

    /// Returns the number of subsegments that fit into the first part.
    fn kept(document: &Value) -> usize {
        let documents = push(document).documents;
        let first: Value = serde_json::from_str(&documents[0].text()).unwrap();
        first["subsegments"].as_array().unwrap().len()
    }

    #[test]
    fn nested_subsegments_are_split_at_each_level() {
        let deep = (0..50).fold(Tree(30_000, Vec::new()), |inner, _| Tree(4_000, vec![inner]));
        assert!(check(&root(&deep)) > 4);
        assert_eq!(check(&root(&Tree(100, vec![Tree(100, Vec::new())]))), 1);
    }

    #[test]
    fn segment_that_is_too_large_alone_does_not_affect_its_subsegments() {
        let document = root(&Tree(100_000, vec![Tree(0, Vec::new()), Tree(0, Vec::new())]));
        let SdkSegments { documents, received, rejected } = push(&document);
        assert_eq!((documents.len(), received, rejected.total()), (2, 3, 1));
        assert!(rejected.to_string().contains("segment 0000000000000001"), "{rejected}");
    }

    #[test]
    fn invalid_subsegments_are_rejected_alone() {
        let mut document = root(&Tree(40_000, vec![Tree(40_000, Vec::new()), Tree(40_000, Vec::new())]));
        document["subsegments"][0].as_object_mut().unwrap().remove("end_time");
        let SdkSegments { documents, received, rejected } = push(&document);
        assert_eq!((documents.len(), received), (2, 3));
        assert_eq!(rejected.iter().map(|rejection| rejection.reason).collect::<Vec<_>>(), ["missing_end_time"]);
        document["subsegments"] = json!([1]);
        document["user"] = json!("u".repeat(70_000));
        let rejected = push(&document).rejected;
        assert_eq!(rejected.iter().map(|rejection| rejection.reason).collect::<Vec<_>>(), ["too_large"]);
    }
}
