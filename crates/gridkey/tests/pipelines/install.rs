//! How pipelines come by a gridkey, and what the smaller scripts say.

use crate::support::{Place, can_run, executable, root};

/// Is cargo as far as `install` goes: puts a program where it is told to.
const CARGO: &str = r####"#!/usr/bin/env bash
set -euo pipefail
printf 'cargo %s\n' "$*" >>"$STUB_LOG"
mkdir -p "$6/bin"
printf '#!/usr/bin/env bash\n' >"$6/bin/gridkey"
chmod +x "$6/bin/gridkey"
"####;

fn without_gridkey() -> Place {
    let place = Place::new();
    std::fs::remove_file(&place.gridkey).unwrap();
    executable(&place.path("programs/cargo"), CARGO);
    place
}

#[test]
fn a_gridkey_on_the_path_is_taken() {
    if !can_run() {
        return;
    }
    for how in ["auto", "path"] {
        let place = Place::new().with("GRIDKEY_INSTALL", how).with("GRIDKEY_ONLY_KEY", "true");
        place.run("install").ends(0);
        assert_eq!(place.read("outputs"), format!("bin={}\n", place.gridkey.display()));
    }
    without_gridkey().with("GRIDKEY_INSTALL", "path").run("install").ends(1).says("no gridkey on PATH");
    Place::new()
        .with("GRIDKEY_INSTALL", "latest")
        .run("install")
        .ends(1)
        .says("none of auto, path and build");
}

#[test]
fn otherwise_it_is_built_once() {
    if !can_run() {
        return;
    }
    let mut place = without_gridkey().with("GRIDKEY_ROOT", "built").with("GRIDKEY_ONLY_KEY", "true");
    place.run("install").ends(0);
    let key = place.read("outputs");
    assert!(key.starts_with("key=gridkey-") && key.trim_end().len() > 40, "{key}");
    assert!(place.calls().is_empty(), "only the name of the cache was asked for");

    place.set("GRIDKEY_ONLY_KEY", "");
    for _ in 0..2 {
        place.run("install").ends(0);
    }
    let source = root().canonicalize().unwrap().join("crates/gridkey");
    assert_eq!(
        place.calls(),
        format!("cargo install --locked --path {} --root built\n", source.display()),
        "the second run finds what the first has built"
    );
    assert!(place.read("outputs").ends_with("/built/bin/gridkey\n"));
}

#[test]
fn drift_is_shown_and_fails_the_job() {
    if !can_run() {
        return;
    }
    for (code, outputs) in [
        (0, "exit-code=0\nchanges=false\nblocked=false\n"),
        (2, "exit-code=2\nchanges=true\nblocked=false\n"),
        (3, "exit-code=3\nchanges=false\nblocked=true\n"),
    ] {
        let place =
            Place::new().with("STUB_drift", &code.to_string()).with("STUB_TEXT", "a scope was added by hand");
        let said = place.run("drift");
        said.ends(code);
        assert_eq!(said.err.contains("a scope was added by hand"), code == 2, "{}", said.err);
        assert!(place.read("summary.md").contains("a scope was added by hand"));
        assert_eq!(place.read("outputs"), outputs);
    }
}
