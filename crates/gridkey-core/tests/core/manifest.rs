//! Manifests: what is read from good ones, and what is said about bad ones.

use gridkey_core::manifest::{Loaded, load};

use crate::corpus::{Case, cases, folder};

/// Checks a case against the snapshot beside it; `INSTA_UPDATE=always` writes it anew.
fn check(kind: &str, case: &Case, text: &str) {
    insta::with_settings!({
        snapshot_path => folder(kind),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(case.name.as_str(), text) });
}

#[test]
fn every_bad_manifest_is_refused_with_every_error_in_its_place() {
    for case in cases("bad") {
        let text = match load(&case.sources, &case.requested) {
            Err(diagnostics) => diagnostics.to_text(),
            Ok(Loaded { unknown_scopes, sources, .. }) => {
                assert!(!unknown_scopes.is_empty(), "`{}` was read", case.name);
                unknown_scopes.iter().map(|found| found.to_text(&sources)).collect::<Vec<_>>().join("\n")
            }
        };
        check("bad", &case, &text);
    }
}

#[test]
fn every_good_manifest_is_read_and_resolved() {
    for case in cases("good") {
        let loaded = match load(&case.sources, &case.requested) {
            Ok(loaded) => loaded,
            Err(diagnostics) => panic!("`{}` was refused:\n{}", case.name, diagnostics.to_text()),
        };
        assert!(loaded.unknown_scopes.is_empty(), "`{}`: {:?}", case.name, loaded.unknown_scopes);
        let Loaded { manifest, warnings, sources, .. } = loaded;
        let warnings: String = warnings.iter().map(|warning| warning.to_text(&sources)).collect();
        check("good", &case, &format!("{warnings}{manifest:#?}"));
    }
}
