//! Random worlds: a manifest that was applied, and what happened to it, to the accounts and to the sinks since.

mod build;
mod edits;
mod history;
mod random;
mod run;

use std::collections::BTreeMap;

use gridkey_core::inventory::Inventory;
use gridkey_core::manifest::{Manifest, PolicyFile, WantedKey};
use gridkey_core::plan::{
    Approval, ApprovedPlan, Options, Plan, PlanInput, Seed, Selection, plan, plan_approved,
};
use gridkey_core::state::AccountState;
use gridkey_core::{Address, Name};
use jiff::Timestamp;

pub use build::{
    APPLIED_TTL, DAY, ago, is_from_pattern, location, name, restricted, rotation, scopes, wanted_key_of,
};
pub use random::Random;

/// Something that happens to a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    // To keys, state and sinks.
    Aged,
    Retiring,
    RetiringLocation,
    ScopesDrifted,
    NameDrifted,
    Vanished,
    NotListed,
    SinkChanged,
    SecretUnknown,
    Pending,
    Abandoned,
    ForeignKeys,
    TwoHalves,
    AccountUnreadable,
    // To the manifest.
    Scopes,
    Access,
    Named,
    Sinks,
    Owner,
    Protect,
    OnDelete,
    Rotate,
    Account,
    KeyRemoved,
    KeyAdded,
    Renamed,
    Moved,
    MovedEntry,
    MovedPattern,
    Swapped,
    MovedBack,
    Removed,
    AccountLeft,
    Import,
    Ttl,
    MaxKeys,
    Grantable,
    Tight,
    AtLimitReplace,
    // To the run.
    Rule,
    FileRule,
    Allow,
    Allowance,
    Environments,
    Only,
    Destroy,
    DueExclude,
    DueOnly,
    RequestRotate,
    RequestRetire,
    NoSinks,
    FromSinks,
    TimePasses,
}

/// What happens to keys, state and sinks.
pub const HISTORY: &[Kind] = &[
    Kind::Aged,
    Kind::Aged,
    Kind::Retiring,
    Kind::Retiring,
    Kind::RetiringLocation,
    Kind::ScopesDrifted,
    Kind::NameDrifted,
    Kind::Vanished,
    Kind::NotListed,
    Kind::SinkChanged,
    Kind::SinkChanged,
    Kind::SecretUnknown,
    Kind::Pending,
    Kind::Pending,
    Kind::Abandoned,
    Kind::ForeignKeys,
    Kind::TwoHalves,
    Kind::AccountUnreadable,
    Kind::Tight,
    Kind::AtLimitReplace,
];

/// What happens to the manifest.
pub const EDITS: &[Kind] = &[
    Kind::Scopes,
    Kind::Scopes,
    Kind::Access,
    Kind::Access,
    Kind::Named,
    Kind::Sinks,
    Kind::Sinks,
    Kind::Owner,
    Kind::Protect,
    Kind::OnDelete,
    Kind::Rotate,
    Kind::Rotate,
    Kind::Account,
    Kind::KeyRemoved,
    Kind::KeyAdded,
    Kind::Renamed,
    Kind::Moved,
    Kind::Moved,
    Kind::MovedEntry,
    Kind::MovedPattern,
    Kind::Swapped,
    Kind::MovedBack,
    Kind::Removed,
    Kind::AccountLeft,
    Kind::Import,
    Kind::Ttl,
    Kind::MaxKeys,
    Kind::Grantable,
];

/// What policies say, and what is let pass.
pub const RULES: &[Kind] = &[Kind::Rule, Kind::FileRule, Kind::FileRule, Kind::Allow, Kind::Allowance];

/// What a person asks of the run besides.
pub const REQUESTS: &[Kind] = &[Kind::RequestRotate, Kind::RequestRetire, Kind::FromSinks, Kind::NoSinks];

/// What a world is made from. The same recipe makes the same world, and one with fewer keys and events a smaller
/// one.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub seed: u64,
    /// The place of each key in the pool of addresses, and the seed of its values.
    keys: Vec<(usize, u64)>,
    events: Vec<(Kind, u64)>,
    later: Vec<(Kind, u64)>,
}

