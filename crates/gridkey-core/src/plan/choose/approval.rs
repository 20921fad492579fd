//! Approval: what of a plan is covered by plan files that people reviewed.
//!
//! Apply plans anew from the manifest at hand, and the files only limit what of that is done. So a file
//! can be applied again after a crash, two of them in either order, and a forged one cannot make more
//! happen than the manifest holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use crate::access::{Access, Scope};
use crate::address::Address;
use crate::finding::Allow;
use crate::identity::AccountIdentity;
use crate::key::KeyId;
use crate::manifest::{Manifest, RemovedWhat};
use crate::name::Name;
use crate::plan::document::change::{Action, Cause, Change, FORMAT_VERSION, KeyValues, Plan, PlanKind};
use crate::plan::document::effect::Effect;
use crate::plan::document::step::Put;
use crate::plan::input::Selection;
use crate::sink::{LocationId, SinkLocation};
use crate::state::AccountState;
use crate::text::source::SourceDigest;

/// Why a file is not a plan that can be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    #[error("it is not a plan document, or not a whole one: {0}")]
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
    /// Where in the files each key's changes are: the file, and the change in it.
    index: BTreeMap<(Name, Address), Vec<(usize, usize)>>,
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

/// What became of an approved change that nothing is done for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlreadyResolved {
    pub account: Name,
    pub address: Address,
    pub action: Action,
    /// Whether it is as approved already; otherwise it is no longer needed.
    pub done: bool,
}

impl Approval {
    /// # Errors
    /// [`PlanFileError::Kind`], where one is no plan of what apply would do.
    pub fn new(files: Vec<Plan>, only: bool) -> Result<Self, PlanFileError> {
        match files.iter().map(|file| file.kind).find(|kind| *kind != PlanKind::Plan) {
            Some(PlanKind::Drift) => Err(PlanFileError::Kind("report of drift")),
            Some(PlanKind::Comparison) => Err(PlanFileError::Kind("comparison of two manifests")),
            Some(PlanKind::Plan) | None => {
                let mut index: BTreeMap<_, Vec<_>> = BTreeMap::new();
                for (file, plan) in files.iter().enumerate() {
                    for (at, change) in plan.changes.iter().enumerate() {
                        let key = (change.account.clone(), change.address.clone());
                        index.entry(key).or_default().push((file, at));
                    }
                }
                Ok(Self { files, index, only })
            }
        }
    }

    /// The environments and addresses that the files are about.
    pub fn selection(&self) -> Selection {
        let mut selection = Selection::new(Some(BTreeSet::new()), Some(BTreeSet::new()));
        for file in &self.files {
            widen(&mut selection.environments, file.computed_from.environments.as_ref());
            widen(&mut selection.only, file.computed_from.only.as_ref());
        }
        selection
    }

