//! A YAML document as a tree in which every node knows where it stands.

use std::fmt;

/// A place in one of the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    /// Index of the source.
    pub file: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In bytes.
    pub start: usize,
    pub end: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub value: T,
    pub site: Site,
}

impl<T> At<T> {
    pub fn new(value: T, site: Site) -> Self {
        Self { value, site }
    }
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A value of a YAML document, with anchors and merge keys resolved.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub value: Value,
    pub site: Site,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number that is not an `i64`; its value does not matter, as no field takes one.
    Number,
    Text(String),
    List(Vec<Node>),
    /// In the order of the document, without duplicates.
    Map(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: At<String>,
    pub node: Node,
}

impl Node {
    /// What it is, in the words of messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "empty (null)",
            Value::Bool(_) => "`true` or `false`",
            Value::Integer(_) | Value::Number => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Whether two nodes say the same, wherever they stand and in whatever order.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_the_same(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                let same = |entry: &Entry| {
                    b.iter().any(|other| {
                        other.key.value == entry.key.value && entry.node.says_the_same(&other.node)
                    })
                };
                a.len() == b.len() && a.iter().all(same)
            }
            _ => false,
        }
    }
}

impl fmt::Display for At<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.value)
    }
}
