//! YAML files, edited in place: comments, order and spelling stay.
//!
//! An edit replaces or adds a few bytes of the text, and is then read again: unless exactly the one value
//! changed, it is refused. So what is not understood is never damaged.

mod tree;

use gridkey_core::KeyId;
use zeroize::Zeroizing;

use super::{FormatError, Held, is_plain, join, line_end, pointer, splice};
use tree::{Node, Style, Value};

/// What the pointer leads to.
enum Found<'n> {
    /// A value, its key, and the mapping that has both.
    Value { map: &'n Node, key: &'n Node, value: &'n Node },
    /// An item of a list.
    Item(&'n Node),
    /// The innermost mapping there is, and how many of the names led to it.
    Missing { map: &'n Node, depth: usize },
    /// A key without a value, and how many of the names led to it.
    Bare { key: &'n Node, depth: usize },
    /// The document is empty.
    Blank,
}

pub(crate) fn get(text: &str, pointer: &str) -> Result<Held, FormatError> {
    let names = pointer::parse(pointer)?;
    let root = tree::parse(text)?;
    let value = match find(root.as_ref(), &names, Purpose::Read)? {
        Found::Value { map: _, key: _, value } | Found::Item(value) => value,
        Found::Missing { .. } | Found::Bare { .. } | Found::Blank => return Ok(Held::Nothing),
    };
    Ok(match &value.value {
        _ if value.is_null() => Held::Nothing,
        Value::Scalar { text, style: _ } if !value.tagged => Held::Text(text.clone()),
        Value::Scalar { .. } | Value::Map { .. } | Value::List(_) | Value::Alias(_) => Held::Other,
    })
}

/// Which of the pointer's names are numbers of items, as far as the document goes.
pub(crate) fn numbers(text: &str, names: &[String]) -> Result<Vec<bool>, FormatError> {
    let root = tree::parse(text)?;
    let mut at = root.as_ref();
    let numbers = names.iter().map(|name| {
        let (is_number, next) = match at.map(|node| &node.value) {
            Some(Value::List(items)) => (true, pointer::index(name).and_then(|number| items.get(number))),
            Some(Value::Map { block: _, entries }) => {
                (false, entries.iter().find(|(key, _)| key.is(name)).map(|(_, value)| value))
            }
            Some(Value::Scalar { .. } | Value::Alias(_)) | None => (false, None),
        };
        at = next;
        is_number
    });
    Ok(numbers.collect())
}

/// The pointers to texts that are SendGrid keys.
pub(crate) fn holding_keys(text: &str) -> Result<Vec<String>, FormatError> {
    fn walk(node: &Node, names: &mut Vec<String>, found: &mut Vec<String>) {
        match &node.value {
            Value::Scalar { text, .. } if KeyId::of_secret(text).is_some() => {
                found.push(super::pointer::to(names, names.len()));
            }
            Value::Scalar { .. } | Value::Alias(_) => {}
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    names.push(index.to_string());
                    walk(item, names, found);
                    names.pop();
                }
            }
            Value::Map { entries, .. } => {
                for (name, value) in entries {
                    let Value::Scalar { text, .. } = &name.value else { continue };
                    names.push(text.to_string());
                    walk(value, names, found);
                    names.pop();
                }
            }
        }
    }
    let (mut names, mut found) = (Vec::new(), Vec::new());
    if let Some(root) = tree::parse(text)? {
        walk(&root, &mut names, &mut found);
    }
    Ok(found)
}

/// Changes the value within the quotes it has, or adds it with the mappings around it in block style.
pub(crate) fn set(text: &str, pointer: &str, value: &str) -> Result<Zeroizing<String>, FormatError> {
    let names = pointer::parse(pointer)?;
    let root = tree::parse(text)?;
    let end = line_end(text);
    let step = root.as_ref().map_or(2, |root| step_of(text, root));
    let after = match find(root.as_ref(), &names, Purpose::Edit)? {
        Found::Value { map: _, key, value: old } => set_scalar(text, pointer, Some(key), old, value)?,
        Found::Item(old) => set_scalar(text, pointer, None, old, value)?,
        Found::Missing { map, depth } => {
            pointer::makes_no_list(&names, depth + 1)?;
            match &map.value {
                Value::Map { block: true, entries } => {
                    let indent = indent_of_keys(text, entries).ok_or_else(|| unsafe_edit(pointer))?;
                    add_lines(text, map.end(), &lines(&names[depth..], value, indent, step, end))
                }
                Value::Map { block: false, entries: _ } => {
                    add_in_braces(text, map, &names[depth..], value).ok_or_else(|| unsafe_edit(pointer))?
                }
                Value::Scalar { .. } | Value::List(_) | Value::Alias(_) => return Err(unsafe_edit(pointer)),
            }
        }
        Found::Bare { key, depth } => {
            pointer::makes_no_list(&names, depth)?;
            let indent = indent_of(text, key.span.start).ok_or_else(|| unsafe_edit(pointer))?;
            add_lines(text, key.end(), &lines(&names[depth..], value, indent + step, step, end))
        }
        Found::Blank => {
            pointer::makes_no_list(&names, 0)?;
            add_lines(text, text.len(), &lines(&names, value, 0, step, end))
        }
    };
    let ends_open = !text.ends_with('\n') && root.as_ref().is_some_and(Node::ends_in_block);
    if ends_open && after.starts_with(text) {
        // Readers differ in what a line behind it adds to the text.
        let message =
            "it ends in a block of text (`|` or `>`) whose last line has no end; end that line first";
        return Err(FormatError::new(message));
    }
    match get(&after, pointer) {
        Ok(Held::Text(held)) if held.as_str() == value => {}
        Ok(_) | Err(_) => return Err(unsafe_edit(pointer)),
    }
    verified(root.as_ref(), after, pointer, &names)
}

/// Takes the line of the key away. Where that would change what is around it, the value becomes `""`, and so does an item of a
/// list, as others would take its number.
pub(crate) fn clear(text: &str, pointer: &str) -> Result<Zeroizing<String>, FormatError> {
    let names = pointer::parse(pointer)?;
    let root = tree::parse(text)?;
    let after = match find(root.as_ref(), &names, Purpose::Edit)? {
        Found::Value { map, key, value } => without_line(text, pointer, map, key, value)?,
        Found::Item(value) => set_scalar(text, pointer, None, value, "")?,
        Found::Missing { .. } | Found::Bare { .. } | Found::Blank => {
            return Ok(Zeroizing::new(text.to_string()));
        }
    };
    match get(&after, pointer)? {
        Held::Nothing => {}
        Held::Text(held) if held.is_empty() => {}
        Held::Text(_) | Held::Other => return Err(unsafe_edit(pointer)),
    }
    verified(root.as_ref(), after, pointer, &names)
}

/// The text without the line of a key, or with nothing as its value.
fn without_line(
    text: &str,
    pointer: &str,
    map: &Node,
    key: &Node,
    value: &Node,
) -> Result<Zeroizing<String>, FormatError> {
    let several = match &map.value {
        // Without the line, what is merged would count.
        Value::Map { block, entries } => {
            *block && entries.len() > 1 && !entries.iter().any(|(key, _)| key.is("<<"))
        }
        Value::Scalar { .. } | Value::List(_) | Value::Alias(_) => false,
    };
    let in_line = matches!(&value.value, Value::Scalar { text: _, style } if *style != Style::Block);
    match indent_of(text, key.span.start) {
        Some(indent) if several && in_line => {
            let lines = key.span.start - indent..next_line(text, key.end().max(value.end()));
            Ok(splice(text, lines, ""))
        }
        Some(_) | None => set_scalar(text, pointer, Some(key), value, ""),
    }
}

/// What a value is looked for for: what is read may be shared, what is edited may not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    Edit,
}

