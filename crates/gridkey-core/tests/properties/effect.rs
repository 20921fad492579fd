//! What steps do, as the oracles see it. A step that is new does not compile before it is said here what it does.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::hook::HookSettings;
use gridkey_core::inventory::AccountInventory;
use gridkey_core::plan::{Change, Code, Plan, RevokeOld, Severity, Step};
use gridkey_core::state::Purpose;
use gridkey_core::{Access, Address, KeyId, LocationId, Marker, Name};

use crate::world::World;

/// Something that a step does, in an account.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Move {
        from: Address,
        to: Address,
    },
    Adopt {
        id: KeyId,
        to: Address,
    },
    Forget {
        id: KeyId,
    },
    Mint {
        address: Address,
        name: String,
        access: Access,
    },
    Write {
        id: KeyId,
        name: String,
        access: Option<Access>,
    },
    /// The secret is put in a location.
    Put {
        address: Address,
        location: LocationId,
    },
    Clear {
        location: LocationId,
    },
    Revoke {
        id: KeyId,
        when: When,
    },
    /// Somebody is told of a delivery.
    Run {
        address: Address,
        does: HookSettings,
        /// As an earlier run was to do.
        begun: bool,
    },
    /// State alone is told something of a key.
    Note {
        address: Address,
        what: &'static str,
    },
}

/// When a key is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// By this plan.
    Now,
    /// By a later one.
    Later,
    /// By this plan, as what is left of a creation that broke off and that no sink has.
    CleanUp,
}

pub fn effects(change: &Change) -> Vec<Effect> {
    change.steps.iter().flat_map(|step| of_step(change, step)).collect()
}

fn puts<'a>(address: &Address, all: impl IntoIterator<Item = &'a gridkey_core::SinkLocation>) -> Vec<Effect> {
    all.into_iter()
        .map(|location| Effect::Put { address: address.clone(), location: location.id() })
        .collect()
}

fn later(id: &KeyId) -> Effect {
    Effect::Revoke { id: id.clone(), when: When::Later }
}

fn now(id: &KeyId) -> Effect {
    Effect::Revoke { id: id.clone(), when: When::Now }
}

fn clears<'a>(all: impl IntoIterator<Item = &'a gridkey_core::SinkLocation>) -> Vec<Effect> {
    all.into_iter().map(|location| Effect::Clear { location: location.id() }).collect()
}

pub fn of_step(change: &Change, step: &Step) -> Vec<Effect> {
    let address = change.address.clone();
    match step {
        Step::Move { from } => vec![Effect::Move { from: from.clone(), to: address }],
        Step::Adopt(adopt) => vec![Effect::Adopt { id: adopt.id.clone(), to: address }],
        Step::Forget { id } => vec![Effect::Forget { id: id.clone() }],
        Step::FinishPending(finish) => {
            let mut all = puts(&address, finish.puts.iter().map(|put| &put.location));
            // What was begun is made.
            if let Some(after) = &change.after {
                let (name, access) = (after.name.clone(), after.access.clone());
                all.push(Effect::Mint { address, name, access });
            }
            all
        }
        Step::RevokePending { marker: _, id } | Step::RevokeAbandoned { id } => {
            vec![Effect::Revoke { id: id.clone(), when: When::CleanUp }]
        }
        Step::DiscardPending { marker: _, id, clear } => {
            let mut all = vec![now(id)];
            all.extend(clears(clear));
            all
        }
        Step::AbandonPending { marker: _ } => Vec::new(),
        Step::RetireKey { id, .. } => vec![now(id)],
        Step::PostponeRetirement { .. } => vec![Effect::Note { address, what: "postponed" }],
        Step::RetireLocation { location, kept_for, .. } => match kept_for {
            Some(_) => Vec::new(),
            None => clears([location]),
        },
        Step::Delete(delete) => {
            let mut all: Vec<Effect> = delete.keys.iter().map(|key| now(&key.id)).collect();
            all.extend(clears(&delete.clear));
            all
        }
        Step::RevokeFirst { id, .. } | Step::RevokeOlder { id, .. } => vec![now(id)],
        Step::Rename { id, name } => vec![Effect::Write { id: id.clone(), name: name.clone(), access: None }],
        Step::Update { id, name, access, patterns: _ } => {
            vec![Effect::Write { id: id.clone(), name: name.clone(), access: Some(access.clone()) }]
        }
        Step::Deliver { id: _, source: _, to, hooks: _ } => {
            puts(&address, to.iter().map(|put| &put.location))
        }
        Step::RunHooks { hooks, begun, due: _ } => hooks
            .iter()
            .map(|hook| Effect::Run { address: address.clone(), does: hook.does.clone(), begun: *begun })
            .collect(),
        Step::Record(_) => vec![Effect::Note { address, what: "recorded" }],
        Step::Mint(mint) => {
            let mut all = puts(&address, mint.puts.iter().map(|put| &put.location));
            if let (Purpose::Replace(id), RevokeOld::AfterOverlap | RevokeOld::Hold) =
                (&mint.purpose, mint.older)
            {
                all.push(later(id));
            }
            let (name, access) = (mint.name.clone(), mint.access.clone());
            all.push(Effect::Mint { address, name, access });
            all
        }
    }
}

