//! Manifests: what is read from good ones, and what is said about bad ones.

use std::fmt::Write as _;

use gridkey_core::Name;
use gridkey_core::manifest::{Loaded, Manifest, SourceFile, WantedAccess, WantedKey, load};
use gridkey_core::text::diagnostic::Diagnostics;
use proptest::prelude::*;

use crate::corpus::{Case, cases, folder};

/// Checks a case against the snapshot beside it; `INSTA_UPDATE=always` writes it anew.
fn check(kind: &str, case: &Case, text: &str) {
    insta::with_settings!({
        snapshot_path => folder(kind),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(case.name.as_str(), text) });
}

/// What there is to say about a manifest: how it is resolved, or what is wrong with it.
fn outcome(sources: &[SourceFile], requested: &[Name]) -> Result<String, String> {
    let Loaded { manifest, warnings, unknown_scopes, sources } =
        load(sources, requested).map_err(|found: Diagnostics| found.to_text())?;
    let all = warnings.iter().chain(&unknown_scopes);
    let said: String = all.map(|warning| warning.to_text(&sources) + "\n").collect();
    if unknown_scopes.is_empty() { Ok(said + &summary(&manifest)) } else { Err(said) }
}

#[test]
fn every_bad_manifest_is_refused_with_every_error_in_its_place() {
    for case in cases("bad") {
        match outcome(&case.sources, &case.requested) {
            Err(text) => check("bad", &case, &text),
            Ok(text) => panic!("`{}` was read:\n{text}", case.name),
        }
    }
}

#[test]
fn every_good_manifest_is_read_and_resolved() {
    for case in cases("good") {
        match outcome(&case.sources, &case.requested) {
            Ok(text) => check("good", &case, &text),
            Err(text) => panic!("`{}` was refused:\n{text}", case.name),
        }
    }
}

/// A resolved manifest, short enough to be read in a review.
fn summary(manifest: &Manifest) -> String {
    let Manifest {
        project,
        state,
        accounts,
        sinks,
        environments,
        patterns,
        keys,
        moved,
        import,
        removed,
        policy,
        sources: _,
    } = manifest;
    let mut text = format!("project {project}\nstate {state:?}\n\n");
    for account in accounts.values() {
        let identity = account.identity();
        let _ = writeln!(
            text,
            "account {} parent={:?} {:?} {:?} {:?} plan={:?} limit={} max={:?}",
            account.name,
            identity.parent.map(String::from),
            identity.region,
            identity.on_behalf_of,
            account.api_key,
            account.plan_api_key,
            account.key_limit,
            account.max_keys
        );
    }
    for (name, sink) in sinks {
        let _ = writeln!(text, "sink {name} {}", sink.kind());
    }
    for environment in environments.values() {
        let accounts: Vec<_> = environment.accounts.iter().map(Name::as_str).collect();
        let _ = writeln!(
            text,
            "environment {} accounts={accounts:?} fan_out={} pattern={:?} ttl={:?} max={:?}",
            environment.name, environment.fan_out, environment.pattern, environment.ttl, environment.max_keys
        );
    }
    for pattern in patterns.values() {
        let accounts: Vec<_> = pattern.accounts.iter().map(Name::as_str).collect();
        let _ = writeln!(
            text,
            "pattern {} accounts={accounts:?} ttl={:?} max={:?}",
            pattern.pattern, pattern.ttl, pattern.max_keys
        );
    }
    keys.values().for_each(|key| describe(key, &mut text));
    let rest = format!("moved {moved:#?}\nimport {import:#?}\nremoved {removed:#?}\npolicy {policy:#?}\n");
    text + "\n" + &rest
}

fn describe(key: &WantedKey, text: &mut String) {
    let WantedKey {
        address,
        account,
        name,
        access,
        sinks,
        hooks,
        owner,
        description,
        protect,
        rotate,
        ttl: _,
        on_delete,
        position,
    } = key;
    let _ = writeln!(text, "\nkey {address} in {account}, `{name}`, at {position}");
    let _ = match access {
        WantedAccess::Full => writeln!(text, "  full"),
        WantedAccess::Restricted(scopes) | WantedAccess::Billing(scopes) => {
            let written: Vec<_> = scopes.written.iter().map(|scope| scope.as_str()).collect();
            let expanded: Vec<_> =
                scopes.expanded.iter().map(|(scope, pattern)| format!("{scope} ({pattern})")).collect();
            writeln!(text, "  {} {} {}", access.kind(), written.join(" "), expanded.join(" "))
        }
    };
    let _ = writeln!(text, "  owner={owner:?} description={description:?} protect={protect}");
    let _ = writeln!(text, "  rotate={rotate:?} on_delete={on_delete:?}");
    for sink in sinks {
        let _ = writeln!(text, "  → {sink}");
    }
    for hook in hooks {
        let _ = writeln!(text, "  then {}: {}", hook.whose(), hook.does);
    }
}

fn file(bytes: impl Into<Vec<u8>>) -> SourceFile {
    SourceFile { name: "gridkey.yaml".to_string(), bytes: bytes.into() }
}

/// The codes of what is wrong with one file.
fn codes(bytes: impl Into<Vec<u8>>) -> Vec<&'static str> {
    let found = load(&[file(bytes)], &[]).expect_err("it is refused");
    found.errors.iter().map(|error| error.code).collect()
}

