//! How a file holds a secret among other things: text in, text out, and nothing else changes.

mod comments;
mod dotenv;
mod encoding;
mod encrypted;
mod json;
mod pointer;
#[cfg(test)]
mod readers;
pub(crate) mod sops;
mod yaml;

use std::fmt;
use std::ops::Range;

use gridkey_core::KeyId;
use gridkey_core::inventory::SinkContent;
use zeroize::Zeroizing;

pub(crate) use encoding::{decoded, encoded};

/// The place of one secret in a file.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A variable of a dotenv file.
    Variable(String),
    /// A value of a JSON document, by JSON Pointer.
    Json(String),
    /// A value of a YAML document, by JSON Pointer.
    Yaml(String),
    /// The file holds the secret and nothing else.
    Whole,
}

/// What a place in a file holds.
pub(crate) enum Held {
    Nothing,
    Text(Zeroizing<String>),
    /// A value that is no text.
    Other,
}

/// How what is held stands to a secret that is to take its place.
pub(crate) enum Standing {
    /// It is that very secret.
    Same,
    Replaceable,
}

/// Why a text cannot be read or edited: a lower-case fragment that shows nothing of the text's values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FormatError(String);

impl FormatError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Entry {
    /// What the place holds.
    pub fn get(&self, text: &str) -> Result<Held, FormatError> {
        let (_, text) = self.opened(text)?;
        match self {
            Self::Variable(variable) => dotenv::get(text, variable),
            Self::Json(pointer) => json::get(text, pointer),
            Self::Yaml(pointer) => yaml::get(text, pointer),
            Self::Whole => Ok(match text.trim() {
                "" => Held::Nothing,
                text => Held::Text(Zeroizing::new(text.to_string())),
            }),
        }
    }

    /// The text with the value put in its place.
    pub fn set(&self, text: &str, value: &str) -> Result<Zeroizing<String>, FormatError> {
        let (mark, text) = self.opened(text)?;
        let set = match self {
            Self::Variable(variable) => dotenv::set(text, variable, value),
            Self::Json(pointer) => json::set(text, pointer, value),
            Self::Yaml(pointer) => yaml::set(text, pointer, value),
            Self::Whole => Ok(Zeroizing::new(value.to_string())),
        };
        set.map(|set| marked(mark, set))
    }

    /// The text with the place emptied.
    pub fn clear(&self, text: &str) -> Result<Zeroizing<String>, FormatError> {
        let (mark, text) = self.opened(text)?;
        let cleared = match self {
            Self::Variable(variable) => dotenv::clear(text, variable),
            Self::Json(pointer) => json::clear(text, pointer),
            Self::Yaml(pointer) => yaml::clear(text, pointer),
            Self::Whole => Ok(Zeroizing::default()),
        };
        cleared.map(|cleared| marked(mark, cleared))
    }

    /// Kubernetes takes what stands below `data` of a Secret for base64, and refuses the whole Secret where it is not.
    ///
    /// # Errors
    /// Where a plain value would stand there.
    pub fn takes_plain_text(&self, text: &str) -> Result<(), FormatError> {
        let (Self::Json(pointer) | Self::Yaml(pointer)) = self else { return Ok(()) };
        let object = pointer.rsplit_once('/').and_then(|(data, _)| data.strip_suffix("/data"));
        let Some(object) = object else { return Ok(()) };
        let kind = format!("{object}/kind");
        let kind = match self {
            Self::Json(_) => Self::Json(kind).get(text),
            Self::Yaml(_) | Self::Variable(_) | Self::Whole => Self::Yaml(kind).get(text),
        };
        match kind {
            Ok(Held::Text(kind)) if kind.as_str() == "Secret" => Err(FormatError::new(format!(
                "`{pointer}` is in the `data` of a Kubernetes Secret, where every value is base64; set `encoding: base64`, or name a \
                 place below `{object}/stringData`"
            ))),
            Ok(Held::Text(_) | Held::Nothing | Held::Other) | Err(_) => Ok(()),
        }
    }

