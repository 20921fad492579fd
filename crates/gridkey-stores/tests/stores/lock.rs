//! Locks: one holder at a time, and none outlives its process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gridkey_engine::ports::{LockError, StateReader, StateWriter, StoreError};
use tempfile::TempDir;

use super::{holder, name, state, store};

/// Names the folder, in the child that holds a lock there.
const FOLDER: &str = "GRIDKEY_TEST_LOCK_FOLDER";

fn text_of(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("state/mailing/acme.lock")).unwrap()
}

/// Another process that holds the lock of `acme` until its standard input ends, and what it says.
fn other_process(folder: &Path) -> (Child, impl Iterator) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::holds_a_lock_where_a_test_asks_it_to", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("locked")), "the child said nothing");
    (child, lines)
}

/// The child of the tests below; of no effect where it is run as a test.
#[tokio::test]
async fn holds_a_lock_where_a_test_asks_it_to() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = store(Path::new(&folder));
    let lock = store.lock(&name("acme"), holder("child"), Duration::ZERO).await.unwrap();
    println!("locked");
    std::io::stdin().lines().for_each(drop);
    // Neither dropped nor released: the lock must go with the process.
    std::mem::forget(lock);
}

#[tokio::test]
async fn a_lock_held_by_another_process_is_waited_for_then_named_and_dies_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (mut child, _lines) = other_process(folder.path());

    let held = store.lock(&name("acme"), holder("mine"), Duration::from_millis(150)).await;
    let Err(LockError::Held { account, holder: other }) = held else { panic!("it is held") };
    assert_eq!((account, other.run.as_str(), other.process), (name("acme"), "child", child.id()));
    assert_eq!(store.holder(&name("acme")).await.unwrap().map(|holder| holder.run), Some("child".into()));

    let Err(StoreError::Failed(message)) = store.lift(&name("acme")).await else { panic!("it is held") };
    assert!(message.contains(&format!("process {}", child.id())), "{message}");
    assert!(message.contains("`gridkey apply`") && message.contains("end it"), "{message}");
    let error = store.write(&name("acme"), &state(1), None).await.unwrap_err().to_string();
    assert!(error.contains("is locked by anna@build-7"), "{error}");

    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(text_of(&folder).contains("child"), "the text stays, and is no lock");
    assert_eq!(store.holder(&name("acme")).await.unwrap(), None);
    store.lock(&name("acme"), holder("mine"), Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_lock_left_by_a_dead_process_is_lifted_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (mut child, _lines) = other_process(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let left = store.lift(&name("acme")).await.unwrap();
    assert_eq!(left.map(|holder| holder.run), Some("child".to_string()));
    assert_eq!(store.lift(&name("acme")).await.unwrap(), None);
}

/// Between taking the lock and writing the name, for a moment.
#[tokio::test]
async fn a_holder_that_has_not_said_its_name_is_one_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    fs::create_dir_all(folder.path().join("state/mailing")).unwrap();
    let file = fs::File::create(folder.path().join("state/mailing/acme.lock")).unwrap();
    file.lock().unwrap();
    let held = store.lock(&name("acme"), holder("mine"), Duration::ZERO).await;
    let Err(LockError::Held { holder: other, .. }) = held else { panic!("it is held") };
    assert_eq!(other.who, "a process that has not said who it is");
    assert!(store.holder(&name("acme")).await.unwrap().is_some());
}

#[tokio::test]
async fn the_same_process_cannot_lock_twice() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path());
    let lock = first.lock(&name("acme"), holder("a"), Duration::ZERO).await.unwrap();
    for again in [first.clone(), store(folder.path())] {
        let held = again.lock(&name("acme"), holder("b"), Duration::ZERO).await;
        assert!(matches!(held, Err(LockError::Held { holder, .. }) if holder.run == "a"));
    }
    let other = first.lock(&name("beta"), holder("a"), Duration::ZERO).await;
    assert!(other.is_ok(), "accounts are locked apart");
    assert_eq!((lock.remaining(), lock.must_wait()), (None, None));
    lock.renew().await.unwrap();
    lock.release().await.unwrap();
    assert_eq!(text_of(&folder), "");
    first.lock(&name("acme"), holder("b"), Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn who_waits_gets_the_lock_when_it_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let lock = store.lock(&name("acme"), holder("a"), Duration::ZERO).await.unwrap();
    let second = store.clone();
    let waiting = tokio::spawn(async move {
        second.lock(&name("acme"), holder("b"), Duration::from_secs(60)).await.map(drop)
    });
    tokio::task::yield_now().await;
    drop(lock);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_holder_writes_and_so_does_nobody_else_in_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (holding, other) = (store(folder.path()), store(folder.path()));
    let lock = holding.lock(&name("acme"), holder("a"), Duration::ZERO).await.unwrap();
    let first = holding.write(&name("acme"), &state(1), None).await.unwrap();
    assert!(other.write(&name("acme"), &state(2), Some(&first)).await.is_err());
    lock.release().await.unwrap();
    other.write(&name("acme"), &state(2), Some(&first)).await.unwrap();
}

/// A link is a way to have a file truncated that the run's user may write and the link's maker may not.
#[cfg(unix)]
#[tokio::test]
async fn a_lock_is_not_taken_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "kept").unwrap();
    let place = folder.path().join("state/mailing");
    std::fs::create_dir_all(&place).unwrap();
    std::os::unix::fs::symlink(&precious, place.join("acme.lock")).unwrap();
    let error = store(folder.path()).lock(&name("acme"), holder("a"), Duration::ZERO).await.err().unwrap();
    assert!(error.to_string().contains("it is a link"), "{error}");
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "kept");
}