#[test]
fn a_file_of_ten_megabytes_is_refused_before_it_is_read() {
    let text = format!("version: 1\n# {}\n", "x".repeat(10 << 20));
    let found = load(&[file(text)], &[]).expect_err("it is refused");
    assert_eq!(found.errors.len(), 1);
    assert_eq!(found.errors[0].message, "the file has 10.0 MiB, and a manifest at most 1 MiB");
}

#[test]
fn deep_nesting_is_refused() {
    assert_eq!(codes("[".repeat(100_000)), ["yaml_limit"]);
    assert_eq!(codes(format!("version: 1\nkeys: {}x", "{ a: ".repeat(200))), ["yaml_limit"]);
}

#[test]
fn a_recursive_alias_is_refused() {
    assert_eq!(codes("version: 1\nkeys: &a { a: *a }\n"), ["yaml_limit"]);
}

#[test]
fn scope_sets_that_nest_without_end_are_refused() {
    let sets: String = (0..5000).map(|at| format!("  s{at}: [\"set:s{}\"]\n", at + 1)).collect();
    let text = format!(
        "version: 1\naccounts: {{ acme: {{ api_key: {{ env: KEY }} }} }}\nscope_sets:\n{sets}  s5000: [mail.send]\n"
    );
    assert!(codes(text).iter().all(|code| *code == "scope_set_nesting"));
}

#[test]
fn too_many_files_and_none_are_refused() {
    let many: Vec<_> = (0..1001).map(|_| file("version: 1\n")).collect();
    for sources in [&many[..], &[]] {
        let found = load(sources, &[]).expect_err("it is refused");
        assert_eq!(found.errors.iter().map(|error| error.code).collect::<Vec<_>>(), ["no_files"]);
        let name = if sources.is_empty() { "no_files" } else { "too_many_files" };
        let case = Case { name: name.to_string(), sources: Vec::new(), requested: Vec::new() };
        check("bounds", &case, &found.to_text());
    }
}

#[test]
fn an_editor_that_writes_a_byte_order_mark_and_windows_lines_does_no_harm() {
    let text = "\u{feff}version: 1\r\naccounts:\r\n  acme: { api_key: { env: KEY } }\r\nkeys: { mailer: { scopes: [mail.sent] } }\r\n";
    let found = load(&[file(text)], &[]).expect_err("the key has no sink");
    let text = found.to_text();
    assert!(text.contains("gridkey.yaml:4:9\n"), "{text}");
    assert!(text.contains("4 | keys: { mailer: { scopes: [mail.sent] } }\n"), "{text}");
}

#[test]
fn a_secret_is_nowhere_in_what_is_said_whatever_field_it_stands_in() {
    let secret = "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";
    let tail = &secret[3..];
    for case in cases("good").into_iter().chain(cases("bad")) {
        for source in &case.sources {
            let Ok(text) = String::from_utf8(source.bytes.clone()) else { continue };
            // In place of each word of the manifest, one at a time.
            for (at, word) in text.match_indices("mail").chain(text.match_indices("acme")).step_by(7) {
                let pasted = format!("{}{secret}{}", &text[..at], &text[at + word.len()..]);
                let found = load(&[file(pasted)], &case.requested).expect_err("a secret is refused");
                let said = format!("{}{:?}", found.to_text(), found.errors);
                let lower = said.to_lowercase().replace('-', "_");
                assert!(!said.contains(&tail[..12]) && !said.contains(&tail[30..]), "{said}");
                assert!(!lower.contains(&tail[..12].to_lowercase()), "{said}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = load(&[file(text)], &[]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load(&[file(bytes)], &[]);
    }

    /// A good manifest with a piece taken out, or another put in: closer to what people do.
    #[test]
    fn no_edit_makes_it_panic_and_every_error_has_its_place(
        from in 0usize..4000,
        length in 0usize..40,
        put in "[a-z{}\\[\\]:,*&!#|>\"' \n-]{0,12}",
    ) {
        let good = std::fs::read_to_string(folder("good").join("the_whole_language.yaml")).unwrap();
        let from = (from.min(good.len())..=good.len()).find(|at| good.is_char_boundary(*at)).unwrap();
        let to = ((from + length).min(good.len())..=good.len()).find(|at| good.is_char_boundary(*at)).unwrap();
        let edited = format!("{}{put}{}", &good[..from], &good[to..]);
        let lines = edited.lines().count() + 1;
        if let Err(found) = load(&[file(edited.clone())], &[]) {
            prop_assert!(!found.errors.is_empty());
            for label in found.errors.iter().chain(&found.warnings).flat_map(|error| &error.labels) {
                prop_assert!((1..=lines).contains(&label.position.line), "{label:?}");
                prop_assert!(label.span.end <= edited.len() && edited.is_char_boundary(label.span.start));
            }
        }
    }

    #[test]
    fn the_same_files_give_the_same_manifest(index in 0usize..6) {
        let cases = cases("good");
        let case = &cases[index % cases.len()];
        prop_assert_eq!(
            outcome(&case.sources, &case.requested),
            outcome(&case.sources, &case.requested)
        );
    }
}
