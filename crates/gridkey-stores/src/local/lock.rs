//! Locks that live as long as their process: a locked file, with a text that says who holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gridkey_core::Name;
use gridkey_engine::ports::{LockHolder, StoreError, StoreWriteError};
use gridkey_files::{is_lock, lock_options, make_folders, plainly};
use jiff::Timestamp;

use super::failed;

/// How often, and how long apart, a lock is tried again at once: a process that asks who holds it has it for a
/// moment, and one that takes it has not said its name for one.
const LOOKS: u32 = 3;
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// The locks of one project's accounts.
///
/// A lock file is never deleted: another process may be waiting on it.
pub(crate) struct Locks {
    folder: PathBuf,
    /// The accounts whose locks this store has given out.
    held: Mutex<BTreeSet<Name>>,
    /// Taken for the time of a write, as tasks that share a held lock are not kept apart by it.
    writing: Mutex<BTreeMap<Name, Arc<Mutex<()>>>>,
}

/// What became of one try.
pub(crate) enum Attempt {
    Locked(LocalLock),
    Held(LockHolder),
}

/// A lock that is held; dropping it gives it back.
pub(crate) struct LocalLock {
    account: Name,
    file: File,
    locks: Arc<Locks>,
}

impl Locks {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, held: Mutex::default(), writing: Mutex::default() }
    }

    /// Takes the lock if it is free: no other process has it, and nothing else in this one.
    pub fn try_lock(self: &Arc<Self>, account: &Name, holder: &LockHolder) -> Result<Attempt, StoreError> {
        let path = self.path(account);
        let mut file = match self.acquire(&path)? {
            Ok(file) => file,
            Err(mut file) => return Ok(Attempt::Held(holder_in(&mut file))),
        };
        write_holder(&mut file, holder)
            .map_err(|error| StoreError::Failed(failed("written", &path, &error)))?;
        self.held().insert(account.clone());
        Ok(Attempt::Locked(LocalLock { account: account.clone(), file, locks: Arc::clone(self) }))
    }

    /// Who holds the lock. A text that a dead process left is no lock.
    pub fn holder(&self, account: &Name) -> Result<Option<LockHolder>, StoreError> {
        let path = self.path(account);
        let cannot = |error: io::Error| StoreError::Failed(failed("read", &path, &error));
        let mut file = match plainly(OpenOptions::new().read(true)).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder_in(&mut file))),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }

    /// Writes under the lock that this store has given out, or else under one taken for the write alone.
    pub fn exclusively<T>(
        &self,
        account: &Name,
        write: impl FnOnce() -> Result<T, StoreWriteError>,
    ) -> Result<T, StoreWriteError> {
        let mine = Arc::clone(
            self.writing.lock().unwrap_or_else(PoisonError::into_inner).entry(account.clone()).or_default(),
        );
        let _one_at_a_time = mine.lock().unwrap_or_else(PoisonError::into_inner);
        if self.held().contains(account) {
            return write();
        }
        let acquired = self.acquire(&self.path(account));
        match acquired.map_err(|error| StoreWriteError::Failed(error.to_string()))? {
            Ok(_locked) => write(),
            Err(mut file) => Err(StoreWriteError::Failed(in_use(account, &holder_in(&mut file)))),
        }
    }

    /// Clears the text that a dead process left, and says whose it was.
    pub fn lift(&self, account: &Name) -> Result<Option<LockHolder>, StoreError> {
        let path = self.path(account);
        if !path.exists() {
            return Ok(None);
        }
        let mut file = match self.acquire(&path)? {
            Ok(file) => file,
            Err(mut file) => {
                let holder = in_use(account, &holder_in(&mut file));
                return Err(StoreError::Failed(format!(
                    "{holder}; a lock in a local folder cannot be lifted from a live process: end it, and the \
                     lock goes with it"
                )));
            }
        };
        let left = read_holder(&mut file);
        file.set_len(0).map_err(|error| StoreError::Failed(failed("written", &path, &error)))?;
        Ok(left)
    }

    /// The locked file, or, where another process has it locked, the file to read who.
    fn acquire(&self, path: &Path) -> Result<Result<File, File>, StoreError> {
        let cannot = |error: io::Error| match path.is_symlink() {
            true => StoreError::Failed(format!(
                "`{}` could not be locked: it is a link, which a lock never is; take it away",
                path.display()
            )),
            false => StoreError::Failed(failed("locked", path, &error)),
        };
        make_folders(&self.folder)
            .map_err(|error| StoreError::Failed(failed("made", &self.folder, &error)))?;
        let options = lock_options();
        let mut looks = LOOKS;
        loop {
            let file = options.open(path).map_err(cannot)?;
            match file.try_lock() {
                Ok(()) => {
                    if is_lock(&file, path).map_err(|error| StoreError::Failed(error.to_string()))? {
                        return Ok(Ok(file));
                    }
                }
                Err(TryLockError::WouldBlock) if looks > 0 => {
                    looks -= 1;
                    std::thread::sleep(LOOK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Ok(Err(file)),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
        }
    }

    fn path(&self, account: &Name) -> PathBuf {
        self.folder.join(format!("{account}.lock"))
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<Name>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LocalLock {
    fn drop(&mut self) {
        self.locks.held().remove(&self.account);
        // A text that stays is no lock, so nothing is lost where this fails. The lock itself goes with
        // the handle.
        let _ = self.file.set_len(0);
    }
}

fn in_use(account: &Name, holder: &LockHolder) -> String {
    let LockHolder { run: _, who, process, since, what } = holder;
    format!("the state of account `{account}` is locked by {who}: process {process}, `{what}`, since {since}")
}

fn write_holder(file: &mut File, holder: &LockHolder) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(holder)?;
    text.push(b'\n');
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

fn read_holder(file: &mut File) -> Option<LockHolder> {
    let mut text = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut text)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Who holds a lock that is held; a holder is nameless for the moment before it has written its text.
fn holder_in(file: &mut File) -> LockHolder {
    read_holder(file).unwrap_or_else(|| LockHolder {
        run: "unknown".to_string(),
        who: "a process that has not said who it is".to_string(),
        process: 0,
        since: Timestamp::UNIX_EPOCH,
        what: "unknown".to_string(),
    })
}
