//! Commands: the secret on standard input alone, and no outcome taken for another.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};

use gridkey_core::SinkLocation;
use gridkey_core::SinkSettings;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::CommandSettings;
use gridkey_engine::ports::{PutError, SinkError, SinkFault, SinkReader, SinkWriter};
use gridkey_engine::secret::Secret;
use gridkey_sinks::Sinks;

use super::{at, holds, key, secret};

fn sinks(folder: &Path) -> Sinks {
    Sinks::new(folder.to_path_buf(), vec![PathBuf::from("/usr/bin"), PathBuf::from("/bin")])
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_string).to_vec()
}

fn command(put: &str, read: Option<&str>, remove: Option<&str>) -> SinkLocation {
    let (read, remove) = (read.map(shell), remove.map(shell));
    at(SinkSettings::Command(CommandSettings {
        put: shell(put),
        read,
        absent_exit: Vec::new(),
        remove,
        env: Vec::new(),
    }))
}

async fn unclear(put: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let location = command(put, None, None);
    match sinks(folder.path()).put(&location, &secret('a'), &SinkContent::Empty, None).await {
        Err(PutError::Unclear(error)) => error.message,
        other => panic!("it should be unclear: {other:?}"),
    }
}

#[tokio::test]
async fn the_secret_is_on_standard_input_exactly_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let location = command("cat > stored; env > environment; echo \"$@\" > arguments", None, None);
    sinks(folder.path()).put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("stored"), key('a'), "without a line end");
    assert!(!read("environment").contains("SG.") && !read("arguments").contains("SG."));
}

/// A pipeline's environment is full of secrets. Cargo sets the variables that stand for them here.
#[tokio::test]
async fn a_command_gets_what_it_needs_of_the_environment_and_what_it_lists() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(folder.path());
    let environment = |name: &str, env: &[&str]| {
        let all = shell(&format!("cat > {name}.stored; env > {name}"));
        let read = Some(shell(&format!("env > {name}.read; cat {name}.stored 2>&- || true")));
        let remove = Some(shell(&format!("env > {name}.remove")));
        let env = env.iter().map(ToString::to_string).collect();
        at(SinkSettings::Command(CommandSettings { put: all, read, absent_exit: Vec::new(), remove, env }))
    };
    let (plain, listing) = (
        environment("plain", &[]),
        environment("listing", &["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "NOT_SET_ANYWHERE"]),
    );
    for location in [&plain, &listing] {
        sinks.put(location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
        sinks.remove(location).await.unwrap();
    }
    let names = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_string())).collect()
    };
    for operation in ["", ".read", ".remove"] {
        let plain = names(&format!("plain{operation}"));
        assert!(plain.contains(&"PATH".to_string()), "{plain:?}");
        assert!(!plain.iter().any(|name| name.starts_with("CARGO")), "{plain:?}");
        let listing = names(&format!("listing{operation}"));
        let given: Vec<_> = listing.iter().filter(|name| name.starts_with("CARGO")).collect();
        assert_eq!(given.len(), 2, "{listing:?}");
    }
}

#[tokio::test]
async fn a_command_that_fails_names_the_variable_that_is_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let put = shell("echo permission denied >&2; exit 1");
    let env = vec!["PATH".to_string(), "NOT_SET_ANYWHERE".to_string()];
    let location = at(SinkSettings::Command(CommandSettings {
        put,
        read: None,
        absent_exit: Vec::new(),
        remove: None,
        env,
    }));
    let result = sinks(folder.path()).put(&location, &secret('a'), &SinkContent::Empty, None).await;
    let Err(PutError::Unclear(SinkError { message, .. })) = result else {
        panic!("it should be unclear: {result:?}")
    };
    assert!(message.contains("`NOT_SET_ANYWHERE`, which its `env` lists, is not set"), "{message}");
}

#[tokio::test]
async fn a_command_sink_that_shows_its_secret_is_compared_before_it_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(folder.path());
    let location = command(
        "cat > stored; echo >> count",
        Some("test ! -e stored || cat stored; echo"),
        Some("rm stored"),
    );
    sinks.check(&location).await.unwrap();
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('a')));
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("count")).unwrap().lines().count(), 1);
    let other = sinks.put(&location, &secret('b'), &SinkContent::Empty, None).await;
    assert!(matches!(other, Err(PutError::Refused(_))), "{other:?}");
    assert_eq!(sinks.read(&location).await.unwrap().unwrap().expose(), key('a'));
    sinks.remove(&location).await.unwrap();
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
}

/// Each program has codes of its own, and one that has a single code for all that is wrong is asked by a script that tells them apart.
#[tokio::test]
async fn an_exit_code_can_say_that_nothing_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(folder.path());
    let reading = |script: &str, absent_exit: &[u8]| {
        let (put, read) = (shell("cat > stored"), Some(shell(script)));
        let absent_exit = absent_exit.to_vec();
        at(SinkSettings::Command(CommandSettings { put, read, absent_exit, remove: None, env: Vec::new() }))
    };
    let script = "test -e stored || { echo No value found >&2; exit 2; }; cat stored";
    let (knowing, other) = (reading(script, &[2, 44]), reading(script, &[44]));
    assert_eq!(sinks.observe(&knowing, None).await, SinkObservation::Holds(SinkContent::Empty));
    let SinkObservation::Unreadable(message) = sinks.observe(&other, None).await else {
        panic!("2 is a failure")
    };
    assert!(message.contains("exit code 2: No value found"), "{message}");
    sinks.put(&knowing, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!(sinks.observe(&knowing, None).await, SinkObservation::Holds(holds('a')));
}

