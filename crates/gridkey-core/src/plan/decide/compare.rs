//! Keys that are there, against what is wanted of them: kept, updated, delivered again, or replaced.

use std::collections::BTreeSet;

use crate::access::{Access, AccessKind, Scope, Scopes};
use crate::finding::{Code, Finding};
use crate::inventory::{KeyDetail, SinkContent, SinkObservation};
use crate::key::Marker;
use crate::manifest::WantedKey;
use crate::plan::account::{Account, Presence, values_with};
use crate::plan::decide::decision::{Decision, Part};
use crate::plan::decide::location::readable_first;
use crate::plan::decide::mint::{Minting, Predecessor, scope_set};
use crate::plan::decide::recover::Recovered;
use crate::plan::decide::retire::{self, Retirement};
use crate::plan::decide::schedule;
use crate::plan::decide::scopes::{effective, without_automatic};
use crate::plan::decide::{handover, hooks};
use crate::plan::document::change::{Action, Cause, KeyValues, Note, Reason};
use crate::plan::document::step::{Put, Step};
use crate::plan::findings::{Findings, about};
use crate::sink::{LocationId, SinkKind, SinkLocation};
use crate::state::{OwnedKey, RevokeOld, SecretStatus, Settings};

/// What may be done for a key that is there.
pub(crate) fn decide(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    recovered: &Recovered,
) -> Decision {
    let mut comparison = Comparison::new(account, wanted, owned);
    comparison.name_and_access();
    let handed_over = comparison.handed_over();
    comparison.locations();
    comparison.requested();
    comparison.decision(recovered, handed_over)
}

/// A key that is there, against what is wanted.
struct Comparison<'a> {
    account: &'a Account<'a>,
    wanted: &'a WantedKey,
    owned: &'a OwnedKey,
    /// A location that has the secret, among those of now and before.
    source: Option<SinkLocation>,
    retirement: Retirement,
    said: Vec<(Action, Reason)>,
    cause: Cause,
    notes: Vec<Note>,
    steps: Vec<Step>,
    /// What there is to say of the key whatever is done.
    general: Findings<'a>,
    /// What stands against the edit.
    findings: Findings<'a>,
    /// What the key's access is, once the change is done.
    access: Access,
    left_out: BTreeSet<Scope>,
    /// What it is now at SendGrid, where it is something else than state says.
    drifted: Option<Access>,
    /// Why only a new key will do.
    replaced: Option<(Cause, Reason)>,
    /// Whether a location that never tells its value is written again: state is told its service's new version.
    is_written_again: bool,
}

impl<'a> Comparison<'a> {
    fn new(account: &'a Account<'a>, wanted: &'a WantedKey, owned: &'a OwnedKey) -> Self {
        let source = source(account, wanted, owned);
        let mut general = Findings::new(account.input);
        let retirement = retire::older(account, wanted, owned, source.as_ref(), &mut general);
        Self {
            account,
            wanted,
            owned,
            source,
            retirement,
            said: Vec::new(),
            cause: Cause::InStep,
            notes: Vec::new(),
            steps: Vec::new(),
            general,
            findings: Findings::new(account.input),
            access: owned.access.clone(),
            left_out: BTreeSet::new(),
            drifted: None,
            replaced: None,
            is_written_again: false,
        }
    }

    fn because(&mut self, action: Action, cause: Cause, reason: Reason) {
        // What a person wrote counts for more than what only happened.
        let weight = |cause| match cause {
            Cause::InStep => 0,
            Cause::Due | Cause::Expired | Cause::HandedOver | Cause::Recovery => 1,
            Cause::Drifted | Cause::Vanished | Cause::SecretLost => 2,
            Cause::Requested => 3,
            Cause::Edited => 4,
        };
        if weight(cause) > weight(self.cause) {
            self.cause = cause;
        }
        self.said.push((action, reason));
    }

    fn replace(&mut self, cause: Cause, reason: Reason) {
        self.replaced.get_or_insert((cause, reason));
    }

    /// What SendGrid holds of the key against what it should.
    fn name_and_access(&mut self) {
        if self.account.presence(self.owned) == Presence::Unsure {
            self.notes.push(Note::MayBeGone);
            return;
        }
        let rename = self.name_reason();
        let scopes = self.scopes_reason();
        for (cause, reason) in scopes.iter().flatten().chain(&rename) {
            self.because(Action::Update, *cause, *reason);
        }
        let (id, name) = (self.owned.id.clone(), self.wanted.name.clone());
        if scopes.is_some() {
            let patterns = self.account.settings(self.wanted).patterns;
            self.steps.push(Step::Update { id, name, access: self.access.clone(), patterns });
        } else if rename.is_some() {
            self.steps.push(Step::Rename { id, name });
        }
    }

