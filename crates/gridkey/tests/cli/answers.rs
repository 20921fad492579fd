//! Commands that answer programs: one document of JSON on standard output, and nothing else there.

use gridkey_emulator::Settings;
use serde_json::{Value, json};

use crate::support::{Place, manifest};

/// The document that a command prints.
#[track_caller]
fn answer(place: &Place, arguments: &[&str], code: i32) -> Value {
    let said = place.run(&[arguments, &["--json"]].concat());
    said.ends(code);
    let long = place.run(&[arguments, &["--format", "json"]].concat());
    assert_eq!(said.out, long.out);
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.all()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_scopes_and_a_validation_are_had_as_json() {
    let place = Place::new(Settings::default()).await;
    let environments =
        "environments:\n  prod: { account: acme }\n  \"pr-*\": { account: acme, ttl: 3d }\nkeys:\n";
    let text = manifest("  mailer: { scopes: [mail.send] }\n")
        .replace("keys:\n", environments)
        .replace("path: .env,", "path: \".env.{environment}\",");
    place.write("gridkey.yaml", &text);
    place.run(&["apply", "--yes", "--env", "pr-7"]).ends(0);
    let found = answer(&place, &["environments", "list"], 0);
    let pr = &found["environments"][1];
    assert!(pr["ends"].as_str().is_some_and(|ends| ends.ends_with('Z')), "{found:#}");
    let expected = json!({ "name": "prod", "origin": "named", "accounts": ["acme"], "owned": 0, "wanted": 1, "ends": null,
                           "edited": null });
    assert_eq!(found["environments"][0], expected);
    assert_eq!(
        (&pr["name"], &pr["origin"], &pr["owned"]),
        (&json!("pr-7"), &json!({ "pattern": "pr-*" }), &json!(1))
    );
    assert_eq!(found["patterns"], json!([{ "pattern": "pr-*", "accounts": ["acme"] }]));

    let listed = answer(&place, &["scopes", "list", "mail.*"], 0);
    let first = &listed["scopes"][0];
    assert_eq!(
        (&listed["format_version"], &first["scope"]),
        (&json!(1), &json!("mail.batch.create")),
        "{listed:#}"
    );
    assert!(first["kind"].is_string() && first["level"].is_string() && first["group"].is_string());
    let explained = answer(&place, &["scopes", "explain", "Mail Send"], 0);
    assert_eq!(
        (&explained["manifest"], &explained["scopes"][0]["scope"]),
        (&json!(["mail.send"]), &json!("mail.send"))
    );
    place.run(&["scopes", "explain", "mail.sned", "--json"]).ends(1).says("did you mean `mail.send`?");

    let valid = answer(&place, &["validate"], 0);
    let counts = (&valid["valid"], &valid["keys"], &valid["environments"], &valid["accounts"]);
    assert_eq!(counts, (&json!(true), &json!(1), &json!(1), &json!(1)), "{valid:#}");
    place.write("gridkey.yaml", &text.replace("scopes: [", "scpoes: ["));
    let wrong = answer(&place, &["validate"], 1);
    assert_eq!((&wrong["valid"], &wrong["keys"]), (&json!(false), &json!(0)));
    let told = &wrong["diagnostics"][0];
    assert_eq!(
        (&told["severity"], &told["position"]["file"]),
        (&json!("error"), &json!("gridkey.yaml")),
        "{wrong:#}"
    );
    assert!(told["message"].as_str().is_some_and(|message| message.contains("scpoes")), "{wrong:#}");
}
