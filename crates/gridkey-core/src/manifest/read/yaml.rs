//! YAML: the one place that knows the parser. Bytes in, a tree with positions out.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Error, Location, NonFiniteFloatPolicy, Options, Spanned};

use crate::manifest::bounds::MAX_TEXT;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Entry, Node, Site, Value};
use crate::text::is_variable;
use crate::text::redact::{holds_key, is_credential, is_secret};
use crate::text::suggest::closest;

/// A manifest of ten thousand keys is half of this; more is a mistake or an attack.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Scalars, lists and mappings of one file, aliases included.
const MAX_NODES: usize = 200_000;

/// A manifest nests eight levels deep.
const MAX_DEPTH: usize = 24;

/// Anchors save some lines; a manifest does not have hundreds of them.
const MAX_ANCHORS: usize = 200;
const MAX_ALIASES: usize = 2_000;
const MAX_REPLAYED: usize = 50_000;

/// Reads one file. `None` where it is not a YAML document; the problems then say why.
pub(crate) fn parse(file: usize, bytes: &[u8], problems: &mut Problems) -> Option<Node> {
    let start = Site { file, line: 1, column: 1, start: 0, end: 0 };
    if bytes.len() > MAX_BYTES {
        let size = bytes.len() as f64 / f64::from(1 << 20);
        problems
            .error(
                "file_too_large",
                start,
                format!("the file has {size:.1} MiB, and a manifest at most 1 MiB"),
            )
            .help("see that the path names a manifest; split a large one into a folder of files");
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let site = site_of_range(file, &valid, valid.len()..valid.len());
            problems
                .error("invalid_utf8", site, "the file is not UTF-8 text")
                .help("save it as UTF-8; an editor calls it the file's encoding");
            return None;
        }
    };
    match serde_yaml::from_str_with_options::<Tree>(text, options()) {
        Ok(tree) => {
            let node = Reading { file, text, problems }.node(tree);
            if let Value::Null = node.value {
                problems
                    .error("empty_file", start, "the file is empty")
                    .help("a manifest starts with `version: 1`");
                return None;
            }
            Some(node)
        }
        Err(error) => {
            report(file, text, &error, problems);
            None
        }
    }
}