    /// The policy file that one of them was planned under.
    pub fn policy(&self) -> Option<&SourceDigest> {
        self.files.iter().find_map(|file| file.computed_from.policy.as_ref())
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
                    // One that is let go of has left the manifest on purpose.
                    let removed = manifest.removed.iter().map(|removed| &removed.what);
                    if !removed.into_iter().any(|what| *what == RemovedWhat::Account(account.clone())) {
                        refusals.push(Refusal::Account { account });
                    }
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
    pub fn is_about(&self, manifest: &Manifest, address: &Address) -> bool {
        self.selections().any(|selection| selection.has(manifest, address))
    }

    /// The same of an environment.
    pub fn is_about_environment(&self, manifest: &Manifest, name: &Name) -> bool {
        self.selections().any(|selection| selection.has_environment(manifest, Some(name)))
    }

    fn selections(&self) -> impl Iterator<Item = Selection> {
        let from = self.files.iter().map(|file| &file.computed_from);
        from.map(|from| Selection::new(from.environments.clone(), from.only.clone()))
    }

    /// Whether some file approves all that a change does.
    pub(crate) fn approves(&self, change: &Change) -> bool {
        only_cleans_up(change) || self.of(change).any(|file| covers(file, change))
    }

    /// Whether some file approves what a change retires: the key stays what it is, so its values are not held against it.
    pub(crate) fn approves_retirement(&self, change: &Change) -> bool {
        self.of(change).any(|file| {
            let allowed = Allowed::of(file, false);
            change.effects().all(|effect| allowed.has(&effect))
        })
    }

    /// The rotations that the files approve, and of which key: a file asks for none, and a run that is to make them says
    /// so itself.
    pub fn approved_rotations(&self) -> impl Iterator<Item = (&Address, &KeyId)> {
        let asked = self.changes().filter(|change| change.cause == Cause::Requested);
        asked.flat_map(|change| {
            change.effects().filter_map(|effect| Some((&change.address, effect.replaced()?)))
        })
    }

    fn of<'a>(&'a self, change: &Change) -> impl Iterator<Item = &'a Change> {
        let known = self.index.get(&(change.account.clone(), change.address.clone()));
        known.into_iter().flatten().map(|(file, at)| &self.files[*file].changes[*at])
    }

    /// What became of approved changes of an account that this run has nothing to do for.
    ///
    /// `wanted` is what would be done there without the files, as far as it is known.
    pub(crate) fn resolved(
        &self,
        account: &Name,
        wanted: &BTreeMap<Address, Vec<Change>>,
    ) -> Vec<AlreadyResolved> {
        let mut resolved: Vec<AlreadyResolved> = Vec::new();
        for file in self.changes().filter(|file| &file.account == account) {
            let now = wanted.get(&file.address).map(Vec::as_slice).unwrap_or_default();
            if now.iter().any(|now| now.cause != Cause::InStep) {
                continue;
            }
            let kept = now.first().and_then(|kept| kept.after.as_ref());
            let older = file.before.as_ref().and_then(|before| before.id.as_ref());
            let is_older = kept.is_some_and(|kept| older.is_some() && kept.id.as_ref() == older);
            let makes = file.effects().any(|effect| matches!(effect, Effect::Makes { .. }));
            if makes && is_older {
                // It waits for a slot or a sink, or was not asked for, and a finding says so.
                continue;
            }
            let done = match (&file.after, kept) {
                (Some(after), Some(kept)) => is_as_approved(after, kept),
                (None, Some(_)) => file.cause == Cause::Recovery,
                (after, None) => after.is_none(),
            };
            let (account, address) = (file.account.clone(), file.address.clone());
            let note = AlreadyResolved { account, address, action: file.action, done };
            if !resolved.contains(&note) {
                resolved.push(note);
            }
        }
        resolved.sort_by(|a, b| (&a.account, a.action, &a.address).cmp(&(&b.account, b.action, &b.address)));
        resolved
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

/// Whether a change only takes back what a run that broke off had begun, and that no sink has, or tells of what was delivered
/// as it was to be told: it makes nothing and takes nothing from anybody, so it needs no approval of its own.
fn only_cleans_up(change: &Change) -> bool {
    change.cause == Cause::Recovery
        && change.effects().all(|effect| match effect {
            Effect::Revokes { id: _, when } => !when.may_break_a_consumer(),
            // Who approved the delivery approved what is done about it.
            Effect::Runs { hook: _, begun } => begun,
            Effect::Makes { .. }
            | Effect::Finishes(_)
            | Effect::Renames(_)
            | Effect::Rescopes(_)
            | Effect::Delivers(_)
            | Effect::Clears(_)
            | Effect::Moves(_)
            | Effect::Adopts(_)
            | Effect::LetsGo(_) => false,
        })
}

/// Whether an approved change covers one that is wanted now: it does nothing that the approved one does not, and the key
/// was, and will be, what was approved.
fn covers(approved: &Change, wanted: &Change) -> bool {
    // What an earlier run of the same file began, and did not finish.
    let goes_on = wanted.cause == Cause::Recovery && approved.effects().any(|effect| is_of_a_key(&effect));
    let allowed = Allowed::of(approved, goes_on);
    if !wanted.effects().all(|effect| allowed.has(&effect)) {
        return false;
    }
    match (&approved.after, &wanted.after) {
        (None, None) => {
            let recovered = approved.before.is_none() && wanted.before.is_none();
            recovered || before_is_as_approved(approved, wanted.before.as_ref(), false)
        }
        (Some(after), Some(wanted_after)) => {
            is_as_approved(after, wanted_after)
                && before_is_as_approved(approved, wanted.before.as_ref(), goes_on)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Whether a run that breaks off in the middle of an effect leaves something that goes on as the same change.
fn is_of_a_key(effect: &Effect<'_>) -> bool {
    match effect {
        Effect::Makes { .. } | Effect::Finishes(_) | Effect::Renames(_) | Effect::Rescopes(_) => true,
        Effect::Revokes { .. }
        | Effect::Delivers(_)
        | Effect::Clears(_)
        | Effect::Moves(_)
        | Effect::Adopts(_)
        | Effect::LetsGo(_)
        | Effect::Runs { .. } => false,
    }
}

/// What an approved change lets be done.
struct Allowed<'a> {
    effects: Vec<Effect<'a>>,
    goes_on: bool,
    /// Locations that the key may be given, and those that it may lose.
    given: Vec<&'a SinkLocation>,
    cleared: Vec<&'a SinkLocation>,
}

impl<'a> Allowed<'a> {
    fn of(change: &'a Change, goes_on: bool) -> Self {
        let effects: Vec<Effect<'a>> = change.effects().collect();
        let given = change.after.iter().flat_map(|after| &after.sinks).collect();
        let cleared = effects.iter().filter_map(|effect| effect.cleared()).collect();
        Self { effects, goes_on, given, cleared }
    }

    fn has(&self, effect: &Effect<'_>) -> bool {
        match effect {
            // What the key may do is held against the values.
            Effect::Makes { access: _, replaces } => self.effects.iter().any(|approved| {
                matches!(approved, Effect::Makes { access: _, replaces: older } if older == replaces)
            }),
            Effect::Finishes(_) => self.goes_on,
            // A key that was made or taken over, and that is not yet what it was to be.
            Effect::Renames(id) => {
                self.goes_on || self.effects.contains(effect) || self.effects.contains(&Effect::Adopts(id))
            }
            Effect::Rescopes(id) => {
                self.effects.contains(effect) || self.effects.contains(&Effect::Adopts(id))
            }
            Effect::Delivers(put) => {
                let delivers = self.effects.iter().any(|approved| {
                    matches!(approved, Effect::Delivers(_) | Effect::Makes { .. } | Effect::Adopts(_) | Effect::Finishes(_))
                });
                delivers && is_among(&put.location, &self.given) && self.overwrites(put)
            }
            Effect::Clears(location) => is_among(location, &self.cleared),
            Effect::Runs { hook, begun } => {
                *begun
                    || self.effects.iter().any(
                        |approved| matches!(approved, Effect::Runs { hook: known, begun: _ } if known == hook),
                    )
            }
            Effect::Revokes { .. } | Effect::Moves(_) | Effect::Adopts(_) | Effect::LetsGo(_) => {
                self.effects.contains(effect)
            }
        }
    }

    /// What was let pass for one value in a location was not let pass for another.
    fn overwrites(&self, put: &Put) -> bool {
        let Some(foreign) = put.overwrites() else { return true };
        self.effects
            .iter()
            .filter_map(|approved| approved.delivered())
            .any(|known| known.location.id() == put.location.id() && known.overwrites() == Some(foreign))
    }
}

/// Whether a key would be just what was approved. Scopes that turned out not to be grantable may be missing: that is
/// less than was approved, and is said.
fn is_as_approved(approved: &KeyValues, wanted: &KeyValues) -> bool {
    let KeyValues {
        address,
        account,
        id,
        name,
        access,
        left_out,
        sinks,
        owner,
        protect,
        on_delete,
        rotate,
        ttl,
    } = wanted;
    let same_id = match (&approved.id, id) {
        (Some(approved), Some(wanted)) => approved == wanted,
        // A key that is not made yet has no id.
        (None, _) | (_, None) => true,
    };
    same_id
        && approved.address == *address
        && approved.account == *account
        && approved.name == *name
        && is_same_access(&approved.access, access, left_out)
        && are_as_approved(&approved.sinks, sinks)
        && approved.owner == *owner
        && approved.protect == *protect
        && approved.on_delete == *on_delete
        && approved.rotate == *rotate
        && approved.ttl == *ttl
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
        (Some(_), Some(_)) | (None, _) | (_, None) => false,
    }
}

/// Whether each value that a key has is the one it had when the change was approved, or the one that was approved.
///
/// Where an earlier run of the file `made` the key, its id could not be known before.
fn before_is_as_approved(approved: &Change, now: Option<&KeyValues>, made: bool) -> bool {
    let Some(now) = now else { return approved.before.is_none() };
    let (before, after) = (approved.before.as_ref(), approved.after.as_ref());
    let either = |is: &dyn Fn(&KeyValues) -> bool| before.is_some_and(is) || after.is_some_and(is);
    let KeyValues {
        address,
        account,
        id,
        name,
        access,
        left_out: _,
        sinks,
        owner,
        protect,
        on_delete,
        rotate,
        ttl,
    } = now;
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
        && either(&|values| values.address == *address)
        && either(&|values| values.account == *account)
        && either(&|values| values.name == *name)
        && either(&|values| values.access == *access)
        && held.is_subset(&known)
        && both.is_subset(&held)
        && either(&|values| values.owner == *owner)
        && either(&|values| values.protect == *protect)
        && either(&|values| values.on_delete == *on_delete)
        && either(&|values| values.rotate == *rotate)
        && either(&|values| values.ttl == *ttl)
}

fn are_as_approved(approved: &[SinkLocation], wanted: &[SinkLocation]) -> bool {
    let known: Vec<&SinkLocation> = approved.iter().collect();
    ids(approved) == ids(wanted) && wanted.iter().all(|location| is_among(location, &known))
}

/// Whether a location is one of those that were approved: the same place, used in the same manner. Another program to
/// read it or another mode is another matter than the one that somebody looked at.
fn is_among(location: &SinkLocation, approved: &[&SinkLocation]) -> bool {
    approved
        .iter()
        .any(|approved| approved.id() == location.id() && approved.at.manner() == location.at.manner())
}

fn ids(sinks: &[SinkLocation]) -> BTreeSet<LocationId> {
    sinks.iter().map(SinkLocation::id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Scopes;
    use crate::inventory::SinkContent;
    use crate::manifest::{AtLimit, OnDelete, Rotation};
    use crate::plan::document::change::Reason;
    use crate::plan::document::step::Step;
    use crate::plan::document::step::{Delete, DeleteKey, Mint};
    use crate::sink::{DotenvSettings, SinkSettings};
    use crate::state::{Purpose, RevokeOld, Settings};
    use jiff::Timestamp;
    use std::time::Duration;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn restricted(scopes: &[&str]) -> Access {
        Access::Restricted(Scopes::new(scopes.iter().copied().map(Scope::new).collect()).expect("a scope"))
    }

    fn location(variable: &str) -> SinkLocation {
        let at = SinkSettings::Dotenv(DotenvSettings::new(".env", variable));
        SinkLocation::new(name("local"), at)
    }

    fn values(scopes: &[&str], sinks: &[&str]) -> KeyValues {
        KeyValues {
            address: "prod/mailer".parse().expect("an address"),
            account: name("acme"),
            id: Some(KeyId::new("id")),
            name: "Mailer".into(),
            access: restricted(scopes),
            left_out: BTreeSet::new(),
            sinks: sinks.iter().map(|variable| location(variable)).collect(),
            owner: Some("growth".into()),
            protect: false,
            on_delete: OnDelete::Clear,
            rotate: None,
            ttl: None,
        }
    }

    fn put(variable: &str, replaces: SinkContent, foreign: bool) -> Put {
        Put { location: location(variable), replaces, foreign }
    }

    fn deliver(put: Put) -> Step {
        Step::Deliver { id: KeyId::new("id"), source: location("A"), to: vec![put], hooks: Vec::new() }
    }

    fn update_step() -> Step {
        let access = restricted(&["mail.send", "stats.read"]);
        Step::Update { id: KeyId::new("id"), name: "Mailer".into(), access, patterns: BTreeSet::new() }
    }

    fn mint(replaces: Option<&str>, older: RevokeOld) -> Step {
        Step::Mint(Mint {
            markers: Vec::new(),
            purpose: replaces.map_or(Purpose::Create, |id| Purpose::Replace(KeyId::new(id))),
            name: "Mailer".into(),
            access: restricted(&["mail.send", "stats.read"]),
            puts: Vec::new(),
            generation: 1,
            first_made: None,
            settings: Settings::default(),
            overlap: Duration::ZERO,
            retire: None,
            older,
            uncertain: Vec::new(),
        })
    }

    /// Adds a scope and a location.
    fn update() -> Change {
        Change {
            address: "prod/mailer".parse().expect("an address"),
            account: name("acme"),
            action: Action::Update,
            cause: Cause::Edited,
            reasons: vec![Reason::ScopesEdited],
            before: Some(values(&["mail.send"], &["A"])),
            after: Some(values(&["mail.send", "stats.read"], &["A", "B"])),
            notes: Vec::new(),
            steps: vec![update_step(), deliver(put("B", SinkContent::Empty, false))],
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

    /// The same place, used otherwise.
    fn in_base64(location: &SinkLocation) -> SinkLocation {
        let mut settings = location.at.to_settings();
        match &mut settings {
            crate::sink::SinkSettings::Dotenv(dotenv) => dotenv.encoding = crate::sink::Encoding::Base64,
            other => panic!("{other:?} is no dotenv file"),
        }
        SinkLocation::new(location.sink.clone(), settings)
    }

    fn after(edit: impl FnOnce(&mut KeyValues)) -> Change {
        with(|change| edit(change.after.as_mut().expect("it has one")))
    }

    fn rotation() -> Rotation {
        let every = Duration::from_secs(60);
        Rotation { every, overlap: Duration::ZERO, warn_before: None, at_limit: AtLimit::Postpone }
    }

    #[test]
    fn what_was_approved_and_what_is_half_done_is_covered() {
        let approved = update();
        for wanted in [
            update(),
            before(|values| values.access = restricted(&["mail.send", "stats.read"])),
            before(|values| values.sinks.push(location("B"))),
            // Scopes that cannot be granted after all are left out, and said.
            after(|values| {
                values.access = restricted(&["mail.send"]);
                values.left_out = [Scope::new("stats.read")].into();
            }),
            with(|change| change.position = None),
            with(|change| change.steps.truncate(1)),
            // What people are told is not what is approved.
            with(|change| (change.action, change.reasons) = (Action::Rotate, vec![Reason::RotationDue])),
        ] {
            assert!(covers(&approved, &wanted), "{wanted:?}");
        }
    }

    #[test]
    fn every_value_that_differs_needs_an_approval_of_its_own() {
        let approved = update();
        for wanted in [
            after(|values| values.address = "prod/other".parse().expect("an address")),
            after(|values| values.account = name("other")),
            after(|values| values.name = "Other".into()),
            after(|values| values.id = Some(KeyId::new("other"))),
            after(|values| values.access = Access::Full),
            after(|values| values.access = restricted(&["mail.send", "stats.read", "api_keys.create"])),
            after(|values| values.access = restricted(&["mail.send"])),
            after(|values| values.sinks.push(location("C"))),
            after(|values| values.sinks.truncate(1)),
            after(|values| values.sinks[0] = in_base64(&values.sinks[0])),
            after(|values| values.owner = None),
            after(|values| values.protect = true),
            after(|values| values.on_delete = OnDelete::Keep),
            after(|values| values.rotate = Some(rotation())),
            after(|values| values.ttl = Some(Duration::ZERO)),
            before(|values| values.address = "prod/other".parse().expect("an address")),
            before(|values| values.account = name("other")),
            before(|values| values.name = "Other".into()),
            before(|values| values.id = Some(KeyId::new("other"))),
            before(|values| values.access = restricted(&["mail.send", "api_keys.create"])),
            before(|values| values.sinks.push(location("C"))),
            before(|values| values.sinks.clear()),
            before(|values| values.owner = None),
            before(|values| values.protect = true),
            before(|values| values.on_delete = OnDelete::Keep),
            before(|values| values.rotate = Some(rotation())),
            before(|values| values.ttl = Some(Duration::ZERO)),
            with(|change| change.before = None),
            with(|change| change.after = None),
        ] {
            assert!(!covers(&approved, &wanted), "{wanted:?}");
        }
    }

    #[test]
    fn every_effect_needs_an_approval_of_its_own() {
        let approved = update();
        let (id, born) = (KeyId::new("id"), Timestamp::UNIX_EPOCH);
        let keys = vec![DeleteKey { id: id.clone(), born }];
        let delete =
            Delete { keys, abandon: Vec::new(), clear: Vec::new(), look: Vec::new(), successors: Vec::new() };
        let holding = BTreeSet::new();
        for step in [
            Step::Move { from: "staging/mailer".parse().expect("an address") },
            Step::Forget { id: id.clone() },
            Step::RetireKey { id: id.clone(), born, look: Vec::new() },
            Step::RetireLocation { location: location("A"), holding, kept_for: None },
            Step::RevokeFirst { id: id.clone(), born },
            Step::RevokeOlder { id: id.clone(), born },
            Step::Rename { id: KeyId::new("other"), name: "Mailer".into() },
            Step::Delete(delete),
            mint(None, RevokeOld::AfterOverlap),
            mint(Some("id"), RevokeOld::AfterOverlap),
            deliver(put("C", SinkContent::Empty, false)),
        ] {
            let wanted = with(|change| change.steps.push(step.clone()));
            assert!(!covers(&approved, &wanted), "{step:?}");
            let approved = with(|change| change.steps.push(step.clone()));
            let given = matches!(step, Step::Deliver { .. });
            assert!(covers(&approved, &wanted) || given, "{step:?}");
        }
    }

    #[test]
    fn another_value_in_a_location_is_another_thing_to_overwrite() {
        let overwrites =
            |content: SinkContent| with(|change| change.steps = vec![deliver(put("B", content, true))]);
        let by_hand = || overwrites(SinkContent::Key(KeyId::new("by hand")));
        let nothing = || with(|change| change.steps = vec![deliver(put("B", SinkContent::Empty, false))]);
        assert!(covers(&by_hand(), &by_hand()));
        assert!(covers(&by_hand(), &nothing()), "it is gone by now");
        assert!(!covers(&by_hand(), &overwrites(SinkContent::Key(KeyId::new("another")))));
        assert!(!covers(&by_hand(), &overwrites(SinkContent::Other)));
        assert!(!covers(&nothing(), &overwrites(SinkContent::Other)));
    }

    #[test]
    fn a_creation_is_covered_until_it_is_whole_and_not_again() {
        let create = with(|change| {
            change.before = None;
            change.after.as_mut().expect("it has one").id = None;
            change.steps = vec![mint(None, RevokeOld::AfterOverlap)];
        });
        let unfinished = with(|change| {
            change.cause = Cause::Recovery;
            change.before.clone_from(&change.after);
            change.steps = vec![Step::Rename { id: KeyId::new("id"), name: "Mailer".into() }];
        });
        assert!(covers(&create, &unfinished));
        let successor = with(|change| {
            change.cause = Cause::Vanished;
            change.before.clone_from(&change.after);
            change.after.as_mut().expect("it has one").id = None;
            change.steps = vec![mint(Some("id"), RevokeOld::AfterOverlap)];
        });
        assert!(!covers(&create, &successor), "the key that was approved was made, and is gone");
    }

    #[test]
    fn an_overlap_that_was_approved_is_no_approval_to_revoke_first() {
        let rotate = |older| {
            with(|change| {
                change.after.as_mut().expect("it has one").id = None;
                change.steps = vec![mint(Some("id"), older)];
                if older == RevokeOld::First {
                    let step = Step::RevokeFirst { id: KeyId::new("id"), born: Timestamp::UNIX_EPOCH };
                    change.steps.insert(0, step);
                }
            })
        };
        assert!(covers(&rotate(RevokeOld::AfterOverlap), &rotate(RevokeOld::AfterOverlap)));
        assert!(!covers(&rotate(RevokeOld::AfterOverlap), &rotate(RevokeOld::First)));
        assert!(covers(&rotate(RevokeOld::First), &rotate(RevokeOld::AfterOverlap)));
    }
}
