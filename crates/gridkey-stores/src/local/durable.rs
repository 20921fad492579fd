//! Replaces a file so that it is found whole after any crash: the old one or the new one.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use gridkey_files::{folder_of, make_folders, sync_folder, without_name};

/// One thing that can fail while a file is replaced, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    MakeFolder,
    MakeTemporary,
    Write,
    Sync,
    Rename,
    SyncFolder,
}

impl Effect {
    #[cfg(test)]
    pub const ALL: [Self; 6] =
        [Self::MakeFolder, Self::MakeTemporary, Self::Write, Self::Sync, Self::Rename, Self::SyncFolder];
}

/// A replacement that failed, and how far it had come.
#[derive(Debug)]
pub(crate) struct Failure {
    pub at: Effect,
    pub error: io::Error,
}

/// Asked before every effect; an error stands for the effect's own failure.
pub(crate) type Before<'a> = &'a mut dyn FnMut(Effect) -> io::Result<()>;

/// Replaces `path` by `bytes`, with mode 0600, making its folders with 0700. The caller has the lock of the document, so
/// what is left of an earlier replacement is nobody's.
pub(crate) fn replace(path: &Path, bytes: &[u8], before: Before<'_>) -> Result<(), Failure> {
    let mut step = |at, effect: &mut dyn FnMut() -> io::Result<()>| {
        before(at).and_then(|()| effect()).map_err(|error| Failure { at, error })
    };
    let folder = folder_of(path);
    step(Effect::MakeFolder, &mut || make_folders(folder))?;
    let mut made = None;
    step(Effect::MakeTemporary, &mut || {
        let prefix = prefix_of(path);
        sweep(folder, &prefix);
        // A temporary file of this crate has mode 0600 from its first moment.
        made = Some(tempfile::Builder::new().prefix(&prefix).tempfile_in(folder).map_err(without_name)?);
        Ok(())
    })?;
    let mut temporary = made.expect("the step before made it");
    step(Effect::Write, &mut || temporary.write_all(bytes))?;
    step(Effect::Sync, &mut || temporary.as_file().sync_all())?;
    let mut temporary = Some(temporary);
    step(Effect::Rename, &mut || {
        let temporary = temporary.take().expect("it is renamed once");
        temporary.persist(path).map(drop).map_err(|error| error.error)
    })?;
    step(Effect::SyncFolder, &mut || sync_folder(folder))
}

/// What the temporary files of a document are called: those of another one may be in use.
fn prefix_of(path: &Path) -> String {
    format!(".tmp-{}-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Clears away what killed processes left. What cannot be cleared away now is tried again with the next write.
fn sweep(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
