//! Rules of a policy hold for what a key is afterwards, whichever way it gets there.

use gridkey_emulator::Settings;

use super::{staged, with_subusers};
use crate::support::{Place, gridkey, manifest, said};

const FORBIDS: &str = "forbid_scopes: [\"api_keys.*\"]\n";

/// A key that is rotated every 30 days, and a policy file that forbids it to manage keys.
async fn a_mailer_under_a_policy() -> Place {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", FORBIDS);
    place.write(
        "gridkey.yaml",
        &manifest("  mailer: { scopes: [mail.send], rotate: { every: 30d, overlap: 1h } }\n"),
    );
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(0);
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_the_rotation_does_not_carry_forbidden_scopes_past_a_policy_file() {
    let place = a_mailer_under_a_policy().await;
    crate::clock::days_pass(&place, 11);
    let before = place.world();
    let edited = "  mailer: { scopes: [mail.send, \"api_keys.*\"], rotate: { every: 10d, overlap: 1h } }\n";
    place.write("gridkey.yaml", &manifest(edited));
    place.plan(&["--policy", "policy.yaml"]).blocks("forbidden_scope");
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3).says("forbidden_scope");
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_due_does_not_carry_forbidden_scopes_past_a_policy_file() {
    let place = a_mailer_under_a_policy().await;
    crate::clock::days_pass(&place, 31);
    let (id, before) = (place.id("acme", "mailer"), place.world());
    let edited = "  mailer: { scopes: [mail.send, \"api_keys.*\"], rotate: { every: 30d, overlap: 1h } }\n";
    place.write("gridkey.yaml", &manifest(edited));
    place.plan(&["--policy", "policy.yaml"]).blocks("forbidden_scope");
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3);
    assert_eq!(place.world(), before, "nothing is done");
    // The nightly job leaves the edit alone, and what it rotates has the scopes that were applied.
    place.run(&["rotate", "--due", "--policy", "policy.yaml", "--yes"]);
    let live = place.live("acme");
    for key in live.values() {
        let scopes = key.scopes.as_ref().unwrap();
        assert!(scopes.iter().all(|scope| !scope.starts_with("api_keys")), "{scopes:?}");
    }
    assert!(live.contains_key(&id), "the older key has its overlap");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_asked_for_does_not_carry_forbidden_scopes_past_a_policy_file() {
    let place = a_mailer_under_a_policy().await;
    let before = place.world();
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send, \"api_keys.*\"] }\n"));
    place.plan(&["--policy", "policy.yaml", "--rotate", "mailer"]).blocks("forbidden_scope");
    place.run(&["rotate", "mailer", "--policy", "policy.yaml", "--yes"]).ends(3).says("forbidden_scope");
    place
        .run(&["rotate", "mailer", "--revoke-old", "now", "--policy", "policy.yaml", "--yes"])
        .ends(3)
        .says("forbidden_scope");
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_made_anew_does_not_carry_forbidden_scopes_past_a_policy_file() {
    let place = a_mailer_under_a_policy().await;
    place.revoke_by_hand("acme", "mailer");
    let before = place.world();
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send, \"api_keys.*\"] }\n"));
    place.plan(&["--policy", "policy.yaml"]).blocks("forbidden_scope");
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3).says("forbidden_scope");
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_gone_does_not_carry_forbidden_scopes_past_a_policy_file() {
    let place = a_mailer_under_a_policy().await;
    place.write(".env", "");
    let before = place.world();
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send, \"api_keys.*\"] }\n"));
    place.plan(&["--policy", "policy.yaml"]).blocks("forbidden_scope");
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3).says("forbidden_scope");
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_does_not_carry_full_access_past_a_policy_file() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "full_access: { prod: deny }\n");
    let admin = "  admin: { access: full }\n";
    place.write("gridkey.yaml", &staged("  staging: {}\n", admin));
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(0);
    let before = place.world();
    for moved in ["{ from: \"staging/*\", to: \"prod/*\" }", "{ from: staging/admin, to: prod/admin }"] {
        place.write("gridkey.yaml", &format!("{}moved: [{moved}]\n", staged("  prod: {}\n", admin)));
        place.plan(&["--policy", "policy.yaml"]).blocks("full_access");
        place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3).says("full_access");
        assert_eq!(place.world(), before, "nothing is done for {moved}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_by_hand_does_not_carry_a_key_past_a_rule() {
    let place = Place::new(Settings::default()).await;
    let keys = "  admin: { access: full }\n  maker: { scopes: [mail.send, api_keys.create] }\n";
    place.write("gridkey.yaml", &staged("  staging: {}\n", keys));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    place.write("gridkey.yaml", &staged("  prod: {}\n", keys));
    for (from, to, rule, code) in [
        ("staging/admin", "prod/admin", "full_access: { prod: deny }\n", "full_access"),
        ("staging/maker", "prod/maker", "forbid_scopes: { prod: [\"api_keys.*\"] }\n", "forbidden_scope"),
    ] {
        place.write("policy.yaml", rule);
        let arguments = ["state", "move", from, to, "--yes", "--policy", "policy.yaml"];
        place.run(&arguments).ends(3).says("the policy file").says(code);
        assert_eq!(place.world(), before, "nothing is done");
    }
    // The manifest's own rules hold as well.
    let own = format!("{}policy: {{ full_access: {{ prod: deny }} }}\n", staged("  prod: {}\n", keys));
    place.write("gridkey.yaml", &own);
    place
        .run(&["state", "move", "staging/admin", "prod/admin", "--yes"])
        .ends(3)
        .says("the manifest's policy");
    assert_eq!(place.world(), before, "nothing is done");
    // A rule that the key breaks where it is stands against no move.
    place.write("policy.yaml", "forbid_scopes: [\"api_keys.*\"]\n");
    let arguments = ["state", "move", "staging/maker", "prod/maker", "--yes", "--policy", "policy.yaml"];
    place.run(&arguments).ends(0);
    assert!(place.owns("acme").contains_key("prod/maker"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_does_not_carry_scopes_to_where_a_policy_file_forbids_them() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "forbid_scopes: { prod: [\"api_keys.*\"] }\n");
    let keys = "  admin: { scopes: [mail.send, api_keys.read], rotate: { every: 30d, overlap: 1h } }\n";
    place.write("gridkey.yaml", &staged("  staging: {}\n", keys));
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(0);
    let moved = "moved: [{ from: \"staging/*\", to: \"prod/*\" }]\n";
    place.write("gridkey.yaml", &format!("{}{moved}", staged("  prod: {}\n", keys)));
    for days in [0, 31] {
        // Also where the key is due as well.
        crate::clock::days_pass(&place, days);
        let before = place.world();
        place.plan(&["--policy", "policy.yaml"]).blocks("forbidden_scope");
        place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3).says("forbidden_scope");
        assert_eq!(place.world(), before, "nothing is done after {days} days");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_account_does_not_carry_forbidden_scopes_past_a_policy_file() {
    let place = Place::new(Settings::default()).await;
    place.server.model().child("acme", "team");
    place.write("policy.yaml", FORBIDS);
    let keys = |key: &str| with_subusers(&manifest(&format!("  mailer: {{ {key} }}\n")), &["team"]);
    place.write("gridkey.yaml", &keys("account: acme, scopes: [mail.send]"));
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(0);
    let before = place.world();
    place.write("gridkey.yaml", &keys("account: team, scopes: [mail.send, api_keys.create]"));
    place.plan(&["--policy", "policy.yaml"]).blocks("forbidden_scope");
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3).says("forbidden_scope");
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_a_policy_requires_is_not_given_up() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "require_rotation: { every: 90d }\n");
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send], rotate: { every: 30d } }\n"));
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(0);
    let before = place.world();
    for rotate in ["never", "{ every: 120d }"] {
        let edited = format!("  mailer: {{ scopes: [mail.send], rotate: {rotate} }}\n");
        place.write("gridkey.yaml", &manifest(&edited));
        place.plan(&["--policy", "policy.yaml"]).blocks("missing_rotation");
        place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3).says("missing_rotation");
        assert_eq!(place.world(), before, "rotate: {rotate}");
    }
    // Rarer than before, and often enough.
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send], rotate: { every: 60d } }\n"));
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(0);
}

