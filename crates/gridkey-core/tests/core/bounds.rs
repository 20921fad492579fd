//! Bounds: a small file that asks for much is refused before the work is done. Counted, not timed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use gridkey_core::manifest::{Loaded, SourceFile, WantedAccess, load};
use gridkey_core::text::diagnostic::Diagnostics;

use crate::corpus::folder;

fn read(text: &str) -> Result<Loaded, Diagnostics> {
    load(&[SourceFile { name: "gridkey.yaml".to_string(), bytes: text.as_bytes().to_vec() }], &[])
}

/// A manifest with one account, and what else is said.
fn with(rest: &str) -> String {
    format!(
        "version: 1\naccounts: {{ acme: {{ api_key: {{ env: KEY }} }} }}\n\
         sinks: {{ local: {{ dotenv: {{ path: \".env.{{account}}\", variable: \"{{KEY}}\" }} }} }}\n{rest}"
    )
}

/// So many accounts with so many keys each, by fan-out.
fn fanned(accounts: usize, keys: usize) -> String {
    let mut text = "version: 1\ndefaults: { sinks: [local] }\nenvironments: { all: { accounts: [\"a*\"] } }\n\
        sinks: { local: { dotenv: { path: \".env.{account}\", variable: \"{KEY}\" } } }\naccounts:\n  p: { api_key: { env: KEY } }\n"
        .to_string();
    for account in 0..accounts {
        let _ = writeln!(text, "  a{account}: {{ parent: p, subuser: s{account} }}");
    }
    text.push_str("keys:\n");
    for key in 0..keys {
        let _ = writeln!(text, "  k{key}: {{ scopes: [\"all:read\"] }}");
    }
    text
}

/// What a refusal says is short, whatever it is about, and it is about this alone. Without its place, which is long here.
fn check(text: &str, code: &str) -> String {
    let found = read(text).expect_err("it is refused");
    let codes: Vec<_> = found.errors.iter().map(|error| error.code).collect();
    assert!(codes.contains(&code), "{codes:?} for {code}");
    let said: usize = found
        .errors
        .iter()
        .map(|error| error.message.len() + error.help.as_ref().map_or(0, String::len))
        .sum();
    assert!(said < 5_000, "{said} bytes are said of {code}");
    assert!(found.errors.len() <= 1_000);
    words(&found, code)
}

/// The message and the help of the error with a code.
fn words(found: &Diagnostics, code: &str) -> String {
    let error = found.errors.iter().find(|error| error.code == code);
    let error = error.unwrap_or_else(|| panic!("no {code} in {:?}", found.errors));
    let help = error.help.as_ref().map(|help| format!("\n  = help: {help}")).unwrap_or_default();
    format!("error: {}{help}\n", error.message)
}

