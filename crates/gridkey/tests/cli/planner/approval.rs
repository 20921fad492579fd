//! Approvals: a file covers what it shows, all of it and no more.

use gridkey_emulator::Settings;

use super::with_subusers;
use crate::support::{Place, manifest};

const DUE: &str = "rotate: { every: 30d, overlap: 24h }";

/// A manifest with one key that is rotated every 30 days.
fn mailer(address: &str, rest: &str) -> String {
    manifest(&format!("  {address}: {{ {rest}, {DUE} }}\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_a_key_that_is_due_and_changed_is_applied_at_once() {
    let backup = "  backup: { dotenv: { path: backup.env, variable: \"{KEY}\" } }\ndefaults:";
    let with_backup = |text: String| text.replacen("defaults:", backup, 1);
    let changes = [
        ("scopes edited", mailer("mailer", "scopes: [mail.send, stats.read]"), "mailer"),
        ("name edited", mailer("mailer", "name: Mailer, scopes: [mail.send]"), "mailer"),
        ("owner edited", mailer("mailer", "owner: growth, scopes: [mail.send]"), "mailer"),
        ("protected", mailer("mailer", "protect: true, scopes: [mail.send]"), "mailer"),
        (
            "sink added",
            with_backup(mailer("mailer", "scopes: [mail.send], sinks: [local, backup]")),
            "mailer",
        ),
        ("access edited", mailer("mailer", "access: full"), "mailer"),
        (
            "moved",
            format!("{}moved: [{{ from: mailer, to: sender }}]\n", mailer("sender", "scopes: [mail.send]")),
            "sender",
        ),
        (
            "moved and edited",
            format!(
                "{}moved: [{{ from: mailer, to: sender }}]\n",
                mailer("sender", "scopes: [mail.send, stats.read]")
            ),
            "sender",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, edited, address) in changes {
        let place = Place::new(Settings::default()).await;
        place.write("gridkey.yaml", &mailer("mailer", "scopes: [mail.send]"));
        place.run(&["apply", "--yes"]).ends(0);
        let id = place.id("acme", "mailer");
        crate::clock::days_pass(&place, 31);
        place.write("gridkey.yaml", &edited);
        place.run(&["plan", "--out", "plan.json"]).ends(0);
        let said = place.run(&["apply", "plan.json", "--yes"]);
        if said.code != 0 {
            wrong.push(format!("{what}: {}", said.all()));
            continue;
        }
        assert_ne!(place.id("acme", address), id, "{what}: it is rotated as well");
        assert_eq!(place.live("acme").len(), 2, "{what}: the older key has its overlap");
        place.converged();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_does_not_cover_an_overlap_that_was_edited_since() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &mailer("mailer", "scopes: [mail.send]"));
    place.run(&["apply", "--yes"]).ends(0);
    crate::clock::days_pass(&place, 31);
    place.run(&["plan", "--out", "plan.json"]).ends(0);
    let before = place.world();
    let edited = "  mailer: { scopes: [mail.send], rotate: { every: 30d, overlap: 0s } }\n";
    place.write("gridkey.yaml", &manifest(edited));
    place.run(&["apply", "plan.json", "--yes"]).ends(3);
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_does_not_cover_a_rotation_that_was_edited_since() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &mailer("mailer", "scopes: [mail.send]"));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &mailer("mailer", "scopes: [mail.send, stats.read]"));
    place.run(&["plan", "--out", "plan.json"]).ends(0);
    let before = place.world();
    for rotate in ["{ every: 60d, overlap: 24h }", "{ every: 30d, overlap: 1h }", "never"] {
        let edited = format!("  mailer: {{ scopes: [mail.send, stats.read], rotate: {rotate} }}\n");
        place.write("gridkey.yaml", &manifest(&edited));
        place.run(&["apply", "plan.json", "--yes"]).ends(3);
        assert_eq!(place.world(), before, "nothing is done for {rotate}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_does_not_cover_a_ttl_that_was_edited_since() {
    let place = Place::new(Settings::default()).await;
    let text = |ttl: &str, scopes: &str| {
        super::staged(
            &format!("  \"pr-*\": {{ ttl: {ttl} }}\n"),
            &format!("  mailer: {{ scopes: [{scopes}] }}\n"),
        )
    };
    place.write("gridkey.yaml", &text("14d", "mail.send"));
    place.run(&["apply", "--env", "pr-1", "--yes"]).ends(0);
    place.write("gridkey.yaml", &text("14d", "mail.send, stats.read"));
    place.run(&["plan", "--env", "pr-1", "--out", "plan.json"]).ends(0);
    let before = place.world();
    place.write("gridkey.yaml", &text("1s", "mail.send, stats.read"));
    place.run(&["apply", "plan.json", "--env", "pr-1", "--yes"]).ends(3);
    assert_eq!(place.world(), before, "nothing is done");
}

/// A key in `acme`, and two in the subuser `team`, whose block has left the manifest since.
async fn an_account_that_is_let_go_of() -> (Place, String) {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team");
    let keys = |scopes: &str| format!("  mailer: {{ account: acme, scopes: [{scopes}] }}\n");
    let others =
        "  other: { account: team, scopes: [mail.send] }\n  third: { account: team, scopes: [mail.send] }\n";
    let all = format!("{}{others}", keys("mail.send"));
    place.write("gridkey.yaml", &with_subusers(&manifest(&all), &["team"]));
    place.run(&["apply", "--yes"]).ends(0);
    let removed = "removed: [{ account: team, revoke: false }]\n";
    let edited = format!("{}{others}", keys("mail.send, stats.read"));
    place.write("gridkey.yaml", &with_subusers(&manifest(&edited), &["team"]));
    place.run(&["plan", "--out", "before.json"]).ends(0);
    let left = format!("{}{removed}", manifest(&keys("mail.send, stats.read")));
    (place, left)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letting_go_of_an_account_needs_its_approval() {
    let (place, left) = an_account_that_is_let_go_of().await;
    let before = place.world();
    place.write("gridkey.yaml", &left);
    place.run(&["apply", "before.json", "--yes"]).ends(3);
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letting_go_of_an_account_is_not_covered_by_a_file_that_never_heard_of_it() {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team");
    let mailer = |scopes: &str| format!("  mailer: {{ account: acme, scopes: [{scopes}] }}\n");
    place.write("gridkey.yaml", &manifest(&mailer("mail.send")));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &manifest(&mailer("mail.send, stats.read")));
    place.run(&["plan", "--out", "plan.json"]).ends(0);
    // Another pull request brings an account, and a third lets go of it.
    let other = format!("{}  other: {{ account: team, scopes: [mail.send] }}\n", mailer("mail.send"));
    place.write("gridkey.yaml", &with_subusers(&manifest(&other), &["team"]));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    let removed = "removed: [{ account: team, revoke: false }]\n";
    place.write("gridkey.yaml", &format!("{}{removed}", manifest(&mailer("mail.send, stats.read"))));
    place.run(&["apply", "plan.json", "--yes"]).ends(3);
    assert_eq!(place.world(), before, "nothing is done");
    // What is approved is done, and the account stays as it is.
    let said = place.run(&["apply", "plan.json", "--approved-only", "--yes"]);
    let after = place.world();
    assert_eq!(after.state["team"], before.state["team"], "{}", said.all());
    assert_ne!(after.live["acme"], before.live["acme"], "{}", said.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letting_go_of_an_account_is_outside_of_a_selection_that_has_none_of_its_keys() {
    let (place, left) = an_account_that_is_let_go_of().await;
    let before = place.world();
    place.write("gridkey.yaml", &left);
    let said = place.run(&["apply", "--only", "mailer", "--yes"]);
    said.ends(0);
    assert_eq!(place.world().state["team"], before.state["team"], "{}", said.all());
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.owns("team").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letting_go_of_an_account_is_carried_out_by_the_file_that_shows_it() {
    let (place, left) = an_account_that_is_let_go_of().await;
    let live = place.live("team");
    place.write("gridkey.yaml", &left);
    let planned = place.run(&["plan", "--out", "plan.json"]);
    planned.ends(0).says("other").says("third");
    place.run(&["apply", "plan.json", "--yes"]).ends(0);
    assert_eq!(place.live("team"), live, "the keys stay live");
    assert_eq!(place.owns("team").len(), 0, "and state owns them no longer");
    place.run(&["apply", "plan.json", "--yes"]).ends(0);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letting_go_of_an_account_is_not_what_the_clock_brought() {
    let (place, left) = an_account_that_is_let_go_of().await;
    let before = place.world();
    place.write("gridkey.yaml", &left);
    for nightly in [&["apply", "--due", "only", "--yes"][..], &["rotate", "--due", "--yes"]] {
        let said = place.run(nightly);
        assert_eq!(place.world(), before, "{nightly:?}: {}", said.all());
    }
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.owns("team").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_approved_for_another_environment_is_not_said_to_be_no_longer_needed() {
    let place = Place::new(Settings::default()).await;
    place.write(
        "gridkey.yaml",
        &super::staged("  staging: {}\n  prod: {}\n", "  mailer: { scopes: [mail.send] }\n"),
    );
    place.run(&["plan", "--out", "plan.json"]).ends(0);
    let said = place.run(&["apply", "plan.json", "--env", "staging", "--yes"]);
    assert!(!said.ends(0).all().contains("no longer needed"), "{}", said.all());
    place.run(&["apply", "plan.json", "--yes"]).ends(0).says("Approved, and done already:");
    place.converged();
}
