//! Values in files that sops encrypts, by way of the user's own `sops`.
//!
//! gridkey never has the keys of such a file. It looks at the encrypted text, in which names are in clear; sops works on a copy;
//! and what it made of that is put in the file's place at once, as long as the file is still what it was.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::SopsSettings;
use gridkey_core::{Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use gridkey_engine::secret::Secret;
use tempfile::TempDir;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::adapter::{Adapter, Put};
use crate::command::{Commands, Ended, MAX_OUTPUT, Task, Unended, failure};
use crate::digest::sha256;
use crate::file::{Files, Swap, WholeFile};
use crate::format::sops::{Dialect, Shown};
use crate::format::{Held, Standing};

/// The first version that takes a value on standard input. An older one takes it as an argument, which everybody can read.
const OLDEST: Version = Version(3, 11, 0);

const INSTALL: &str =
    "install sops 3.11 or later, from https://getsops.io or your system's packages, or name it by `program`";

/// How long all that sops does in one call may take; a key service in a cloud answers in a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest that one call can be under way: sops, a lock that another process has, and a little.
const DEADLINE: Duration = Duration::from_secs(PATIENCE.as_secs() + 15);

/// How often an edit starts anew where another program changed the file meanwhile.
const ATTEMPTS: usize = 3;

/// What is encrypted to see whether sops would encrypt a secret there; it is none.
const PROBE: &str = "gridkey tries whether this is encrypted";

/// The exit code of sops that could not have the key of the file.
const NO_KEY: i32 = 128;

/// The versions of programs that told them.
#[derive(Default)]
pub(crate) struct Versions(Mutex<BTreeMap<String, Version>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

/// A place in a file that sops encrypts.
pub(crate) struct SopsAdapter<'a> {
    pub files: &'a Files,
    pub commands: &'a Commands,
    pub versions: &'a Versions,
    pub file: WholeFile,
    pub settings: &'a SopsSettings,
    /// A configuration file for sops.
    pub config: Option<PathBuf>,
}

/// The file, or what sops made of it.
struct Seen {
    bytes: Zeroizing<Vec<u8>>,
    dialect: Dialect,
    shown: Shown,
    /// The place, as sops is told it.
    index: String,
}

/// A copy of the file that sops works on: as encrypted as the file is, and gone with this.
struct Draft {
    path: String,
    folder: TempDir,
}

/// What is to be done for a put.
enum Prepared {
    /// Nothing: the secret is there.
    There(Receipt),
    Exchange {
        old: Zeroizing<Vec<u8>>,
        new: Zeroizing<Vec<u8>>,
        receipt: Receipt,
    },
}

#[async_trait]
impl Adapter for SopsAdapter<'_> {
    async fn check(&self) -> Result<Readiness, SinkError> {
        let seen = self.seen().await?;
        self.try_out(&seen).await?;
        // A value that is encrypted takes some hundred bytes more than it has.
        self.files.can_take(self.file.clone(), seen.bytes.len() + (1 << 10)).await?;
        Ok(Readiness::Proven)
    }

    async fn held(&self) -> Result<Held, SinkError> {
        self.opened(&self.seen().await?).await
    }

    /// sops encrypts a value that stays anew only with a new key of the file, and what is encrypted can be nothing else than what it
    /// was. So an unchanged text needs no key to be known.
    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let seen = self.seen().await?;
        if let (Some(known), Some(receipt)) = (known, seen.receipt())
            && known.receipt == receipt
        {
            return Ok(SinkContent::Key(known.id.clone()));
        }
        let content = self.opened(&seen).await?.content();
        if content == SinkContent::Empty {
            self.try_out(&seen).await?;
        }
        Ok(content)
    }

    async fn caveats(&self) -> Vec<SinkCaveat> {
        self.files.caveats_of_whole(self.file.clone()).await
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let until = Instant::now() + PATIENCE;
        for _ in 0..ATTEMPTS {
            let prepared = self.within(until, self.prepared(&put)).await;
            let (old, new, receipt) = match prepared.map_err(PutError::Refused)? {
                Prepared::There(receipt) => return Ok(Some(receipt)),
                Prepared::Exchange { old, new, receipt } => (old, new, receipt),
            };
            match self.files.swap(self.file.clone(), Some(old), new).await? {
                Swap::Done => return Ok(Some(receipt)),
                Swap::Changed => {}
            }
        }
        Err(PutError::Refused(self.busy()))
    }

    async fn remove(&self) -> Result<(), SinkError> {
        let until = Instant::now() + PATIENCE;
        for _ in 0..ATTEMPTS {
            let Some((old, new)) = self.within(until, self.without()).await? else { return Ok(()) };
            match self.files.swap(self.file.clone(), Some(old), new).await? {
                Swap::Done => return Ok(()),
                Swap::Changed => {}
            }
        }
        Err(self.busy())
    }

    fn deadline(&self) -> Duration {
        DEADLINE
    }
}

