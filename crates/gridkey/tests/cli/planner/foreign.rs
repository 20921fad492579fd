//! Live keys that are not gridkey's: those with Full Access, and those that gridkey itself works with.

use gridkey_emulator::{Operation, Settings};
use jiff::Timestamp;

use crate::support::{Place, manifest, many, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_key_with_full_access_is_a_warning_of_its_own_in_drift() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(1)));
    place.run(&["apply", "--yes"]).ends(0);
    let now = Timestamp::now();
    place.server.model().add_key("acme", "Reporting", Some(&["stats.read"]), now);
    place.run(&["drift"]).ends(0).says("No drift");
    let full = place.server.model().add_key("acme", "Someone's", None, now);
    let text = format!("a key with Full Access that gridkey does not own: `Someone's` ({})", full.id);
    let drift = place.run(&["drift"]);
    drift.ends(2).says("warning [foreign_key] acme").says(&text).says(&format!("gridkey revoke {}", full.id));
    assert!(!drift.out.contains("Reporting"), "{}", drift.out);

    // Under a rule, it is not counted among the others, and blocks where they do.
    let ruled = |others: &str| {
        let policy = format!("policy: {{ foreign: {{ known: [nobody], others: {others} }} }}\nkeys:\n");
        place.write("gridkey.yaml", &manifest(&many(1)).replace("keys:\n", &policy));
    };
    ruled("warn");
    place
        .run(&["drift"])
        .ends(2)
        .says(&text)
        .says("has 1 live key that neither gridkey nor the manifest's policy knows: `Rep");
    // A plan makes no request for keys that are not its own.
    place.server.model().clear_log();
    place.run(&["plan"]).ends(0).says("has 2 live keys that neither");
    assert_eq!(place.asked(Operation::Get), 1);
    ruled("allow");
    place.server.model().clear_log();
    place.run(&["drift"]).ends(0).says("No drift");
    assert_eq!(place.asked(Operation::Get), 1);
    let known = "policy: { foreign: { known: [\"Some*\", Reporting], others: deny } }\nkeys:\n";
    place.write("gridkey.yaml", &manifest(&many(1)).replace("keys:\n", known));
    place.run(&["drift"]).ends(0).says("No drift");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_that_gridkey_works_with_are_not_foreign() {
    let place = Place::new(Settings::default()).await;
    let reader = place.server.model().add_key("acme", "Reader", Some(&["api_keys.read"]), Timestamp::now());
    let with_reader =
        manifest(&many(1)).replace("acme: { api_key", "acme: { plan_api_key: { env: READING_KEY }, api_key");
    place.write("gridkey.yaml", &manifest(&many(1)));
    let plan = place.run(&["plan"]);
    plan.ends(0).says("acme: 2 → 3 of 100 keys, peak 3 (1 foreign)");
    place.run(&["apply", "--yes"]).ends(0);
    place.write(
        "gridkey.yaml",
        &with_reader.replace("keys:\n", "policy: { foreign: { others: deny } }\nkeys:\n"),
    );
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("READING_KEY", &reader.secret);
        said(command)
    };
    run(&["plan"]).ends(0).says("No changes");
    run(&["drift"]).ends(0).says("No drift");
    let audit = run(&["audit", "--fail-on", "foreign"]);
    audit.ends(0).says("managing");
    assert!(!audit.out.contains("foreign"), "{}", audit.out);
    let whois = run(&["whois", "--", &reader.id]);
    whois.ends(0);
    assert!(!whois.out.contains("foreign"), "{}", whois.out);
}
