//! `revoke`: a live key that gridkey does not own, by its name, asked twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use gridkey_core::inventory::Unreadable;
use gridkey_core::plan::Seed;
use gridkey_core::{KeyId, Marker, Name};
use gridkey_engine::ports::{AccountReader, AccountWriter, Deleted, WriteError};

use crate::args::{Global, RevokeArguments};
use crate::command::apply::{NOT_INTERACTIVE, close, open_session, who};
use crate::command::lifecycle::key_id;
use crate::command::plan::progress;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::Project;
use crate::timer::SystemTimer;
use crate::view::words::safe;

pub async fn run(global: &Global, arguments: &RevokeArguments) -> Result<Exit, CommandError> {
    if !arguments.yes && !print::is_interactive() {
        return Err(CommandError::usage(NOT_INTERACTIVE)
            .help("`--yes --name \"KEY NAME\"` revokes without asking, where the name is the key's"));
    }
    let id = key_id(&arguments.id)?;
    let project = Project::open(global).await?;
    let account = &arguments.account;
    if !project.manifest().accounts.contains_key(account) {
        let known: Vec<String> = project.manifest().accounts.keys().map(ToString::to_string).collect();
        return Err(CommandError::usage(format!("the manifest has no account `{account}`"))
            .help(format!("it has {}", known.join(", "))));
    }
    let names = BTreeSet::from([account.clone()]);
    let timer = Arc::new(SystemTimer::default());
    let seed = Seed(rand::random());
    // Under the lock, so that no run adopts the key meanwhile.
    let session =
        open_session(&project, &names, arguments.lock_timeout, "gridkey revoke", &timer, &seed, &who())
            .await?;
    let revoked = revoke(global, &project, account, &id, arguments).await;
    close(session).await;
    revoked
}

async fn revoke(
    global: &Global,
    project: &Project,
    account: &Name,
    id: &KeyId,
    arguments: &RevokeArguments,
) -> Result<Exit, CommandError> {
    let names = BTreeSet::from([account.clone()]);
    let writer = match project.writers(&names, &progress(global)).await.take(account) {
        Some(Ok(writer)) => writer,
        Some(Err(Unreadable { message, .. })) => {
            return Err(CommandError::new(format!("account `{account}` cannot be read: {message}")));
        }
        None => return Err(CommandError::new(format!("account `{account}` cannot be reached"))),
    };
    let listing = writer
        .list()
        .await
        .map_err(|error| CommandError::new(format!("account `{account}` cannot be read")).because(&error))?;
    refuse(project, account, id, writer.as_ref(), listing.keys.get(id)).await?;
    let Some(name) = listing.keys.get(id) else {
        return Err(CommandError::new(format!("account `{account}` has no live key {id}"))
            .help("it may be in another account, or revoked already; `gridkey audit` lists them all"));
    };
    if !confirmed(account, id, name, arguments)? {
        print::say("declined; nothing was changed");
        return Ok(Exit::Blocked);
    }
    match writer.delete(id).await {
        Ok(Deleted::Revoked) => {
            print::text(&format!("Revoked key {id} \"{}\" of account {account}.\n", safe(name)));
            Ok(Exit::Done)
        }
        Ok(Deleted::NotFound) => Err(CommandError::new(format!(
            "SendGrid lists the key {id}, and answers that there is none"
        ))
        .help("it may be so new that not every server knows it, or just revoked: look again in a minute")),
        Err(error @ WriteError::Unclear(_)) => {
            Err(CommandError::new(format!("whether the key {id} was revoked is not known"))
                .because(&error)
                .help("run the same command again: a key that is gone is said to be"))
        }
        Err(error) => Err(CommandError::new(format!("the key {id} could not be revoked")).because(&error)),
    }
}

/// Keys that this command leaves alone.
async fn refuse(
    project: &Project,
    account: &Name,
    id: &KeyId,
    reader: &dyn AccountWriter,
    name: Option<&String>,
) -> Result<(), CommandError> {
    let blocked = |message: String, help: String| {
        Err(CommandError { exit: Exit::Blocked, ..CommandError::new(message).help(help) })
    };
    let states = project.states().await?;
    // State remembers the one of the last run. Where this run works with another, that one is no longer it.
    let managing = AccountReader::managing_key(reader);
    let remembered = || states.values().any(|state| state.managing_key.as_ref() == Some(id));
    if managing.as_ref() == Some(id) || (managing.is_none() && remembered()) {
        return blocked(
            format!("{id} is the managing key itself, with which gridkey works"),
            "it is never revoked; put another one in its place by hand first (docs: recovery)".to_string(),
        );
    }
    for state in states.values() {
        let Some(address) = state.owned_ids().get(id).copied() else { continue };
        let is_current = state.keys.get(address).is_some_and(|key| &key.id == id);
        return match is_current {
            true => blocked(
                format!("gridkey owns the key {id}: it is `{address}`"),
                format!(
                    "`gridkey rotate {address}` puts a new one in its place, with `--revoke-old now` at once; to be \
                     rid of it, take it out of the manifest and apply"
                ),
            ),
            false => blocked(
                format!("the key {id} is an older one of `{address}`, and waits to be revoked"),
                format!("`gridkey retire {address} --now` revokes it now"),
            ),
        };
    }
    let marker = name.and_then(|name| Marker::in_name(name));
    let ours = marker.filter(|marker| {
        states
            .values()
            .any(|state| state.pending.contains_key(marker) || state.abandoned.contains_key(marker))
    });
    match ours {
        Some(marker) => blocked(
            format!("an earlier run of gridkey began the key {id} in account `{account}` (`{marker}`)"),
            "`gridkey apply` decides what becomes of it".to_string(),
        ),
        None => Ok(()),
    }
}

/// Asks twice, or holds the name that was given against the key's.
fn confirmed(
    account: &Name,
    id: &KeyId,
    name: &str,
    arguments: &RevokeArguments,
) -> Result<bool, CommandError> {
    if let Some(given) = arguments.name.as_ref().filter(|given| *given != name) {
        return Err(CommandError::usage(format!(
            "the key {id} is named \"{}\", and not \"{}\"",
            safe(name),
            safe(given)
        ))
        .help("nothing was changed; see whether it is the right key"));
    }
    if arguments.yes {
        return Ok(true);
    }
    let question = format!(
        "Revoke key {id} \"{}\" of account {account}? Whatever uses it fails from then on.",
        safe(name)
    );
    Ok(print::ask(&question)
        && print::ask_for(&format!("Write the key's name, \"{}\"", safe(name))) == safe(name))
}
