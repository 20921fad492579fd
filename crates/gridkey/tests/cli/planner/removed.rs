//! What `removed` and `moved` entries match: as they are written, or with a word about what was meant.

use std::collections::BTreeSet;

use gridkey_emulator::Settings;

use super::staged;
use crate::support::{Place, manifest};

/// Two environments with two legacy keys each and a mailer, applied.
async fn keys_in_two_environments() -> Place {
    let place = Place::new(Settings::default()).await;
    let keys = "  legacy-a: { scopes: [mail.send] }\n  legacy-b: { scopes: [stats.read] }\n  mailer: { scopes: \
                [mail.send] }\n";
    place.write("gridkey.yaml", &staged("  staging: {}\n  prod: {}\n", keys));
    place.run(&["apply", "--yes"]).ends(0);
    place
}

const KEPT: &str = "  mailer: { scopes: [mail.send] }\n";

fn ids(place: &Place) -> BTreeSet<String> {
    place.live("acme").into_keys().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_star_in_removed_stands_for_any_characters_wherever_it_stands() {
    for from in ["*/legacy-*", "*legacy*", "*/*-*", "*y-*"] {
        let place = keys_in_two_environments().await;
        let (live, sinks) = (ids(&place), place.world().sinks);
        let removed = format!("removed: [{{ from: \"{from}\", revoke: false }}]\n");
        place.write("gridkey.yaml", &format!("{}{removed}", staged("  staging: {}\n  prod: {}\n", KEPT)));
        let said = place.run(&["apply", "--allow", "max_deletions", "--yes"]);
        said.ends(0);
        assert_eq!(ids(&place), live, "{from}: every key stays live: {}", said.all());
        assert_eq!(place.world().sinks, sinks, "{from}: nothing is cleared");
        let owned: Vec<String> = place.owns("acme").into_keys().collect();
        assert_eq!(owned, ["prod/mailer", "staging/mailer"], "{from}: state lets go of the others");
        place.converged();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_star_alone_in_removed_covers_keys_that_are_wanted_so_it_is_refused() {
    let place = keys_in_two_environments().await;
    let (live, owned) = (ids(&place), place.owns("acme"));
    let removed = "removed: [{ from: \"*\", revoke: false }]\n";
    place.write("gridkey.yaml", &format!("{}{removed}", staged("  staging: {}\n  prod: {}\n", KEPT)));
    let said = place.run(&["apply", "--allow", "max_deletions", "--yes"]);
    said.ends(1).says("removed");
    assert_eq!(ids(&place), live, "no key is revoked, and none is made: {}", said.all());
    assert_eq!(place.owns("acme"), owned, "state lets go of none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_star_in_removed_crosses_the_parts_of_an_address() {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team-a");
    let text =
        |keys: &str| super::with_subusers(&staged("  prod: { accounts: [team-a] }\n", keys), &["team-a"]);
    let keys = "  mailer: { scopes: [mail.send] }\n  old: { scopes: [mail.send] }\n";
    place.write("gridkey.yaml", &text(keys));
    place.run(&["apply", "--yes"]).ends(0);
    let live: Vec<String> = place.live("team-a").into_keys().collect();
    let removed = "removed: [{ from: \"p*/old\", revoke: false }]\n";
    place.write("gridkey.yaml", &format!("{}{removed}", text("  mailer: { scopes: [mail.send] }\n")));
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.live("team-a").into_keys().collect::<Vec<_>>(), live);
    let owned: Vec<String> = place.owns("team-a").into_keys().collect();
    assert_eq!(owned, ["prod/team-a/mailer"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_without_the_environment_of_its_key_blocks_and_names_the_key() {
    let entries = [
        (
            "  mailer: { scopes: [mail.send] }\n",
            "removed: [{ from: legacy-a, revoke: false }]\n",
            "prod/legacy-a",
        ),
        (
            "  mailer: { scopes: [mail.send] }\n",
            "removed: [{ from: \"legacy-*\", revoke: false }]\n",
            "prod/legacy-a",
        ),
        (
            "  mailer: { scopes: [mail.send] }\n  modern: { scopes: [mail.send] }\n",
            "moved: [{ from: legacy-a, to: modern }]\n",
            "prod/legacy-a",
        ),
        (
            "  mailer: { scopes: [mail.send] }\n  modern-a: { scopes: [mail.send] }\n",
            "moved: [{ from: \"legacy-*\", to: \"modern-*\" }]\n",
            "prod/legacy-a",
        ),
    ];
    for (keys, entry, meant) in entries {
        let place = Place::new(Settings::default()).await;
        let before = "  legacy-a: { scopes: [mail.send] }\n  mailer: { scopes: [mail.send] }\n";
        place.write("gridkey.yaml", &staged("  prod: {}\n", before));
        place.run(&["apply", "--yes"]).ends(0);
        let before = place.world();
        place.write("gridkey.yaml", &format!("{}{entry}", staged("  prod: {}\n", keys)));
        let planned = place.plan(&[]);
        planned.ends(3).finds(&[meant]);
        let said = place.run(&["apply", "--yes"]);
        assert_eq!(place.world(), before, "{entry}: {}", said.all());
        said.ends(3).says(meant);
        let validated = place.run(&["validate"]);
        assert!(!validated.all().contains("is carried out"), "{entry}: {}", validated.all());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_with_a_slip_of_the_pen_blocks_and_names_the_key() {
    let gone = staged("  prod: {}\n", KEPT);
    let renamed = staged("  live: {}\n", &format!("  legacy: {{ scopes: [stats.read] }}\n{KEPT}"));
    for (text, entry) in [
        (&gone, "removed: [{ from: prod/lagecy, revoke: false }]\n"),
        (&gone, "removed: [{ from: prod/legacies, revoke: false }]\n"),
        (&gone, "removed: [{ from: prd/legacy, revoke: false }]\n"),
        (&gone, "removed: [{ from: \"prod/lgacy*\", revoke: false }]\n"),
        (&gone, "removed: [{ from: staging/legacy, revoke: false }]\n"),
        (&renamed, "moved: [{ from: \"prd/*\", to: \"live/*\" }]\n"),
    ] {
        let place = Place::new(Settings::default()).await;
        let keys = format!("  legacy: {{ scopes: [stats.read] }}\n{KEPT}");
        place.write("gridkey.yaml", &staged("  prod: {}\n", &keys));
        place.run(&["apply", "--yes"]).ends(0);
        let before = place.world();
        place.write("gridkey.yaml", &format!("{text}{entry}"));
        let said = place.run(&["apply", "--yes"]);
        assert_eq!(place.world(), before, "{entry}: {}", said.all());
        said.ends(3).says("entry_unmatched").says("prod/legacy");
        let validated = place.run(&["validate"]);
        assert!(!validated.all().contains("is carried out"), "{entry}: {}", validated.all());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_let_go_of_its_key_stands_against_nothing_else() {
    let place = keys_in_two_environments().await;
    let keys = "  legacy-b: { scopes: [stats.read] }\n  mailer: { scopes: [mail.send] }\n";
    let removed =
        "removed: [{ from: prod/legacy-a, revoke: false }, { from: staging/legacy-a, revoke: false }]\n";
    let text = |keys: &str| format!("{}{removed}", staged("  staging: {}\n  prod: {}\n", keys));
    place.write("gridkey.yaml", &text(keys));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["validate"]).ends(0).says("`removed: { from: prod/legacy-a }` is carried out, and can go");
    // The next one goes by being taken out, however much the two look alike.
    place.write("gridkey.yaml", &text(KEPT));
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.owns("acme").into_keys().collect::<Vec<_>>(), ["prod/mailer", "staging/mailer"]);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_did_nothing_is_not_said_to_be_carried_out() {
    let place = keys_in_two_environments().await;
    let keys = "  legacy-a: { scopes: [mail.send] }\n  legacy-b: { scopes: [stats.read] }\n  mailer: { scopes: \
                [mail.send] }\n";
    let text = staged("  staging: {}\n  prod: {}\n", keys);
    for entry in [
        // A slip of the pen, and an entry without the environment of its key.
        "moved: [{ from: prod/mialer, to: prod/sender }]\n",
        "moved: [{ from: mailer, to: sender }]\n",
        "removed: [{ from: legacy-a, revoke: false }]\n",
    ] {
        place.write("gridkey.yaml", &format!("{text}{entry}"));
        let said = place.run(&["validate"]);
        assert!(!said.all().contains("is carried out"), "{entry}: {}", said.all());
    }
    // One that was carried out can go.
    let renamed = staged("  staging: {}\n  prod: {}\n", &keys.replace("mailer:", "sender:"));
    let moved =
        "moved: [{ from: prod/mailer, to: prod/sender }, { from: staging/mailer, to: staging/sender }]\n";
    place.write("gridkey.yaml", &format!("{renamed}{moved}"));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["validate"]).ends(0).says("is carried out, and can go");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_has_one_star_at_each_end() {
    for moved in ["{ from: \"*/legacy-*\", to: \"*/old-*\" }", "{ from: \"prod/*-*\", to: \"prod/*\" }"] {
        let place = keys_in_two_environments().await;
        let before = place.world();
        let text = staged("  staging: {}\n  prod: {}\n", KEPT);
        place.write("gridkey.yaml", &format!("{text}moved: [{moved}]\n"));
        let said = place.run(&["apply", "--yes"]);
        assert!(matches!(said.code, 1 | 3), "{moved} cannot be carried out: {}", said.all());
        assert_eq!(place.world(), before, "{moved}: nothing is done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_let_go_of_by_a_pattern_can_be_deleted_elsewhere() {
    let place = Place::new(Settings::default()).await;
    let keys = "  old-a: { scopes: [mail.send] }\n  gone: { scopes: [mail.send] }\n  mailer: { scopes: [mail.send] \
                }\n";
    place.write("gridkey.yaml", &manifest(keys));
    place.run(&["apply", "--yes"]).ends(0);
    let (old, mailer) = (place.id("acme", "old-a"), place.id("acme", "mailer"));
    let removed = "removed: [{ from: \"o*d-*\", revoke: false }]\n";
    place.write("gridkey.yaml", &format!("{}{removed}", manifest(KEPT)));
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(ids(&place), BTreeSet::from([old, mailer]), "`gone` alone is revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_one_key_revokes_none_that_the_manifest_no_longer_has() {
    let place = Place::new(Settings::default()).await;
    let mailer = "  mailer: { scopes: [mail.send] }\n";
    place.write("gridkey.yaml", &manifest(&format!("{mailer}  reports: {{ scopes: [stats.read] }}\n")));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["rotate", "reports", "--revoke-old", "hold", "--yes"]).ends(0);
    place.write("gridkey.yaml", &manifest(mailer));
    let before = place.world();
    for command in [
        ["rotate", "reports", "--yes"].as_slice(),
        &["rotate", "reports", "--revoke-old", "hold", "--yes"],
        &["retire", "reports", "--now", "--yes"],
        &["retire", "reports", "--hold", "48h", "--yes"],
        &["apply", "--rotate", "reports", "--yes"],
        &["plan", "--rotate", "reports"],
    ] {
        let said = place.run(command);
        said.ends(64).says("`reports`").says("moved");
        assert_eq!(place.world(), before, "{command:?}");
    }
    place.run(&["apply", "--yes"]).ends(0);
    place.converged();
}
