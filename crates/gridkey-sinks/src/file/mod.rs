//! Secrets in files: read, compared, edited as text, and replaced whole, or overwritten where they cannot be.

mod access_list;
#[cfg(feature = "age")]
mod delete;
mod in_place;
mod lock;
mod replace;
mod rights;
mod way;
mod whole;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::{Encoding, FileMode};
use gridkey_files::{behind_links, folder_of, make_folders};
use tokio::sync::Mutex as AsyncMutex;
use zeroize::{Zeroize, Zeroizing};

use crate::format::{Entry, FormatError, Held, Standing, decoded, encoded};
use crate::stop::Stop;
use lock::FolderLock;
use replace::{Effect, Failure};
use rights::Rights;
use way::Way;

pub(crate) use whole::{Content, Swap, WholeFile};

/// A file that people edit is smaller by far; one that is not is no file for a secret.
const MAX_BYTES: u64 = 16 << 20;

/// How often an edit starts anew where another program changed the file meanwhile.
const ATTEMPTS: u32 = 3;

/// What `check` puts in the place of a secret when it tries the edit in memory.
const PROBE: &str = "probe";

/// The place of a secret in a file.
#[derive(Clone, Debug)]
pub(crate) struct FilePlace {
    pub path: PathBuf,
    pub entry: Entry,
    /// What the manifest says of the file's mode.
    pub mode: Option<FileMode>,
    pub encoding: Encoding,
    /// The folder that links may not lead out of.
    pub bounds: Option<PathBuf>,
    /// Whether what is written is encrypted, so that others may go on to read the file.
    pub is_encrypted: bool,
}

/// What a put writes.
pub(crate) struct Put {
    pub secret: Zeroizing<String>,
    /// What must be there now; `None` where the place may not tell.
    pub replaces: Option<SinkContent>,
}

/// A file that could not be used, in a message that names it and shows no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    /// Surely nothing was written.
    #[error("{0}")]
    Refused(String),
    /// Surely nothing was written, as the file system has no space left.
    #[error("{0}")]
    NoRoom(String),
    /// It was written, and might not survive a loss of power.
    #[error("{0}")]
    Unclear(String),
}

/// Files, with one editor at a time for each folder.
#[derive(Default)]
pub(crate) struct Files {
    editing: Mutex<BTreeMap<PathBuf, Arc<AsyncMutex<()>>>>,
    pub stop: Stop,
}

impl Files {
    /// What the place holds. A file that is not there holds nothing.
    pub async fn get(&self, place: FilePlace) -> Result<Held, FileError> {
        blocking(move || Ok(place.load()?.1)).await
    }

    /// What the place holds, as long as a key could be put there, too: a plan shows what stands in the way of that, and a key
    /// that is there already needs no edit.
    pub async fn observe(&self, place: FilePlace) -> Result<Held, FileError> {
        blocking(move || {
            let (loaded, held) = place.load()?;
            if !matches!(held.content(), SinkContent::Key(_)) {
                place.set(loaded.text(), PROBE).map_err(|error| place.unfit(&error))?;
            }
            Ok(held)
        })
        .await
    }

    /// What a write would bring with it, or what stands against one where nothing needs to be written now.
    pub async fn caveats(&self, place: FilePlace) -> Vec<SinkCaveat> {
        blocking(move || place.caveats()).await
    }

    /// Whether the place can be read, edited and written; nothing of it is touched.
    pub async fn check(&self, place: FilePlace) -> Result<(), FileError> {
        let stop = self.stop.clone();
        blocking(move || place.check(&mut || stop.may_wait())).await
    }

    /// Writes the secret.
    pub async fn put(&self, place: FilePlace, put: Put) -> Result<(), FileError> {
        let stop = self.stop.clone();
        self.edit(place, move |place| place.put(&put, &mut |effect| stop.before(effect))).await
    }

    /// Clears the place.
    pub async fn remove(&self, place: FilePlace) -> Result<(), FileError> {
        let stop = self.stop.clone();
        self.edit(place, move |place| place.remove(&mut |effect| stop.before(effect))).await
    }

    /// Edits in one folder come one after another; each goes on to its end where its caller goes away.
    async fn edit<T: Send + 'static>(
        &self,
        place: FilePlace,
        work: impl FnOnce(FilePlace) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let real = replace::real(&place.path).unwrap_or_else(|_| place.path.clone());
        let mine = {
            let mut editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(editing.entry(folder_of(&real).to_path_buf()).or_default())
        };
        let alone = mine.lock_owned().await;
        blocking(move || {
            let _alone = alone;
            work(place)
        })
        .await
    }
}

