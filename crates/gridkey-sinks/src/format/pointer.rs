//! JSON Pointer (RFC 6901), of which files need the part that goes through objects.

use super::FormatError;

/// The names to go through, outermost first; never none.
pub(crate) fn parse(pointer: &str) -> Result<Vec<String>, FormatError> {
    let invalid = |why: &str| {
        FormatError::new(format!(
            "`{pointer}` {why}; write it as a JSON Pointer, such as `/sendgrid/api_key`"
        ))
    };
    let names = pointer.strip_prefix('/').ok_or_else(|| invalid("names no value inside the document"))?;
    names
        .split('/')
        .map(|name| {
            let escapes = name.split('~').skip(1);
            if escapes.into_iter().all(|escape| escape.starts_with(['0', '1'])) {
                // In this order, so that `~01` becomes `~1`.
                Ok(name.replace("~1", "/").replace("~0", "~"))
            } else {
                Err(invalid("has a `~` that is neither `~0` nor `~1`"))
            }
        })
        .collect()
}

/// The pointer to the first `count` of the names, for messages.
pub(crate) fn to(names: &[String], count: usize) -> String {
    names[..count].iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
}

/// The place that the first `count` names lead to, for messages.
pub(crate) fn place(names: &[String], count: usize) -> String {
    match count {
        0 => "the document".to_string(),
        _ => format!("`{}`", to(names, count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_in_the_order_of_the_standard() {
        assert_eq!(parse("/a~1b/~01/").expect("a pointer"), ["a/b", "~1", ""]);
        assert_eq!(to(&parse("/a~1b/~01").expect("a pointer"), 2), "/a~1b/~01");
        for bad in ["", "a", "/a~2", "/~"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
