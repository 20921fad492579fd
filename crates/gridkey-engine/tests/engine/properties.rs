//! Properties of plans and applies, over random manifests one after another.

use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::manifest::{AtLimit, Rotation};
use gridkey_core::plan::{Plan, Severity};
use gridkey_core::{Access, KeyId, Scope, Scopes};
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme};
use proptest::prelude::*;

const ADDRESSES: [&str; 4] = ["prod/a", "prod/b", "staging/a", "c"];
const SCOPES: [&[&str]; 3] = [&["mail.send"], &["mail.send", "stats.read"], &["templates.read"]];
const LIMIT: usize = 7;

/// Locations of a key: readable ones, so that a secret can be copied wherever it is wanted next.
fn locations(address: usize, which: usize) -> &'static [&'static str] {
    const ALL: [[&[&str]; 3]; 4] = [
        [&["ra"], &["ra", "ra2"], &["ra", "wa"]],
        [&["rb"], &["rb", "rb2"], &["rb", "wb"]],
        [&["rc"], &["rc", "rc2"], &["rc", "wc"]],
        [&["rd"], &["rd", "rd2"], &["rd", "wd"]],
    ];
    ALL[address][which]
}

/// For each address: nothing, or scopes and locations.
fn manifests() -> impl Strategy<Value = Vec<[Option<(usize, usize)>; 4]>> {
    prop::collection::vec(prop::array::uniform4(prop::option::of((0..3usize, 0..3usize))), 1..5)
}

fn manifest(keys: &[Option<(usize, usize)>; 4]) -> WorldManifest {
    let wanted: Vec<_> = keys
        .iter()
        .enumerate()
        .filter_map(|(address, key)| {
            key.map(|(scopes, which)| Wanted {
                address: ADDRESSES[address],
                scopes: SCOPES[scopes],
                locations: locations(address, which),
            })
        })
        .collect();
    let mut manifest = WorldManifest::new(&wanted, u32::try_from(LIMIT).expect("a small number"));
    for (address, key) in &mut manifest.manifest.keys {
        // Two of the four come due every few rounds.
        let number = ADDRESSES.iter().position(|known| *known == address.to_string());
        key.rotate = number.filter(|number| number % 2 == 1).map(|_| Rotation {
            every: OVERLAP * 5,
            overlap: OVERLAP,
            warn_before: Some(OVERLAP),
            at_limit: AtLimit::Postpone,
        });
    }
    manifest
}

/// No step names a key that is not ours.
fn names_only_ours(plan: &Plan, foreign: &[KeyId]) -> bool {
    let steps: Vec<_> = plan.changes.iter().flat_map(|change| &change.steps).collect();
    let text = serde_json::to_string(&steps).expect("steps are plain data");
    foreign.iter().all(|id| !text.contains(id.as_str()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_the_same_twice_stay_under_the_limit_and_leave_what_is_not_ours(steps in manifests()) {
        let world = World::new(LIMIT);
        let scopes = Scopes::new([Scope::new("mail.send")].into()).expect("one scope");
        let foreign: Vec<KeyId> = (0..2)
            .map(|number| {
                let access = Access::Restricted(scopes.clone());
                world.lock().make(&acme(), format!("foreign {number}"), access, true)
            })
            .collect();
        let options = RunOptions::default();
        for (number, keys) in steps.iter().enumerate() {
            let manifest = manifest(keys);
            world.pass(OVERLAP * 2);
            let first = block_on(world.plan(&manifest, &options));
            let second = block_on(world.plan(&manifest, &options));
            prop_assert_eq!(first.to_json(), second.to_json());
            prop_assert!(names_only_ours(&first, &foreign));
            let blocked = first.findings.iter().any(|finding| finding.severity <= Severity::BlocksAccount);
            if let Some(capacity) = first.accounts.values().find_map(|account| account.capacity) {
                prop_assert!(blocked || capacity.peak <= capacity.limit, "{:?}", capacity);
            }
            block_on(world.run(number as u64 + 1, &manifest, &options));
            // Older keys and locations retire after the overlap, by the run after that, which makes no new ones.
            let mut manifest = manifest;
            manifest.manifest.keys.values_mut().for_each(|key| key.rotate = None);
            world.pass(OVERLAP + READ_LAG);
            block_on(world.run(number as u64 + 50, &manifest, &options));
            world.pass(Duration::from_secs(1));
            let after = block_on(world.plan(&manifest, &options));
            if !blocked && world.lock().state(&acme()).is_some() {
                prop_assert_eq!(violations(&world, &manifest, &after, true), Vec::<String>::new());
            }
            prop_assert!(world.lock().broken.is_empty(), "{:?}", world.lock().broken);
        }
    }
}
