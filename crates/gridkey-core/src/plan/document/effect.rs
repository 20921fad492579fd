//! What a step does to the world: the one place that says so. Approval, limits, capacity and risk follow from it.

use crate::access::Access;
use crate::address::Address;
use crate::hook::Hook;
use crate::inventory::SinkContent;
use crate::key::KeyId;
use crate::plan::document::change::Change;
use crate::plan::document::step::{Mint, Put, Step};
use crate::sink::SinkLocation;
use crate::state::{Purpose, RevokeOld};

/// Something that a step does, besides what state is told along with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// A key is made, in the place of another where one is named.
    Makes {
        access: &'a Access,
        replaces: Option<&'a KeyId>,
    },
    /// A live key that an earlier run made is owned from now on.
    Finishes(&'a KeyId),
    /// A live key gets another name.
    Renames(&'a KeyId),
    /// A live key gets other scopes.
    Rescopes(&'a KeyId),
    Revokes {
        id: &'a KeyId,
        when: Revocation,
    },
    /// A location is given a secret.
    Delivers(&'a Put),
    /// A location loses what it holds of the address.
    Clears(&'a SinkLocation),
    /// State knows the key by another address than this one from now on.
    Moves(&'a Address),
    /// State owns a live key from now on.
    Adopts(&'a KeyId),
    /// State no longer owns the key, which stays as it is.
    LetsGo(&'a KeyId),
    /// A program is run, or a server called, that is told of a delivery; `begun` where an earlier run was to do just that.
    Runs {
        hook: &'a Hook,
        begun: bool,
    },
}

/// When a key is revoked, seen from a program that uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revocation {
    /// No program can have its secret: no sink ever got it.
    Unused,
    /// Its successor was delivered, the overlap has passed, and no sink that can be read serves it.
    AfterOverlap,
    /// With the step, whatever uses it.
    Now,
    /// Before its successor is made.
    BeforeSuccessor,
    /// As soon as its successor is recorded.
    AfterSuccessor,
}

impl Revocation {
    /// Whether a program that uses the key fails from then on.
    pub fn may_break_a_consumer(self) -> bool {
        match self {
            Self::Unused | Self::AfterOverlap => false,
            Self::Now | Self::BeforeSuccessor | Self::AfterSuccessor => true,
        }
    }
}

impl Step {
    /// What the step does. A new step does not compile before it is said here.
    pub fn effects(&self) -> Vec<Effect<'_>> {
        let revokes = |id, when| Effect::Revokes { id, when };
        match self {
            Self::Move { from } => vec![Effect::Moves(from)],
            Self::Adopt(adopt) => vec![Effect::Adopts(&adopt.id)],
            Self::Forget { id } => vec![Effect::LetsGo(id)],
            Self::FinishPending(finish) => {
                std::iter::once(Effect::Finishes(&finish.id)).chain(delivers(&finish.puts)).collect()
            }
            Self::RevokePending { marker: _, id } | Self::RevokeAbandoned { id } => {
                vec![revokes(id, Revocation::Unused)]
            }
            Self::DiscardPending { marker: _, id, clear } => std::iter::once(revokes(id, Revocation::Now))
                .chain(clear.iter().map(Effect::Clears))
                .collect(),
            Self::RetireKey { id, born: _, look: _ } => vec![revokes(id, Revocation::AfterOverlap)],
            Self::RetireLocation { location, holding: _, kept_for } => match kept_for {
                None => vec![Effect::Clears(location)],
                Some(_) => Vec::new(),
            },
            Self::Delete(delete) => {
                // Where sinks are looked at first, an overlap has passed.
                let when = match delete.look.is_empty() {
                    true => Revocation::Now,
                    false => Revocation::AfterOverlap,
                };
                let keys = delete.keys.iter().map(|key| revokes(&key.id, when));
                keys.chain(delete.clear.iter().map(Effect::Clears)).collect()
            }
            Self::RevokeFirst { id, born: _ } => vec![revokes(id, Revocation::BeforeSuccessor)],
            Self::RevokeOlder { id, born: _ } => vec![revokes(id, Revocation::AfterSuccessor)],
            Self::Rename { id, name: _ } => vec![Effect::Renames(id)],
            Self::Update { id, name: _, access: _, patterns: _ } => {
                vec![Effect::Renames(id), Effect::Rescopes(id)]
            }
            Self::Deliver { id: _, source: _, to, hooks: _ } => delivers(to).collect(),
            Self::RunHooks { hooks, begun, due: _ } => {
                hooks.iter().map(|hook| Effect::Runs { hook, begun: *begun }).collect()
            }
            Self::Mint(mint) => std::iter::once(makes(mint)).chain(delivers(&mint.puts)).collect(),
            Self::AbandonPending { marker: _ }
            | Self::PostponeRetirement { id: _, overlap: _ }
            | Self::Record(_) => Vec::new(),
        }
    }
}

impl Change {
    /// What all its steps do.
    pub fn effects(&self) -> impl Iterator<Item = Effect<'_>> {
        self.steps.iter().flat_map(Step::effects)
    }

    /// Whether a key is revoked, and the address has none in this account afterwards.
    pub(crate) fn ends_key(&self) -> bool {
        self.before.is_some()
            && self.after.is_none()
            && self.effects().any(|effect| matches!(effect, Effect::Revokes { .. }))
    }
}

fn delivers(puts: &[Put]) -> impl Iterator<Item = Effect<'_>> {
    puts.iter().map(Effect::Delivers)
}

fn makes(mint: &Mint) -> Effect<'_> {
    let replaces = match &mint.purpose {
        Purpose::Create => None,
        Purpose::Replace(id) | Purpose::Follow(id) => Some(id),
    };
    Effect::Makes { access: &mint.access, replaces }
}

impl Mint {
    /// Whether the older key is revoked before this one is made.
    pub fn is_revoke_first(&self) -> bool {
        self.older == RevokeOld::First
    }
}

impl Put {
    /// What the location holds that is not gridkey's, and that is overwritten.
    pub fn overwrites(&self) -> Option<&SinkContent> {
        self.foreign.then_some(&self.replaces)
    }
}

impl<'a> Effect<'a> {
    /// What a location is given.
    pub fn delivered(self) -> Option<&'a Put> {
        let Self::Delivers(put) = self else { return None };
        Some(put)
    }

    /// A location that loses its value.
    pub fn cleared(self) -> Option<&'a SinkLocation> {
        let Self::Clears(location) = self else { return None };
        Some(location)
    }

    /// The address that a key had before.
    pub fn moved_from(self) -> Option<&'a Address> {
        let Self::Moves(from) = self else { return None };
        Some(from)
    }

    /// The key in whose place one is made.
    pub fn replaced(self) -> Option<&'a KeyId> {
        let Self::Makes { access: _, replaces } = self else { return None };
        replaces
    }

    /// A key that is revoked while a program may be using it.
    pub fn revoked_in_use(self) -> Option<&'a KeyId> {
        let Self::Revokes { id, when } = self else { return None };
        Some(id).filter(|_| when.may_break_a_consumer())
    }

    /// The live key that is changed, revoked, or owned from now on.
    pub fn touches(self) -> Option<&'a KeyId> {
        match self {
            Self::Finishes(id)
            | Self::Renames(id)
            | Self::Rescopes(id)
            | Self::Adopts(id)
            | Self::Revokes { id, when: _ } => Some(id),
            Self::Makes { .. }
            | Self::Delivers(_)
            | Self::Clears(_)
            | Self::Moves(_)
            | Self::LetsGo(_)
            | Self::Runs { .. } => None,
        }
    }
}