fn find<'n>(root: Option<&'n Node>, names: &[String], purpose: Purpose) -> Result<Found<'n>, FormatError> {
    let Some(mut at) = root else { return Ok(Found::Blank) };
    let mut above: Option<(&Node, &Node)> = None;
    for (depth, name) in names.iter().enumerate() {
        check_owned(at, names, depth, purpose)?;
        if let (true, Some((_, key))) = (at.is_left_out(), above) {
            return Ok(Found::Bare { key, depth });
        }
        if let Value::List(items) = &at.value {
            let item = pointer::index(name).and_then(|number| items.get(number));
            at = item.ok_or_else(|| pointer::no_item(names, depth, items.len()))?;
            above = None;
            continue;
        }
        let Value::Map { block: _, entries } = &at.value else {
            let place = pointer::place(names, depth);
            return Err(FormatError::new(format!("{place} is not a mapping, so `{name}` cannot be in it")));
        };
        let mut all = entries.iter().filter(|(key, _)| key.is(name));
        let Some((key, value)) = all.next() else {
            if entries.iter().any(|(key, _)| key.is("<<")) {
                let place = pointer::place(names, depth);
                let message = format!("{place} merges another mapping (`<<`), which may hold `{name}`");
                return Err(FormatError::new(format!("{message}; write `{name}` out there")));
            }
            return Ok(Found::Missing { map: at, depth });
        };
        if all.next().is_some() {
            return Err(FormatError::new(format!("{} is there twice", pointer::place(names, depth + 1))));
        }
        above = Some((at, key));
        at = value;
    }
    check_owned(at, names, names.len(), purpose)?;
    Ok(match above {
        Some((map, key)) => Found::Value { map, key, value: at },
        None => Found::Item(at),
    })
}

