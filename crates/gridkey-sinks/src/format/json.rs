//! JSON files, with comments or without, edited in place: the text around the value stays byte for byte.

use std::fmt;
use std::ops::Range;

use gridkey_core::KeyId;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::comments::Relaxed;
use super::{FormatError, Held, join, line_end, pointer, splice};

/// What the pointer leads to. Where it stands in the strict text is where it stands in the file.
enum Found {
    Value(Member),
    /// The innermost object there is, and how many of the names led to it.
    Missing {
        object: Range<usize>,
        depth: usize,
    },
    /// The document is empty.
    Blank,
}

/// A value, and where it stands.
struct Member {
    value: Range<usize>,
    among: Among,
}

enum Among {
    /// The members of an object.
    Members {
        object: Range<usize>,
        /// The end of the member before it.
        before: Option<usize>,
        last: bool,
    },
    /// The items of a list, which are known by their number.
    Items,
}

pub(crate) fn get(text: &str, pointer: &str) -> Result<Held, FormatError> {
    let names = pointer::parse(pointer)?;
    let text = &*Relaxed::new(text).strict;
    match find(text, &names)? {
        Found::Value(Member { value, among: _ }) => match text.as_bytes()[value.start] {
            b'"' => {
                let decoded = serde_json::from_str::<String>(&text[value]);
                // A string can be JSON and hold half of a surrogate pair.
                decoded
                    .map(|text| Held::Text(Zeroizing::new(text)))
                    .map_err(|_| FormatError::new(format!("`{pointer}` holds no Unicode text")))
            }
            b'n' => Ok(Held::Nothing),
            _ => Ok(Held::Other),
        },
        Found::Missing { .. } | Found::Blank => Ok(Held::Nothing),
    }
}

/// Which of the pointer's names are numbers of items, as far as the document goes.
pub(crate) fn numbers(text: &str, names: &[String]) -> Result<Vec<bool>, FormatError> {
    let root: serde_json::Value = serde_json::from_str(&Relaxed::new(text).strict)
        .map_err(|_| FormatError::new("it is not a JSON document"))?;
    let mut at = Some(&root);
    let numbers = names.iter().map(|name| {
        let (is_number, next) = match at {
            Some(serde_json::Value::Array(items)) => {
                (true, pointer::index(name).and_then(|number| items.get(number)))
            }
            Some(serde_json::Value::Object(members)) => (false, members.get(name)),
            Some(_) | None => (false, None),
        };
        at = next;
        is_number
    });
    Ok(numbers.collect())
}

/// The pointers to texts that are SendGrid keys.
pub(crate) fn holding_keys(text: &str) -> Result<Vec<String>, FormatError> {
    fn walk(value: &serde_json::Value, names: &mut Vec<String>, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) if KeyId::of_secret(text).is_some() => {
                found.push(super::pointer::to(names, names.len()));
            }
            serde_json::Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    names.push(index.to_string());
                    walk(item, names, found);
                    names.pop();
                }
            }
            serde_json::Value::Object(entries) => {
                for (name, value) in entries {
                    names.push(name.clone());
                    walk(value, names, found);
                    names.pop();
                }
            }
            _ => {}
        }
    }
    // The parser's own message could quote a value.
    let value = serde_json::from_str(&Relaxed::new(text).strict)
        .map_err(|_| FormatError::new("it is not a JSON document"))?;
    let (mut names, mut found) = (Vec::new(), Vec::new());
    walk(&value, &mut names, &mut found);
    Ok(found)
}

/// Changes the value, or adds it with the objects around it, in the style of the file.
pub(crate) fn set(text: &str, pointer: &str, value: &str) -> Result<Zeroizing<String>, FormatError> {
    let names = pointer::parse(pointer)?;
    let quoted = Zeroizing::new(quote(value));
    let relaxed = Relaxed::new(text);
    let strict = &*relaxed.strict;
    let after = match find(strict, &names)? {
        Found::Value(Member { value, among: _ }) => {
            if strict[value.clone()].starts_with(['{', '[']) {
                return Err(FormatError::new(format!(
                    "`{pointer}` holds an object or a list; take it out first"
                )));
            }
            splice(text, value, &quoted)
        }
        Found::Missing { object, depth } => {
            pointer::makes_no_list(&names, depth + 1)?;
            insert(&relaxed, object, &names[depth..], &quoted)
        }
        Found::Blank => {
            pointer::makes_no_list(&names, 0)?;
            let style = Style { step: "  ", end: line_end(text), colon: ": ", compact: false };
            let end = if text.trim().is_empty() || text.ends_with('\n') { "" } else { style.end };
            let comments = if text.trim().is_empty() { "" } else { text };
            join(&[comments, end, &style.objects(&names, &quoted, ""), style.end])
        }
    };
    match get(&after, pointer)? {
        Held::Text(held) if held.as_str() == value => {}
        Held::Text(_) | Held::Nothing | Held::Other => return Err(unsafe_edit(pointer)),
    }
    verified(strict, after, pointer, &names)
}

