//! Reads blocks and single values, and reports every field that is unknown, missing or of another type.

use crate::manifest::bounds::MAX_ITEMS;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Entry, Node, Site, Value};
use crate::manifest::schema::Shape;
use crate::name::{Name, NameError};
use crate::text::redact::is_secret;
use crate::text::suggest::{closest, did_you_mean, list};

/// A mapping whose fields are known.
pub(crate) struct Block<'n> {
    entries: &'n [Entry],
    /// The names of the fields that it may have.
    known: Vec<&'static str>,
    /// What it is, for messages: ``key `mailer` ``.
    pub what: String,
    pub site: Site,
}

/// A field of a block.
pub(crate) struct Field<'n> {
    pub key: &'n At<String>,
    pub node: &'n Node,
    /// For messages: ``` `scopes` of key `mailer` ```.
    pub what: String,
}

impl<'n> Block<'n> {
    /// Reads a mapping whose fields are those of a block of the schema.
    ///
    /// `site` is where to point when a field is missing: the mapping's name rather than its contents.
    pub fn read(
        node: &'n Node,
        site: Site,
        what: impl Into<String>,
        block: &str,
        problems: &mut Problems,
    ) -> Option<Self> {
        let what = what.into();
        let shape = Shape::of(block);
        let known: Vec<_> = shape.fields().collect();
        let Some(entries) = entries(node) else {
            let needed = shape.required().filter(|name| *name != "version");
            // What an entry is about comes before what is to be done with it, whether it has to be said or not.
            let about = known.iter().copied().filter(|name| *name == "from");
            let mut shown: Vec<&str> = about.chain(needed.filter(|name| *name != "from")).collect();
            let is_free = shown.is_empty();
            if is_free {
                shown.extend(known.first());
            }
            let example = match (&node.value, is_free) {
                (Value::Null, true) => "write `{}` where nothing is to be said".to_string(),
                _ => {
                    let shown: Vec<String> = shown.iter().map(|name| format!("{name}: …")).collect();
                    let fields = list(&known);
                    format!("write its fields, such as `{{ {} }}`; they are {fields}", shown.join(", "))
                }
            };
            wrong_type(node, &what, "a mapping", problems).help(example);
            return None;
        };
        for Entry { key, node: _ } in entries {
            if !known.contains(&key.as_str()) {
                let meant = did_you_mean(key, &known);
                problems
                    .error("unknown_field", key.site, format!("unknown field `{key}` in {what}{meant}"))
                    .help(format!("the fields are {}", list(&known)));
            }
        }
        let block = Self { entries, known, what, site };
        // `version` is checked in each file before they are merged.
        let required = shape.required().filter(|name| *name != "version");
        for name in required.filter(|name| block.get(name).is_none()) {
            // A field that was misspelt is said already.
            if !block.misspells(name) {
                problems
                    .error("missing_field", site, format!("{} needs the field `{name}`", block.what))
                    .help(format!("add `{name}: …`"));
            }
        }
        Some(block)
    }

    pub fn get(&self, name: &str) -> Option<Field<'n>> {
        let Entry { key, node } = self.entries.iter().find(|entry| entry.key.value == name)?;
        Some(Field { key, node, what: format!("`{name}` of {}", self.what) })
    }

    /// Whether an unknown field probably means this one.
    pub fn misspells(&self, name: &str) -> bool {
        let unknown = self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str()));
        let mut meant = unknown.filter_map(|entry| closest(&entry.key, &self.known));
        meant.any(|meant| meant == name)
    }

    pub fn text(&self, name: &str, problems: &mut Problems) -> Option<At<String>> {
        self.get(name)?.text(problems)
    }

    pub fn bool(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        self.get(name)?.bool(problems)
    }

    pub fn name(&self, name: &str, problems: &mut Problems) -> Option<At<Name>> {
        let field = self.get(name)?;
        name_of(&field.text(problems)?, problems)
    }

    pub fn texts(&self, name: &str, problems: &mut Problems) -> Option<At<Vec<At<String>>>> {
        self.get(name)?.texts(problems)
    }

    pub fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<At<T>> {
        self.get(name)?.choice(choices, problems)
    }
}

