//! Keys that are made: new ones, successors, and those in the place of keys that vanished.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access::{Access, Scope, Scopes};
use crate::finding::{Code, Finding};
use crate::manifest::WantedKey;
use crate::plan::account::{Account, values_with};
use crate::plan::decide::decision::{Decision, Part};
use crate::plan::decide::location::readable_first;
use crate::plan::decide::recover::Recovered;
use crate::plan::decide::scopes::{effective, full_by_restricted};
use crate::plan::decide::{handover, hooks};
use crate::plan::document::change::{Action, Cause, KeyValues, Note, Reason};
use crate::plan::document::step::{Mint, Step};
use crate::plan::findings::{Findings, about};
use crate::state::{OwnedKey, Purpose, RevokeOld};

/// The key that a new one takes the place of.
#[derive(Clone, Copy)]
pub(crate) enum Predecessor<'a> {
    None,
    Here(&'a OwnedKey, RevokeOld),
    /// It lives in another account, whose own decisions retire it.
    Elsewhere(&'a OwnedKey),
}

/// A key to be made.
#[derive(Clone, Copy)]
pub(crate) struct Minting<'a> {
    pub account: &'a Account<'a>,
    pub wanted: &'a WantedKey,
    pub older: Predecessor<'a>,
    pub recovered: &'a Recovered,
}

/// A key that is wanted, and not in state.
pub(crate) fn new(account: &Account<'_>, wanted: &WantedKey, recovered: &Recovered) -> Option<Decision> {
    let address = &wanted.address;
    let Some((other, owned)) = account.elsewhere(address) else {
        let minting = Minting { account, wanted, older: Predecessor::None, recovered };
        let part = minting.part(Action::Create, Cause::Edited, Reason::New)?;
        return Some(minting.decision(None, part));
    };
    let minting = Minting { account, wanted, older: Predecessor::Elsewhere(owned), recovered };
    let mut part = minting.part(Action::Rotate, Cause::Edited, Reason::AccountChanged)?;
    if !account.index.lets_go_of(other, address) {
        part.notes.push(Note::MovesFrom(other.clone()));
    }
    part.findings.extend(handover::says_nothing_of_older(account, wanted, other));
    let before = crate::plan::account::values_of(other, address, owned);
    Some(minting.decision(Some(before), part))
}

/// A key that is in state, and of which something is to be said by a new one only.
pub(crate) fn successor(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    recovered: &Recovered,
    (action, cause, reason): (Action, Cause, Reason),
) -> Option<Decision> {
    let older = Predecessor::Here(owned, RevokeOld::AfterOverlap);
    let minting = Minting { account, wanted, older, recovered };
    let part = minting.part(action, cause, reason)?;
    Some(minting.decision(Some(account.values_of(&wanted.address, owned)), part))
}

impl Minting<'_> {
    fn decision(&self, before: Option<KeyValues>, edit: Part) -> Decision {
        Decision {
            position: Some(self.wanted.position.clone()),
            ..Decision::new(&self.wanted.address, self.account.name(), before, edit)
        }
    }

    /// Plans the key; `None` where there is nothing it could be given.
    pub fn part(&self, action: Action, cause: Cause, reason: Reason) -> Option<Part> {
        let Self { account, wanted, older, recovered } = *self;
        let mut findings = Findings::new(account.input);
        let mut notes = Vec::new();
        let held = self.replaced().map(|owned| scope_set(&owned.access)).unwrap_or_default();
        // What the older key was given needs no new look at what can be granted.
        let effective = effective(wanted, &held, &account.read.grantable, &mut findings);
        let access = effective.access?;
        full_by_restricted(wanted, &account.read.grantable, &mut findings);
        if wanted.sinks.is_empty() {
            findings.raise(no_sink(wanted, action));
        }
        if !effective.left_out.is_empty() {
            notes.push(Note::LeftOut(effective.left_out.clone()));
        }
        let uncertain = recovered.uncertain.get(&wanted.address).cloned().unwrap_or_default();
        let mut ours = account.index.own_ids(&wanted.address, account.name());
        ours.extend(uncertain.iter().map(|key| &key.id));
        let puts = wanted.sinks.iter();
        let mut puts: Vec<_> =
            puts.map(|location| account.put(wanted, location, &ours, &mut notes, &mut findings)).collect();
        readable_first(&mut puts);
        let mut said = vec![(action, reason)];
        if !uncertain.is_empty() && reason != Reason::SecretUncertain {
            said.push((action, Reason::SecretUncertain));
        }
        let hooks = hooks::following(wanted, &puts);
        let settings = account.settings(wanted);
        let mut after = values_with(wanted, None, wanted.name.clone(), access.clone(), &settings);
        after.left_out = effective.left_out;
        let revoke_old = self.revoke_old();
        let mint = Mint {
            markers: account.input.seed.markers(account.name(), &wanted.address),
            purpose: self.purpose(),
            name: wanted.name.clone(),
            access,
            puts,
            generation: account.next_generation(&wanted.address),
            first_made: account.elsewhere(&wanted.address).map(|(_, owned)| owned.since()),
            settings,
            overlap: self.overlap(revoke_old),
            retire: self.replaced().map(|owned| account.retiring_reason(owned)),
            older: revoke_old,
            uncertain,
        };
        let mut steps = vec![Step::Mint(mint)];
        hooks::run(hooks, &mut steps, &mut notes);
        if let Predecessor::Here(owned, RevokeOld::Now) = older {
            steps.push(Step::RevokeOlder { id: owned.id.clone(), born: owned.born.at() });
        }
        Some(Part { cause, said, notes, steps, after: Some(after), findings: findings.into_list() })
    }

    /// The key of this account that is replaced.
    fn replaced(&self) -> Option<&OwnedKey> {
        match self.older {
            Predecessor::Here(owned, _) => Some(owned),
            Predecessor::None | Predecessor::Elsewhere(_) => None,
        }
    }

    fn revoke_old(&self) -> RevokeOld {
        match self.older {
            Predecessor::Here(_, revoke_old) => revoke_old,
            Predecessor::None | Predecessor::Elsewhere(_) => RevokeOld::AfterOverlap,
        }
    }

    /// How long the older key goes on working: as long as somebody said that it does, where that is longer.
    fn overlap(&self, revoke_old: RevokeOld) -> Duration {
        if revoke_old == RevokeOld::Now {
            return Duration::ZERO;
        }
        let kept_until = self.replaced().and_then(|owned| owned.kept_until);
        let kept = kept_until.and_then(|until| until.duration_since(self.account.at()).try_into().ok());
        self.wanted.overlap().max(kept.unwrap_or_default())
    }

    fn purpose(&self) -> Purpose {
        match self.older {
            Predecessor::None => Purpose::Create,
            Predecessor::Here(owned, _) => Purpose::Replace(owned.id.clone()),
            Predecessor::Elsewhere(owned) => Purpose::Follow(owned.id.clone()),
        }
    }
}

fn no_sink(wanted: &WantedKey, action: Action) -> Finding {
    let message = format!(
        "`{}` has no sink, so the secret of a new key would be lost, and it cannot be {}",
        wanted.address,
        if action == Action::Rotate { "rotated" } else { "made" }
    );
    about(Finding::blocks(Code::NoSink, message, "give it `sinks`: SendGrid shows a secret once"), wanted)
}

/// The scopes of an access, as a set; none for Full Access.
pub(crate) fn scope_set(access: &Access) -> BTreeSet<Scope> {
    access.scopes().map(Scopes::as_set).cloned().unwrap_or_default()
}
