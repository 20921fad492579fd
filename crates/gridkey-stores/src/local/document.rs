//! The documents of one project: read with care, replaced under compare-and-swap.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gridkey_core::Name;
use gridkey_core::state::{AccountState, StateError};
use gridkey_engine::ports::{StoreError, StoreWriteError, Stored, Version};

use super::durable::{self, Effect, Failure};
use super::failed;

/// What a document's name ends in once another has taken its place.
const BACKUP: &str = ".backup";

/// The documents of one project.
pub(crate) struct Documents {
    /// The project's folder.
    pub folder: PathBuf,
    pub project: Name,
}

/// A document as it was read.
pub(crate) struct Read {
    pub stored: Stored,
    pub bytes: Vec<u8>,
}

impl Documents {
    /// The document of an account, or `None` where there is none and never was one.
    pub fn read(&self, account: &Name) -> Result<Option<Read>, StoreError> {
        let path = self.path(account);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.explain_missing(account, &path).map_or(Ok(None), Err);
            }
            Err(error) => return Err(StoreError::Failed(failed("read", &path, &error))),
        };
        let state = AccountState::parse(&bytes)
            .map_err(|error| unreadable(&path, self.explain_broken(account, &error)))?;
        if state.project != self.project || state.account != *account {
            let message = format!(
                "the document is of account `{}` of project `{}`; put it back where it came from",
                state.account, state.project
            );
            return Err(unreadable(&path, message));
        }
        let version = version_of(&state, &bytes);
        Ok(Some(Read { stored: Stored { state, version }, bytes }))
    }

    /// The accounts that have a document, or had one that is gone: reading it says so.
    pub fn accounts(&self) -> Result<Vec<Name>, StoreError> {
        let cannot = |error: io::Error| StoreError::Failed(failed("read", &self.folder, &error));
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot(error)),
        };
        let mut accounts = BTreeSet::new();
        for entry in entries {
            let file = entry.map_err(cannot)?.file_name();
            let document = |file: &str| -> Option<Name> {
                let stem = file.strip_suffix(BACKUP).unwrap_or(file).strip_suffix(".json")?;
                // Temporary files are no names before that.
                Name::new(stem).ok()
            };
            accounts.extend(file.to_str().and_then(document));
        }
        Ok(accounts.into_iter().collect())
    }

    /// Replaces the document whose version is `expected`. The caller holds the account's lock.
    pub fn write(
        &self,
        account: &Name,
        state: &AccountState,
        expected: Option<&Version>,
    ) -> Result<Version, StoreWriteError> {
        self.write_with(account, state, expected, &mut |_, _| Ok(()))
    }

    fn write_with(
        &self,
        account: &Name,
        state: &AccountState,
        expected: Option<&Version>,
        before: &mut dyn FnMut(File, Effect) -> io::Result<()>,
    ) -> Result<Version, StoreWriteError> {
        if state.project != self.project || state.account != *account {
            return Err(StoreWriteError::Failed(format!(
                "a document of account `{}` of project `{}` does not belong to account `{account}` of project `{}`",
                state.account, state.project, self.project
            )));
        }
        let current = self.read(account).map_err(|error| StoreWriteError::Failed(error.to_string()))?;
        let stored = current.as_ref().map(|read| &read.stored);
        let overtaken = stored.is_some_and(|stored| stored.state.epoch > state.epoch);
        if overtaken || stored.map(|stored| &stored.version) != expected {
            return Err(StoreWriteError::Conflict);
        }
        if let Some(current) = &current {
            let path = self.backup(account);
            durable::replace(&path, &current.bytes, &mut |effect| before(File::Backup, effect)).map_err(
                |Failure { at: _, error }| StoreWriteError::Failed(failed("written", &path, &error)),
            )?;
        }
        let path = self.path(account);
        let bytes = state.to_bytes();
        gridkey_files::behind_links(&path)
            .map_err(|error| Failure { at: Effect::MakeFolder, error })
            .and_then(|target| {
                durable::replace(&target, &bytes, &mut |effect| before(File::Document, effect))
            })
            .map_err(|Failure { at, error }| {
                let message = failed("written", &path, &error);
                match at {
                    Effect::MakeFolder
                    | Effect::MakeTemporary
                    | Effect::Write
                    | Effect::Sync
                    | Effect::Rename => StoreWriteError::Failed(message),
                    // It can be read already, and might not survive a loss of power.
                    Effect::SyncFolder => StoreWriteError::Unclear(message),
                }
            })?;
        Ok(version_of(state, &bytes))
    }

    fn path(&self, account: &Name) -> PathBuf {
        self.folder.join(format!("{account}.json"))
    }

    fn backup(&self, account: &Name) -> PathBuf {
        self.folder.join(format!("{account}.json{BACKUP}"))
    }

    /// A document that is not there although something says that it should be.
    fn explain_missing(&self, account: &Name, path: &Path) -> Option<StoreError> {
        if let Ok(target) = fs::read_link(path) {
            let message = format!(
                "it is a link to `{}`, which is not there; see that what it is on is mounted, or take the link away",
                target.display()
            );
            return Some(unreadable(path, message));
        }
        let backup = self.backup(account);
        backup.exists().then(|| {
            let message = format!(
                "the document is gone, and the version before it is still there; copy `{0}` to its place, or \
                 take `{0}` away, too, to start without state",
                backup.display()
            );
            unreadable(path, message)
        })
    }

    /// What is wrong with a document, and the way out.
    fn explain_broken(&self, account: &Name, error: &StateError) -> String {
        let mut message = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            write!(message, " ({source})").expect("text takes every write");
        }
        let backup = self.backup(account);
        match error {
            StateError::Newer { found: _ } => {
                message.push_str("; use the gridkey that wrote it, or a newer one")
            }
            StateError::Syntax(_) | StateError::NoVersion | StateError::Shape { .. } if backup.exists() => {
                write!(
                    message,
                    "; the version before it is `{}`: copy it to its place, and plan to see what it missed",
                    backup.display()
                )
                .expect("text takes every write");
            }
            StateError::Syntax(_) | StateError::NoVersion | StateError::Shape { .. } => {
                message.push_str("; put back a copy of it");
            }
        }
        message
    }
}