/// Takes the member out; the objects around it stay, and so do comments. An item of a list is emptied, as others would take its
/// number.
pub(crate) fn clear(text: &str, pointer: &str) -> Result<Zeroizing<String>, FormatError> {
    let names = pointer::parse(pointer)?;
    let relaxed = Relaxed::new(text);
    let strict = &*relaxed.strict;
    let Found::Value(Member { value, among }) = find(strict, &names)? else {
        return Ok(Zeroizing::new(text.to_string()));
    };
    let Among::Members { object, before, last } = among else { return Ok(splice(text, value, "null")) };
    let gone = match before {
        Some(before) => before..value.end,
        None if last => object.start + 1..object.end - 1,
        None => {
            let comma = strict[value.end..].find(',').map_or(value.end, |comma| value.end + comma + 1);
            object.start + 1..comma
        }
    };
    let after = match text == strict {
        true => splice(text, gone, ""),
        false => without_member(&relaxed, &object, before, value),
    };
    match get(&after, pointer)? {
        Held::Nothing => verified(strict, after, pointer, &names),
        Held::Text(_) | Held::Other => Err(unsafe_edit(pointer)),
    }
}

fn unsafe_edit(pointer: &str) -> FormatError {
    FormatError::new(format!(
        "`{pointer}` cannot be changed without changing something else; put it there by hand"
    ))
}

/// The edit, if it left everything but the one value as it was.
fn verified(
    before: &str,
    after: Zeroizing<String>,
    pointer: &str,
    names: &[String],
) -> Result<Zeroizing<String>, FormatError> {
    let before = if before.trim().is_empty() { "{}" } else { before.trim() };
    let same = others_are_the_same(before, Relaxed::new(&after).strict.trim(), names);
    if same { Ok(after) } else { Err(unsafe_edit(pointer)) }
}

/// Whether two values differ at one place alone, where objects may have been made on the way.
fn others_are_the_same(before: &str, after: &str, names: &[String]) -> bool {
    let Some((name, rest)) = names.split_first() else { return true };
    let items = |text| serde_json::from_str::<Vec<&RawValue>>(text);
    if let (Ok(before), Ok(after)) = (items(before), items(after)) {
        let item = |(index, (a, b)): (usize, (&&RawValue, &&RawValue))| match pointer::index(name) {
            Some(number) if number == index => others_are_the_same(a.get(), b.get(), rest),
            Some(_) | None => a.get() == b.get(),
        };
        return before.len() == after.len() && before.iter().zip(&after).enumerate().all(item);
    }
    let (Ok(Members(before)), Ok(Members(after))) =
        (serde_json::from_str(before), serde_json::from_str(after))
    else {
        return false;
    };
    let others = |members: &[(String, &RawValue)]| -> Vec<(String, String)> {
        let others = members.iter().filter(|(key, _)| key != name);
        others.map(|(key, value)| (key.clone(), value.get().to_string())).collect()
    };
    let inner = |members: &[(String, &RawValue)]| {
        members
            .iter()
            .find(|(key, _)| key == name)
            .map_or("{}".to_string(), |(_, value)| value.get().to_string())
    };
    others(&before) == others(&after)
        && (rest.is_empty() || others_are_the_same(&inner(&before), &inner(&after), rest))
}

