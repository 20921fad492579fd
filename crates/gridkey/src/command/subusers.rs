//! The subusers of an account, for `init --from-account --all-subusers`.

use std::collections::BTreeSet;

use gridkey_core::manifest_from_account::{AccountEntry, LiveAccount, free_name};
use gridkey_core::{Name, OnBehalfOf, Region};
use gridkey_sendgrid::{Behalf, Client, Subuser};

use crate::exit::CommandError;

/// Every subuser, page by page: a page may be smaller than what was asked for, so only an empty one ends the list.
pub async fn list(client: &Client) -> Result<Vec<Subuser>, CommandError> {
    let mut all: Vec<Subuser> = Vec::new();
    let mut seen = BTreeSet::new();
    loop {
        let page = client.subusers(&Behalf::Own, all.len()).await.map_err(|error| {
            CommandError::new("the subusers of the account cannot be listed")
                .because(&error)
                .help("the managing key needs the scope `subusers.read`; nothing was written")
        })?;
        let before = all.len();
        all.extend(page.into_iter().filter(|subuser| seen.insert(subuser.username.clone())));
        if all.len() == before {
            return Ok(all);
        }
    }
}

/// What each subuser is called in the manifest.
pub fn entries(parent: &AccountEntry, subusers: Vec<Subuser>) -> Vec<AccountEntry> {
    let mut taken: BTreeSet<Name> = [parent.name.clone()].into();
    let mut entries: Vec<AccountEntry> = subusers
        .into_iter()
        .map(|Subuser { username, region }| AccountEntry {
            name: free_name(&username, &mut taken),
            api_key: parent.api_key.clone(),
            region: match region.as_deref() {
                Some("eu") => Region::Eu,
                Some(_) | None => Region::Global,
            },
            on_behalf_of: Some(OnBehalfOf::Subuser(username)),
            parent: Some(parent.name.clone()),
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// Whether an account shows keys of another one: then SendGrid did not hear on whose behalf it was asked.
pub fn shows_keys_of(account: &LiveAccount, parent: &LiveAccount) -> bool {
    account.keys.iter().any(|key| parent.keys.iter().any(|known| known.id == key.id))
}
