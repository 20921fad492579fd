//! Settings under the name of their kind (`{ vault: { … } }`): those of sinks, and the store's.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::hook::HookSettings;
use crate::manifest::bounds::MAX_ITEMS;
use crate::manifest::check::block::{Block, Field, mapping, name_of, text, wrong_type};
use crate::manifest::check::value::{credential, words};
use crate::manifest::document::{HookTemplate, Setting, SinkTemplate, SinkUse};
use crate::manifest::model::StoreSettings;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Entry, Node, Site, Value};
use crate::manifest::schema::Shape;
use crate::sink::{Encoding, FileMode, FileModeError, SinkKind, SinkSettings};
use crate::text::suggest::{did_you_mean, list};

/// A kind and its settings.
struct Tagged {
    kind: &'static str,
    fields: BTreeMap<String, At<Setting>>,
}

/// Reads settings whose kinds and fields are those of a type in the schema.
fn tagged(node: &Node, site: Site, what: &str, choice: &str, problems: &mut Problems) -> Option<Tagged> {
    let shape = Shape::of(choice);
    let kinds: Vec<_> = shape.choices().collect();
    let names = || kinds.iter().map(|(name, _)| *name);
    let entries = mapping(node, what, problems)?;
    let [Entry { key, node }] = entries else {
        problems
            .error(
                "wrong_type",
                site,
                format!("{what} needs one kind with its settings, and has {}", entries.len()),
            )
            .help(format!("write `{{ KIND: {{ … }} }}` with one of {}", list(names())));
        return None;
    };
    let Some((kind, block)) = kinds.iter().find(|(name, _)| *name == key.value) else {
        let meant = did_you_mean(key, names());
        problems
            .error("unknown_kind", key.site, format!("unknown kind `{key}` of {what}{meant}"))
            .help(format!("the kinds are {}", list(names())));
        return None;
    };
    let what = format!("`{kind}` of {what}");
    fields_of(node, key.site, &what, block, problems).map(|fields| Tagged { kind, fields })
}

/// Reads one field by what its schema says.
fn setting(field: &Field<'_>, schema: Option<&'static Json>, problems: &mut Problems) -> Option<Setting> {
    match schema.and_then(|schema| schema.get("type")).and_then(Json::as_str) {
        Some("string") => field.text(problems).map(|text| Setting::Text(text.value)),
        Some("boolean") => field.bool(problems).map(Setting::Flag),
        Some("object") => texts_by_name(field, problems).map(Setting::Texts),
        Some("array") if of_numbers(schema) => {
            numbers(field.items(problems)?, &field.what, problems).map(Setting::Numbers)
        }
        Some("array") => {
            let texts = field.some_texts(problems)?;
            Some(Setting::List(texts.value.into_iter().map(|text| text.value).collect()))
        }
        _ => nested(field, referred(schema), problems),
    }
}