/// The text without a member and one comma, the one behind it or else the one before; comments around them stay.
fn without_member(
    relaxed: &Relaxed<'_>,
    object: &Range<usize>,
    before: Option<usize>,
    value: Range<usize>,
) -> Zeroizing<String> {
    let Relaxed { text, bare, strict } = relaxed;
    let from = before.unwrap_or(object.start + 1);
    let key = from + strict[from..].find('"').unwrap_or_default();
    let rest = &bare[value.end..object.end];
    let blanks = rest.len() - rest.trim_start().len();
    let behind = rest[blanks..].starts_with(',').then_some(value.end + blanks);
    let ahead = || before.and_then(|before| Some(before + bare[before..key].find(',')?));
    let comma = behind.or_else(ahead).map(|comma| comma..comma + 1);
    // A comma right behind the member goes with it.
    let member = key..if behind == Some(value.end) { value.end + 1 } else { value.end };
    let mut gone: Vec<Range<usize>> =
        comma.into_iter().filter(|comma| !member.contains(&comma.start)).collect();
    gone.push(whole_line(text, member));
    gone.sort_by_key(|range| range.start);
    let mut after = Zeroizing::new(String::with_capacity(text.len()));
    let mut kept = 0;
    for range in gone {
        after.push_str(&text[kept..range.start]);
        kept = range.end;
    }
    after.push_str(&text[kept..]);
    after
}

/// The range, and its line with it where nothing else stands on that.
fn whole_line(text: &str, range: Range<usize>) -> Range<usize> {
    let start = text[..range.start].rfind('\n').map_or(0, |end| end + 1);
    let end = text[range.end..].find('\n').map(|end| range.end + end + 1);
    match end {
        Some(end) if text[start..range.start].trim().is_empty() && text[range.end..end].trim().is_empty() => {
            start..end
        }
        Some(_) | None => range,
    }
}

fn find(text: &str, names: &[String]) -> Result<Found, FormatError> {
    if text.trim().is_empty() {
        return Ok(Found::Blank);
    }
    let root: &RawValue =
        serde_json::from_str(text).map_err(|error| FormatError::new(format!("it is not JSON: {error}")))?;
    let mut at = root.get();
    for (depth, name) in names.iter().enumerate() {
        if at.starts_with('[') {
            at = item(at, names, depth)?;
            if depth + 1 == names.len() {
                return Ok(Found::Value(Member { value: range_in(text, at), among: Among::Items }));
            }
            continue;
        }
        let object = range_in(text, at);
        let Ok(Members(members)) = serde_json::from_str(at) else {
            let place = pointer::place(names, depth);
            return Err(FormatError::new(format!("{place} is no object, so `{name}` cannot be in it")));
        };
        let mut all = members.iter().enumerate().filter(|(_, (key, _))| key == name);
        let Some((index, (_, value))) = all.next() else {
            return Ok(Found::Missing { object, depth });
        };
        if all.next().is_some() {
            return Err(FormatError::new(format!("`{}` is there twice", pointer::to(names, depth + 1))));
        }
        at = value.get();
        if depth + 1 == names.len() {
            let before = index.checked_sub(1).map(|before| range_in(text, members[before].1.get()).end);
            let last = index + 1 == members.len();
            let among = Among::Members { object, before, last };
            return Ok(Found::Value(Member { value: range_in(text, at), among }));
        }
    }
    unreachable!("a pointer has at least one name")
}

/// The item of a list that a name is the number of. One that is not there is not added: what the others mean by theirs is
/// not known.
fn item<'t>(list: &'t str, names: &[String], depth: usize) -> Result<&'t str, FormatError> {
    let items: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
    let item = pointer::index(&names[depth]).and_then(|number| items.get(number));
    item.map(|item| item.get()).ok_or_else(|| pointer::no_item(names, depth, items.len()))
}

/// Where a part of the text stands in it.
fn range_in(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

/// How a file is laid out.
struct Style<'t> {
    /// What one level is indented by.
    step: &'t str,
    end: &'t str,
    colon: &'t str,
    /// Everything on one line.
    compact: bool,
}

impl Style<'_> {
    /// Objects inside each other, around the value.
    fn objects(&self, names: &[String], value: &str, indent: &str) -> Zeroizing<String> {
        let Some((name, rest)) = names.split_first() else { return join(&[value]) };
        if self.compact {
            return join(&["{", &quote(name), self.colon, &self.objects(rest, value, indent), "}"]);
        }
        let inner = format!("{indent}{}", self.step);
        let value = self.objects(rest, value, &inner);
        join(&["{", self.end, &inner, &quote(name), self.colon, &value, self.end, indent, "}"])
    }
}

