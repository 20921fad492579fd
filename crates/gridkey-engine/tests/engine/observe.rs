//! What a plan looks at, and with what.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::executor::block_on;
use gridkey_core::inventory::{AccountInventory, KeyDetail, SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::manifest::{AtLimit, Rotation};
use gridkey_core::plan::{Action, Code};
use gridkey_core::{Known, SinkLocation};
use gridkey_engine::ports::SinkReader;
use gridkey_tests::world::{Ended, OVERLAP, RunOptions, Wanted, World, WorldManifest, acme};

fn mailer() -> WorldManifest {
    let wanted = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations: &["ra"] };
    WorldManifest::new(&[wanted], 10)
}

fn apply(world: &World, number: u64, manifest: &WorldManifest) {
    let ended = block_on(world.run(number, manifest, &RunOptions::default()));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
}

#[test]
fn an_older_key_that_waits_to_be_revoked_is_looked_at_too() {
    let mut manifest = mailer();
    for wanted in manifest.manifest.keys.values_mut() {
        let at_limit = AtLimit::Postpone;
        let every = OVERLAP * 30;
        wanted.rotate = Some(Rotation { every, overlap: OVERLAP, warn_before: None, at_limit });
    }
    let world = World::new(10);
    world.pass(OVERLAP);
    apply(&world, 1, &manifest);
    world.pass(OVERLAP * 30);
    apply(&world, 2, &manifest);
    let inventory = block_on(world.observe(&manifest, &RunOptions::default()));
    let read = inventory.account(&acme()).unwrap();
    let looked_at: Vec<bool> = {
        let inner = world.lock();
        let ids = inner.state(&acme()).unwrap().owned_ids().into_keys();
        ids.map(|id| matches!(read.details.get(id), Some(KeyDetail::Scopes(_)))).collect()
    };
    assert_eq!(looked_at, [true, true]);
}

/// "Missing" is what SendGrid says of a key; a key that could not be looked at may well be there.
#[test]
fn an_account_with_a_read_that_failed_is_unreadable_and_no_key_of_it_is_missing() {
    let manifest = mailer();
    let world = World::new(10);
    world.pass(OVERLAP);
    apply(&world, 1, &manifest);
    world.pass(OVERLAP);
    // The list, and the look at the one key.
    for read in 0..2 {
        let world = world.fork();
        let first = world.lock().reads;
        world.lock().unanswered.insert(first + read);
        let inventory = block_on(world.observe(&manifest, &RunOptions::default()));
        let account = &inventory.accounts[&acme()];
        assert!(matches!(account, AccountInventory::Unreadable(_)), "read {read}: {account:?}");
    }
}

#[test]
fn a_key_that_only_reads_is_not_taken_for_another_managing_key() {
    let manifest = mailer();
    let world = World::new(10);
    world.pass(OVERLAP);
    apply(&world, 1, &manifest);
    world.pass(OVERLAP);
    // The one key is revoked by hand; a plan looks with the key of `plan_api_key`.
    world.lock().read_by_consumers.clear();
    let id = world.lock().held(&manifest.locations()[0]).unwrap();
    world.lock().revoke(&id);
    world.pass(OVERLAP);
    let plan = block_on(world.plan(&manifest, &RunOptions::default()));
    let codes: Vec<Code> = plan.findings.iter().map(|finding| finding.code).collect();
    assert!(!codes.contains(&Code::AccountMismatch), "{codes:?}");
    assert_eq!(plan.effective().map(|change| change.action).collect::<Vec<_>>(), [Action::Create]);
}

/// A sink that is asked about, and notes what it was asked.
#[derive(Default)]
struct Asked {
    observed: Mutex<Vec<String>>,
}

#[async_trait]
impl SinkReader for Asked {
    async fn observe(&self, location: &SinkLocation, _known: Option<&Known>) -> SinkObservation {
        self.observed.lock().unwrap().push(location.id().to_string());
        SinkObservation::Holds(SinkContent::Empty)
    }

    async fn caveats(&self, location: &SinkLocation) -> Vec<SinkCaveat> {
        vec![SinkCaveat::NotWritable(format!("{} is not there", location.sink))]
    }

    fn lag(&self, _location: &SinkLocation) -> Duration {
        Duration::ZERO
    }
}

/// A file for age recipients cannot be read, and that it cannot be written is known before a key is made all the same.
#[test]
fn what_stands_against_a_write_is_asked_of_sinks_that_cannot_be_read_too() {
    let wanted = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations: &["ra", "wb"] };
    let manifest = WorldManifest::new(&[wanted], 10);
    let world = World::new(10);
    world.pass(OVERLAP);
    let sinks = Asked::default();
    let inventory = block_on(world.observe_sinks(&manifest, &sinks));
    let caveats: Vec<_> = inventory.caveats.values().flatten().collect();
    assert_eq!(caveats.len(), 2, "{caveats:?}");
    let observed = sinks.observed.lock().unwrap();
    assert_eq!(
        *observed,
        [manifest.locations()[0].as_str()],
        "what cannot be read is not asked what it holds"
    );
}
