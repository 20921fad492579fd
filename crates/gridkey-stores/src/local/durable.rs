//! Replaces a file so that it is found whole after any crash: the old one or the new one.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

/// The kind alone, where it says enough: the name of a temporary file helps no reader.
fn without_name(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ (io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded) => kind.into(),
        _ => error,
    }
}

/// Makes a folder and those above it, with mode 0700, durably.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !is_there(path)).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for folder in missing.into_iter().rev() {
        builder.create(folder)?;
        sync_folder(folder_of(folder))?;
    }
    Ok(())
}

/// The file that a path means, behind links; a link whose target is missing names the missing file.
pub(crate) fn behind_links(path: &Path) -> io::Result<PathBuf> {
    const MOST: usize = 32;
    let mut path = path.to_path_buf();
    for _ in 0..MOST {
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            // It is no link, or not there.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("the links go round in a circle"))
}

fn is_there(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.exists()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A rename is durable once its folder is. Only Unix lets a folder be opened for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_temporary_file_is_left_out_where_the_kind_says_enough() {
        let told = |kind| without_name(io::Error::new(kind, "at `.tmp-acme.json-a1`")).to_string();
        for kind in [
            io::ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
        ] {
            assert_eq!(told(kind), io::Error::from(kind).to_string());
        }
        assert_eq!(told(io::ErrorKind::Other), "at `.tmp-acme.json-a1`");
    }

    #[test]
    fn a_bare_name_is_in_the_working_folder() {
        assert_eq!(folder_of(Path::new("state")), Path::new("."));
        assert_eq!(folder_of(Path::new("a/state")), Path::new("a"));
    }
}
