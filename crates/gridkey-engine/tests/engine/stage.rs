//! Stages: worlds, and what a run is to make of them. Together they have every action and every kind of step,
//! which a test holds against the plan's schema.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::manifest::{
    AtLimit, Import, ImportKey, Moved, Position, Removed, RemovedWhat, Rotation, WantedAccess,
};
use gridkey_core::plan::{Approval, Options, Plan, Requests, RetireRequest, RevokeOld};
use gridkey_core::{Access, Address, AddressPattern, Scope, Scopes};
use gridkey_tests::world::{
    Effect, Ended, Fault, OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme, location,
};

/// A world and what a run is to make of it.
pub struct Stage {
    pub name: &'static str,
    pub world: World,
    pub manifest: WorldManifest,
    /// What a person asked for.
    pub requests: Requests,
    /// The plan of the undisturbed world, where the runs may do no more than that.
    pub approval: Option<Approval>,
    /// What becomes of its plans before they are carried out.
    pub edit: Option<fn(&mut Plan)>,
}

impl Stage {
    /// The same, with runs that are limited to the plan that was made before anything failed.
    pub fn approved(self) -> Self {
        let plan = block_on(self.world.fork().plan(&self.manifest, &self.options()));
        let approval = Approval::new(vec![plan], false).expect("it is a plan");
        Self { approval: Some(approval), ..self }
    }

    /// The options of its runs, without approval.
    pub fn options(&self) -> RunOptions {
        let options = Options { requests: self.requests.clone(), ..Options::default() };
        RunOptions { options, edit: self.edit, ..RunOptions::default() }
    }
}

pub const READABLE: &[&[&str]; 5] = &[&["ra"], &["rb"], &["rc"], &["ru"], &["rd"]];