impl<'n> Field<'n> {
    /// Text that is not empty.
    pub fn text(&self, problems: &mut Problems) -> Option<At<String>> {
        let text = text(self.node, &self.what, problems)?;
        if text.trim().is_empty() {
            problems
                .error("empty_text", text.site, format!("{} is empty", self.what))
                .help("give it a value, or leave the field out");
            return None;
        }
        Some(text)
    }

    pub fn bool(&self, problems: &mut Problems) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => {
                let help = match &self.node.value {
                    Value::Text(text) => plain_bool(text),
                    _ => None,
                };
                wrong_type(self.node, &self.what, "`true` or `false`", problems).help(match help {
                    Some(value) => format!("write `{value}`, without quotes"),
                    None => "write `true` or `false`, without quotes".to_string(),
                });
                None
            }
        }
    }

    pub fn integer(&self, range: std::ops::RangeInclusive<u32>, problems: &mut Problems) -> Option<At<u32>> {
        let Value::Integer(value) = self.node.value else {
            wrong_type(self.node, &self.what, "a whole number", problems);
            return None;
        };
        let (least, most) = (*range.start(), *range.end());
        match u32::try_from(value).ok().filter(|value| range.contains(value)) {
            Some(value) => Some(At::new(value, self.node.site)),
            None => {
                problems.error(
                    "out_of_range",
                    self.node.site,
                    format!("{} is from {least} to {most}, not {value}", self.what),
                );
                None
            }
        }
    }

    pub fn items(&self, problems: &mut Problems) -> Option<&'n [Node]> {
        self.items_up_to(MAX_ITEMS, "list_too_long", problems)
    }

    /// A list of so many items at most.
    pub fn items_up_to(
        &self,
        most: usize,
        code: &'static str,
        problems: &mut Problems,
    ) -> Option<&'n [Node]> {
        let Value::List(items) = &self.node.value else {
            let example = match &self.node.value {
                Value::Text(text) => Some(format!("write it in brackets: `{}: [{text}]`", self.key)),
                Value::Map(_) => Some(format!("make it the item of a list: `{}: [{{ … }}]`", self.key)),
                Value::Null => Some("give it an item, or leave the field out".to_string()),
                Value::Bool(_) | Value::Integer(_) | Value::Number | Value::List(_) => None,
            };
            let report = wrong_type(self.node, &self.what, "a list", problems);
            if let Some(example) = example {
                report.help(example);
            }
            return None;
        };
        if items.len() > most {
            let message = format!("{} has {} items, and may have {most}", self.what, items.len());
            problems.exceeds(code, self.key.site, message).help("make it several projects");
            return None;
        }
        Some(items)
    }

    /// A list of texts, none of them empty.
    pub fn texts(&self, problems: &mut Problems) -> Option<At<Vec<At<String>>>> {
        let item = format!("an item of {}", self.what);
        let mut texts = Vec::new();
        for node in self.items(problems)? {
            match text(node, &item, problems) {
                Some(text) if text.trim().is_empty() => {
                    problems.error("empty_text", text.site, format!("{item} is empty"));
                }
                Some(text) => texts.push(text),
                None => {}
            }
        }
        Some(At::new(texts, self.site()))
    }

    /// A list of texts that has at least one.
    pub fn some_texts(&self, problems: &mut Problems) -> Option<At<Vec<At<String>>>> {
        if self.items(problems)?.is_empty() {
            problems
                .error("empty_list", self.site(), format!("{} is empty", self.what))
                .help("name at least one, or leave the field out");
            return None;
        }
        self.texts(problems)
    }

    pub fn choice<T: Copy>(&self, choices: &[(&str, T)], problems: &mut Problems) -> Option<At<T>> {
        let text = text(self.node, &self.what, problems)?;
        let names = || choices.iter().map(|(name, _)| *name);
        match choices.iter().find(|(name, _)| *name == text.value) {
            Some((_, value)) => Some(At::new(*value, text.site)),
            None => {
                let meant = did_you_mean(&text, names());
                let message = format!("{} cannot be `{text}`{meant}", self.what);
                problems
                    .error("unknown_value", text.site, message)
                    .help(format!("it is one of {}", list(names())));
                None
            }
        }
    }

    /// Where to point: the value where it is on one line, else the field's name.
    pub fn site(&self) -> Site {
        match &self.node.value {
            Value::List(_) | Value::Map(_) => self.key.site,
            _ => self.node.site,
        }
    }
}

