//! Where secrets are delivered: one adapter per file, heavy ones behind features.
//!
//! [`Sinks`] is the one object that the engine sees; it hands each location to the adapter of its kind.

mod command;
mod dotenv;
mod file;
mod json;
mod sandbox;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::{DotenvSettings, FileSettings};
use gridkey_core::{KeyId, SinkKind, SinkLocation, SinkSettings};
use gridkey_engine::Secret;
use gridkey_engine::ports::{PutError, SinkError, SinkReader, SinkWriter};
use tokio::sync::Mutex as AsyncMutex;
use zeroize::Zeroizing;

/// The longest that one call can be under way.
const DEADLINE: Duration = Duration::from_secs(30);

/// Every sink of a run.
pub struct Sinks {
    place: Place,
    /// Where programs are looked for.
    search_path: Vec<PathBuf>,
    /// One writer at a time for each file, so that two locations in it do not lose one another.
    writing: Mutex<BTreeMap<PathBuf, Arc<AsyncMutex<()>>>>,
}

enum Place {
    /// Paths are relative to this folder: the manifest's.
    Real(PathBuf),
    /// Everything lands under this folder, whatever the kind.
    Sandbox(PathBuf),
}

/// How a secret stands in a file.
enum Format<'a> {
    Dotenv {
        variable: &'a str,
    },
    Json {
        pointer: &'a str,
    },
    Yaml {
        pointer: &'a str,
    },
    /// The secret is the whole file.
    Whole,
}

/// A location that is a place in a file.
struct InFile<'a> {
    path: PathBuf,
    format: Format<'a>,
}

/// The kinds that this build has no adapter for.
pub fn missing_kinds() -> BTreeSet<SinkKind> {
    SinkKind::ALL.into_iter().filter(|kind| !supports(*kind)).collect()
}

/// Whether this build has an adapter for a kind.
pub fn supports(kind: SinkKind) -> bool {
    match kind {
        SinkKind::Dotenv | SinkKind::Json | SinkKind::Yaml | SinkKind::Command => true,
        SinkKind::Age
        | SinkKind::Vault
        | SinkKind::AwsSecretsManager
        | SinkKind::AwsSsm
        | SinkKind::GcpSecretManager
        | SinkKind::AzureKeyVault
        | SinkKind::Kubernetes
        | SinkKind::GithubActions
        | SinkKind::GitlabCi => false,
    }
}

impl Sinks {
    /// Real sinks; relative paths start from `base`, and programs are looked for in `search_path`.
    pub fn new(base: PathBuf, search_path: Vec<PathBuf>) -> Self {
        Self { place: Place::Real(base), search_path, writing: Mutex::default() }
    }

    /// Stand-ins for every kind, which keep their values in files under `root`. No command is run and no
    /// server called.
    pub fn sandboxed(root: PathBuf) -> Self {
        Self { place: Place::Sandbox(root), search_path: Vec::new(), writing: Mutex::default() }
    }

    /// The file that a location's secret stands in, if it is one.
    pub fn path_of(&self, location: &SinkLocation) -> Option<PathBuf> {
        self.in_file(location).map(|file| file.path)
    }

