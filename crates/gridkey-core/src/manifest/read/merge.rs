//! Merges the files of a folder into one tree; what is said twice shows both places.

use std::collections::BTreeMap;

use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Entry, Node, Site, Value};

/// The version of the format that this code reads.
const VERSION: i64 = 1;

/// Checks that a file is a mapping of this format's version.
pub(crate) fn check_version(root: &Node, problems: &mut Problems) {
    let Value::Map(entries) = &root.value else {
        problems
            .error(
                "wrong_type",
                root.site,
                format!("a manifest must be a mapping, and this is {}", root.kind()),
            )
            .help("it starts with `version: 1`");
        return;
    };
    match entries.iter().find(|entry| entry.key.value == "version") {
        None => {
            let top = Site { end: root.site.start, ..root.site };
            problems
                .error("missing_version", top, "the file does not say `version`")
                .help("start it with `version: 1`");
        }
        Some(Entry { key: _, node }) => match &node.value {
            Value::Integer(VERSION) => {}
            Value::Integer(newer) if *newer > VERSION => {
                problems
                    .error(
                        "newer_version",
                        node.site,
                        format!("the file is of version {newer}, and this gridkey reads version {VERSION}"),
                    )
                    .help("use a newer gridkey");
            }
            _ => {
                problems
                    .error("invalid_version", node.site, format!("`version` must be {VERSION}"))
                    .help("write `version: 1`");
            }
        },
    }
}

/// One tree of all files.
pub(crate) fn merge(files: Vec<Node>, problems: &mut Problems) -> Option<Node> {
    let mut files = files.into_iter().filter(|file| matches!(file.value, Value::Map(_)));
    let mut merged = files.next()?;
    for file in files {
        let (Value::Map(into), Value::Map(entries)) = (&mut merged.value, file.value) else { continue };
        for entry in entries {
            section(into, entry, problems);
        }
    }
    Some(merged)
}

/// What a top-level field must be, in the words of messages; `None` for `version` and for unknown fields.
fn expected(field: &str) -> Option<&'static str> {
    match field {
        "accounts" | "sinks" | "scope_sets" | "environments" | "keys" | "defaults" | "policy" | "state" => {
            Some("a mapping")
        }
        "moved" | "import" | "removed" => Some("a list"),
        "project" => Some("text"),
        _ => None,
    }
}

fn section(into: &mut Vec<Entry>, entry: Entry, problems: &mut Problems) {
    let Some(known) = into.iter_mut().find(|known| known.key.value == entry.key.value) else {
        into.push(entry);
        return;
    };
    let expected = expected(&entry.key);
    if !fits(expected, &entry, problems) {
        return;
    }
    if !fits(expected, known, problems) {
        *known = entry;
        return;
    }
    let Entry { key, node } = entry;
    match key.value.as_str() {
        "version" => {}
        "accounts" | "sinks" | "scope_sets" | "environments" | "keys" => named(known, node, problems),
        "moved" | "import" | "removed" => lists(known, node),
        "defaults" | "policy" => fields(known, key, node, problems),
        _ => same(&known.key, &known.node, &key, &node, &key.value, problems),
    }
}

/// Whether a value is of the kind that its field must be. What is said in two files is judged before it is merged:
/// a value of another kind has nothing that could be joined, and must not vanish.
fn fits(expected: Option<&str>, entry: &Entry, problems: &mut Problems) -> bool {
    let Some(expected) = expected.filter(|expected| entry.node.kind() != *expected) else { return true };
    let site = if entry.node.site.start < entry.node.site.end { entry.node.site } else { entry.key.site };
    let message = format!("`{}` must be {expected}, and is {}", entry.key, entry.node.kind());
    problems.error("wrong_type", site, message);
    false
}

/// A section of named blocks: a name has one block.
fn named(known: &mut Entry, node: Node, problems: &mut Problems) {
    let (Value::Map(into), Value::Map(entries)) = (&mut known.node.value, node.value) else { return };
    let places: BTreeMap<String, Site> =
        into.iter().map(|entry| (entry.key.value.clone(), entry.key.site)).collect();
    for Entry { key, node } in entries {
        match places.get(&key.value) {
            Some(first) => {
                problems
                    .error("defined_twice", key.site, format!("`{key}` is defined twice"))
                    .here("again here")
                    .also(*first, "first here")
                    .help("take one of them out, or give it another name");
            }
            None => into.push(Entry { key, node }),
        }
    }
}

fn lists(known: &mut Entry, node: Node) {
    if let (Value::List(into), Value::List(items)) = (&mut known.node.value, node.value) {
        into.extend(items);
    }
}

/// A section of single values: each is said once, or the same twice. Only `policy.allow` is a list.
fn fields(known: &mut Entry, section: At<String>, node: Node, problems: &mut Problems) {
    let (Value::Map(into), Value::Map(entries)) = (&mut known.node.value, node.value) else { return };
    for entry in entries {
        let Some(first) = into.iter_mut().find(|first| first.key.value == entry.key.value) else {
            into.push(entry);
            continue;
        };
        if section.value != "policy" || entry.key.value != "allow" {
            let what = format!("{section}.{}", entry.key);
            same(&first.key, &first.node, &entry.key, &entry.node, &what, problems);
        } else if fits(Some("a list"), &entry, problems) {
            match fits(Some("a list"), first, problems) {
                true => lists(first, entry.node),
                false => *first = entry,
            }
        }
    }
}

fn same(
    first: &At<String>,
    said: &Node,
    second: &At<String>,
    again: &Node,
    what: &str,
    problems: &mut Problems,
) {
    if !said.says_the_same(again) {
        problems
            .error("given_twice", second.site, format!("`{what}` is given twice, with different values"))
            .here("another here")
            .also(first.site, "one value here")
            .help("leave it in one file");
    }
}
