//! Values in JSON files, by JSON Pointer (RFC 6901). The order of the file's fields stays.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The fields that a pointer goes through.
pub(crate) fn segments(pointer: &str) -> Result<Vec<String>, String> {
    let Some(rest) = pointer.strip_prefix('/').filter(|rest| !rest.is_empty()) else {
        return Err(format!("the pointer `{pointer}` does not start with `/` and a field"));
    };
    Ok(rest.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
}

fn parse(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    // serde_json's own words quote nothing of the text.
    serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))
}

pub(crate) fn get(text: &str, pointer: &str) -> Result<Option<Zeroizing<String>>, String> {
    segments(pointer)?;
    let value = parse(text)?;
    match value.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) => Ok(Some(Zeroizing::new(value.clone()))),
        Some(_) => Err(format!("`{pointer}` is not a text")),
    }
}

pub(crate) fn set(text: &str, pointer: &str, secret: &str) -> Result<Zeroizing<String>, String> {
    let mut value = parse(text)?;
    let mut place = &mut value;
    for segment in segments(pointer)? {
        let Value::Object(fields) = place else {
            return Err(format!("`{pointer}` goes through something that is not an object"));
        };
        place = fields.entry(segment).or_insert_with(|| Value::Object(Map::new()));
    }
    *place = Value::String(secret.to_string());
    write(&value)
}

pub(crate) fn remove(text: &str, pointer: &str) -> Result<Zeroizing<String>, String> {
    let mut value = parse(text)?;
    let mut segments = segments(pointer)?;
    let last = segments.pop();
    let parent = segments.into_iter().try_fold(&mut value, |place, segment| place.get_mut(segment));
    if let (Some(Value::Object(fields)), Some(last)) = (parent, last) {
        fields.shift_remove(&last);
    }
    write(&value)
}

fn write(value: &Value) -> Result<Zeroizing<String>, String> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(Zeroizing::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_fields_stay_in_their_order() {
        let text = r#"{"z": 1, "shop": {"b": [1, 2], "a": null}}"#;
        let new = set(text, "/shop/mail/key", "SG.new").expect("an object");
        assert_eq!(
            get(&new, "/shop/mail/key").expect("a text").as_deref().map(String::as_str),
            Some("SG.new")
        );
        assert!(new.find("\"z\"") < new.find("\"shop\""));
        assert!(new.find("\"b\"") < new.find("\"a\""));
        let without = remove(&new, "/shop/mail/key").expect("an object");
        assert_eq!(get(&without, "/shop/mail/key"), Ok(None));
        assert_eq!(get(&without, "/shop/a"), Ok(None));
    }

    #[test]
    fn what_is_no_object_is_not_overwritten() {
        assert!(set(r#"{"shop": "text"}"#, "/shop/key", "SG.new").is_err());
        assert!(set("[1]", "/shop", "SG.new").is_err());
        assert!(set("{", "/shop", "SG.new").is_err());
        assert!(get(r#"{"shop": 5}"#, "/shop").is_err());
        assert!(segments("shop").is_err());
        assert!(segments("/").is_err());
    }

    #[test]
    fn an_empty_file_is_an_empty_object() {
        assert_eq!(
            &**set("", "/a~1b/c~0d", "SG.new").expect("an object"),
            "{\n  \"a/b\": {\n    \"c~d\": \"SG.new\"\n  }\n}\n"
        );
    }
}
