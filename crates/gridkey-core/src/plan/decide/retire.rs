//! Older keys and older locations of an address: what becomes of them once their overlap has passed.

use std::collections::BTreeSet;

use crate::access::Scope;
use crate::finding::{Code, Finding};
use crate::inventory::KeyDetail;
use crate::key::KeyId;
use crate::manifest::WantedKey;
use crate::plan::account::{Account, Presence};
use crate::plan::decide::compare::is_unreadable;
use crate::plan::decide::decision::Part;
use crate::plan::decide::schedule::is_overdue;
use crate::plan::decide::scopes::{list, without_automatic};
use crate::plan::document::change::{Action, Cause, KeyValues, Note, Reason};
use crate::plan::document::step::Step;
use crate::plan::findings::{Findings, about};
use crate::plan::input::{Due, RetireRequest};
use crate::sink::{LocationId, SinkLocation};
use crate::state::{OwnedKey, RetiringKey, RetiringLocation};
use crate::time::{days, later};

/// What becomes of the older keys and locations of an address.
#[derive(Default)]
pub(crate) struct Retirement {
    /// What an overlap has passed for.
    steps: Vec<Step>,
    /// What a person asked for, and what puts off an older key that is still in use.
    asked: Vec<(Action, Cause, Reason, Step)>,
    pub notes: Vec<Note>,
    /// Older keys that go on working after this plan, until their overlap has passed.
    waiting: bool,
}

impl Retirement {
    /// The part of the decision that waits for the clock alone; the key itself stays as it is.
    pub fn into_part(self, before: &KeyValues) -> Option<Part> {
        let after = Some(before.clone());
        (!self.steps.is_empty()).then(|| Part {
            cause: Cause::Due,
            said: vec![(Action::Retire, Reason::OverlapPassed)],
            steps: self.steps,
            ..Part::nothing(after)
        })
    }

    /// Whether an older key goes on working, so that a further successor has to wait.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Adds what a person asked for, and what puts off a key in use, to what else is done.
    pub fn add_requested(&self, part: &mut Part) {
        for (action, cause, reason, step) in &self.asked {
            part.said.push((*action, *reason));
            part.steps.push(step.clone());
            if part.cause == Cause::InStep {
                part.cause = *cause;
            }
        }
    }
}

/// Looks at the older keys and locations of a key.
pub(crate) fn older(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    source: Option<&SinkLocation>,
    findings: &mut Findings<'_>,
) -> Retirement {
    let mut retirement = Retirement::default();
    let older = Older { account, wanted, owned };
    let look = older.look();
    for retiring in &owned.retiring {
        older.key(retiring, &look, &mut retirement, findings);
        changed(account, wanted, retiring, findings);
    }
    for leaving in &owned.retiring_locations {
        older.location(leaving, source, &mut retirement);
    }
    retirement
}

struct Older<'a> {
    account: &'a Account<'a>,
    wanted: &'a WantedKey,
    owned: &'a OwnedKey,
}