/// Refuses what is written elsewhere, and to edit what is repeated elsewhere or has a meaning of its own.
fn check_owned(node: &Node, names: &[String], depth: usize, purpose: Purpose) -> Result<(), FormatError> {
    let what = match &node.value {
        Value::Alias(_) => "is an alias (`*`)",
        _ if purpose == Purpose::Read => return Ok(()),
        _ if node.anchored => "has an anchor (`&`)",
        _ if node.tagged => "has a tag (`!`)",
        Value::Scalar { .. } | Value::Map { .. } | Value::List(_) => return Ok(()),
    };
    let place = pointer::place(names, depth);
    Err(FormatError::new(format!("{place} {what}, which gridkey does not edit; write it out")))
}

fn set_scalar(
    text: &str,
    pointer: &str,
    key: Option<&Node>,
    old: &Node,
    new: &str,
) -> Result<Zeroizing<String>, FormatError> {
    let Value::Scalar { text: _, style } = &old.value else {
        let message = format!("`{pointer}` holds a mapping or a list; take it out first");
        return Err(FormatError::new(message));
    };
    if old.is_left_out() {
        let key = key.ok_or_else(|| unsafe_edit(pointer))?;
        let rest = text[key.span.end..].trim_start_matches([' ', '\t']);
        let colon = text.len() - rest.len();
        let at = if rest.starts_with(':') { colon + 1 } else { return Err(unsafe_edit(pointer)) };
        return Ok(splice(text, at..at, &join(&[" ", &quote(new)])));
    }
    // With a dot, no word or number of YAML looks like it.
    let plain = is_plain(new) && new.contains('.');
    let written = match style {
        Style::Plain if plain => Zeroizing::new(new.to_string()),
        Style::Single if plain => join(&["'", new, "'"]),
        Style::Plain | Style::Single | Style::Double => quote(new),
        Style::Block => {
            let message = format!("`{pointer}` is a block of text (`|` or `>`); write it on one line");
            return Err(FormatError::new(message));
        }
    };
    Ok(splice(text, old.span.clone(), &written))
}

/// The edit, if it left everything but the one value as it was.
fn verified(
    before: Option<&Node>,
    after: Zeroizing<String>,
    pointer: &str,
    names: &[String],
) -> Result<Zeroizing<String>, FormatError> {
    let root = tree::parse(&after).map_err(|_| unsafe_edit(pointer))?;
    if others_are_the_same(before, root.as_ref(), names) { Ok(after) } else { Err(unsafe_edit(pointer)) }
}

/// Whether two documents differ at one place alone, where mappings may have been made on the way.
fn others_are_the_same(before: Option<&Node>, after: Option<&Node>, names: &[String]) -> bool {
    let Some((name, rest)) = names.split_first() else { return true };
    if let (Some(Value::List(before)), Some(Value::List(after))) =
        (before.map(|node| &node.value), after.map(|node| &node.value))
    {
        let item = |(index, (a, b)): (usize, (&Node, &Node))| match pointer::index(name) == Some(index) {
            true => others_are_the_same(Some(a), Some(b), rest),
            false => a.says_the_same(b),
        };
        return before.len() == after.len() && before.iter().zip(after).enumerate().all(item);
    }
    let (Some(before), Some(after)) = (entries_of(before), entries_of(after)) else { return false };
    let others = |entries: &'_ [(Node, Node)]| entries.iter().filter(|(key, _)| !key.is(name)).count();
    let same = before
        .iter()
        .filter(|(key, _)| !key.is(name))
        .zip(after.iter().filter(|(key, _)| !key.is(name)))
        .all(|((key, value), (other_key, other))| key.says_the_same(other_key) && value.says_the_same(other));
    let inner = |entries: &'_ [(Node, Node)]| entries.iter().position(|(key, _)| key.is(name));
    let (old, new) = (inner(before).map(|at| &before[at].1), inner(after).map(|at| &after[at].1));
    same && others(before) == others(after) && others_are_the_same(old, new, rest)
}

