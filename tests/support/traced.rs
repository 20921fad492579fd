//! Traces what one test of this binary asks the system for, in a process of its own: the order in which files reach the disk, and
//! for whom. No answer shows that; a loss of power or another user would.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Names the folder, in the child that is traced.
const FOLDER: &str = "GRIDKEY_TEST_DISK_FOLDER";

/// The folder to work in, in the child that is traced; nowhere else is there one.
pub fn folder() -> Option<std::ffi::OsString> {
    std::env::var_os(FOLDER)
}

/// What the system was asked for while this test binary ran one of its tests in a process of its own; `None` where there is
/// no `strace`, or it may not trace.
pub fn calls_of(test: &str, folder: &Path) -> Option<Vec<String>> {
    let strace = |arguments: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "0", "-e", "trace=%file,%desc", "-o"]).args(arguments);
        command.env(FOLDER, folder).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !strace(&["/dev/null", "true"]) {
        assert!(std::env::var_os("GRIDKEY_REQUIRE_STRACE").is_none(), "strace cannot be used");
        println!("skipped: no strace on this machine that may trace");
        return None;
    }
    let (log, binary) = (folder.join("calls"), std::env::current_exe().unwrap());
    assert!(strace(&[log.to_str().unwrap(), binary.to_str().unwrap(), "--exact", test]));
    let calls = fs::read_to_string(&log).unwrap();
    Some(calls.lines().filter(|call| !call.contains("resumed>")).map(str::to_string).collect())
}

/// Follows the replacement of a file through the calls, and gives the position after it.
pub fn replaced(calls: &[String], path: &Path, temporary: &str, from: usize) -> usize {
    let folder = path.parent().unwrap().display().to_string();
    let (temporary, path) = (format!("{folder}/{temporary}"), path.display().to_string());
    let mut at = from;
    for (what, name, holds) in [
        ("made for its owner alone", "openat(", &[temporary.as_str(), "O_EXCL", ", 0600"][..]),
        ("written", "write(", &[&format!("<{temporary}")]),
        ("made durable", "sync(", &[&format!("<{temporary}")]),
        ("given its name", "rename", &[&format!("\"{temporary}"), &format!("\"{path}\"")]),
        ("its folder made durable", "sync(", &[&format!("<{folder}>")]),
    ] {
        let is_it = |call: &String| call.contains(name) && holds.iter().all(|part| call.contains(*part));
        let found = calls[at..].iter().position(is_it);
        at += 1 + found.unwrap_or_else(|| panic!("`{path}` was not {what}:\n{}", calls.join("\n")));
    }
    at
}

/// A folder that was made is durable once the one above it is.
pub fn is_made_durably(calls: &[String], made: &Path) {
    let is_it = |call: &String| call.contains("mkdir") && call.contains(&format!("\"{}\"", made.display()));
    let at = calls.iter().position(is_it).expect("it was made");
    let above = format!("<{}>", made.parent().unwrap().display());
    let durable = calls[at..].iter().any(|call| call.contains("sync(") && call.contains(&above));
    assert!(durable, "`{}` could be gone after a loss of power", made.display());
}

/// Nothing is opened to be written in its place, and nothing is made, even for a moment, that others may read.
pub fn in_place_or_for_others(calls: &[String], folder: &Path, kept: &str) -> Vec<String> {
    let folder = folder.display().to_string();
    let ours = calls.iter().filter(|call| call.contains(&folder));
    let wrong = ours.filter(|call| {
        let makes = call.contains("O_CREAT") && !call.contains(", 0600");
        let opens = call.contains("mkdir") && !call.contains(", 0700");
        let rewrites = call.contains(&format!("{kept}\""))
            && (call.contains("O_WRONLY") || call.contains("O_RDWR") || call.contains("O_TRUNC"));
        let widens = call.contains("chmod") && !call.contains(", 0600") && !call.contains(", 0100600");
        makes || opens || rewrites || widens
    });
    wrong.cloned().collect()
}
