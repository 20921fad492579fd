//! Clients of vendors, as judges of the doubles of their services.

use std::path::{Path, PathBuf};
use std::process::Stdio;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a judge, which a script of `.ci/servers` has installed; it ends badly where the double is not as the
/// vendor's client expects. It is skipped where it is not installed, unless `GRIDKEY_REQUIRE_JUDGES_…` says that it has to be.
pub async fn judges(name: &str, script: &str, arguments: &[&str]) {
    let python = root().join(format!("target/servers/judges-{name}/bin/python"));
    if !python.is_file() {
        let required = format!("GRIDKEY_REQUIRE_JUDGES_{}", name.to_uppercase());
        let reason = format!("the judge of {name} is not installed; a script of `.ci/servers` does that");
        assert!(std::env::var_os(required).is_none(), "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let script = root().join(format!("crates/gridkey-sinks/tests/contract/judges/{script}.py"));
    let mut command = tokio::process::Command::new(python);
    command.arg("-B").arg(script).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
