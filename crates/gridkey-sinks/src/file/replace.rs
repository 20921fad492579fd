//! Replaces a file so that its readers find it whole at every moment: the old one or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gridkey_core::sink::{OWN_PREFIX, OWN_SUFFIX, is_own_name};
use gridkey_files::{behind_links, folder_of, sync_folder, without_name};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::lock;

/// One thing that can fail while a file is replaced, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    MakeFolder,
    Lock,
    MakeTemporary,
    Write,
    Sync,
    /// The file is looked at once more: another program may have changed it.
    Compare,
    Rename,
    SyncFolder,
}

impl Effect {
    #[cfg(test)]
    pub const ALL: [Self; 8] = [
        Self::MakeFolder,
        Self::Lock,
        Self::MakeTemporary,
        Self::Write,
        Self::Sync,
        Self::Compare,
        Self::Rename,
        Self::SyncFolder,
    ];
}

/// A replacement that failed, and how far it had come.
#[derive(Debug)]
pub(crate) struct Failure {
    pub at: Effect,
    pub error: io::Error,
}

/// Replaces `old`, which `path` held when it was read, by `new`, with mode 0600. The caller has the folder's lock.
///
/// `before` is asked before every effect; its error stands for the effect's own failure.
pub(crate) fn replace(
    path: &Path,
    old: Option<&[u8]>,
    new: &[u8],
    before: &mut dyn FnMut(Effect) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut step = |at, effect: &mut dyn FnMut() -> io::Result<()>| {
        before(at).and_then(|()| effect()).map_err(|error| Failure { at, error })
    };
    let folder = folder_of(path);
    let mut made = None;
    step(Effect::MakeTemporary, &mut || {
        sweep(folder);
        made = Some(temporary_for(path)?);
        Ok(())
    })?;
    let mut temporary = made.expect("the step before made it");
    step(Effect::Write, &mut || temporary.write_all(new))?;
    step(Effect::Sync, &mut || temporary.as_file().sync_all())?;
    step(Effect::Compare, &mut || compare(path, old))?;
    let mut temporary = Some(temporary);
    step(Effect::Rename, &mut || {
        let temporary = temporary.take().expect("it is renamed once");
        temporary.persist(path).map(drop).map_err(|error| error.error)
    })?;
    step(Effect::SyncFolder, &mut || sync_folder(folder))
}

/// Sees that a file that already is as it should be is durable, and for its owner alone.
pub(crate) fn settle(path: &Path) -> Result<(), Failure> {
    let settled = || -> io::Result<()> {
        let file = open(path)?;
        restrict(&file)?;
        file.sync_all()?;
        sync_folder(folder_of(path))
    };
    settled().map_err(|error| Failure { at: Effect::SyncFolder, error })
}

/// Whether a file could be replaced: a temporary one is made where it is, or in the folder nearest to it that exists.
/// That one has no name, as nothing clears away what a killed process leaves where no edit comes after it.
pub(crate) fn probe(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    let nearest = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    if nearest == folder {
        sweep(folder);
    }
    give_to_owner_of(path, &tempfile::tempfile_in(nearest).map_err(without_name)?)
}

/// The one spelling of a path, whether or not all of it exists.
pub(crate) fn real(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(behind_links(path)?)?;
    let there = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("/"));
    let missing = path.strip_prefix(there).map_err(io::Error::other)?;
    let there = there.canonicalize()?;
    Ok(if missing.as_os_str().is_empty() { there } else { there.join(missing) })
}

