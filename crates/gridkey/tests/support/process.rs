//! The real process, as every test starts it.

use std::path::Path;
use std::process::{Command, Stdio};

/// The process, with nothing of the surroundings that it would listen to.
pub fn gridkey(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridkey"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in [
        "CI",
        "COLUMNS",
        "GRIDKEY_CONCURRENCY",
        "GRIDKEY_ENV",
        "GRIDKEY_MANIFEST",
        "SENDGRID_API_KEY",
        "GITHUB_RUN_ID",
        "CI_PIPELINE_ID",
    ] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
    command
}
