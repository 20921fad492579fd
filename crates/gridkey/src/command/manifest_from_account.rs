//! `init --from-account`: a manifest of the keys that are there, with the entries that adopt them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use gridkey_core::inventory::Grantable;
use gridkey_core::manifest::Credential;
use gridkey_core::manifest_from_account::{
    AccountEntry, LiveAccount, LiveKey, WrittenManifest, manifest_from_account,
};
use gridkey_core::{KeyId, OnBehalfOf, Region, SinkSettings};
use gridkey_engine::Concurrency;
use gridkey_engine::ports::{AccountReader, ReadError};
use gridkey_sendgrid::{BaseUrl, Client, Limits};
use gridkey_sinks::{Discovery, discover};

use crate::args::{Global, InitArguments, RegionChoice, SourceAccount};
use crate::command::init;
use crate::command::plan::progress;
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
    let account = of(&arguments.source);
    let reader = open(global, &account, &arguments.source).await?;
    let mut wanted = read(account, reader.as_ref(), global.concurrency()).await?;
    wanted.found = look(&arguments.source, &arguments.folder, &wanted.keys).await?;
    let written = manifest_from_account(&wanted);
    init::write(&arguments.folder, &written.text)?;
    say(&written, &wanted, !arguments.source.look_in.is_empty());
    Ok(Exit::Done)
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
    }
}

async fn open(
    global: &Global,
    account: &AccountEntry,
    source: &SourceAccount,
) -> Result<Arc<dyn AccountReader>, CommandError> {
    let credential = Credential::Env(source.api_key_env.clone());
    let key = credential::find(&credential, Path::new(".")).await.map_err(|unreadable| {
        CommandError::new(unreadable.message).help("name another variable with `--api-key-env`")
    })?;
    let base = global.sendgrid_url.clone().unwrap_or_else(|| match account.region {
        Region::Global => BaseUrl::global(),
        Region::Eu => BaseUrl::eu(),
    });
    let client = Client::new(base, key, Limits::default())
        .map_err(|error| CommandError::new("SendGrid cannot be asked").because(&error))?;
    let client = client.with_waits(Arc::new(Waits(progress(global))));
    Ok(Arc::new(RemoteReader::new(client, account.on_behalf_of.as_ref())))
}

/// One list, one look at each key, and what the managing key can grant.
async fn read(
    account: AccountEntry,
    reader: &dyn AccountReader,
    concurrency: Concurrency,
) -> Result<LiveAccount, CommandError> {
    let failed = |error: ReadError| {
        CommandError::new("the account cannot be read")
            .because(&error)
            .help("the managing key needs at least the scope `api_keys.read`; nothing was written")
    };
    let listing = reader.list().await.map_err(failed)?;
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
        if let Some(held) = held.map_err(failed)? {
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

/// Where the secrets of these keys are.
async fn look(
    source: &SourceAccount,
    folder: &Path,
    keys: &[LiveKey],
) -> Result<BTreeMap<KeyId, Vec<SinkSettings>>, CommandError> {
    let mut found: BTreeMap<KeyId, Vec<SinkSettings>> = BTreeMap::new();
    for (kind, prefix) in &source.look_in {
        let Discovery { found: places, skipped } =
            discover(*kind, prefix, folder).await.map_err(|error| {
                CommandError::new(format!("{} cannot be looked through", prefix.display())).because(&error)
            })?;
        for (path, why) in skipped {
            print::say(&format!("note: {} was not looked at: {}", path.display(), safe(why)));
        }
        for (at, id) in places {
            if keys.iter().any(|key| key.id == id) {
                let known = found.entry(id).or_default();
                if !known.contains(&at) {
                    known.push(at);
                }
            } else {
                let place = safe(at.place());
                print::say(&format!("note: {place} holds the key {id}, which is not live in this account"));
            }
        }
    }
    Ok(found)
}

fn say(written: &WrittenManifest, wanted: &LiveAccount, looked: bool) {
    for left in &written.left_out {
        print::say(&format!("left out: {} \"{}\": {}", left.id, safe(&left.name), left.why));
    }
    for (id, at) in &written.unnamed {
        print::say(&format!(
            "note: {} holds the key {id}, and no manifest can name that place",
            safe(at.place())
        ));
    }
    print::say(&format!("{} in the manifest", count(written.keys, "key")));
    if looked {
        print::say(&format!("the secrets of {} were found", count(wanted.found.len(), "key")));
    }
    print::say("look through it, and then: `gridkey plan`, which should propose nothing but adoption");
}
