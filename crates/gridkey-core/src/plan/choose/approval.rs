//! Approval: what of a plan is covered by plan files that people reviewed.
//!
//! Apply plans anew from the manifest at hand, and the files only limit what of that is done. So a file
//! can be applied again after a crash, two of them in either order, and a forged one cannot make more
//! happen than the manifest holds.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

use crate::access::{Access, Scope};
use crate::address::Address;
use crate::finding::Allow;
use crate::identity::AccountIdentity;
use crate::key::KeyId;
use crate::manifest::Manifest;
use crate::name::Name;
use crate::plan::document::change::{
    Action, Change, FORMAT_VERSION, KeyValues, Note, Plan, PlanKind, Reason,
};
use crate::plan::document::step::Step;
use crate::plan::input::Selection;
use crate::sink::{LocationId, SinkLocation};
use crate::state::AccountState;

/// Why a file is not a plan that can be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    #[error("it is no plan document, or not a whole one: {0}")]
    Unreadable(String),
    #[error("it has format {0}, and this gridkey reads format {FORMAT_VERSION}")]
    Version(u64),
    #[error("it is a {0}, and only a plan can be applied")]
    Kind(&'static str),
}

impl Plan {
    /// Reads a document that [`Plan::to_json`] wrote.
    ///
    /// # Errors
    /// [`PlanFileError`], where it is cut off, of another format, or something else altogether.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PlanFileError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u64,
        }
        let unreadable = |error: serde_json::Error| PlanFileError::Unreadable(error.to_string());
        // The version first: a document of another format would fail anywhere.
        let Version { format_version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format_version != u64::from(FORMAT_VERSION) {
            return Err(PlanFileError::Version(format_version));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }
}

/// The plan files of one apply.
#[derive(Clone, Debug)]
pub struct Approval {
    files: Vec<Plan>,
    /// `--approved-only`: what is wanted and not approved is left alone, rather than stopping the run.
    only: bool,
}

/// Why an approved plan is about something else than what is at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Project {
        approved: Name,
        manifest: Name,
    },
    /// The manifest has no such account.
    Account {
        account: Name,
    },
    Identity {
        account: Name,
        approved: AccountIdentity,
        manifest: AccountIdentity,
    },
    /// `state` is `None` where the account has no state any more.
    Lineage {
        account: Name,
        approved: String,
        state: Option<String>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project { approved, manifest } => {
                write!(f, "it is a plan of project `{approved}`, and the manifest is of project `{manifest}`")
            }
            Self::Account { account } => {
                write!(f, "it is about account `{account}`, which the manifest does not have")
            }
            Self::Identity { account, approved, manifest } => {
                write!(f, "its account `{account}` is {approved}, and the manifest's is {manifest}")
            }
            Self::Lineage { account, approved, state } => {
                write!(f, "it was made from state `{approved}` of account `{account}`, and ")?;
                match state {
                    Some(state) => write!(f, "the state at hand is another one, `{state}`"),
                    None => f.write_str("there is no state of that account"),
                }
            }
        }
    }
}

/// What the files let of a change be done.
pub(crate) enum Judged {
    /// All of it.
    Approved,
    /// All but what the clock brought.
    WithoutClock,
    /// Nothing of it.
    Not,
    /// It is about a key that no file is about.
    Outside,
}

/// What became of an approved change that nothing is done for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    pub account: Name,
    pub address: Address,
    pub action: Action,
    /// Whether it is as approved already; otherwise it is wanted no more.
    pub done: bool,
}

impl Approval {
    /// # Errors
    /// [`PlanFileError::Kind`], where one is no plan of what apply would do.
    pub fn new(files: Vec<Plan>, only: bool) -> Result<Self, PlanFileError> {
        match files.iter().map(|file| file.kind).find(|kind| *kind != PlanKind::Plan) {
            Some(PlanKind::Drift) => Err(PlanFileError::Kind("report of drift")),
            Some(PlanKind::Comparison) => Err(PlanFileError::Kind("comparison of two manifests")),
            Some(PlanKind::Plan) | None => Ok(Self { files, only }),
        }
    }

