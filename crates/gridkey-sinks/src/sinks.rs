//! Every location behind one object: dispatch by the kind of sink.

use std::collections::BTreeMap;
use std::convert::identity;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::sink::{DotenvSettings, Encoding, FileMode, FileSettings};
use gridkey_core::{Known, Receipt, SinkLocation, SinkSettings};
use gridkey_engine::Cancel;
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault, SinkReader, SinkWriter};
use gridkey_engine::secret::Secret;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::adapter::{Adapter, Put};
#[cfg(feature = "age")]
use crate::age::AgeAdapter;
use crate::command::{self, Commands};
use crate::file::{FilePlace, Files, WholeFile};
use crate::format::{Entry, Held};
use crate::local::{CommandAdapter, FileAdapter};
use crate::machine::Machine;
use crate::place::{self, Places};
use crate::services::Services;
use crate::sops::{SopsAdapter, Versions};
use crate::stop::Stop;

/// The sinks of one manifest.
///
/// *Guarantees*: a file is replaced whole or not at all, lets others do nothing afterwards, and keeps owner, group, the rest of
/// its mode and every byte that is not the secret's; writes to one document of a service are made one at a time; no call outlasts
/// its deadline; no error shows a secret.
/// *Caveats*: files of a folder are edited one at a time, over all processes of gridkey; another program that changes a file
/// in the moment of its replacement is overwritten, as it would be by any editor. A file that cannot be replaced (a mount point, a folder that cannot be written) is overwritten
/// where it is, and a plan says so.
pub struct Sinks {
    places: Places,
    files: Files,
    commands: Commands,
    services: Services,
    /// Those of `sops`.
    versions: Versions,
    /// The longest that one call may take, where that is less than what its kind has.
    bound: Duration,
    /// Who writes to a document just now, by what the document is.
    writing: Mutex<BTreeMap<String, Arc<AsyncMutex<()>>>>,
}

/// What reaches a location.
type Reach<'a> = Result<Box<dyn Adapter + 'a>, SinkError>;

impl Sinks {
    /// Sinks as the manifest means them. `base` is what relative paths are relative to, its folder, and
    /// `search_path` where [`check`](SinkWriter::check) looks for programs: the folders of `PATH`.
    pub fn new(base: PathBuf, search_path: Vec<PathBuf>) -> Self {
        Self::of(Places::Base(base.clone()), base, search_path)
    }

    /// Sinks for trying things out: nothing outside `root` is touched, no command is run, and no service is asked.
    ///
    /// File sinks land in files below `root`; of an age file, too, the value is in clear text, as nothing
    /// here is worth encrypting. Every other sink is a double that keeps its value in a file of its own.
    pub fn sandboxed(root: PathBuf) -> Self {
        Self::of(Places::Sandbox(root.clone()), root, Vec::new())
    }

    fn of(places: Places, folder: PathBuf, search_path: Vec<PathBuf>) -> Self {
        Self {
            places,
            files: Files::default(),
            commands: Commands::new(&folder, search_path),
            services: Services::new(Machine::new(folder)),
            versions: Versions::default(),
            bound: Duration::MAX,
            writing: Mutex::default(),
        }
    }

    /// Looks credentials and settings up in these variables instead of in the environment.
    #[must_use]
    pub fn with_variables(mut self, variables: BTreeMap<String, String>) -> Self {
        self.services = self.services.with_variables(variables);
        self
    }

    /// Ends each call after this time at the latest.
    #[must_use]
    pub fn with_deadline(self, bound: Duration) -> Self {
        Self { bound, ..self }
    }

    /// Ends waits for other processes and for commands a moment after the run is told to stop.
    #[must_use]
    pub fn with_stop(mut self, stop: Cancel) -> Self {
        let stop = Stop::new(stop);
        self.files.stop = stop.clone();
        self.commands.stop = stop;
        self
    }

    /// The file that a location's secret lands in; `None` where that is not a file.
    pub fn path_of(&self, location: &SinkLocation) -> Option<PathBuf> {
        self.file_of(location).map(|place| place.path)
    }

