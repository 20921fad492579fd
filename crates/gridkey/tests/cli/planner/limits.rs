//! Limits and gates that a side way led around: `max_keys`, managing keys with little access, files of other versions.

use gridkey_emulator::{Operation, Settings};
use jiff::Timestamp;

use super::{staged, with_subusers};
use crate::support::{Place, gridkey, manifest, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn max_keys_of_an_environment_holds_where_its_first_account_has_no_key() {
    let place = Place::new(Settings::default()).await;
    for team in ["team-a", "team-b"] {
        place.server.model().child("acme", team);
    }
    let exceptions = "keys: { team-a/mailer: { enabled: false }, team-a/reports: { enabled: false } }";
    let tenants = format!("  tenants: {{ accounts: [\"team-*\"], max_keys: 1, {exceptions} }}\n");
    let keys = "  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read] }\n";
    let text = staged(&tenants, keys).replace(".env.{environment}", ".env.{account}");
    place.write("gridkey.yaml", &with_subusers(&text, &["team-a", "team-b"]));
    place.plan(&[]).blocks("max_keys");
    place.run(&["apply", "--yes"]).ends(3);
    assert!(place.live("team-b").is_empty(), "nothing is made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn max_keys_counts_keys_that_are_adopted() {
    let place = Place::new(Settings::default()).await;
    let text = |keys: &str| manifest(keys).replacen("api_key: {", "max_keys: 1, api_key: {", 1);
    place.write("gridkey.yaml", &text("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    let found = place.server.model().add_key("acme", "reports", Some(&["stats.read"]), Timestamp::now());
    place.write(".env", &format!("{}SENDGRID_REPORTS={}\n", place.read(".env"), found.secret));
    let before = place.world();
    let both = "  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read] }\n";
    let import = format!("import: [{{ to: reports, id: {} }}]\n", found.id);
    place.write("gridkey.yaml", &format!("{}{import}", text(both)));
    place.plan(&[]).blocks("max_keys");
    place.run(&["apply", "--yes"]).ends(3);
    place.run(&["import", "reports", &found.id, "--yes"]).ends(3).says("max_keys");
    assert_eq!(place.world(), before, "nothing is adopted");
    place.run(&["apply", "--allow", "max_keys", "--yes"]).ends(0);
    assert_eq!(place.id("acme", "reports"), found.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_of_a_version_that_never_was_is_refused_and_left_alone() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    let file = ".gridkey/state/default/acme.json";
    let text = place.read(file).replacen("\"format_version\": 2", "\"format_version\": 0", 1);
    assert!(text.contains("\"format_version\": 0"));
    place.write(file, &text);
    place.server.model().clear_log();
    for command in [&["plan"][..], &["apply", "--yes"], &["state", "list"], &["drift"]] {
        place.run(command).ends(1).says("acme.json");
    }
    assert_eq!(place.read(file), text, "it is left as it was");
    assert!(place.server.model().log().is_empty(), "nothing was asked for");
}

#[test]
fn a_ttl_without_a_pattern_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = staged("  prod: { ttl: 14d }\n", "  mailer: { scopes: [mail.send] }\n");
    std::fs::write(folder.path().join("gridkey.yaml"), text).unwrap();
    let said = said(gridkey(folder.path(), &["validate"]));
    assert_eq!(said.all().matches("gridkey.yaml:").count(), 1, "{}", said.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_access_that_the_managing_key_does_not_have_is_not_asked_for() {
    let place = Place::new(Settings::default()).await;
    let scopes = ["api_keys.create", "api_keys.delete", "api_keys.read", "api_keys.update", "mail.send"];
    let weak =
        place.server.model().add_key("acme", "Reader that also writes", Some(&scopes), Timestamp::now());
    place.write("gridkey.yaml", &manifest("  admin: { access: full }\n"));
    let with_weak = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("SENDGRID_API_KEY", &weak.secret);
        said(command)
    };
    let planned = with_weak(&["plan", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&planned.out).unwrap();
    let findings = plan["findings"].as_array().unwrap();
    let gated = findings.iter().any(|finding| {
        finding["code"] == "ungrantable_scope" && finding["severity"].as_str().unwrap().starts_with("blocks")
    });
    assert!(gated, "{findings:#?}");
    with_weak(&["apply", "--yes"]).ends(3).says("ungrantable_scope");
    assert_eq!(place.asked(Operation::Create), 0, "nothing is made");
    // The managing key that has it all may give it.
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.live("acme").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_with_full_access_really_got_is_told() {
    // A SendGrid that gives a key no more than its maker has.
    let settings = serde_json::from_value(serde_json::json!({ "full_access_is_inherited": true }));
    let place = Place::new(settings.expect("the emulator can give what the caller has")).await;
    let scopes = ["api_keys.create", "api_keys.delete", "api_keys.read", "api_keys.update", "mail.send"];
    let weak =
        place.server.model().add_key("acme", "Reader that also writes", Some(&scopes), Timestamp::now());
    place.write("gridkey.yaml", &manifest("  admin: { access: full }\n"));
    let mut command = place.command(&["apply", "--allow", "ungrantable_scope", "--yes"]);
    command.env("SENDGRID_API_KEY", &weak.secret);
    let applied = said(command);
    assert_eq!(place.live("acme").len(), 1, "{}", applied.all());
    applied.says("mail.send");
    let mut again = place.command(&["plan", "--detailed-exitcode"]);
    again.env("SENDGRID_API_KEY", &weak.secret);
    said(again).ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_does_not_take_an_environment_out_of_the_limits_of_a_policy_file() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "max_deletions: { share: 0%, at_least: 1 }\n");
    let keys = "  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read] }\n";
    place.write("gridkey.yaml", &staged("  prod: {}\n", keys));
    place.run(&["apply", "--yes", "--policy", "policy.yaml"]).ends(0);
    let before = place.world();
    for pattern in ["  \"pro*\": {}\n", "  \"pro*\": { ttl: 1d }\n"] {
        place.write("gridkey.yaml", &staged(pattern, keys));
        let said = place.run(&["destroy", "--env", "prod", "--yes", "--policy", "policy.yaml"]);
        assert_eq!(place.world(), before, "nothing is revoked: {}", said.all());
        said.ends(3).says("by the policy file");
    }
    // An environment that was made to come and go does so.
    place.write("gridkey.yaml", &staged("  \"pr-*\": { ttl: 1d }\n", keys));
    let environment = ["--env", "pr-7", "--yes", "--policy", "policy.yaml"];
    place.run(&[&["apply"][..], &environment].concat()).ends(0);
    place.run(&[&["destroy"][..], &environment].concat()).ends(0);
    assert_eq!(place.world().live, before.live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ttl_that_came_later_does_not_take_keys_out_of_the_limits_of_a_policy_file() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "max_deletions: { share: 0%, at_least: 1 }\n");
    let keys = "  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read] }\n";
    place.write("gridkey.yaml", &staged("  prod: {}\n", keys));
    place.run(&["apply", "--yes"]).ends(0);
    place.write("gridkey.yaml", &staged("  \"pro*\": { ttl: 11d }\n", keys));
    let environment = ["--env", "prod", "--yes", "--policy", "policy.yaml"];
    place.run(&[&["apply"][..], &environment].concat()).ends(0);
    let before = place.live("acme").into_keys().collect::<Vec<_>>();
    place.run(&[&["destroy"][..], &environment].concat()).ends(3).says("by the policy file");
    crate::clock::days_pass(&place, 12);
    place.run(&[&["rotate", "--due"][..], &environment].concat()).ends(3).says("by the policy file");
    assert_eq!(place.live("acme").into_keys().collect::<Vec<_>>(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_does_not_narrow_a_key_that_may_have_full_access() {
    let place = Place::new(Settings::default()).await;
    let found = place.server.model().add_key("acme", "everything", None, Timestamp::now());
    let before = place.live("acme");
    let import = format!("import: [{{ to: mailer, id: {} }}]\n", found.id);
    place.write("gridkey.yaml", &format!("{}{import}", manifest("  mailer: { scopes: [mail.send] }\n")));
    place.plan(&[]).blocks("import_mismatch");
    place.run(&["apply", "--yes"]).ends(3);
    assert_eq!(place.live("acme"), before);
}
