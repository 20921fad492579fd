//! Random worlds: a manifest that was applied, and what happened to it, to the accounts and to the sinks since.

mod applied;
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
    APPLIED_TTL, DAY, ago, granted, is_from_pattern, location, name, restricted, rotation, scopes,
    wanted_key_of,
};
pub use random::Random;

/// Something that happens to a world.
pub type Event = fn(&mut World, &mut Random);

/// What happens to keys, state and sinks.
pub const HISTORY: &[Event] = &[
    World::aged,
    World::aged,
    World::retiring,
    World::retiring,
    World::location_retiring,
    World::scopes_drifted,
    World::name_drifted,
    World::name_unfinished,
    World::vanished,
    World::not_listed,
    World::revocation_unfinished,
    World::sink_changed,
    World::sink_changed,
    World::version_told,
    World::version_told,
    World::secret_unknown,
    World::pending,
    World::pending,
    World::abandoned,
    World::foreign_keys,
    World::two_halves,
    World::unreadable,
    World::tight,
    World::all_at_limit,
];

/// What happens to the manifest.
pub const EDITS: &[Event] = &[
    World::edit_scopes,
    World::edit_scopes,
    World::edit_access,
    World::edit_access,
    World::edit_name,
    World::edit_sinks,
    World::edit_sinks,
    World::edit_owner,
    World::edit_protection,
    World::edit_on_delete,
    World::edit_rotation,
    World::edit_rotation,
    World::edit_account,
    World::key_removed,
    World::key_added,
    World::renamed,
    World::moved,
    World::moved,
    World::moved_entry,
    World::moved_pattern,
    World::swapped,
    World::moved_back,
    World::removed,
    World::account_left,
    World::import,
    World::ttl,
    World::max_keys,
    World::grantable,
];

/// What policies say, and what is let pass.
pub const RULES: &[Event] =
    &[World::rule, World::file_rule, World::file_rule, World::allow, World::allowance];

/// What a person asks of the run besides.
pub const REQUESTS: &[Event] =
    &[World::request_rotation, World::request_retirement, World::look_in_sinks, World::no_sinks];

/// What a world is made from. The same recipe makes the same world, and one with fewer keys and events a smaller
/// one.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub seed: u64,
    /// The place of each key in the pool of addresses, and the seed of its values.
    keys: Vec<(usize, u64)>,
    events: Vec<(Event, u64)>,
    later: Vec<(Event, u64)>,
}

/// At least one event of these groups, and so many at most.
fn draw(groups: &[&[Event]], most: usize, random: &mut Random) -> Vec<(Event, u64)> {
    let count = if groups.is_empty() { 0 } else { 1 + random.below(most) };
    let event = |_| {
        let group = groups[random.below(groups.len())];
        (group[random.below(group.len())], random.next())
    };
    (0..count).map(event).collect()
}

impl Recipe {
    pub fn draw(seed: u64, always: &[&[Event]], events: &[&[Event]], later: &[&[Event]]) -> Self {
        let mut random = Random::new(seed);
        let mut places: Vec<usize> = (0..applied::PLACES).collect();
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
        for (event, seed) in &self.events {
            event(&mut world, &mut Random::new(*seed));
        }
        world.settle();
        world
    }

    /// The world after that.
    pub fn later(&self) -> World {
        let mut world = World::applied(self.seed, &self.keys);
        for (event, seed) in self.events.iter().chain(&self.later) {
            event(&mut world, &mut Random::new(*seed));
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
}
