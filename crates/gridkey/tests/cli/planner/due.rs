//! Due work: it goes by what was last applied, and carries no edit along and drops no move.

use std::collections::BTreeMap;

use gridkey_emulator::Settings;

use super::staged;
use crate::support::{Place, manifest};

/// `mailer` is due, and the manifest has it at `sender` by now.
async fn a_due_key_on_its_way_to_another_address() -> Place {
    let place = Place::new(Settings::default()).await;
    let key = |address: &str| {
        let rotate = "rotate: { every: 30d, overlap: 1h }";
        manifest(&format!("  {address}: {{ scopes: [mail.send], {rotate} }}\n"))
    };
    place.write("gridkey.yaml", &key("mailer"));
    place.run(&["apply", "--yes"]).ends(0);
    crate::clock::days_pass(&place, 31);
    place.write("gridkey.yaml", &format!("{}moved: [{{ from: mailer, to: sender }}]\n", key("sender")));
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_is_left_out_where_a_move_of_the_key_is_not_applied_yet() {
    for nightly in [&["apply", "--due", "only", "--yes"][..], &["rotate", "--due", "--yes"]] {
        let place = a_due_key_on_its_way_to_another_address().await;
        let id = place.id("acme", "mailer");
        let before = place.world();
        let planned = place.plan(&["--due", "only"]);
        planned.finds(&["mailer", "sender"]);
        let said = place.run(nightly);
        assert_eq!(place.world(), before, "{nightly:?}: {}", said.all());
        said.says("sender");
        // The next run of all of it goes on, and the older key retires.
        place.run(&["apply", "--yes"]).ends(0);
        let successor = place.id("acme", "sender");
        assert_ne!(successor, id);
        assert_eq!(place.owns("acme"), BTreeMap::from([("sender".to_string(), successor)]));
        crate::clock::overlaps_pass(&place);
        place.run(&["apply", "--yes"]).ends(0);
        assert_eq!(place.live("acme").len(), 1);
        place.works("acme", "sender", ".env", "SENDGRID_SENDER");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_never_has_two_owners_of_a_key_that_is_moved_and_due() {
    let place = a_due_key_on_its_way_to_another_address().await;
    for arguments in [
        &["apply", "--due", "only", "--yes"][..],
        &["rotate", "--due", "--yes"],
        &["apply", "--due", "only", "--only", "sender", "--yes"],
        &["apply", "--yes"],
        &["apply", "--due", "only", "--yes"],
    ] {
        let said = place.run(arguments);
        let state = place.world().state["acme"]["keys"].clone();
        let mut ids = Vec::new();
        for key in state.as_object().unwrap().values() {
            ids.push(key["id"].to_string());
            ids.extend(key["retiring"].as_array().unwrap().iter().map(|older| older["id"].to_string()));
        }
        let known = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), known, "{arguments:?}: {state:#}\n{}", said.all());
        assert_eq!(state.as_object().unwrap().len(), 1, "{arguments:?}: {state:#}\n{}", said.all());
        assert_eq!(place.live("acme").len(), known, "every live key is known: {}", said.all());
    }
    place.converged();
}

/// `pr-1` was made from a pattern whose keys end after 14 days.
async fn an_environment_that_ends() -> Place {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &preview("14d"));
    place.run(&["apply", "--env", "pr-1", "--yes"]).ends(0);
    place
}