#[test]
fn a_pattern_that_forbids_nothing_is_an_error() {
    for pattern in ["billing:read", "billing:full", "mial:read"] {
        let folder = tempfile::tempdir().unwrap();
        let text = manifest("  mailer: { scopes: [mail.send] }\n");
        std::fs::write(
            folder.path().join("gridkey.yaml"),
            format!("{text}policy: {{ forbid_scopes: [\"{pattern}\"] }}\n"),
        )
        .unwrap();
        said(gridkey(folder.path(), &["validate"])).ends(1).says(pattern).says("gridkey.yaml:9:");
        std::fs::write(folder.path().join("gridkey.yaml"), &text).unwrap();
        std::fs::write(folder.path().join("policy.yaml"), format!("forbid_scopes: [\"{pattern}\"]\n"))
            .unwrap();
        let plan = &["--emulator", "--policy", "policy.yaml", "plan"];
        said(gridkey(folder.path(), plan)).ends(1).says(pattern).says("policy.yaml:1:");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_is_called_like_a_kind_does_not_meet_a_rule_about_the_kind() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "require_sink: [vault]\n");
    let text = manifest("  mailer: { scopes: [mail.send] }\n").replace("local", "vault");
    place.write("gridkey.yaml", &text);
    let before = place.world();
    let said = place.run(&["apply", "--policy", "policy.yaml", "--yes"]);
    assert!(matches!(said.code, 1 | 3), "a dotenv file is no vault: {}", said.all());
    said.says("vault");
    assert_eq!(place.world(), before, "nothing is made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_asked_for_does_not_carry_an_edit_that_breaks_a_rule_further() {
    let place = Place::new(Settings::default()).await;
    let mailer = |rest: &str| manifest(&format!("  mailer: {{ scopes: [mail.send], {rest} }}\n"));
    place.write("gridkey.yaml", &mailer("rotate: { every: 60d }, name: First"));
    place.run(&["apply", "--yes"]).ends(0);
    let before = place.world();
    place.write("policy.yaml", "require_rotation: { every: 30d }\nname_pattern: \"app-*\"\n");
    for (edit, code) in [
        ("rotate: never, name: First", "missing_rotation"),
        ("rotate: { every: 90d }, name: First", "missing_rotation"),
        ("rotate: { every: 60d }, name: Second", "name_pattern"),
    ] {
        place.write("gridkey.yaml", &mailer(edit));
        let asked = ["apply", "--policy", "policy.yaml", "--rotate", "mailer", "--yes"];
        place.run(&asked).ends(3).says(&format!("blocks [{code}]"));
        assert_eq!(place.world(), before, "nothing is done");
    }
    // As it is, it is rotated: the rules are new, and it breaks them no further.
    place.write("gridkey.yaml", &mailer("rotate: { every: 60d }, name: First"));
    place.run(&["rotate", "mailer", "--policy", "policy.yaml", "--yes"]).ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_a_policy_file_about_a_misspelt_place_is_pointed_out() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &staged("  prod: {}\n", "  admin: { access: full }\n"));
    place.write("policy.yaml", "full_access: { prdo: deny, elsewhere: deny, prod/admn: deny }\n");
    let said = place.run(&["plan", "--policy", "policy.yaml"]);
    said.ends(0).says("`prdo`, which this manifest has not: did you mean `prod`?");
    said.says("`prod/admn`, which this manifest has not: did you mean `prod/admin`?");
    assert!(!said.all().contains("elsewhere"), "it may be another project's: {}", said.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exception_for_another_address_is_not_said_to_have_allowed_something() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", FORBIDS);
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send, api_keys.read] }\n"));
    let plan = |allow: &str| place.run(&["plan", "--policy", "policy.yaml", "--allow", allow]);
    plan("forbidden_scope:mailer").ends(0).says("Allowed this once: --allow forbidden_scope:mailer");
    let said = plan("forbidden_scope:mialer");
    said.ends(3).says("Allowed, and lets nothing pass here: --allow forbidden_scope:mialer");
    assert!(!said.all().contains("Allowed this once"), "{}", said.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_under_a_policy_file_is_applied_under_one() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", FORBIDS);
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["plan", "--policy", "policy.yaml", "--out", "plan.json"]).ends(0);
    place.run(&["apply", "plan.json", "--yes"]).ends(64).says("pass `--policy policy.yaml`");
    assert!(place.live("acme").is_empty(), "nothing is made");
    place.run(&["apply", "plan.json", "--policy", "policy.yaml", "--yes"]).ends(0);
    place.converged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_access_is_denied_by_whatever_name() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "full_access: { default: deny }\n");
    let key = |scopes: &str| manifest(&format!("  admin: {{ scopes: {scopes}, protect: true }}\n"));
    place.write("gridkey.yaml", &key("[mail.send]"));
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(0);
    let before = place.world();
    let all = place.run(&["scopes", "list"]).out;
    let rows = all.lines().filter(|row| row.contains("  restricted  "));
    let scopes: Vec<&str> = rows.filter_map(|row| row.split_whitespace().next()).collect();
    assert!(scopes.len() > 200, "{all}");
    place.write("gridkey.yaml", &key(&format!("[{}]", scopes.join(", "))));
    place.plan(&["--policy", "policy.yaml"]).blocks("full_access");
    place.plan(&[]).blocks("protected");
    place.run(&["apply", "--policy", "policy.yaml", "--yes"]).ends(3);
    assert_eq!(place.world(), before, "nothing is done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_a_policy_file_for_an_environment_is_pointed_out() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &staged("  prod: {}\n", "  mailer: { scopes: [mail.send] }\n"));
    place.write("policy.yaml", "max_deletions: { prod: { share: 0%, at_least: 0 } }\n");
    place.run(&["plan", "--policy", "policy.yaml"]).ends(0).says("goes by account: it holds for nothing");
}