/// The entries of a mapping; nothing at all is a mapping without entries.
fn entries_of(node: Option<&Node>) -> Option<&[(Node, Node)]> {
    match node.map(|node| &node.value) {
        Some(Value::Map { block: _, entries }) => Some(entries),
        None => Some(&[]),
        Some(Value::Scalar { .. }) if node.is_some_and(Node::is_null) => Some(&[]),
        Some(Value::Scalar { .. } | Value::List(_) | Value::Alias(_)) => None,
    }
}

/// Adds an entry behind the others of a mapping in braces.
fn add_in_braces(text: &str, map: &Node, names: &[String], value: &str) -> Option<Zeroizing<String>> {
    let inside = text[map.span.clone()].strip_prefix('{')?.strip_suffix('}')?;
    let entries = inside.trim_end();
    let at = map.span.start + 1 + entries.len();
    let between = match entries {
        "" => "",
        _ if entries.ends_with(',') => " ",
        _ => ", ",
    };
    Some(splice(text, at..at, &join(&[between, &braces(names, value)])))
}

/// Mappings inside each other around the value, on one line.
fn braces(names: &[String], value: &str) -> Zeroizing<String> {
    let Some((name, rest)) = names.split_first() else { return quote(value) };
    let key = key_of(name);
    match rest {
        [] => join(&[&key, ": ", &quote(value)]),
        rest => join(&[&key, ": { ", &braces(rest, value), " }"]),
    }
}

/// Mappings inside each other around the value, a line for each.
fn lines(names: &[String], value: &str, indent: usize, step: usize, end: &str) -> Zeroizing<String> {
    let Some((name, rest)) = names.split_first() else { return Zeroizing::default() };
    let key = key_of(name);
    let blanks = " ".repeat(indent);
    match rest {
        [] => join(&[&blanks, &key, ": ", &quote(value), end]),
        rest => join(&[&blanks, &key, ":", end, &lines(rest, value, indent + step, step, end)]),
    }
}

/// Adds whole lines after what ends at `from`: a block of text ends where the next line's text begins.
fn add_lines(text: &str, from: usize, lines: &str) -> Zeroizing<String> {
    let at = indent_of(text, from).map_or_else(|| next_line(text, from), |indent| from - indent);
    let end = line_end(text);
    // A text whose last line has no end keeps it so.
    match at == 0 || text[..at].ends_with('\n') {
        true => splice(text, at..at, lines),
        false => splice(text, at..at, &join(&[end, lines.strip_suffix(end).unwrap_or(lines)])),
    }
}

/// How far a key is indented; `None` where something else stands before it on its line.
fn indent_of(text: &str, key: usize) -> Option<usize> {
    let line = text[..key].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[line..key];
    before.bytes().all(|byte| byte == b' ').then_some(before.len())
}

/// How far the keys of a mapping are indented; the first may stand behind the `-` of an item.
fn indent_of_keys(text: &str, entries: &[(Node, Node)]) -> Option<usize> {
    let first = entries.first()?.0.span.start;
    let line = text[..first].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[line..first];
    before.bytes().all(|byte| byte == b' ' || byte == b'-').then_some(before.len())
}

/// By how much the file indents what is inside.
fn step_of(text: &str, root: &Node) -> usize {
    let Value::Map { block: true, entries } = &root.value else { return 2 };
    let inner = entries.iter().find_map(|(_, value)| match &value.value {
        Value::Map { block: true, entries } => indent_of(text, entries.first()?.0.span.start),
        Value::Map { .. } | Value::Scalar { .. } | Value::List(_) | Value::Alias(_) => None,
    });
    inner.filter(|step| *step > 0).unwrap_or(2)
}

fn next_line(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at + 1)
}