/// The name of the type that a field is of.
fn referred(schema: Option<&'static Json>) -> &'static str {
    let name = schema.and_then(|schema| schema.get("$ref")?.as_str()?.rsplit('/').next());
    name.unwrap_or_default()
}

/// Reads a field that is a credential, a block, or a choice of blocks.
fn nested(field: &Field<'_>, block: &str, problems: &mut Problems) -> Option<Setting> {
    if block == "Credential" {
        return credential(field.node, &field.what, problems).map(Setting::Credential);
    }
    let shape = Shape::of(block);
    let choices: Vec<_> = shape.choices().collect();
    if choices.is_empty() {
        return fields_of(field.node, field.site(), &field.what, block, problems).map(Setting::Block);
    }
    let entries = mapping(field.node, &field.what, problems)?;
    let names = || choices.iter().map(|(name, _)| *name);
    let chosen = match entries {
        [entry] => {
            choices.iter().find(|(name, _)| *name == entry.key.value).map(|(_, block)| (entry, *block))
        }
        _ => None,
    };
    let Some((Entry { key, node }, block)) = chosen else {
        let meant = entries.first().map_or(String::new(), |entry| did_you_mean(&entry.key, names()));
        problems
            .error("unknown_kind", field.site(), format!("{} is one of {}{meant}", field.what, list(names())))
            .help(format!("write `{}: {{ KIND: {{ … }} }}`", field.key));
        return None;
    };
    let inner = Field { key, node, what: format!("`{key}` of {}", field.what) };
    nested(&inner, block, problems)
        .map(|value| Setting::Block([(key.value.clone(), At::new(value, node.site))].into()))
}

/// Reads the fields of a block of settings.
fn fields_of(
    node: &Node,
    site: Site,
    what: &str,
    block: &str,
    problems: &mut Problems,
) -> Option<BTreeMap<String, At<Setting>>> {
    let before = problems.count();
    let read = Block::read(node, site, what, block, problems)?;
    let shape = Shape::of(block);
    let mut fields = BTreeMap::new();
    for name in shape.fields() {
        let Some(field) = read.get(name) else { continue };
        if let Some(value) = setting(&field, shape.field(name), problems) {
            fields.insert(name.to_string(), At::new(value, field.site()));
        }
    }
    (problems.count() == before).then_some(fields)
}

/// Texts under names that are free.
fn texts_by_name(field: &Field<'_>, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
    let before = problems.count();
    let mut texts = BTreeMap::new();
    for Entry { key, node } in mapping(field.node, &field.what, problems)? {
        let what = format!("`{key}` of {}", field.what);
        if let Some(text) = text(node, &what, problems) {
            texts.insert(key.value.clone(), text.value);
        }
    }
    (problems.count() == before).then_some(texts)
}

fn is_number(node: &Node) -> bool {
    matches!(node.value, Value::Integer(_))
}

/// The only numbers in settings are exit codes.
fn numbers(items: &[Node], what: &str, problems: &mut Problems) -> Option<Vec<i64>> {
    let number = |node: &Node| match node.value {
        Value::Integer(number) if (0..=255).contains(&number) => Some(number),
        Value::Integer(number) => {
            let message = format!("an item of {what} is {number}, and exit codes go from 0 to 255");
            problems.error("invalid_setting", node.site, message);
            None
        }
        _ => {
            wrong_type(node, &format!("an item of {what}"), "a number from 0 to 255", problems);
            None
        }
    };
    let numbers: Vec<_> = items.iter().filter_map(number).collect();
    (numbers.len() == items.len()).then_some(numbers)
}

fn of_numbers(schema: Option<&Json>) -> bool {
    let items = schema.and_then(|schema| schema.get("items")?.get("type")?.as_str());
    items == Some("integer")
}

/// The same as JSON, from which serde makes the typed settings.
fn to_json<'a>(kind: &str, fields: impl IntoIterator<Item = (&'a String, Json)>) -> Json {
    let fields: serde_json::Map<_, _> =
        fields.into_iter().map(|(name, value)| (name.clone(), value)).collect();
    json!({ kind: fields })
}

impl Setting {
    fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => json!(text),
            Self::List(items) => json!(items),
            Self::Numbers(items) => json!(items),
            Self::Flag(flag) => json!(flag),
            Self::Texts(texts) => json!(texts),
            Self::Block(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
            }
            Self::Credential(credential) => json!(credential),
        }
    }
}

pub(crate) fn store(node: &Node, site: Site, problems: &mut Problems) -> Option<StoreSettings> {
    let Tagged { kind, fields } = tagged(node, site, "`state`", "StoreSettings", problems)?;
    let json = to_json(kind, fields.iter().map(|(name, value)| (name, value.to_json())));
    typed(json, site, "`state`", problems)
}

pub(crate) fn sink(node: &Node, site: Site, what: &str, problems: &mut Problems) -> Option<SinkTemplate> {
    let (of_kind, beside) = beside_kind(node);
    let before = problems.count();
    let mut after_delivery = None;
    for Entry { key, node } in beside {
        let what = format!("`{key}` of {what}");
        if key.as_str() == AFTER_DELIVERY {
            after_delivery = hook(node, key.site, &what, problems).map(|hook| At::new(hook, key.site));
        } else {
            let meant = did_you_mean(key, [AFTER_DELIVERY]);
            problems.error("unknown_field", key.site, format!("unknown field {what}{meant}")).help(format!(
                "beside its kind a sink may have `{AFTER_DELIVERY}`; its settings are below its kind"
            ));
        }
    }
    let Tagged { kind, fields } = tagged(&of_kind, site, what, "SinkSettings", problems)?;
    let kind = SinkKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    (problems.count() == before).then_some(SinkTemplate { kind, fields, after_delivery })
}