/// At least one event of these groups, and so many at most.
fn draw(groups: &[&[Kind]], most: usize, random: &mut Random) -> Vec<(Kind, u64)> {
    let count = if groups.is_empty() { 0 } else { 1 + random.below(most) };
    let event = |_| {
        let group = groups[random.below(groups.len())];
        (group[random.below(group.len())], random.next())
    };
    (0..count).map(event).collect()
}

impl Recipe {
    pub fn draw(seed: u64, always: &[&[Kind]], events: &[&[Kind]], later: &[&[Kind]]) -> Self {
        let mut random = Random::new(seed);
        let mut places: Vec<usize> = (0..build::PLACES).collect();
        let count = 1 + random.below(6);
        let keys =
            (0..count).map(|_| (places.swap_remove(random.below(places.len())), random.next())).collect();
        let mut some = draw(events, 7, &mut random);
        for group in always {
            let event = (group[random.below(group.len())], random.next());
            some.insert(random.below(some.len() + 1), event);
        }
        let later = draw(later, 3, &mut random);
        Self { seed, keys, events: some, later }
    }

    pub fn size(&self) -> usize {
        self.keys.len() + self.events.len() + self.later.len()
    }

    /// Every recipe with one thing less.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for index in 0..self.later.len() {
            let mut smaller = self.clone();
            smaller.later.remove(index);
            all.push(smaller);
        }
        for index in 0..self.events.len() {
            let mut smaller = self.clone();
            smaller.events.remove(index);
            all.push(smaller);
        }
        for index in 0..self.keys.len() {
            let mut smaller = self.clone();
            smaller.keys.remove(index);
            all.push(smaller);
        }
        all
    }

    /// The world, before what happens later.
    pub fn world(&self) -> World {
        let mut world = World::applied(self.seed, &self.keys);
        for (kind, seed) in &self.events {
            world.happens(*kind, &mut Random::new(*seed));
        }
        world.settle();
        world
    }

    /// The world after that.
    pub fn later(&self) -> World {
        let mut world = World::applied(self.seed, &self.keys);
        for (kind, seed) in self.events.iter().chain(&self.later) {
            world.happens(*kind, &mut Random::new(*seed));
        }
        world.settle();
        world
    }

    /// What there is and what happened, in words.
    pub fn story(&self) -> Vec<String> {
        let world = self.world();
        let known = world.story.len();
        let after = self.later();
        let mut story = world.story;
        if !self.later.is_empty() {
            story.push("later:".to_string());
            story.extend(after.story.into_iter().skip(known));
        }
        story
    }
}

/// Everything that a plan looks at.
#[derive(Clone, Debug)]
pub struct World {
    pub manifest: Manifest,
    /// The keys as the manifest that was applied last had them, and an address's `ttl`.
    pub applied: BTreeMap<Address, WantedKey>,
    pub selection: Selection,
    pub states: BTreeMap<Name, AccountState>,
    pub inventory: Inventory,
    pub policy: Option<PolicyFile>,
    pub now: Timestamp,
    pub options: Options,
    pub story: Vec<String>,
    /// How many slots are free in each account, where they are few.
    tight: Option<u32>,
    ids: u32,
}

const SEED: Seed = Seed([7; 32]);

impl World {
    pub fn input(&self) -> PlanInput<'_> {
        PlanInput {
            manifest: &self.manifest,
            selection: &self.selection,
            states: &self.states,
            inventory: &self.inventory,
            policy: self.policy.as_ref(),
            now: self.now,
            seed: &SEED,
            options: &self.options,
        }
    }

    pub fn plan(&self) -> Plan {
        plan(&self.input())
    }

    pub fn plan_approved(&self, approval: &Approval) -> ApprovedPlan {
        plan_approved(&self.input(), Some(approval))
    }

    fn tell(&mut self, text: String) {
        self.story.push(text);
    }

    fn happens(&mut self, kind: Kind, random: &mut Random) {
        self.edit(kind, random);
        self.history(kind, random);
        self.run(kind, random);
    }
}
