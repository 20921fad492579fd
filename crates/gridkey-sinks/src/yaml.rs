//! Values in YAML files, by JSON Pointer. Comments, order and spelling stay.
//!
//! The file is edited in place, and the result is read again by another parser: unless exactly the one value
//! changed, nothing is written.

use std::str::FromStr;

use serde_json::{Map, Value};
use yaml_edit::{Document, Mapping};
use zeroize::Zeroizing;

use crate::json::segments;

fn parse(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    // The parser's words would quote lines of the file, and so perhaps a secret.
    let value: Value = serde_yaml::from_str(text).map_err(|_| "it is not one YAML document".to_string())?;
    Ok(if value.is_null() { Value::Object(Map::new()) } else { value })
}

pub(crate) fn get(text: &str, pointer: &str) -> Result<Option<Zeroizing<String>>, String> {
    segments(pointer)?;
    match parse(text)?.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) => Ok(Some(Zeroizing::new(value.clone()))),
        Some(_) => Err(format!("`{pointer}` is not a text")),
    }
}

pub(crate) fn set(text: &str, pointer: &str, secret: &str) -> Result<Zeroizing<String>, String> {
    let mut wanted: Value = parse(text)?;
    let mut place = &mut wanted;
    for segment in segments(pointer)? {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else {
            return Err(format!("`{pointer}` goes through something that is not a mapping"));
        };
        place = fields.entry(segment).or_insert(Value::Null);
    }
    *place = Value::String(secret.to_string());
    edit(text, pointer, &wanted, |mapping, last| mapping.set(last, secret))
}

pub(crate) fn remove(text: &str, pointer: &str) -> Result<Zeroizing<String>, String> {
    let mut wanted = parse(text)?;
    let mut path = segments(pointer)?;
    let last = path.pop().unwrap_or_default();
    let parent = path.into_iter().try_fold(&mut wanted, |place, segment| place.get_mut(segment));
    if let Some(Value::Object(fields)) = parent {
        fields.shift_remove(&last);
    }
    edit(text, pointer, &wanted, |mapping, last| {
        mapping.remove(last);
    })
}

/// Edits the mapping that a pointer ends in, and makes sure that the outcome is what was wanted.
fn edit(
    text: &str,
    pointer: &str,
    wanted: &Value,
    change: impl FnOnce(&Mapping, &str),
) -> Result<Zeroizing<String>, String> {
    let cannot = || format!("`{pointer}` cannot be edited without changing something else; use another file");
    let bare = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let document =
        if bare { Document::new_mapping() } else { Document::from_str(text).map_err(|_| cannot())? };
    let mut mapping = document.as_mapping().ok_or_else(cannot)?;
    let mut path = segments(pointer)?;
    let last = path.pop().unwrap_or_default();
    for segment in path {
        mapping = match mapping.get_mapping(&segment) {
            Some(inner) => inner,
            None => {
                mapping.set(&segment, Mapping::new());
                mapping.get_mapping(&segment).ok_or_else(cannot)?
            }
        };
    }
    change(&mapping, &last);
    // Comments alone are no document; what is new comes below them.
    let mut new = Zeroizing::new(if bare { text.to_string() } else { String::new() });
    if !new.is_empty() && !new.ends_with('\n') {
        new.push('\n');
    }
    new.push_str(&document.to_string());
    if !new.ends_with('\n') {
        new.push('\n');
    }
    let same = parse(&new).is_ok_and(|value| value == *wanted);
    if same { Ok(new) } else { Err(cannot()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# top\nshop:\n  mail: # here\n    key: 'old' # c\n    other: 1\n\nlist: [a, b]\n";

    #[test]
    fn comments_and_order_stay() {
        let new = set(FILE, "/shop/mail/key", "SG.new").expect("it can be edited");
        assert_eq!(&**new, &FILE.replace("'old'", "SG.new"));
        assert_eq!(
            get(&new, "/shop/mail/key").expect("a text").as_deref().map(String::as_str),
            Some("SG.new")
        );
        let without = remove(&new, "/shop/mail/key").expect("it can be edited");
        assert_eq!(get(&without, "/shop/mail/key"), Ok(None));
        assert!(without.contains("# top") && without.contains("other: 1"));
    }

    #[test]
    fn missing_mappings_are_made() {
        for text in ["", "# only a comment\n", "a: 1\n", "{}\n"] {
            let new = set(text, "/sendgrid/api/key", "SG.new").expect("it can be edited");
            let value = get(&new, "/sendgrid/api/key").expect("a text");
            assert_eq!(value.as_deref().map(String::as_str), Some("SG.new"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_edited_safely_is_refused() {
        for text in ["shop: text\n", "- a\n", "shop: [1]\n", "a: 1\na: 2\n", "shop: {", "a: 1\n---\nb: 2\n"] {
            assert!(set(text, "/shop/key", "SG.new").is_err(), "{text}");
        }
        let shared = "base: &b\n  key: x\nshop: *b\n";
        if let Ok(new) = set(shared, "/shop/key", "SG.new") {
            assert_eq!(get(&new, "/base/key").expect("a text").as_deref().map(String::as_str), Some("x"));
        }
    }
}