impl SopsAdapter<'_> {
    /// The file as it is, and its place in it; `None` where there is no file.
    async fn look(&self) -> Result<Option<Seen>, SinkError> {
        let dialect = Dialect::of(Path::new(&self.settings.path)).map_err(|error| self.unfit(error))?;
        let bytes = self.files.content(self.file.clone()).await?;
        bytes.map(|bytes| self.read(bytes, dialect)).transpose()
    }

    async fn seen(&self) -> Result<Seen, SinkError> {
        let missing = || {
            SinkError::new(SinkFault::ContainerMissing, self.file.says("there is no such file")).help(
                "make it first: a file that holds `{}`, or nothing for `.env`, and then `sops encrypt --in-place FILE`; \
                 `.sops.yaml` or `--age RECIPIENT` says who is to read it",
            )
        };
        self.look().await?.ok_or_else(missing)
    }

    fn read(&self, bytes: Zeroizing<Vec<u8>>, dialect: Dialect) -> Result<Seen, SinkError> {
        let text = std::str::from_utf8(&bytes).map_err(|_| self.unfit("it is not UTF-8 text"))?;
        let pointer = &self.settings.pointer;
        let shown = dialect.shown(text, pointer).map_err(|error| self.unfit(error))?;
        let index = dialect.index(text, pointer).map_err(|error| self.unfit(error))?;
        Ok(Seen { bytes, dialect, shown, index })
    }

    /// What the place holds, decrypted where it is encrypted.
    async fn opened(&self, seen: &Seen) -> Result<Held, SinkError> {
        match &seen.shown {
            Shown::Nothing => Ok(Held::Nothing),
            Shown::Other => Ok(Held::Other),
            Shown::Plain => Err(self.plain()),
            Shown::Encrypted(_) => self.decrypted(&self.draft(seen)?, seen).await,
        }
    }

    /// Encrypts something that is no secret in the place, on a copy: sops leaves values plain where the file's rules say so, and
    /// who cannot have the file's key cannot write into it either.
    async fn try_out(&self, seen: &Seen) -> Result<(), SinkError> {
        let draft = self.draft(seen)?;
        self.set(&draft, seen, PROBE).await?;
        match self.made(&draft, seen.dialect)?.shown {
            Shown::Encrypted(_) => Ok(()),
            Shown::Nothing | Shown::Plain | Shown::Other => Err(self.plain()),
        }
    }

    async fn prepared(&self, put: &Put<'_>) -> Result<Prepared, SinkError> {
        let seen = self.seen().await?;
        let held = self.opened(&seen).await?;
        let standing = held.standing(put.secret.expose(), Some(put.replaces)).map_err(|message| {
            let place = &self.settings.pointer;
            SinkError::new(SinkFault::Conflict, self.file.says(format!("`{place}`: {message}")))
        })?;
        match (standing, seen.receipt()) {
            (Standing::Same, Some(receipt)) => return Ok(Prepared::There(receipt)),
            // The rules of the file reach the place: something is encrypted there.
            (Standing::Replaceable, Some(_)) => {}
            (Standing::Same | Standing::Replaceable, None) => self.try_out(&seen).await?,
        }
        let draft = self.draft(&seen)?;
        self.set(&draft, &seen, put.secret.expose()).await?;
        let made = self.made(&draft, seen.dialect)?;
        let Some(receipt) = made.receipt() else { return Err(self.plain()) };
        // Before it is in the file's place, and the last that has the secret lets go of it.
        match self.decrypted(&draft, &made).await? {
            Held::Text(text) if text.as_str() == put.secret.expose() => {
                Ok(Prepared::Exchange { old: seen.bytes, new: made.bytes, receipt })
            }
            Held::Text(_) | Held::Nothing | Held::Other => Err(SinkError::failed(
                self.file.says("`sops set` ended well, and `sops decrypt` does not give the secret back"),
            )),
        }
    }

    /// The file as it is, and as it is without the value; `None` where there is nothing to take away.
    async fn without(&self) -> Result<Option<(Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>)>, SinkError> {
        let Some(seen) = self.look().await? else { return Ok(None) };
        if seen.shown == Shown::Nothing {
            return Ok(None);
        }
        let draft = self.draft(&seen)?;
        // Other items would take its number.
        if seen.index.ends_with("\"]") {
            self.sops(&["unset", &draft.path, &seen.index], Task::Remove, None).await?;
        } else {
            self.set(&draft, &seen, "").await?;
        }
        let made = self.made(&draft, seen.dialect)?;
        match made.shown {
            Shown::Nothing => Ok(Some((seen.bytes, made.bytes))),
            Shown::Encrypted(_) | Shown::Plain | Shown::Other => {
                let message = "`sops` ended well, and the value is still there";
                Err(SinkError::failed(self.file.says(message)))
            }
        }
    }

    fn draft(&self, seen: &Seen) -> Result<Draft, SinkError> {
        let made = tempfile::Builder::new().prefix("gridkey-").tempdir().and_then(|folder| {
            let path = folder.path().join(seen.dialect.file_name());
            std::fs::write(&path, &*seen.bytes)?;
            let path = path.into_os_string().into_string();
            let path = path.map_err(|_| std::io::Error::other("its path is not UTF-8 text"))?;
            Ok(Draft { path, folder })
        });
        made.map_err(|error| {
            let message = format!("no copy of it could be made in the folder for temporary files: {error}");
            SinkError::failed(self.file.says(message))
        })
    }

    /// What sops made of a copy.
    fn made(&self, draft: &Draft, dialect: Dialect) -> Result<Seen, SinkError> {
        let bytes = std::fs::read(draft.folder.path().join(dialect.file_name())).map_err(|error| {
            SinkError::failed(self.file.says(format!("what `sops` made of a copy cannot be read: {error}")))
        })?;
        self.read(Zeroizing::new(bytes), dialect)
    }

    async fn set(&self, draft: &Draft, seen: &Seen, value: &str) -> Result<(), SinkError> {
        let input = Secret::from(quoted(value));
        let arguments = ["set", "--value-stdin", &draft.path, &seen.index];
        // The words of the probe are no secret, and those that sops says may be among them.
        let secret = Some(value).filter(|value| *value != PROBE);
        let ended = self.sops(&arguments, Task::Put(&input), secret).await?;
        match ended.fed {
            true => Ok(()),
            false => {
                Err(SinkError::failed(self.file.says("`sops set` ended well without reading the value")))
            }
        }
    }

    async fn decrypted(&self, draft: &Draft, seen: &Seen) -> Result<Held, SinkError> {
        let arguments = ["decrypt", "--extract", &seen.index, &draft.path];
        let Ended { status: _, output, errors: _, fed: _ } = self.sops(&arguments, Task::Read, None).await?;
        Ok(match std::str::from_utf8(&output) {
            Ok(text) if text.len() <= MAX_OUTPUT => Held::Text(Zeroizing::new(text.to_string())),
            Ok(_) | Err(_) => Held::Other,
        })
    }

    /// Runs sops, which has to end well. `value` is what it must not be quoted with.
    async fn sops(
        &self,
        arguments: &[&str],
        task: Task<'_>,
        value: Option<&str>,
    ) -> Result<Ended, SinkError> {
        self.is_new_enough().await?;
        let program = self.program().to_string();
        let config = self.config.iter().flat_map(|path| ["--config".to_string(), path.display().to_string()]);
        let arguments = arguments.iter().map(ToString::to_string);
        let argv: Vec<String> = std::iter::once(program).chain(config).chain(arguments).collect();
        let ended = self.run(&argv, task).await?;
        if ended.status.success() {
            return Ok(ended);
        }
        let value = value.filter(|value| !value.is_empty());
        let said = failure(&argv, &self.settings.env, ended.status, &ended.errors, value);
        let error = |fault| SinkError::new(fault, self.file.says(said));
        Err(match ended.status.code() {
            Some(NO_KEY) => error(SinkFault::Forbidden).help(
                "let the user who runs gridkey decrypt the file; variables that `sops` needs for that, such as \
                 `SOPS_AGE_KEY_FILE` or `AWS_PROFILE`, have to be in the sink's `env`",
            ),
            Some(_) | None => error(SinkFault::Failed),
        })
    }

    async fn is_new_enough(&self) -> Result<(), SinkError> {
        let program = self.program();
        let told = || self.versions.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told().contains_key(program) {
            return Ok(());
        }
        // It asks GitHub for the newest one otherwise.
        let argv = [program, "--version", "--disable-version-check"].map(ToString::to_string);
        let ended = self.run(&argv, Task::Read).await?;
        let said = String::from_utf8_lossy(&ended.output);
        match said.split_whitespace().find_map(Version::parse) {
            Some(version) if version >= OLDEST => {
                told().insert(program.to_string(), version);
                Ok(())
            }
            Some(Version(major, minor, patch)) => {
                let message = format!(
                    "`{program}` is version {major}.{minor}.{patch}, which takes values as arguments only"
                );
                Err(SinkError::new(SinkFault::Unsupported, message).help(INSTALL))
            }
            None => {
                let message = format!("`{program} --version` does not tell a version of sops");
                Err(SinkError::new(SinkFault::Unsupported, message).help(INSTALL))
            }
        }
    }

    async fn run(&self, argv: &[String], task: Task<'_>) -> Result<Ended, SinkError> {
        self.commands.run(argv, &self.settings.env, task).await.map_err(|unended| match unended {
            Unended::NotStarted(message) => SinkError::failed(message).help(INSTALL),
            Unended::Lost(message) => SinkError::new(SinkFault::Unreachable, message),
        })
    }

    fn program(&self) -> &str {
        self.settings.program.as_deref().unwrap_or("sops")
    }

    /// sops works on copies: what it did not end in time has changed nothing.
    async fn within<T>(
        &self,
        until: Instant,
        work: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkError> {
        let too_long = || {
            let message = format!("`{}` took longer than {} s", self.program(), PATIENCE.as_secs());
            Err(SinkError::new(SinkFault::Unreachable, self.file.says(message)))
        };
        tokio::time::timeout_at(until, work).await.unwrap_or_else(|_| too_long())
    }

    fn unfit(&self, error: impl std::fmt::Display) -> SinkError {
        SinkError::new(SinkFault::Invalid, self.file.says(error))
    }

    fn plain(&self) -> SinkError {
        let message = format!("sops leaves what stands at `{}` in plain text", self.settings.pointer);
        SinkError::new(SinkFault::Invalid, self.file.says(message)).help(
            "name another place, or change what the file says of its values (`unencrypted_suffix`, `encrypted_regex` and the like \
             in `.sops.yaml`, and encrypt it anew)",
        )
    }

    fn busy(&self) -> SinkError {
        let message = "another program keeps changing it; run again once that is done";
        SinkError::new(SinkFault::Conflict, self.file.says(message))
    }
}

