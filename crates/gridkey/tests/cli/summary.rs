//! `--summary`: a plan in few lines, whatever comes of it.

use gridkey_emulator::Settings;

use crate::support::{Place, many};

/// A manifest of a parent account and so many subusers, each with a key of the same name, and others of the parent.
pub fn of_subusers(subusers: &[String], keys: &str) -> String {
    let accounts: String =
        subusers.iter().map(|name| format!("  {name}: {{ parent: acme, subuser: {name} }}\n")).collect();
    format!(
        "version: 1\naccounts:\n  acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }}\n{accounts}sinks:\n  local: {{ dotenv: \
         {{ path: .env, variable: \"SENDGRID_{{ACCOUNT}}_{{KEY}}\" }} }}\ndefaults: {{ sinks: [local] }}\nenvironments:\n  all: {{ \
         accounts: [{}] }}\n  prod: {{ account: acme }}\nkeys:\n{keys}",
        subusers.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_counts_and_says_what_blocks_and_what_is_revoked() {
    let place = Place::new(Settings::default()).await;
    let subusers: Vec<String> = (1..=5).map(|number| format!("shop-{number}")).collect();
    for name in &subusers {
        place.server.model().child("acme", name);
    }
    place.write("gridkey.yaml", &of_subusers(&subusers, &many(3)));
    let plan = place.run(&["plan", "--summary", "--detailed-exitcode", "--out", "plan.json"]);
    plan.ends(2).says("5 accounts: 0 → 3 of 100 keys, peak 3; 3 to create each: shop-1, shop-2");
    assert!(!plan.out.contains("mail.send") && plan.out.lines().count() <= 4, "{}", plan.out);
    place.run(&["show", "plan.json", "--summary"]).ends(0).says("5 accounts: 0 → 3 of 100 keys");
    let applied = place.run(&["apply", "--yes", "--summary"]);
    applied.ends(0).says("; 3 to create each: shop-1").says("Applied: 18 created.");
    assert!(!applied.out.contains("mail.send"), "{}", applied.out);

    place.revoke_by_hand("acme", "prod/key-1");
    place
        .run(&["drift", "--summary"])
        .ends(2)
        .says("; 1 to create")
        .says("Drift; to put it right: 1 to create");
    let denied = "policy: { max_deletions: { share: 1%, at_least: 1 } }\nkeys:\n";
    place.write("gridkey.yaml", &of_subusers(&subusers, &many(1)).replace("keys:\n", denied));
    let blocked = place.run(&["plan", "--summary"]);
    blocked
        .ends(3)
        .says("; 2 to delete; revokes 2 keys, which may be in use each: shop-1, shop-2")
        .says("blocks [max_deletions]");
    place.run(&["plan", "--summary", "--json"]).ends(64);
    let allowed = place.run(&["plan", "--summary", "--allow", "max_deletions"]);
    allowed.ends(0).says(" allowed [max_deletions]");
}
