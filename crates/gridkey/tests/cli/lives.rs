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

/// Sixty keys made by hand, and where their secrets lie: dotenv files at odd places.
fn sixty(place: &Place) {
    let scopes: [&[&str]; 4] = [
        &["mail.send"],
        &["mail.send", "stats.read"],
        &["templates.read", "templates.versions.read", "mail.send"],
        &["stats.read"],
    ];
    for number in 0..60 {
        let name = match number % 6 {
            0 => format!("Mailer {number}"),
            1 => format!("{{team}} #{number}: \"quoted\""),
            2 => "the same name".to_string(),
            3 => format!("ünïcode ✉ {number}"),
            4 => format!("null-{number}"),
            _ => format!("{number}"),
        };
        let scopes = scopes[number % scopes.len()];
        let made = place.server.model().add_key("acme", &name, Some(scopes), jiff::Timestamp::now());
        let secret = made.secret;
        let (file, line) = match number % 5 {
            0 => (
                format!("deploy/a/{number}/.env"),
                format!("# a comment\nSENDGRID_API_KEY={secret}\nOTHER=1\n"),
            ),
            1 => (format!("deploy/.env.{number}"), format!("export KEY_{number}=\"{secret}\"\n")),
            2 => ("deploy/shared.env".to_string(), format!("K{number}='{secret}'\n")),
            3 => (
                format!("deploy/b/c/d/{number}.env"),
                format!("X=y\r\nmail_key_{number}={secret}\r\nodd.key-{number}={secret}\r\n"),
            ),
            _ => (format!("deploy/e/{number}.env"), format!("FIRST={secret}\nSECOND={secret}\n")),
        };
        let before = place.read(&file);
        place.write(&file, &format!("{before}{line}"));
    }
    place.write("deploy/no-keys.env", "NOTHING=here\nFAKE=SG.not.a-key\n");
    place.write("deploy/binary.env", "\u{0}\u{1}SG.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_sixty_keys_made_by_hand_is_adopted_and_nothing_else_happens() {
    let place = Place::new(Settings::default()).await;
    sixty(&place);
    let before = live(&place);
    let said = place.run(&["init", "--from-account", "--look-in", "dotenv:deploy"]);
    said.ends(0)
        .says("60 keys in the manifest")
        .says("the secrets of 60 keys were found")
        .says("no manifest can name that place");
    place.no_secrets("what init says", &said.all());
    place.no_secrets("the manifest", &place.read("gridkey.yaml"));
    place.run(&["validate"]).ends(0).says("The manifest is valid: 60 keys");
    let plan = place.run(&["plan"]);
    plan.ends(0).says("Plan: 60 to adopt.");
    place.no_secrets("the plan", &plan.all());
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["plan", "--format", "json"]).out).unwrap();
    for change in json["changes"].as_array().unwrap() {
        assert_eq!(change["action"], "adopt");
        assert_eq!(change["reasons"], serde_json::json!(["imported"]), "{change:#}");
        let steps: Vec<&String> = change["steps"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|step| step.as_object().unwrap().keys())
            .collect();
        assert_eq!(steps, ["adopt"], "{change:#}");
        assert_eq!(change["steps"][0]["adopt"]["secret"], "delivered", "{change:#}");
    }
    assert_eq!(json["findings"], serde_json::json!([]));
    place.run(&["apply", "--yes"]).ends(0).says("Applied: 60 adopted.");
    place.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes. 60 keys are as they should be.");
    assert_eq!(live(&place), before);
    place.run(&["validate"]).ends(0).says("is carried out, and can go");
    // A second run changes nothing.
    place.run(&["init", "--from-account"]).ends(1).says("is there already");
    place.no_secrets_in_state();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_says_the_same_in_every_form() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(12)));
    place.run(&["apply", "--yes"]).ends(0);
    for number in 0..3 {
        let name = format!("=HYPERLINK(\"x\") <b>{number}</b>");
        place.server.model().add_key(
            "acme",
            &name,
            Some(&["mail.send", "stats.read"]),
            jiff::Timestamp::now(),
        );
    }
    let as_form = |form: &str| {
        let said = place.run(&["audit", "--format", form]);
        place.no_secrets(&format!("the audit as {form}"), &said.all());
        said.ends(0).out.clone()
    };
    let audit: gridkey_core::audit::Audit = serde_json::from_str(&as_form("json")).unwrap();
    assert_eq!(audit.keys.len(), 12 + 3 + 1);
    assert!(audit.keys.is_sorted_by_key(|key| key.risk));
    assert!(as_form("text").ends_with("16 keys in 1 account; risk: 3 medium, 12 low, 1 none.\n"));
    let csv = as_form("csv");
    assert_eq!(csv.matches("\r\n").count(), 17);
    assert_eq!(csv.matches("\"'=HYPERLINK(\"\"x\"\")").count(), 3, "{csv}");
    let html = as_form("html");
    assert!(!html.contains("<b>0") && html.contains("&lt;b&gt;0"), "names are escaped");
    for key in &audit.keys {
        let id = key.id.as_ref().unwrap().as_str();
        assert!(csv.contains(id) && html.contains(id), "{id}");
    }
}
