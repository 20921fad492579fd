//! A year of a full account: forty keys of one birthday, applied daily, while runs are killed, requests get
//! lost, reads lag and sinks fail. Time is handed in.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::manifest::{AtLimit, Rotation};
use gridkey_core::plan::{Due, Options};
use gridkey_core::{Access, Scope, Scopes};
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{Ended, Fault, RunOptions, Wanted, World, WorldManifest, acme};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAYS: u32 = 365;
const KEYS: usize = 40;
const FOREIGN: usize = 55;

/// A first cycle has to spread keys of one birthday over few slots.
const OLDEST_IN_FIRST_CYCLE: Duration = Duration::from_secs(45 * 24 * 60 * 60);
const OLDEST_LATER: Duration = Duration::from_secs(32 * 24 * 60 * 60);

/// Forty keys, over sinks that can be read, that cannot, and both.
fn manifest() -> WorldManifest {
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let wanted: Vec<Wanted> = (0..KEYS)
        .map(|number| {
            let readable = leak(format!("r{number:02}"));
            let second = leak(format!("rr{number:02}"));
            let write_only = leak(format!("w{number:02}"));
            let locations = match number % 4 {
                0 => vec![readable],
                1 => vec![write_only],
                2 => vec![readable, write_only],
                _ => vec![readable, second],
            };
            let address = leak(format!("prod/key-{number:02}"));
            Wanted { address, scopes: &["mail.send"], locations: Box::leak(locations.into_boxed_slice()) }
        })
        .collect();
    let mut manifest = WorldManifest::new(&wanted, 100);
    for key in manifest.manifest.keys.values_mut() {
        key.rotate = Some(Rotation {
            every: DAY * 30,
            overlap: DAY,
            warn_before: Some(DAY * 7),
            at_limit: AtLimit::Postpone,
        });
    }
    manifest
}

/// What happened in a year.
#[derive(Debug, Default)]
struct Counts {
    runs: u32,
    killed: u32,
    blocked: u32,
    faults: usize,
    failed_changes: usize,
    samples: usize,
    most_live: usize,
    generations: u32,
    oldest_in_first_cycle: Duration,
    oldest_later: Duration,
}

/// Every consumer that reads its sink gets a key that works, and no key gets too old.
fn sample(world: &World, manifest: &WorldManifest, counts: &mut Counts) {
    let inner = world.lock();
    let now = inner.now;
    assert!(inner.broken.is_empty(), "day {}: {:?}", now.as_secs() / DAY.as_secs(), inner.broken);
    for location in manifest.locations() {
        let held = inner.held(&location);
        let live = held.as_ref().and_then(|id| inner.keys.get(id)).filter(|key| key.revoked.is_none());
        assert!(live.is_some(), "day {}: {location} holds {held:?}", now.as_secs() / DAY.as_secs());
        counts.samples += 1;
    }
    counts.most_live = counts.most_live.max(inner.live_count(&acme()));
    let state = inner.state(&acme()).expect("there is state since the first day");
    for (address, key) in &state.keys {
        let age = now - inner.keys[&key.id].born;
        let (oldest, limit) = match key.generation {
            1 => (&mut counts.oldest_in_first_cycle, OLDEST_IN_FIRST_CYCLE),
            _ => (&mut counts.oldest_later, OLDEST_LATER),
        };
        *oldest = (*oldest).max(age);
        assert!(
            age <= limit,
            "{address}, generation {}, is {} hours old",
            key.generation,
            age.as_secs() / 3600
        );
    }
}

/// A day's troubles: nothing, or faults at some of the effects of the run, stale reads, sinks that cannot be
/// read.
fn troubles(world: &World, random: &mut StdRng, counts: &mut Counts) {
    let mut inner = world.lock();
    inner.schedule.clear();
    inner.stale = random.random_bool(0.5);
    inner.unreadable = if random.random_bool(0.1) { random.random_range(1..4) } else { 0 };
    if !random.random_bool(0.35) {
        return;
    }
    let first = inner.effects.len();
    for _ in 0..random.random_range(1..=3) {
        let fault = Fault::ALL[random.random_range(0..Fault::ALL.len())];
        inner.schedule.insert(first + random.random_range(0..30), fault);
        counts.faults += 1;
    }
}

fn year(seed: u64) -> Counts {
    let mut random = StdRng::seed_from_u64(seed);
    let mut counts = Counts::default();
    let manifest = manifest();
    let world = World::new(100);
    let scopes = Scopes::new([Scope::new("mail.send")].into()).expect("one scope");
    for number in 0..FOREIGN {
        world.lock().make(&acme(), format!("foreign {number}"), Access::Restricted(scopes.clone()), true);
    }
    world.pass(DAY);
    let birthday = world.lock().now;
    let options = RunOptions::default();
    let ended = block_on(world.run(1, &manifest, &options));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    for day in 1..=DAYS {
        let morning = birthday + DAY * day;
        while world.lock().now < morning {
            let left = morning - world.lock().now;
            world.pass(left.min(HOUR));
            sample(&world, &manifest, &mut counts);
        }
        troubles(&world, &mut random, &mut counts);
        counts.runs += 1;
        match block_on(world.run(u64::from(day) * 1_000, &manifest, &options)) {
            Ended::Applied(outcome) => counts.failed_changes += outcome.failed.len(),
            Ended::Killed => counts.killed += 1,
            Ended::Blocked(_) | Ended::GaveUp(_) => counts.blocked += 1,
            Ended::NotApproved(changes) => panic!("nobody limits these runs: {changes:?}"),
        }
        sample(&world, &manifest, &mut counts);
    }
    // Two quiet days end what the last troubles left.
    for day in 1..=3 {
        world.lock().schedule.clear();
        world.lock().stale = false;
        world.pass(DAY + HOUR);
        block_on(world.run(1_000_000 + day, &manifest, &options));
    }
    world.pass(HOUR);
    let plan = block_on(world.plan(&manifest, &options_without_clock()));
    assert_eq!(violations(&world, &manifest, &plan, false), Vec::<String>::new());
    let generations: BTreeMap<_, _> = world
        .lock()
        .state(&acme())
        .map(|state| state.keys.iter().map(|(address, key)| (address.clone(), key.generation)).collect())
        .unwrap_or_default();
    counts.generations = generations.values().sum();
    assert!(generations.values().all(|generation| *generation >= 11), "{generations:?}");
    assert!(counts.most_live <= 100);
    counts
}

fn options_without_clock() -> RunOptions {
    RunOptions { options: Options { due: Due::Exclude, ..Options::default() }, ..RunOptions::default() }
}

#[test]
fn a_year_of_rotations_in_a_full_account_keeps_every_promise() {
    for seed in 1..=4 {
        let counts = year(seed);
        println!("a year, seed {seed}: {counts:?}");
        assert!(counts.killed > 10 && counts.faults > 100, "the year was too quiet: {counts:?}");
    }
}
