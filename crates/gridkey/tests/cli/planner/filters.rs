//! Filters that nothing goes by, or that a plan file does not cover: they are told, and nothing is green for them.

use gridkey_emulator::Settings;

use super::staged;
use crate::support::{Place, manifest, many, said};

fn environments(names: &[&str], keys: &str) -> String {
    let blocks: String = names.iter().map(|name| format!("  \"{name}\": {{ account: acme }}\n")).collect();
    staged(&blocks, keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_of_an_owner_or_a_scope_that_nobody_has_is_not_green() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send], owner: growth }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    let audit = |arguments: &[&str]| place.run(&[&["audit", "--fail-on", "high"], arguments].concat());
    audit(&["--owner", "grwoth"])
        .ends(64)
        .says("no key has the owner `grwoth`")
        .says("did you mean `growth`?");
    audit(&["--owner", "growth", "--owner", "x"]).ends(64).says("`x`").says("there are `growth`");
    audit(&["--scope", "mail.sned"])
        .ends(64)
        .says("there is no scope `mail.sned`")
        .says("did you mean `mail.send`?");
    audit(&["--scope", "mial.*"]).ends(64).says("there is no scope `mial.*`");
    audit(&["--owner", "growth", "--scope", "mail.*"]).ends(0).says("mailer");
    // A scope that there is, and that no key has.
    audit(&["--scope", "teammates.create"]).ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destroying_an_environment_without_keys_tells_of_those_that_have_some() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &environments(&["prod", "pr-*"], &many(1)));
    place.run(&["apply", "--yes", "--env", "pr-123"]).ends(0);
    let none = place.run(&["destroy", "--env", "pr-12", "--yes"]);
    none.ends(0).says("state has no keys of environment `pr-12`; did you mean `pr-123`?");
    place.write("gridkey.yaml", &environments(&["prod"], &many(1)));
    place.run(&["destroy", "--env", "pr-12", "--yes"]).ends(64).says("did you mean `pr-123`?");
    place.run(&["destroy", "--env", "pr-123", "--yes"]).ends(0).says("1 deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_a_plan_file_does_not_cover_is_refused() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &environments(&["staging", "prod", "pr-*"], &many(2)));
    place.run(&["plan", "--env", "staging", "--out", "s.json"]).ends(0);
    place.run(&["plan", "--env", "staging", "--only", "staging/key-1", "--out", "one.json"]).ends(0);
    place.run(&["plan", "--out", "all.json"]).ends(0);
    let refused = |arguments: &[&str], text: &str| {
        place.run(&[&["apply", "--yes"], arguments].concat()).ends(64).says(text);
    };
    refused(&["s.json", "--env", "staging", "--env", "prod"], "is about `staging`, and `--env` names `prod`");
    refused(&["s.json", "--env", "prod"], "is about `staging`, and `--env` names `prod`");
    refused(&["all.json", "--env", "prod", "--env", "pr-1"], "and `--env` names `pr-1`");
    refused(&["one.json", "--only", "staging/key-2"], "the plan file is not about `staging/key-2`");
    refused(&["one.json", "--approved-only", "--only", "staging/key-2"], "is not about `staging/key-2`");
    assert!(place.live("acme").is_empty());
    place
        .run(&["apply", "one.json", "--yes", "--env", "staging", "--only", "staging/*"])
        .ends(0)
        .says("1 created");
    place.run(&["apply", "all.json", "--yes", "--env", "prod"]).ends(0).says("2 created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_plan_file_is_allowed_is_not_allowed_to_another() {
    let place = Place::new(Settings::default()).await;
    let keys = "  first: { access: full }\n  second: { access: full }\n";
    let denied = "policy: { full_access: { default: deny } }\nkeys:\n";
    place.write("gridkey.yaml", &manifest(keys).replace("keys:\n", denied));
    place.run(&["plan", "--only", "first", "--allow", "full_access", "--out", "first.json"]).ends(0);
    place.run(&["plan", "--only", "second", "--out", "second.json"]).ends(3).says("full_access");
    let refused = place.run(&["apply", "first.json", "second.json", "--yes"]);
    refused.ends(3).says("second.json was made with a finding that blocks it, `full_access`");
    place.run(&["apply", "first.json", "second.json", "--allow", "full_access", "--yes"]).ends(3);
    assert!(place.live("acme").is_empty());
    place.run(&["plan", "--only", "second", "--allow", "full_access:second", "--out", "second.json"]).ends(0);
    place.run(&["apply", "first.json", "second.json", "--yes"]).ends(0).says("2 created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_variable_is_no_word_for_every_environment_of_a_destroy() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &environments(&["staging", "prod"], &many(1)));
    place.run(&["apply", "--yes"]).ends(0);
    let destroy = |arguments: &[&str], variable: Option<&str>| {
        let mut command = place.command(&[&["destroy"], arguments].concat());
        command.envs(variable.map(|value| ("GRIDKEY_ENV", value)));
        said(command)
    };
    destroy(&["--yes"], Some("")).ends(64).says("`GRIDKEY_ENV` is set to nothing").says("every environment");
    assert_eq!(place.live("acme").len(), 2);
    destroy(&["--yes", "--only", "staging/*"], Some("")).ends(0).says("1 deleted");
    destroy(&["--yes", "--env", "staging"], Some("")).ends(0);
    assert_eq!(place.live("acme").len(), 1);
    destroy(&["--yes"], None).ends(0).says("1 deleted");
}
