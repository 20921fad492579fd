//! Files that hold secrets: read whole, replaced in one step, and never readable by others.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A file's text; `None` where there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, String> {
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(_) => Err(format!("{} is not UTF-8 text", path.display())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// The file itself, where the path is a link to it: the link stays.
pub(crate) fn target(path: &Path) -> Result<PathBuf, String> {
    match fs::canonicalize(path) {
        Ok(target) if target.is_file() => Ok(target),
        Ok(_) => Err(format!("{} is not a file", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_path_buf()),
        Err(error) => Err(format!("{} cannot be used: {error}", path.display())),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether the file can be written: its folder is made where it is missing, and tried.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let path = target(path)?;
    read(&path)?;
    let folder = folder_of(&path);
    make_folder(folder)?;
    tempfile::NamedTempFile::new_in(folder).map(drop).map_err(|error| {
        format!(
            "{} cannot be written: {error}; make the folder writable, or choose another path",
            folder.display()
        )
    })
}

fn make_folder(folder: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))
}

/// Replaces a file in one step, with mode 0600: whoever reads it sees the old text or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let fail = |error: &io::Error| format!("{} cannot be written: {error}", path.display());
    let folder = folder_of(path);
    make_folder(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(|error| fail(&error))?;
    temporary.write_all(bytes).and_then(|()| temporary.as_file().sync_all()).map_err(|error| fail(&error))?;
    temporary.persist(path).map_err(|error| fail(&error.error))?;
    // The new text is there for every reader; that the folder's entry is on disk too is only for a crash
    // of the machine, which leaves the old text or the new one.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Takes from others what they may not read.
pub(crate) fn tighten(path: &Path) -> Result<(), String> {
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777);
    match mode {
        Ok(0o600) => Ok(()),
        Ok(_) => fs::set_permissions(path, Permissions::from_mode(0o600))
            .map_err(|error| format!("the mode of {} cannot be set to 0600: {error}", path.display())),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}