/// A run that creates three keys, updates one and deletes one, over one kind of sinks.
pub fn stage(name: &'static str, sinks: &[&'static [&'static str]; 5], limit: usize) -> Stage {
    let key = |address, scopes, locations| Wanted { address, scopes, locations };
    let [a, b, c, u, d] = *sinks;
    let limit_u32 = u32::try_from(limit).expect("a small number");
    let before = WorldManifest::new(
        &[key("prod/updated", &["mail.send"], u), key("prod/deleted", &["mail.send"], d)],
        limit_u32,
    );
    let after = WorldManifest::new(
        &[
            key("prod/a", &["mail.send"], a),
            key("prod/b", &["stats.read"], b),
            key("prod/c", &["mail.send", "templates.read"], c),
            key("prod/updated", &["mail.send", "stats.read"], u),
        ],
        limit_u32,
    );
    let world = World::new(limit);
    let scopes = Scopes::new([Scope::new("mail.send")].into()).expect("one scope");
    for number in 0..2 {
        world.lock().make(&acme(), format!("foreign {number}"), Access::Restricted(scopes.clone()), true);
    }
    world.pass(Duration::from_secs(3600));
    let ended = block_on(world.run(1, &before, &RunOptions::default()));
    assert!(matches!(ended, Ended::Applied(_)), "{ended:?}");
    world.pass(OVERLAP * 2);
    world.lock().effects.clear();
    Stage { name, world, manifest: after, requests: Requests::default(), approval: None, edit: None }
}

/// The same over each kind of sinks.
pub fn stages(limit: usize) -> [Stage; 3] {
    [
        stage("readable", READABLE, limit),
        stage("write-only", &[&["wa"], &["wb"], &["wc"], &["wu"], &["wd"]], limit),
        stage("mixed", &[&["ra", "wa"], &["wb", "rb"], &["wc"], &["ru", "wu"], &["rd", "wd"]], limit),
    ]
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn position() -> Position {
    Position { file: "gridkey.yaml".to_string(), line: 1, column: 1 }
}

fn pattern(text: &str) -> AddressPattern {
    text.parse().expect("a pattern")
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn scopes() -> Access {
    Access::Restricted(Scopes::new([Scope::new("mail.send")].into()).expect("one scope"))
}

fn key(address: &'static str, locations: &'static [&'static str]) -> Wanted {
    Wanted { address, scopes: &["mail.send"], locations }
}

fn rotation(at_limit: AtLimit) -> Option<Rotation> {
    Some(Rotation { every: DAY * 30, overlap: OVERLAP, warn_before: None, at_limit })
}

/// Applies a first manifest, and lets a month pass.
fn a_month_later(before: &WorldManifest, limit: usize) -> World {
    let world = World::new(limit);
    world.pass(Duration::from_secs(3600));
    let ended = block_on(world.run(1, before, &RunOptions::default()));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    world.pass(DAY * 31);
    world.lock().effects.clear();
    world
}

/// What happens to keys in the middle of their lives, over one kind of sinks: one comes due, one gets another
/// kind of access, one another address, one other locations, one is let go of, one is adopted, one is replaced
/// because a person said so, and of two pairs the older key is kept or given up.
fn life(name: &'static str, sinks: &[&'static [&'static str]; 8]) -> Stage {
    let [due, access, moved, relocated, gone, asked, kept, given_up] = *sinks;
    let relocated_to: &[&str] = &["r-new"];
    let mut before = WorldManifest::new(
        &[
            key("prod/due", due),
            key("prod/access", access),
            key("old/moved", moved),
            key("prod/relocated", relocated),
            key("prod/gone", gone),
            key("prod/asked", asked),
            key("prod/kept", kept),
            key("prod/given-up", given_up),
        ],
        100,
    );
    let mut after = WorldManifest::new(
        &[
            key("prod/due", due),
            key("prod/access", access),
            key("prod/moved", moved),
            key("prod/relocated", relocated_to),
            key("prod/asked", asked),
            key("prod/kept", kept),
            key("prod/given-up", given_up),
            key("prod/adopted", &["r-adopted", "w-adopted"]),
        ],
        100,
    );
    let pairs = ["prod/kept", "prod/given-up"].map(address);
    for manifest in [&mut before, &mut after] {
        let keys = &mut manifest.manifest.keys;
        for address in pairs.iter().chain([&address("prod/due")]) {
            keys.get_mut(address).expect("it is wanted").rotate = rotation(AtLimit::Postpone);
        }
    }
    let manifest = &mut after.manifest;
    // A name of its own, so that the move is all there is.
    manifest.keys.get_mut(&address("prod/moved")).expect("it is wanted").name = "old-moved".to_string();
    manifest.keys.get_mut(&address("prod/access")).expect("it is wanted").access = WantedAccess::Full;
    let world = a_month_later(&before, 100);
    // Two of those that are due by now are rotated, so that an older key waits.
    let pairs_only = RunOptions {
        selection: gridkey_core::plan::Selection { only: Some(pairs.clone().into()), ..Default::default() },
        ..RunOptions::default()
    };
    let ended = block_on(world.run(50, &before, &pairs_only));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    world.pass(OVERLAP / 2);
    let (adopted, requests) = {
        let mut inner = world.lock();
        inner.effects.clear();
        let adopted = inner.make(&acme(), "made by hand".to_string(), scopes(), false);
        let secret = inner.keys[&adopted].secret.clone();
        inner.place(location("r-adopted").id(), Some(secret));
        let state = inner.state(&acme()).cloned().expect("there is state");
        let id = |text: &str| state.keys[&address(text)].id.clone();
        // What is let go of is nobody's, and has to stay as it is.
        let let_go = id("prod/gone");
        inner.keys.get_mut(&let_go).expect("it is live").foreign = true;
        let older = state.keys[&address("prod/given-up")].retiring.iter().map(|older| older.id.clone());
        inner.given_up = older.chain([id("prod/asked")]).collect();
        let requests = Requests {
            rotate: BTreeMap::from([(address("prod/asked"), Some(id("prod/asked")))]),
            revoke_old: RevokeOld::Now,
            retire: BTreeMap::from([
                (address("prod/kept"), RetireRequest::Hold(OVERLAP)),
                (address("prod/given-up"), RetireRequest::Now),
            ]),
            ..Requests::default()
        };
        (adopted, requests)
    };
    world.pass(READ_LAG);
    manifest.moved = vec![Moved { from: pattern("old/*"), to: pattern("prod/*"), position: position() }];
    let key = ImportKey::Id(adopted);
    manifest.import = vec![Import { to: address("prod/adopted"), key, position: position() }];
    let what = RemovedWhat::Address(pattern("prod/gone"));
    manifest.removed = vec![Removed { what, revoke: false, position: position() }];
    Stage { name, world, manifest: after, requests, approval: None, edit: None }
}

/// Keys in the middle of their lives, over each kind of sinks.
pub fn lives() -> [Stage; 3] {
    [
        life("lives, readable", &[&["r1"], &["r2"], &["r3"], &["r4"], &["r5"], &["r6"], &["r7"], &["r8"]]),
        life("lives, write-only", &[&["w1"], &["w2"], &["w3"], &["w4"], &["w5"], &["w6"], &["w7"], &["w8"]]),
        life(
            "lives, mixed",
            &[
                &["w1", "r1"],
                &["r2", "w2"],
                &["w3"],
                &["r4", "w4"],
                &["r5", "w5"],
                &["r6", "w6"],
                &["w7", "r7"],
                &["r8", "w8"],
            ],
        ),
    ]
}

/// Keys that go to live in another account: as they are, with other scopes, under another address, at another
/// place, and with an older key still waiting. One stays, and one is made anew there.
fn to_branch(name: &'static str, sinks: &[&'static [&'static str]; 6]) -> Stage {
    let [plain, edited, moved, relocated, waiting, stays] = *sinks;
    let relocated_to: &[&str] = &["r-new"];
    let gone = ["prod/plain", "prod/edited", "prod/moved", "prod/relocated", "prod/waiting", "prod/new"];
    let mut before = WorldManifest::new(
        &[
            key("prod/plain", plain),
            key("prod/edited", edited),
            key("old/moved", moved),
            key("prod/relocated", relocated),
            key("prod/waiting", waiting),
            key("prod/stays", stays),
        ],
        100,
    )
    .with_branch(&[], 100);
    let mut after = WorldManifest::new(
        &[
            key("prod/plain", plain),
            Wanted { scopes: &["stats.read"], ..key("prod/edited", edited) },
            key("prod/moved", moved),
            key("prod/relocated", relocated_to),
            key("prod/waiting", waiting),
            key("prod/stays", stays),
            key("prod/new", &["r-other"]),
        ],
        100,
    )
    .with_branch(&gone, 100);
    for manifest in [&mut before, &mut after] {
        let keys = &mut manifest.manifest.keys;
        keys.get_mut(&address("prod/waiting")).expect("it is wanted").rotate = rotation(AtLimit::Postpone);
    }
    after.manifest.moved =
        vec![Moved { from: pattern("old/*"), to: pattern("prod/*"), position: position() }];
    let world = a_month_later(&before, 100);
    let ended = block_on(world.run(50, &before, &RunOptions::default()));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    world.pass(OVERLAP / 2);
    world.lock().effects.clear();
    Stage { name, world, manifest: after, requests: Requests::default(), approval: None, edit: None }
}

/// Keys that go to live in another account, over each kind of sinks.
pub fn into_another_account() -> [Stage; 3] {
    [
        to_branch("to a branch, readable", &[&["r1"], &["r2"], &["r3"], &["r4"], &["r5"], &["r6"]]),
        to_branch("to a branch, write-only", &[&["w1"], &["w2"], &["w3"], &["w4"], &["w5"], &["w6"]]),
        to_branch(
            "to a branch, mixed",
            &[&["r1", "w1"], &["w2", "r2"], &["w3"], &["r4", "w4"], &["r5", "w5"], &["w6"]],
        ),
    ]
}

/// A key that comes due in an account without a spare slot, whose older key goes first.
pub fn replaced_at_the_limit() -> Stage {
    let mut manifest = WorldManifest::new(&[key("prod/a", &["ra"]), key("prod/b", &["rb"])], 2);
    let due = manifest.manifest.keys.get_mut(&address("prod/a")).expect("it is wanted");
    due.rotate = rotation(AtLimit::Replace);
    let world = a_month_later(&manifest, 2);
    {
        let mut inner = world.lock();
        let id = inner.state(&acme()).map(|state| state.keys[&address("prod/a")].id.clone());
        inner.given_up.extend(id);
    }
    Stage {
        name: "no spare slot",
        world,
        manifest,
        requests: Requests::default(),
        approval: None,
        edit: None,
    }
}

/// A creation that broke off after its sink took the secret, and that nobody wants any more.
pub fn begun_and_wanted_no_more() -> Stage {
    let before = WorldManifest::new(&[key("prod/a", &["ra"]), key("prod/b", &["rb"])], 100);
    let manifest = WorldManifest::new(&[key("prod/a", &["ra"])], 100);
    let world = a_month_later(&manifest, 100);
    let undisturbed = world.fork();
    block_on(undisturbed.run(50, &before, &RunOptions::default()));
    let put = undisturbed.lock().effects.iter().position(|effect| *effect == Effect::Put);
    let put = put.expect("a new key is delivered");
    world.lock().schedule = BTreeMap::from([(put, Fault::KilledAfter)]);
    let ended = block_on(world.run(50, &before, &RunOptions::default()));
    assert!(matches!(ended, Ended::Killed), "{ended:?}");
    world.pass(READ_LAG);
    world.lock().effects.clear();
    // The manifest no longer has the location, so whoever read it knows that.
    let name = "begun and wanted no more";
    Stage { name, world, manifest, requests: Requests::default(), approval: None, edit: None }
}

/// Keys of whose deliveries somebody is told: one is new, one comes due, one gets a further location, and one goes elsewhere.
pub fn told_of_deliveries() -> Stage {
    let unchanged = || [key("prod/due", &["r1", "w1"]), key("prod/same", &["r2"])];
    let before = [key("prod/more", &["r3"]), key("prod/relocated", &["r4"])];
    let after = [
        key("prod/more", &["r3", "r-more", "w-more"]),
        key("prod/relocated", &["r-new"]),
        key("prod/new", &["r5", "w5"]),
    ];
    let manifest = |keys: &[Wanted]| {
        let keys: Vec<Wanted> = unchanged().into_iter().chain(keys.iter().cloned()).collect();
        let mut manifest = WorldManifest::new(&keys, 100).with_hooks(true);
        let due = manifest.manifest.keys.get_mut(&address("prod/due")).expect("it is wanted");
        due.rotate = rotation(AtLimit::Postpone);
        manifest
    };
    let world = a_month_later(&manifest(&before), 100);
    Stage {
        name: "told of deliveries",
        world,
        manifest: manifest(&after),
        requests: Requests::default(),
        approval: None,
        edit: None,
    }
}

/// Every stage there is.
pub fn all_stages() -> Vec<Stage> {
    let mut all: Vec<Stage> = stages(100).into();
    all.extend(lives());
    all.extend(into_another_account());
    all.push(replaced_at_the_limit());
    all.push(begun_and_wanted_no_more());
    all.push(told_of_deliveries());
    all
}