/// Checks messages against the snapshot of this name; `INSTA_UPDATE=always` writes it anew.
fn shows(name: &str, said: BTreeSet<String>) {
    let text = said.into_iter().collect::<Vec<_>>().join("\n");
    insta::with_settings!({
        snapshot_path => folder("bounds"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn keys_are_counted_before_they_are_resolved() {
    let found = read(&fanned(700, 700)).expect_err("it is refused");
    let codes: Vec<_> = found.errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, ["too_many_keys"], "no key was looked at");
    assert_eq!(found.errors[0].message, "the manifest comes to 490000 keys, and it may have 100000");
    shows("keys", [words(&found, "too_many_keys")].into());
}

#[test]
fn keys_with_the_same_scopes_share_them() {
    let loaded = read(&fanned(20, 5)).expect("it is a manifest");
    let scopes: Vec<_> = loaded
        .manifest
        .keys
        .values()
        .filter(|key| key.address.key.as_str() == "k0")
        .filter_map(|key| match &key.access {
            WantedAccess::Restricted(scopes) => Some(std::sync::Arc::as_ptr(scopes)),
            WantedAccess::Billing(_) | WantedAccess::Full => None,
        })
        .collect();
    assert_eq!(scopes.len(), 20);
    assert!(scopes.iter().all(|other| *other == scopes[0]), "they are held once");
}

#[test]
fn locations_are_counted_before_they_are_resolved() {
    let mut text = fanned(900, 100).replace("sinks: [local] }\nenv", "sinks: [@] }\nenv");
    let sinks: Vec<_> = (0..10).map(|at| format!("{{ local: {{ path: \"{at}/{{account}}\" }} }}")).collect();
    text = text.replace('@', &sinks.join(", "));
    shows("locations", [check(&text, "too_many_locations")].into());
}

#[test]
fn texts_are_bounded_wherever_they_stand() {
    let long = "x".repeat(900_000);
    let mut said = BTreeSet::new();
    for rest in [
        format!("keys: {{ mailer: {{ scopes: [{long}] }} }}\n"),
        format!("keys: {{ mailer: {{ scopes: [\"{long}:read\"] }} }}\n"),
        format!("keys: {{ mailer: {{ name: {long}, scopes: [mail.send] }} }}\n"),
        format!("moved: [{{ from: {long}, to: x }}]\n"),
        format!("policy: {{ allow: [{{ code: {long}, reason: x }}] }}\n"),
        format!("keys: {{ mailer: {{ access: {long} }} }}\n"),
        format!("environments: {{ prod: {{ accounts: [{long}] }} }}\n"),
    ] {
        said.insert(check(&with(&rest), "text_too_long"));
    }
    shows("texts", said);
    // YAML has a bound of its own for keys on one line.
    for rest in [
        format!("keys: {{ {long}: {{ scopes: [mail.send] }} }}\n"),
        format!("keys: {{ mailer: {{ {long}: 1 }} }}\n"),
        format!("{long}: 1\n"),
    ] {
        check(&with(&rest), "invalid_yaml");
    }
    check(&with(&format!("? {long}\n: 1\n")), "text_too_long");
}

#[test]
fn names_and_places_are_bounded_once_placeholders_are_filled_in() {
    let placeholders = "{environment}".repeat(300);
    let environment = "e".repeat(63);
    let rest = |name: &str, path: &str| {
        with(&format!(
            "environments: {{ {environment}: {{}} }}\n\
             keys: {{ mailer: {{ name: \"{name}\", scopes: [mail.send], sinks: [{{ local: {{ path: \"{path}\" }} }}] }} }}\n"
        ))
    };
    let name = check(&rest(&"{environment}".repeat(20), "x"), "invalid_key_name");
    shows("names_and_places", [name, check(&rest("x", &placeholders), "text_too_long")].into());
}

#[test]
fn lists_entries_and_blocks_are_bounded() {
    let many = |count: usize, item: &dyn Fn(usize) -> String| -> String {
        (0..count).map(item).collect::<Vec<_>>().join(", ")
    };
    let mut said = BTreeSet::new();
    for (rest, code) in [
        (
            format!("moved: [{}]\n", many(10_001, &|at| format!("{{from: a{at}, to: b{at}}}"))),
            "too_many_entries",
        ),
        (
            format!("removed: [{}]\n", many(10_001, &|at| format!("{{from: a{at}, revoke: true}}"))),
            "too_many_entries",
        ),
        (
            format!("moved: [{}]\n", many(201, &|at| format!("{{from: a{at}*, to: b{at}*}}"))),
            "too_many_patterns",
        ),
        (
            format!("removed: [{}]\n", many(201, &|at| format!("{{from: a{at}*, revoke: true}}"))),
            "too_many_patterns",
        ),
        (
            format!("policy: {{ require_owner: {{ {} }} }}\n", many(201, &|at| format!("a{at}*: true"))),
            "too_many_patterns",
        ),
        (format!("scope_sets: {{ a: [{}] }}\n", many(1_001, &|at| format!("s{at}"))), "list_too_long"),
        (
            format!("scope_sets: {{ {} }}\n", many(10_001, &|at| format!("a{at}: [mail.send]"))),
            "too_many_blocks",
        ),
        (
            format!("keys: {{ {} }}\n", many(10_001, &|at| format!("a{at}: {{access: full}}"))),
            "too_many_blocks",
        ),
        (
            format!(
                "keys: {{ a: {{ access: full, sinks: [{{ local: {{ path: [{}] }} }}] }} }}\n",
                many(1_001, &|at| format!("s{at}"))
            ),
            "list_too_long",
        ),
    ] {
        said.insert(check(&with(&rest), code));
    }
    shows("lists_entries_and_blocks", said);
}

#[test]
fn problems_are_bounded_and_how_many_there_are_is_said() {
    let keys: String =
        (0..3_000).map(|at| format!("  k{at}: {{ scopez: [mail.send], sinks: [local] }}\n")).collect();
    let found = read(&with(&format!("keys:\n{keys}"))).expect_err("it is refused");
    assert!(found.errors.len() <= 1_001, "{}", found.errors.len());
    shows("problems", [words(&found, "too_many_problems")].into());
}

#[test]
fn files_are_bounded_together() {
    let text = format!("version: 1\n# {}\n", "x".repeat((1 << 20) - 100));
    let files: Vec<_> = (0..18)
        .map(|at| SourceFile { name: format!("{at}.yaml"), bytes: text.as_bytes().to_vec() })
        .collect();
    let found = load(&files, &[]).expect_err("it is refused");
    assert_eq!(found.errors.iter().map(|error| error.code).collect::<Vec<_>>(), ["files_too_large"]);
    let one = check(&format!("version: 1\n# {}\n", "x".repeat(1 << 20)), "file_too_large");
    shows("files", [words(&found, "files_too_large"), one].into());
}