impl Stop {
    /// The lock alone is waited for; what has begun goes on.
    fn before(&self, effect: Effect) -> io::Result<()> {
        if effect == Effect::Lock { self.may_wait() } else { Ok(()) }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and what waits goes with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// What is held while a file is edited.
struct Editing {
    /// The file itself, locked, where it cannot be replaced.
    in_place: Option<File>,
    _folder: Option<FolderLock>,
}

/// A file as it was read.
struct Loaded {
    /// Behind links.
    path: PathBuf,
    /// `None` where there is no file yet.
    text: Option<Zeroizing<String>>,
}

impl Loaded {
    fn text(&self) -> &str {
        self.text.as_ref().map_or("", |text| text.as_str())
    }
}

impl FilePlace {
    fn load(&self) -> Result<(Loaded, Held), FileError> {
        let path = behind_links(&self.path).map_err(|error| self.cannot("be read", &error))?;
        if let Some(bounds) = &self.bounds {
            let leads = replace::real(&path).and_then(|path| Ok(path.starts_with(replace::real(bounds)?)));
            if !leads.map_err(|error| self.cannot("be read", &error))? {
                return Err(self.refused(format!("a link leads out of `{}`", bounds.display())));
            }
        }
        let text = self.read(&path)?;
        let held =
            self.entry.get(text.as_ref().map_or("", |text| text)).map_err(|error| self.unfit(&error))?;
        Ok((Loaded { path, text }, decoded(self.encoding, held)))
    }

    /// The text with a secret in its place.
    fn set(&self, text: &str, secret: &str) -> Result<Zeroizing<String>, FormatError> {
        if self.encoding.is_plain() {
            self.entry.takes_plain_text(text)?;
        }
        self.entry.set(text, &encoded(self.encoding, secret))
    }

    fn read(&self, path: &Path) -> Result<Option<Zeroizing<String>>, FileError> {
        let Some(mut bytes) = self.bytes(path)? else { return Ok(None) };
        match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                error.into_bytes().zeroize();
                Err(self.refused(format!("it is not UTF-8 text, from byte {at} on; save it as UTF-8")))
            }
        }
    }

