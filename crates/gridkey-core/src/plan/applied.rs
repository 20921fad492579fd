//! The key that a manifest would ask for, were it to ask for what was last applied.

use crate::access::{Access, Scopes};
use crate::address::Address;
use crate::manifest::{Account, Lifecycle, Manifest, WantedAccess, WantedKey, WantedScopes};
use crate::state::OwnedKey;

/// What state says of a key, as something to want.
pub(crate) fn as_applied(
    manifest: &Manifest,
    account: &Account,
    address: &Address,
    owned: &OwnedKey,
) -> WantedKey {
    let wanted = manifest.keys.get(address);
    let written =
        |scopes: &Scopes| WantedScopes { written: scopes.as_set().clone(), ..WantedScopes::default() };
    // A document that is older than the field goes by the manifest.
    let lifecycle = owned.lifecycle.or(wanted.map(WantedKey::lifecycle));
    let Lifecycle { rotate, ttl } = lifecycle.unwrap_or_default();
    WantedKey {
        address: address.clone(),
        account: account.name.clone(),
        name: owned.name.clone(),
        access: match &owned.access {
            Access::Full => WantedAccess::Full,
            Access::Restricted(scopes) => WantedAccess::Restricted(written(scopes).into()),
            Access::Billing(scopes) => WantedAccess::Billing(written(scopes).into()),
        },
        sinks: owned.sinks.iter().map(|delivery| delivery.location.clone()).collect(),
        // State says of hooks alone which are due; what is to be done is what the manifest says.
        hooks: wanted.map(|wanted| wanted.hooks.clone()).unwrap_or_default(),
        owner: owned.owner.clone(),
        description: None,
        protect: owned.protect,
        rotate,
        ttl,
        on_delete: owned.on_delete,
        position: wanted.map_or_else(|| account.position.clone(), |wanted| wanted.position.clone()),
    }
}
