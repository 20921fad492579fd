//! A rename that `moved` does not tell of: pointed out, and made before anything is revoked.

use std::time::Duration;

use gridkey_emulator::{Operation, Settings};

use super::{staged, with_limit};
use crate::support::{Place, manifest, refused_creations};

/// `count` keys whose names start with this.
fn numbered(start: &str, count: usize) -> String {
    (1..=count).map(|number| format!("  {start}-{number}: {{ scopes: [mail.send] }}\n")).collect()
}

/// Whether every creation was asked for before the first revocation.
fn makes_before_it_revokes(place: &Place) -> bool {
    let model = place.server.model();
    let operations = model.log().iter().map(|entry| entry.operation);
    let kept: Vec<Operation> =
        operations.filter(|operation| matches!(operation, Operation::Create | Operation::Delete)).collect();
    kept.is_sorted()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_under_another_address_looks_like_a_rename() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send, stats.read] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &manifest("  sender: { scopes: [mail.send, stats.read] }\n"));
    place.plan(&[]).finds(&["looks like a rename", "moved: [{ from: mailer, to: sender }]"]);
    // With the entry that it proposes there is nothing to point out, and the key stays.
    let id = place.id("acme", "mailer");
    let moved = "moved: [{ from: mailer, to: sender }]\n";
    let renamed = manifest("  sender: { scopes: [mail.send, stats.read] }\n");
    place.write("gridkey.yaml", &format!("{renamed}{moved}"));
    let planned = place.plan(&[]);
    assert!(!planned.said.out.contains("looks like a rename"), "{}", planned.brief());
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "sender"), id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_under_another_name_looks_like_a_rename() {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send] }\n";
    place.write("gridkey.yaml", &staged("  staging: {}\n  prod: {}\n", keys));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &staged("  stage: {}\n  prod: {}\n", keys));
    place.plan(&[]).finds(&["looks like a rename", "moved: [{ from: staging/mailer, to: stage/mailer }]"]);
    // A key that is taken out of one environment and put into another, which both stay, is two keys.
    let only = |name: &str| format!("  mailer: {{ scopes: [mail.send], environments: [{name}] }}\n");
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &staged("  staging: {}\n  prod: {}\n", &only("staging")));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &staged("  staging: {}\n  prod: {}\n", &only("prod")));
    let planned = place.plan(&[]);
    assert!(!planned.said.out.contains("looks like a rename"), "{}", planned.brief());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_has_nothing_of_another_does_not_look_like_a_rename() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &manifest("  reports: { scopes: [stats.read] }\n"));
    let planned = place.plan(&[]);
    assert!(!planned.said.out.contains("looks like a rename"), "{}", planned.brief());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_makes_and_delivers_before_it_revokes() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&numbered("mailer", 3)));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &manifest(&numbered("sender", 3)));
    place.server.model().clear_log();
    let said = place.run(&["apply", "--yes"]);
    said.ends(0);
    assert!(makes_before_it_revokes(&place), "{:?}", place.server.model().log());
    let at = |text: &str| said.err.lines().position(|line| line.contains(text));
    let first_revoked = said.err.lines().position(|line| line.contains("revoked key")).unwrap();
    for number in 1..=3 {
        let delivered = at(&format!("sender-{number}: delivered key")).unwrap();
        assert!(delivered < first_revoked, "{}", said.err);
        place.works("acme", &format!("sender-{number}"), ".env", &format!("SENDGRID_SENDER_{number}"));
    }
    assert_eq!(place.live("acme").len(), 3);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_whose_creation_fails_has_not_revoked_the_key_before() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    let id = place.id("acme", "mailer");
    place.write("gridkey.yaml", &manifest("  sender: { scopes: [mail.send] }\n"));
    place.server.model().set_faults(refused_creations(0, None));
    place.server.model().clear_log();
    assert_ne!(place.run(&["apply", "--yes"]).code, 0);
    // Whether the key goes all the same is another question; it does not go first.
    assert!(makes_before_it_revokes(&place), "{:?}", place.server.model().log());
    let live = place.live("acme");
    assert!(live.contains_key(&id), "the key that looks renamed works until its successor does");
    place.server.model().set_faults(Vec::new());
    place.run(&["apply", "--yes"]).ends(0);
    place.works("acme", "sender", ".env", "SENDGRID_SENDER");
    assert_eq!(place.live("acme").len(), 1);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_of_twenty_keys_that_is_killed_has_revoked_none_before_all_are_made() {
    for creations in [1, 5, 12] {
        let place = Place::with_latency(Settings::default(), Duration::from_millis(10)).await;
        place.write("gridkey.yaml", &manifest(&numbered("mailer", 20)));
        place.run(&["apply", "--yes"]).ends(0);
        place.write("gridkey.yaml", &manifest(&numbered("sender", 20)));
        place.server.model().clear_log();
        let mut child = place.spawn(&["apply", "--allow", "max_deletions", "--yes"]);
        while place.asked(Operation::Create) < creations && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let _ = child.kill();
        child.wait().unwrap();
        let (made, revoked) = (place.asked(Operation::Create), place.asked(Operation::Delete));
        assert!(made == 20 || revoked == 0, "{revoked} were revoked and {made} made");
        place.run(&["apply", "--allow", "max_deletions", "--yes"]).ends(0);
        assert_eq!(place.live("acme").len(), 20);
        place.converged();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_without_a_free_slot_revokes_first() {
    let place = Place::new(Settings { key_limit: 3, ..Settings::default() }).await;
    let text = |keys: &str| with_limit(&manifest(keys), 3);
    place.write("gridkey.yaml", &text(&numbered("mailer", 2)));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &text(&numbered("sender", 2)));
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 2);
    for number in 1..=2 {
        place.works("acme", &format!("sender-{number}"), ".env", &format!("SENDGRID_SENDER_{number}"));
    }
    place.converged();
}
