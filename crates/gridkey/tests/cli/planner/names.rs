//! Names that SendGrid does not hold as they were given: recorded, told once, and asked for no more.

use gridkey_emulator::Settings;
use serde_json::json;

use crate::support::{Place, manifest};

/// A SendGrid that keeps so many characters of a name.
fn cutting(name_length: usize) -> Settings {
    serde_json::from_value(json!({ "name_length": name_length })).expect("the emulator can cut names")
}

/// A name of so many characters.
fn long(length: usize) -> String {
    "Mailer of the shop, with a long name ".chars().cycle().take(length - 1).chain(['x']).collect()
}

fn named(name: &str) -> String {
    manifest(&format!("  mailer: {{ name: \"{name}\", scopes: [mail.send] }}\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_sendgrid_cuts_is_told_once_and_is_no_drift() {
    for length in [101, 150] {
        let place = Place::new(cutting(100)).await;
        place.write("gridkey.yaml", &named(&long(length)));
        let first = place.run(&["apply", "--yes"]);
        if first.code == 1 {
            // A name that no SendGrid is known to hold may be refused; then nothing is done.
            assert!(place.live("acme").is_empty(), "{}", first.all());
            continue;
        }
        first.ends(0);
        assert_eq!(place.live("acme").len(), 1);
        place.run(&["apply", "--yes"]).ends(0).says("No changes");
        place.run(&["drift"]).ends(0);
        place.converged();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_sendgrid_cuts_short_is_told_once_and_is_no_drift() {
    let place = Place::new(cutting(50)).await;
    place.write("gridkey.yaml", &named("Mailer"));
    place.run(&["apply", "--yes"]).ends(0);
    let edited = long(60);
    place.write("gridkey.yaml", &named(&edited));
    place.run(&["apply", "--yes"]).ends(0).says("1 updated");
    let kept: Vec<String> = place.live("acme").into_values().map(|key| key.name).collect();
    assert_eq!(kept, [edited[..50].to_string()]);
    place.run(&["apply", "--yes"]).ends(0).says("No changes");
    place.run(&["drift"]).ends(0);
    // A name that is changed by hand afterwards is drift.
    let id = place.id("acme", "mailer");
    place.server.model().name_by_hand("acme", &id, "Do not touch");
    place.run(&["drift"]).ends(2).says("Do not touch");
    // And another wish is carried out.
    place.write("gridkey.yaml", &named("Short"));
    place.run(&["apply", "--yes"]).ends(0);
    let kept: Vec<String> = place.live("acme").into_values().map(|key| key.name).collect();
    assert_eq!(kept, ["Short"]);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_under_a_long_name_is_found_again_where_names_are_cut() {
    use gridkey_emulator::{Fault, FaultRule, Operation};
    for length in [70, 77, 90, 100] {
        let place = Place::new(cutting(100)).await;
        place.write("gridkey.yaml", &named(&long(length)));
        // The key is made, and neither its answer nor a look at the account comes back.
        let gone = Fault::Status { status: 500, message: None, done: false };
        let fails = |operation, after, fault| FaultRule { operation, after, count: None, fault };
        place.server.model().set_faults(vec![
            fails(Operation::Create, 0, Fault::Drop { done: true }),
            fails(Operation::List, 1, gone),
        ]);
        assert_ne!(place.run(&["apply", "--yes"]).code, 0);
        assert_eq!(place.live("acme").len(), 1, "the key was made");
        place.server.model().set_faults(Vec::new());
        place.run(&["apply", "--yes"]).ends(0);
        let live = place.live("acme");
        assert_eq!(live.len(), 1, "no key is left over from the run before: {live:?}");
        place.works("acme", "mailer", ".env", "SENDGRID_MAILER");
        place.converged();
    }
}
