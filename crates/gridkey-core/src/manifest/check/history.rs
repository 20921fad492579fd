//! What became of keys: `moved`, `import` and `removed`.

use crate::address::{Address, AddressError};
use crate::key::KeyId;
use crate::manifest::check::block::{Block, Field};
use crate::manifest::check::value::address_pattern;
use crate::manifest::model::{Import, ImportKey, Moved, Removed, RemovedWhat};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Node};

/// The blocks of a list.
fn blocks<T>(
    field: Option<Field<'_>>,
    shape: &str,
    problems: &mut Problems,
    read: impl Fn(&Block<'_>, &Node, &mut Problems) -> Option<T>,
) -> Vec<At<T>> {
    let Some(field) = field else { return Vec::new() };
    let what = format!("an entry of `{}`", field.key);
    let mut entries = Vec::new();
    for node in field.items(problems).unwrap_or_default() {
        if let Some(block) = Block::read(node, node.site, what.as_str(), shape, problems)
            && let Some(value) = read(&block, node, problems)
        {
            entries.push(At::new(value, node.site));
        }
    }
    entries
}

fn pattern(block: &Block<'_>, name: &str, problems: &mut Problems) -> Option<At<String>> {
    let text = block.text(name, problems)?;
    address_pattern(&text, problems)
}

pub(crate) fn moved(field: Option<Field<'_>>, problems: &mut Problems) -> Vec<At<Moved>> {
    blocks(field, "MovedBlock", problems, |block, node, problems| {
        let from = pattern(block, "from", problems);
        let to = pattern(block, "to", problems);
        let (from, to) = (from?, to?);
        if from.value == to.value {
            problems
                .error("moved_nowhere", to.site, format!("`{from}` is moved to itself"))
                .help("`from` is what the address was, `to` what it is now");
        }
        let stars = |text: &str| text.matches('*').count();
        if stars(&from) != stars(&to) || stars(&from) > 1 {
            problems
                .error("moved_pattern", to.site, format!("`{from}` and `{to}` are not patterns of one form"))
                .help("give each of them one `*`, which stands for the same in both, or none");
        }
        Some(Moved { from: from.value, to: to.value, position: problems.position(node.site) })
    })
}

pub(crate) fn import(field: Option<Field<'_>>, problems: &mut Problems) -> Vec<At<Import>> {
    blocks(field, "ImportBlock", problems, |block, node, problems| {
        let to = block.text("to", problems).and_then(|text| address(&text, problems));
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
                let id = id.map(|id| ImportKey::Id(KeyId::new(id.value)));
                id.or_else(|| name.map(|name| ImportKey::Name(name.value)))
            }
        };
        Some(Import { to: to?, key: key?, position: problems.position(node.site) })
    })
}

pub(crate) fn removed(field: Option<Field<'_>>, problems: &mut Problems) -> Vec<At<Removed>> {
    blocks(field, "RemovedBlock", problems, |block, node, problems| {
        let from = pattern(block, "from", problems);
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
    })
}

fn reason(error: &AddressError) -> String {
    match error {
        AddressError::Segments(_) => "it has more than three parts".to_string(),
        AddressError::Name { address: _, segment: _, source } => source.to_string(),
    }
}

/// An address without `*`.
pub(crate) fn address(text: &At<String>, problems: &mut Problems) -> Option<Address> {
    match text.parse::<Address>() {
        Ok(address) => Some(address),
        Err(error) => {
            problems
                .error(
                    "invalid_address",
                    text.site,
                    format!("`{text}` is not an address: {}", reason(&error)),
                )
                .help("an address is `key`, `environment/key` or `environment/account/key`");
            None
        }
    }
}
