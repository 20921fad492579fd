//! Keys that state owns: kept, updated, delivered again, retired or deleted.

use std::collections::BTreeSet;

use crate::access::{Access, Scope, Scopes};
use crate::finding::{Code, Finding, Severity};
use crate::inventory::{KeyDetail, SinkContent, SinkObservation};
use crate::key::{KeyId, Marker};
use crate::manifest::WantedKey;
use crate::plan::account::{Account, Presence, values_of};
use crate::plan::choose::schedule as clock;
use crate::plan::choose::schedule::{Due, What, rotation_dates};
use crate::plan::decide::handover;
use crate::plan::decide::location::readable_first;
use crate::plan::decide::mint::{Older, is_unreadable, mint, scope_set};
use crate::plan::decide::recover::Recovered;
use crate::plan::decide::remove::{delete, forget, protected};
use crate::plan::decide::scopes::{effective, without_automatic};
use crate::plan::document::change::{Action, Change, KeyValues, Note, Reason};
use crate::plan::document::step::{Put, Step};
use crate::plan::drift::as_owned;
use crate::plan::findings::Gates;
use crate::plan::input::{self, RetireRequest};
use crate::plan::moves::is_let_go;
use crate::sink::{LocationId, SinkLocation};
use crate::state::RevokeOld;
use crate::state::Settings;
use crate::state::{OwnedKey, RetiringKey, SecretStatus};

/// What happens to the keys that an account's state owns, and what the clock would have happen instead.
pub(crate) fn changes(
    account: &Account<'_>,
    recovered: &Recovered,
    gates: &mut Gates<'_>,
) -> (Vec<Change>, Vec<Due>) {
    let mut changes = Vec::new();
    let mut due = Vec::new();
    for (address, owned) in account.keys().filter(|(address, _)| account.is_selected(address)) {
        let elsewhere = account.wanted_elsewhere(address);
        match account.wanted(address) {
            None if elsewhere.is_some() => {
                let older = elsewhere.and_then(|wanted| handover::older_key(account, wanted, address, owned));
                changes.extend(older);
            }
            None if is_let_go(account.input.manifest, account.name(), address)
                && !account.input.selection.destroy =>
            {
                changes.push(forget(account, address, owned, gates));
            }
            None => changes.push(delete(account, address, owned, Reason::NotWanted, gates)),
            Some(_) if recovered.finished.contains(address) || recovered.waiting.contains(address) => {}
            Some(_) if recovered.uncertain.contains_key(address) => {}
            Some(_) if account.presence(owned) == Presence::Gone => {}
            Some(wanted) => {
                let (change, clock) = Comparison::new(account, wanted, owned).plan(recovered, gates);
                changes.push(change);
                due.extend(clock);
            }
        }
    }
    (changes, due)
}

/// A key that is there, against what is wanted.
struct Comparison<'a> {
    account: &'a Account<'a>,
    wanted: &'a WantedKey,
    owned: &'a OwnedKey,
    action: Action,
    reasons: Vec<Reason>,
    notes: Vec<Note>,
    steps: Vec<Step>,
    /// What the key's access is, once the change is done.
    access: Access,
    /// What it is now at SendGrid, where somebody else changed it.
    drifted: Option<Access>,
    /// Why only a new key will do.
    replaced: Option<Reason>,
}

impl<'a> Comparison<'a> {
    fn new(account: &'a Account<'a>, wanted: &'a WantedKey, owned: &'a OwnedKey) -> Self {
        let access = owned.access.clone();
        Self {
            account,
            wanted,
            owned,
            action: Action::Keep,
            reasons: Vec::new(),
            notes: Vec::new(),
            steps: Vec::new(),
            access,
            drifted: None,
            replaced: None,
        }
    }

