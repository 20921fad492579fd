//! `init --from-account`: a manifest of the keys that are there, with the entries that adopt them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use gridkey_core::inventory::Grantable;
use gridkey_core::manifest::Credential;
use gridkey_core::manifest_from_account::{
    AccountEntry, LiveAccount, LiveKey, WrittenManifest, manifest_from_accounts,
};
use gridkey_core::{KeyId, Name, OnBehalfOf, Region};
use gridkey_engine::Concurrency;
use gridkey_engine::ports::{AccountReader, ReadError};
use gridkey_sendgrid::{BaseUrl, Client, Limits};

use crate::args::{Global, InitArguments, RegionChoice, SourceAccount};
use crate::command::init;
use crate::command::look_in::look_in;
use crate::command::plan::progress;
use crate::command::subusers;
use crate::credential;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::Waits;
use crate::remote::RemoteReader;
use crate::view::words::{count, safe};

pub async fn run(global: &Global, arguments: &InitArguments) -> Result<Exit, CommandError> {
    if global.emulator {
        return Err(CommandError::usage("`--from-account` reads an account, and `--emulator` has none yet")
            .help("`gridkey init` without it writes a manifest to try out"));
    }
    let manifest = arguments.folder.join("gridkey.yaml");
    if manifest.exists() {
        return Err(CommandError::new(format!("{} is there already", manifest.display()))
            .help("nothing was changed; name another folder"));
    }
    let source = &arguments.source;
    let clients = Clients::open(global, source).await?;
    let own = of(source);
    let mut accounts = vec![read(own.clone(), &clients, global.concurrency()).await.map_err(unreadable)?];
    let unread = match source.all_subusers {
        false => Vec::new(),
        true => add_subusers(&mut accounts, &own, &clients, global.concurrency()).await?,
    };
    look_in(&source.look_in, &arguments.folder, &mut accounts).await?;
    let written = manifest_from_accounts(&accounts);
    init::write(&arguments.folder, &written.text)?;
    say(&written, &accounts, !source.look_in.is_empty());
    for (name, why) in &unread {
        print::say(&format!("left out: the account `{name}` cannot be read: {}", safe(why)));
    }
    Ok(if unread.is_empty() { Exit::Done } else { Exit::Blocked })
}

/// Reads every subuser; those that cannot be read, and why.
async fn add_subusers(
    accounts: &mut Vec<LiveAccount>,
    own: &AccountEntry,
    clients: &Clients,
    concurrency: Concurrency,
) -> Result<Vec<(Name, String)>, CommandError> {
    let subusers = subusers::entries(own, subusers::list(clients.of(own.region)).await?);
    let mut unread = Vec::new();
    let mut reads = stream::iter(subusers)
        .map(|entry| async move { (entry.name.clone(), read(entry, clients, concurrency).await) })
        .buffered(concurrency.accounts.get());
    while let Some((name, live)) = reads.next().await {
        match live {
            Err(error) => unread.push((name, error.message)),
            Ok(live) if subusers::shows_keys_of(&live, &accounts[0]) => {
                let why = "SendGrid shows the keys of the parent account for it";
                unread.push((name, why.to_string()));
            }
            Ok(live) => accounts.push(live),
        }
    }
    Ok(unread)
}

fn of(source: &SourceAccount) -> AccountEntry {
    let subuser = source.subuser.clone().map(OnBehalfOf::Subuser);
    AccountEntry {
        name: source.account.clone(),
        api_key: source.api_key_env.clone(),
        region: match source.region {
            RegionChoice::Global => Region::Global,
            RegionChoice::Eu => Region::Eu,
        },
        on_behalf_of: subuser.or_else(|| source.account_id.clone().map(OnBehalfOf::AccountId)),
        parent: None,
    }
}

/// A client for each region: a subuser that is pinned to one answers there alone.
struct Clients {
    global: Client,
    eu: Client,
}

impl Clients {
    async fn open(global: &Global, source: &SourceAccount) -> Result<Self, CommandError> {
        let credential = Credential::Env(source.api_key_env.clone());
        let open = async |base: BaseUrl| {
            let key = credential::find(&credential, Path::new(".")).await.map_err(|unreadable| {
                CommandError::new(unreadable.message).help("name another variable with `--api-key-env`")
            })?;
            let base = global.sendgrid_url.clone().unwrap_or(base);
            let client = Client::new(base, key, Limits::default())
                .map_err(|error| CommandError::new("SendGrid cannot be asked").because(&error))?;
            Ok::<_, CommandError>(client.with_waits(Arc::new(Waits(progress(global)))))
        };
        Ok(Self { global: open(BaseUrl::global()).await?, eu: open(BaseUrl::eu()).await? })
    }

    fn of(&self, region: Region) -> &Client {
        match region {
            Region::Global => &self.global,
            Region::Eu => &self.eu,
        }
    }
}

fn unreadable(error: ReadError) -> CommandError {
    CommandError::new("the account cannot be read")
        .because(&error)
        .help("the managing key needs at least the scope `api_keys.read`; nothing was written")
}

/// One list, one look at each key, and what the managing key can grant.
async fn read(
    account: AccountEntry,
    clients: &Clients,
    concurrency: Concurrency,
) -> Result<LiveAccount, ReadError> {
    let reader = &RemoteReader::new(clients.of(account.region).clone(), account.on_behalf_of.as_ref());
    let listing = reader.list().await?;
    let looks: Vec<(KeyId, String, Result<_, ReadError>)> = stream::iter(listing.keys)
        .map(|(id, name)| async move {
            let held = reader.held(&id).await;
            (id, name, held)
        })
        .buffer_unordered(concurrency.reads.get())
        .collect()
        .await;
    let mut keys = Vec::new();
    for (id, name, held) in looks {
        // One that was revoked in this moment is gone.
        if let Some(held) = held? {
            keys.push(LiveKey { id, name, scopes: held.scopes });
        }
    }
    let grantable = match reader.grantable().await {
        Ok(scopes) => Grantable::Known(scopes),
        Err(error) => Grantable::Unknown(error.message),
    };
    let managing_key = reader.managing_key();
    Ok(LiveAccount { account, keys, managing_key, grantable, found: BTreeMap::new() })
}

fn say(written: &WrittenManifest, accounts: &[LiveAccount], looked: bool) {
    for left in &written.left_out {
        print::say(&format!("left out: {} \"{}\": {}", left.id, safe(&left.name), left.why));
    }
    for (id, at) in &written.unnamed {
        print::say(&format!(
            "note: {} holds the key {id}, and no manifest can name that place",
            safe(at.place())
        ));
    }
    let of = match accounts.len() {
        1 => String::new(),
        accounts => format!(" of {}", count(accounts, "account")),
    };
    print::say(&format!("{}{of} in the manifest", count(written.keys, "key")));
    if looked {
        let found = accounts.iter().map(|account| account.found.len()).sum();
        print::say(&format!("the secrets of {} were found", count(found, "key")));
    }
    print::say("look through it, and then: `gridkey plan`, which should propose nothing but adoption");
}
