//! How a file can be given other content: replaced, which its readers never see half of, or overwritten where it is.

use std::fs;
use std::io;
use std::path::Path;

use gridkey_files::{folder_of, without_name};

use super::in_place;
use super::rights::Rights;

/// How an edit of a file gets into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Replace,
    /// It cannot be replaced, and why; its content can be overwritten.
    InPlace(String),
}

/// Finds it out without touching anything: a temporary file without a name is made where the file is, or in the folder nearest to
/// it that exists.
///
/// # Errors
/// Where the file can be neither replaced nor overwritten.
pub(super) fn way(path: &Path, rights: &Rights) -> io::Result<Way> {
    let Err(why) = can_be_replaced(path, rights) else { return Ok(Way::Replace) };
    if !path.exists() {
        return Err(why);
    }
    match in_place::open(path).and_then(|_| rights.can_be_set()) {
        Ok(()) => Ok(Way::InPlace(why.to_string())),
        Err(error) => Err(match why.to_string() == without_name(io::Error::from(error.kind())).to_string() {
            true => error,
            false => io::Error::new(error.kind(), format!("{error}; nor can it be replaced: {why}")),
        }),
    }
}

fn can_be_replaced(path: &Path, rights: &Rights) -> io::Result<()> {
    let folder = folder_of(path);
    let nearest = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    if nearest == folder {
        is_not_held(path)?;
    }
    rights.give(&tempfile::tempfile_in(nearest).map_err(without_name)?)
}

/// What stands against a rename over a file, though its folder can be written.
#[cfg(unix)]
fn is_not_held(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    const STICKY: u32 = 0o1000;
    let Ok(file) = fs::metadata(path) else { return Ok(()) };
    let folder = fs::metadata(folder_of(path))?;
    let held = |message: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    let user = rustix::process::geteuid().as_raw();
    let is_theirs = ![0, file.uid(), folder.uid()].contains(&user);
    if folder.permissions().mode() & STICKY != 0 && is_theirs {
        return held("in its folder only the owner of a file can replace it");
    }
    match state(path) {
        State::Mounted => Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is a mount point")),
        State::Fixed => held("it is marked as one that does not change (`lsattr` shows how)"),
        State::Usual if file.dev() != folder.dev() => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is a mount point"))
        }
        State::Usual => Ok(()),
    }
}

#[cfg(not(unix))]
fn is_not_held(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// What the system says of a file besides its rights.
#[cfg(unix)]
enum State {
    Usual,
    /// It is mounted alone, as containers do with single files.
    Mounted,
    /// It is immutable, or can only grow.
    Fixed,
}

#[cfg(target_os = "linux")]
fn state(path: &Path) -> State {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    // Kernels that do not know one of these say that it is not so.
    let Ok(found) = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) else {
        return State::Usual;
    };
    let has = |attribute| found.stx_attributes.intersects(attribute);
    match (has(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND), has(StatxAttributes::MOUNT_ROOT)) {
        (true, _) => State::Fixed,
        (false, true) => State::Mounted,
        (false, false) => State::Usual,
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn state(_path: &Path) -> State {
    State::Usual
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;

    use super::*;

    fn find(path: &Path) {
        let rights = Rights::of(path, None).expect("no rights yet");
        assert_eq!(way(path, &rights).expect("a way"), Way::Replace);
    }

    #[test]
    fn the_search_for_a_way_has_no_name_that_a_killed_process_could_leave() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        // A folder's time tells whether a name came or went in it.
        let was_named = |work: &dyn Fn()| {
            let handle = File::open(folder.path()).unwrap();
            handle.set_modified(long_ago).unwrap();
            work();
            handle.metadata().unwrap().modified().unwrap() != long_ago
        };
        assert!(was_named(&|| drop(tempfile::NamedTempFile::new_in(folder.path()).unwrap())));
        if was_named(&|| drop(tempfile::tempfile_in(folder.path()).unwrap())) {
            eprintln!("skipped: this file system knows no files without names");
            return;
        }
        for path in [".env", "not/there/yet/.env"] {
            assert!(!was_named(&|| find(&folder.path().join(path))), "{path}");
        }
    }
}
