//! `moved` entries, back and forth, to where no key can be, and under other changes: a key is never lost by one.

use gridkey_emulator::Settings;

use super::staged;
use crate::support::{Place, manifest};

const CIRCLE: &str = "moved: [{ from: mail, to: mailer }, { from: mailer, to: mail }]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_in_a_circle_revoke_nothing() {
    let key = |address: &str| manifest(&format!("  {address}: {{ scopes: [mail.send] }}\n"));
    for applied in ["mail", "mailer"] {
        for wanted in ["mail", "mailer"] {
            let place = Place::new(Settings::default()).await;
            place.write("gridkey.yaml", &key(applied));
            place.run(&["apply", "--yes"]).ends(0);
            let id = place.id("acme", applied);
            place.write("gridkey.yaml", &format!("{}{CIRCLE}", key(wanted)));
            for _ in 0..2 {
                let said = place.run(&["apply", "--yes"]);
                let live: Vec<String> = place.live("acme").into_keys().collect();
                assert_eq!(live, [id.as_str()], "from {applied} to {wanted}: {}", said.all());
                assert!(matches!(said.code, 0 | 1 | 3), "{}", said.all());
                if said.code == 0 {
                    // Then it is where the manifest wants it, and stays there.
                    assert_eq!(place.id("acme", wanted), id);
                    place.converged();
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_moved_and_is_moved_back_stays_the_same() {
    let place = Place::new(Settings::default()).await;
    let key = |address: &str| manifest(&format!("  {address}: {{ scopes: [mail.send] }}\n"));
    place.write("gridkey.yaml", &key("mail"));
    place.run(&["apply", "--yes"]).ends(0);
    let id = place.id("acme", "mail");
    place.write("gridkey.yaml", &format!("{}moved: [{{ from: mail, to: mailer }}]\n", key("mailer")));
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "mailer"), id);
    // The entry of the first move is still there when the key is moved back.
    place.write("gridkey.yaml", &format!("{}{CIRCLE}", key("mail")));
    let said = place.run(&["apply", "--yes"]);
    let live: Vec<String> = place.live("acme").into_keys().collect();
    assert_eq!(live, [id.as_str()], "{}", said.all());
    // By its own entry alone it is moved back.
    place.write("gridkey.yaml", &format!("{}moved: [{{ from: mailer, to: mail }}]\n", key("mail")));
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "mail"), id);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_moved_in_a_circle_revoke_nothing() {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send] }\n";
    place.write("gridkey.yaml", &staged("  old: {}\n", keys));
    place.run(&["apply", "--yes"]).ends(0);
    let id = place.id("acme", "old/mailer");
    let moved = "moved: [{ from: \"old/*\", to: \"new/*\" }, { from: \"new/*\", to: \"old/*\" }]\n";
    for environment in ["old", "new"] {
        place.write("gridkey.yaml", &format!("{}{moved}", staged(&format!("  {environment}: {{}}\n"), keys)));
        for _ in 0..2 {
            let said = place.run(&["apply", "--yes"]);
            let live: Vec<String> = place.live("acme").into_keys().collect();
            assert_eq!(live, [id.as_str()], "{environment}: {}", said.all());
            assert!(matches!(said.code, 0 | 1 | 3), "{}", said.all());
            if said.code == 0 {
                assert_eq!(place.id("acme", &format!("{environment}/mailer")), id);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_lead_there_and_back_are_not_said_to_move_a_key_away() {
    let place = Place::new(Settings::default()).await;
    let key = |entries: &str| format!("{}{entries}", manifest("  mail: { scopes: [mail.send] }\n"));
    place.write("gridkey.yaml", &key(CIRCLE));
    let said = place.run(&["validate"]);
    assert!(!said.all().contains("is moved away"), "{}", said.all());
    place.write("gridkey.yaml", &key("moved: [{ from: mail, to: mailer }]\n"));
    place.run(&["validate"]).says("is moved away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_that_follow_the_address_are_no_reason_for_another_entry() {
    let place = Place::new(Settings::default()).await;
    let keys = "  up: { scopes: [mail.send] }\n  down: { scopes: [stats.read] }\n";
    place.write("gridkey.yaml", &manifest(keys));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    place.write(
        "gridkey.yaml",
        &format!("{}moved: [{{ from: up, to: down }}, {{ from: down, to: up }}]\n", manifest(keys)),
    );
    let said = place.run(&["apply", "--yes"]);
    said.ends(3).says("location_taken").says("take the entry out");
    assert!(!said.all().contains("say `moved:"), "{}", said.all());
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_to_what_is_not_an_address_is_an_error_and_revokes_nothing() {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team-a");
    let text = |environment: &str| {
        let environments = format!("  {environment}: {{ accounts: [team-a] }}\n");
        super::with_subusers(&staged(&environments, "  mailer: { scopes: [mail.send] }\n"), &["team-a"])
    };
    place.write("gridkey.yaml", &text("tenants"));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    for moved in [
        "{ from: tenants/team-a/mailer, to: prod/eu/team-a/mailer }",
        // With what the star stands for it has four parts.
        "{ from: \"tenants/*\", to: \"prod/eu/*\" }",
    ] {
        place.write("gridkey.yaml", &format!("{}moved: [{moved}]\n", text("prod")));
        let said = place.run(&["apply", "--yes"]);
        assert!(matches!(said.code, 1 | 3), "{moved}: {}", said.all());
        assert_eq!(place.world(), before, "{moved}: nothing is done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_matches_nothing_says_what_was_meant_where_a_key_would_go() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    let moved = "moved: [{ from: mialer, to: sender }]\n";
    place.write("gridkey.yaml", &format!("{}{moved}", manifest("  sender: { scopes: [mail.send] }\n")));
    place.plan(&[]).finds(&["mialer", "`mailer`"]);
}

/// What a key is called and where it is: an address of its own, so that nothing follows the address.
fn placed(environments: &str, keys: &[&str], rest: &str) -> String {
    let keys: String = keys.iter().map(|key| format!("  {key}: {{ scopes: [mail.send] }}\n")).collect();
    format!("{}{rest}", staged(environments, &keys))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_that_matches_what_it_made_moves_a_key_once() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &placed("  prod: {}\n", &["mail"], ""));
    place.run(&["apply", "--yes"]).ends(0);
    let id = place.id("acme", "prod/mail");
    let moved = "moved: [{ from: \"prod/*\", to: \"prod/app-*\" }]\n";
    place.write("gridkey.yaml", &placed("  prod: {}\n", &["app-mail"], moved));
    for _ in 0..2 {
        place.run(&["apply", "--yes"]).ends(0);
        assert_eq!(place.id("acme", "prod/app-mail"), id);
    }
    // A key that is new since is where it belongs, too.
    place.write("gridkey.yaml", &placed("  prod: {}\n", &["app-mail", "app-new"], moved));
    place.run(&["apply", "--yes"]).ends(0);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_was_carried_out_long_ago_does_not_lead_on_from_an_address_in_use() {
    let place = Place::new(Settings::default()).await;
    let write = |keys: &[&str], rest: &str| {
        let keys: String = keys.iter().map(|key| format!("  {key}: {{ scopes: [mail.send] }}\n")).collect();
        place.write("gridkey.yaml", &format!("{}{rest}", manifest(&keys)));
    };
    write(&["a", "x"], "");
    place.run(&["apply", "--yes"]).ends(0);
    let id = place.id("acme", "x");
    write(&["b", "x"], "moved: [{ from: a, to: b }]\n");
    place.run(&["apply", "--yes"]).ends(0);
    write(&["x"], "moved: [{ from: a, to: b }]\n");
    place.run(&["apply", "--allow", "max_deletions", "--yes"]).ends(0);
    write(&["a"], "moved: [{ from: a, to: b }, { from: x, to: a }]\n");
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "a"), id);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_to_an_address_that_the_manifest_does_not_have_names_the_one_that_was_meant() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &placed("  prod: {}\n", &["stats", "mail"], ""));
    place.run(&["apply", "--yes"]).ends(0);
    let live = place.live("acme");
    let moved = |to: &str| format!("moved: [{{ from: prod/stats, to: {to} }}]\n");
    place.write("gridkey.yaml", &placed("  prod: {}\n", &["numbers", "mail"], &moved("numbers")));
    let said = place.run(&["apply", "--yes"]);
    said.ends(3).says("entry_unmatched").says("did you mean `prod/numbers`");
    assert_eq!(place.live("acme"), live, "{}", said.all());
    place.write("gridkey.yaml", &placed("  prod: {}\n", &["numbers", "mail"], &moved("prod/numbers")));
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), live.len());
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_let_go_of_by_the_address_before_a_move_stays_live() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &placed("  old: {}\n", &["mailer", "legacy"], ""));
    place.run(&["apply", "--yes"]).ends(0);
    let (live, sinks) = (place.live("acme"), place.world().sinks);
    let legacy = place.id("acme", "old/legacy");
    let rest =
        "moved: [{ from: \"old/*\", to: \"prod/*\" }]\nremoved: [{ from: old/legacy, revoke: false }]\n";
    place.write("gridkey.yaml", &placed("  prod: {}\n", &["mailer"], rest));
    let said = place.run(&["apply", "--yes"]);
    said.ends(0);
    assert!(place.live("acme").contains_key(&legacy), "it stays live: {}", said.all());
    assert_eq!(place.live("acme").len(), live.len());
    let kept = place.world().sinks;
    assert!(kept.values().any(|text| text.contains("SENDGRID_LEGACY")), "{sinks:?} became {kept:?}");
    assert_eq!(place.owns("acme").into_keys().collect::<Vec<_>>(), ["prod/mailer"]);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_did_its_work_stands_against_nothing_when_its_old_name_is_used_again() {
    let place = Place::new(Settings::default()).await;
    let key =
        |name: &str| format!("  {name}: {{ scopes: [mail.send], rotate: {{ every: 30d, overlap: 1h }} }}\n");
    place.write("gridkey.yaml", &manifest(&key("a")));
    place.run(&["apply", "--yes"]).ends(0);
    let first = place.id("acme", "a");
    let moved = "moved: [{ from: a, to: b }]\n";
    place.write("gridkey.yaml", &format!("{}{moved}", manifest(&key("b"))));
    place.run(&["apply", "--yes"]).ends(0);
    // The place of the old name is free again once its overlap has passed.
    crate::clock::days_pass(&place, 3);
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &format!("{}{moved}", manifest(&format!("{}{}", key("a"), key("b")))));
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "b"), first);
    place.converged();
    place.run(&["rotate", "a", "--yes"]).ends(0).says("1 rotated");
    crate::clock::days_pass(&place, 40);
    place.run(&["rotate", "--due", "--yes"]).ends(0);
    place.run(&["apply", "--yes"]).ends(0);
    assert_ne!(place.id("acme", "b"), first);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_asked_for_and_left_because_of_a_move_is_not_said_to_be_done() {
    let place = Place::new(Settings::default()).await;
    let key = |name: &str| format!("  {name}: {{ scopes: [mail.send] }}\n");
    place.write("gridkey.yaml", &manifest(&key("a")));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    let moved = "moved: [{ from: a, to: b }]\n";
    let both = manifest(&format!("{}{}", key("a"), key("b")));
    place.write("gridkey.yaml", &format!("{both}{moved}"));
    place.run(&["rotate", "a", "--yes"]).ends(3).says("move_left");
    assert_eq!(place.world(), before);
}
