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

/// The number of an item that a name can be.
pub(crate) fn index(name: &str) -> Option<usize> {
    name.parse::<usize>().ok().filter(|number| number.to_string() == name)
}

/// Says that a list has no item of that name.
pub(crate) fn no_item(names: &[String], depth: usize, count: usize) -> FormatError {
    let place = place(names, depth);
    let many = match count {
        0 => "no item".to_string(),
        1 => "1 item, `0`".to_string(),
        count => format!("{count} items, `0` to `{}`", count - 1),
    };
    FormatError::new(format!("{place} is a list with {many}, and `{}` is none of them", names[depth]))
}

/// Refuses to make an object around what reads as the number of an item: a list was meant. The names from `depth` on are in
/// objects that would be made.
pub(crate) fn makes_no_list(names: &[String], depth: usize) -> Result<(), FormatError> {
    let Some(depth) = (depth..names.len()).find(|depth| index(&names[*depth]).is_some()) else {
        return Ok(());
    };
    let (place, name) = (place(names, depth), &names[depth]);
    Err(FormatError::new(format!(
        "{place} has to be a list for `{name}` to be one of its items, and is not there; put the list there by hand"
    )))
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