/// Which file a write is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Backup,
    Document,
}

fn unreadable(path: &Path, message: String) -> StoreError {
    StoreError::Unreadable { place: path.display().to_string(), message }
}

/// Lineage and serial, which say what a version is, and a checksum (FNV-1a), which notices an edit by
/// hand that left both alone.
fn version_of(state: &AccountState, bytes: &[u8]) -> Version {
    let checksum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Version(format!("{}/{}/{checksum:016x}", state.lineage, state.serial))
}

#[cfg(test)]
mod tests {
    use gridkey_core::AccountIdentity;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    #[test]
    fn a_write_that_breaks_off_anywhere_leaves_a_whole_document_and_says_what_is_sure() {
        let identity = AccountIdentity { parent: None, region: Default::default(), on_behalf_of: None };
        let first = AccountState::new(name("mailing"), name("acme"), identity, "lineage".to_string());
        let second = AccountState { serial: 1, ..first.clone() };
        for file in [File::Backup, File::Document] {
            for effect in Effect::ALL {
                let folder = tempfile::tempdir().unwrap();
                let documents = Documents { folder: folder.path().join("p"), project: name("mailing") };
                let version = documents.write(&name("acme"), &first, None).unwrap();
                let mut fail = |at_file, at_effect| match (at_file, at_effect) == (file, effect) {
                    true => Err(io::Error::other("pulled the plug")),
                    false => Ok(()),
                };
                let error =
                    documents.write_with(&name("acme"), &second, Some(&version), &mut fail).unwrap_err();
                let held = documents.read(&name("acme")).unwrap().unwrap().stored.state;
                let renamed = (file, effect) == (File::Document, Effect::SyncFolder);
                match error {
                    StoreWriteError::Unclear(_) => assert!(renamed && held == second),
                    StoreWriteError::Failed(_) => assert!(!renamed && held == first, "{file:?} {effect:?}"),
                    StoreWriteError::Conflict => panic!("{file:?} {effect:?}"),
                }
                let left: Vec<_> =
                    fs::read_dir(&documents.folder).unwrap().map(|e| e.unwrap().path()).collect();
                assert!(left.iter().all(|path| !path.to_string_lossy().contains(".tmp-")), "{left:?}");
            }
        }
    }

    #[test]
    fn a_version_tells_an_edit_of_any_byte() {
        let identity = AccountIdentity { parent: None, region: Default::default(), on_behalf_of: None };
        let state = AccountState::new(name("mailing"), name("acme"), identity, "lineage".to_string());
        let bytes = state.to_bytes();
        let version = version_of(&state, &bytes);
        for at in 0..bytes.len() {
            let mut edited = bytes.clone();
            edited[at] ^= 1;
            assert_ne!(version_of(&state, &edited), version, "byte {at}");
        }
    }
}
