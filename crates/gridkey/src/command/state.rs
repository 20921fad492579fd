//! `state`: what gridkey owns, and its locks.

use std::collections::BTreeMap;

use gridkey_core::audit::AuditInput;
use gridkey_core::inventory::Inventory;
use gridkey_core::state::AccountState;
use gridkey_core::whois::keys_at;
use gridkey_core::{Address, Name};
use jiff::Timestamp;

use crate::args::{Global, TextOrJson};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::Project;
use crate::view;
use crate::view::Tone;
use crate::view::table::{Cell, Table};
use crate::view::words;

pub async fn list(global: &Global) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let mut table = Table::new();
    for (account, state) in project.states().await? {
        for (address, key) in &state.keys {
            let row =
                [address.to_string(), account.to_string(), key.id.to_string(), words::access(&key.access)];
            let older = key.retiring.iter().map(|older| {
                let until = match older.held {
                    true => "kept until `gridkey retire` says otherwise".to_string(),
                    false => format!("to be revoked after {}", words::time(older.after)),
                };
                Cell::toned(Tone::Faint, format!("older key {}, {until}", older.id))
            });
            table.row(row.map(Cell::new).into(), older.collect());
        }
        for (marker, pending) in &state.pending {
            let row = [
                pending.address.to_string(),
                account.to_string(),
                format!("pending {marker}"),
                words::access(&pending.access),
            ];
            table.row(row.map(Cell::new).into(), Vec::new());
        }
    }
    if table.is_empty() {
        print::say(&format!("nothing is owned yet; state is kept in {}", project.store.describe()));
    } else {
        print::text(&table.to_text(print::style(), ""));
    }
    Ok(Exit::Done)
}

pub async fn show(global: &Global, address: &Address, format: TextOrJson) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let states = project.states().await?;
    let shown = match format {
        TextOrJson::Json => document(&states, address),
        TextOrJson::Text => text(&project, &states, address),
    };
    let Some(shown) = shown else {
        return Err(CommandError::new(format!("state owns no key at `{address}`"))
            .help("`gridkey state list` shows what it owns"));
    };
    match format {
        TextOrJson::Json => print::out(&shown),
        TextOrJson::Text => print::text(&shown),
    }
    Ok(Exit::Done)
}

/// What is stored of an address.
fn document(states: &BTreeMap<Name, AccountState>, address: &Address) -> Option<String> {
    states.values().find_map(|state| {
        if let Some(key) = state.keys.get(address) {
            return Some(format!("{:#}\n", serde_json::json!(key)));
        }
        let (marker, pending) = state.pending.iter().find(|(_, pending)| pending.address == *address)?;
        Some(format!("{:#}\n", serde_json::json!({ "pending": { (marker.as_str()): pending } })))
    })
}

/// The same in words. No account and no sink is asked.
fn text(project: &Project, states: &BTreeMap<Name, AccountState>, address: &Address) -> Option<String> {
    let input = AuditInput {
        manifest: project.manifest(),
        states,
        inventory: &Inventory::default(),
        policy: project.policy.as_ref(),
        sinks: false,
    };
    let (keys, accounts) = keys_at(&input, address);
    let owned = states.values().filter_map(|state| state.keys.get(address));
    let owned = owned.map(|key| (key.id.clone(), key)).collect();
    let begun: Vec<_> = states.values().flat_map(|state| state.pending.values()).collect();
    let begun: Vec<_> = begun.into_iter().filter(|begun| begun.address == *address).collect();
    let text = view::state::address(&keys, &accounts, &owned, &begun, print::style(), Timestamp::now());
    (!keys.is_empty()).then_some(text)
}

pub async fn unlock(global: &Global, account: &Name) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    if !project.manifest().accounts.contains_key(account) && !project.states().await?.contains_key(account) {
        let known: Vec<String> = project.manifest().accounts.keys().map(ToString::to_string).collect();
        return Err(CommandError::usage(format!("there is no account `{account}`"))
            .help(format!("the manifest has {}", known.join(", "))));
    }
    let lifted = project.store.lift(account).await;
    let lifted = lifted.map_err(|error| CommandError::new("the lock was not lifted").because(&error))?;
    print::say(&match lifted {
        Some(holder) => format!(
            "lifted the lock that {} left, process {}, since {}",
            holder.who,
            holder.process,
            words::time(holder.since)
        ),
        None => format!("the state of account `{account}` is not locked"),
    });
    Ok(Exit::Done)
}
