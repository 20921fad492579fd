//! Doubles are judged by the vendors' own clients, which `.ci/servers` installs.

use std::path::Path;
use std::process::Stdio;

/// Whether the judge says that a double behaves as its client expects. `None`, and a word about it, where the client is not
/// installed, unless `GRIDKEY_REQUIRE_…` says that it has to be.
pub async fn judge(name: &str, arguments: &[&str]) {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = crate_folder.join(format!("../../target/servers/judges-{name}/bin/python"));
    if !python.is_file() {
        let required = format!("GRIDKEY_REQUIRE_JUDGES_{}", name.to_uppercase());
        let reason =
            format!("{} is not there: .ci/servers/judges-github-gitlab installs it", python.display());
        assert!(std::env::var_os(required).is_none(), "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let script = crate_folder.join(format!("tests/contract/judges/{name}_judge.py"));
    let mut command = tokio::process::Command::new(python);
    command.arg(script).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"judged\n", "{said}");
}