    fn in_file<'a>(&self, location: &'a SinkLocation) -> Option<InFile<'a>> {
        let path = |path: &str| match &self.place {
            Place::Real(base) => base.join(path),
            Place::Sandbox(root) => sandbox::path(root, path),
        };
        match (&location.at, &self.place) {
            (SinkSettings::Dotenv(DotenvSettings { path: file, variable }), _) => {
                Some(InFile { path: path(file), format: Format::Dotenv { variable } })
            }
            (SinkSettings::Json(FileSettings { path: file, pointer }), _) => {
                Some(InFile { path: path(file), format: Format::Json { pointer } })
            }
            (SinkSettings::Yaml(FileSettings { path: file, pointer }), _) => {
                Some(InFile { path: path(file), format: Format::Yaml { pointer } })
            }
            (_, Place::Sandbox(root)) => {
                Some(InFile { path: sandbox::double(root, location), format: Format::Whole })
            }
            (_, Place::Real(_)) => None,
        }
    }

    fn writer(&self, path: &Path) -> Arc<AsyncMutex<()>> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(writing.entry(path.to_path_buf()).or_default())
    }

    fn base(&self) -> &Path {
        match &self.place {
            Place::Real(path) | Place::Sandbox(path) => path,
        }
    }

    /// The value that a location holds.
    async fn value(&self, location: &SinkLocation) -> Result<Option<Zeroizing<String>>, String> {
        if let Some(InFile { path, format }) = self.in_file(location) {
            let format = format.owned();
            return blocking(move || match file::read(&path)? {
                Some(text) => format.get(&text).map_err(|reason| format!("{}: {reason}", path.display())),
                None => Ok(None),
            })
            .await;
        }
        match &location.at {
            SinkSettings::Command(settings) => command::read(settings, self.base()).await,
            _ => Err(missing(location)),
        }
    }

    /// Replaces the value of a place in a file, if the file's place holds what is expected.
    async fn edit(&self, location: &SinkLocation, place: InFile<'_>, edit: Edit) -> Result<(), PutError> {
        let InFile { path, format } = place;
        let (format, name) = (format.owned(), location.to_string());
        let writer = self.writer(&path);
        let _one_at_a_time = writer.lock().await;
        blocking(move || {
            let refuse = |reason: String| PutError::Refused(reason);
            let path = file::target(&path).map_err(refuse)?;
            let text = file::read(&path).map_err(refuse)?;
            let place = |reason: String| PutError::Refused(format!("{}: {reason}", path.display()));
            let held = match &text {
                Some(text) => format.get(text).map_err(place)?,
                None => None,
            };
            let new = match edit {
                Edit::Put { secret, replaces } => {
                    if held.as_deref() == Some(&*secret) {
                        return file::tighten(&path).map_err(refuse);
                    }
                    if content(held.as_deref().map(String::as_str)) != replaces {
                        return Err(PutError::Refused(format!("{name} holds another value than expected")));
                    }
                    format.set(text.as_ref().map_or("", |text| text.as_str()), &secret).map_err(place)?
                }
                Edit::Remove => match (&text, held) {
                    (Some(text), Some(_)) => format.remove(text).map_err(place)?,
                    _ => return Ok(()),
                },
            };
            file::replace(&path, new.as_bytes()).map_err(refuse)
        })
        .await
    }
}

/// What to do with a place in a file.
enum Edit {
    Put { secret: Zeroizing<String>, replaces: SinkContent },
    Remove,
}

/// A [`Format`] that owns its text, for work on another thread.
enum OwnedFormat {
    Dotenv { variable: String },
    Json { pointer: String },
    Yaml { pointer: String },
    Whole,
}

impl Format<'_> {
    fn owned(&self) -> OwnedFormat {
        match self {
            Self::Dotenv { variable } => OwnedFormat::Dotenv { variable: (*variable).to_string() },
            Self::Json { pointer } => OwnedFormat::Json { pointer: (*pointer).to_string() },
            Self::Yaml { pointer } => OwnedFormat::Yaml { pointer: (*pointer).to_string() },
            Self::Whole => OwnedFormat::Whole,
        }
    }
}

type Text = Zeroizing<String>;

