//! The files at and below a path, and what is passed over.

use std::io;
use std::path::{Path, PathBuf};

/// What stands below a path.
pub(crate) enum Step {
    File(PathBuf),
    Passed(PathBuf, Passed),
}

/// Why something is not gone into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// A folder of a name that is passed by.
    Folder,
    /// A symbolic link: not followed, so that there is no loop, and nothing is looked at twice.
    Link,
    /// A pipe, a socket or a device: reading it may never end.
    Special,
    /// What the system said.
    Unreadable(String),
}

/// Visits what is at and below a path, each folder in the order of its names. The path itself may be a link, or a pipe.
///
/// # Errors
/// The path itself cannot be read, or what `visit` gives back.
pub(crate) fn walk(
    path: &Path,
    passed_by: &[&str],
    visit: &mut dyn FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    match std::fs::metadata(path)?.is_dir() {
        true => below(path, passed_by, visit)?,
        false => visit(Step::File(path.to_path_buf())),
    }
}

/// What is below a folder; the inner result is what `visit` stopped with.
fn below(
    folder: &Path,
    passed_by: &[&str],
    visit: &mut dyn FnMut(Step) -> io::Result<()>,
) -> io::Result<io::Result<()>> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let step = match entry.file_type() {
            Err(error) => Step::Passed(path, Passed::Unreadable(error.to_string())),
            Ok(kind) if kind.is_symlink() => Step::Passed(path, Passed::Link),
            Ok(kind) if kind.is_file() => Step::File(path),
            Ok(kind) if kind.is_dir() => {
                if entry.file_name().to_str().is_some_and(|name| passed_by.contains(&name)) {
                    Step::Passed(path, Passed::Folder)
                } else {
                    match below(&path, passed_by, visit) {
                        Ok(visited) => {
                            if visited.is_err() {
                                return Ok(visited);
                            }
                            continue;
                        }
                        Err(error) => Step::Passed(path, Passed::Unreadable(error.to_string())),
                    }
                }
            }
            Ok(_) => Step::Passed(path, Passed::Special),
        };
        if let Err(stopped) = visit(step) {
            return Ok(Err(stopped));
        }
    }
    Ok(Ok(()))
}