fn preview(ttl: &str) -> String {
    staged(
        &format!("  prod: {{}}\n  \"pr-*\": {{ ttl: {ttl} }}\n"),
        "  mailer: { scopes: [mail.send], rotate: { every: 90d, overlap: 1h } }\n",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nightly_job_goes_by_the_ttl_that_was_last_applied() {
    let place = an_environment_that_ends().await;
    let before = place.world();
    place.write("gridkey.yaml", &preview("1s"));
    crate::clock::days_pass(&place, 1);
    let aged = place.world();
    for nightly in [&["apply", "--due", "only", "--yes"][..], &["rotate", "--due", "--yes"]] {
        for environment in ["pr-1", "pr-*"] {
            let said = place.run(&[nightly, &["--env", environment]].concat());
            assert_eq!(place.world(), aged, "{nightly:?}: {}", said.all());
        }
    }
    assert_eq!(aged.live, before.live);
    // What the manifest wants to keep longer by now is not taken from it either.
    place.write("gridkey.yaml", &preview("90d"));
    crate::clock::days_pass(&place, 14);
    let aged = place.world();
    place.run(&["rotate", "--due", "--env", "pr-*", "--yes"]).ends(0);
    assert_eq!(place.world(), aged);
    place.write("gridkey.yaml", &preview("14d"));
    place.run(&["rotate", "--due", "--env", "pr-*", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_a_ttl_shows_in_the_plan_as_a_change_of_state() {
    let place = an_environment_that_ends().await;
    place.write("gridkey.yaml", &preview("7d"));
    let planned = place.plan(&["--env", "pr-1", "--detailed-exitcode"]);
    planned.ends(2);
    let change = planned.change("pr-1/mailer");
    assert_eq!(change["action"], "update", "{change:#}");
    assert!(!change["before"]["ttl"].is_null() && !change["after"]["ttl"].is_null(), "{change:#}");
    assert_ne!(change["before"]["ttl"], change["after"]["ttl"]);
    let live = place.live("acme");
    place.run(&["apply", "--env", "pr-1", "--yes"]).ends(0);
    assert_eq!(place.live("acme"), live, "state alone changes");
    place.run(&["plan", "--env", "pr-1", "--detailed-exitcode"]).ends(0).says("No changes");
    crate::clock::days_pass(&place, 8);
    place.run(&["rotate", "--due", "--env", "pr-1", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 0, "the shorter one was applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ttl_counts_from_the_first_key_whatever_was_rotated_since() {
    let place = an_environment_that_ends().await;
    crate::clock::days_pass(&place, 10);
    place.run(&["rotate", "pr-1/mailer", "--env", "pr-1", "--yes"]).ends(0);
    crate::clock::overlaps_pass(&place);
    place.run(&["apply", "--env", "pr-1", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 1, "the older key has retired");
    crate::clock::days_pass(&place, 5);
    let planned = place.plan(&["--env", "pr-1"]);
    assert_eq!(planned.action("pr-1/mailer"), Some("delete"), "{}", planned.brief());
    place.run(&["rotate", "--due", "--env", "pr-*", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ttl_counts_from_the_first_key_also_where_it_vanished() {
    let place = an_environment_that_ends().await;
    crate::clock::days_pass(&place, 10);
    place.revoke_by_hand("acme", "pr-1/mailer");
    place.run(&["apply", "--env", "pr-1", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 1);
    crate::clock::days_pass(&place, 5);
    let planned = place.plan(&["--env", "pr-1"]);
    assert_eq!(planned.action("pr-1/mailer"), Some("delete"), "{}", planned.brief());
}

fn rotated(rotate: &str) -> String {
    manifest(&format!("  mailer: {{ scopes: [mail.send], rotate: {rotate} }}\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_a_rotation_shows_in_the_plan_as_a_change_of_state() {
    let place = Place::new(Settings::default()).await;
    place
        .write("gridkey.yaml", &rotated("{ every: 30d, overlap: 24h, warn_before: 7d, at_limit: postpone }"));
    place.run(&["apply", "--yes"]).ends(0);
    place.converged();
    for (field, rotate) in [
        ("every", "{ every: 60d, overlap: 24h, warn_before: 7d, at_limit: postpone }"),
        ("overlap", "{ every: 60d, overlap: 0s, warn_before: 7d, at_limit: postpone }"),
        ("warn_before", "{ every: 60d, overlap: 0s, warn_before: 3d, at_limit: postpone }"),
        ("at_limit", "{ every: 60d, overlap: 0s, warn_before: 3d, at_limit: replace }"),
    ] {
        place.write("gridkey.yaml", &rotated(rotate));
        let planned = place.plan(&["--detailed-exitcode"]);
        planned.ends(2);
        let change = planned.change("mailer");
        assert_eq!(change["action"], "update", "{field}: {change:#}");
        let (before, after) = (&change["before"]["rotate"][field], &change["after"]["rotate"][field]);
        assert!(!before.is_null() && !after.is_null() && before != after, "{field}: {change:#}");
        let live = place.live("acme");
        place.run(&["apply", "--yes"]).ends(0);
        assert_eq!(place.live("acme"), live, "{field}: state alone changes");
        place.converged();
    }
    place.write("gridkey.yaml", &rotated("never"));
    let planned = place.plan(&[]);
    let change = planned.change("mailer");
    assert_eq!(change["action"], "update", "{change:#}");
    assert_ne!(change["before"]["rotate"], change["after"]["rotate"], "{change:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nightly_job_goes_by_the_rotation_that_was_last_applied() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &rotated("{ every: 30d, overlap: 24h }"));
    place.run(&["apply", "--yes"]).ends(0);
    let id = place.id("acme", "mailer");
    crate::clock::days_pass(&place, 20);
    place.write("gridkey.yaml", &rotated("{ every: 10d, overlap: 0s }"));
    let aged = place.world();
    for nightly in [&["apply", "--due", "only", "--yes"][..], &["rotate", "--due", "--yes"]] {
        let said = place.run(nightly);
        assert_eq!(place.world(), aged, "{nightly:?}: {}", said.all());
    }
    // It is due once it is by both what was applied and what is wanted, and has the overlap that was applied.
    for rotate in ["{ every: 90d, overlap: 0s }", "never"] {
        place.write("gridkey.yaml", &rotated(rotate));
        let planned = place.plan(&["--due", "only"]);
        assert_eq!(planned.action("mailer"), None, "{}", planned.brief());
    }
    crate::clock::days_pass(&place, 11);
    place.write("gridkey.yaml", &rotated("{ every: 90d, overlap: 0s }"));
    place.run(&["rotate", "--due", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "mailer"), id);
    place.write("gridkey.yaml", &rotated("{ every: 20d, overlap: 0s }"));
    place.run(&["rotate", "--due", "--yes"]).ends(0);
    assert_ne!(place.id("acme", "mailer"), id);
    place.run(&["rotate", "--due", "--yes"]).ends(0);
    assert!(place.live("acme").contains_key(&id), "the older key has its overlap of a day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_environment_is_told_as_it_was_applied() {
    let place = Place::new(Settings::default()).await;
    let text = |ttl: &str| {
        super::staged(&format!("  \"pr-*\": {{ ttl: {ttl} }}\n"), "  mailer: { scopes: [mail.send] }\n")
    };
    place.write("gridkey.yaml", &text("30d"));
    place.run(&["apply", "--env", "pr-1", "--yes"]).ends(0);
    crate::clock::days_pass(&place, 10);
    place.write("gridkey.yaml", &text("1d"));
    let said = place.run(&["environments", "list"]);
    said.ends(0).says("expires").says("once the edit of its `ttl` is applied");
    assert!(!said.all().contains("expired"), "{}", said.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_never_shortens_what_an_older_key_has() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["rotate", "mailer", "--yes"]).ends(0);
    let before = place.owned("acme", "mailer");
    place.run(&["retire", "mailer", "--hold", "1m", "--yes"]).ends(3).says("which is longer");
    assert_eq!(place.owned("acme", "mailer"), before);
    place.run(&["retire", "mailer", "--hold", "72h", "--yes"]).ends(0);
    assert_ne!(place.owned("acme", "mailer"), before);
}
