//! Policies: what their rules name, and that a rule that can hold for nothing is an error.

use gridkey_core::manifest::{LoadedPolicy, RequiredSink, SourceFile, load_policy, policy_schema};
use gridkey_core::sink::{DotenvSettings, VaultSettings};
use gridkey_core::text::diagnostic::Diagnostics;
use gridkey_core::{Name, SinkLocation, SinkSettings};

fn read(text: &str) -> Result<LoadedPolicy, Diagnostics> {
    load_policy(&SourceFile { name: "policy.yaml".to_string(), bytes: text.as_bytes().to_vec() })
}

fn location(name: &str, at: SinkSettings) -> SinkLocation {
    SinkLocation::new(Name::new(name).unwrap(), at)
}

/// A manifest's author names sinks: a dotenv file that is called `vault` must not pass for one.
#[test]
fn a_sink_that_a_policy_file_requires_is_met_by_its_kind_and_not_by_its_name() {
    let dotenv = SinkSettings::Dotenv(DotenvSettings::new(".env", "KEY"));
    let vault = SinkSettings::Vault(VaultSettings {
        address: Some("https://vault.internal".into()),
        mount: "secret".into(),
        path: "mailer".into(),
        field: "key".into(),
        ..VaultSettings::default()
    });
    for text in ["require_sink: [vault]", "require_sink: [\"kind:vault\"]"] {
        let policy = read(text).expect("it is a policy").policy.policy;
        let required: Vec<&RequiredSink> = policy.require_sink.default.iter().flatten().collect();
        assert_eq!(required.len(), 1);
        assert_eq!(required[0].to_string(), "kind:vault");
        assert!(!required[0].is_met_by(&location("vault", dotenv.clone())));
        assert!(required[0].is_met_by(&location("anything", vault.clone())));
    }
}

#[test]
fn a_policy_file_names_kinds_that_there_are() {
    for (text, meant) in [
        ("require_sink: [valt]", "did you mean `vault`?"),
        ("require_sink: [backup]", "`backup` is not a kind of sink"),
        ("require_sink: { default: [\"kind:dotnev\"] }", "did you mean `kind:dotenv`?"),
    ] {
        let found = read(text).expect_err("it is refused");
        assert!(found.to_text().contains(meant), "{}", found.to_text());
        let validator = jsonschema::draft202012::new(&policy_schema()).unwrap();
        let document: serde_json::Value = serde_yaml::from_str(text).unwrap();
        assert!(!validator.is_valid(&document), "{text}");
    }
}

#[test]
fn a_rule_for_billing_scopes_forbids_them_or_is_an_error() {
    for good in ["billing.*", "billing.read"] {
        let policy = read(&format!("forbid_scopes: [\"{good}\"]")).expect("it is a policy").policy.policy;
        let forbidden = policy.forbid_scopes.default.expect("it is said");
        assert!(forbidden[0].covers(&gridkey_core::Scope::new("billing.read")), "{good}");
    }
    for level in ["billing:read", "billing:full"] {
        let found =
            read(&format!("forbid_scopes: [\"{level}\"]")).expect_err("a level covers no billing scope");
        assert!(found.to_text().contains("`billing.read`"), "{}", found.to_text());
    }
}
