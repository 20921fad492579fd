//! Two manifests compared: the one check that a fork's branch gets.

use gridkey_emulator::Settings;

use super::staged;
use crate::support::{Place, Said, manifest, said};

const FORBIDS: &str = "forbid_scopes: [\"api_keys.*\"]\nfull_access: { default: deny }\n";

/// A comparison with `base.yaml`, without a credential.
fn compare(place: &Place, arguments: &[&str]) -> Said {
    let mut command = place.command(&[&["plan", "--against", "base.yaml"], arguments].concat());
    command.env_remove("SENDGRID_API_KEY");
    said(command)
}

fn rotated(key: &str) -> String {
    manifest(&format!("  mailer: {{ {key}, rotate: {{ every: 30d, overlap: 1h }} }}\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_blocks_what_a_branch_gives_to_a_key_that_is_rotated() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", FORBIDS);
    place.write("base.yaml", &rotated("scopes: [mail.send]"));
    place.write("gridkey.yaml", &rotated("scopes: [mail.send, \"api_keys.*\"]"));
    compare(&place, &["--policy", "policy.yaml"]).ends(3).says("blocks [forbidden_scope]");
    place.write("gridkey.yaml", &rotated("access: full"));
    compare(&place, &["--policy", "policy.yaml"]).ends(3).says("blocks [full_access]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_due_in_a_comparison() {
    let place = Place::new(Settings::default()).await;
    place.write("base.yaml", &rotated("scopes: [mail.send]"));
    place.write("gridkey.yaml", &rotated("scopes: [mail.send]"));
    let same = compare(&place, &["--detailed-exitcode", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&same.ends(0).out).unwrap();
    for change in plan["changes"].as_array().unwrap() {
        assert_eq!(change["action"], "keep", "{change:#}");
    }
    place.write("gridkey.yaml", &rotated("scopes: [mail.send, stats.read]"));
    let edited = compare(&place, &["--detailed-exitcode", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&edited.ends(2).out).unwrap();
    assert_eq!(plan["changes"][0]["action"], "update", "{:#}", plan["changes"]);
    assert_eq!(plan["changes"][0]["reasons"], serde_json::json!(["scopes_edited"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_of_a_pattern_that_the_branch_adds_can_be_compared() {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send] }\n";
    let (without, with) =
        (staged("  prod: {}\n", keys), staged("  prod: {}\n  \"pr-*\": { ttl: 14d }\n", keys));
    for (base, branch, action) in [(&without, &with, "create"), (&with, &without, "delete")] {
        place.write("base.yaml", base);
        place.write("gridkey.yaml", branch);
        let compared = compare(&place, &["--env", "pr-1", "--format", "json"]);
        let plan: serde_json::Value = serde_json::from_str(&compared.ends(0).out).unwrap();
        let changes = plan["changes"].as_array().unwrap();
        assert_eq!(changes.len(), 1, "{changes:#?}");
        assert_eq!((&changes[0]["address"], &changes[0]["action"]), (&"pr-1/mailer".into(), &action.into()));
    }
    // What neither of them has is an error still.
    place.write("base.yaml", &without);
    compare(&place, &["--env", "pr-1"]).ends(64).says("pr-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_gives_up_a_required_rotation_is_blocked() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "require_rotation: { every: 90d }\n");
    place.write("base.yaml", &rotated("scopes: [mail.send]"));
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send], rotate: never }\n"));
    compare(&place, &["--policy", "policy.yaml"]).ends(3).says("blocks [missing_rotation]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ttl_hides_no_key_that_a_branch_adds_to_an_environment_of_a_pattern() {
    let place = Place::new(Settings::default()).await;
    let environments = "  prod: {}\n  \"pr-*\": { ttl: 14d }\n";
    let mailer = "  mailer: { scopes: [mail.send] }\n";
    place.write("base.yaml", &staged(environments, mailer));
    let added = format!("{mailer}  admin: {{ access: full, environments: [\"pr-*\"] }}\n");
    place.write("gridkey.yaml", &staged(environments, &added));
    place.write("policy.yaml", "full_access: { default: deny }\n");
    let compared = compare(&place, &["--env", "pr-1", "--policy", "policy.yaml"]);
    compared.ends(3).says("pr-1/admin").says("blocks [full_access]");
    assert!(!compared.all().contains("past its environment"), "{}", compared.all());
}