/// What may stand beside the kind of a sink.
const AFTER_DELIVERY: &str = "after_delivery";

/// A sink's block with its kind alone, and what stands beside it. Without a kind, or with several, it is left whole.
fn beside_kind(node: &Node) -> (Node, Vec<&Entry>) {
    let Value::Map(entries) = &node.value else { return (node.clone(), Vec::new()) };
    let is_kind = |entry: &Entry| SinkKind::ALL.iter().any(|kind| kind.as_str() == entry.key.value);
    let (kinds, mut beside): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| is_kind(entry));
    if kinds.len() != 1 {
        beside.retain(|entry| entry.key.value == AFTER_DELIVERY);
    }
    let is_beside = |entry: &Entry| beside.iter().any(|other| other.key.site == entry.key.site);
    let of_kind = entries.iter().filter(|entry| !is_beside(entry)).cloned().collect();
    (Node { value: Value::Map(of_kind), site: node.site }, beside)
}

/// What is done after a delivery.
pub(crate) fn hook(node: &Node, site: Site, what: &str, problems: &mut Problems) -> Option<HookTemplate> {
    let Tagged { kind, fields } = tagged(node, site, what, "HookSettings", problems)?;
    Some(HookTemplate { kind, fields })
}

/// The same with its types, once every placeholder is filled in.
pub(crate) fn hook_settings(
    template: &HookTemplate,
    site: Site,
    what: &str,
    problems: &mut Problems,
) -> Option<HookSettings> {
    let fields = template.fields.iter().map(|(name, value)| (name, value.to_json()));
    typed(to_json(template.kind, fields), site, what, problems)
}

/// The typed settings of a sink, once every placeholder is filled in.
pub(crate) fn sink_settings(
    template: &SinkTemplate,
    site: Site,
    what: &str,
    problems: &mut Problems,
) -> Option<SinkSettings> {
    let faults = template.fields.iter().filter(|(name, value)| !has_its_form(name, value, what, problems));
    if faults.count() > 0 {
        return None;
    }
    let fields = template.fields.iter().map(|(name, value)| (name, value.to_json()));
    typed(to_json(template.kind.as_str(), fields), site, what, problems)
}

/// Whether a text that has a form of its own in every kind of sink has it; here it is known where it stands.
fn has_its_form(name: &str, value: &At<Setting>, what: &str, problems: &mut Problems) -> bool {
    let Setting::Text(text) = &value.value else { return true };
    let help = match name {
        "mode" if text.parse::<FileMode>().is_err() => FileModeError::HELP.to_string(),
        "encoding" if Encoding::NAMES.iter().all(|(known, _)| known != text) => {
            format!("it is one of {}", list(Encoding::NAMES.map(|(known, _)| known)))
        }
        _ => return true,
    };
    problems.error("unknown_value", value.site, format!("`{name}` of {what} cannot be `{text}`")).help(help);
    false
}

/// Every field was read by the type's own schema, so this fails only where that says less than the type.
fn typed<T: serde::de::DeserializeOwned>(
    json: Json,
    site: Site,
    what: &str,
    problems: &mut Problems,
) -> Option<T> {
    match serde_json::from_value(json) {
        Ok(settings) => Some(settings),
        Err(error) => {
            problems.error("invalid_settings", site, format!("{what} cannot be used: {error}"));
            None
        }
    }
}

/// A list of sinks: names, or names with what differs.
pub(crate) fn sink_uses(field: &Field<'_>, problems: &mut Problems) -> Option<At<Vec<SinkUse>>> {
    let items = field.items(problems)?;
    let uses: Vec<_> = items.iter().filter_map(|node| sink_use(node, &field.what, problems)).collect();
    // A list that lost items is not the list that was meant.
    (uses.len() == items.len()).then(|| At::new(uses, field.site()))
}

