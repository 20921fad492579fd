//! Rotations in accounts that are full: one key after the other, and never more than was approved.

use gridkey_emulator::{Operation, Settings};
use jiff::Timestamp;

use super::with_limit;
use crate::support::{Place, manifest, refused_creations};

const KEYS: usize = 4;

/// So many keys, each due every 30 days, whose older key goes first where there is no slot.
fn replaced(count: usize, overlap: &str) -> String {
    let rotate = format!("rotate: {{ every: 30d, overlap: {overlap}, at_limit: replace }}");
    (1..=count).map(|number| format!("  key-{number}: {{ scopes: [mail.send], {rotate} }}\n")).collect()
}

/// A full account with four keys that are due.
async fn a_full_account() -> Place {
    let limit = KEYS + 1;
    let place = Place::new(Settings { key_limit: limit, ..Settings::default() }).await;
    place.write("gridkey.yaml", &with_limit(&manifest(&replaced(KEYS, "1h")), limit));
    place.run(&["apply", "--yes"]).ends(0);
    crate::clock::days_pass(&place, 31);
    place.server.model().clear_log();
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_older_key_is_revoked_after_a_creation_failed() {
    for good in 0..KEYS {
        let place = a_full_account().await;
        place.server.model().set_faults(refused_creations(u32::try_from(good).unwrap(), None));
        let said = place.run(&["apply", "--yes"]);
        assert!(matches!(said.code, 1 | 4), "{}", said.all());
        let revoked = place.asked(Operation::Delete);
        assert!(revoked <= good + 1, "{revoked} were revoked, and {good} made");
        assert!(place.live("acme").len() >= KEYS - 1, "one key at most has no successor");
        place.server.model().set_faults(Vec::new());
        place.run(&["apply", "--yes"]).ends(0);
        assert_eq!(place.live("acme").len(), KEYS);
        place.converged();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_revoked_to_make_room_is_made_again_by_every_run() {
    // It did not vanish: no rule about that is asked, and a run by the clock alone finishes what it began.
    for again in
        [&["rotate", "--due", "--yes"][..], &["apply", "--due", "exclude", "--yes"], &["apply", "--yes"]]
    {
        let place = a_full_account().await;
        place.write("policy.yaml", "vanished: block\n");
        place.server.model().set_faults(refused_creations(0, None));
        let said = place.run(&["rotate", "--due", "--yes", "--policy", "policy.yaml"]);
        assert!(matches!(said.code, 1 | 4), "{}", said.all());
        place.server.model().set_faults(Vec::new());
        assert_eq!(place.live("acme").len(), KEYS - 1, "one was revoked, and none made");
        let said = place.run(&[again, &["--policy", "policy.yaml"]].concat());
        said.ends(0).says("was revoked to make room for a new key, which was not delivered");
        assert_eq!(place.live("acme").len(), KEYS);
        place.run(&["apply", "--yes", "--policy", "policy.yaml"]).ends(0);
        place.converged();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_replaced_one_by_one_where_the_account_is_full() {
    let place = a_full_account().await;
    place.run(&["apply", "--yes"]).ends(0);
    let model = place.server.model();
    let mut missing = 0_i32;
    for entry in model.log() {
        match entry.operation {
            Operation::Delete => missing += 1,
            Operation::Create => missing -= 1,
            _ => continue,
        }
        assert!((0..=1).contains(&missing), "two keys have no successor at once: {:?}", model.log());
    }
    assert_eq!(missing, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_of_an_overlap_does_not_cover_revoking_first() {
    let place = Place::new(Settings { key_limit: 3, ..Settings::default() }).await;
    place.write("gridkey.yaml", &with_limit(&manifest(&replaced(1, "24h")), 3));
    place.run(&["apply", "--yes"]).ends(0);
    crate::clock::days_pass(&place, 31);
    let id = place.id("acme", "key-1");
    place.run(&["plan", "--out", "plan.json"]).ends(0).says("key-1");
    // The free slot that the approval counted on is gone.
    let foreign = place.server.model().add_key("acme", "by hand", Some(&["mail.send"]), Timestamp::now());
    let said = place.run(&["apply", "plan.json", "--yes"]);
    assert!(place.live("acme").contains_key(&id), "the key is revoked first: {}", said.all());
    assert_eq!(place.live("acme").len(), 2);
    // With the slot, the approval is carried out as it was shown.
    assert!(place.server.model().revoke("acme", &foreign.id, Timestamp::now()));
    place.run(&["apply", "plan.json", "--yes"]).ends(0);
    let live = place.live("acme");
    assert!(live.len() == 2 && live.contains_key(&id), "the older key has its overlap");
    assert_ne!(place.id("acme", "key-1"), id);
}
