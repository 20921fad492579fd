//! One editor at a time for the files of a folder, over all processes that share it.
//!
//! A file that two runs read, change and replace at the same time keeps the change of one of them alone. So an edit
//! holds an advisory lock from its first read until the folder is durable. The lock is a file beside, as a folder cannot be
//! locked on NFS; it is deleted by whoever holds it, so a lock counts only while its file is still the one at the path.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gridkey_files::{is_lock, lock_options};

/// What the lock is called, in the words that a sweep of temporary files knows.
pub(super) const FILE: &str = ".gridkey-lock.tmp";

/// How long another process may take; an edit takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(3);

/// Folders whose lock was not given back in time: it is not waited for again and again in one run.
static STUCK: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The lock of a folder; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct FolderLock {
    path: PathBuf,
    _file: File,
}

/// Waits for the lock of a folder; `None` where the file system knows no locks. `before` is asked before every try, and its
/// error ends the wait.
///
/// # Errors
/// Where the lock's file cannot be made, another process does not give it back, or `before` said no.
pub(crate) fn lock(
    folder: &Path,
    before: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Option<FolderLock>> {
    lock_within(folder, PATIENCE, before)
}

fn lock_within(
    folder: &Path,
    patience: Duration,
    before: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Option<FolderLock>> {
    let stuck = || STUCK.lock().unwrap_or_else(PoisonError::into_inner);
    let path = folder.join(FILE);
    let options = lock_options();
    let patience = if stuck().contains(folder) { Duration::ZERO } else { patience };
    let mut pauses = patience.as_millis() / PAUSE.as_millis();
    loop {
        before()?;
        let mut file = options.open(&path)?;
        match file.try_lock() {
            Ok(()) if is_lock(&file, &path)? => {
                stuck().remove(folder);
                // For people alone; on a full disk there is a lock all the same.
                let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                return Ok(Some(FolderLock { path, _file: file }));
            }
            // Whoever had it deleted it before giving it back.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if pauses > 0 => {
                pauses -= 1;
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                stuck().insert(folder.to_path_buf());
                let message = format!(
                    "{} keeps `{}` locked, and edits of its folder take a moment only; end it, and run again",
                    holder(&mut file),
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    folder = %folder.display(),
                    %error,
                    "the file system takes no locks: two runs at the same time could overwrite each other's secrets here"
                );
                // What is left is no lock of anybody's.
                let _ = fs::remove_file(&path);
                return Ok(None);
            }
        }
    }
}

/// Waits for the lock of a file that is overwritten where it is: its folder may have no lock, or another one by another mount.
/// `before` is asked before every try, and its error ends the wait.
pub(crate) fn lock_file(file: &File, before: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut pauses = PATIENCE.as_millis() / PAUSE.as_millis();
    loop {
        before()?;
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if pauses > 0 => {
                pauses -= 1;
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                let message = "another process keeps it locked; end it, and run again";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            // Who replaces files warns of that, too.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the file system takes no locks: two runs could overwrite each other's secrets");
                return Ok(());
            }
        }
    }
}

/// Who wrote the lock's file, as far as it says so.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(10).read_to_string(&mut text).map(|_| text.parse::<u32>()) {
        Ok(Ok(id)) => format!("process {id}"),
        _ => "another process".to_string(),
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // While it is still locked: whoever opened it meanwhile sees that it is gone. Where that fails, a file stays that is no lock.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_not_given_back_is_waited_for_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut always = || Ok(());
        let held = lock(folder.path(), &mut always).unwrap();
        let error = lock_within(folder.path(), Duration::from_millis(20), &mut always).unwrap_err();
        let holder = format!("process {} keeps", std::process::id());
        assert!(error.to_string().contains(&holder), "{error}");
        // An hour would be noticed.
        lock_within(folder.path(), Duration::from_secs(3600), &mut always).unwrap_err();
        drop(held);
        lock(folder.path(), &mut always).unwrap();
        assert!(STUCK.lock().unwrap().is_empty(), "one that was given back is like any other");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_into_a_lock_that_has_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        fs::write(&notes, "mine").unwrap();
        fs::hard_link(&notes, folder.path().join(FILE)).unwrap();
        let error = lock(folder.path(), &mut || Ok(())).unwrap_err();
        assert!(error.to_string().contains("another name"), "{error}");
        assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");
    }
}
