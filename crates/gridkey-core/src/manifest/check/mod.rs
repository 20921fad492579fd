//! Checks the tree of a merged manifest and reads it into a typed document, collecting every error on the way.

pub(crate) mod block;
mod history;
mod key;
mod pattern;
mod policy;
pub(crate) mod tagged;
pub(crate) mod value;

use std::collections::BTreeMap;

use crate::identity::Region;
use crate::manifest::bounds::MAX_BLOCKS;
use crate::manifest::check::block::{Block, Field, bad_name, name_of, named_blocks};
use crate::manifest::check::value::{credential, length, name_pattern};
use crate::manifest::document::{AccountBlock, Document, EnvironmentBlock, ExceptionTarget};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Entry, Node, Site};
use crate::name::Name;

pub(crate) use policy::policy_file;

/// The most keys that a limit can speak of: SendGrid's own limit is 100.
const MOST_KEYS: u32 = 100_000;

/// Reads a merged manifest.
pub(crate) fn document(root: &Node, problems: &mut Problems) -> Document {
    let mut document = Document::default();
    let Some(block) = Block::read(root, root.site, "the manifest", "ManifestFile", problems) else {
        return document;
    };
    document.project = block.name("project", problems);
    if let Some(field) = block.get("state") {
        let store = tagged::store(field.node, field.key.site, problems);
        document.state = store.map(|store| At::new(store, field.key.site));
    }
    document.accounts = table(block.get("accounts"), "account", account, problems);
    document.sinks = table(
        block.get("sinks"),
        "sink",
        |entry, what, problems| tagged::sink(&entry.node, entry.key.site, what, problems),
        problems,
    );
    document.scope_sets = table(block.get("scope_sets"), "scope set", scope_set, problems);
    if let Some(field) = block.get("defaults")
        && let Some(defaults) =
            Block::read(field.node, field.key.site, "`defaults`", "DefaultsBlock", problems)
    {
        document.defaults = key::settings(&defaults, problems);
    }
    environments(block.get("environments"), &mut document, problems);
    document.keys = table(
        block.get("keys"),
        "key",
        |entry, what, problems| key::key(entry, what, "KeyBlock", problems),
        problems,
    );
    let meant = history::Meant::of(&document);
    document.moved = history::moved(block.get("moved"), &meant, problems);
    document.import = history::import(block.get("import"), &meant, problems);
    document.removed = history::removed(block.get("removed"), &meant, problems);
    if let Some(field) = block.get("policy") {
        policy::policy(&field, &meant, &mut document, problems);
    }
    document
}

/// A mapping from names to blocks.
fn table<T>(
    field: Option<Field<'_>>,
    noun: &str,
    read: impl Fn(&Entry, &str, &mut Problems) -> T,
    problems: &mut Problems,
) -> BTreeMap<Name, At<T>> {
    let mut table = BTreeMap::new();
    let Some(field) = field else { return table };
    let Some(entries) = named_blocks(&field, MAX_BLOCKS, problems) else { return table };
    for entry in entries {
        let value = read(entry, &format!("{noun} `{}`", entry.key), problems);
        if let Some(name) = name_of(&entry.key, problems) {
            table.insert(name.value, At::new(value, name.site));
        }
    }
    table
}

fn account(entry: &Entry, what: &str, problems: &mut Problems) -> AccountBlock {
    let site = entry.key.site;
    let Some(block) = Block::read(&entry.node, site, what, "AccountBlock", problems) else {
        return AccountBlock::default();
    };
    let secret = |name: &str, problems: &mut Problems| {
        block.get(name).and_then(|field| credential(field.node, &field.what, problems))
    };
    let api_key = secret("api_key", problems);
    let plan_api_key = secret("plan_api_key", problems);
    let limit = |name: &str, problems: &mut Problems| {
        block.get(name).and_then(|field| field.integer(1..=MOST_KEYS, problems))
    };
    let key_limit = limit("key_limit", problems).map(|limit| limit.value);
    let account = AccountBlock {
        api_key,
        plan_api_key,
        parent: block.name("parent", problems),
        subuser: block.text("subuser", problems),
        account_id: block.text("account_id", problems),
        region: block
            .choice("region", &[("global", Region::Global), ("eu", Region::Eu)], problems)
            .map(|region| region.value)
            .unwrap_or_default(),
        key_limit,
        max_keys: limit("max_keys", problems),
    };
    check_parentage(&block, what, problems);
    account
}

