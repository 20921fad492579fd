//! A selection touches nothing outside of itself, and takes no key away that the whole plan keeps or moves.

use gridkey_emulator::{Fault, FaultRule, Operation, Settings};
use jiff::Timestamp;

use super::staged;
use crate::support::{Place, manifest};

const MOVED: &str = "moved: [{ from: staging/reports, to: prod/reports }]\n";

/// `staging/reports` was applied, and the manifest moves it to `prod`.
async fn a_key_on_its_way_to_another_environment() -> Place {
    let place = Place::new(Settings::default()).await;
    let keys = |environment: &str| {
        staged(
            "  staging: {}\n  prod: {}\n",
            &format!("  reports: {{ scopes: [stats.read], environments: [{environment}] }}\n"),
        )
    };
    place.write("gridkey.yaml", &keys("staging"));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &format!("{}{MOVED}", keys("prod")));
    place
}

/// What was left alone is done by a run about everything, and the key is still the same.
#[track_caller]
fn moves_in_the_end(place: &Place, id: &str) {
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "prod/reports"), id);
    assert_eq!(place.live("acme").len(), 1);
    assert_eq!(place.owns("acme").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_leaves_a_key_alone_that_a_move_takes_out_of_it() {
    let place = a_key_on_its_way_to_another_environment().await;
    let id = place.id("acme", "staging/reports");
    let before = place.world();
    for selected in [["--env", "staging"], ["--only", "staging/reports"]] {
        place.plan(&selected).finds(&["staging/reports", "prod/reports"]);
        let said = place.run(&[&["apply", "--yes"][..], &selected].concat());
        assert_eq!(place.world(), before, "{selected:?}: {}", said.all());
        said.says("prod/reports");
    }
    moves_in_the_end(&place, &id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_takes_no_key_out_of_what_is_not_selected() {
    let place = a_key_on_its_way_to_another_environment().await;
    let id = place.id("acme", "staging/reports");
    let before = place.world();
    for selected in [["--env", "prod"], ["--only", "prod/reports"]] {
        place.plan(&selected).finds(&["staging/reports", "prod/reports"]);
        let said = place.run(&[&["apply", "--yes"][..], &selected].concat());
        assert_eq!(place.world(), before, "{selected:?}: {}", said.all());
        said.says("staging/reports");
    }
    moves_in_the_end(&place, &id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_carried_out_where_both_of_its_ends_are_selected() {
    let place = a_key_on_its_way_to_another_environment().await;
    let id = place.id("acme", "staging/reports");
    place.run(&["apply", "--env", "staging", "--env", "prod", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "prod/reports"), id);
    assert_eq!(place.live("acme").len(), 1, "the key is the same, and there is no other");
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_revokes_no_key_that_an_environment_of_another_name_takes_over() {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read] }\n";
    place.write("gridkey.yaml", &staged("  stage: {}\n  prod: {}\n", keys));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    let moved = "moved: [{ from: \"stage/*\", to: \"staging/*\" }]\n";
    place.write("gridkey.yaml", &format!("{}{moved}", staged("  staging: {}\n  prod: {}\n", keys)));
    let said = place.run(&["apply", "--env", "staging", "--yes"]);
    let after = place.world();
    for (id, _, _) in &before.live["acme"] {
        assert!(after.live["acme"].iter().any(|(live, _, _)| live == id), "{id} is revoked: {}", said.all());
    }
    assert_eq!(after.live["acme"].len(), before.live["acme"].len(), "no second key is made: {}", said.all());
    place.run(&["apply", "--env", "prod", "--yes"]);
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 4);
    let addresses: Vec<String> = place.owns("acme").into_keys().collect();
    assert_eq!(addresses, ["prod/mailer", "prod/reports", "staging/mailer", "staging/reports"]);
}

/// `mailer` was begun and broke off: its key is live under a marker, and no sink has its secret.
async fn a_creation_that_broke_off() -> Place {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  other: { scopes: [stats.read] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    let marked = "mailer [gridkey:k3x9abcdefghi]";
    place.server.model().add_key("acme", marked, Some(&["mail.send"]), Timestamp::now());
    let file = ".gridkey/state/default/acme.json";
    let mut state: serde_json::Value = serde_json::from_str(&place.read(file)).unwrap();
    state["pending"]["k3x9abcdefghi"] = serde_json::json!({
        "address": "mailer", "purpose": "create", "name": "mailer",
        "access": { "restricted": ["mail.send"] },
        "locations": [{ "sink": "local", "at": { "dotenv": { "path": ".env", "variable": "SENDGRID_MAILER" } } }],
        "phase": "intended", "at": "2026-01-01T00:00:00Z", "by": "an earlier run",
    });
    place.write(file, &state.to_string());
    let both = "  other: { scopes: [stats.read] }\n  mailer: { scopes: [mail.send] }\n";
    place.write("gridkey.yaml", &manifest(both));
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_about_another_key_takes_back_a_creation_that_broke_off() {
    let place = a_creation_that_broke_off().await;
    let other = place.id("acme", "other");
    place.server.model().clear_log();
    place.run(&["apply", "--only", "other", "--yes"]).ends(0);
    let live: Vec<String> = place.live("acme").into_keys().collect();
    assert_eq!(live, [other], "the key whose secret is lost is revoked, and none is made");
    assert_eq!(place.asked(Operation::Create), 0);
    assert_eq!(place.world().state["acme"]["pending"], serde_json::json!({}));
    place.run(&["apply", "--yes"]).ends(0).says("1 created");
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_about_another_key_finishes_a_creation_whose_secret_a_sink_has() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  other: { scopes: [stats.read] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    // The first location takes the secret, and the second cannot be written, so the key stays pending.
    let sinks = "  backup: { dotenv: { path: \"backup/.env\", variable: \"SENDGRID_{KEY}\" } }\ndefaults:";
    let both =
        "  other: { scopes: [stats.read] }\n  mailer: { scopes: [mail.send], sinks: [local, flaky] }\n";
    let flaky = "  flaky: { command: { put: [sh, -c, \"test -f ready && cat > backup-flaky\"], \
                 read: [sh, -c, \"cat backup-flaky 2>/dev/null || true\"] } }\n";
    let text = manifest(both).replacen("defaults:", &format!("{flaky}{sinks}"), 1);
    place.write("gridkey.yaml", &text);
    assert_ne!(place.run(&["apply", "--yes"]).code, 0);
    let pending = place.world().state["acme"]["pending"].as_object().unwrap().len();
    assert_eq!(pending, 1, "the creation is begun, and a sink has its secret");
    place.write("ready", "");
    place.server.model().clear_log();
    place.run(&["apply", "--only", "other", "--yes"]).ends(0);
    assert_eq!(place.asked(Operation::Create), 0, "none is made");
    assert_eq!(place.world().state["acme"]["pending"], serde_json::json!({}));
    place.works("acme", "mailer", ".env", "SENDGRID_MAILER");
    assert_eq!(place.live("acme").len(), 2);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_about_another_environment_leaves_nothing_of_a_creation_that_broke_off() {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send] }\n";
    place.write("gridkey.yaml", &staged("  staging: {}\n", keys));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &staged("  staging: {}\n  prod: {}\n", keys));
    // The answer is lost, and so is every look at the account: what came of the creation is not known.
    let lost = |operation, fault| FaultRule { operation, after: 0, count: None, fault };
    let gone = Fault::Status { status: 500, message: None, done: false };
    place.server.model().set_faults(vec![
        lost(Operation::Create, Fault::Drop { done: true }),
        FaultRule { after: 1, ..lost(Operation::List, gone) },
    ]);
    let broken = place.run(&["apply", "--env", "prod", "--yes"]);
    assert_ne!(broken.code, 0);
    place.server.model().set_faults(Vec::new());
    let pending = place.world().state["acme"]["pending"].as_object().unwrap().len();
    assert_eq!(pending, 1, "{}", broken.all());
    assert_eq!(place.live("acme").len(), 2, "the key was made");
    place.server.model().clear_log();
    place.run(&["apply", "--only", "staging/mailer", "--yes"]).ends(0);
    assert_eq!(place.asked(Operation::Create), 0);
    assert_eq!(place.live("acme").len(), 1);
    assert_eq!(place.world().state["acme"]["pending"], serde_json::json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_of_a_pattern_that_is_gone_have_to_be_named_as_before() {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send] }\n";
    place.write("gridkey.yaml", &staged("  prod: {}\n  \"pr-*\": { ttl: 14d }\n", keys));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["apply", "--env", "pr-1", "--yes"]).ends(0);
    let before = place.world();
    for pattern in ["  \"preview-*\": { ttl: 14d }\n", ""] {
        place.write("gridkey.yaml", &staged(&format!("  prod: {{}}\n{pattern}"), keys));
        place.run(&["apply", "--yes"]).ends(0).says("environment_left").says("gridkey destroy --env pr-1");
        assert_eq!(place.world(), before, "it is left");
    }
    place.run(&["destroy", "--env", "pr-1", "--yes"]).ends(0);
    assert_eq!(place.owns("acme").into_keys().collect::<Vec<_>>(), ["prod/mailer"]);
    place.converged();
}