#[tokio::test]
async fn a_command_that_only_takes_is_write_only() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(folder.path());
    let location = command("cat > stored", None, None);
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::WriteOnly);
    assert!(matches!(sinks.read(&location).await, Err(SinkError { fault: SinkFault::Unsupported, .. })));
    assert!(matches!(sinks.remove(&location).await, Err(SinkError { fault: SinkFault::Unsupported, .. })));
    assert_eq!(sinks.path_of(&location), None);
}

#[tokio::test]
async fn a_failing_put_is_unclear_and_what_it_said_shows_no_secret() {
    let said =
        "read -r key; echo \"bad $key and ${key##*.}; SG.other.key\" >&2; printf '\\033[1m' >&2; exit 3";
    let message = unclear(said).await;
    assert!(message.starts_with("`sh` ended with exit code 3: bad SG.… and …; SG.…"), "{message}");
    assert!(!message.contains("aaaa") && !message.contains('\u{1b}'), "{message}");
    assert!(unclear("kill -9 $$").await.contains("signal"));
}

#[tokio::test]
async fn a_failing_remove_has_cleared_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let location = command("cat > stored", None, Some("echo no access >&2; exit 1"));
    let removed = sinks(folder.path()).remove(&location).await;
    let says = "`sh` ended with exit code 1: no access";
    assert!(matches!(&removed, Err(SinkError { message, .. }) if message == says), "{removed:?}");
}

/// The secret is longer than a pipe, so that it waits to be read.
#[tokio::test]
async fn a_put_that_does_not_read_its_secret_has_not_stored_it() {
    let folder = tempfile::tempdir().unwrap();
    let long = Secret::from("x".repeat(1 << 20));
    let put = sinks(folder.path()).put(&command("true", None, None), &long, &SinkContent::Empty, None).await;
    let says = "`sh` ended well without reading the secret";
    assert!(matches!(&put, Err(PutError::Unclear(SinkError { message, .. })) if message == says), "{put:?}");
}

#[tokio::test]
async fn a_command_may_say_more_than_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let much = "head -c 3000000 /dev/zero | tr '\\0' x";
    let location = command(&format!("{much}; {much} >&2; cat > stored"), Some(much), None);
    let write_only = command(&format!("{much}; {much} >&2; cat > stored"), None, None);
    let sinks = sinks(folder.path());
    sinks.put(&write_only, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    let SinkObservation::Unreadable(message) = sinks.observe(&location, None).await else {
        panic!("too much")
    };
    assert!(message.contains("printed more than 8192 bytes"), "{message}");
    let message = unclear(&format!("{much} >&2; exit 1")).await;
    assert!(message.len() < 500, "{message}");
}

#[tokio::test]
async fn a_read_that_fails_is_unreadable_and_nothing_is_put_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(folder.path());
    let location = command("cat > stored", Some("echo no access >&2; exit 1"), None);
    let says = "`sh` ended with exit code 1: no access";
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Unreadable(says.to_string()));
    let put = sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await;
    assert!(matches!(put, Err(PutError::Refused(SinkError { message, .. })) if message == says));
    assert!(!folder.path().join("stored").exists());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_found_by_the_check_and_refused_by_the_put() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(folder.path());
    let program = |name: &str| {
        let put = vec![name.to_string()];
        at(SinkSettings::Command(CommandSettings {
            put,
            read: None,
            remove: None,
            absent_exit: Vec::new(),
            env: Vec::new(),
        }))
    };
    for (name, says) in
        [("no-such-program", "is in no folder of `PATH`"), ("./store", "not an executable file")]
    {
        let message = sinks.check(&program(name)).await.unwrap_err().to_string();
        assert!(message.contains(says) && message.contains("install it"), "{message}");
        let put = sinks.put(&program(name), &secret('a'), &SinkContent::Empty, None).await;
        assert!(matches!(put, Err(PutError::Refused(_))), "{put:?}");
    }
    fs::write(folder.path().join("store"), "#!/bin/sh\n").unwrap();
    assert!(sinks.check(&program("./store")).await.is_err(), "it may not be run");
    fs::set_permissions(folder.path().join("store"), fs::Permissions::from_mode(0o755)).unwrap();
    sinks.check(&program("./store")).await.unwrap();
    let nothing = at(SinkSettings::Command(CommandSettings {
        put: Vec::new(),
        read: None,
        absent_exit: Vec::new(),
        remove: None,
        env: Vec::new(),
    }));
    assert!(sinks.check(&nothing).await.unwrap_err().to_string().contains("the command is empty"));
}
