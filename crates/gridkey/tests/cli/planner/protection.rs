//! A protected key is not deleted, let go of or widened, whatever else happens to it in the same edit.

use gridkey_emulator::Settings;

use super::with_subusers;
use crate::support::{Place, manifest};

const PROTECTED: &str = "  mailer: { account: acme, protect: true, scopes: [mail.send] }\n";

/// A protected key, applied.
async fn a_protected_key() -> Place {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team");
    place.write("gridkey.yaml", &with_subusers(&manifest(PROTECTED), &["team"]));
    place.run(&["apply", "--yes"]).ends(0);
    place
}

/// The manifest with this key is blocked as the key is protected, and nothing is done.
#[track_caller]
fn is_blocked(place: &Place, keys: &str) {
    let before = place.world();
    place.write("gridkey.yaml", &with_subusers(&manifest(keys), &["team"]));
    place.plan(&[]).blocks("protected");
    place.run(&["apply", "--yes"]).ends(3).says("protected");
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_key_is_not_widened_to_full_access_in_another_account() {
    let place = a_protected_key().await;
    is_blocked(&place, "  mailer: { account: team, protect: true, access: full }\n");
    is_blocked(&place, "  mailer: { account: team, protect: false, access: full }\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_key_that_vanished_is_not_made_anew_with_full_access() {
    let place = a_protected_key().await;
    place.revoke_by_hand("acme", "mailer");
    is_blocked(&place, "  mailer: { account: acme, protect: true, access: full }\n");
    is_blocked(&place, "  mailer: { account: acme, protect: false, access: full }\n");
    // As it was it may come back.
    place.write("gridkey.yaml", &with_subusers(&manifest(PROTECTED), &["team"]));
    place.run(&["apply", "--yes"]).ends(0);
    place.works("acme", "mailer", ".env", "SENDGRID_MAILER");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_key_that_is_due_is_not_widened_to_full_access() {
    let place = Place::new(Settings::default()).await;
    let rotate = "rotate: { every: 30d, overlap: 1h }";
    let key = |access: &str| manifest(&format!("  mailer: {{ protect: true, {access}, {rotate} }}\n"));
    place.write("gridkey.yaml", &key("scopes: [mail.send]"));
    place.run(&["apply", "--yes"]).ends(0);
    crate::clock::days_pass(&place, 31);
    let before = place.world();
    place.write("gridkey.yaml", &key("access: full"));
    place.plan(&[]).blocks("protected");
    place.run(&["apply", "--yes"]).ends(3);
    place.run(&["rotate", "mailer", "--yes"]).ends(3);
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_key_is_not_widened_to_full_access_under_another_address() {
    let place = a_protected_key().await;
    let before = place.world();
    let moved = "moved: [{ from: mailer, to: sender }]\n";
    let keys = "  sender: { account: acme, protect: true, access: full }\n";
    place.write("gridkey.yaml", &format!("{}{moved}", with_subusers(&manifest(keys), &["team"])));
    place.plan(&[]).blocks("protected");
    place.run(&["apply", "--yes"]).ends(3);
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_key_is_not_let_go_of_with_its_account() {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team");
    let other = "  other: { account: acme, scopes: [mail.send] }\n";
    let both = format!("{other}  mailer: {{ account: team, protect: true, scopes: [mail.send] }}\n");
    place.write("gridkey.yaml", &with_subusers(&manifest(&both), &["team"]));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    for revoke in [true, false] {
        let removed = format!("removed: [{{ account: team, revoke: {revoke} }}]\n");
        place.write("gridkey.yaml", &format!("{}{removed}", manifest(other)));
        let said = place.run(&["apply", "--yes"]);
        said.ends(3);
        assert_eq!(place.world(), before, "revoke: {revoke}: {}", said.all());
    }
}