    /// The environments and addresses that the files are about.
    pub fn selection(&self) -> Selection {
        let mut selection =
            Selection { environments: Some(BTreeSet::new()), only: Some(BTreeSet::new()), destroy: false };
        for file in &self.files {
            widen(&mut selection.environments, file.computed_from.environments.as_ref());
            widen(&mut selection.only, file.computed_from.only.as_ref());
        }
        selection
    }

    /// What the files let pass.
    pub fn allowed(&self) -> Vec<Allow> {
        let all: BTreeSet<_> = self.files.iter().flat_map(|file| &file.allowed).cloned().collect();
        all.into_iter().collect()
    }

    /// Whether what is not approved is left alone.
    pub fn is_only(&self) -> bool {
        self.only
    }

    /// The changes that the files approve.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.files.iter().flat_map(Plan::effective)
    }

    /// What makes the files plans of something else.
    pub fn refusals(
        &self,
        manifest: &Manifest,
        state: impl Fn(&Name) -> Option<AccountState>,
    ) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for file in &self.files {
            if file.project != manifest.project {
                let (approved, manifest) = (file.project.clone(), manifest.project.clone());
                refusals.push(Refusal::Project { approved, manifest });
                continue;
            }
            for (name, planned) in &file.accounts {
                let account = name.clone();
                let Some(declared) = manifest.accounts.get(name) else {
                    refusals.push(Refusal::Account { account });
                    continue;
                };
                if planned.identity != declared.identity() {
                    let (approved, manifest) = (planned.identity.clone(), declared.identity());
                    refusals.push(Refusal::Identity { account, approved, manifest });
                    continue;
                }
                let Some(approved) = &planned.lineage else { continue };
                let state = state(name).map(|state| state.lineage);
                if state.as_ref() != Some(approved) {
                    refusals.push(Refusal::Lineage { account, approved: approved.clone(), state });
                }
            }
        }
        refusals
    }

    /// Whether some file is about this address.
    pub(crate) fn is_about(&self, manifest: &Manifest, address: &Address) -> bool {
        self.files.iter().any(|file| {
            let from = &file.computed_from;
            let selection = Selection {
                environments: from.environments.clone(),
                only: from.only.clone(),
                destroy: false,
            };
            selection.has(manifest, address)
        })
    }

    /// What of a change may be done.
    pub(crate) fn judge(&self, manifest: &Manifest, change: &Change) -> Judged {
        if change.action == Action::Keep {
            return Judged::Approved;
        }
        if !self.is_about(manifest, &change.address) {
            return Judged::Outside;
        }
        let (rest, clock) = change.clone().split();
        let rest_approved = rest.action == Action::Keep
            || tidies_up(&rest)
            || self.of(change).any(|file| covers(file, &rest));
        let clock_approved = clock.as_ref().is_none_or(|clock| {
            let retired = retired(&clock.steps);
            self.of(change).any(|file| self::retired(&file.steps).is_superset(&retired))
        });
        match (rest_approved, clock_approved) {
            (true, true) => Judged::Approved,
            (true, false) => Judged::WithoutClock,
            // What the clock brought can wait for the run that does the rest.
            (false, _) => Judged::Not,
        }
    }

    /// Whether some file approves a change that the clock brings.
    pub(crate) fn covers_due(&self, change: &Change) -> bool {
        self.of(change).any(|file| covers(file, change))
    }

    /// The rotations that the files ask for, and of which key: once it is another, they are done.
    pub fn rotations(&self) -> impl Iterator<Item = (Address, Option<KeyId>)> {
        let asked = self.changes().filter(|change| change.reasons.contains(&Reason::RotationRequested));
        asked.filter_map(|change| Some((change.address.clone(), Some(change.before.as_ref()?.id.clone()?))))
    }

    fn of<'a>(&'a self, change: &Change) -> impl Iterator<Item = &'a Change> {
        let (account, address) = (change.account.clone(), change.address.clone());
        self.changes().filter(move |file| file.account == account && file.address == address)
    }

    /// What became of approved changes of an account that this run has nothing to do for.
    ///
    /// `planned` is all that would be done there without the files.
    pub(crate) fn noted(&self, account: &Name, planned: &[Change]) -> Vec<Noted> {
        let mut noted: Vec<Noted> = Vec::new();
        for file in self.changes().filter(|file| &file.account == account) {
            let mut now =
                planned.iter().filter(|now| now.account == file.account && now.address == file.address);
            if now.clone().any(|now| now.action != Action::Keep) {
                continue;
            }
            let kept = now.next().and_then(|kept| Some((kept, kept.after.as_ref()?)));
            let older = file.before.as_ref().and_then(|before| before.id.as_ref());
            let is_older = kept.is_some_and(|(_, kept)| older.is_some() && kept.id.as_ref() == older);
            if file.action == Action::Rotate && is_older {
                // It waits for a slot or a sink, and a finding says so.
                continue;
            }
            let done = match (&file.after, kept) {
                (Some(after), Some((change, kept))) => is_as_approved(after, kept, &left_out(change)),
                (None, Some(_)) => file.action == Action::Recover,
                (after, None) => after.is_none(),
            };
            let (account, address) = (file.account.clone(), file.address.clone());
            let note = Noted { account, address, action: file.action, done };
            if !noted.contains(&note) {
                noted.push(note);
            }
        }
        noted.sort_by(|a, b| (&a.account, a.action, &a.address).cmp(&(&b.account, b.action, &b.address)));
        noted
    }
}

