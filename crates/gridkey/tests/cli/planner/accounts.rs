//! Accounts that leave the manifest, and accounts that a second key reads.

use gridkey_emulator::Settings;
use jiff::Timestamp;

use super::{staged, with_subusers};
use crate::support::{Place, Said, manifest, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_left_blocks_the_environments_whose_keys_it_has() {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team");
    let keys = "  mailer: { scopes: [mail.send] }\n";
    let text = |account: &str| {
        staged(&format!("  staging: {{ account: acme }}\n  prod: {{ account: {account} }}\n"), keys)
    };
    place.write("gridkey.yaml", &with_subusers(&text("team"), &["team"]));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    // The account is gone from the manifest, and its environment is to live elsewhere.
    place.write("gridkey.yaml", &text("acme"));
    for selected in
        [&["--env", "prod"][..], &["--only", "prod/mailer"], &["--env", "prod", "--env", "staging"], &[]]
    {
        place.plan(selected).blocks("account_left").finds(&["team"]);
        let said = place.run(&[&["apply", "--yes"], selected].concat());
        assert_eq!(place.world(), before, "{selected:?}: {}", said.all());
        said.ends(3);
    }
    // An environment that has nothing there goes on.
    place.write("gridkey.yaml", &text("acme").replace("[mail.send]", "[mail.send, stats.read]"));
    place.run(&["apply", "--env", "staging", "--yes"]).ends(0).says("1 updated");
    assert_eq!(place.live("team").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_left_blocks_its_keys_that_are_due() {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team");
    let keys = "  mailer: { scopes: [mail.send], rotate: { every: 30d, overlap: 1h } }\n";
    let text = |account: &str| staged(&format!("  prod: {{ account: {account} }}\n"), keys);
    place.write("gridkey.yaml", &with_subusers(&text("team"), &["team"]));
    place.run(&["apply", "--yes"]).ends(0);
    crate::clock::days_pass(&place, 31);
    let before = place.world();
    place.write("gridkey.yaml", &text("acme"));
    for arguments in
        [&["apply", "--env", "prod", "--yes"][..], &["rotate", "prod/mailer", "--env", "prod", "--yes"]]
    {
        let said = place.run(arguments);
        assert_eq!(place.world(), before, "{arguments:?}: {}", said.all());
        said.ends(3);
    }
}

/// The place, and a run whose plans are made with another key than its applies.
async fn a_place_with_a_reader() -> (Place, impl Fn(&Place, &[&str]) -> Said) {
    let place = Place::new(Settings::default()).await;
    let reader = place.server.model().add_key("acme", "Reader", Some(&["api_keys.read"]), Timestamp::now());
    let text = manifest("  mailer: { scopes: [mail.send] }\n").replace(
        "{ env: SENDGRID_API_KEY }",
        "{ env: SENDGRID_API_KEY }, plan_api_key: { env: SENDGRID_READ_KEY }",
    );
    place.write("gridkey.yaml", &text);
    let run = move |place: &Place, arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("SENDGRID_READ_KEY", &reader.secret);
        said(command)
    };
    (place, run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_is_not_taken_for_another_managing_key() {
    let (place, run) = a_place_with_a_reader().await;
    run(&place, &["apply", "--yes"]).ends(0);
    place.revoke_by_hand("acme", "mailer");
    let planned = run(&place, &["plan"]);
    assert!(!planned.all().contains("account_mismatch"), "{}", planned.all());
    planned.ends(0).says("+ mailer");
    let drift = run(&place, &["drift"]);
    drift.ends(2);
    assert!(!drift.all().contains("account_mismatch"), "{}", drift.all());
    run(&place, &["apply", "--yes"]).ends(0);
    place.works("acme", "mailer", ".env", "SENDGRID_MAILER");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_another_account_is_still_noticed() {
    let (place, run) = a_place_with_a_reader().await;
    let three = "  a: { scopes: [mail.send] }\n  b: { scopes: [mail.send] }\n  c: { scopes: [mail.send] }\n";
    let text = place.read("gridkey.yaml").replace("  mailer: { scopes: [mail.send] }\n", three);
    place.write("gridkey.yaml", &text);
    run(&place, &["apply", "--yes"]).ends(0);
    place.server.model().parent("other", Timestamp::now());
    let foreign = place.server.model().add_key("other", "Reader", Some(&["api_keys.read"]), Timestamp::now());
    let mut command = place.command(&["plan"]);
    command.env("SENDGRID_READ_KEY", &foreign.secret);
    said(command).ends(3).says("account_mismatch");
}
