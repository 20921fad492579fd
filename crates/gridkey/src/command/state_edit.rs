//! `state move` and `state forget`: hand work on state, under its lock. SendGrid and the sinks are not asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gridkey_core::plan::{Seed, broken_by_move};
use gridkey_core::state::AccountState;
use gridkey_core::{Address, Name};
use gridkey_engine::ports::StoreWriteError;
use gridkey_engine::session::{LockedAccount, Session};

use crate::args::{BookConfirmation, Global};
use crate::command::apply::{NOT_INTERACTIVE, close, open_session, who};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::Project;
use crate::timer::SystemTimer;

pub async fn move_key(
    global: &Global,
    from: &Address,
    to: &Address,
    confirm: &BookConfirmation,
) -> Result<Exit, CommandError> {
    interactive(confirm)?;
    let project = Project::open(global).await?;
    let states = project.states().await?;
    let account = account_of(&project, from).await?;
    if from == to {
        return Err(CommandError::usage(format!("`{from}` is its address already")));
    }
    let taken = states.values().any(|state| state.keys.contains_key(to) || is_begun(state, to));
    if taken {
        return Err(CommandError::usage(format!("`{to}` has a key already"))
            .help("move that one away first, or let go of it with `gridkey state forget`"));
    }
    if !project.manifest().keys.contains_key(to) {
        print::say(&format!(
            "note: the manifest has no `{to}`; unless it gets one, the next apply revokes that key"
        ));
    }
    let policy = project.policy.as_ref();
    let key = &states[&account].keys[from];
    if let Some(broken) =
        broken_by_move(project.manifest(), policy, &account, key, (from, to)).into_iter().next()
    {
        return Err(CommandError {
            exit: Exit::Blocked,
            ..CommandError::new(broken.message).help(broken.help.unwrap_or_default())
        });
    }
    let question = format!("Make `{from}` of account `{account}` known as `{to}`?");
    let (from, new) = (from.clone(), to.clone());
    write(&project, &account, confirm, &question, "gridkey state move", move |state| {
        state.moved(&[(from, new)]);
    })
    .await
}

pub async fn forget(
    global: &Global,
    addresses: &[Address],
    confirm: &BookConfirmation,
) -> Result<Exit, CommandError> {
    interactive(confirm)?;
    let project = Project::open(global).await?;
    let states = project.states().await?;
    let mut by_account: std::collections::BTreeMap<Name, Vec<Address>> = std::collections::BTreeMap::new();
    for address in addresses {
        let account = account_of(&project, address).await?;
        let state = &states[&account];
        if state.keys.get(address).is_some_and(|key| key.protect) {
            return Err(CommandError {
                exit: Exit::Blocked,
                ..CommandError::new(format!("`{address}` is protected, and would be forgotten"))
                    .help("apply `protect: false` on the key in a run of its own first")
            });
        }
        if is_begun(state, address) {
            return Err(CommandError {
                exit: Exit::Blocked,
                ..CommandError::new(format!(
                    "an earlier run began a key for `{address}` and broke off, so it cannot be let go of yet"
                ))
                .help("`gridkey apply` settles that")
            });
        }
        by_account.entry(account).or_default().push(address.clone());
    }
    for (account, addresses) in by_account {
        let listed: Vec<String> = addresses.iter().map(|address| format!("`{address}`")).collect();
        let ids: Vec<String> = addresses
            .iter()
            .flat_map(|address| states[&account].keys.get(address))
            .flat_map(|key| std::iter::once(&key.id).chain(key.retiring.iter().map(|retiring| &retiring.id)))
            .map(ToString::to_string)
            .collect();
        print::say(&format!(
            "these keys of account `{account}` stay live, no longer managed by gridkey: {}",
            ids.join(", ")
        ));
        let question = format!("Let go of {}?", listed.join(", "));
        let exit = write(&project, &account, confirm, &question, "gridkey state forget", move |state| {
            for address in &addresses {
                if let Some(key) = state.keys.get(address) {
                    let id = key.id.clone();
                    state.forgotten(address, &id);
                }
            }
        })
        .await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    Ok(Exit::Done)
}

fn interactive(confirm: &BookConfirmation) -> Result<(), CommandError> {
    if confirm.yes || print::is_interactive() {
        return Ok(());
    }
    Err(CommandError::usage(NOT_INTERACTIVE).help("nothing was changed"))
}

fn is_begun(state: &AccountState, address: &Address) -> bool {
    state.pending.values().any(|pending| pending.address == *address)
}

/// The account whose state owns an address.
async fn account_of(project: &Project, address: &Address) -> Result<Name, CommandError> {
    let states = project.states().await?;
    let owning: Vec<&Name> =
        states.iter().filter(|(_, state)| state.keys.contains_key(address)).map(|(name, _)| name).collect();
    match owning[..] {
        [one] => Ok(one.clone()),
        [] => Err(CommandError::usage(format!("state has no key at `{address}`"))
            .help("`gridkey state list` shows those there are")),
        ref several => {
            let listed: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
            Err(CommandError::new(format!("`{address}` is on its way from one account to another"))
                .help(format!("`gridkey apply` ends that; it is in {}", listed.join(" and "))))
        }
    }
}

/// Asks, and changes one account's document under its lock, if it is still what was looked at.
async fn write(
    project: &Project,
    account: &Name,
    confirm: &BookConfirmation,
    question: &str,
    what: &str,
    change: impl FnOnce(&mut AccountState),
) -> Result<Exit, CommandError> {
    if !confirm.yes && !print::ask(question) {
        print::say("declined; nothing was changed");
        return Ok(Exit::Blocked);
    }
    let looked_at = project.states().await?.remove(account);
    let timer = Arc::new(SystemTimer::default());
    let (names, seed) = (BTreeSet::from([account.clone()]), Seed(rand::random()));
    let timeout: Duration = confirm.lock_timeout;
    let mut session = open_session(project, &names, timeout, what, &timer, &seed, &who()).await?;
    let written = change_locked(project, account, &mut session, looked_at.as_ref(), change).await;
    close(session).await;
    written?;
    print::say("done; SendGrid and the sinks are as they were");
    Ok(Exit::Done)
}

async fn change_locked(
    project: &Project,
    account: &Name,
    session: &mut Session,
    looked_at: Option<&AccountState>,
    change: impl FnOnce(&mut AccountState),
) -> Result<(), CommandError> {
    let Some(LockedAccount { state, version, lock: _ }) = session.accounts.get_mut(account) else {
        return Err(CommandError::new(format!("account `{account}` has no state")));
    };
    if looked_at.is_none_or(|before| before.keys != state.keys || before.pending != state.pending) {
        return Err(CommandError::new("the state was changed by another run just now")
            .help("nothing was changed; look at it again, and run again"));
    }
    change(state);
    state.serial += 1;
    let written = project.store.write(account, state, version.as_ref()).await;
    *version = Some(written.map_err(|error: StoreWriteError| {
        CommandError::new("the state could not be written").because(&error)
    })?);
    Ok(())
}
