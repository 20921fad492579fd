//! What reaches the disk, in which order and for whom: what no answer shows, and a loss of power or another user would.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gridkey_core::inventory::SinkContent;
use gridkey_engine::ports::SinkWriter;
use gridkey_sinks::Sinks;

use super::{dotenv, holds, secret};

/// Names the folder, in the child that is traced.
const FOLDER: &str = "GRIDKEY_TEST_DISK_FOLDER";

/// The child of the test below; of no effect where it is run as a test.
#[tokio::test]
async fn edits_where_a_test_asks_it_to() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let sinks = Sinks::new(folder.into(), Vec::new());
    let location = dotenv("a/b/.env", "KEY");
    sinks.check(&location).await.unwrap();
    sinks.put(&location, &secret('a'), &SinkContent::Empty).await.unwrap();
    let other = dotenv("a/b/.env", "OTHER");
    sinks.put(&other, &secret('b'), &SinkContent::Empty).await.unwrap();
    sinks.put(&other, &secret('b'), &holds('b')).await.unwrap();
    // The other variable stays, as a file that becomes empty is not written.
    sinks.remove(&location).await.unwrap();
}

#[test]
fn a_file_is_made_durable_before_and_after_it_takes_the_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let Some(calls) = calls_of("disk::edits_where_a_test_asks_it_to", &folder) else { return };
    let path = folder.join("a/b/.env");
    let new = replaced(&calls, &path, ".gridkey-", 0);
    let other = replaced(&calls, &path, ".gridkey-", new);
    // What is there already may have been written by a run that was killed before it was durable.
    let is_synced = |of: String| {
        let found = calls[other..].iter().position(|call| call.contains("sync(") && call.contains(&of));
        found.unwrap_or_else(|| panic!("{of} was not made durable:\n{}", calls.join("\n")))
    };
    let file = is_synced(format!("<{}>", path.display()));
    let cleared = replaced(&calls, &path, ".gridkey-", other);
    assert!(other + file < cleared, "before the file is cleared");
    for made in ["a", "a/b"] {
        let made = folder.join(made);
        let is_it =
            |call: &String| call.contains("mkdir") && call.contains(&format!("\"{}\"", made.display()));
        let at = calls.iter().position(is_it).expect("it was made");
        let above = format!("<{}>", made.parent().unwrap().display());
        let durable = calls[at..].iter().any(|call| call.contains("sync(") && call.contains(&above));
        assert!(durable, "`{}` could be gone after a loss of power", made.display());
    }
    let wrong = in_place_or_for_others(&calls, &folder.join("a"), "/.env");
    assert_eq!(wrong, Vec::<String>::new());
}

/// What the system was asked for while this test binary ran one of its tests in a process of its own; `None` where there is
/// no `strace`, or it may not trace.
fn calls_of(test: &str, folder: &Path) -> Option<Vec<String>> {
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
fn replaced(calls: &[String], path: &Path, temporary: &str, from: usize) -> usize {
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

/// Nothing is opened to be written in its place, and nothing is made, even for a moment, that others may read.
fn in_place_or_for_others(calls: &[String], folder: &Path, kept: &str) -> Vec<String> {
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