/// The ids and addresses that a step is about, besides its own address.
pub fn named(step: &Step) -> (Vec<&KeyId>, Vec<&Marker>, Vec<&Address>) {
    match step {
        Step::Move { from } => (Vec::new(), Vec::new(), vec![from]),
        Step::Adopt(adopt) => (vec![&adopt.id], Vec::new(), Vec::new()),
        Step::FinishPending(finish) => {
            let uncertain = finish.uncertain.iter();
            let mut ids = vec![&finish.id];
            ids.extend(uncertain.clone().map(|key| &key.id));
            let mut markers = vec![&finish.marker];
            markers.extend(uncertain.map(|key| &key.marker));
            (ids, markers, Vec::new())
        }
        Step::RevokePending { marker, id } | Step::DiscardPending { marker, id, .. } => {
            (vec![id], vec![marker], Vec::new())
        }
        Step::AbandonPending { marker } => (Vec::new(), vec![marker], Vec::new()),
        Step::Forget { id }
        | Step::RevokeAbandoned { id }
        | Step::RetireKey { id, .. }
        | Step::PostponeRetirement { id, .. }
        | Step::RevokeFirst { id, .. }
        | Step::RevokeOlder { id, .. }
        | Step::Rename { id, .. }
        | Step::Update { id, .. }
        | Step::Deliver { id, .. } => (vec![id], Vec::new(), Vec::new()),
        Step::RetireLocation { .. } | Step::RunHooks { .. } | Step::Record(_) => {
            (Vec::new(), Vec::new(), Vec::new())
        }
        Step::Delete(delete) => {
            (delete.keys.iter().map(|key| &key.id).collect(), delete.abandon.iter().collect(), Vec::new())
        }
        Step::Mint(mint) => {
            let older = match &mint.purpose {
                Purpose::Create => None,
                Purpose::Replace(id) | Purpose::Follow(id) => Some(id),
            };
            let uncertain = mint.uncertain.iter();
            let ids = older.into_iter().chain(uncertain.clone().map(|key| &key.id)).collect();
            (ids, uncertain.map(|key| &key.marker).collect(), Vec::new())
        }
    }
}

/// The address of every id that state knows, and of live ones that carry a marker of its own.
pub fn known_ids(world: &World) -> BTreeMap<KeyId, Address> {
    let mut known = BTreeMap::new();
    for (name, state) in &world.states {
        for (address, key) in &state.keys {
            known.insert(key.id.clone(), address.clone());
            for retiring in &key.retiring {
                known.insert(retiring.id.clone(), address.clone());
            }
        }
        let Some(AccountInventory::Read(read)) = world.inventory.accounts.get(name) else { continue };
        let pending = state.pending.iter().map(|(marker, pending)| (marker, &pending.address));
        let abandoned = state.abandoned.iter().map(|(marker, abandoned)| (marker, &abandoned.address));
        for (marker, address) in pending.chain(abandoned) {
            let carries = read.live.iter().filter(|(_, live)| live.ends_with(&format!("[gridkey:{marker}]")));
            for (id, _) in carries {
                known.entry(id.clone()).or_insert_with(|| address.clone());
            }
        }
    }
    known
}

/// Whether all of a plan, or an account's part of it, is not carried out.
pub fn is_blocked(plan: &Plan, account: &Name) -> bool {
    plan.findings.iter().any(|finding| match finding.severity {
        Severity::Blocks => true,
        Severity::BlocksAccount => finding.account.as_ref() == Some(account),
        Severity::Allowed | Severity::Warns => false,
    })
}

/// Whether a finding that blocks has this code and is about one of these addresses.
pub fn blocks_with(plan: &Plan, code: Code, addresses: &BTreeSet<Address>) -> bool {
    plan.findings.iter().any(|finding| {
        finding.code == code
            && matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount)
            && finding.address.as_ref().is_some_and(|address| addresses.contains(address))
    })
}

/// Whether some finding is about an address, or names it, other than those that are about what a key may do: they
/// say nothing of what is left.
pub fn is_told(plan: &Plan, address: &Address) -> bool {
    const ABOUT_KEYS: [Code; 13] = [
        Code::ForbiddenScope,
        Code::FullAccess,
        Code::KeyManagement,
        Code::MissingOwner,
        Code::MissingRotation,
        Code::MissingSink,
        Code::ModeChanges,
        Code::NamePattern,
        Code::NotChecked,
        Code::UnprovenDelivery,
        Code::ValueEnds,
        Code::WildcardWrite,
        Code::WrittenInPlace,
    ];
    let quoted = format!("`{address}`");
    plan.findings
        .iter()
        .filter(|finding| finding.severity == Severity::Blocks || !ABOUT_KEYS.contains(&finding.code))
        .any(|finding| finding.address.as_ref() == Some(address) || finding.message.contains(&quoted))
}

/// Where each address that has a key ends up by the steps of a plan.
pub fn moves(plan: &Plan) -> BTreeMap<(Name, Address), Address> {
    let mut moves = BTreeMap::new();
    for change in &plan.changes {
        for step in &change.steps {
            if let Step::Move { from } = step {
                moves.insert((change.account.clone(), from.clone()), change.address.clone());
            }
        }
    }
    moves
}
