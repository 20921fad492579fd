//! `init --from-account`: what is found of a whole company, and what is said of files.

use gridkey_emulator::{Fault, FaultRule, Operation, Settings};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::Place;

/// A parent account and forty subusers, each with keys of the same names; returns how many keys there are.
fn company(place: &Place) -> usize {
    let mut model = place.server.model();
    let now = Timestamp::now();
    model.add_key("acme", "Mailer", Some(&["mail.send"]), now);
    for number in 0..40 {
        let account = format!("Team {number:02}");
        model.child("acme", &account);
        let account = format!("acme/{account}");
        model.add_key(&account, "Mailer", Some(&["mail.send", "stats.read"]), now);
        model.add_key(&account, "Reports (old)", Some(&["stats.read"]), now);
        if number % 10 == 0 {
            model.add_key(&account, "Everything", None, now);
        }
    }
    1 + 40 * 2 + 4
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_subusers_are_adopted_and_nothing_else_happens() {
    let eu = ["Team 07".to_string()].into();
    let place = Place::new(Settings { subuser_page: 15, eu_subusers: eu, ..Settings::default() }).await;
    let keys = company(&place);
    place
        .run(&["init", "--from-account", "--all-subusers"])
        .ends(0)
        .says(&format!("{keys} keys of 41 accounts in the manifest"));
    let pages = place.asked(Operation::Subusers);
    assert_eq!(pages, 4, "three pages, and one that says that there are no more");
    let manifest = place.read("gridkey.yaml");
    assert!(manifest.contains("team-07: { parent: main, subuser: \"Team 07\", region: eu }"), "{manifest}");
    assert!(
        manifest.contains("  team-39-mailer:\n    name: \"Mailer\"\n    account: team-39\n"),
        "{manifest}"
    );
    place.run(&["validate"]).ends(0).says(&format!("The manifest is valid: {keys} keys"));
    place.run(&["plan"]).ends(0).says(&format!("Plan: {keys} to adopt."));
    place.run(&["apply", "--yes"]).ends(0).says(&format!("Applied: {keys} adopted."));
    place.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subuser_that_cannot_be_read_is_left_out_and_said() {
    let place = Place::new(Settings::default()).await;
    company(&place);
    let fault = Fault::Status { status: 403, message: Some("access forbidden".to_string()), done: false };
    // The parent is listed first.
    place.server.model().set_faults(vec![FaultRule {
        operation: Operation::List,
        after: 1,
        count: Some(1),
        fault,
    }]);
    let said = place.run(&["init", "--from-account", "--all-subusers"]);
    said.ends(3).says("cannot be read: 403 access forbidden").says("of 40 accounts in the manifest");
    place.run(&["validate"]).ends(0);

    let other = tempfile::tempdir().unwrap();
    let folder = other.path().to_str().unwrap();
    let limited =
        place.server.model().add_key("acme", "limited", Some(&["api_keys.read"]), Timestamp::now()).secret;
    let mut command = place.command(&["init", folder, "--from-account", "--all-subusers"]);
    command.env("SENDGRID_API_KEY", limited);
    crate::support::said(command)
        .ends(1)
        .says("the subusers of the account cannot be listed")
        .says("`subusers.read`");
    assert!(!other.path().join("gridkey.yaml").exists());
    place.run(&["init", folder, "--from-account", "--all-subusers", "--subuser", "x"]).ends(64);
}

/// An old report: `On-Behalf-Of` in another spelling is ignored, and the parent answers. A gateway can do that on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subuser_for_which_the_parent_answers_is_not_written_down() {
    let place = Place::new(Settings::default()).await;
    place.server.model().add_key("acme", "Mailer", Some(&["mail.send"]), Timestamp::now());
    place.server.model().child("acme", "team");
    let gateway = gateway(place.server.url()).await;
    let mut command = place.command(&["init", "--from-account", "--all-subusers"]);
    command.env("GRIDKEY_SENDGRID_URL", gateway);
    let said = crate::support::said(command);
    said.ends(3)
        .says("`team` cannot be read: SendGrid shows the keys of the parent account for it")
        .says("1 key in the manifest");
    assert!(!place.read("gridkey.yaml").contains("team"));
}

/// A server that passes everything on but the header that says on whose behalf.
async fn gateway(url: String) -> String {
    use axum::extract::{Request, State};
    async fn pass_on(State(url): State<String>, request: Request) -> Vec<u8> {
        let target = request.uri().path_and_query().unwrap().to_string();
        let key = request.headers()["authorization"].to_str().unwrap();
        let asked = reqwest::Client::new().get(format!("{url}{target}")).header("authorization", key);
        asked.send().await.unwrap().bytes().await.unwrap().to_vec()
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(pass_on).with_state(url);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_looked_in_and_what_no_manifest_can_name_is_told_with_its_line() {
    let place = Place::new(Settings::default()).await;
    let key = |name: &str| {
        place.server.model().add_key("acme", name, Some(&["mail.send"]), Timestamp::now()).secret
    };
    let (mailer, reports, listed) = (key("mailer"), key("reports"), key("listed"));
    let dead = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
    place.write("deploy/.env", &format!("MAIL={mailer}\n# OLD={reports}\n"));
    place.write("deploy/app.json", &format!("{{\"mail\": {{\"key\": \"{reports}\"}}}}"));
    place.write("deploy/list.yaml", &format!("keys:\n  - name: \"Bearer {listed}\"\n"));
    place.write("deploy/main.py", &format!("KEY = \"{listed}\"\n"));
    place.write("deploy/broken.env", &format!("NEXT=x\nMAIL=\"{mailer}\n"));
    place.write("deploy/large.log", &format!("{listed}\n{}", " ".repeat(4 << 20)));
    place.write("deploy/old.txt", &format!("{dead}\n"));
    place.write("deploy/.git/config", &format!("{listed}\n"));
    let said = place.run(&["init", "--from-account", "--look-in", "deploy"]);
    let id = |secret: &str| secret.split('.').nth(1).unwrap().to_string();
    let dead_id = id(&dead);
    said.ends(0)
        .says("the secrets of 2 keys were found")
        .says(&format!(
            "deploy/.env:2 holds the key {}, named \"reports\", and no manifest can name that place",
            id(&reports)
        ))
        .says(&format!("deploy/list.yaml:2 holds the key {}, named \"listed\", and no", id(&listed)))
        .says(&format!("deploy/main.py:1 holds the key {}, named \"listed\", and no", id(&listed)))
        .says(&format!("deploy/broken.env:2 holds the key {}, named \"mailer\", and no", id(&mailer)))
        .says("no manifest can name that place: line 2 sets `MAIL` and has a quote that is not closed")
        .says("deploy/large.log was not looked at: it has ")
        .says("deploy/.git was passed by")
        .says(&format!("deploy/old.txt:1 holds the key {dead_id}, which is not live in the account"));
    place.no_secrets("what it says", &said.all());
    place.no_secrets("the manifest", &place.read("gridkey.yaml"));
    place.run(&["plan"]).ends(0).says("Plan: 3 to adopt.");
    let json: Value = serde_json::from_str(&place.run(&["plan", "--format", "json"]).out).unwrap();
    assert!(json["changes"].as_array().unwrap().iter().all(|change| change["action"] == "adopt"), "{json:#}");

    let other = tempfile::tempdir().unwrap();
    let folder = other.path().to_str().unwrap();
    let missing = place.run(&["init", folder, "--from-account", "--look-in", "deploi"]);
    missing
        .ends(1)
        .says("deploi cannot be looked through")
        .says("takes a file or a folder")
        .says("nothing was written");
    assert!(!other.path().join("gridkey.yaml").exists());
    place
        .run(&["init", folder, "--from-account", "--look-in", "vault:secret"])
        .ends(64)
        .says("cannot be looked through");
}