/// A temporary file in a folder: mode 0600 from its first moment, and locked as long as it is in use.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    /// Another run sweeps in the moment between making and locking, and not often so many times.
    const ATTEMPTS: u32 = 32;
    for _ in 0..ATTEMPTS {
        let temporary = tempfile::Builder::new().prefix(OWN_PREFIX).suffix(OWN_SUFFIX).tempfile_in(folder);
        let temporary = temporary.map_err(without_name)?;
        let swept = match temporary.as_file().try_lock() {
            // Whoever clears it away had it before this lock, so it is gone by now or stays.
            Ok(()) => !temporary.path().exists(),
            Err(TryLockError::WouldBlock) => true,
            // Where locks are unknown, nothing can be swept either.
            Err(TryLockError::Error(_)) => false,
        };
        if !swept {
            return Ok(temporary);
        }
    }
    Err(io::Error::other("temporary files are cleared away by another program as soon as they are made"))
}

/// A temporary file that can take the place of `path`, for the same owner.
fn temporary_for(path: &Path) -> io::Result<NamedTempFile> {
    let temporary = temporary_in(folder_of(path))?;
    give_to_owner_of(path, temporary.as_file())?;
    Ok(temporary)
}

/// Gives a new file to whom the one at `path` belongs; without this, a program that runs as another user would lose its
/// own file.
#[cfg(unix)]
fn give_to_owner_of(path: &Path, new: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let Ok(old) = fs::metadata(path) else { return Ok(()) };
    if old.uid() == new.metadata()?.uid() {
        return Ok(());
    }
    fchown(new, Some(old.uid()), Some(old.gid())).map_err(|error| {
        let message = format!("it belongs to user {}, and could not be given back: {error}", old.uid());
        io::Error::new(error.kind(), message)
    })
}

/// Elsewhere, a file is for whom its folder is for.
#[cfg(not(unix))]
fn give_to_owner_of(_path: &Path, _new: &File) -> io::Result<()> {
    Ok(())
}

/// Clears away the temporary files that killed processes left; those of live ones are locked.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(is_own_name);
        // Whoever takes the lock clears its file away.
        let is_lock = name.to_str() == Some(lock::FILE);
        let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
        // Nothing else is even opened: to open a pipe waits for its other end.
        if !ours || is_lock || !plain {
            continue;
        }
        let Ok(file) = open(&entry.path()) else { continue };
        if file.try_lock().is_ok() {
            // What cannot be cleared away now is tried again with the next write.
            let _ = fs::remove_file(entry.path());
        }
        // The lock ends here, after the file: the next holder looks whether the file is still there.
        drop(file);
    }
}

/// Opens a file to read it, and waits for nothing: what became a pipe meanwhile has no other end.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path)
}

fn compare(path: &Path, old: Option<&[u8]>) -> io::Result<()> {
    let now = match open(path) {
        Ok(mut file) => {
            let size = usize::try_from(file.metadata()?.len()).unwrap_or_default() + 1;
            let mut bytes = Zeroizing::new(Vec::with_capacity(size));
            file.read_to_end(&mut bytes)?;
            Some(bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if now.as_ref().map(|now| now.as_slice()) == old {
        return Ok(());
    }
    Err(io::Error::other("another program keeps changing it; run again once that is done"))
}

#[cfg(unix)]
fn restrict(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode == 0o600 { Ok(()) } else { file.set_permissions(fs::Permissions::from_mode(0o600)) }
}

/// Elsewhere, a file is for whom its folder is for.
#[cfg(not(unix))]
fn restrict(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_probe_has_no_name_that_a_killed_process_could_leave() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        // A folder's time tells whether a name came or went in it.
        let was_named = |work: &dyn Fn()| {
            let handle = File::open(folder.path()).unwrap();
            handle.set_modified(long_ago).unwrap();
            work();
            handle.metadata().unwrap().modified().unwrap() != long_ago
        };
        assert!(was_named(&|| drop(temporary_in(folder.path()).unwrap())));
        if was_named(&|| drop(tempfile::tempfile_in(folder.path()).unwrap())) {
            eprintln!("skipped: this file system knows no files without names");
            return;
        }
        for path in [".env", "not/there/yet/.env"] {
            assert!(!was_named(&|| probe(&folder.path().join(path)).unwrap()), "{path}");
        }
    }
}
