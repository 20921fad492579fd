//! Overwrites a file that cannot be replaced, such as one that is mounted alone into a container.
//!
//! *Guarantees*: the old content is back where a write failed; nobody can read the new one who may not read the file afterwards.
//! *Caveats*: who reads in that moment may see a part of the text, and so may everybody after a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use gridkey_files::{is_at, plainly};
use zeroize::Zeroizing;

use super::replace::{Effect, Failure, changed};
use super::rights::Rights;

/// Opens a file that is there, to be read and overwritten.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    plainly(options.read(true).write(true));
    options.open(path)
}

/// Overwrites `old`, which the file at `path` held when it was read, by `new`. The caller has the file's lock.
///
/// `before` is asked before every effect; its error stands for the effect's own failure.
pub(super) fn overwrite(
    file: &mut File,
    path: &Path,
    old: &[u8],
    new: &[u8],
    rights: &Rights,
    before: &mut dyn FnMut(Effect) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut step = |at, effect: &mut dyn FnMut() -> io::Result<()>| {
        before(at).and_then(|()| effect()).map_err(|error| Failure { at, error })
    };
    step(Effect::Compare, &mut || compare(file, path, old))?;
    step(Effect::Narrow, &mut || rights.narrow(file))?;
    let written = step(Effect::Overwrite, &mut || write(file, new))
        .and_then(|()| step(Effect::SyncFile, &mut || file.sync_all()));
    if let Err(failure) = written {
        return match step(Effect::Restore, &mut || write(file, old).and_then(|()| file.sync_all())) {
            Ok(()) => Err(failure),
            Err(Failure { at, error }) => {
                let error = io::Error::new(
                    error.kind(),
                    format!("{}; what it held before could not be put back: {error}", failure.error),
                );
                Err(Failure { at, error })
            }
        };
    }
    step(Effect::Widen, &mut || rights.set(file))
}

fn compare(file: &mut File, path: &Path, old: &[u8]) -> io::Result<()> {
    let size = usize::try_from(file.metadata()?.len()).unwrap_or_default() + 1;
    let mut now = Zeroizing::new(Vec::with_capacity(size));
    file.rewind()?;
    file.read_to_end(&mut now)?;
    if now.as_slice() == old && is_at(file, path) { Ok(()) } else { Err(changed()) }
}

fn write(file: &mut File, text: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OLD: &[u8] = b"A=1\nKEY=old\n";
    const NEW: &[u8] = b"A=1\nKEY=a-new-one\n";

    #[test]
    fn a_write_that_breaks_off_puts_the_old_text_back_or_says_that_it_could_not() {
        let all = Effect::IN_PLACE.into_iter().filter(|effect| *effect != Effect::Lock);
        for (broken, restores) in all.flat_map(|effect| [(effect, true), (effect, false)]) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(".env");
            fs::write(&path, OLD).unwrap();
            let rights = Rights::of(&path, None).unwrap();
            let mut fail = |at| match at == broken || (at == Effect::Restore && !restores) {
                true => Err(io::Error::other("pulled the plug")),
                false => Ok(()),
            };
            let mut file = open(&path).unwrap();
            let failure = overwrite(&mut file, &path, OLD, NEW, &rights, &mut fail).unwrap_err();
            let held = fs::read(&path).unwrap();
            let kept = match broken {
                Effect::SyncFile => restores,
                Effect::Widen => false,
                _ => true,
            };
            assert_eq!(held, if kept { OLD } else { NEW }, "{broken:?}");
            let restored = restores || !matches!(broken, Effect::Overwrite | Effect::SyncFile);
            assert_eq!(failure.at, if restored { broken } else { Effect::Restore });
            assert_eq!(failure.at.is_after_write(), !kept || !restored, "{broken:?}");
        }
    }

    #[test]
    fn a_file_that_became_another_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, OLD).unwrap();
        let rights = Rights::of(&path, None).unwrap();
        let mut file = open(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, OLD).unwrap();
        fs::rename(&other, &path).unwrap();
        let failure = overwrite(&mut file, &path, OLD, NEW, &rights, &mut |_| Ok(())).unwrap_err();
        assert_eq!((failure.at, fs::read(&path).unwrap()), (Effect::Compare, OLD.to_vec()));
    }
}