/// The union of what runs were narrowed to, where `None` stands for everything.
fn widen<T: Clone + Ord>(all: &mut Option<BTreeSet<T>>, one: Option<&BTreeSet<T>>) {
    match (all.as_mut(), one) {
        (Some(all), Some(one)) => all.extend(one.iter().cloned()),
        (_, None) => *all = None,
        (None, Some(_)) => {}
    }
}

/// Whether a change only takes back what a run that broke off had begun, and that no sink has: it makes
/// nothing and takes nothing from anybody, so it needs no approval of its own.
fn tidies_up(change: &Change) -> bool {
    change.action == Action::Recover
        && change.steps.iter().all(|step| {
            matches!(
                step,
                Step::RevokePending { .. } | Step::AbandonPending { .. } | Step::RevokeAbandoned { .. }
            )
        })
}

/// Whether an approved change covers one that is wanted now.
fn covers(approved: &Change, wanted: &Change) -> bool {
    let makes = |action| matches!(action, Action::Create | Action::Rotate | Action::Recover);
    // What an earlier run of the same file began, and did not finish.
    let goes_on = wanted.reasons.iter().all(|reason| reason.is_recovery())
        && (makes(approved.action) || approved.action == Action::Update);
    // A key that was taken over, and not yet made what it was to be.
    let taken_over =
        approved.action == Action::Adopt && matches!(wanted.action, Action::Update | Action::Deliver);
    if approved.action != wanted.action && !goes_on && !taken_over {
        return false;
    }
    // A key in place of one that was made since is another key than the one that was approved.
    let mints = matches!(wanted.action, Action::Create | Action::Rotate);
    if mints && approved.before.is_none() && wanted.before.is_some() {
        return false;
    }
    // State may only be told what was approved, and a key only be revoked at once that was to be.
    if !told(wanted).is_subset(&told(approved)) {
        return false;
    }
    // What was let pass for one value in a location was not let pass for another.
    if !overwritten(wanted).is_subset(&overwritten(approved)) {
        return false;
    }
    let (after, wanted_after) = match (&approved.after, &wanted.after) {
        (None, None) => {
            let same_steps = wanted.action != Action::Recover || approved.steps == wanted.steps;
            return same_steps && before_is_as_approved(approved, wanted.before.as_ref(), false);
        }
        (Some(after), Some(wanted)) => (after, wanted),
        (None, Some(_)) | (Some(_), None) => return false,
    };
    is_as_approved(after, wanted_after, &left_out(wanted))
        && before_is_as_approved(approved, wanted.before.as_ref(), goes_on)
}

