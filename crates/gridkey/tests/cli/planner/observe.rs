//! What is looked at: every live key of ours, older ones too, and no sink that cannot be read is taken for a good one.

use std::collections::BTreeSet;

use gridkey_emulator::Settings;

use crate::support::{Place, manifest};

/// A key in its overlap; the id of the older one, which still lives.
async fn a_key_in_its_overlap() -> (Place, String) {
    let place = Place::new(Settings::default()).await;
    let key = "  mailer: { owner: growth, scopes: [mail.send], rotate: { every: 30d, overlap: 24h } }\n";
    place.write("gridkey.yaml", &manifest(key));
    place.run(&["apply", "--yes"]).ends(0);
    let older = place.id("acme", "mailer");
    place.run(&["rotate", "mailer", "--yes"]).ends(0);
    assert!(place.live("acme").contains_key(&older));
    place.run(&["drift"]).ends(0);
    (place, older)
}

/// Gives a key scopes by hand that make keys.
fn widen(place: &Place, id: &str) {
    place.server.model().change("acme", id, &["mail.send".to_string(), "api_keys.create".to_string()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_tells_of_an_older_key_that_was_widened_in_its_overlap() {
    let (place, older) = a_key_in_its_overlap().await;
    widen(&place, &older);
    place.run(&["drift"]).ends(2).says(&older).says("api_keys.create");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_worries_about_an_older_key_that_was_widened_in_its_overlap() {
    let (place, older) = a_key_in_its_overlap().await;
    let concerns = |place: &Place| -> BTreeSet<String> {
        let audit = place.run(&["audit", "--format", "json"]);
        let audit: serde_json::Value = serde_json::from_str(&audit.ends(0).out).unwrap();
        let keys = audit["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["id"] == older.as_str()).expect("the older key is listed");
        key["concerns"].as_array().unwrap().iter().map(ToString::to_string).collect()
    };
    let before = concerns(&place);
    widen(&place, &older);
    let after = concerns(&place);
    let added: Vec<&String> = after.difference(&before).collect();
    assert!(added.iter().any(|concern| concern.contains("manages_keys")), "{added:?}");
    assert!(added.iter().any(|concern| concern.contains("scopes_drifted")), "{added:?}");
    place.run(&["audit", "--fail-on", "manages_keys"]).ends(3).says(&older);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_judges_an_older_key_in_its_overlap() {
    let (place, older) = a_key_in_its_overlap().await;
    place.write("policy.yaml", "forbid_scopes: [\"api_keys.*\"]\n");
    assert!(place.plan(&["--policy", "policy.yaml"]).findings("forbidden_scope").is_empty());
    widen(&place, &older);
    let planned = place.plan(&["--policy", "policy.yaml"]);
    assert!(!planned.findings("forbidden_scope").is_empty(), "{}", planned.brief());
    planned.finds(&["api_keys.create"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_key_that_is_gone_before_its_overlap_has_passed_is_no_surprise() {
    let (place, older) = a_key_in_its_overlap().await;
    assert!(place.server.model().revoke("acme", &older, jiff::Timestamp::now()));
    crate::clock::overlaps_pass(&place);
    place.run(&["apply", "--yes"]).ends(0);
    place.converged();
    place.run(&["drift"]).ends(0);
}

/// Two keys in two files, of which one has conflict markers by now.
async fn a_file_with_conflict_markers() -> Place {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read], sinks: [backup] }\n";
    let backup = "  backup: { json: { path: backup.json, pointer: \"/{key}\" } }\ndefaults:";
    place.write("gridkey.yaml", &manifest(keys).replacen("defaults:", backup, 1));
    place.run(&["apply", "--yes"]).ends(0);
    place.converged();
    let text = place.read("backup.json");
    place.write("backup.json", &format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> branch\n"));
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_cannot_be_read_is_named_by_the_plan() {
    let place = a_file_with_conflict_markers().await;
    let planned = place.plan(&[]);
    planned.ends(0);
    assert_eq!(planned.findings("sink_unreadable").len(), 1, "{}", planned.brief());
    planned.finds(&["backup"]);
    assert_eq!((planned.action("mailer"), planned.action("reports")), (None, None));
    let text = place.run(&["plan"]);
    text.ends(0).says("sink_unreadable").says("backup.json");
    let before = place.world();
    place.run(&["apply", "--yes"]).says("sink_unreadable");
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_cannot_be_read_is_not_said_to_be_without_drift() {
    let place = a_file_with_conflict_markers().await;
    place.run(&["drift"]).ends(3).says("sink_unreadable").says("backup");
    place.run(&["drift", "--only", "mailer"]).ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_fails_to_read_is_a_sink_that_cannot_be_read() {
    let place = Place::new(Settings::default()).await;
    let command = "put: [sh, -c, \"cat > backup-value\"], read: [sh, -c, \"test ! -f locked && cat backup-value 2>/dev/null\
                   || test ! -f locked\"]";
    let text = manifest("  mailer: { scopes: [mail.send], sinks: [other] }\n").replacen(
        "defaults:",
        &format!("  other: {{ command: {{ {command} }} }}\ndefaults:"),
        1,
    );
    place.write("gridkey.yaml", &text);
    place.run(&["apply", "--yes"]).ends(0);
    place.converged();
    place.write("locked", "");
    let planned = place.plan(&[]);
    planned.ends(0);
    assert_eq!(planned.findings("sink_unreadable").len(), 1, "{}", planned.brief());
    place.run(&["drift"]).ends(3).says("sink_unreadable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_sendgrid_does_not_hold_is_told_once_and_is_no_drift() {
    let dropped = || BTreeSet::from(["user.profile.update".to_string()]);
    let place = Place::new(Settings { dropped_scopes: dropped(), ..Settings::default() }).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send, user.profile.update] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    // SendGrid's answer to the creation named all scopes, so it is asked once more, and what it holds is recorded.
    let second = place.run(&["apply", "--yes"]);
    second.ends(0).says("scopes missing at SendGrid");
    assert!(!second.all().contains("outside of gridkey"), "{}", second.all());
    let third = place.run(&["apply", "--yes"]);
    third.ends(0).says("No changes");
    assert!(!third.all().contains("scopes missing at SendGrid"), "told once: {}", third.all());
    place.run(&["plan", "--detailed-exitcode"]).ends(0);
    place.run(&["drift"]).ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_a_rotation_could_not_get_is_no_drift() {
    let dropped = BTreeSet::from(["user.profile.update".to_string()]);
    let place = Place::new(Settings { dropped_scopes: dropped, ..Settings::default() }).await;
    let scopes = "scopes: [mail.send, user.profile.update]";
    place.write("gridkey.yaml", &manifest(&format!("  mailer: {{ {scopes} }}\n")));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["rotate", "mailer", "--yes"]).ends(0);
    place.run(&["apply", "--yes"]).ends(0).says("scopes missing at SendGrid");
    place.run(&["apply", "--yes"]).ends(0).says("No changes");
    place.run(&["drift"]).ends(0);
    // What is taken away afterwards is drift all the same.
    let id = place.id("acme", "mailer");
    place.server.model().change("acme", &id, &["stats.read".to_string()]);
    place.run(&["drift"]).ends(2);
}