    /// What is done, and what the clock would have done instead.
    fn plan(mut self, recovered: &Recovered, gates: &mut Gates<'_>) -> (Change, Option<Due>) {
        if self.account.presence(self.owned) == Presence::Unsure {
            self.notes.push(Note::MayBeGone);
        } else {
            self.name_and_access(gates);
        }
        let mut moves_from = None;
        if let Some(other) = self.account.taken_over(&self.wanted.address, self.owned) {
            self.replaced = Some(Reason::AccountChanged);
            moves_from = Some(Note::MovesFrom(other.clone()));
        } else if self.account.may_be_overwritten(&self.wanted.address, self.owned) {
            self.replaced.get_or_insert(Reason::SecretUncertain);
        }
        let source = self.source();
        self.retirements(source.as_ref(), gates);
        self.locations(source.as_ref(), gates);
        let requested = &self.account.input.options.requests.rotate;
        let asked = requested.get(&self.wanted.address);
        if asked.is_some_and(|id| id.as_ref().is_none_or(|id| *id == self.owned.id)) {
            self.replaced.get_or_insert(Reason::RotationRequested);
        }
        if let Some(reason) = self.replaced
            && let Some(mut rotation) = self.rotation(self.wanted, reason, recovered, gates)
        {
            rotation.notes.extend(moves_from);
            return (rotation, None);
        }
        let due = self.expiry(gates).or_else(|| self.due(recovered, gates));
        (self.in_place(), due)
    }

    /// A successor is made, and what retires does so all the same.
    fn rotation(
        &self,
        wanted: &WantedKey,
        reason: Reason,
        recovered: &Recovered,
        gates: &mut Gates<'_>,
    ) -> Option<Change> {
        let account = self.account;
        let asked = account.input.options.requests.rotate.contains_key(&wanted.address);
        let revoke_old = match asked {
            true => account.input.options.requests.revoke_old,
            false => RevokeOld::AfterOverlap,
        };
        let older = Older::Here(self.owned, revoke_old);
        let mut change = mint(account, wanted, older, Action::Rotate, reason, recovered, gates)?;
        let retires = |step: &&Step| {
            matches!(
                step,
                Step::RetireKey { .. } | Step::RetireLocation { .. } | Step::PostponeRetirement { .. }
            )
        };
        let mut steps: Vec<Step> = self.steps.iter().filter(retires).cloned().collect();
        let retired =
            |reason: &&Reason| matches!(reason, Reason::OverlapPassed | Reason::RetirementRequested);
        if !steps.is_empty() {
            change.reasons.extend(self.reasons.iter().filter(retired));
        }
        steps.append(&mut change.steps);
        steps.extend(self.steps.iter().filter(|step| matches!(step, Step::RevokeOlder { .. })).cloned());
        change.steps = steps;
        change.rotation = rotation_dates(wanted, self.owned);
        Some(change)
    }