    fn name_reason(&mut self) -> Option<(Cause, Reason)> {
        let live = self.account.read.live.get(&self.owned.id)?;
        if *live == self.wanted.name {
            return None;
        }
        if Marker::in_name(live).is_some() {
            return Some((Cause::Recovery, Reason::NameUnfinished));
        }
        if self.owned.name != self.wanted.name {
            return Some((Cause::Edited, Reason::NameEdited));
        }
        if self.owned.held_name.as_ref() == Some(live) {
            // It was asked for and is not held, so it is not asked for on every run.
            self.notes.push(Note::NameNotHeld(live.clone()));
            return None;
        }
        Some((Cause::Drifted, Reason::NameDrifted))
    }

    /// Why the scopes are written, if they are.
    fn scopes_reason(&mut self) -> Option<Vec<(Cause, Reason)>> {
        if self.owned.access.kind() != self.wanted.access.kind() {
            self.replace(Cause::Edited, Reason::AccessChanged);
            return None;
        }
        let asked = scope_set(&self.owned.access);
        let effective = effective(self.wanted, &asked, &self.account.read.grantable, &mut self.findings);
        if !effective.left_out.is_empty() {
            self.notes.push(Note::LeftOut(effective.left_out.clone()));
        }
        self.left_out = effective.left_out;
        let access = effective.access?;
        let target = scope_set(&access);
        self.access = access;
        let live = match self.account.read.details.get(&self.owned.id) {
            Some(KeyDetail::Scopes(scopes)) if self.wanted.access.kind() != AccessKind::Full => Some(scopes),
            Some(KeyDetail::Scopes(_) | KeyDetail::Missing) | None => None,
        };
        let drift = live.and_then(|live| self.drift(live, &target));
        let edit = (target != asked).then(|| (Cause::Edited, self.edited(&asked, &target)));
        let reasons: Vec<_> = edit.into_iter().chain(drift).collect();
        (!reasons.is_empty()).then_some(reasons)
    }

