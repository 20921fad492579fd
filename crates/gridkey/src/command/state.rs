//! `state`: what gridkey owns, and its locks.

use gridkey_core::{Address, Name};

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::Project;
use crate::view::table::{Cell, Table};
use crate::view::words;

pub async fn list(global: &Global) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let mut table = Table::new();
    for (account, state) in project.states().await? {
        for (address, key) in &state.keys {
            let row =
                [address.to_string(), account.to_string(), key.id.to_string(), words::access(&key.access)];
            table.row(row.map(Cell::new).into(), Vec::new());
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
        print::out(&table.to_text(print::style(), ""));
    }
    Ok(Exit::Done)
}

pub async fn show(global: &Global, address: &Address) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    for (_, state) in project.states().await? {
        if let Some(key) = state.keys.get(address) {
            print::out(&format!("{:#}\n", serde_json::json!(key)));
            return Ok(Exit::Done);
        }
        if let Some((marker, pending)) = state.pending.iter().find(|(_, pending)| pending.address == *address)
        {
            print::out(&format!("{:#}\n", serde_json::json!({ "pending": { (marker.as_str()): pending } })));
            return Ok(Exit::Done);
        }
    }
    Err(CommandError::new(format!("state owns no key at `{address}`"))
        .help("`gridkey state list` shows what it owns"))
}

pub async fn unlock(global: &Global, account: &Name) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    if !project.manifest().accounts.contains_key(account) && !project.states().await?.contains_key(account) {
        return Err(CommandError::usage(format!("there is no account `{account}`")));
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