    /// The rotation that has come due, or may be brought forward.
    fn due(&self, recovered: &Recovered, gates: &mut Gates<'_>) -> Option<Due> {
        let (account, now) = (self.account, self.account.at());
        let dates = rotation_dates(self.wanted, self.owned)?;
        let rotation = self.wanted.rotate?;
        let soonest = rotation.warn_before.map_or(dates.due, |before| {
            let before = jiff::SignedDuration::try_from(before).unwrap_or(jiff::SignedDuration::MAX);
            dates.due.checked_sub(before).unwrap_or(dates.due)
        });
        if now < soonest || account.presence(self.owned) != Presence::Live {
            return None;
        }
        let waiting = |why: &str, gates: &mut Gates<'_>| {
            if clock::is_overdue(dates.due, now) {
                gates.raise(not_rotated(account, self.wanted, why));
            }
        };
        if self.owned.secret == SecretStatus::Unknown {
            waiting(
                "nobody is known to have its secret, so it is rotated only when that is asked for",
                gates,
            );
            return None;
        }
        if self.wanted.sinks.is_empty() {
            waiting("it has no sink that a new key could be delivered to", gates);
            return None;
        }
        // Never more than one successor under way.
        let retired: Vec<&KeyId> = self.steps.iter().filter_map(retired_by).collect();
        let still = |retiring: &&RetiringKey| !retiring.held && !retired.contains(&&retiring.id);
        if self.owned.retiring.iter().any(|retiring| still(&retiring)) {
            waiting("the key before it has not been revoked yet", gates);
            return None;
        }
        let mut scratch = gates.scratch();
        let applied;
        let wanted = match account.input.options.due {
            // Nothing but the clock: edits of the manifest are left for another run.
            input::Due::Only => {
                let (manifest, declared) = (account.input.manifest, account.declared);
                applied = WantedKey {
                    rotate: self.wanted.rotate,
                    ..as_owned(manifest, declared, &self.wanted.address, self.owned)
                };
                &applied
            }
            input::Due::Include | input::Due::Exclude => self.wanted,
        };
        let reason = clock::reason(dates.due, now);
        let change = self.rotation(wanted, reason, recovered, &mut scratch)?;
        let findings = scratch.into_findings();
        Some(Due { change, what: What::Rotation(rotation.at_limit), at: dates.due, findings })
    }

    /// The deletion that the environment's `ttl` brings; until then a note says when.
    fn expiry(&mut self, gates: &mut Gates<'_>) -> Option<Due> {
        let at = clock::expires(self.account, self.wanted.address.environment.as_ref())?;
        if at > self.account.at() {
            self.notes.push(Note::Expires(at));
            return None;
        }
        let mut scratch = gates.scratch();
        let change = delete(self.account, &self.wanted.address, self.owned, Reason::TtlPassed, &mut scratch);
        Some(Due { change, what: What::Expiry, at, findings: scratch.into_findings() })
    }

    fn because(&mut self, action: Action, reason: Reason) {
        // The most telling action stands for the change: update before deliver before retire.
        let rank = |action| match action {
            Action::Update => 3,
            Action::Deliver => 2,
            Action::Retire => 1,
            Action::Keep
            | Action::Recover
            | Action::Move
            | Action::Adopt
            | Action::Forget
            | Action::Delete
            | Action::Create
            | Action::Rotate => 0,
        };
        if rank(action) > rank(self.action) {
            self.action = action;
            self.reasons.insert(0, reason);
        } else if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn in_place(mut self) -> Change {
        let mut settings = self.account.settings(self.wanted);
        if self.owned.secret == SecretStatus::Unknown && !self.reasons.contains(&Reason::SecretFound) {
            // Nothing was delivered, so state says of no location that it has the secret.
            settings.locations = self.owned.sinks.iter().map(|delivery| delivery.location.clone()).collect();
        }
        if self.differs(&settings) {
            let said = |reason: &Reason| {
                matches!(
                    reason,
                    Reason::LocationAdded
                        | Reason::LocationRemoved
                        | Reason::LocationLost
                        | Reason::SecretFound
                )
            };
            if !self.reasons.iter().any(said) {
                self.because(Action::Update, Reason::SettingsEdited);
            }
            self.steps.push(Step::Record(settings.clone()));
        }
        self.steps.sort_by_key(Step::phase);
        if self.reasons.is_empty() {
            self.reasons.push(Reason::InStep);
        }
        let mut before = values_of(self.owned);
        let live = self.account.read.live.get(&self.owned.id);
        if let Some(name) = live.filter(|name| Marker::in_name(name).is_none()) {
            before.name.clone_from(name);
        }
        if let Some(drifted) = self.drifted {
            before.access = drifted;
        }
        let after = KeyValues {
            id: Some(self.owned.id.clone()),
            name: if self.account.presence(self.owned) == Presence::Live {
                self.wanted.name.clone()
            } else {
                self.owned.name.clone()
            },
            access: self.access,
            sinks: settings.locations,
            owner: settings.owner,
            protect: settings.protect,
            on_delete: settings.on_delete,
        };
        Change {
            address: self.wanted.address.clone(),
            account: self.account.name().clone(),
            action: self.action,
            reasons: self.reasons,
            before: Some(before),
            after: Some(after),
            notes: self.notes,
            steps: self.steps,
            rotation: rotation_dates(self.wanted, self.owned),
            position: Some(self.wanted.position.clone()),
        }
    }

    /// What SendGrid holds of the key against what it should.
    fn name_and_access(&mut self, gates: &mut Gates<'_>) {
        let rename = self.name_reason();
        let scopes = self.scopes_reason(gates);
        if let Some(reason) = scopes {
            self.because(Action::Update, reason);
        }
        if let Some(reason) = rename {
            self.because(Action::Update, reason);
        }
        let (id, name) = (self.owned.id.clone(), self.wanted.name.clone());
        match (scopes, rename) {
            (Some(_), _) => {
                let patterns = self.account.settings(self.wanted).patterns;
                self.steps.push(Step::Update { id, name, access: self.access.clone(), patterns });
            }
            (None, Some(_)) => self.steps.push(Step::Rename { id, name }),
            (None, None) => {}
        }
    }

    fn name_reason(&self) -> Option<Reason> {
        let live = self.account.read.live.get(&self.owned.id)?;
        if *live == self.wanted.name {
            return None;
        }
        Some(if Marker::in_name(live).is_some() {
            Reason::NameUnfinished
        } else if self.owned.name == self.wanted.name {
            Reason::NameDrifted
        } else {
            Reason::NameEdited
        })
    }

    fn scopes_reason(&mut self, gates: &mut Gates<'_>) -> Option<Reason> {
        let (from, to) = (self.owned.access.kind(), self.wanted.access.kind());
        if from != to {
            if self.owned.protect && self.wanted.access.scopes().is_none() {
                gates.raise(protected(
                    self.account.name(),
                    &self.wanted.address,
                    "be widened to Full Access",
                ));
            }
            self.replaced = Some(Reason::AccessChanged);
            return None;
        }
        let asked = scope_set(&self.owned.access);
        let effective = effective(self.wanted, &asked, &self.account.read.grantable, gates);
        if !effective.left_out.is_empty() {
            self.notes.push(Note::LeftOut(effective.left_out));
        }
        let access = effective.access?;
        let target = scope_set(&access);
        let detail = match self.account.read.details.get(&self.owned.id) {
            Some(KeyDetail::Scopes(scopes)) if to != crate::access::AccessKind::Full => Some(scopes),
            Some(KeyDetail::Scopes(_) | KeyDetail::Missing) | None => None,
        };
        let live = detail.map(without_automatic);
        self.note_scopes(detail, &target);
        self.access = access;
        let reported = self.owned.reported.as_ref().map(without_automatic);
        let drifted = match (live, reported) {
            // What SendGrid did not hold right after it was asked is not asked for on every run.
            (Some(live), Some(reported)) if live != target && live != reported => Some(live),
            _ => None,
        };
        if let Some(live) = drifted.clone() {
            self.drifted = Scopes::new(live).ok().map(|live| match &self.access {
                Access::Billing(_) => Access::Billing(live),
                Access::Full | Access::Restricted(_) => Access::Restricted(live),
            });
        }
        match (target == asked, drifted) {
            (true, None) => None,
            (true, Some(_)) => Some(Reason::ScopesDrifted),
            (false, None) => Some(self.edited(&asked, &target)),
            (false, Some(_)) => {
                self.because(Action::Update, self.edited(&asked, &target));
                Some(Reason::ScopesDrifted)
            }
        }
    }

    fn note_scopes(&mut self, live: Option<&BTreeSet<Scope>>, target: &BTreeSet<Scope>) {
        let Some(live) = live else { return };
        let automatic: BTreeSet<_> = live.iter().filter(|scope| scope.is_automatic()).cloned().collect();
        if !automatic.is_empty() {
            self.notes.push(Note::AutomaticScopes(automatic));
        }
        if let Some(reported) = &self.owned.reported {
            let asked = scope_set(&self.owned.access);
            let lost: BTreeSet<_> = asked
                .iter()
                .filter(|scope| !reported.contains(*scope) && target.contains(*scope))
                .cloned()
                .collect();
            if !lost.is_empty() && !lost.is_subset(live) {
                self.notes.push(Note::NotHeld(lost));
            }
        }
    }

    /// Whether the manifest was edited, or one of its patterns covers other scopes than it did.
    fn edited(&self, asked: &BTreeSet<Scope>, target: &BTreeSet<Scope>) -> Reason {
        let Some(scopes) = self.wanted.access.scopes() else { return Reason::ScopesEdited };
        let by_old_pattern = |scope: &Scope| {
            scopes.expanded.get(scope).is_some_and(|pattern| self.owned.patterns.contains(pattern))
        };
        let patterns: BTreeSet<_> = scopes.expanded.values().cloned().collect();
        let only_added = target.difference(asked).all(by_old_pattern);
        let nothing_written_lost = target.is_superset(asked);
        if only_added && nothing_written_lost && patterns == self.owned.patterns {
            Reason::CatalogueChanged
        } else {
            Reason::ScopesEdited
        }
    }

    /// A location that has the secret, among those of now and before.
    fn source(&self) -> Option<SinkLocation> {
        let mut before = self.owned.sinks.iter().map(|delivery| &delivery.location);
        if !self.account.input.options.sinks {
            // Nobody looked; apply does, and stops where no sink has it.
            return before.find(|location| location.at.is_readable()).cloned();
        }
        let leaving = self.owned.retiring_locations.iter().map(|retiring| &retiring.location);
        before
            .chain(&self.wanted.sinks)
            .chain(leaving)
            .find(|location| self.account.holds(location, &self.owned.id))
            .cloned()
    }

    /// Older keys and locations whose overlap has passed.
    fn retirements(&mut self, source: Option<&SinkLocation>, gates: &mut Gates<'_>) {
        let account = self.account;
        let request = account.input.options.requests.retire.get(&self.wanted.address).copied();
        let mut look: Vec<SinkLocation> =
            self.owned.sinks.iter().map(|delivery| delivery.location.clone()).collect();
        for location in &self.wanted.sinks {
            if !look.iter().any(|known| known.id() == location.id()) {
                look.push(location.clone());
            }
        }
        look.retain(|location| location.at.is_readable());
        for retiring in &self.owned.retiring {
            let (id, born) = (retiring.id.clone(), retiring.born);
            match request {
                Some(RetireRequest::Now) => {
                    self.because(Action::Retire, Reason::RetirementRequested);
                    self.steps.push(Step::RevokeOlder { id, born });
                    continue;
                }
                Some(RetireRequest::Hold(overlap)) => {
                    self.because(Action::Update, Reason::HoldRequested);
                    self.steps.push(Step::PostponeRetirement { id, overlap });
                    continue;
                }
                None => {}
            }
            if retiring.held {
                self.notes.push(Note::HeldKey(id));
                continue;
            }
            let overlap = crate::plan::account::overlap(self.wanted);
            let in_use = look.iter().any(|location| account.holds(location, &retiring.id))
                || self.comes_back_to(&retiring.id);
            if in_use && clock::later(account.at(), overlap) > retiring.after {
                self.overdue(retiring, gates);
                self.because(Action::Deliver, Reason::OlderKeyInUse);
                self.steps.push(Step::PostponeRetirement { id: retiring.id.clone(), overlap });
            } else if retiring.after > account.at() {
                self.notes.push(Note::RetiringKey { id: retiring.id.clone(), after: retiring.after });
            } else if let Some(location) =
                look.iter().find(|location| is_unreadable(&account.observed(location)))
            {
                self.notes.push(Note::NotReadable(location.clone()));
                self.overdue(retiring, gates);
            } else {
                if account.input.options.due == input::Due::Exclude {
                    self.overdue(retiring, gates);
                }
                self.because(Action::Retire, Reason::OverlapPassed);
                self.steps.push(Step::RetireKey { id, born, look: look.clone() });
            }
        }
        let wanted: BTreeSet<LocationId> = self.wanted.sinks.iter().map(SinkLocation::id).collect();
        for retiring in &self.owned.retiring_locations {
            let location = &retiring.location;
            let again = wanted.contains(&location.id());
            if again || account.is_given_elsewhere(&self.wanted.address, &location.id()) {
                // Whoever reads it goes on doing so: it is wanted again, or another account's key is there.
                continue;
            }
            let last = source.is_some_and(|source| source.id() == location.id());
            if retiring.after > account.at() || last {
                let note = Note::RetiringLocation { location: location.clone(), after: retiring.after };
                self.notes.push(note);
            } else {
                let holding = self.owned.ids().chain(&retiring.given).cloned().collect();
                let kept_for = account.other_user(&self.wanted.address, &location.id()).cloned();
                if kept_for.as_ref().is_some_and(|user| !account.is_given(user, &location.id())) {
                    // It is left to its next user once that one has it.
                    continue;
                }
                self.because(Action::Retire, Reason::OverlapPassed);
                self.steps.push(Step::RetireLocation { location: location.clone(), holding, kept_for });
            }
        }
    }

    /// Whether a location that never tells is given the key anew, and may have held this older one all along.
    fn comes_back_to(&self, older: &KeyId) -> bool {
        self.owned.retiring_locations.iter().any(|leaving| {
            let id = leaving.location.id();
            !leaving.location.at.is_readable()
                && leaving.given.contains(older)
                && self.wanted.sinks.iter().any(|location| location.id() == id)
        })
    }

    /// Tells of an older key that should have been revoked long ago, and is not by this plan.
    fn overdue(&self, retiring: &RetiringKey, gates: &mut Gates<'_>) {
        if clock::is_overdue(retiring.after, self.account.at()) {
            gates.raise(retirement_overdue(self.account, self.wanted, retiring));
        }
    }

    /// Locations that should have the secret and do not.
    fn locations(&mut self, source: Option<&SinkLocation>, gates: &mut Gates<'_>) {
        let account = self.account;
        let given: BTreeSet<LocationId> =
            self.owned.sinks.iter().map(|delivery| delivery.location.id()).collect();
        let ours: BTreeSet<&KeyId> = account.own_ids(&self.wanted.address);
        let unknown = self.owned.secret == SecretStatus::Unknown;
        if unknown {
            // Somebody put the secret where it belongs: from now on it is like any other.
            if !self.wanted.sinks.iter().any(|location| account.holds(location, &self.owned.id)) {
                self.notes.push(Note::SecretUnknown);
                return;
            }
            self.because(Action::Deliver, Reason::SecretFound);
        }
        let mut puts: Vec<Put> = Vec::new();
        for location in &self.wanted.sinks {
            let known = given.contains(&location.id());
            let (missing, reason) = match account.observed(location) {
                SinkObservation::Holds(SinkContent::Key(id)) if id == self.owned.id => {
                    (false, (!known).then_some(Reason::LocationAdded))
                }
                SinkObservation::Holds(_) if known => (true, Some(Reason::LocationLost)),
                SinkObservation::Holds(_) => (true, Some(Reason::LocationAdded)),
                SinkObservation::WriteOnly => (!known, (!known).then_some(Reason::LocationAdded)),
                SinkObservation::Unreadable(_) if known => {
                    if account.input.options.sinks {
                        self.notes.push(Note::NotReadable(location.clone()));
                    }
                    (false, None)
                }
                SinkObservation::Unreadable(_) => (true, Some(Reason::LocationAdded)),
            };
            if let Some(reason) = reason {
                self.because(Action::Deliver, reason);
            }
            if missing {
                puts.push(account.put(self.wanted, location, &ours, &mut self.notes, gates));
            }
        }
        let wanted: BTreeSet<LocationId> = self.wanted.sinks.iter().map(SinkLocation::id).collect();
        if given.difference(&wanted).next().is_some() {
            self.because(Action::Deliver, Reason::LocationRemoved);
        }
        if puts.is_empty() {
            return;
        }
        readable_first(&mut puts);
        match source {
            Some(source) => {
                let (id, source) = (self.owned.id.clone(), source.clone());
                self.steps.push(Step::Deliver { id, source, to: puts });
            }
            None => self.lost(&puts, gates),
        }
    }

    /// No sink that can be read has the secret, so it cannot be copied: only a new key will do, unless a
    /// sink that should have it cannot be read just now.
    fn lost(&mut self, puts: &[Put], gates: &mut Gates<'_>) {
        let account = self.account;
        let given = self.owned.sinks.iter().map(|delivery| &delivery.location);
        let unreadable = given.clone().find(|location| is_unreadable(&account.observed(location)));
        let Some(unreadable) = unreadable else {
            let readable = given.clone().any(|location| location.at.is_readable());
            let reason = if readable { Reason::SecretGone } else { Reason::LocationAdded };
            self.replaced.get_or_insert(reason);
            return;
        };
        let places: Vec<_> = puts.iter().map(|put| put.location.to_string()).collect();
        gates.raise(Finding {
            severity: Severity::Blocks,
            code: Code::SinkUnreadable,
            account: Some(account.name().clone()),
            address: Some(self.wanted.address.clone()),
            message: format!(
                "the secret of `{}` has to be copied to {}, and {unreadable}, which should have it, cannot be read",
                self.wanted.address,
                places.join(", "),
            ),
            help: Some("make that sink readable and run again".to_string()),
            position: Some(self.wanted.position.clone()),
        });
    }

    /// Whether state would say something else of the key than it does.
    fn differs(&self, settings: &Settings) -> bool {
        let Settings { owner, protect, on_delete, patterns: _, locations, overlap: _, lifecycle: _ } =
            settings;
        let unknown = self.owned.secret == SecretStatus::Unknown;
        let recorded: BTreeSet<_> = self.owned.sinks.iter().map(|delivery| &delivery.location).collect();
        let wanted: BTreeSet<_> = locations.iter().collect();
        *owner != self.owned.owner
            || *protect != self.owned.protect
            || *on_delete != self.owned.on_delete
            || (recorded != wanted && (!unknown || self.reasons.contains(&Reason::SecretFound)))
    }
}

