//! What became of keys: `moved`, `import` and `removed`.

use crate::address::{Address, AddressError, AddressPattern};
use crate::key::KeyId;
use crate::manifest::bounds::{MAX_ENTRIES, MAX_KEYS, MAX_PATTERNS};
use crate::manifest::check::block::{Block, Field, tidy_part};
use crate::manifest::document::Document;
use crate::manifest::model::{Import, ImportKey, Moved, Removed, RemovedWhat};
use crate::manifest::problem::{Problems, Report};
use crate::manifest::read::node::{At, Node, Site};
use crate::text::redact::is_secret;
use crate::text::suggest::did_you_mean;

/// The blocks of a list.
fn blocks<T>(
    field: Option<Field<'_>>,
    shape: &str,
    most: usize,
    problems: &mut Problems,
    read: impl Fn(&Block<'_>, &Node, &mut Problems) -> Option<T>,
) -> Vec<At<T>> {
    let Some(field) = field else { return Vec::new() };
    let what = format!("an entry of `{}`", field.key);
    let mut entries = Vec::new();
    for node in field.items_up_to(most, "too_many_entries", problems).unwrap_or_default() {
        if let Some(block) = Block::read(node, node.site, what.as_str(), shape, problems)
            && let Some(value) = read(&block, node, problems)
        {
            entries.push(At::new(value, node.site));
        }
    }
    entries
}

/// The addresses that a text may have been meant for: those that the manifest comes to.
pub(crate) struct Meant(Vec<String>);

impl Meant {
    /// Enough to find a typo in; a manifest can come to a hundred thousand.
    const MOST: usize = 5_000;

    pub fn of(document: &Document) -> Self {
        let keys = || document.keys.keys().map(ToString::to_string);
        let environments = document.environments.iter().flat_map(|(name, block)| {
            let accounts: Vec<String> = match &block.accounts {
                Some(_) => document.accounts.keys().map(|account| format!("{account}/")).collect(),
                None => vec![String::new()],
            };
            let prefixes = accounts.into_iter().map(move |account| format!("{name}/{account}"));
            prefixes.flat_map(move |prefix| keys().map(move |key| format!("{prefix}{key}")))
        });
        let all: Vec<String> = if document.environments.is_empty() && document.patterns.is_empty() {
            keys().take(Self::MOST).collect()
        } else {
            environments.take(Self::MOST).collect()
        };
        Self(all)
    }

    /// `, did you mean …?`: an address that is close, or the text as far as an address can be made of it.
    fn question(&self, text: &str) -> String {
        let question = did_you_mean(text, &self.0);
        let tidy = || {
            let parts = text.split('/').filter_map(|part| tidy_part(part, |c| c == '*'));
            let tidy = parts.collect::<Vec<_>>().join("/").parse::<AddressPattern>().ok()?;
            // A mere `*` would cover more than was meant.
            let is_new = tidy.as_str() != text && tidy.as_str() != "*" && !is_secret(text);
            is_new.then(|| format!(", did you mean `{tidy}`?"))
        };
        if question.is_empty() { tidy().unwrap_or_default() } else { question }
    }
}

fn pattern(
    block: &Block<'_>,
    name: &str,
    meant: &Meant,
    problems: &mut Problems,
) -> Option<At<AddressPattern>> {
    let text = block.text(name, problems)?;
    match text.parse::<AddressPattern>() {
        Ok(pattern) => Some(At::new(pattern, text.site)),
        Err(error) => {
            not_an_address(&text, &error.to_string(), &meant.question(&text), problems).help(
                "an address is `key`, `environment/key` or `environment/account/key`; `*` stands for any characters",
            );
            None
        }
    }
}

fn not_an_address<'p>(
    text: &At<String>,
    why: &str,
    question: &str,
    problems: &'p mut Problems,
) -> Report<'p> {
    problems.error("invalid_address", text.site, format!("`{text}` is not an address: {why}{question}"))
}

pub(crate) fn moved(field: Option<Field<'_>>, meant: &Meant, problems: &mut Problems) -> Vec<At<Moved>> {
    let moved = blocks(field, "MovedBlock", MAX_ENTRIES, problems, |block, node, problems| {
        let from = pattern(block, "from", meant, problems);
        let to = pattern(block, "to", meant, problems);
        let (from, to) = (from?, to?);
        if from.value == to.value {
            problems
                .error("moved_nowhere", to.site, format!("`{}` is moved to itself", *from))
                .help("`from` is what the address was, `to` what it is now");
        }
        if from.stars() != to.stars() || from.stars() > 1 {
            let message = format!("`{}` and `{}` are not patterns of one form", *from, *to);
            problems
                .error("moved_pattern", to.site, message)
                .help("give each of them one `*`, which stands for the same in both, or none");
        }
        Some(Moved { from: from.value, to: to.value, position: problems.position(node.site) })
    });
    few_patterns("moved", moved.iter().map(|entry| (&entry.value.from, entry.site)), problems);
    moved
}

