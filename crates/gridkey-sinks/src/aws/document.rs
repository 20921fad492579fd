//! A value that is the secret, or a JSON object with the secret as one of its members.

use std::collections::BTreeMap;

use gridkey_engine::ports::{SinkError, SinkFault};
use zeroize::Zeroizing;

use crate::format::{Entry, FormatError, Held};

/// A part of a value: all of it, or a member of the object that it is.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub field: Option<&'a str>,
}

impl Part<'_> {
    /// What the part holds.
    pub fn get(self, text: Zeroizing<String>) -> Result<Held, SinkError> {
        match self.entry(&text)? {
            None => Ok(Held::Text(text)),
            Some(entry) => entry.get(&text).map_err(invalid),
        }
    }

    /// The value with the part set. The rest stays byte for byte.
    pub fn set(self, text: Option<&str>, value: &str) -> Result<Zeroizing<String>, SinkError> {
        match (self.field, text.filter(|text| !text.trim().is_empty())) {
            (None, _) => Ok(Zeroizing::new(value.to_string())),
            (Some(field), None) => {
                let object = BTreeMap::from([(field, value)]);
                Ok(Zeroizing::new(serde_json::to_string(&object).expect("texts are plain data")))
            }
            (Some(_), Some(text)) => {
                self.entry(text)?.expect("a field has an entry").set(text, value).map_err(invalid)
            }
        }
    }

    /// The value without the part; `None` where nothing is left.
    pub fn clear(self, text: &str) -> Result<Option<Zeroizing<String>>, SinkError> {
        let Some(entry) = self.entry(text)? else { return Ok(None) };
        let cleared = entry.clear(text).map_err(invalid)?;
        let is_bare = cleared.chars().filter(|c| !c.is_whitespace()).eq("{}".chars());
        Ok((!is_bare).then_some(cleared))
    }

    fn entry(self, text: &str) -> Result<Option<Entry>, SinkError> {
        let Some(field) = self.field else { return Ok(None) };
        let text = text.trim_start();
        if !text.is_empty() && !text.starts_with('{') {
            return Err(SinkError::new(SinkFault::Invalid, "its value is no JSON object").help(format!(
                "`field: {field}` is a member of one; take the setting out where the secret is the whole value"
            )));
        }
        // A name is one member, whatever is in it.
        Ok(Some(Entry::Json(format!("/{}", field.replace('~', "~0").replace('/', "~1")))))
    }
}

fn invalid(error: FormatError) -> SinkError {
    SinkError::new(SinkFault::Invalid, format!("its value cannot be edited: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(field: &str) -> Part<'_> {
        Part { field: Some(field) }
    }

    #[test]
    fn a_field_is_a_literal_member_and_the_others_stay_byte_for_byte() {
        let text = r#"{"z": 1.50, "a.b": "x","a":{"b":"inner"},  "u": "\u00e9"}"#;
        let set = part("a.b").set(Some(text), "new").expect("an object");
        assert_eq!(set.as_str(), text.replace(r#""x""#, r#""new""#));
        let cleared = part("a.b").clear(text).expect("an object").expect("others are left");
        assert!(
            cleared.starts_with(r#"{"z": 1.50,"#) && cleared.ends_with(r#""u": "\u00e9"}"#),
            "{cleared:?}"
        );
        let slash = part("a/b~c").set(None, "new").expect("a new object");
        assert_eq!(slash.as_str(), r#"{"a/b~c":"new"}"#);
        assert!(part("a/b~c").clear(&slash).expect("an object").is_none());
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for text in ["SG.text", "[1]", "\"text\"", "3"] {
            assert!(part("0").set(Some(text), "new").is_err(), "{text}");
            assert!(part("0").get(Zeroizing::new(text.to_string())).is_err(), "{text}");
        }
    }
}