    fn file_of(&self, location: &SinkLocation) -> Option<FilePlace> {
        let file = |path: &str, entry, mode: Option<FileMode>, encoding| {
            let bounds = self.places.bounds().map(ToOwned::to_owned);
            let path = self.places.file(path);
            Some(FilePlace { path, entry, mode, encoding, bounds, is_encrypted: false })
        };
        match (&*location.at, &self.places) {
            (SinkSettings::Dotenv(DotenvSettings { path, variable, mode, encoding }), _) => {
                file(path, Entry::Variable(variable.clone()), *mode, *encoding)
            }
            (SinkSettings::Json(FileSettings { path, pointer, mode, encoding }), _) => {
                file(path, Entry::Json(pointer.clone()), *mode, *encoding)
            }
            (SinkSettings::Yaml(FileSettings { path, pointer, mode, encoding }), _) => {
                file(path, Entry::Yaml(pointer.clone()), *mode, *encoding)
            }
            (SinkSettings::Age(settings), Places::Sandbox(_)) => {
                file(&settings.path, Entry::Whole, None, Encoding::Plain)
            }
            (other, Places::Sandbox(root)) => {
                debug_assert!(!place::is_file(other.kind()), "files have their own place");
                Some(FilePlace {
                    path: Places::double(root, location),
                    entry: Entry::Whole,
                    mode: None,
                    encoding: Encoding::Plain,
                    bounds: Some(root.clone()),
                    is_encrypted: false,
                })
            }
            (_, Places::Base(_)) => None,
        }
    }

    fn adapter<'a>(&'a self, location: &'a SinkLocation) -> Reach<'a> {
        if let Some(place) = self.file_of(location) {
            let can_remove = match &*location.at {
                SinkSettings::Command(settings) => command::removal(settings).map(drop),
                _ => Ok(()),
            };
            let is_readable = location.at.is_readable();
            let has_versions = !is_readable && place::has_versions(location.at.kind());
            return Ok(Box::new(FileAdapter {
                files: &self.files,
                place,
                is_readable,
                has_versions,
                tells_key: location.at.tells_key(),
                can_remove,
            }));
        }
        if let SinkSettings::Command(settings) = &*location.at {
            return Ok(Box::new(CommandAdapter { commands: &self.commands, settings }));
        }
        if let Some(adapter) = self.encrypting(location) {
            return Ok(adapter);
        }
        self.services.adapter(location).ok_or_else(|| {
            SinkError::unsupported(format!("this build of gridkey has no `{}` sink", location.at.kind()))
        })
    }

    /// The adapter of a file that is encrypted.
    fn encrypting<'a>(&'a self, location: &'a SinkLocation) -> Option<Box<dyn Adapter + 'a>> {
        let file = |path: &str| WholeFile::new(self.places.file(path));
        match &*location.at {
            #[cfg(feature = "age")]
            SinkSettings::Age(settings) => Some(Box::new(AgeAdapter {
                files: &self.files,
                file: file(&settings.path),
                settings,
                recipients_file: settings.recipients_file.as_deref().map(|path| self.services.path(path)),
            })),
            SinkSettings::Sops(settings) => Some(Box::new(SopsAdapter {
                files: &self.files,
                commands: &self.commands,
                versions: &self.versions,
                file: file(&settings.path),
                settings,
                config: settings.config.as_deref().map(|path| self.services.path(path)),
            })),
            #[cfg(not(feature = "age"))]
            SinkSettings::Age(_) => None,
            SinkSettings::Dotenv(_)
            | SinkSettings::Json(_)
            | SinkSettings::Yaml(_)
            | SinkSettings::Command(_)
            | SinkSettings::Vault(_)
            | SinkSettings::AwsSecretsManager(_)
            | SinkSettings::AwsSsm(_)
            | SinkSettings::GcpSecretManager(_)
            | SinkSettings::AzureKeyVault(_)
            | SinkSettings::Kubernetes(_)
            | SinkSettings::GithubActions(_)
            | SinkSettings::GitlabCi(_) => None,
        }
    }

    fn bound(&self, adapter: &dyn Adapter) -> Duration {
        adapter.deadline().min(self.bound)
    }