/// Patterns are held against every key, each of them.
fn few_patterns<'a>(
    what: &str,
    patterns: impl Iterator<Item = (&'a AddressPattern, Site)>,
    problems: &mut Problems,
) {
    let mut patterns = patterns.filter(|(pattern, _)| pattern.stars() > 0).skip(MAX_PATTERNS);
    if let Some((_, site)) = patterns.next() {
        let message = format!("`{what}` has more than {MAX_PATTERNS} entries with `*`");
        let help = "take out those that are carried out: `gridkey validate` says which";
        problems.exceeds("too_many_patterns", site, message).help(help);
    }
}

pub(crate) fn import(field: Option<Field<'_>>, meant: &Meant, problems: &mut Problems) -> Vec<At<Import>> {
    blocks(field, "ImportBlock", MAX_KEYS, problems, |block, node, problems| {
        let to = block.text("to", problems).and_then(|text| address(&text, meant, problems));
        let id = block.text("id", problems);
        let name = block.text("name", problems);
        let key = match (block.get("id"), block.get("name")) {
            (Some(_), Some(second)) => {
                problems
                    .error("two_imports", second.key.site, "an entry of `import` has both `id` and `name`")
                    .help("take one of them out; the id is the surer one");
                None
            }
            (None, None) => {
                problems
                    .error("missing_field", node.site, "an entry of `import` needs `id` or `name`")
                    .help("add `id: …`, the key's id at SendGrid");
                None
            }
            _ => {
                let id = id.and_then(|id| key_id(&id, problems)).map(ImportKey::Id);
                id.or_else(|| name.map(|name| ImportKey::Name(name.value)))
            }
        };
        Some(Import { to: to?, key: key?, position: problems.position(node.site) })
    })
}

/// The ID of a key. Any other text may be a secret, so it is not quoted.
fn key_id(text: &At<String>, problems: &mut Problems) -> Option<KeyId> {
    match KeyId::parse(text) {
        Ok(id) => Some(id),
        Err(error) => {
            problems.hide(text.site);
            problems
                .error("invalid_key_id", text.site, format!("the value of `id` is not shown: {error}"))
                .help("it is the middle of `SG.<id>.<secret>`; if the rest was given too, revoke that key");
            None
        }
    }
}

pub(crate) fn removed(field: Option<Field<'_>>, meant: &Meant, problems: &mut Problems) -> Vec<At<Removed>> {
    let removed = blocks(field, "RemovedBlock", MAX_ENTRIES, problems, |block, node, problems| {
        let from = pattern(block, "from", meant, problems);
        let account = block.name("account", problems);
        let revoke = block.bool("revoke", problems);
        let what = match (block.get("from"), block.get("account")) {
            (Some(_), Some(second)) => {
                problems
                    .error(
                        "two_removals",
                        second.key.site,
                        "an entry of `removed` has both `from` and `account`",
                    )
                    .help("make it two entries");
                None
            }
            (None, None) => {
                problems
                    .error("missing_field", node.site, "an entry of `removed` needs `from` or `account`")
                    .help("add `from: ADDRESS`, or `account: NAME` for all that is owned there");
                None
            }
            _ => {
                let account = account.map(|account| RemovedWhat::Account(account.value));
                account.or_else(|| from.map(|from| RemovedWhat::Address(from.value)))
            }
        };
        Some(Removed { what: what?, revoke: revoke?, position: problems.position(node.site) })
    });
    let patterns = removed.iter().filter_map(|entry| match &entry.value.what {
        RemovedWhat::Address(pattern) => Some((pattern, entry.site)),
        RemovedWhat::Account(_) => None,
    });
    few_patterns("removed", patterns, problems);
    removed
}

fn reason(error: &AddressError) -> String {
    match error {
        AddressError::Segments(_) => "it has more than three parts".to_string(),
        AddressError::Name { address: _, segment: _, source } => source.to_string(),
    }
}

/// An address without `*`.
pub(crate) fn address(text: &At<String>, meant: &Meant, problems: &mut Problems) -> Option<Address> {
    match text.parse::<Address>() {
        Ok(address) => Some(address),
        Err(error) => {
            not_an_address(text, &reason(&error), &meant.question(text), problems)
                .help("an address is `key`, `environment/key` or `environment/account/key`");
            None
        }
    }
}
