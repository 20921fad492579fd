//! Accounts: parents and their children, credentials and limits.

use std::collections::BTreeMap;

use crate::identity::OnBehalfOf;
use crate::manifest::document::{AccountBlock, Document};
use crate::manifest::model::Account;
use crate::manifest::problem::Problems;
use crate::manifest::read::node::{At, Site};
use crate::manifest::resolve::unknown::unknown;
use crate::name::Name;

/// What SendGrid's documentation gives as the limit of an account.
const DEFAULT_KEY_LIMIT: u32 = 100;

pub(crate) fn accounts(document: &Document, problems: &mut Problems) -> BTreeMap<Name, Account> {
    if document.accounts.is_empty() && !problems.has_errors() {
        problems.error_nowhere(
            "no_accounts",
            "the manifest has no accounts",
            "add `accounts: { NAME: { api_key: { env: SENDGRID_API_KEY } } }`",
        );
    }
    let mut accounts = BTreeMap::new();
    for (name, block) in &document.accounts {
        let parent = parent(document, name, block, problems);
        let key_limit = block.key_limit.unwrap_or(DEFAULT_KEY_LIMIT);
        if let Some(max_keys) = block.max_keys.as_ref().filter(|max| max.value > key_limit) {
            let message = format!(
                "`max_keys` of account `{name}` is {}, and SendGrid allows {key_limit}",
                max_keys.value
            );
            problems
                .error("max_keys_over_limit", max_keys.site, message)
                .help("lower it, or set `key_limit` to what SendGrid allows in this account");
        }
        // The two go together: an account with its own managing key has its own key for reading, or none.
        let inherited = parent.filter(|_| block.api_key.is_none());
        let Some(api_key) = block.api_key.clone().or_else(|| parent?.api_key.clone()) else { continue };
        let subuser = block.subuser.as_ref().map(|name| OnBehalfOf::Subuser(name.value.clone()));
        let customer = block.account_id.as_ref().map(|id| OnBehalfOf::AccountId(id.value.clone()));
        let account = Account {
            name: name.clone(),
            parent: block.parent.as_ref().map(|parent| parent.value.clone()),
            api_key,
            plan_api_key: block.plan_api_key.clone().or_else(|| inherited?.plan_api_key.clone()),
            on_behalf_of: subuser.or(customer),
            region: block.region,
            key_limit,
            max_keys: block.max_keys.as_ref().map(|max| max.value),
            position: problems.position(block.site),
        };
        accounts.insert(name.clone(), account);
    }
    one_block_each(document, &accounts, problems);
    accounts
}

/// The block of an account's parent, where it has one that can be a parent.
fn parent<'d>(
    document: &'d Document,
    name: &Name,
    block: &AccountBlock,
    problems: &mut Problems,
) -> Option<&'d At<AccountBlock>> {
    let parent = block.parent.as_ref()?;
    let Some(found) = document.accounts.get(&parent.value) else {
        unknown(
            "account",
            parent.as_str(),
            parent.site,
            document.accounts.keys().map(Name::as_str),
            problems,
        );
        return None;
    };
    if parent.value == *name {
        problems
            .error("own_parent", parent.site, format!("account `{name}` is its own parent"))
            .help("name the account whose managing key acts for it");
        return None;
    }
    if found.parent.is_some() {
        let message = format!("the parent of account `{name}`, `{}`, has a parent itself", **parent);
        problems
            .error("nested_parent", parent.site, message)
            .also(found.site, "defined here")
            .help("name the account at the top, the one with its own `api_key`");
        return None;
    }
    Some(found)
}

/// Two blocks for one account at SendGrid would each take the other's keys for foreign.
fn one_block_each(document: &Document, accounts: &BTreeMap<Name, Account>, problems: &mut Problems) {
    let site = |name: &Name| document.accounts.get(name).map_or(Site::default(), |block| block.site);
    let mut seen: BTreeMap<String, &Name> = BTreeMap::new();
    for (name, account) in accounts {
        let identity = match (&account.parent, &account.on_behalf_of) {
            (Some(parent), Some(child)) => format!("{parent} {child}"),
            // That it says nothing of whose behalf it is on is said where the block is read.
            (Some(_), None) => continue,
            // A parent is whatever its managing key belongs to.
            _ => serde_json::json!([account.api_key, account.region]).to_string(),
        };
        if let Some(first) = seen.insert(identity, name) {
            problems
                .error(
                    "same_account",
                    site(name),
                    format!("accounts `{first}` and `{name}` are the same account"),
                )
                .here("again here")
                .also(site(first), "first here")
                .help("keep one of them, and let every key name that");
        }
    }
}