    /// The byte order mark and the text behind it, of a file that may be read.
    fn opened<'t>(&self, text: &'t str) -> Result<(&'t str, &'t str), FormatError> {
        match self {
            Self::Variable(_) | Self::Json(_) | Self::Yaml(_) => encrypted::refuse(text)?,
            // What is there is replaced whole.
            Self::Whole => {}
        }
        Ok(split_mark(text))
    }
}

/// The variables of a dotenv file that are SendGrid keys.
pub(crate) fn keys_in_dotenv(text: &str) -> Result<Vec<String>, FormatError> {
    dotenv::holding_keys(split_mark(text).1)
}

/// The first quote of a dotenv file that is not closed, in words.
pub(crate) fn open_quote_in_dotenv(text: &str) -> Option<String> {
    dotenv::open_quote(split_mark(text).1)
}

/// The pointers to values of a JSON file that are SendGrid keys.
pub(crate) fn keys_in_json(text: &str) -> Result<Vec<String>, FormatError> {
    json::holding_keys(split_mark(text).1)
}

/// The pointers to values of a YAML file that are SendGrid keys.
pub(crate) fn keys_in_yaml(text: &str) -> Result<Vec<String>, FormatError> {
    yaml::holding_keys(split_mark(text).1)
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The byte order mark that some editors begin a file with, and the text behind it.
fn split_mark(text: &str) -> (&str, &str) {
    text.split_at(if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 })
}

/// The text behind its byte order mark again.
fn marked(mark: &str, text: Zeroizing<String>) -> Zeroizing<String> {
    if mark.is_empty() { text } else { join(&[mark, &text]) }
}

impl fmt::Display for Entry {
    /// The place in the file, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(place) | Self::Json(place) | Self::Yaml(place) => write!(f, "`{place}`"),
            Self::Whole => f.write_str("the file"),
        }
    }
}

impl Held {
    /// What planning may know of it.
    pub fn content(&self) -> SinkContent {
        match self {
            Self::Nothing => SinkContent::Empty,
            Self::Text(text) if text.trim().is_empty() => SinkContent::Empty,
            Self::Text(text) => KeyId::of_secret(text).map_or(SinkContent::Other, SinkContent::Key),
            Self::Other => SinkContent::Other,
        }
    }

    /// Whether a secret may take the place: it holds what is `expected`, or the very key already.
    ///
    /// # Errors
    /// What is there instead, for a message.
    pub fn standing(&self, secret: &str, expected: Option<&SinkContent>) -> Result<Standing, String> {
        if matches!(self, Self::Text(held) if held.as_str() == secret) {
            return Ok(Standing::Same);
        }
        may_replace(&self.content(), secret, expected).map(|()| Standing::Replaceable)
    }
}

/// Whether a secret may take the place of something of which no more is known than this.
///
/// # Errors
/// What is there instead, for a message.
pub(crate) fn may_replace(
    content: &SinkContent,
    secret: &str,
    expected: Option<&SinkContent>,
) -> Result<(), String> {
    let is_same_key = KeyId::of_secret(secret).is_some_and(|id| *content == SinkContent::Key(id));
    match expected {
        Some(expected) if expected != content && !is_same_key => {
            Err(format!("it holds {}, and {} was expected; plan again", words(content), words(expected)))
        }
        Some(_) | None => Ok(()),
    }
}

/// The same where the value may not be read, and gridkey knows in another way which key is there: a key has one secret.
///
/// # Errors
/// What is there instead, for a message.
pub(crate) fn told_standing(
    content: &SinkContent,
    secret: &str,
    expected: &SinkContent,
) -> Result<Standing, String> {
    if KeyId::of_secret(secret).is_some_and(|id| *content == SinkContent::Key(id)) {
        return Ok(Standing::Same);
    }
    match content == expected {
        true => Ok(Standing::Replaceable),
        false => {
            Err(format!("it holds {}, and {} was expected; plan again", words(content), words(expected)))
        }
    }
}