/// What a change tells state alone or revokes at once: the address that moves, or the key concerned.
fn told(change: &Change) -> BTreeSet<(&'static str, String)> {
    let told = change.steps.iter().filter_map(|step| match step {
        Step::Move { from } => Some(("move", from.to_string())),
        Step::Adopt(adopt) => Some(("adopt", adopt.id.to_string())),
        Step::Forget { id } => Some(("forget", id.to_string())),
        Step::RevokeFirst { id, .. } | Step::RevokeOlder { id, .. } => Some(("revoke", id.to_string())),
        _ => None,
    });
    told.collect()
}

/// The values that are not gridkey's and that a change overwrites, by location.
fn overwritten(change: &Change) -> BTreeSet<(LocationId, Option<&KeyId>)> {
    let overwritten = change.notes.iter().filter_map(|note| match note {
        Note::Overwrites { location, holder } => Some((location.id(), holder.as_ref())),
        _ => None,
    });
    overwritten.collect()
}

/// Scopes of patterns that turned out not to be grantable.
fn left_out(change: &Change) -> BTreeSet<Scope> {
    let left_out = change.notes.iter().filter_map(|note| match note {
        Note::LeftOut(scopes) => Some(scopes),
        _ => None,
    });
    left_out.flatten().cloned().collect()
}

/// Whether a key would be just what was approved. Scopes that turned out not to be grantable may be missing:
/// that is less than was approved, and is said.
fn is_as_approved(approved: &KeyValues, wanted: &KeyValues, left_out: &BTreeSet<Scope>) -> bool {
    let KeyValues { id, name, access, sinks, owner, protect, on_delete } = wanted;
    let same_id = match (&approved.id, id) {
        (Some(approved), Some(wanted)) => approved == wanted,
        // A key that is not made yet has no id.
        (None, _) | (_, None) => true,
    };
    same_id
        && approved.name == *name
        && is_same_access(&approved.access, access, left_out)
        && ids(&approved.sinks) == ids(sinks)
        && approved.owner == *owner
        && approved.protect == *protect
        && approved.on_delete == *on_delete
}

fn is_same_access(approved: &Access, wanted: &Access, left_out: &BTreeSet<Scope>) -> bool {
    if approved == wanted {
        return true;
    }
    match (approved.scopes(), wanted.scopes()) {
        (Some(all), Some(fewer)) if approved.kind() == wanted.kind() => {
            fewer.as_set().is_subset(all.as_set())
                && all.as_set().difference(fewer.as_set()).all(|scope| left_out.contains(scope))
        }
        _ => false,
    }
}

/// Whether each value that a key has is the one it had when the change was approved, or the one that was
/// approved.
///
/// Where an earlier run of the file `made` the key, nobody could know its id before.
fn before_is_as_approved(approved: &Change, now: Option<&KeyValues>, made: bool) -> bool {
    let Some(now) = now else { return approved.before.is_none() };
    let (before, after) = (approved.before.as_ref(), approved.after.as_ref());
    let either = |is: &dyn Fn(&KeyValues) -> bool| before.is_some_and(is) || after.is_some_and(is);
    let KeyValues { id, name, access, sinks, owner, protect, on_delete } = now;
    // Locations are reached one by one, so between the two there are sets of some of them.
    let known: BTreeSet<LocationId> =
        [before, after].into_iter().flatten().flat_map(|values| ids(&values.sinks)).collect();
    let both = match (before, after) {
        (Some(before), Some(after)) => ids(&before.sinks).intersection(&ids(&after.sinks)).cloned().collect(),
        (Some(values), None) | (None, Some(values)) => ids(&values.sinks),
        (None, None) => BTreeSet::new(),
    };
    let held = ids(sinks);
    either(&|values| values.id == *id || ((made || before.is_none()) && values.id.is_none()))
        && either(&|values| values.name == *name)
        && either(&|values| values.access == *access)
        && held.is_subset(&known)
        && both.is_subset(&held)
        && either(&|values| values.owner == *owner)
        && either(&|values| values.protect == *protect)
        && either(&|values| values.on_delete == *on_delete)
}

fn ids(sinks: &[SinkLocation]) -> BTreeSet<LocationId> {
    sinks.iter().map(SinkLocation::id).collect()
}

