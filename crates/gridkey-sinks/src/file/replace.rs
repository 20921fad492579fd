//! Replaces a file so that its readers find it whole at every moment: the old one or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gridkey_core::sink::{OWN_PREFIX, OWN_SUFFIX, is_own_name};
use gridkey_files::{behind_links, folder_of, sync_folder, without_name};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::lock;
use super::rights::Rights;

/// One thing that can fail while a file is given other content.
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
    /// Who may not read the file afterwards cannot any more.
    Narrow,
    Overwrite,
    SyncFile,
    /// What the file held before is put back.
    Restore,
    /// Who may read the file afterwards can.
    Widen,
}

impl Effect {
    /// Those of a replacement, in order.
    #[cfg(test)]
    pub const OF_REPLACEMENT: [Self; 8] = [
        Self::MakeFolder,
        Self::Lock,
        Self::MakeTemporary,
        Self::Write,
        Self::Sync,
        Self::Compare,
        Self::Rename,
        Self::SyncFolder,
    ];

    /// Those of a file that is overwritten where it is, in order.
    #[cfg(test)]
    pub const IN_PLACE: [Self; 6] =
        [Self::Lock, Self::Compare, Self::Narrow, Self::Overwrite, Self::SyncFile, Self::Widen];

    /// Whether the new content is there, or may be, where this failed.
    pub fn is_after_write(self) -> bool {
        match self {
            Self::SyncFolder | Self::Restore | Self::Widen => true,
            Self::MakeFolder
            | Self::Lock
            | Self::MakeTemporary
            | Self::Write
            | Self::Sync
            | Self::Compare
            | Self::Rename
            | Self::Narrow
            | Self::Overwrite
            | Self::SyncFile => false,
        }
    }
}

/// A replacement that failed, and how far it had come.
#[derive(Debug)]
pub(crate) struct Failure {
    pub at: Effect,
    pub error: io::Error,
}

/// Replaces `old`, which `path` held when it was read, by `new`, for whom `rights` say. The caller has the folder's lock.
///
/// `before` is asked before every effect; its error stands for the effect's own failure.
pub(crate) fn replace(
    path: &Path,
    old: Option<&[u8]>,
    new: &[u8],
    rights: &Rights,
    before: &mut dyn FnMut(Effect) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut step = |at, effect: &mut dyn FnMut() -> io::Result<()>| {
        before(at).and_then(|()| effect()).map_err(|error| Failure { at, error })
    };
    let folder = folder_of(path);
    let mut made = None;
    step(Effect::MakeTemporary, &mut || {
        sweep(folder);
        let temporary = temporary_in(folder)?;
        rights.give(temporary.as_file())?;
        made = Some(temporary);
        Ok(())
    })?;
    let mut temporary = made.expect("the step before made it");
    step(Effect::Write, &mut || temporary.as_file_mut().write_all(new))?;
    step(Effect::Sync, &mut || temporary.as_file().sync_all())?;
    step(Effect::Compare, &mut || compare(path, old))?;
    let mut temporary = Some(temporary);
    step(Effect::Rename, &mut || {
        let temporary = temporary.take().expect("it is renamed once");
        temporary.persist(path).map(drop).map_err(|error| error.error)
    })?;
    step(Effect::SyncFolder, &mut || sync_folder(folder))
}

/// Sees that a file that already is as it should be is durable, and for whom `rights` say.
pub(crate) fn settle(path: &Path, rights: &Rights) -> Result<(), Failure> {
    let settled = || -> io::Result<()> {
        let file = open(path)?;
        rights.set(&file)?;
        file.sync_all()?;
        match sync_folder(folder_of(path)) {
            // Nothing of this user's came or went in a folder that it may not open.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        }
    };
    settled().map_err(|error| Failure { at: Effect::SyncFolder, error })
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

/// Whether a folder has room for a file of so many bytes beside what it has. The caller has the folder's lock.
pub(super) fn fits(folder: &Path, bytes: usize) -> io::Result<()> {
    sweep(folder);
    let mut temporary = temporary_in(folder)?;
    temporary.as_file_mut().write_all(&vec![0; bytes])
}

/// Clears away the temporary files that killed processes left; those of live ones are locked.
pub(super) fn sweep(folder: &Path) {
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
    Err(changed())
}

/// The file is not what it was when it was read.
pub(super) fn changed() -> io::Error {
    io::Error::other("another program keeps changing it; run again once that is done")
}
