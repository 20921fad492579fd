//! Keys that state owns: kept, updated, delivered again, retired or deleted.

use std::collections::BTreeSet;

use crate::access::{Access, Scope, Scopes};
use crate::address::Address;
use crate::inventory::{KeyDetail, SinkContent, SinkObservation};
use crate::key::{KeyId, Marker};
use crate::manifest::{OnDelete, WantedKey};
use crate::plan::account::{Account, Presence, values_of};
use crate::plan::document::{Action, Change, KeyValues, Note, Reason, RotationDates};
use crate::plan::gate::{self, Gates};
use crate::plan::location::readable_first;
use crate::plan::recover::{Recovered, older_ids};
use crate::plan::scopes::{effective, without_automatic};
use crate::plan::step::{Delete, DeleteKey, Put, Settings, Step};
use crate::plan::wanted::{is_unreadable, needs_rotation, scope_set};
use crate::plan::{Code, Finding, Severity};
use crate::sink::{LocationId, SinkLocation};
use crate::state::{OwnedKey, SecretStatus};

pub(crate) fn changes(account: &Account<'_>, recovered: &Recovered, gates: &mut Gates<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (address, owned) in account.keys().filter(|(address, _)| account.is_selected(address)) {
        let elsewhere = !account.input.selection.destroy
            && account.input.manifest.keys.get(address).is_some_and(|key| &key.account != account.name());
        match account.wanted(address) {
            None if elsewhere => {}
            None => changes.push(delete(account, address, owned, gates)),
            Some(_) if recovered.finished.contains(address) || recovered.waiting.contains(address) => {}
            Some(_) if recovered.uncertain.contains_key(address) => {}
            Some(_) if account.presence(owned) == Presence::Gone => {}
            Some(wanted) => changes.push(Comparison::new(account, wanted, owned).change(gates)),
        }
    }
    changes
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
        }
    }

    fn because(&mut self, action: Action, reason: Reason) {
        // The most telling action stands for the change: update before deliver before retire.
        let rank = |action| match action {
            Action::Update => 3,
            Action::Deliver => 2,
            Action::Retire => 1,
            Action::Keep | Action::Recover | Action::Delete | Action::Create | Action::Rotate => 0,
        };
        if rank(action) > rank(self.action) {
            self.action = action;
            self.reasons.insert(0, reason);
        } else if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn change(mut self, gates: &mut Gates<'_>) -> Change {
        if self.account.presence(self.owned) == Presence::Unsure {
            self.notes.push(Note::MayBeGone);
        } else {
            self.name_and_access(gates);
        }
        let source = self.source();
        self.retirements(source.as_ref());
        self.locations(source.as_ref(), gates);
        let settings = self.account.settings(self.wanted);
        if self.differs(&settings) {
            if !self.reasons.iter().any(|reason| {
                matches!(reason, Reason::LocationAdded | Reason::LocationRemoved | Reason::LocationLost)
            }) {
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
            let message =
                format!("`{}` cannot change from {from} to {to} access in place", self.wanted.address);
            if self.owned.protect && self.wanted.access.scopes().is_none() {
                gates.raise(protected(self.account, &self.wanted.address, "be widened to Full Access"));
            }
            gate::full_access(self.account, self.wanted, gates);
            gates.raise(needs_rotation(self.wanted, message));
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
    fn retirements(&mut self, source: Option<&SinkLocation>) {
        let account = self.account;
        let mut look: Vec<SinkLocation> =
            self.owned.sinks.iter().map(|delivery| delivery.location.clone()).collect();
        for location in &self.wanted.sinks {
            if !look.iter().any(|known| known.id() == location.id()) {
                look.push(location.clone());
            }
        }
        look.retain(|location| location.at.is_readable());
        for retiring in &self.owned.retiring {
            if retiring.after > account.at() {
                self.notes.push(Note::RetiringKey { id: retiring.id.clone(), after: retiring.after });
            } else if look.iter().any(|location| account.holds(location, &retiring.id)) {
                self.because(Action::Deliver, Reason::OlderKeyInUse);
                let overlap = super::account::overlap(self.wanted);
                self.steps.push(Step::PostponeRetirement { id: retiring.id.clone(), overlap });
            } else if let Some(location) =
                look.iter().find(|location| is_unreadable(&account.observed(location)))
            {
                self.notes.push(Note::NotReadable(location.clone()));
            } else {
                self.because(Action::Retire, Reason::OverlapPassed);
                let (id, born) = (retiring.id.clone(), retiring.born);
                self.steps.push(Step::RetireKey { id, born, look: look.clone() });
            }
        }
        for retiring in &self.owned.retiring_locations {
            let location = &retiring.location;
            let last = source.is_some_and(|source| source.id() == location.id());
            if retiring.after > account.at() || last {
                let note = Note::RetiringLocation { location: location.clone(), after: retiring.after };
                self.notes.push(note);
            } else {
                self.because(Action::Retire, Reason::OverlapPassed);
                let holding = older_ids(self.owned).cloned().collect();
                self.steps.push(Step::RetireLocation { location: location.clone(), holding });
            }
        }
    }

    /// Locations that should have the secret and do not.
    fn locations(&mut self, source: Option<&SinkLocation>, gates: &mut Gates<'_>) {
        let account = self.account;
        let given: BTreeSet<LocationId> =
            self.owned.sinks.iter().map(|delivery| delivery.location.id()).collect();
        let ours: BTreeSet<&KeyId> = older_ids(self.owned).collect();
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
            if missing && self.owned.secret == SecretStatus::Unknown {
                continue;
            }
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

    /// No sink that can be read has the secret, so it cannot be copied.
    fn lost(&mut self, puts: &[Put], gates: &mut Gates<'_>) {
        let places: Vec<_> = puts.iter().map(|put| put.location.to_string()).collect();
        let unreadable = self
            .owned
            .sinks
            .iter()
            .find(|delivery| is_unreadable(&self.account.observed(&delivery.location)));
        let message = match unreadable {
            Some(delivery) => format!(
                "the secret of `{}` has to be copied to {}, and {}, which should have it, cannot be read",
                self.wanted.address,
                places.join(", "),
                delivery.location,
            ),
            None => format!(
                "the secret of `{}` is missing from {}, and is in no other sink that can be read",
                self.wanted.address,
                places.join(", "),
            ),
        };
        gates.raise(needs_rotation(self.wanted, message));
    }

    /// Whether state would say something else of the key than it does.
    fn differs(&self, settings: &Settings) -> bool {
        let Settings { owner, protect, on_delete, patterns: _, locations, overlap: _ } = settings;
        let unknown = self.owned.secret == SecretStatus::Unknown;
        let recorded: BTreeSet<_> = self.owned.sinks.iter().map(|delivery| &delivery.location).collect();
        let wanted: BTreeSet<_> = locations.iter().collect();
        *owner != self.owned.owner
            || *protect != self.owned.protect
            || *on_delete != self.owned.on_delete
            || (recorded != wanted && !unknown)
    }
}

/// When a key that is there is due for rotation, where it ever is.
pub(crate) fn rotation_dates(wanted: &WantedKey, owned: &OwnedKey) -> Option<RotationDates> {
    let rotation = wanted.rotate?;
    let made = owned.born.at();
    let every = jiff::SignedDuration::try_from(rotation.every).ok()?;
    Some(RotationDates { made, due: made.checked_add(every).ok()?, overlap: rotation.overlap })
}

pub(crate) fn protected(account: &Account<'_>, address: &Address, what: &str) -> Finding {
    Finding {
        severity: Severity::Blocks,
        code: Code::Protected,
        account: Some(account.name().clone()),
        address: Some(address.clone()),
        message: format!("`{address}` is protected, and would {what}"),
        help: Some("apply `protect: false` on the key in a run of its own first".to_string()),
        position: None,
    }
}

fn delete(account: &Account<'_>, address: &Address, owned: &OwnedKey, gates: &mut Gates<'_>) -> Change {
    if owned.protect {
        gates.raise(protected(account, address, "be deleted"));
    }
    let mut keys = vec![DeleteKey { id: owned.id.clone(), born: owned.born.at() }];
    keys.extend(
        owned.retiring.iter().map(|retiring| DeleteKey { id: retiring.id.clone(), born: retiring.born }),
    );
    let mut locations: Vec<SinkLocation> =
        owned.sinks.iter().map(|delivery| delivery.location.clone()).collect();
    locations.extend(owned.retiring_locations.iter().map(|retiring| retiring.location.clone()));
    let mut abandon = Vec::new();
    for (marker, pending) in account.state.into_iter().flat_map(|state| &state.pending) {
        if pending.address != *address {
            continue;
        }
        abandon.push(marker.clone());
        let made = account.read.live.iter().filter(|(id, name)| {
            Marker::in_name(name).as_ref() == Some(marker) && !keys.iter().any(|key| &key.id == *id)
        });
        let made: Vec<_> = made.map(|(id, _)| DeleteKey { id: id.clone(), born: pending.at }).collect();
        keys.extend(made);
        locations.extend(pending.locations.iter().cloned());
    }
    let mut seen = BTreeSet::new();
    let ids: BTreeSet<_> = keys.iter().map(|key| key.id.clone()).collect();
    let clear = match owned.on_delete {
        OnDelete::Keep => Vec::new(),
        OnDelete::Clear => locations
            .into_iter()
            .filter(|location| seen.insert(location.id()))
            .filter(|location| account.other_user(address, &location.id()).is_none())
            .filter(|location| match account.observed(location) {
                SinkObservation::Holds(SinkContent::Key(id)) => ids.contains(&id),
                SinkObservation::Holds(SinkContent::Empty | SinkContent::Other) => false,
                SinkObservation::Unreadable(_) | SinkObservation::WriteOnly => true,
            })
            .collect(),
    };
    Change {
        address: address.clone(),
        account: account.name().clone(),
        action: Action::Delete,
        reasons: vec![Reason::NotWanted],
        before: Some(values_of(owned)),
        after: None,
        notes: Vec::new(),
        steps: vec![Step::Delete(Delete { keys, abandon, clear })],
        rotation: None,
        position: None,
    }
}
