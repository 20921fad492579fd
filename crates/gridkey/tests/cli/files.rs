//! Files as people have them: what a plan says of them, and what becomes of them.

use std::os::unix::fs::PermissionsExt;

use gridkey_emulator::Settings;

use crate::support::Place;

fn manifest(sink: &str) -> String {
    format!(
        "version: 1\naccounts: {{ acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }} }}\nsinks: {{ app: {{ {sink} }} }}\n\
         keys: {{ mailer: {{ scopes: [mail.send], sinks: [app] }} }}\n"
    )
}

/// A project whose key goes to a file that is there.
async fn place(sink: &str, file: &str, text: &str) -> Place {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(sink));
    place.write(file, text);
    place
}

fn mode(place: &Place, file: &str) -> u32 {
    std::fs::metadata(place.path(file)).unwrap().permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mode_that_becomes_another_is_in_the_plan_and_one_that_stays_is_not() {
    const SINK: &str = "dotenv: { path: .env, variable: KEY }";
    let place = place(SINK, ".env", "A=1\n").await;
    place.set_mode(".env", 0o644);
    place.run(&["plan"]).ends(0).says("[mode_changes]").says(".env#KEY) has mode 0644, and gets 0640");
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(mode(&place, ".env"), 0o640);
    place.run(&["plan"]).ends(0).says("No changes");
    // What the manifest says of it counts from the next write on.
    place.write("gridkey.yaml", &manifest("dotenv: { path: .env, variable: KEY, mode: \"0600\" }"));
    place.run(&["apply", "--yes"]).ends(0);
    let rotated = place.run(&["apply", "--yes", "--rotate", "mailer"]);
    rotated.ends(0).says("has mode 0640, and gets 0600");
    assert_eq!(mode(&place, ".env"), 0o600);
    let again = place.run(&["apply", "--yes", "--rotate", "mailer"]);
    assert!(!again.ends(0).all().contains("mode_changes"), "{}", again.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_blocks_the_plan_before_a_key_is_made() {
    for (sink, file, text, says) in [
        (
            "dotenv: { path: /proc/gridkey.env, variable: KEY }",
            "a",
            "",
            "`/proc/gridkey.env` cannot be written",
        ),
        ("dotenv: { path: a/b/.env, variable: KEY }", "a", "", "a part of the path is a file"),
        ("yaml: { path: a, pointer: /key }", "a", "key: |\n  text\n", "`/key` is a block of text"),
        ("yaml: { path: a, pointer: /x/key }", "a", "x: &x { key: old }\ny: *x\n", "`/x` has an anchor"),
        ("json: { path: a, pointer: /list/0/key }", "a", "", "`/list` has to be a list"),
        ("json: { path: missing, pointer: /list/0/key }", "a", "", "`/list` has to be a list"),
        ("json: { path: a, pointer: /key }", "a", "{ key: 'json5' }", "it is not JSON"),
        (
            "yaml: { path: a, pointer: /data/KEY }",
            "a",
            "kind: Secret\ndata: { KEY: eA== }\n",
            "`encoding: base64`",
        ),
    ] {
        let place = place(sink, file, text).await;
        let plan = place.run(&["plan"]);
        plan.ends(3).says(says);
        place.run(&["apply", "--yes"]).ends(3).says(says);
        assert_eq!(place.server.model().keys("acme").len(), 1, "the managing key alone");
        assert_eq!(place.read(file), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_a_kubernetes_secret_is_written_and_read_in_base64() {
    const SECRET: &str = "apiVersion: v1\nkind: Secret\ndata:\n  OTHER: Zm9v\n";
    let place =
        place("yaml: { path: .env.yaml, pointer: /data/KEY, encoding: base64 }", ".env.yaml", SECRET).await;
    place.run(&["apply", "--yes"]).ends(0);
    let text = place.read(".env.yaml");
    assert!(text.starts_with(SECRET) && text.contains("\n  KEY: \"U0cu"), "{text}");
    place.run(&["plan"]).ends(0).says("No changes");
    place.run(&["rotate", "mailer", "--yes"]).ends(0);
    assert_ne!(place.read(".env.yaml"), text);
    place.run(&["plan"]).ends(0).says("No changes");
}