/// The entries of a mapping.
pub(crate) fn mapping<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Option<&'n [Entry]> {
    let entries = entries(node);
    if entries.is_none() {
        let report = wrong_type(node, what, "a mapping", problems);
        if matches!(node.value, Value::Null) {
            report.help("give it an entry, write `{}`, or leave the field out");
        }
    }
    entries
}

fn entries(node: &Node) -> Option<&[Entry]> {
    let Value::Map(entries) = &node.value else { return None };
    Some(entries)
}

/// What YAML 1.1 took for a truth value, and a misspelt one.
fn plain_bool(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let is = |words: [&str; 4]| words.contains(&text.as_str());
    match (is(["true", "yes", "on", "y"]), is(["false", "no", "off", "n"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        (false, false) => closest(&text, ["true", "false"]).map(|meant| meant == "true"),
    }
}

/// The entries of a mapping from names to blocks, of which there are only so many.
pub(crate) fn named_blocks<'n>(
    field: &Field<'n>,
    most: usize,
    problems: &mut Problems,
) -> Option<&'n [Entry]> {
    let entries = mapping(field.node, &field.what, problems)?;
    if entries.len() > most {
        let message = format!("{} has {} entries, and may have {most}", field.what, entries.len());
        problems.exceeds("too_many_blocks", field.key.site, message).help("make it several projects");
        return None;
    }
    Some(entries)
}

/// Text, empty or not.
pub(crate) fn text(node: &Node, what: &str, problems: &mut Problems) -> Option<At<String>> {
    match &node.value {
        Value::Text(text) => Some(At::new(text.clone(), node.site)),
        Value::Map(entries) => {
            let placeholder =
                matches!(&entries[..], [Entry { key: _, node: Node { value: Value::Null, .. } }]);
            let report = wrong_type(node, what, "text", problems);
            if placeholder {
                report.help("text that starts with a placeholder has to be quoted: `\"{environment}\"`");
            }
            None
        }
        Value::Bool(_) | Value::Integer(_) | Value::Number => {
            wrong_type(node, what, "text", problems).help("put it in quotes to make it text");
            None
        }
        Value::Null | Value::List(_) => {
            wrong_type(node, what, "text", problems);
            None
        }
    }
}

pub(crate) fn wrong_type<'p>(
    node: &Node,
    what: &str,
    expected: &str,
    problems: &'p mut Problems,
) -> crate::manifest::problem::Report<'p> {
    problems.error("wrong_type", node.site, format!("{what} must be {expected}, and is {}", node.kind()))
}

/// A text that follows the grammar of names.
pub(crate) fn name_of(text: &At<String>, problems: &mut Problems) -> Option<At<Name>> {
    match Name::new(text.value.clone()) {
        Ok(name) => Some(At::new(name, text.site)),
        Err(error) => {
            bad_name(text, error, problems);
            None
        }
    }
}

pub(crate) fn bad_name(text: &At<String>, error: NameError, problems: &mut Problems) {
    // A tidied secret would no longer look like one.
    let tidy = tidy_name(text)
        .filter(|_| !is_secret(text))
        .map(|name| format!(", such as `{name}`"))
        .unwrap_or_default();
    problems
        .error("invalid_name", text.site, format!("`{text}` is not a name: {error}"))
        .help(format!("use up to 63 of `a-z`, `0-9` and `-`, with a letter or digit at both ends{tidy}"));
}

/// The name that a text becomes when what is not allowed is left out.
fn tidy_name(text: &str) -> Option<Name> {
    Name::new(tidy_part(text, |_| false)?).ok()
}

/// A text with `-` for what a name cannot have, as far as something is left; some characters may be kept.
pub(crate) fn tidy_part(text: &str, keep: impl Fn(char) -> bool) -> Option<String> {
    let good = |c: char| if c.is_ascii_alphanumeric() || keep(c) { c.to_ascii_lowercase() } else { '-' };
    let letters: String = text.chars().map(good).take(63).collect();
    let tidy = letters.trim_matches('-');
    (!tidy.is_empty()).then(|| tidy.to_string())
}
