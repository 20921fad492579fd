//! Keys, the exceptions to them, and what they share with environments and defaults.

use crate::access::AccessKind;
use crate::manifest::check::block::{Block, Field};
use crate::manifest::check::tagged::{hook, sink_uses};
use crate::manifest::check::value::{length, name_pattern};
use crate::manifest::document::{ExceptionBlock, KeyBlock, Settings};
use crate::manifest::model::{AtLimit, DEFAULT_OVERLAP, OnDelete, Rotation};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Entry, Value};

/// What can be said at every level. A field that the block does not have is simply not there.
pub(crate) fn settings(block: &Block<'_>, problems: &mut Problems) -> Settings {
    let on_delete = [("clear", OnDelete::Clear), ("keep", OnDelete::Keep)];
    let sinks = block.get("sinks").and_then(|field| sink_uses(&field, problems));
    Settings {
        account: block.name("account", problems),
        sinks_unclear: block.misspells("sinks") || (sinks.is_none() && block.get("sinks").is_some()),
        sinks,
        rotate: block.get("rotate").and_then(|field| rotate(&field, problems)),
        protect: block.bool("protect", problems),
        owner: block.text("owner", problems).map(|owner| owner.value),
        on_delete: block.choice("on_delete", &on_delete, problems).map(|choice| choice.value),
        after_delivery: block.get("after_delivery").and_then(|field| {
            hook(field.node, field.key.site, &field.what, problems).map(|hook| At::new(hook, field.key.site))
        }),
    }
}

/// `never`, or how often and how. `Some(None)` is `never`.
fn rotate(field: &Field<'_>, problems: &mut Problems) -> Option<Option<Rotation>> {
    if let Value::Text(text) = &field.node.value {
        if text == "never" {
            return Some(None);
        }
        problems
            .error("unknown_value", field.node.site, format!("{} cannot be `{text}`", field.what))
            .help("it is `never`, or says how often: `{ every: 30d }`");
        return None;
    }
    let block = Block::read(field.node, field.key.site, field.what.as_str(), "RotateBlock", problems)?;
    let every = block.get("every").and_then(|field| length(&field, problems));
    let overlap = block.get("overlap").and_then(|field| length(&field, problems));
    let warn_before = block.get("warn_before").and_then(|field| length(&field, problems));
    let at_limit =
        [("postpone", AtLimit::Postpone), ("replace", AtLimit::Replace), ("block", AtLimit::Block)];
    let at_limit = block.choice("at_limit", &at_limit, problems);
    let every = every?;
    if every.is_zero() {
        problems
            .error("zero_rotation", every.site, format!("`every` of {} is zero", field.what))
            .help("write how old a key gets, such as `30d`, or `rotate: never`");
        return None;
    }
    let (site, length) = match &overlap {
        Some(overlap) => (overlap.site, overlap.value),
        None => (every.site, DEFAULT_OVERLAP),
    };
    if length >= every.value {
        let given = if overlap.is_some() { "" } else { ", by default 24h," };
        problems
            .error(
                "overlap_too_long",
                site,
                format!("`overlap` of {}{given} is not shorter than `every`", field.what),
            )
            .help("a key has to be retired before its successor is replaced: give a shorter `overlap`");
    }
    if let Some(warn_before) = warn_before.as_ref().filter(|warn| warn.value >= every.value) {
        problems
            .error(
                "warning_too_early",
                warn_before.site,
                format!("`warn_before` of {} is not shorter than `every`", field.what),
            )
            .help("a key cannot be due for rotation from its first day: give a shorter `warn_before`");
    }
    Some(Some(Rotation {
        every: every.value,
        overlap: length,
        warn_before: warn_before.map(|warn| warn.value),
        at_limit: at_limit.map(|choice| choice.value).unwrap_or_default(),
    }))
}

pub(crate) fn key(entry: &Entry, what: &str, shape: &str, problems: &mut Problems) -> KeyBlock {
    match Block::read(&entry.node, entry.key.site, what, shape, problems) {
        Some(block) => fields(&block, problems),
        None => KeyBlock { access_unclear: true, ..KeyBlock::default() },
    }
}

pub(crate) fn exception(entry: &Entry, what: &str, problems: &mut Problems) -> ExceptionBlock {
    match Block::read(&entry.node, entry.key.site, what, "ExceptionBlock", problems) {
        Some(block) => {
            ExceptionBlock { enabled: block.bool("enabled", problems), key: fields(&block, problems) }
        }
        None => ExceptionBlock::default(),
    }
}

fn fields(block: &Block<'_>, problems: &mut Problems) -> KeyBlock {
    let access = [
        ("restricted", AccessKind::Restricted),
        ("full", AccessKind::Full),
        ("billing", AccessKind::Billing),
    ];
    let access = block.choice("access", &access, problems);
    let scopes = block.get("scopes").and_then(|field| scopes(&field, problems));
    let unclear = |name: &str, read: bool| block.get(name).is_some() && !read;
    let misspelt = block.misspells("scopes") || block.misspells("access");
    let key = KeyBlock {
        settings: settings(block, problems),
        name: block.text("name", problems),
        access_unclear: unclear("access", access.is_some())
            || unclear("scopes", scopes.is_some())
            || misspelt,
        description: block
            .get("description")
            .and_then(|field| super::block::text(field.node, &field.what, problems).map(|text| text.value)),
        environments: environments(block, problems),
        access,
        scopes,
    };
    if let (Some(AccessKind::Full), Some(scopes)) = (key.access.as_ref().map(|at| at.value), &key.scopes) {
        problems
            .error("full_with_scopes", scopes.site, format!("{} has `access: full` and `scopes`", block.what))
            .help("Full Access takes no scopes: take one of the two out");
    }
    key
}

/// Names and patterns of environments, with `!` in front of those to leave out.
fn environments(block: &Block<'_>, problems: &mut Problems) -> Option<At<Vec<At<String>>>> {
    let choices = block.get("environments")?.some_texts(problems)?;
    let good = choices.value.into_iter().filter(|choice| {
        let name = At::new(choice.strip_prefix('!').unwrap_or(choice).to_string(), choice.site);
        name_pattern(&name, problems).is_some()
    });
    Some(At::new(good.collect(), choices.site))
}

fn scopes(field: &Field<'_>, problems: &mut Problems) -> Option<At<Vec<At<String>>>> {
    if field.items(problems)?.is_empty() {
        problems
            .error("empty_scopes", field.node.site, format!("{} is empty", field.what))
            .help("name at least one scope: SendGrid can take an empty list for Full Access");
        return None;
    }
    field.texts(problems)
}
