//! Many keys at once, from one end of their lives to the other, with the real program.

use std::collections::BTreeSet;

use gridkey_emulator::Settings;

use crate::support::{Place, manifest, many};

/// The live keys of the account, besides its managing key.
fn live(place: &Place) -> BTreeSet<String> {
    let keys = place.server.model().keys("acme");
    keys.into_iter().filter(|key| key.live && key.name != "managing key").map(|key| key.id).collect()
}

const PREVIEWS: &str = r#"version: 1
accounts:
  acme: { api_key: { env: SENDGRID_API_KEY } }
sinks:
  local: { dotenv: { path: "config/{environment}.env", variable: "SENDGRID_{KEY}" } }
defaults: { sinks: [local] }
environments:
  dev: {}
  staging: {}
  prod: { protect: true }
  "pr-*": { ttl: 14d, max_keys: 3 }
keys:
  mailer: { scopes: [mail.send] }
  reports: { scopes: [stats.read] }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_preview_environments_come_and_go_while_three_stay() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", PREVIEWS);
    place.run(&["apply", "--yes"]).ends(0).says("Applied: 6 created.");
    let lasting = live(&place);
    for number in 1..=20 {
        let name = format!("pr-{number}");
        place.run(&["apply", "--env", &name, "--yes"]).ends(0).says("Applied: 2 created.");
    }
    assert_eq!(live(&place).len(), 46);
    // The nightly job is about those that stay, and so is a plan.
    place.run(&["apply", "--yes"]).ends(0).says("No changes. 6 keys are as they should be.");
    place.run(&["rotate", "--due", "--yes"]).ends(0).says("Nothing has come due.");
    assert_eq!(live(&place).len(), 46);
    place.run(&["environments", "list"]).ends(0).says("pr-20").says("on request");
    // Half of them go one by one, out of order, and half together.
    for number in (2..=20).step_by(2) {
        let name = format!("pr-{number}");
        place.run(&["destroy", "--env", &name, "--yes"]).ends(0).says("Applied: 2 deleted.");
        assert!(
            !place.path(&format!("config/{name}.env")).exists()
                || place.read(&format!("config/{name}.env")).is_empty()
        );
    }
    assert_eq!(live(&place).len(), 26);
    place.run(&["destroy", "--env", "pr-*", "--yes"]).ends(0).says("Applied: 20 deleted.");
    assert_eq!(live(&place), lasting);
    place.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
    let listed = place.run(&["environments", "list"]);
    assert!(!listed.out.contains("pr-1"), "{}", listed.out);
    place.no_secrets_in_artefacts();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_state_is_had_back_from_the_sinks_without_a_key_made() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(40)));
    place.run(&["apply", "--yes"]).ends(0).says("Applied: 40 created.");
    let before = live(&place);
    let listed = place.run(&["state", "list"]).ends(0).out.clone();
    std::fs::remove_dir_all(place.path(".gridkey/state")).unwrap();
    place.run(&["plan"]).ends(3).says("foreign_value");
    place.run(&["import", "--from-sinks", "--yes"]).ends(0).says("Applied: 40 adopted.");
    assert_eq!(live(&place), before);
    assert_eq!(place.run(&["state", "list"]).out, listed);
    place.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes. 40 keys are as they should be.");
    let made = place.server.model().keys("acme").len();
    assert_eq!(made, 41, "no key was made but the forty, and the managing key");
    place.no_secrets_in_artefacts();
}