/// What a change retires: older keys and older locations.
fn retired(steps: &[Step]) -> BTreeSet<(Option<&KeyId>, Option<LocationId>)> {
    let retired = steps.iter().flat_map(|step| match step {
        Step::RetireKey { id, .. } => vec![(Some(id), None)],
        Step::RetireLocation { location, .. } => vec![(None, Some(location.id()))],
        Step::Delete(delete) => delete.keys.iter().map(|key| (Some(&key.id), None)).collect(),
        _ => Vec::new(),
    });
    retired.collect()
}

impl Change {
    /// The change without what only the clock brought, and that part by itself.
    pub(crate) fn split(self) -> (Self, Option<Self>) {
        if self.is_by_clock() && self.after.is_none() {
            // A key whose successor lives in another account goes whole.
            let kept = Self {
                action: Action::Keep,
                reasons: vec![Reason::InStep],
                after: self.before.clone(),
                steps: Vec::new(),
                ..self.clone()
            };
            return (kept, Some(self));
        }
        let (clock, steps): (Vec<Step>, Vec<Step>) = self
            .steps
            .into_iter()
            .partition(|step| matches!(step, Step::RetireKey { .. } | Step::RetireLocation { .. }));
        if clock.is_empty() {
            return (Self { steps, ..self }, None);
        }
        let part = Self {
            action: Action::Retire,
            reasons: vec![Reason::OverlapPassed],
            after: self.before.clone(),
            before: self.before.clone(),
            address: self.address.clone(),
            account: self.account.clone(),
            notes: Vec::new(),
            steps: clock,
            rotation: self.rotation,
            position: self.position.clone(),
        };
        let mut reasons: Vec<Reason> = self.reasons.into_iter().filter(|reason| !reason.is_clock()).collect();
        let mut action = self.action;
        if reasons.is_empty() {
            reasons.push(Reason::InStep);
            action = Action::Keep;
        }
        (Self { action, reasons, steps, ..self }, Some(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Scopes;
    use crate::manifest::OnDelete;
    use crate::sink::{DotenvSettings, SinkSettings};

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn restricted(scopes: &[&str]) -> Access {
        Access::Restricted(Scopes::new(scopes.iter().copied().map(Scope::new).collect()).expect("a scope"))
    }

    fn location(variable: &str) -> SinkLocation {
        let at = SinkSettings::Dotenv(DotenvSettings { path: ".env".into(), variable: variable.into() });
        SinkLocation { sink: name("local"), at }
    }

    fn values(scopes: &[&str], sinks: &[&str]) -> KeyValues {
        KeyValues {
            id: Some(KeyId::new("id")),
            name: "Mailer".into(),
            access: restricted(scopes),
            sinks: sinks.iter().map(|variable| location(variable)).collect(),
            owner: Some("growth".into()),
            protect: false,
            on_delete: OnDelete::Clear,
        }
    }

    /// Adds a scope and a location.
    fn update() -> Change {
        Change {
            address: "prod/mailer".parse().expect("an address"),
            account: name("acme"),
            action: Action::Update,
            reasons: vec![Reason::ScopesEdited],
            before: Some(values(&["mail.send"], &["A"])),
            after: Some(values(&["mail.send", "stats.read"], &["A", "B"])),
            notes: Vec::new(),
            steps: Vec::new(),
            rotation: None,
            position: None,
        }
    }

    fn with(edit: impl FnOnce(&mut Change)) -> Change {
        let mut change = update();
        edit(&mut change);
        change
    }

    fn before(edit: impl FnOnce(&mut KeyValues)) -> Change {
        with(|change| edit(change.before.as_mut().expect("it has one")))
    }

    fn after(edit: impl FnOnce(&mut KeyValues)) -> Change {
        with(|change| edit(change.after.as_mut().expect("it has one")))
    }

    #[test]
    fn what_was_approved_and_what_is_half_done_is_covered() {
        let approved = update();
        for wanted in [
            update(),
            before(|values| values.access = restricted(&["mail.send", "stats.read"])),
            before(|values| values.sinks.push(location("B"))),
            // Scopes that cannot be granted after all are left out, and said.
            with(|change| {
                change.after.as_mut().expect("it has one").access = restricted(&["mail.send"]);
                change.notes.push(Note::LeftOut([Scope::new("stats.read")].into()));
            }),
            with(|change| change.position = None),
        ] {
            assert!(covers(&approved, &wanted), "{wanted:?}");
        }
    }

    #[test]
    fn every_value_that_differs_needs_an_approval_of_its_own() {
        let approved = update();
        for wanted in [
            after(|values| values.name = "Other".into()),
            after(|values| values.id = Some(KeyId::new("other"))),
            after(|values| values.access = Access::Full),
            after(|values| values.access = restricted(&["mail.send", "stats.read", "api_keys.create"])),
            after(|values| values.access = restricted(&["mail.send"])),
            after(|values| values.sinks.push(location("C"))),
            after(|values| values.sinks.truncate(1)),
            after(|values| values.owner = None),
            after(|values| values.protect = true),
            after(|values| values.on_delete = OnDelete::Keep),
            before(|values| values.name = "Other".into()),
            before(|values| values.id = Some(KeyId::new("other"))),
            before(|values| values.access = restricted(&["mail.send", "api_keys.create"])),
            before(|values| values.sinks.push(location("C"))),
            before(|values| values.sinks.clear()),
            before(|values| values.owner = None),
            before(|values| values.protect = true),
            before(|values| values.on_delete = OnDelete::Keep),
            with(|change| change.before = None),
            with(|change| change.after = None),
            with(|change| change.action = Action::Delete),
            with(|change| change.action = Action::Rotate),
        ] {
            assert!(!covers(&approved, &wanted), "{wanted:?}");
        }
    }

    #[test]
    fn another_value_in_a_location_is_another_thing_to_overwrite() {
        let overwrites = |holder: Option<&str>| {
            with(|change| {
                let holder = holder.map(KeyId::new);
                change.notes.push(Note::Overwrites { location: location("B"), holder });
            })
        };
        assert!(covers(&overwrites(Some("by hand")), &overwrites(Some("by hand"))));
        assert!(covers(&overwrites(Some("by hand")), &update()), "it is gone by now");
        assert!(!covers(&overwrites(Some("by hand")), &overwrites(Some("somebody else's"))));
        assert!(!covers(&overwrites(Some("by hand")), &overwrites(None)));
        assert!(!covers(&update(), &overwrites(None)));
    }

    #[test]
    fn a_creation_is_covered_until_it_is_whole_and_not_again() {
        let create = with(|change| {
            (change.action, change.reasons) = (Action::Create, vec![Reason::New]);
            change.before = None;
            change.after.as_mut().expect("it has one").id = None;
        });
        let unfinished = with(|change| {
            change.reasons = vec![Reason::NameUnfinished];
            change.before.clone_from(&change.after);
        });
        assert!(covers(&create, &unfinished));
        let successor = with(|change| {
            (change.action, change.reasons) = (Action::Create, vec![Reason::Vanished]);
            change.before.clone_from(&change.after);
            change.after.as_mut().expect("it has one").id = None;
        });
        assert!(!covers(&create, &successor), "the key that was approved was made, and is gone");
    }

    #[test]
    fn what_the_clock_brought_is_told_from_the_rest() {
        let retire =
            Step::RetireKey { id: KeyId::new("older"), born: jiff::Timestamp::UNIX_EPOCH, look: Vec::new() };
        let rename = Step::Rename { id: KeyId::new("id"), name: "Mailer".into() };
        let both = with(|change| {
            change.reasons.push(Reason::OverlapPassed);
            change.steps = vec![retire.clone(), rename.clone()];
        });
        let (rest, clock) = both.split();
        assert_eq!((rest.steps, rest.reasons), (vec![rename], vec![Reason::ScopesEdited]));
        assert_eq!(
            clock.map(|clock| (clock.action, clock.steps)),
            Some((Action::Retire, vec![retire.clone()]))
        );
        let alone = with(|change| {
            (change.action, change.reasons) = (Action::Retire, vec![Reason::OverlapPassed]);
            change.steps = vec![retire];
        });
        assert_eq!(alone.split().0.action, Action::Keep);
    }
}
