//! Programs that `.ci/run` put below `target/servers`, and that tests use where they are there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program, or that it is not here: an error where the variable `GRIDKEY_REQUIRE_…` says that it has to be.
pub fn program(path: &str, required: &str) -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers").join(path);
    if let Ok(found) = installed.canonicalize() {
        return Some(found);
    }
    let is_required = std::env::var_os(format!("GRIDKEY_REQUIRE_{required}")).is_some();
    assert!(!is_required, "no {path} in target/servers; run .ci/servers/{}", required.to_lowercase());
    println!("skipped: no {path} in target/servers; .ci/servers/{} puts it there", required.to_lowercase());
    None
}

/// What the program printed; it has to end well.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// A new age identity in a file of a folder, and its public key.
pub fn identity(keygen: &Path, file: &Path) -> String {
    run(Command::new(keygen).arg("-o").arg(file));
    run(Command::new(keygen).arg("-y").arg(file)).trim().to_string()
}
