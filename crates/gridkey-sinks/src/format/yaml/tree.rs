//! The one place that knows the YAML parser: text in, a tree with positions out.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};
use zeroize::Zeroizing;

use super::FormatError;

/// A file that holds a secret nests a few levels deep.
const MAX_DEPTH: usize = 64;

/// A node of a document, where it stands, in bytes.
pub(super) struct Node {
    pub value: Value,
    /// Without anchor and tag; empty for a value that is left out.
    pub span: Range<usize>,
    /// Whether an alias may repeat it elsewhere.
    pub anchored: bool,
    pub tagged: bool,
}

pub(super) enum Value {
    Scalar { text: Zeroizing<String>, style: Style },
    Map { block: bool, entries: Vec<(Node, Node)> },
    List(Vec<Node>),
    Alias(usize),
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    /// `|` or `>`
    Block,
}

/// The document in a file; `None` where it has nothing but comments.
pub(super) fn parse(text: &str) -> Result<Option<Node>, FormatError> {
    let mut reader = Reader { parser: Parser::new_from_str(text), depth: 0 };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(root.filter(|root: &Node| !root.is_left_out())),
            Event::DocumentStart(..) if root.is_some() => {
                return Err(FormatError::new("it holds several YAML documents; name a file with one"));
            }
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => root = Some(reader.node(event, &span)?),
        }
    }
}

impl Node {
    /// Whether nothing is written where the node would be.
    pub fn is_left_out(&self) -> bool {
        matches!(&self.value, Value::Scalar { text: _, style: Style::Plain } if self.span.is_empty())
    }

    pub fn is_null(&self) -> bool {
        let null = |text: &str| matches!(text, "" | "~" | "null" | "Null" | "NULL");
        matches!(&self.value, Value::Scalar { text, style: Style::Plain } if null(text))
    }

    pub fn is(&self, name: &str) -> bool {
        matches!(&self.value, Value::Scalar { text, style: _ } if text.as_str() == name)
    }

    /// Whether the last that is written of it is a block of text.
    pub fn ends_in_block(&self) -> bool {
        match &self.value {
            Value::Scalar { text: _, style } => *style == Style::Block,
            Value::Map { block: _, entries } => {
                entries.last().is_some_and(|(_, value)| value.ends_in_block())
            }
            Value::List(items) => items.last().is_some_and(Self::ends_in_block),
            Value::Alias(_) => false,
        }
    }

    /// Where what is written of it ends.
    pub fn end(&self) -> usize {
        match &self.value {
            Value::Map { block: true, entries } => {
                entries.last().map_or(self.span.end, |(key, value)| key.end().max(value.end()))
            }
            Value::List(items) => items.last().map_or(self.span.end, |item| item.end().max(self.span.end)),
            Value::Scalar { .. } | Value::Map { block: false, .. } | Value::Alias(_) => match self.span.len()
            {
                0 => 0,
                _ => self.span.end,
            },
        }
    }

    /// Whether two nodes say the same, wherever they stand.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let values = match (&self.value, &other.value) {
            (Value::Scalar { text: a, style: as_a }, Value::Scalar { text: b, style: as_b }) => {
                a == b && (*as_a == Style::Plain) == (*as_b == Style::Plain)
            }
            (Value::Map { block: _, entries: a }, Value::Map { block: _, entries: b }) => {
                let same = |((key_a, a), (key_b, b)): (&(Self, Self), &(Self, Self))| {
                    key_a.says_the_same(key_b) && a.says_the_same(b)
                };
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_the_same(b))
            }
            (Value::Alias(a), Value::Alias(b)) => a == b,
            _ => false,
        };
        values && self.anchored == other.anchored && self.tagged == other.tagged
    }
}

struct Reader<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), FormatError> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(invalid(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, FormatError> {
        if self.depth == MAX_DEPTH {
            return Err(FormatError::new(format!("it nests more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let mut range =
            span.byte_range().ok_or_else(|| FormatError::new("its positions are not known to the parser"))?;
        let (value, anchor, tagged) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                (Value::Scalar { text: Zeroizing::new(text.into_owned()), style }, anchor, tag.is_some())
            }
            Event::MappingStart(style, anchor, tag) => {
                let mut entries = Vec::new();
                while let Some(key) = self.child(&mut range)? {
                    let Some(value) = self.child(&mut range)? else {
                        return Err(FormatError::new("it is not YAML: a key has no value"));
                    };
                    entries.push((key, value));
                }
                (Value::Map { block: style == StructureStyle::Block, entries }, anchor, tag.is_some())
            }
            Event::SequenceStart(style, anchor, tag) => {
                let start = range.clone();
                let mut items = Vec::new();
                while let Some(item) = self.child(&mut range)? {
                    items.push(item);
                }
                if style == StructureStyle::Block {
                    range = start;
                }
                (Value::List(items), anchor, tag.is_some())
            }
            Event::Alias(id) => (Value::Alias(id), 0, false),
            _ => return Err(FormatError::new("it is not YAML that gridkey can follow")),
        };
        self.depth -= 1;
        Ok(Node { value, span: range, anchored: anchor != 0, tagged })
    }

    /// The next child of a collection; at its end, the collection's range is made to reach it.
    fn child(&mut self, range: &mut Range<usize>) -> Result<Option<Node>, FormatError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::MappingEnd | Event::SequenceEnd => {
                    range.end = span.byte_range().map_or(range.end, |span| span.end);
                    return Ok(None);
                }
                event if event.is_node() => return self.node(event, &span).map(Some),
                Event::StreamEnd => return Err(FormatError::new("it is not YAML: it ends too early")),
                // Comments and anchors say nothing more here.
                _ => {}
            }
        }
    }
}

/// The place alone: the parser's words could quote the file.
fn invalid(error: &ScanError) -> FormatError {
    let at = error.marker();
    FormatError::new(format!("it is not YAML from line {} column {} on", at.line(), at.col() + 1))
}