/// Adds a member behind the others of an object.
fn insert(relaxed: &Relaxed<'_>, object: Range<usize>, names: &[String], value: &str) -> Zeroizing<String> {
    let Relaxed { text, bare, strict } = relaxed;
    let (name, rest) = names.split_first().expect("a name is missing where an object lacks it");
    let indent = leading_blanks(line_at(text, object.start));
    let inside = &strict[object.start + 1..object.end - 1];
    if inside.trim().is_empty() {
        return insert_first(relaxed, object, names, value, indent);
    }
    let first = object.start + 1 + inside.len() - inside.trim_start().len();
    let compact = !inside[..inside.len() - inside.trim_start().len()].contains('\n');
    let inner = if compact { "" } else { leading_blanks(line_at(text, first)) };
    let members = inside.trim_end();
    let spaced = members.contains("\": ");
    let style = Style {
        step: inner.strip_prefix(indent).filter(|step| !step.is_empty()).unwrap_or("  "),
        end: line_end(text),
        colon: if spaced { ": " } else { ":" },
        compact,
    };
    let member = join(&[&quote(name), style.colon, &style.objects(rest, value, inner)]);
    let at = object.start + 1 + members.len();
    if compact {
        let blank = if spaced || inside.starts_with(' ') { " " } else { "" };
        return splice(text, at..at, &join(&[",", blank, &member]));
    }
    // Behind the comments that belong to the member before.
    let behind = object.start + 1 + text[object.start + 1..object.end - 1].trim_end().len();
    let has_comma = bare[at..object.end].contains(',');
    let (comma, last) = if has_comma { ("", ",") } else { (",", "") };
    join(&[&text[..at], comma, &text[at..behind], style.end, inner, &member, last, &text[behind..]])
}

/// Adds a member to an object that has none, behind the comments in it.
fn insert_first(
    relaxed: &Relaxed<'_>,
    object: Range<usize>,
    names: &[String],
    value: &str,
    indent: &str,
) -> Zeroizing<String> {
    let Relaxed { text, bare: _, strict: _ } = relaxed;
    let at_root = text[..object.start].trim().is_empty();
    let step = text.lines().skip(1).map(leading_blanks).find(|step| !step.is_empty());
    let compact = !at_root && !text.trim().contains('\n');
    let colon = if compact && !text.contains("\": ") { ":" } else { ": " };
    let style = Style { step: step.unwrap_or("  "), end: line_end(text), colon, compact };
    let comments = text[object.start + 1..object.end - 1].trim_end();
    if comments.is_empty() {
        return splice(text, object, &style.objects(names, value, indent));
    }
    let objects = style.objects(names, value, indent);
    let (start, end) = (object.start + 1 + comments.len(), object.end);
    join(&[&text[..start], objects.strip_prefix('{').unwrap_or(&objects), &text[end..]])
}

/// The line that a position is in.
fn line_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    &text[start..]
}