    fn bytes(&self, path: &Path) -> Result<Content, FileError> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.cannot("be read", &error)),
        };
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "a folder" } else { "not a regular file" };
            return Err(self.refused(format!("it is {what}; name a file")));
        }
        if metadata.len() > MAX_BYTES {
            return Err(self.refused(format!(
                "it has {} MiB, and a file for a secret at most {}; name another file",
                metadata.len() >> 20,
                MAX_BYTES >> 20
            )));
        }
        // One byte more, as a buffer that is full would grow once to find the end, and leave a copy.
        let size = usize::try_from(metadata.len()).unwrap_or_default() + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        let read = replace::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        read.map_err(|error| self.cannot("be read", &error))?;
        Ok(Some(bytes))
    }

    fn check(&self, before_lock: &mut dyn FnMut() -> io::Result<()>) -> Result<(), FileError> {
        let (loaded, _) = self.load()?;
        self.set(loaded.text(), PROBE).map_err(|error| self.unfit(&error))?;
        self.can_be_written(&loaded.path, loaded.text().len() + PROBE.len(), before_lock)
    }

    /// Whether the file can take so many bytes.
    fn can_be_written(
        &self,
        path: &Path,
        bytes: usize,
        before_lock: &mut dyn FnMut() -> io::Result<()>,
    ) -> Result<(), FileError> {
        match self.way(path)?.1 {
            Way::Replace if folder_of(path).exists() => {
                let locked = lock::lock(folder_of(path), before_lock);
                let _locked = locked.map_err(|error| self.cannot("be written", &error))?;
                let fits = replace::fits(folder_of(path), bytes);
                fits.map_err(|error| self.cannot("be written", &error))?;
            }
            Way::Replace | Way::InPlace(_) => {}
        }
        Ok(())
    }

    /// For whom the file is, and how it is written.
    fn way(&self, path: &Path) -> Result<(Rights, Way), FileError> {
        let found = self.rights_of(path).and_then(|rights| {
            let way = way::way(path, &rights)?;
            Ok((rights, way))
        });
        found.map_err(|error| self.cannot("be written", &error))
    }

    fn caveats(&self) -> Vec<SinkCaveat> {
        // What cannot be read or edited is observed as such.
        let Ok((loaded, held)) = self.load() else { return Vec::new() };
        if let Err(error) = self.set(loaded.text(), PROBE) {
            let is_observed = !matches!(held.content(), SinkContent::Key(_));
            let message = self.unfit(&error).to_string();
            return if is_observed { Vec::new() } else { vec![SinkCaveat::NotWritable(message)] };
        }
        self.caveats_of_a_write(&loaded.path)
    }

    fn caveats_of_a_write(&self, path: &Path) -> Vec<SinkCaveat> {
        let (rights, way) = match self.way(path) {
            Ok(found) => found,
            Err(error) => return vec![SinkCaveat::NotWritable(error.to_string())],
        };
        let mode = rights.change().map(|(from, to)| SinkCaveat::Mode { from, to });
        let in_place = match way {
            Way::Replace => None,
            Way::InPlace(why) => Some(SinkCaveat::InPlace(why)),
        };
        mode.into_iter().chain(in_place).collect()
    }

    fn put(
        &self,
        Put { secret, replaces }: &Put,
        before: &mut dyn FnMut(Effect) -> io::Result<()>,
    ) -> Result<(), FileError> {
        self.edit(before, |loaded, held| {
            let standing = held.standing(secret, replaces.as_ref());
            match standing.map_err(|message| self.refused(format!("{}: {message}", self.entry)))? {
                Standing::Same => return Ok(None),
                Standing::Replaceable => {}
            }
            let after = self.set(loaded.text(), secret).map_err(|error| self.unfit(&error))?;
            Ok(Some(after))
        })
    }

    fn remove(&self, before: &mut dyn FnMut(Effect) -> io::Result<()>) -> Result<(), FileError> {
        self.edit(before, |loaded, held| {
            if loaded.text.is_none() || matches!(held, Held::Nothing) {
                return Ok(None);
            }
            let after = self.entry.clear(loaded.text()).map_err(|error| self.unfit(&error))?;
            Ok(Some(after))
        })
    }

    /// Replaces the file by what `change` makes of it; `None` leaves it, and sees that it is safe as it is.
    ///
    /// Where there is something to do, it is decided again under the lock, which is held to the end.
    fn edit(
        &self,
        before: &mut dyn FnMut(Effect) -> io::Result<()>,
        change: impl Fn(&Loaded, &Held) -> Result<Option<Zeroizing<String>>, FileError>,
    ) -> Result<(), FileError> {
        let mut attempt = 1;
        let mut locked = None;
        loop {
            let (loaded, held) = self.load()?;
            let done = match change(&loaded, &held)? {
                Some(after) => match locked.as_mut() {
                    Some(editing) => self.write(&loaded, &after, editing, before),
                    None => {
                        locked = Some(self.lock(&loaded.path, before)?);
                        continue;
                    }
                },
                None if loaded.text.is_none() => Ok(()),
                None => self.rights(&loaded.path).and_then(|rights| replace::settle(&loaded.path, &rights)),
            };
            match done {
                Ok(()) => return Ok(()),
                Err(Failure { at: Effect::Compare, error: _ }) if attempt < ATTEMPTS => attempt += 1,
                Err(failure) => return Err(self.failed(&failure)),
            }
        }
    }

    /// What is sure of a write that failed.
    fn failed(&self, Failure { at, error }: &Failure) -> FileError {
        if at.is_after_write() {
            let message = format!("`{}` was written, and not confirmed: {error}", self.path.display());
            return FileError::Unclear(message);
        }
        self.cannot("be written", error)
    }

    fn rights_of(&self, path: &Path) -> io::Result<Rights> {
        if self.is_encrypted { Rights::as_they_are(path) } else { Rights::of(path, self.mode) }
    }

    fn rights(&self, path: &Path) -> Result<Rights, Failure> {
        self.rights_of(path).map_err(|error| Failure { at: Effect::Compare, error })
    }

    fn write(
        &self,
        loaded: &Loaded,
        after: &str,
        editing: &mut Editing,
        before: &mut dyn FnMut(Effect) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let old = loaded.text.as_ref().map(|text| text.as_bytes());
        self.write_bytes(&loaded.path, old, after.as_bytes(), editing, before)
    }

    fn write_bytes(
        &self,
        path: &Path,
        old: Option<&[u8]>,
        new: &[u8],
        editing: &mut Editing,
        before: &mut dyn FnMut(Effect) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let rights = self.rights(path)?;
        match editing.in_place.as_mut() {
            Some(file) => in_place::overwrite(file, path, old.unwrap_or_default(), new, &rights, before),
            None => replace::replace(path, old, new, &rights, before),
        }
    }

    fn lock(
        &self,
        path: &Path,
        before: &mut dyn FnMut(Effect) -> io::Result<()>,
    ) -> Result<Editing, FileError> {
        let folder = folder_of(path);
        let made = before(Effect::MakeFolder).and_then(|()| make_folders(folder));
        made.map_err(|error| self.cannot("be written", &error))?;
        let (_, way) = self.way(path)?;
        let mut before = || before(Effect::Lock);
        let folder = lock::lock(folder, &mut before);
        let editing = match way {
            Way::Replace => folder.map(|folder| Editing { in_place: None, _folder: folder }),
            Way::InPlace(_) => lock_in_place(path, folder, &mut before),
        };
        editing.map_err(|error| self.cannot("be written", &error))
    }

    fn refused(&self, message: String) -> FileError {
        FileError::Refused(format!("`{}`: {message}", self.path.display()))
    }

    fn unfit(&self, error: &FormatError) -> FileError {
        self.refused(error.to_string())
    }

    fn cannot(&self, what: &str, error: &io::Error) -> FileError {
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied => "; let this user read and write it and its folder",
            io::ErrorKind::ReadOnlyFilesystem => "; name a file that is not on a read-only file system",
            io::ErrorKind::NotADirectory => "; a part of the path is a file: name another path",
            _ if is_no_room(error) => "; free some space and run again",
            _ => "",
        };
        let message = format!("`{}` cannot {what}: {error}{help}", self.path.display());
        if is_no_room(error) { FileError::NoRoom(message) } else { FileError::Refused(message) }
    }
}

fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn lock_in_place(
    path: &Path,
    folder: io::Result<Option<FolderLock>>,
    before: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Editing> {
    let folder = match folder {
        // Where nothing can be made beside the file, its own lock is the one that every run takes.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            None
        }
        folder => folder?,
    };
    let file = in_place::open(path)?;
    lock::lock_file(&file, before)?;
    Ok(Editing { in_place: Some(file), _folder: folder })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "A=1\nKEY=old\n";

    fn place(folder: &tempfile::TempDir) -> FilePlace {
        let path = folder.path().join(".env");
        FilePlace {
            path,
            entry: Entry::Variable("KEY".to_string()),
            mode: None,
            encoding: Encoding::Plain,
            bounds: None,
            is_encrypted: false,
        }
    }

    fn put() -> Put {
        Put { secret: Zeroizing::new("SG.new".to_string()), replaces: Some(SinkContent::Other) }
    }

    #[test]
    fn a_write_that_breaks_off_anywhere_leaves_the_old_file_whole_and_says_what_is_sure() {
        for effect in Effect::OF_REPLACEMENT {
            let folder = tempfile::tempdir().unwrap();
            let place = place(&folder);
            fs::write(&place.path, OLD).unwrap();
            let mut fail = |at| match at == effect {
                true => Err(io::Error::other("pulled the plug")),
                false => Ok(()),
            };
            let error = place.put(&put(), &mut fail).unwrap_err();
            let held = fs::read_to_string(&place.path).unwrap();
            let written = effect == Effect::SyncFolder;
            assert_eq!(matches!(error, FileError::Unclear(_)), written, "{effect:?}");
            assert_eq!(held, if written { "A=1\nKEY=SG.new\n" } else { OLD }, "{effect:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{effect:?} leaves nothing behind");
            assert!(error.to_string().contains("pulled the plug") && !error.to_string().contains("SG.new"));
            place.put(&put(), &mut |_| Ok(())).unwrap();
        }
    }

    #[test]
    fn a_run_that_is_to_stop_waits_for_no_lock_and_ends_what_it_has_begun() {
        for effect in Effect::OF_REPLACEMENT.into_iter().chain(Effect::IN_PLACE) {
            assert_eq!(Stop::over().before(effect).is_err(), effect == Effect::Lock, "{effect:?}");
        }
    }

    #[test]
    fn a_change_by_another_program_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        fs::write(&place.path, OLD).unwrap();
        let mut changed = false;
        let mut meanwhile = |at| {
            if at == Effect::Compare && !std::mem::replace(&mut changed, true) {
                fs::write(folder.path().join(".env"), "A=2\nKEY=old\n")?;
            }
            Ok(())
        };
        place.put(&put(), &mut meanwhile).unwrap();
        assert_eq!(fs::read_to_string(&place.path).unwrap(), "A=2\nKEY=SG.new\n");
    }

    #[test]
    fn what_a_killed_process_left_is_cleared_away_and_what_a_live_one_uses_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (left, used) = (folder.path().join(".gridkey-a.tmp"), folder.path().join(".gridkey-b.tmp"));
        fs::write(&left, "SG.old").unwrap();
        let live = fs::File::create(&used).unwrap();
        live.try_lock().unwrap();
        // What is called like it in part belongs to others.
        let others = [".gridkey-notes", "notes.tmp"].map(|name| folder.path().join(name));
        others.iter().for_each(|other| fs::write(other, "kept").unwrap());
        place(&folder).check(&mut || Ok(())).unwrap();
        assert!(!left.exists() && used.exists());
        assert!(others.iter().all(|other| other.exists()));
    }

    #[test]
    fn clearing_what_is_not_there_leaves_the_file_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        fs::write(&place.path, "A=1\n").unwrap();
        let mut edits = Vec::new();
        let mut note = |effect| {
            edits.push(effect);
            Ok(())
        };
        place.remove(&mut note).unwrap();
        assert_eq!(edits, []);
        fs::remove_file(&place.path).unwrap();
        place.remove(&mut |_| Err(io::Error::other("there is nothing to do"))).unwrap();
        assert!(!place.path.exists());
    }

    #[test]
    fn a_file_that_is_too_large_for_a_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        fs::File::create(&place.path).unwrap().set_len(MAX_BYTES + (1 << 20)).unwrap();
        let error = place.put(&put(), &mut |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("it has 17 MiB, and a file for a secret at most 16"), "{error}");
    }

    #[test]
    fn what_a_person_can_put_right_is_told_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, way_out) in [
            (io::ErrorKind::PermissionDenied, "; let this user read and write it"),
            (io::ErrorKind::ReadOnlyFilesystem, "; name a file that is not on a read-only file system"),
            (io::ErrorKind::NotADirectory, "; a part of the path is a file"),
            (io::ErrorKind::StorageFull, "; free some space"),
            (io::ErrorKind::QuotaExceeded, "; free some space"),
        ] {
            let error = io::Error::from(kind);
            let told = place(&folder).cannot("be written", &error).to_string();
            assert!(told.contains(&format!(".env` cannot be written: {error}{way_out}")), "{told}");
        }
    }

    #[test]
    fn editors_that_share_no_memory_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::thread::scope(|scope| {
            for editor in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..20 {
                        let entry = Entry::Variable(format!("KEY_{editor}_{number}"));
                        let place = FilePlace {
                            path: path.clone(),
                            entry,
                            mode: None,
                            encoding: Encoding::Plain,
                            bounds: None,
                            is_encrypted: false,
                        };
                        let put = Put { secret: Zeroizing::new("SG.new".to_string()), replaces: None };
                        place.put(&put, &mut |_| Ok(())).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 80);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no lock is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_is_not_taken_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join(lock::FILE)).unwrap();
        let error = place(&folder).put(&put(), &mut |_| Ok(())).unwrap_err();
        assert!(matches!(error, FileError::Refused(_)), "{error}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }

    /// To open a pipe waits until somebody opens its other end, which nobody does.
    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_folder_holds_nothing_up() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        for name in ["pipe", ".gridkey-pipe.tmp"] {
            mknodat(CWD, folder.path().join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        fs::write(folder.path().join(".env"), OLD).unwrap();
        let (told, done) = std::sync::mpsc::channel();
        let (new, pipe) = (place(&folder), FilePlace { path: folder.path().join("pipe"), ..place(&folder) });
        std::thread::spawn(move || {
            let _ = told.send((new.put(&put(), &mut |_| Ok(())), pipe.check(&mut || Ok(()))));
        });
        let (written, refused) = done.recv_timeout(std::time::Duration::from_secs(20)).expect("an end");
        written.unwrap();
        assert!(matches!(refused, Err(FileError::Refused(_))), "{refused:?}");
        assert!(folder.path().join(".gridkey-pipe.tmp").exists(), "it is nothing that a run left");
    }
}