    /// Whether SendGrid holds other scopes than it did after it was last asked, and than it should.
    fn drift(&mut self, detail: &BTreeSet<Scope>, target: &BTreeSet<Scope>) -> Option<(Cause, Reason)> {
        let automatic: BTreeSet<_> = detail.iter().filter(|scope| scope.is_automatic()).cloned().collect();
        if !automatic.is_empty() {
            self.notes.push(Note::AutomaticScopes(automatic));
        }
        let live = without_automatic(detail);
        let reported = without_automatic(self.owned.reported.as_ref()?);
        let asked = scope_set(&self.owned.access);
        let lost: BTreeSet<_> = asked
            .iter()
            .filter(|scope| !reported.contains(*scope) && target.contains(*scope))
            .cloned()
            .collect();
        if !lost.is_empty() && !lost.is_subset(detail) {
            self.notes.push(Note::NotHeld(lost));
        }
        // What SendGrid did not hold right after it was asked is not asked for on every run.
        if live == *target || live == reported {
            return None;
        }
        let missing = live.is_subset(&reported);
        self.drifted = Scopes::new(live).ok().map(|live| match &self.access {
            Access::Billing(_) => Access::Billing(live),
            Access::Full | Access::Restricted(_) => Access::Restricted(live),
        });
        Some((Cause::Drifted, if missing { Reason::ScopesMissing } else { Reason::ScopesDrifted }))
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

    /// A key of the address in another account that took the place of this one, or may have been delivered over it.
    fn handed_over(&mut self) -> Option<Note> {
        let address = &self.wanted.address;
        if let Some(other) = handover::taken_over(self.account, address, self.owned) {
            self.replace(Cause::Edited, Reason::AccountChanged);
            let stands = handover::says_nothing_of_older(self.account, self.wanted, other);
            stands.into_iter().for_each(|finding| self.general.raise(finding));
            return Some(Note::MovesFrom(other.clone()));
        }
        if handover::may_be_overwritten(self.account, address, self.owned) {
            self.replace(Cause::SecretLost, Reason::SecretUncertain);
        }
        None
    }

    /// Locations that should have the secret and do not.
    fn locations(&mut self) {
        if self.owned.secret == SecretStatus::Unknown {
            // Where a sink holds the key, its secret is where it belongs: from now on it is like any other.
            if !self.wanted.sinks.iter().any(|location| self.account.holds(location, &self.owned.id)) {
                self.notes.push(Note::SecretUnknown);
                return;
            }
            self.because(Action::Deliver, Cause::Drifted, Reason::SecretFound);
        }
        let given: BTreeSet<LocationId> =
            self.owned.sinks.iter().map(|delivery| delivery.location.id()).collect();
        let mut missing = Vec::new();
        for location in &self.wanted.sinks {
            let known = given.contains(&location.id());
            if self.location(location, known) {
                missing.push(location);
            }
        }
        let wanted: BTreeSet<LocationId> = self.wanted.sinks.iter().map(SinkLocation::id).collect();
        if given.difference(&wanted).next().is_some() {
            self.because(Action::Deliver, Cause::Edited, Reason::LocationRemoved);
        }
        if !missing.is_empty() {
            self.deliver(&missing);
        }
    }

    /// Whether a location has to be given the secret.
    fn location(&mut self, location: &SinkLocation, known: bool) -> bool {
        let added = (Cause::Edited, Reason::LocationAdded);
        let (missing, why) = match self.account.observed(location) {
            SinkObservation::Holds(SinkContent::Key(id)) if id == self.owned.id => {
                (false, (!known).then_some(added))
            }
            SinkObservation::Holds(_) if known => (true, Some((Cause::Drifted, Reason::LocationLost))),
            SinkObservation::Holds(_) => (true, Some(added)),
            SinkObservation::WriteOnly if known => match self.is_denied(location) {
                true => (true, Some((Cause::Drifted, Reason::LocationLost))),
                false => (false, None),
            },
            SinkObservation::WriteOnly => (true, Some(added)),
            SinkObservation::Unreadable(reason) if known => {
                self.not_readable(location, &reason);
                (false, None)
            }
            SinkObservation::Unreadable(_) => (true, Some(added)),
        };
        if let Some((cause, reason)) = why {
            self.because(Action::Deliver, cause, reason);
        }
        missing
    }

    /// A location that cannot be read is never taken for one that is as it should be.
    fn not_readable(&mut self, location: &SinkLocation, reason: &str) {
        if !self.account.input.options.sinks {
            return;
        }
        self.notes.push(Note::NotReadable(location.clone()));
        self.general.raise(about(
            Finding::warns(
                Code::SinkUnreadable,
                format!(
                    "{location} cannot be read, so whether it has the secret of `{}` is not known: {reason}",
                    self.wanted.address
                ),
                "make the sink readable and run again",
            ),
            self.wanted,
        ));
    }

    /// Whether a location that never tells its value is sure to have lost the key that it was given.
    fn is_denied(&self, location: &SinkLocation) -> bool {
        self.owned.is_delivered_to(&location.id())
            && self.account.denied(location, [&self.owned.id]).is_some()
    }

    fn deliver(&mut self, missing: &[&SinkLocation]) {
        let ours = self.account.index.own_ids(&self.wanted.address, self.account.name());
        let mut puts: Vec<Put> = Vec::new();
        for location in missing {
            puts.push(self.account.put(self.wanted, location, &ours, &mut self.notes, &mut self.findings));
        }
        readable_first(&mut puts);
        match self.source.clone() {
            Some(source) => {
                self.is_written_again = puts.iter().any(|put| self.is_denied(&put.location));
                let hooks = hooks::following(self.wanted, &puts);
                let id = self.owned.id.clone();
                self.steps.push(Step::Deliver { id, source, to: puts, hooks: hooks.clone() });
                hooks::run(hooks, &mut self.steps, &mut self.notes);
            }
            None => self.lost(&puts),
        }
    }

    /// No sink that can be read has the secret, so it cannot be copied: only a new key will do, unless a sink that
    /// should have it cannot be read just now.
    fn lost(&mut self, puts: &[Put]) {
        let mut given = self.owned.sinks.iter().map(|delivery| &delivery.location);
        let unreadable = given.clone().find(|location| is_unreadable(&self.account.observed(location)));
        let Some(unreadable) = unreadable else {
            if self.has_lost() || given.any(|location| location.at.is_readable()) {
                self.replace(Cause::SecretLost, Reason::SecretGone);
            } else {
                self.replace(Cause::Edited, Reason::LocationAdded);
            }
            return;
        };
        let places: Vec<_> = puts.iter().map(|put| put.location.to_string()).collect();
        let message = format!(
            "the secret of `{}` has to be copied to {}, and {unreadable}, which should have it, cannot be read",
            self.wanted.address,
            places.join(", "),
        );
        let help = "make that sink readable and run again";
        self.findings.raise(about(Finding::blocks(Code::SinkUnreadable, message, help), self.wanted));
    }

    /// Whether a location has not the secret that it was given.
    fn has_lost(&self) -> bool {
        self.said.iter().any(|(_, reason)| *reason == Reason::LocationLost)
    }

    /// A rotation that a person asked for; once the key is another, it is done.
    fn requested(&mut self) {
        let requested = &self.account.input.options.requests.rotate;
        let asked = requested.get(&self.wanted.address);
        if asked.is_some_and(|id| id.as_ref().is_none_or(|id| *id == self.owned.id)) {
            self.replace(Cause::Requested, Reason::RotationRequested);
        }
    }

    fn decision(mut self, recovered: &Recovered, handed_over: Option<Note>) -> Decision {
        let (account, wanted, owned) = (self.account, self.wanted, self.owned);
        let replaced = self.replaced;
        let rotation = replaced.and_then(|(cause, reason)| self.rotation(wanted, cause, reason, recovered));
        let retirement = std::mem::take(&mut self.retirement);
        let due = match rotation {
            Some(_) => None,
            None => schedule::expiry(account, wanted, owned).or_else(|| {
                schedule::rotation(account, wanted, owned, &retirement, recovered, &mut self.general)
            }),
        };
        let before = self.before();
        let recorded = account.values_of(&wanted.address, owned);
        let general = std::mem::replace(&mut self.general, Findings::new(account.input)).into_list();
        if due.is_none() && rotation.is_none() {
            self.notes.extend(schedule::expires(account, wanted, owned).map(Note::Expires));
        }
        let edit = match rotation {
            Some(mut rotation) => {
                rotation.notes.extend(handed_over);
                rotation
            }
            None => self.in_place(&retirement),
        };
        Decision {
            recorded: Some(recorded),
            due: due.map(Box::new),
            retirement: retirement.into_part(&before).map(Box::new),
            findings: general,
            rotation: schedule::rotation_dates(account, wanted, owned),
            position: Some(wanted.position.clone()),
            ..Decision::new(&wanted.address, account.name(), Some(before), edit)
        }
    }

    /// A successor is made; what a person asked for the older keys is done all the same.
    fn rotation(
        &self,
        wanted: &WantedKey,
        cause: Cause,
        reason: Reason,
        recovered: &Recovered,
    ) -> Option<Part> {
        let requests = &self.account.input.options.requests;
        let revoke_old = match requests.rotate.contains_key(&wanted.address) {
            true => requests.revoke_old,
            false => RevokeOld::AfterOverlap,
        };
        let older = Predecessor::Here(self.owned, revoke_old);
        let minting = Minting { account: self.account, wanted, older, recovered };
        let mut part = minting.part(Action::Rotate, cause, reason)?;
        self.retirement.add_requested(&mut part);
        Some(part)
    }

    /// What the key is now: what SendGrid holds, where somebody else changed it.
    fn before(&self) -> KeyValues {
        let mut before = self.account.values_of(&self.wanted.address, self.owned);
        let live = self.account.read.live.get(&self.owned.id);
        let known =
            |name: &&String| Marker::in_name(name).is_none() && self.owned.held_name.as_ref() != Some(*name);
        if let Some(name) = live.filter(known) {
            before.name.clone_from(name);
        }
        if let Some(drifted) = &self.drifted {
            before.access.clone_from(drifted);
        }
        before
    }

    /// Locations that are left, and that may be a wanted one by another name: gridkey never wrote the key there, and it is there
    /// all the same. To clear them would take the key from its programs.
    fn perhaps_the_same(&self) -> Vec<SinkLocation> {
        let given = || self.owned.sinks.iter().map(|delivery| &delivery.location);
        let is_wanted =
            |location: &SinkLocation| self.wanted.sinks.iter().any(|wanted| wanted.id() == location.id());
        let mut leaving: Vec<SinkLocation> =
            given().filter(|location| !is_wanted(location)).cloned().collect();
        if leaving.is_empty() {
            return leaving;
        }
        let left = self.owned.retiring_locations.iter().map(|leaving| &leaving.location);
        let written: BTreeSet<LocationId> = given().chain(left).map(SinkLocation::id).collect();
        let found = self.wanted.sinks.iter().filter(|location| {
            !written.contains(&location.id()) && self.account.holds(location, &self.owned.id)
        });
        let kinds: BTreeSet<SinkKind> = found.map(|location| location.at.kind()).collect();
        leaving.retain(|location| kinds.contains(&location.at.kind()));
        leaving
    }

    fn in_place(mut self, retirement: &Retirement) -> Part {
        let mut settings = self.account.settings(self.wanted);
        let found = self.said.iter().any(|(_, reason)| *reason == Reason::SecretFound);
        if self.owned.secret == SecretStatus::Unknown && !found {
            // Nothing was delivered, so state says of no location that it has the secret.
            settings.locations = self.owned.sinks.iter().map(|delivery| delivery.location.clone()).collect();
        }
        for location in self.perhaps_the_same() {
            settings.left_alone.insert(location.id());
            self.notes.push(Note::LeftAlone(location));
        }
        let index = self.account.index;
        let reached_otherwise: Vec<Note> = settings
            .locations
            .iter()
            .filter(|location| index.is_edited(&location.id()))
            .map(|location| Note::SinkEdited(location.clone()))
            .collect();
        let edited = !reached_otherwise.is_empty() || differs_but_for_lifecycle(&settings, self.owned);
        let changed = edited || differs(&settings, self.owned);
        if changed {
            // A document that is older than the field is only completed.
            let completes = self.owned.lifecycle.is_none() && !edited;
            let cause = if completes { Cause::Drifted } else { Cause::Edited };
            self.because(Action::Update, cause, Reason::SettingsEdited);
        }
        self.notes.extend(reached_otherwise);
        if changed || differs_in_locations(&settings, self.owned) || self.is_written_again {
            self.steps.push(Step::Record(settings.clone()));
        }
        let name = match self.account.presence(self.owned) {
            Presence::Live => self.wanted.name.clone(),
            Presence::Gone | Presence::Unsure => self.owned.name.clone(),
        };
        let mut after = values_with(self.wanted, Some(self.owned.id.clone()), name, self.access, &settings);
        after.left_out = self.left_out;
        let mut part = Part {
            cause: self.cause,
            said: self.said,
            notes: self.notes,
            steps: self.steps,
            after: Some(after),
            findings: self.findings.into_list(),
        };
        retirement.add_requested(&mut part);
        part.notes.extend(retirement.notes.iter().cloned());
        part
    }
}

/// Whether state would say something else of the key's settings than it does, locations aside.
fn differs(settings: &Settings, owned: &OwnedKey) -> bool {
    // What is done about deliveries is done about the next one, and state need not know of it before.
    let Settings {
        owner,
        protect,
        on_delete,
        patterns: _,
        locations: _,
        left_alone: _,
        overlap: _,
        lifecycle,
        hooks: _,
    } = settings;
    *owner != owned.owner
        || *protect != owned.protect
        || *on_delete != owned.on_delete
        // A document that is older than the field says nothing, which is no rotation and no end.
        || *lifecycle != owned.lifecycle.unwrap_or_default()
}

fn differs_but_for_lifecycle(settings: &Settings, owned: &OwnedKey) -> bool {
    let lifecycle = owned.lifecycle.unwrap_or_default();
    differs(&Settings { lifecycle, ..settings.clone() }, owned)
}

/// Whether state would say something else of where the secret is than it does.
fn differs_in_locations(settings: &Settings, owned: &OwnedKey) -> bool {
    let recorded: BTreeSet<_> = owned.sinks.iter().map(|delivery| &delivery.location).collect();
    let wanted: BTreeSet<_> = settings.locations.iter().collect();
    recorded != wanted
}

/// A location that has the secret, among those of now and before.
fn source(account: &Account<'_>, wanted: &WantedKey, owned: &OwnedKey) -> Option<SinkLocation> {
    let mut before = owned.sinks.iter().map(|delivery| &delivery.location);
    if !account.input.options.sinks {
        // Nothing was looked at; apply looks, and stops where no sink has it.
        return before.find(|location| location.at.is_readable()).cloned();
    }
    let leaving = owned.retiring_locations.iter().map(|retiring| &retiring.location);
    before.chain(&wanted.sinks).chain(leaving).find(|location| account.holds(location, &owned.id)).cloned()
}

/// Whether a location cannot be read just now.
pub(crate) fn is_unreadable(observation: &SinkObservation) -> bool {
    match observation {
        SinkObservation::Unreadable(_) => true,
        SinkObservation::Holds(_) | SinkObservation::WriteOnly => false,
    }
}