    /// Nobody else writes to the location's document meanwhile; whoever waits too long is told.
    async fn alone(
        &self,
        location: &SinkLocation,
        deadline: Duration,
    ) -> Result<OwnedMutexGuard<()>, SinkError> {
        let mine = {
            let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(writing.entry(location.at.container()).or_default())
        };
        tokio::time::timeout(deadline, mine.lock_owned()).await.map_err(|_| {
            SinkError::new(SinkFault::Throttled, "other writes to the same document took too long")
        })
    }
}

/// A call that is ended when it takes too long.
async fn within<T, E>(
    deadline: Duration,
    late: impl FnOnce(SinkError) -> E,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let started = Instant::now();
    tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| {
        let message = format!("no result after {} s", started.elapsed().as_secs());
        Err(late(SinkError::new(SinkFault::Unreachable, message)))
    })
}

fn not_readable(location: &SinkLocation) -> SinkError {
    SinkError::unsupported(format!("a `{}` sink of this kind cannot be read", location.at.kind()))
}

#[async_trait]
impl SinkReader for Sinks {
    async fn observe(&self, location: &SinkLocation, known: Option<&Known>) -> SinkObservation {
        let is_readable = location.at.is_readable();
        let adapter = match self.adapter(location) {
            Ok(_) if !is_readable && known.is_none() => return SinkObservation::WriteOnly,
            Ok(adapter) => adapter,
            Err(error) => return SinkObservation::Unreadable(error.message),
        };
        match within(self.bound(&*adapter), identity, adapter.observe(known)).await {
            Ok(content) => SinkObservation::Holds(content),
            Err(error) if !is_readable => {
                tracing::debug!(%location, %error, "whether it was written since is not known");
                SinkObservation::WriteOnly
            }
            Err(error) => SinkObservation::Unreadable(error.with_help()),
        }
    }

    async fn caveats(&self, location: &SinkLocation) -> Vec<SinkCaveat> {
        let Ok(adapter) = self.adapter(location) else { return Vec::new() };
        tokio::time::timeout(self.bound(&*adapter), adapter.caveats()).await.unwrap_or_default()
    }

    fn lag(&self, location: &SinkLocation) -> Duration {
        self.adapter(location).map_or(Duration::ZERO, |adapter| adapter.lag())
    }
}

#[async_trait]
impl SinkWriter for Sinks {
    async fn check(&self, location: &SinkLocation) -> Result<Readiness, SinkError> {
        let adapter = self.adapter(location)?;
        within(self.bound(&*adapter), identity, adapter.check()).await
    }

    async fn read(&self, location: &SinkLocation) -> Result<Option<Secret>, SinkError> {
        let adapter = self.adapter(location)?;
        if !location.at.is_readable() {
            return Err(not_readable(location));
        }
        let held = within(self.bound(&*adapter), identity, adapter.held()).await?;
        Ok(match (held.content(), held) {
            (SinkContent::Key(_), Held::Text(text)) => Some(Secret::from(text.trim().to_string())),
            _ => None,
        })
    }

    async fn put(
        &self,
        location: &SinkLocation,
        secret: &Secret,
        replaces: &SinkContent,
        known: Option<&Known>,
    ) -> Result<Option<Receipt>, PutError> {
        let adapter = self.adapter(location).map_err(PutError::Refused)?;
        let deadline = self.bound(&*adapter);
        let _alone = self.alone(location, deadline).await.map_err(PutError::Refused)?;
        // It may have been written by then.
        within(deadline, PutError::Unclear, adapter.put(Put { secret, replaces, known })).await
    }

    async fn remove(&self, location: &SinkLocation) -> Result<(), SinkError> {
        let adapter = self.adapter(location)?;
        let deadline = self.bound(&*adapter);
        let _alone = self.alone(location, deadline).await?;
        within(deadline, identity, adapter.remove()).await
    }

    /// A write waits for those before it, and is under way itself.
    fn deadline(&self, location: &SinkLocation) -> Duration {
        self.adapter(location).map_or(Duration::ZERO, |adapter| 2 * self.bound(&*adapter))
    }
}