/// The key that a step retires.
fn retired_by(step: &Step) -> Option<&KeyId> {
    match step {
        Step::RetireKey { id, .. } | Step::RevokeOlder { id, .. } => Some(id),
        _ => None,
    }
}

fn not_rotated(account: &Account<'_>, wanted: &WantedKey, why: &str) -> Finding {
    Finding {
        severity: Severity::Warns,
        code: Code::RotationDue,
        account: Some(account.name().clone()),
        address: Some(wanted.address.clone()),
        message: format!("the rotation of `{}` is due, and waits: {why}", wanted.address),
        help: Some(format!("`gridkey rotate {}` asks for it", wanted.address)),
        position: Some(wanted.position.clone()),
    }
}

fn retirement_overdue(account: &Account<'_>, wanted: &WantedKey, retiring: &RetiringKey) -> Finding {
    let days = clock::days(account.at().duration_since(retiring.after));
    Finding {
        severity: Severity::Warns,
        code: Code::RetirementOverdue,
        account: Some(account.name().clone()),
        address: Some(wanted.address.clone()),
        message: format!(
            "the older key {} of `{}` should have been revoked {days} ago",
            retiring.id, wanted.address
        ),
        help: Some("apply revokes it once no sink that can be read serves it".to_string()),
        position: Some(wanted.position.clone()),
    }
}