impl Older<'_> {
    /// The locations that must not serve an older key when it is revoked.
    fn locations(&self) -> impl Iterator<Item = &SinkLocation> {
        self.owned.sinks.iter().map(|delivery| &delivery.location).chain(&self.wanted.sinks)
    }

    /// Those that can be asked for it.
    fn look(&self) -> Vec<SinkLocation> {
        let mut seen = BTreeSet::new();
        self.locations()
            .filter(|location| location.at.tells_key() && seen.insert(location.id()))
            .cloned()
            .collect()
    }

    fn key(
        &self,
        retiring: &RetiringKey,
        look: &[SinkLocation],
        retirement: &mut Retirement,
        findings: &mut Findings<'_>,
    ) {
        let account = self.account;
        let (id, born) = (retiring.id.clone(), retiring.born);
        match account.input.options.requests.retire.get(&self.wanted.address).copied() {
            Some(RetireRequest::Now) => {
                let step = Step::RevokeOlder { id, born };
                let asked = (Action::Retire, Cause::Requested, Reason::RetirementRequested, step);
                return retirement.asked.push(asked);
            }
            Some(RetireRequest::Hold(overlap)) => {
                retirement.waiting = true;
                // One that is held until somebody says otherwise is given an end by that.
                if !retiring.held && later(account.at(), overlap) < retiring.after {
                    findings.raise(about(held_longer(self.wanted, retiring), self.wanted));
                    return;
                }
                let step = Step::PostponeRetirement { id, overlap };
                let asked = (Action::Update, Cause::Requested, Reason::HoldRequested, step);
                return retirement.asked.push(asked);
            }
            None if retiring.held => return retirement.notes.push(Note::HeldKey(id)),
            None => {}
        }
        let overlap = self.wanted.overlap();
        let in_use = self.locations().any(|location| account.serves(location, &retiring.id))
            || self.comes_back_to(&id);
        if in_use && later(account.at(), overlap) > retiring.after {
            self.overdue(retiring, findings);
            retirement.waiting = true;
            let step = Step::PostponeRetirement { id, overlap };
            let asked = (Action::Deliver, Cause::Drifted, Reason::OlderKeyInUse, step);
            return retirement.asked.push(asked);
        }
        // Where the current key cannot be seen, the older one may be the only one there is.
        if retiring.after > account.at() || account.presence(self.owned) != Presence::Live {
            retirement.waiting = true;
            return retirement.notes.push(Note::RetiringKey { id, after: retiring.after });
        }
        if let Some(location) = look.iter().find(|location| is_unreadable(&account.observed(location))) {
            retirement.waiting = true;
            self.overdue(retiring, findings);
            findings.raise(about(waits_for(self.wanted, &id, location), self.wanted));
            return retirement.notes.push(Note::NotReadable(location.clone()));
        }
        if account.input.options.due == Due::Exclude {
            self.overdue(retiring, findings);
        }
        retirement.steps.push(Step::RetireKey { id, born, look: look.to_vec() });
    }

    fn location(
        &self,
        leaving: &RetiringLocation,
        source: Option<&SinkLocation>,
        retirement: &mut Retirement,
    ) {
        let account = self.account;
        let (location, address) = (&leaving.location, &self.wanted.address);
        let id = location.id();
        let again = self.wanted.sinks.iter().any(|wanted| wanted.id() == id);
        if again || account.is_given_elsewhere(address, &id) {
            // What reads it goes on doing so: it is wanted again, or another account's key is there.
            return;
        }
        // The only one that the secret can be copied from, for one that was not given it yet.
        let mut wanted = self.wanted.sinks.iter();
        let is_copied = source.is_some_and(|source| source.id() == id)
            && wanted.any(|wanted| !account.is_given(address, &wanted.id()));
        if leaving.after > account.at() || is_copied {
            let (location, after) = (location.clone(), leaving.after);
            return retirement.notes.push(Note::RetiringLocation { location, after });
        }
        let kept_for = account.other_user(address, &id).cloned();
        if kept_for.as_ref().is_some_and(|user| !account.is_given(user, &id)) {
            // It is left to its next user once that one has it.
            return;
        }
        // The current key was never given to it where it left before that was made: what is seen there may be a wanted location by
        // another name. Older documents do not say what was given.
        let current = Some(&self.owned.id).filter(|_| leaving.given.is_empty());
        let older = self.owned.retiring.iter().map(|retiring| &retiring.id);
        let holding = older.chain(current).chain(&leaving.given).cloned().collect();
        retirement.steps.push(Step::RetireLocation { location: location.clone(), holding, kept_for });
    }

    /// Whether a location that never tells is given the key anew, and may have held this older one all along.
    fn comes_back_to(&self, older: &KeyId) -> bool {
        self.owned.retiring_locations.iter().any(|leaving| {
            let id: LocationId = leaving.location.id();
            !leaving.location.at.is_readable()
                && leaving.given.contains(older)
                && self.wanted.sinks.iter().any(|location| location.id() == id)
        })
    }

    /// Tells of an older key that should have been revoked long ago, and is not by this plan.
    fn overdue(&self, retiring: &RetiringKey, findings: &mut Findings<'_>) {
        let now = self.account.at();
        if !is_overdue(retiring.after, now) {
            return;
        }
        let message = format!(
            "the older key {} of `{}` should have been revoked {} ago",
            retiring.id,
            self.wanted.address,
            days(now.duration_since(retiring.after)),
        );
        let help = "apply revokes it once no sink that can be read serves it";
        findings.raise(about(Finding::warns(Code::RetirementOverdue, message, help), self.wanted));
    }
}

/// Tells of an older key that was given scopes outside of gridkey: it is live until it is revoked.
fn changed(account: &Account<'_>, wanted: &WantedKey, retiring: &RetiringKey, findings: &mut Findings<'_>) {
    let (Some(KeyDetail::Scopes(live)), Some(reported)) =
        (account.read.details.get(&retiring.id), &retiring.reported)
    else {
        return;
    };
    let (live, reported) = (without_automatic(live), without_automatic(reported));
    let gained: Vec<&Scope> = live.difference(&reported).collect();
    if gained.is_empty() {
        return;
    }
    let address = &wanted.address;
    let message = format!(
        "the older key {} of `{address}`, which is live until its overlap has passed, was given {} outside of gridkey",
        retiring.id,
        list(gained)
    );
    let help = format!("`gridkey retire {address} --now` revokes it at once");
    findings.raise(about(Finding::warns(Code::RetiringKeyChanged, message, help), wanted));
}

/// An older key that would be revoked by now.
fn waits_for(wanted: &WantedKey, id: &KeyId, location: &SinkLocation) -> Finding {
    let message = format!(
        "the overlap of the older key {id} of `{}` has passed, and it stays: {location} cannot be read, and may serve it",
        wanted.address
    );
    Finding::warns(Code::SinkUnreadable, message, "make the sink readable and run again")
}

/// A hold that would end sooner than what is said already keeps nothing longer.
fn held_longer(wanted: &WantedKey, retiring: &RetiringKey) -> Finding {
    let (id, address) = (&retiring.id, &wanted.address);
    let until = retiring.after.strftime("%Y-%m-%dT%H:%M:%SZ");
    let message = format!("the older key {id} of `{address}` is kept until {until} already, which is longer");
    let help = format!("`gridkey retire {address} --now` ends it sooner");
    Finding::blocks(Code::NothingRetires, message, help)
}
