//! What reviewers are shown: in every form, without a secret, and the same for the same plan.

use gridkey_emulator::Settings;

use crate::support::{Place, manifest};

const FORMATS: [&str; 5] = ["text", "json", "markdown", "html", "sarif"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_replaces_a_plan_and_no_other_file() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.write("empty.json", "");
    for _ in 0..2 {
        place.run(&["plan", "--out", "plan.json"]).ends(0);
    }
    place.run(&["plan", "--out", "empty.json"]).ends(0);
    place.run(&["apply", "plan.json", "--yes"]).ends(0);
    for other in [".env", "gridkey.yaml", ".gridkey/state/default/acme.json"] {
        let before = place.read(other);
        place
            .run(&["plan", "--out", other])
            .ends(1)
            .says("is there and is not a plan, and it was not replaced");
        assert_eq!(place.read(other), before, "{other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_shows_the_plan_and_no_secret() {
    let place = Place::new(Settings::default()).await;
    place.write(
        "gridkey.yaml",
        &manifest("  mailer: { scopes: [mail.send] }\n  gone: { scopes: [mail.send] }\n"),
    );
    place.run(&["apply", "--yes"]).ends(0);
    let edited = "  mailer: { scopes: [mail.send, stats.read] }\n  admin: { access: full }\n";
    place.write("gridkey.yaml", &manifest(edited));
    place.run(&["plan", "--out", "plan.json"]).ends(0);
    let id = place
        .server
        .model()
        .keys("acme")
        .into_iter()
        .find(|key| key.live && key.name == "mailer")
        .unwrap()
        .id;
    place.server.model().change("acme", &id, &["mail.send".to_string(), "templates.read".to_string()]);
    for format in FORMATS {
        for (arguments, code) in [
            (vec!["show", "plan.json"], 0),
            (vec!["plan"], 0),
            (vec!["drift"], 2),
            (vec!["plan", "--no-sinks"], 0),
        ] {
            let said = place.run(&[arguments.clone(), vec!["--format", format]].concat());
            said.ends(code);
            place.no_secrets(&format!("{arguments:?} as {format}"), &said.all());
            let named = match (arguments[0], format) {
                // Findings are all that SARIF has.
                ("drift", "sarif") => "\"results\": []",
                ("drift", _) => "templates.read",
                _ => "admin",
            };
            assert!(
                said.out.contains(named),
                "{arguments:?} as {format} does not name {named}:\n{}",
                said.out
            );
        }
        let shown = place.run(&["show", "plan.json", "--format", format]);
        assert_eq!(shown.out, place.run(&["show", "plan.json", "--format", format]).out, "{format}");
    }
    place.no_secrets_in_artefacts();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_only_state_remembers_is_not_run_against_the_policy() {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send], sinks: [local, other] }\n";
    let script = "put: [sh, -c, \"cat > stored\"], read: [sh, -c, \"echo read >> ran; cat stored 2>/dev/null || true\"]";
    let text =
        manifest(keys).replace("defaults:", &format!("  other: {{ command: {{ {script} }} }}\ndefaults:"));
    place.write("gridkey.yaml", &text);
    place.run(&["apply", "--yes"]).ends(0);
    std::fs::remove_file(place.path("ran")).unwrap();
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.write("policy.yaml", "allow_commands: []\n");
    for command in ["plan", "drift", "apply"] {
        let mut arguments = vec![command, "--policy", "policy.yaml"];
        arguments.extend((command == "apply").then_some("--yes"));
        place.run(&arguments).ends(3).says("which state remembers").says("command_not_allowed");
        assert!(!place.path("ran").exists(), "{command} ran it");
    }
    place.run(&["plan"]).ends(0);
    assert!(place.path("ran").exists(), "without the policy it is run");
    place.no_secrets("what was said", &place.read("ran"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schemas_are_those_in_the_repository() {
    let place = Place::new(Settings::default()).await;
    for of in ["manifest", "policy", "plan"] {
        let committed =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../schema/{of}.schema.json"));
        assert_eq!(
            place.run(&["schema", of]).ends(0).out,
            std::fs::read_to_string(committed).unwrap(),
            "{of}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_renamed_by_hand_is_not_renamed_back_by_an_older_approval() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &manifest("  mailer: { name: New, scopes: [mail.send] }\n"));
    place.run(&["plan", "--out", "plan.json"]).ends(0);
    let id = place
        .server
        .model()
        .keys("acme")
        .into_iter()
        .find(|key| key.live && key.name == "mailer")
        .unwrap()
        .id;
    let client = reqwest::Client::new();
    let renamed = client
        .patch(format!("{}/v3/api_keys/{id}", place.server.url()))
        .bearer_auth(&place.key)
        .json(&serde_json::json!({ "name": "Do not touch" }))
        .send()
        .await
        .unwrap();
    assert!(renamed.status().is_success());
    let refused = place.run(&["apply", "plan.json", "--yes"]);
    refused.ends(3).says("-    name: mailer").says("+    name: Do not touch");
    place.run(&["drift"]).ends(2).says("name \"Do not touch\" → \"mailer\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_file_asks_for_no_rotation_and_one_that_is_asked_for_is_done_once() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["plan", "--rotate", "mailer", "--out", "plan.json"]).ends(0);
    let made = || place.server.model().keys("acme").len();
    let before = made();
    place.run(&["apply", "plan.json", "--yes"]).ends(0).says(
        "`mailer`: the plan file approves a rotation that this run was not asked for: add `--rotate mailer`",
    );
    assert_eq!(made(), before, "the file alone makes nothing happen");
    place.run(&["apply", "plan.json", "--rotate", "mailer", "--yes"]).ends(0);
    assert_eq!(made(), before + 1);
    let again = place.run(&["apply", "plan.json", "--replace", "mailer", "--yes"]);
    again.ends(0);
    assert_eq!(made(), before + 1, "the key that was to be replaced is");
    assert!(!again.all().contains("add `--rotate"), "{}", again.all());
    place.run(&["apply", "--rotate", "mailer", "--yes"]).ends(0);
    assert_eq!(made(), before + 2, "without a file, each run is asked anew");
    place.run(&["apply", "--rotate", "other", "--yes"]).ends(64).says("the manifest has no key at `other`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_of_a_pattern_is_named_even_where_a_plan_file_has_it() {
    let place = Place::new(Settings::default()).await;
    let environments = "environments:\n  staging: {}\n  \"pr-*\": {}\n";
    let text = manifest("  mailer: { scopes: [mail.send] }\n") + environments;
    place.write("gridkey.yaml", &text.replace("SENDGRID_{KEY}", "SENDGRID_{ENVIRONMENT}_{KEY}"));
    place.run(&["plan", "--env", "pr-1", "--out", "pr.json"]).ends(0);
    place.run(&["apply", "pr.json", "--yes"]).ends(64).says("`--env pr-1`");
    place.run(&["apply", "pr.json", "--env", "pr-1", "--yes"]).ends(0).says("1 created");
    // One that the manifest names itself need not be named again.
    place.run(&["plan", "--env", "staging", "--out", "staging.json"]).ends(0);
    place.run(&["apply", "staging.json", "--yes"]).ends(0).says("1 created");
}