/// An account is a parent with its own managing key, or a child that says on whose behalf it is reached.
fn check_parentage(block: &Block<'_>, what: &str, problems: &mut Problems) {
    let has = |name: &str| block.get(name);
    match (has("parent"), has("subuser"), has("account_id")) {
        (_, Some(_), Some(second)) => {
            let message = format!("{what} has both `subuser` and `account_id`");
            problems
                .error("two_identities", second.key.site, message)
                .help("a subuser is reached by its user name, a customer account by its id; take one out");
        }
        (Some(_), None, None) => {
            let message = format!("{what} has a parent, and neither `subuser` nor `account_id`");
            problems.error("no_identity", block.site, message).help(
                "add `subuser: NAME` or `account_id: ID`: without it the requests would reach the \
                    parent itself",
            );
        }
        (None, Some(child), None) | (None, None, Some(child)) => {
            let message = format!("{what} has `{}` and no parent", child.key);
            problems
                .error("no_parent", child.key.site, message)
                .help("add `parent: ACCOUNT`, the account whose managing key acts for it");
        }
        (None, None, None) if has("api_key").is_none() => {
            let message = format!("{what} has neither `api_key` nor `parent`");
            problems
                .error("no_api_key", block.site, message)
                .help("say where its managing key is found: `api_key: { env: SENDGRID_API_KEY }`");
        }
        (None, None, None) | (Some(_), ..) => {}
    }
}

fn scope_set(entry: &Entry, what: &str, problems: &mut Problems) -> Vec<At<String>> {
    let field = Field { key: &entry.key, node: &entry.node, what: what.to_string() };
    field.some_texts(problems).map(|texts| texts.value).unwrap_or_default()
}

fn environments(field: Option<Field<'_>>, document: &mut Document, problems: &mut Problems) {
    let Some(field) = field else { return };
    for Entry { key, node } in named_blocks(&field, MAX_BLOCKS, problems).unwrap_or_default() {
        let what = format!("environment `{key}`");
        if key.contains('*') {
            let block = environment(node, key.site, &what, "PatternBlock", problems);
            if let Some(pattern) = name_pattern(key, problems) {
                document.patterns.insert(pattern.value, At::new(block, key.site));
            }
        } else {
            if let Some(ttl) = ttl_of_named(node) {
                problems
                    .error(
                        "ttl_without_pattern",
                        ttl,
                        "`ttl` is only for pattern environments such as `\"pr-*\"`",
                    )
                    .help(format!("take it out of {what}, or make that a pattern"));
            }
            let block = environment(node, key.site, &what, "PatternBlock", problems);
            if let Some(name) = name_of(key, problems) {
                document.environments.insert(name.value, At::new(block, name.site));
            }
        }
    }
}

/// Where a named environment has `ttl`, which is a field of patterns alone.
fn ttl_of_named(node: &Node) -> Option<Site> {
    let crate::manifest::read::node::Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.key.value == "ttl").map(|entry| entry.key.site)
}

fn environment(
    node: &Node,
    site: Site,
    what: &str,
    shape: &str,
    problems: &mut Problems,
) -> EnvironmentBlock {
    let Some(block) = Block::read(node, site, what, shape, problems) else {
        return EnvironmentBlock::default();
    };
    let settings = key::settings(&block, problems);
    if let (Some(_), Some(accounts)) = (block.get("account"), block.get("accounts")) {
        problems
            .error("two_accounts", accounts.key.site, format!("{what} has both `account` and `accounts`"))
            .help("`account` is where its keys live; with `accounts` each key exists once in each of them");
    }
    let accounts = block.get("accounts").map(|field| {
        let texts = field.some_texts(problems).map(|texts| texts.value).unwrap_or_default();
        At::new(texts.iter().filter_map(|text| name_pattern(text, problems)).collect(), field.key.site)
    });
    let max_keys = block.get("max_keys").and_then(|field| field.integer(1..=MOST_KEYS, problems));
    let ttl = block.get("ttl").and_then(|field| length(&field, problems));
    let mut exceptions = BTreeMap::new();
    if let Some(field) = block.get("keys") {
        for entry in named_blocks(&field, MAX_BLOCKS, problems).unwrap_or_default() {
            let what = format!("the exception for `{}` in {what}", entry.key);
            let exception = key::exception(entry, &what, problems);
            if let Some(target) = exception_target(&entry.key, problems) {
                exceptions.insert(target, At::new(exception, entry.key.site));
            }
        }
    }
    EnvironmentBlock {
        settings,
        accounts,
        max_keys: max_keys.map(|limit| limit.value),
        ttl: ttl.map(|ttl| ttl.value),
        exceptions,
    }
}

/// `key` or `account/key`.
fn exception_target(text: &At<String>, problems: &mut Problems) -> Option<ExceptionTarget> {
    let (account, key) = match text.split_once('/') {
        Some((account, key)) => (Some(account), key),
        None => (None, text.as_str()),
    };
    match (account.map(Name::new).transpose(), Name::new(key)) {
        (Ok(account), Ok(key)) => Some(ExceptionTarget { account, key }),
        (Err(error), _) | (_, Err(error)) => {
            bad_name(text, error, problems);
            None
        }
    }
}