fn options() -> Options {
    let limits = serde_yaml::budget! {
        max_nodes: MAX_NODES,
        max_depth: MAX_DEPTH,
        max_anchors: MAX_ANCHORS,
        max_aliases: MAX_ALIASES,
        enforce_alias_anchor_ratio: false,
    };
    serde_yaml::options! {
        budget: limits,
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        // The tree reports duplicates itself: all of them, each with both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `no` is text, as in YAML 1.2.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        // `61e9540` is an id that somebody forgot to quote: the field that wants a text says so.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// What the parser gives, with its own locations.
struct Tree {
    value: Raw,
    location: Location,
}

enum Raw {
    Null,
    Bool(bool),
    Integer(i64),
    Number,
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Raw>::deserialize(deserializer)?;
        // Where an alias is used, the mistake is where the anchor is defined.
        Ok(Self { value: spanned.value, location: spanned.defined })
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or(Raw::Number, Raw::Integer))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

/// Turns the parser's tree into ours, and reports what YAML allows and a manifest does not.
struct Reading<'a> {
    file: usize,
    text: &'a str,
    problems: &'a mut Problems,
}

impl Reading<'_> {
    fn node(&mut self, tree: Tree) -> Node {
        let site = self.site(tree.location);
        let value = match tree.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Integer(value) => Value::Integer(value),
            Raw::Number => Value::Number,
            Raw::Text(text) => {
                self.conceal(&text, site);
                Value::Text(self.bounded(text, site).unwrap_or_else(|| "x".to_string()))
            }
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Value::Map(self.entries(entries)),
        };
        Node { value, site }
    }

    fn entries(&mut self, raw: Vec<(Tree, Tree)>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::BTreeMap::new();
        for (key, value) in raw {
            let node = self.node(value);
            let Some(key) = self.key(key) else { continue };
            self.conceal(&key, key.site);
            if is_credential(&key) {
                self.conceal_credential(&node);
            }
            if let Some(first) = seen.get(&key.value) {
                self.problems
                    .error("duplicate_key", key.site, format!("`{key}` is given twice"))
                    .here("again here")
                    .also(*first, "first here")
                    .help("take one of them out");
                continue;
            }
            seen.insert(key.value.clone(), key.site);
            entries.push(Entry { key, node });
        }
        entries
    }

    /// A key is text; what looks like a number or a word of YAML is taken as it was written.
    fn key(&mut self, key: Tree) -> Option<At<String>> {
        let site = self.site(key.location);
        let written = || self.text.get(site.start..site.end).unwrap_or_default().to_string();
        let text = match key.value {
            Raw::Text(text) => text,
            Raw::Null | Raw::Bool(_) | Raw::Integer(_) | Raw::Number => written(),
            Raw::List(_) | Raw::Map(_) => {
                self.problems
                    .error("invalid_key", site, "a key of a mapping must be text")
                    .help("quote it, where it holds braces: `\"{environment}\"`");
                return None;
            }
        };
        self.bounded(text, site).map(|text| At::new(text, site))
    }

    /// A text of a length that a manifest may have; another is not kept.
    fn bounded(&mut self, text: String, site: Site) -> Option<String> {
        if text.len() <= MAX_TEXT {
            return Some(text);
        }
        let message =
            format!("this text has {} bytes, and a text of a manifest at most {MAX_TEXT}", text.len());
        self.problems.exceeds("text_too_long", site, message).help("see whether a quote is missing above");
        None
    }

    /// Keeps a secret from being quoted. Only here is it seen both as it is meant and as it is written: with escapes
    /// or line breaks in it the two differ.
    fn conceal(&mut self, text: &str, site: Site) {
        self.problems.learn_secrets(text);
        let written = self.text.get(site.start..site.end).unwrap_or_default();
        // As it is written it is found wherever it is quoted.
        if !is_secret(text) || written.contains(text) {
            return;
        }
        self.problems.hide(site);
        if holds_key(text) && !holds_key(written) {
            secret_in_manifest(site, self.problems);
        }
    }

    /// Keeps from being quoted what stands where a manifest says where a credential is found, in fields that are
    /// misspelt or given twice too.
    fn conceal_credential(&mut self, node: &Node) {
        match &node.value {
            Value::Text(_) | Value::Integer(_) | Value::Number => self.problems.hide(node.site),
            Value::List(items) => items.iter().for_each(|item| self.conceal_credential(item)),
            Value::Map(entries) => {
                for Entry { key, node } in entries {
                    let kind = closest(key, ["env", "file", "command"]).unwrap_or_default();
                    let names_it = match (kind.as_str(), &node.value) {
                        ("env", Value::Text(name)) => is_variable(name) || holds_key(name),
                        ("file", _) | ("command", Value::List(_)) => true,
                        _ => false,
                    };
                    if !names_it {
                        self.conceal_credential(node);
                    }
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn site(&self, location: Location) -> Site {
        site_of(self.file, self.text, location)
    }
}

/// Says that a key is written out, without quoting it.
pub(crate) fn secret_in_manifest(site: Site, problems: &mut Problems) {
    problems.error("secret_in_manifest", site, "a SendGrid API key is written out here").help(
        "take it out and revoke it, as it was in clear text; say where a key is found instead: \
             `{ env: SENDGRID_API_KEY }`",
    );
}

fn site_of(file: usize, text: &str, location: Location) -> Site {
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let offset = location.span().byte_offset().and_then(|offset| usize::try_from(offset).ok());
    let length = location.span().byte_len().and_then(|length| usize::try_from(length).ok());
    let start = offset.unwrap_or_else(|| offset_of(text, line, column));
    let end = start + length.unwrap_or(0);
    Site { file, line, column, start: start.min(text.len()), end: end.min(text.len()) }
}

/// The byte at which a line and column stand.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let in_line: usize = text[before..].chars().take(column - 1).map(char::len_utf8).sum();
    before + in_line
}

/// The site of a range of bytes.
pub(crate) fn site_of_range(file: usize, text: &str, range: std::ops::Range<usize>) -> Site {
    let before = &text[..range.start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Site { file, line, column, start: range.start, end: range.end }
}

/// `!staging` without quotes is a tag of YAML, and what is left of the value is nothing.
fn unexpected_tag(near: Site, text: &str, problems: &mut Problems) {
    let start = text[..near.start].rfind('!').unwrap_or(near.start);
    let length = text[start..].find([' ', ',', ']', '}', '\n', '\r']).unwrap_or(text.len() - start);
    let tag = &text[start..start + length];
    problems
        .error(
            "unexpected_tag",
            site_of_range(near.file, text, start..start + length),
            format!("YAML takes `{tag}` for a tag, and a manifest has no tags"),
        )
        .help(format!("text that starts with `!` has to be quoted: `\"{tag}\"`"));
}

/// Puts the parser's error into our words.
fn report(file: usize, text: &str, error: &Error, problems: &mut Problems) {
    let site = error.location().map_or(Site { file, line: 1, column: 1, start: 0, end: 0 }, |location| {
        site_of(file, text, location)
    });
    let too_much = |problems: &mut Problems, what: &str| {
        problems.error("yaml_limit", site, format!("the file holds more {what} than a manifest may")).help(
            format!(
                "a file has at most {MAX_NODES} values, {MAX_DEPTH} levels, {MAX_ANCHORS} anchors and \
                 {MAX_ALIASES} aliases; write out what the anchors repeat, or split the file"
            ),
        );
    };
    match error.without_snippet() {
        Error::Budget { .. } => too_much(problems, "values, levels or anchors"),
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => too_much(problems, "repetition by aliases"),
        Error::MultipleDocuments { .. } => {
            problems
                .error("several_documents", site, "the file holds several YAML documents")
                .help("take out `---`; a folder of files is how a manifest is split");
        }
        Error::UnknownAnchor { .. } => {
            problems
                .error("unknown_anchor", site, "there is no anchor of this name above")
                .help("text that starts with `*` has to be quoted: `\"*-eu\"`");
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            problems.error("invalid_merge", site, "`<<` merges a mapping, or a list of mappings");
        }
        other => {
            let words = other.to_string();
            let words = words.split_once(" at line ").map_or(words.as_str(), |(words, _)| words);
            if words.starts_with("unsupported tag") {
                return unexpected_tag(site, text, problems);
            }
            // Some limits the parser hands on as text only.
            if words.starts_with("alias") && words.contains("limit exceeded") {
                return too_much(problems, "repetition by aliases");
            }
            if words.starts_with("recursion limit") {
                return too_much(problems, "levels");
            }
            let help = if words.contains("tab") {
                "YAML is indented with spaces: replace the tabs"
            } else if words.contains("flow") {
                "see that every `{` and `[` above is closed, and that `,` stands between what is inside"
            } else if words.contains("indent") || words.contains("did not find expected key") {
                "lines of one mapping or list begin in the same column: look at this line and the one above"
            } else {
                "text that holds `: `, ` #`, or starts with one of `*&!|>%@{[` and a backtick, has to be quoted"
            };
            problems.error("invalid_yaml", site, format!("this is not YAML: {words}")).help(help);
        }
    }
}