/// Whether a key needs no quotes in any version of YAML.
fn is_word(name: &str) -> bool {
    /// Words that some versions take for something else than text.
    const OTHERS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    plain && !OTHERS.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// A key as it is written.
fn key_of(name: &str) -> Zeroizing<String> {
    if is_word(name) { Zeroizing::new(name.to_string()) } else { quote(name) }
}

/// Double quotes mean the same in YAML and JSON.
fn quote(text: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::Value::from(text).to_string())
}

fn unsafe_edit(pointer: &str) -> FormatError {
    FormatError::new(format!(
        "`{pointer}` cannot be changed without changing something else; put a line for it there by hand"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: &str = "\
# ours
sendgrid:   # mail
    from: 'a@b.c'
    api_key: \"old\"   # rotated by gridkey
    list: [1, 2]

other: &x
  - 1   # one
  - |
    text
last: *x
";

    #[track_caller]
    fn check_set(before: &str, pointer: &str, after: &str) {
        let set = set(before, pointer, "SG.new").unwrap_or_else(|error| panic!("{before}: {error}"));
        assert_eq!(set.as_str(), after);
        let again = super::set(&set, pointer, "SG.new").expect("it was set");
        assert_eq!(again.as_str(), after);
    }

    /// The last look at an edit, whatever was wrong with the edit itself.
    #[test]
    fn an_edit_that_touches_anything_else_is_seen() {
        let before = "a: 1\nb: { key: old, other: 2 }\nc: 3\n";
        let names = ["b".to_string(), "key".to_string()];
        for (after, same) in [
            ("a: 1\nb: { key: new, other: 2 }\nc: 3\n", true),
            ("a: 1\nb: { other: 2, key: new }\nc: 3\n", true),
            ("a: 9\nb: { key: new, other: 2 }\nc: 3\n", false),
            ("A: 1\nb: { key: new, other: 2 }\nc: 3\n", false),
            ("a: 1\nb: { key: new, other: 2 }\n", false),
            ("a: 1\nb: { key: new, other: 2 }\nc: 3\nd: 4\n", false),
            ("a: 1\nb: { key: new, other: 9 }\nc: 3\n", false),
            ("a: 1\nb: { key: new }\nc: 3\n", false),
            ("a: 1\nb: new\nc: 3\n", false),
            ("a: 1\nb: [new]\nc: 3\n", false),
            ("", false),
        ] {
            let (old, new) = (tree::parse(before).expect("YAML"), tree::parse(after).expect("YAML"));
            assert_eq!(others_are_the_same(old.as_ref(), new.as_ref(), &names), same, "{after}");
        }
        let (old, new) =
            (tree::parse("b: ~\n").expect("YAML"), tree::parse("b: { key: new }\n").expect("YAML"));
        assert!(others_are_the_same(old.as_ref(), new.as_ref(), &names), "nothing becomes a mapping");
        assert!(others_are_the_same(None, new.as_ref(), &names), "as does an empty file");
    }

    #[test]
    fn a_value_changes_and_nothing_around_it() {
        check_set(VALUES, "/sendgrid/api_key", &VALUES.replace("\"old\"", "\"SG.new\""));
        for (before, after) in [
            ("a: old # c\r\nb: 1\r\n", "a: SG.new # c\r\nb: 1\r\n"),
            ("a: 'it''s'", "a: 'SG.new'"),
            ("a: ~\n", "a: SG.new\n"),
            ("a:\nb: 1\n", "a: \"SG.new\"\nb: 1\n"),
            ("a:   # none yet\n", "a: \"SG.new\"   # none yet\n"),
            ("{b: 1, a: old}\n", "{b: 1, a: SG.new}\n"),
            ("{\"b\": 1, \"a\": \"ä\"}\n", "{\"b\": 1, \"a\": \"SG.new\"}\n"),
            ("\u{feff}ü: ü\na: 12\n", "\u{feff}ü: ü\na: SG.new\n"),
            ("a: two\n  lines\nb: 1\n", "a: SG.new\nb: 1\n"),
        ] {
            check_set(before, "/a", after);
        }
    }

    #[test]
    fn missing_keys_are_added_in_block_style() {
        check_set(
            VALUES,
            "/sendgrid/eu/key",
            &VALUES.replace("[1, 2]\n", "[1, 2]\n    eu:\n        key: \"SG.new\"\n"),
        );
        check_set(VALUES, "/new", &format!("{VALUES}new: \"SG.new\"\n"));
        for (before, after) in [
            ("", "a:\n  b: \"SG.new\"\n"),
            ("# only a comment", "# only a comment\na:\n  b: \"SG.new\""),
            ("---\n", "---\na:\n  b: \"SG.new\"\n"),
            ("z: 1", "z: 1\na:\n  b: \"SG.new\""),
            ("z: 1\r\n", "z: 1\r\na:\r\n  b: \"SG.new\"\r\n"),
            ("a:\nz: 1\n", "a:\n  b: \"SG.new\"\nz: 1\n"),
            ("a: # c\n", "a: # c\n  b: \"SG.new\"\n"),
            (
                "a:\n   c: |\n     text\n   # end\nz: 1\n",
                "a:\n   c: |\n     text\n   b: \"SG.new\"\n   # end\nz: 1\n",
            ),
            ("a:\n  c:\n  - 1\n", "a:\n  c:\n  - 1\n  b: \"SG.new\"\n"),
            ("a:\n  c:\n", "a:\n  c:\n  b: \"SG.new\"\n"),
            ("a:\n  c: 1\n\n# z\nz: 1\n", "a:\n  c: 1\n  b: \"SG.new\"\n\n# z\nz: 1\n"),
        ] {
            check_set(before, "/a/b", after);
        }
        for (before, after) in [
            ("env: {}   # extra\na: {}\n", "env: {}   # extra\na: {b: \"SG.new\"}\n"),
            ("a: { }\n", "a: {b: \"SG.new\" }\n"),
            ("a: {c: 1}\n", "a: {c: 1, b: \"SG.new\"}\n"),
            ("a: { c: 1, }\n", "a: { c: 1, b: \"SG.new\" }\n"),
        ] {
            check_set(before, "/a/b", after);
        }
        check_set("{}\n", "/a/no", "{a: { \"no\": \"SG.new\" }}\n");
        let deep = "r:\n  a:\n    c: |\n      text\n  z: 1\n";
        check_set(deep, "/r/a/b", &deep.replace("text\n", "text\n    b: \"SG.new\"\n"));
        check_set("z: 1\n", "/no/a~1b", "z: 1\n\"no\":\n  \"a/b\": \"SG.new\"\n");
    }

    #[test]
    fn what_cannot_be_edited_safely_is_refused_and_not_shown() {
        for (text, says) in [
            ("a: SG.x", "`/a` is not a mapping"),
            ("- a\n", "the document is a list with 1 item, `0`, and `a` is none of them"),
            ("a: {c: 1, # note\n}\n", "`/a/b` cannot be changed without"),
            ("a: &x\n  b: 1\nc: *x\n", "`/a` has an anchor"),
            ("a: {b: &x SG.x}\nc: *x\n", "`/a/b` has an anchor"),
            ("c: &x {b: 1}\na: *x\n", "`/a` is an alias"),
            ("c: &x {b: 1}\na:\n  <<: *x\n", "`/a` merges another mapping"),
            ("a:\n  b: !secret SG.x\n", "`/a/b` has a tag"),
            ("a:\n  b: |\n    SG.x\n", "`/a/b` is a block of text"),
            ("c:\n- |\n  text", "it ends in a block of text"),
            ("a:\n  b: [1]\n", "`/a/b` holds a mapping or a list"),
            ("a:\n  b: 1\n  b: 2\n", "`/a/b` is there twice"),
            ("a: 1\n---\na: 1\n", "several YAML documents"),
            ("a: [SG.x\n", "it is not YAML from line"),
            ("a: \"SG.x\n", "it is not YAML from line"),
        ] {
            let error = set(text, "/a/b", "SG.new").expect_err(text).to_string();
            assert!(error.contains(says) && !error.contains("SG."), "{text}: {error}");
        }
        assert!(matches!(get("a:\n  b: &x SG.x\nc: *x\n", "/a/b"), Ok(Held::Text(text)) if *text == "SG.x"));
    }

    #[test]
    fn an_item_of_a_list_is_named_by_its_number() {
        let text = "env:\n  - name: KEY   # ours\n    value: old\n  - name: OTHER\nhosts: [a, 'b']\nlist:\n- x\n- |\n  y\n-\n";
        for (pointer, from, to) in [
            ("/env/0/value", "value: old", "value: SG.new"),
            ("/env/1/value", "OTHER\n", "OTHER\n    value: \"SG.new\"\n"),
            ("/hosts/1", "'b'", "'SG.new'"),
            ("/list/0", "- x", "- SG.new"),
        ] {
            let after = text.replace(from, to);
            check_set(text, pointer, &after);
            let cleared = clear(&after, pointer).expect(pointer);
            assert!(!cleared.contains("SG.new") && cleared.contains("- name: OTHER"), "{cleared:?}");
            let held = get(&cleared, pointer).expect(pointer);
            assert!(held.content() == gridkey_core::inventory::SinkContent::Empty, "{cleared:?}");
        }
        assert_eq!(clear(text, "/list/0").expect("an item").as_str(), text.replace("- x", "- \"\""));
        for (pointer, says) in [
            ("/hosts/2", "`/hosts` is a list with 2 items, `0` to `1`, and `2` is none of them"),
            ("/env/-/value", "`/env` is a list with 2 items"),
            ("/env/00/value", "`00` is none of them"),
            ("/list/1", "`/list/1` is a block of text"),
            ("/list/2", "`/list/2` cannot be changed without"),
            ("/env/0", "`/env/0` holds a mapping or a list"),
            ("/new/0/key", "`/new` has to be a list for `0` to be one of its items"),
        ] {
            let error = set(text, pointer, "SG.new").expect_err(pointer).to_string();
            assert!(error.contains(says), "{pointer}: {error}");
        }
        for (text, pointer) in [("", "/a/0"), ("", "/0"), ("a:\n", "/a/0/key"), ("# c\n", "/a/b/1")] {
            let error = set(text, pointer, "SG.new").expect_err(pointer).to_string();
            assert!(error.contains("has to be a list"), "{pointer}: {error}");
        }
        check_set("a: {}\n", "/a/0", "a: {\"0\": \"SG.new\"}\n");
    }

    #[test]
    fn clearing_takes_the_line_away_or_the_value_where_the_line_must_stay() {
        for (before, after) in [
            ("", ""),
            ("b: 1\n", "b: 1\n"),
            ("# c\na: 'SG.x' # gone\n# d\nb: 1\n", "# c\n# d\nb: 1\n"),
            ("b: 1\na: SG.x", "b: 1\n"),
            ("a: SG.x # stays\n", "a: \"\" # stays\n"),
            ("{b: 1, a: SG.x}\n", "{b: 1, a: \"\"}\n"),
        ] {
            let cleared = clear(before, "/a").unwrap_or_else(|error| panic!("{before}: {error}"));
            assert_eq!(cleared.as_str(), after);
            assert!(!matches!(get(&cleared, "/a"), Ok(Held::Text(text)) if !text.is_empty()));
        }
    }

    /// Lines such as values files have, in orders that mean nothing.
    fn line() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            Just(""),
            Just("1"),
            Just("'q'"),
            Just("\"d\" # c"),
            Just("|"),
            Just("{}"),
            Just("{b: 1}"),
            Just("[1]"),
            Just("&x 1"),
            Just("*x"),
            Just("!t 1"),
            Just("ä ö"),
            Just("# c")
        ];
        prop_oneof![
            8 => ("( {0,4})", "[abz]", value).prop_map(|(indent, key, value)| format!("{indent}{key}: {value}")),
            1 => " {0,4}(- 1|text|# c|<<: \\*x|\\? b|---|\\.\\.\\.)?",
        ]
    }

    proptest! {
        #[test]
        fn an_edit_adds_to_the_text_or_replaces_one_value_and_takes_nothing_else(
            lines in proptest::collection::vec((line(), prop_oneof![4 => Just("\n"), 1 => Just("\r\n")]), 0..7),
        ) {
            let text: String = lines.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
            for pointer in ["/a", "/a/b"] {
                let Ok(after) = set(&text, pointer, "SG.new") else { continue };
                prop_assert!(matches!(get(&after, pointer), Ok(Held::Text(held)) if *held == "SG.new"));
                let again = set(&after, pointer, "SG.new").expect("it was set");
                prop_assert_eq!(&again, &after);
                let comments = |text: &str| text.matches('#').count();
                prop_assert_eq!(comments(&text), comments(&after));
                let cleared = clear(&after, pointer).expect("it was set");
                prop_assert!(!cleared.contains("SG.new"));
            }
        }
    }
}