fn sink_use(node: &Node, what: &str, problems: &mut Problems) -> Option<SinkUse> {
    match &node.value {
        Value::Text(name) => {
            let sink = name_of(&At::new(name.clone(), node.site), problems)?;
            Some(SinkUse { sink, overrides: Vec::new() })
        }
        Value::Map(entries) => {
            let [Entry { key, node: settings }] = &entries[..] else {
                let message = format!("an item of {what} names one sink, and this has {}", entries.len());
                problems
                    .error("wrong_type", node.site, message)
                    .help("write a name, or `{ NAME: { field: value } }` with what differs here");
                return None;
            };
            let sink = name_of(key, problems)?;
            let what = format!("sink `{key}` in {what}");
            let fields = mapping(settings, &what, problems)?;
            if fields.is_empty() {
                problems
                    .error("empty_override", key.site, format!("{what} says nothing that differs"))
                    .help(format!("write `{key}` alone"));
            }
            let mut overrides = Vec::new();
            for Entry { key, node } in fields {
                let what = format!("`{key}` of {what}");
                let value = match &node.value {
                    Value::List(items) if items.len() > MAX_ITEMS => {
                        let message = format!("{what} has {} items, and may have {MAX_ITEMS}", items.len());
                        problems.exceeds("list_too_long", key.site, message);
                        return None;
                    }
                    Value::List(items) if !items.is_empty() && items.iter().all(is_number) => {
                        Setting::Numbers(numbers(items, &what, problems)?)
                    }
                    Value::List(items) => Setting::List(words(items, &what, problems)),
                    Value::Bool(flag) => Setting::Flag(*flag),
                    _ => match text(node, &what, problems) {
                        Some(text) => Setting::Text(text.value),
                        None => continue,
                    },
                };
                let site = if let Value::List(_) = &node.value { key.site } else { node.site };
                overrides.push((key.clone(), At::new(value, site)));
            }
            Some(SinkUse { sink, overrides })
        }
        _ => {
            wrong_type(node, &format!("an item of {what}"), "the name of a sink", problems)
                .help("write a name, or `{ NAME: { field: value } }` with what differs here");
            None
        }
    }
}

/// A sink's settings with what differs for one key, checked by the sink's kind.
pub(crate) fn with_overrides(
    template: &SinkTemplate,
    used: &SinkUse,
    problems: &mut Problems,
) -> Option<SinkTemplate> {
    if used.overrides.is_empty() {
        return Some(template.clone());
    }
    let mut merged = template.clone();
    let kind = template.kind.as_str();
    let choices = Shape::of("SinkSettings");
    let (_, block) = choices.choices().find(|(name, _)| *name == kind)?;
    let shape = Shape::of(block);
    let known: Vec<_> = shape.fields().collect();
    let mut good = true;
    for (name, value) in &used.overrides {
        let schema = shape.field(name);
        let wanted = schema.and_then(|schema| schema.get("type")).and_then(Json::as_str);
        let fits = match (wanted, &value.value) {
            (Some("string"), Setting::Text(text)) => !text.trim().is_empty(),
            (Some("boolean"), Setting::Flag(_)) => true,
            (Some("array"), Setting::Numbers(_)) => of_numbers(schema),
            (Some("array"), Setting::List(items)) if !of_numbers(schema) => {
                !items.is_empty() && items.iter().all(|item| !item.trim().is_empty())
            }
            _ => false,
        };
        if !known.contains(&name.as_str()) {
            let meant = did_you_mean(name, &known);
            problems
                .error(
                    "unknown_setting",
                    name.site,
                    format!("unknown field `{name}` in sink `{}`, of kind `{kind}`{meant}", *used.sink),
                )
                .help(format!("the fields are {}", list(&known)));
            good = false;
        } else if !fits {
            let expected = match wanted {
                Some("array") if of_numbers(schema) => "a list of numbers",
                Some("array") => "a list of texts",
                Some("boolean") => "`true` or `false`",
                Some("string") => "text",
                _ => "the same for every key that uses the sink: it is",
            };
            problems.error(
                "invalid_setting",
                value.site,
                format!("`{name}` of sink `{}` must be {expected}, and not empty", *used.sink),
            );
            good = false;
        } else {
            merged.fields.insert(name.value.clone(), value.clone());
        }
    }
    good.then_some(merged)
}
