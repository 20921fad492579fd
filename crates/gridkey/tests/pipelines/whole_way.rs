//! The whole way with the real gridkey and an emulated SendGrid: a branch is planned and commented on, merged, applied,
//! applied again, and looked at during the night.

use std::time::Duration;

use gridkey_emulator::{Model, Server, ServerSettings, Settings};
use jiff::Timestamp;
use serde_json::json;

use crate::approval::{github, pull, run, zip};
use crate::forge::Forge;
use crate::support::{Place, can_run};

fn manifest(keys: &str) -> String {
    format!(
        "version: 1\naccounts: {{ acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }} }}\nsinks: {{ local: {{ dotenv: \
         {{ path: .env, variable: \"SENDGRID_{{KEY}}\" }} }} }}\ndefaults: {{ sinks: [local] }}\nkeys:\n{keys}"
    )
}

/// The forge after pull request 7 was merged, with this plan file of its head.
async fn merged(plan: &str) -> (Forge, Forge) {
    let (forge, storage) = github(&[pull(7, "aaaa0000")], &[run(100, 7, "acme/mail")], &[100]).await;
    storage.gives_bytes("/stored/100", zip("plan.json", plan.as_bytes()));
    (forge, storage)
}

fn on_sendgrid(place: Place, server: &Server, key: &str) -> Place {
    place
        .with("SENDGRID_API_KEY", key)
        .with("GRIDKEY_SENDGRID_URL", &server.url())
        .with("GRIDKEY_READ_LAG", "0s")
        .with("GRIDKEY_BIN", env!("CARGO_BIN_EXE_gridkey"))
}

fn live(server: &Server) -> Vec<String> {
    let mut names: Vec<_> = server
        .model()
        .keys("acme")
        .into_iter()
        .filter(|key| key.live && key.name != "managing key")
        .map(|key| key.name)
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_is_planned_commented_on_merged_and_applied_as_it_was_reviewed() {
    if !can_run() {
        return;
    }
    let mut model = Model::new(Settings { remember_secrets: true, ..Settings::default() }, 7);
    let key = model.parent("acme", Timestamp::now());
    let settings = ServerSettings { latency: Duration::ZERO, ..ServerSettings::default() };
    let server = Server::start(model, settings).await.unwrap();
    let forge = Forge::start().await;
    let place =
        on_sendgrid(Place::on_github(&forge.url), &server, &key).with("GITHUB_REF", "refs/pull/7/merge");

    // Two branches' worth of edits: the comment is edited in place.
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run("plan").ends(0);
    place.run("comment").ends(0);
    place.write(
        "gridkey.yaml",
        &manifest("  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read], owner: data }\n"),
    );
    place.run("plan").ends(0);
    place.run("comment").ends(0);
    let comments = forge.own();
    assert_eq!(comments.len(), 1, "{comments:#?}");
    assert!(comments[0].starts_with("<!-- gridkey:plan -->\n"), "{}", comments[0]);
    assert!(
        comments[0].contains("Plan: 2 to create.") && comments[0].contains("`reports`"),
        "{}",
        comments[0]
    );
    assert!(place.read("outputs").contains("changes=true"));
    assert_eq!(live(&server), [] as [String; 0], "a plan changes nothing");
    let plan = place.read("gridkey-plan/plan.json");

    // The merge: what was reviewed is fetched and applied, and again.
    let (forge, _storage) = merged(&plan).await;
    let place = place
        .with("GRIDKEY_API_URL", &forge.url)
        .with("GITHUB_REF", "refs/heads/main")
        .with("GITHUB_REF_NAME", "main")
        .with("GITHUB_SHA", "aaaa0000")
        .with("GITHUB_WORKFLOW_REF", "acme/mail/.github/workflows/gridkey.yml@refs/heads/main");
    place.run("find-plan").ends(0).says("#7: found its plan");
    place.run("apply").ends(0).says("done");
    assert_eq!(live(&server), ["mailer", "reports"]);
    let again = place.run("apply");
    again.ends(0);
    assert!(
        again.err.contains("Approved, and done already") && again.err.contains("No changes"),
        "{}",
        again.out
    );

    // A push that nobody reviewed does nothing, and says so.
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send, \"api_keys.*\"] }\n"));
    let refused = place.run("apply");
    refused.ends(3).says("not approved");
    assert!(refused.err.contains("+    scope: api_keys.create"), "{}", refused.err);
    assert_eq!(live(&server), ["mailer", "reports"]);

    // The night: no drift, though an edit waits; then somebody changes a key.
    place.run("nightly").ends(0);
    let id = server.model().keys("acme").into_iter().find(|key| key.live && key.name == "mailer").unwrap().id;
    server.model().change("acme", &id, &["mail.send".to_string(), "stats.read".to_string()]);
    place.run("nightly").ends(2).says("something was changed by hand");

    let told: Vec<String> =
        ["outputs", "summary.md", "gridkey-plan/plan.json", "gridkey-plan/plan.md", "gridkey-plan/drift.md"]
            .iter()
            .map(|file| place.read(file))
            .chain(comments)
            .collect();
    let model = server.model();
    let secrets = model.issued_secrets();
    assert!(!secrets.is_empty());
    let leaked = secrets.iter().any(|secret| told.iter().any(|text| text.contains(secret.as_str())));
    assert!(!leaked, "a secret is in what pipelines show");
    assert!(json!(told).to_string().contains("reports"), "there was something to look at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_plan_fails_the_job_and_is_commented_on() {
    if !can_run() {
        return;
    }
    let mut model = Model::new(Settings::default(), 7);
    let key = model.parent("acme", Timestamp::now());
    let settings = ServerSettings { latency: Duration::ZERO, ..ServerSettings::default() };
    let server = Server::start(model, settings).await.unwrap();
    let forge = Forge::start().await;
    let place = on_sendgrid(Place::on_github(&forge.url), &server, &key);
    place.write("policy.yaml", "full_access: { default: deny }\n");
    place.write("gridkey.yaml", &manifest("  admin: { access: full }\n"));
    let place = place.with("GRIDKEY_POLICY", "policy.yaml");
    place.run("plan").ends(3);
    place.run("comment").ends(0);
    assert!(forge.own()[0].contains("Blocked by"), "{}", forge.own()[0]);
    assert!(forge.own()[0].contains("the policy file denies it"), "{}", forge.own()[0]);
    assert!(place.read("outputs").contains("blocked=true"));
}
