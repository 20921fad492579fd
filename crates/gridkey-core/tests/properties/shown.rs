//! Whatever is edited of a key shows in the plan as a change of it.

use gridkey_core::inventory::AccountInventory;
use gridkey_core::manifest::WantedKey;
use gridkey_core::plan::{Due, Plan, Severity};
use gridkey_core::state::SecretStatus;
use gridkey_core::{Address, Name};

use crate::effect::is_told;
use crate::harness::{Broken, Property, Tally, broken};
use crate::selection::is_selected;
use crate::world::{APPLIED_TTL, Event, HISTORY, Recipe, World, granted};

/// Edits of what a key is, and of how long it lives.
const OF_KEYS: &[Event] = &[
    World::edit_scopes,
    World::edit_access,
    World::edit_name,
    World::edit_sinks,
    World::edit_owner,
    World::edit_protection,
    World::edit_on_delete,
    World::edit_rotation,
    World::edit_rotation,
    World::edit_account,
    World::ttl,
];

#[test]
fn whatever_is_edited_of_a_key_is_a_change() {
    let property = Property {
        name: "shown",
        always: &[OF_KEYS],
        events: &[OF_KEYS, HISTORY, crate::selection::SELECTED, crate::due::CHOSEN],
        later: &[],
        interesting: &[
            ("an edited key", 1200),
            ("an edit of its rotation alone", 300),
            ("an edit of a ttl", 15),
        ],
    };
    property.holds(check);
}

/// What of a key two manifests do not agree on.
fn differences(one: &WantedKey, other: &WantedKey) -> Vec<&'static str> {
    let WantedKey {
        address: _,
        account,
        name,
        access,
        sinks,
        // What is done about the next delivery changes nothing before.
        hooks: _,
        owner,
        description: _,
        protect,
        rotate,
        ttl: _,
        on_delete,
        position: _,
    } = one;
    let differs = [
        ("account", *account != other.account),
        ("name", *name != other.name),
        ("access", granted(access) != granted(&other.access)),
        ("sinks", *sinks != other.sinks),
        ("owner", *owner != other.owner),
        ("protection", *protect != other.protect),
        ("rotation", *rotate != other.rotate),
        ("`on_delete`", *on_delete != other.on_delete),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect()
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let world = recipe.world();
    let plan = world.plan();
    if world.options.due == Due::Only || world.selection.destroy {
        return Vec::new();
    }
    let stopped = plan
        .findings
        .iter()
        .any(|finding| matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount));
    if stopped {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (address, wanted) in &world.manifest.keys {
        let Some(applied) = world.applied.get(address) else { continue };
        if !is_selected(&world, address) || !is_there(&world, &applied.account, address) {
            continue;
        }
        let mut edited = differences(applied, wanted);
        if has_another_ttl(&world, address) {
            edited.push("ttl");
        }
        match edited[..] {
            [] => continue,
            ["rotation"] => tally.count("an edit of its rotation alone"),
            ["ttl"] => tally.count("an edit of a ttl"),
            _ => {}
        }
        tally.count("an edited key");
        if !is_shown(&plan, address) {
            let text = format!("{edited:?} of `{address}` was edited, and the plan has no change of it");
            // What goes to another account is decided as a whole.
            let kind = edited.iter().find(|what| **what == "account").unwrap_or(&edited[0]);
            all.push(broken(format!("not shown: {kind}"), text));
        }
    }
    all
}

fn is_shown(plan: &Plan, address: &Address) -> bool {
    plan.effective().any(|change| change.address == *address) || is_told(plan, address)
}

/// Whether a key is where the manifest that was applied had it, live, and with a secret that was delivered.
fn is_there(world: &World, account: &Name, address: &Address) -> bool {
    let Some(AccountInventory::Read(read)) = world.inventory.accounts.get(account) else { return false };
    world.states.get(account).and_then(|state| state.keys.get(address)).is_some_and(|key| {
        key.secret == SecretStatus::Delivered && read.live.contains_key(&key.id) && key.generation == 1
    })
}

fn has_another_ttl(world: &World, address: &Address) -> bool {
    let environment = address.environment.as_ref().and_then(|name| world.manifest.environments.get(name));
    environment.is_some_and(|known| known.pattern.is_some() && known.ttl != Some(APPLIED_TTL))
}