impl OwnedFormat {
    fn get(&self, text: &str) -> Result<Option<Text>, String> {
        let value = match self {
            Self::Dotenv { variable } => Ok(dotenv::get(text, variable)),
            Self::Json { pointer } => json::get(text, pointer),
            Self::Yaml { pointer } => yaml::get(text, pointer),
            Self::Whole => Ok(Some(Zeroizing::new(text.to_string()))),
        }?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn set(&self, text: &str, secret: &str) -> Result<Text, String> {
        match self {
            Self::Dotenv { variable } => Ok(dotenv::set(text, variable, secret)),
            Self::Json { pointer } => json::set(text, pointer, secret),
            Self::Yaml { pointer } => yaml::set(text, pointer, secret),
            Self::Whole => Ok(Zeroizing::new(secret.to_string())),
        }
    }

    fn remove(&self, text: &str) -> Result<Text, String> {
        match self {
            Self::Dotenv { variable } => Ok(dotenv::remove(text, variable)),
            Self::Json { pointer } => json::remove(text, pointer),
            Self::Yaml { pointer } => yaml::remove(text, pointer),
            Self::Whole => Ok(Zeroizing::new(String::new())),
        }
    }
}

/// What a value is, without the value.
fn content(value: Option<&str>) -> SinkContent {
    match value.map(str::trim) {
        None | Some("") => SinkContent::Empty,
        Some(value) => KeyId::of_secret(value).map_or(SinkContent::Other, SinkContent::Key),
    }
}

fn missing(location: &SinkLocation) -> String {
    let kind = location.at.kind();
    format!("this build of gridkey has no `{kind}` sink, which `{}` is", location.sink)
}

/// Runs what blocks on a thread for it; it goes on to its end even if nobody waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and nobody is left to hear an answer.
            Err(_) => std::future::pending().await,
        },
    }
}

#[async_trait]
impl SinkReader for Sinks {
    async fn observe(&self, location: &SinkLocation) -> SinkObservation {
        if !location.at.is_readable() {
            return SinkObservation::WriteOnly;
        }
        match self.value(location).await {
            Ok(value) => SinkObservation::Holds(content(value.as_deref().map(String::as_str))),
            Err(reason) => SinkObservation::Unreadable(reason),
        }
    }

    fn lag(&self, _location: &SinkLocation) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl SinkWriter for Sinks {
    async fn check(&self, location: &SinkLocation) -> Result<(), SinkError> {
        if let Some(InFile { path, .. }) = self.in_file(location) {
            return blocking(move || file::check(&path)).await.map_err(SinkError::Failed);
        }
        match &location.at {
            SinkSettings::Command(settings) => {
                command::check(settings, self.base(), &self.search_path).map_err(SinkError::Failed)
            }
            _ => Err(SinkError::Unsupported(missing(location))),
        }
    }

    async fn read(&self, location: &SinkLocation) -> Result<Option<Secret>, SinkError> {
        let value = self.value(location).await.map_err(SinkError::Failed)?;
        let secret = value.map(|value| Secret::from(value.trim().to_string()));
        Ok(secret.filter(|secret| secret.key_id().is_some()))
    }

    async fn put(
        &self,
        location: &SinkLocation,
        secret: &Secret,
        replaces: &SinkContent,
    ) -> Result<(), PutError> {
        if let Some(place) = self.in_file(location) {
            let secret = Zeroizing::new(secret.expose().to_string());
            // A double that stands for a sink that never tells what it holds cannot compare either.
            let replaces = match location.at.is_readable() {
                true => replaces.clone(),
                false => content(self.value(location).await.ok().flatten().as_deref().map(String::as_str)),
            };
            return self.edit(location, place, Edit::Put { secret, replaces }).await;
        }
        match &location.at {
            SinkSettings::Command(settings) => {
                let held = command::read(settings, self.base()).await;
                let before = held.as_ref().ok().map(|held| content(held.as_deref().map(String::as_str)));
                let other = before.is_some_and(|before| before != *replaces && Some(before) != key(secret));
                if settings.read.is_some() && other {
                    return Err(PutError::Refused(format!("{location} holds another value than expected")));
                }
                command::put(settings, self.base(), secret).await
            }
            _ => Err(PutError::Refused(missing(location))),
        }
    }

    async fn remove(&self, location: &SinkLocation) -> Result<(), SinkError> {
        if let Some(place) = self.in_file(location) {
            return match self.edit(location, place, Edit::Remove).await {
                Ok(()) => Ok(()),
                Err(PutError::Refused(reason) | PutError::Unclear(reason)) => Err(SinkError::Failed(reason)),
            };
        }
        match &location.at {
            SinkSettings::Command(settings) => command::remove(settings, self.base()).await,
            _ => Err(SinkError::Unsupported(missing(location))),
        }
    }

    fn deadline(&self) -> Duration {
        DEADLINE
    }
}

fn key(secret: &Secret) -> Option<SinkContent> {
    secret.key_id().map(SinkContent::Key)
}
