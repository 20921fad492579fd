//! What sinks and stores share of files: names and folders that outlast a crash, and locks that are what they seem.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The folder that a path is in; the working folder for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a folder and those above it, with mode 0700, durably.
pub fn make_folders(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !is_there(path)).collect();
    let mut builder = DirBuilder::new();
    // What another task made meanwhile is no error.
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for folder in missing.into_iter().rev() {
        builder.create(folder)?;
        sync_folder(folder_of(folder))?;
    }
    Ok(())
}

fn is_there(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.exists()
}

/// A rename is durable once its folder is. Only Unix lets a folder be opened for that.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The file that a path means, behind links; a link whose target is missing names the missing file.
pub fn behind_links(path: &Path) -> io::Result<PathBuf> {
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

/// The kind alone, where it says enough: the name of a temporary file helps no reader.
pub fn without_name(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ (io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded) => kind.into(),
        _ => error,
    }
}

/// For the owner alone; what stands in the place of the file, a link or a pipe, is neither followed nor waited for.
pub fn plainly(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    options
}

/// Whether the open file is still the one at the path.
#[cfg(unix)]
pub fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (ours, theirs) = (file.metadata().map(inode), fs::symlink_metadata(path).map(inode));
    matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours == theirs)
}

/// Elsewhere, a file that is open cannot be deleted.
#[cfg(not(unix))]
pub fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

/// Whether a file that was just locked is the lock; it is none where somebody deleted it between opening and locking.
///
/// # Errors
/// Where it has another name (a hard link): what is written into the lock would be written into that.
pub fn is_lock(file: &File, path: &Path) -> io::Result<bool> {
    if has_other_names(file) {
        let message =
            format!("`{}` is a file of another name, too, and a lock has one; take it away", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    Ok(is_at(file, path))
}

/// How a lock's file is opened: it is made where it is missing, and keeps what it says.
pub fn lock_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    plainly(options.read(true).write(true).create(true).truncate(false));
    options
}

#[cfg(unix)]
fn has_other_names(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 1)
}

/// Elsewhere nobody tells.
#[cfg(not(unix))]
fn has_other_names(_file: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_temporary_file_is_left_out_where_the_kind_says_enough() {
        let told = |kind| without_name(io::Error::new(kind, "at `.gridkey-a1.tmp`")).to_string();
        for kind in [
            io::ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
        ] {
            assert_eq!(told(kind), io::Error::from(kind).to_string());
        }
        assert_eq!(told(io::ErrorKind::Other), "at `.gridkey-a1.tmp`");
    }

    #[test]
    fn a_bare_name_is_in_the_working_folder() {
        assert_eq!(folder_of(Path::new(".env")), Path::new("."));
        assert_eq!(folder_of(Path::new("apps/.env")), Path::new("apps"));
    }

    /// A run that waited for it would go on with a lock that no other run sees.
    #[cfg(unix)]
    #[test]
    fn a_file_that_was_deleted_or_replaced_is_no_longer_the_one_at_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme.lock");
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path));
        fs::write(&path, "").unwrap();
        assert!(!is_at(&file, &path));
    }
}
