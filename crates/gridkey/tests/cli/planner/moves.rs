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