fn words(content: &SinkContent) -> String {
    match content {
        SinkContent::Empty => "nothing".to_string(),
        SinkContent::Key(id) => format!("the key {id}"),
        SinkContent::Other => "something that is not a SendGrid key".to_string(),
    }
}

/// The text with a range of it replaced, in a buffer that never grows, as growing leaves copies behind.
fn splice(text: &str, range: Range<usize>, with: &str) -> Zeroizing<String> {
    let mut spliced = Zeroizing::new(String::with_capacity(text.len() - range.len() + with.len()));
    spliced.push_str(&text[..range.start]);
    spliced.push_str(with);
    spliced.push_str(&text[range.end..]);
    spliced
}

/// Parts put together, in a buffer that never grows.
fn join(parts: &[&str]) -> Zeroizing<String> {
    let mut joined = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        joined.push_str(part);
    }
    joined
}

/// How lines end in a text: as its first one does.
fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Whether a value means itself in every notation, without quotes. Every SendGrid key does.
fn is_plain(value: &str) -> bool {
    let mut bytes = value.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_value_below_data_of_a_secret_is_refused_and_nowhere_else() {
        let yaml = |pointer: &str, text: &str| Entry::Yaml(pointer.into()).takes_plain_text(text);
        let json = |pointer: &str, text: &str| Entry::Json(pointer.into()).takes_plain_text(text);
        let list = "kind: List\nitems:\n- kind: Secret\n  data: {}\n- kind: ConfigMap\n  data: {}\n";
        for refused in [
            yaml("/data/KEY", "kind: Secret\ndata: {}\n"),
            yaml("/data/KEY", "kind: \"Secret\"\n"),
            yaml("/items/0/data/KEY", list),
            json("/data/KEY", "{\"kind\": \"Secret\"}"),
        ] {
            let error = refused.expect_err("a Secret").to_string();
            assert!(error.contains("`encoding: base64`") && error.contains("/stringData`"), "{error}");
        }
        for fine in [
            yaml("/stringData/KEY", "kind: Secret\n"),
            yaml("/data/KEY", "kind: ConfigMap\n"),
            yaml("/data/KEY", ""),
            yaml("/data", "kind: Secret\n"),
            yaml("/metadata/KEY", "kind: Secret\n"),
            yaml("/data/deep/KEY", "kind: Secret\n"),
            yaml("/items/1/data/KEY", list),
            json("/data/KEY", "{\"kind\": 1}"),
            Entry::Variable("KEY".into()).takes_plain_text("kind: Secret\n"),
        ] {
            assert_eq!(fine, Ok(()));
        }
    }

    /// Visual Studio begins its files with one.
    #[test]
    fn a_byte_order_mark_stays_where_it_is() {
        for (entry, before, after) in [
            (Entry::Variable("KEY".into()), "\u{feff}KEY=\r\n", "\u{feff}KEY=new\r\n"),
            (
                Entry::Json("/key".into()),
                "\u{feff}{\r\n  \"key\": \"\"\r\n}\r\n",
                "\u{feff}{\r\n  \"key\": \"new\"\r\n}\r\n",
            ),
            (Entry::Yaml("/key".into()), "\u{feff}key: old\r\n", "\u{feff}key: \"new\"\r\n"),
        ] {
            let set = entry.set(before, "new").expect(before);
            assert_eq!(set.as_str(), after);
            assert!(matches!(entry.get(&set), Ok(Held::Text(held)) if held.as_str() == "new"));
            // What looks for keys sees behind it, too.
            let key = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
            let held = entry.set(before, &key).expect(before);
            let found = match &entry {
                Entry::Variable(_) => keys_in_dotenv(&held),
                Entry::Json(_) => keys_in_json(&held),
                Entry::Yaml(_) => keys_in_yaml(&held),
                Entry::Whole => unreachable!("not in the table"),
            };
            assert_eq!(found.expect("it is read").len(), 1, "{held:?}");
            let cleared = entry.clear(&set).expect(after);
            assert!(cleared.starts_with(BYTE_ORDER_MARK) && !cleared.contains("new"));
        }
    }
}