impl Seen {
    /// The value as it is encrypted: the same as long as nobody writes another.
    fn receipt(&self) -> Option<Receipt> {
        match &self.shown {
            Shown::Encrypted(text) => Some(Receipt::new(format!("sha256:{}", sha256(text.as_bytes())))),
            Shown::Nothing | Shown::Plain | Shown::Other => None,
        }
    }
}

impl Version {
    fn parse(word: &str) -> Option<Self> {
        let released = word.trim_start_matches('v').split('-').next()?;
        let mut numbers = released.split('.').map(|number| number.parse().ok());
        match (numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()) {
            (Some(major), Some(minor), Some(patch), None) => Some(Self(major, minor, patch)),
            _ => None,
        }
    }
}

/// A text as JSON, in a buffer that never grows.
fn quoted(value: &str) -> String {
    // Each byte is six at most, as `\u001f`.
    let mut json = Vec::with_capacity(6 * value.len() + 2);
    serde_json::to_writer(&mut json, value).expect("a text can be written as JSON");
    String::from_utf8(json).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_sops_says_of_itself() {
        for (said, version) in [
            ("sops 3.11.0", Some(Version(3, 11, 0))),
            ("sops 3.13.3 (latest)\n", Some(Version(3, 13, 3))),
            ("sops v3.12.0-rc.1", Some(Version(3, 12, 0))),
            ("sops 3.9.4 (outdated)", Some(Version(3, 9, 4))),
            ("sops unknown", None),
            ("", None),
        ] {
            assert_eq!(said.split_whitespace().find_map(Version::parse), version, "{said}");
        }
        assert!(Version(3, 9, 4) < OLDEST && Version(3, 11, 0) >= OLDEST && Version(4, 0, 0) > OLDEST);
    }

    #[test]
    fn a_value_is_json_in_a_buffer_that_did_not_grow() {
        for value in ["SG.abc", "", "\u{1}\u{2}\u{3}", "\"quoted\" \\ \u{e9}\n"] {
            let json = quoted(value);
            assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), value);
            assert_eq!(json.capacity(), 6 * value.len() + 2);
        }
    }

    /// A lease must outlast the call: sops, and the lock of a folder that another process has.
    #[test]
    fn no_put_is_under_way_for_longer_than_the_deadline() {
        assert!(DEADLINE >= PATIENCE + Duration::from_secs(10));
    }
}