fn leading_blanks(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The members of an object, in order, duplicates included.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            members.push(entry);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(before: &str, pointer: &str, after: &str) {
        let set = set(before, pointer, "new").unwrap_or_else(|error| panic!("{before}: {error}"));
        assert_eq!(set.as_str(), after);
        let again = super::set(&set, pointer, "new").expect("it was set");
        assert_eq!(again.as_str(), after);
    }

    #[test]
    fn a_value_changes_and_nothing_around_it() {
        check(r#"{ "b":1.10,"a" : "old", "c": [1e400] }"#, "/a", r#"{ "b":1.10,"a" : "new", "c": [1e400] }"#);
        check("{\"a\": {\"b\": null}}\r\n", "/a/b", "{\"a\": {\"b\": \"new\"}}\r\n");
    }

    #[test]
    fn missing_objects_are_made_in_the_style_of_the_file() {
        check("", "/a/b", "{\n  \"a\": {\n    \"b\": \"new\"\n  }\n}\n");
        check("{}", "/a", "{\n  \"a\": \"new\"\n}");
        check(r#"{"z":{}}"#, "/z/a", r#"{"z":{"a":"new"}}"#);
        check(r#"{"z":1}"#, "/a/b", r#"{"z":1,"a":{"b":"new"}}"#);
        check(r#"{"z": 1}"#, "/a", r#"{"z": 1, "a": "new"}"#);
        check("{\n\t\"z\": 1\n}\n", "/a/b", "{\n\t\"z\": 1,\n\t\"a\": {\n\t\t\"b\": \"new\"\n\t}\n}\n");
        check(
            "{\r\n    \"z\": {\r\n    }\r\n}",
            "/z/a",
            "{\r\n    \"z\": {\r\n        \"a\": \"new\"\r\n    }\r\n}",
        );
    }

    #[test]
    fn what_stands_in_the_way_is_refused_and_not_shown() {
        for (text, pointer, says) in [
            (r#"{"a": "SG.x"}"#, "/a/b", "`/a` is no object"),
            ("[1]", "/1", "the document is a list with 1 item, `0`, and `1` is none of them"),
            (r#"{"a": [1, 2]}"#, "/a/x", "`/a` is a list with 2 items, `0` to `1`, and `x` is none of them"),
            (r#"{"a": []}"#, "/a/-", "`/a` is a list with no item, and `-` is none of them"),
            (r#"{"a": [1, 2]}"#, "/a/01", "`01` is none of them"),
            (r#"{"a": null}"#, "/a/b", "`/a` is no object"),
            (r#"{"a": {"b": 1}}"#, "/a", "holds an object or a list"),
            (r#"{"a": 1, "a": 2}"#, "/a", "`/a` is there twice"),
            ("", "/a/0/key", "`/a` has to be a list for `0` to be one of its items"),
            (" ", "/0", "the document has to be a list for `0` to be one of its items"),
            ("{}", "/a/12", "`/a` has to be a list for `12` to be one of its items"),
            (r#"{"a": {}}"#, "/a/b/0/c", "`/a/b` has to be a list"),
            ("{'a': 1}", "/a", "it is not JSON"),
            (r#"{"a": "SG.x}"#, "/a", "it is not JSON: EOF while parsing a string at line 1"),
        ] {
            let error = set(text, pointer, "new").expect_err(text).to_string();
            assert!(error.contains(says) && !error.contains("SG."), "{text}: {error}");
        }
    }

    #[test]
    fn an_item_of_a_list_is_named_by_its_number() {
        let text = r#"{ "containers": [ { "env": [ { "name": "KEY", "value": "" } ] }, "x" ] }"#;
        let after = set(text, "/containers/0/env/0/value", "new").expect("it is there");
        assert_eq!(after.as_str(), text.replace(r#""value": """#, r#""value": "new""#));
        let after = set(text, "/containers/1", "new").expect("an item");
        assert_eq!(after.as_str(), text.replace(r#""x""#, r#""new""#));
        let cleared = clear(&after, "/containers/1").expect("an item");
        assert_eq!(cleared.as_str(), text.replace(r#""x""#, "null"), "others keep their numbers");
    }

    #[test]
    fn clearing_takes_the_member_out_and_leaves_the_others() {
        for (before, after) in [
            ("", ""),
            ("{}", "{}"),
            (r#"{"a": 1}"#, "{}"),
            (r#"{"a": 1, "b": 2}"#, r#"{ "b": 2}"#),
            ("{\n  \"z\": 1,\n  \"a\": 2,\n  \"b\": 3\n}\n", "{\n  \"z\": 1,\n  \"b\": 3\n}\n"),
        ] {
            assert_eq!(clear(before, "/a").expect(before).as_str(), after);
        }
    }

    /// As editors and .NET have them.
    const SETTINGS: &str = "\
// Settings, {\"no\": 1}
{
    \"Logging\": { \"Level\": \"Warning\" }, // quiet
    /* \"Off\": 1, */
    \"Mail\": {
        \"From\": \"a@b.c\", // ours
        \"Key\": \"old\", // rotated by gridkey
    },
    \"Hosts\": [\"*\", /* none */],
    \"Empty\": { // nothing yet
    }
}
// end
";

    #[test]
    fn comments_and_last_commas_stay_where_a_value_is_changed_added_or_taken_out() {
        check(SETTINGS, "/Mail/Key", &SETTINGS.replace("\"old\"", "\"new\""));
        check(SETTINGS, "/Hosts/0", &SETTINGS.replace("\"*\"", "\"new\""));
        let line = "// rotated by gridkey\n";
        check(SETTINGS, "/Mail/New", &SETTINGS.replace(line, &format!("{line}        \"New\": \"new\",\n")));
        check(
            SETTINGS,
            "/Empty/Key",
            &SETTINGS.replace("yet\n    }", "yet\n        \"Key\": \"new\"\n    }"),
        );
        check(SETTINGS, "/Top", &SETTINGS.replace("yet\n    }\n", "yet\n    },\n    \"Top\": \"new\"\n"));
        check("// a\n", "/k", "// a\n{\n  \"k\": \"new\"\n}\n");
        check("{ \"a\": 1 // one\n}", "/k", "{ \"a\": 1, \"k\": \"new\" // one\n}");
        check("{ \"a\": 1, }", "/k", "{ \"a\": 1, \"k\": \"new\", }");
        for (pointer, gone, with) in [
            ("/Mail/Key", "        \"Key\": \"old\", // rotated", "         // rotated"),
            ("/Mail/From", "        \"From\": \"a@b.c\", // ours", "         // ours"),
            ("/Logging", "    \"Logging\": { \"Level\": \"Warning\" }, // quiet", "     // quiet"),
        ] {
            let cleared = clear(SETTINGS, pointer).expect(pointer);
            assert_eq!(cleared.as_str(), SETTINGS.replace(gone, with), "{pointer}");
        }
        for (before, after) in [
            ("{\n  \"b\": 1, // b\n  \"a\": 2\n}", "{\n  \"b\": 1 // b\n}"),
            ("{ \"a\": 2 /* two */, \"b\": 1 }", "{  /* two */ \"b\": 1 }"),
            ("{\"a\": 2,}", "{}"),
            ("{\"b\": 1, \"a\": 2,}", "{\"b\": 1, }"),
        ] {
            assert_eq!(clear(before, "/a").expect(before).as_str(), after, "{before}");
        }
    }

    /// The last look at an edit, whatever was wrong with the edit itself.
    #[test]
    fn an_edit_that_touches_anything_else_is_seen() {
        let before = r#"{"a": 1, "b": {"key": "old", "other": [2]}, "c": 1.0}"#;
        let names = ["b".to_string(), "key".to_string()];
        for (after, same) in [
            (r#"{"a": 1, "b": {"key": "new", "other": [2]}, "c": 1.0}"#, true),
            (r#"{"a": 1, "b": {"other": [2]}, "c": 1.0}"#, true),
            (r#"{"a": 1, "b": {"key": "new", "other": [2]}, "c": 1}"#, false),
            (r#"{"a": 1, "b": {"key": "new", "other": [3]}, "c": 1.0}"#, false),
            (r#"{"A": 1, "b": {"key": "new", "other": [2]}, "c": 1.0}"#, false),
            (r#"{"a": 1, "b": {"key": "new", "other": [2]}}"#, false),
            (r#"{"a": 1, "b": "new", "c": 1.0}"#, false),
            ("[]", false),
        ] {
            assert_eq!(others_are_the_same(before, after, &names), same, "{after}");
        }
        let item = ["0".to_string()];
        assert!(others_are_the_same("[1, 2]", "[3, 2]", &item));
        assert!(!others_are_the_same("[1, 2]", "[1, 3]", &item));
        assert!(!others_are_the_same("[1, 2]", "[1]", &item));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[ -~ä]{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[ab\"{]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn other_values_stay_as_they_were(before in any_json(), pretty in any::<bool>(), deep in any::<bool>()) {
            let pointer = if deep { "/a/b" } else { "/a" };
            let text = if pretty { format!("{before:#}") } else { before.to_string() };
            let Ok(after) = set(&text, pointer, "SG.new") else { return Ok(()) };
            let mut wanted = before;
            let object = wanted.as_object_mut().expect("it could be set");
            if deep {
                object.entry("a").or_insert_with(|| Value::Object(Default::default()))["b"] = "SG.new".into();
            } else {
                object.insert("a".to_string(), "SG.new".into());
            }
            prop_assert_eq!(serde_json::from_str::<Value>(&after).expect("JSON"), wanted.clone());
            let cleared = clear(&after, pointer).expect("it was set");
            let parent = if deep { &mut wanted["a"] } else { &mut wanted };
            parent.as_object_mut().expect("an object").shift_remove(if deep { "b" } else { "a" });
            prop_assert_eq!(serde_json::from_str::<Value>(&cleared).expect("JSON"), wanted);
        }
    }
}
