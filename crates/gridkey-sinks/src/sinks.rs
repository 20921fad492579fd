//! Every location behind one object: dispatch by the kind of sink.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::sink::{AgeSettings, CommandSettings, DotenvSettings, Encoding, FileMode, FileSettings};
use gridkey_core::{SinkLocation, SinkSettings};
use gridkey_engine::Cancel;
use gridkey_engine::ports::{PutError, SinkError, SinkReader, SinkWriter};
use gridkey_engine::secret::Secret;
use zeroize::Zeroizing;

use crate::command::{self, Commands};
use crate::file::{FileError, FilePlace, Files, Put};
use crate::format::{Entry, Held};
use crate::place::{self, Places};
use crate::stop::Stop;

/// The sinks of one manifest.
///
/// *Guarantees*: a file is replaced whole or not at all, lets others do nothing afterwards, and keeps owner, group, the rest of
/// its mode and every byte that is not the secret's; no error shows a secret.
/// *Caveats*: files of a folder are edited one at a time, over all processes of gridkey; another program that changes a file
/// in the moment of its replacement is overwritten, as it would be by any editor. A file that cannot be replaced (a mount point, a folder that cannot be written) is overwritten
/// where it is, and a plan says so.
pub struct Sinks {
    places: Places,
    files: Files,
    commands: Commands,
}

/// What reaches a location.
enum Adapter<'a> {
    File(FilePlace),
    Command(&'a CommandSettings),
    /// This build has none.
    Missing(String),
}

impl Sinks {
    /// Sinks as the manifest means them. `base` is what relative paths are relative to, its folder, and
    /// `search_path` where [`check`](SinkWriter::check) looks for programs: the folders of `PATH`.
    pub fn new(base: PathBuf, search_path: Vec<PathBuf>) -> Self {
        Self {
            commands: Commands::new(&base, search_path),
            places: Places::Base(base),
            files: Files::default(),
        }
    }

    /// Sinks for trying things out: nothing outside `root` is touched, and no command is run.
    ///
    /// File sinks land in files below `root`; of an age file, too, the value is in clear text, as nothing
    /// here is worth encrypting. Every other sink is a double that keeps its value in a file of its own.
    pub fn sandboxed(root: PathBuf) -> Self {
        Self {
            commands: Commands::new(&root, Vec::new()),
            places: Places::Sandbox(root),
            files: Files::default(),
        }
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
        match self.adapter(location) {
            Adapter::File(FilePlace { path, entry: _, mode: _, encoding: _, bounds: _ }) => Some(path),
            Adapter::Command(_) | Adapter::Missing(_) => None,
        }
    }

    fn adapter<'a>(&self, location: &'a SinkLocation) -> Adapter<'a> {
        let file = |path: &str, entry, mode: &Option<FileMode>, encoding| {
            let bounds = self.places.bounds().map(ToOwned::to_owned);
            Adapter::File(FilePlace { path: self.places.file(path), entry, mode: *mode, encoding, bounds })
        };
        match (&self.places, &*location.at) {
            (_, SinkSettings::Dotenv(DotenvSettings { path, variable, mode, encoding })) => {
                file(path, Entry::Variable(variable.clone()), mode, *encoding)
            }
            (_, SinkSettings::Json(FileSettings { path, pointer, mode, encoding })) => {
                file(path, Entry::Json(pointer.clone()), mode, *encoding)
            }
            (_, SinkSettings::Yaml(FileSettings { path, pointer, mode, encoding })) => {
                file(path, Entry::Yaml(pointer.clone()), mode, *encoding)
            }
            (Places::Sandbox(_), SinkSettings::Age(AgeSettings { path, recipients: _ })) => {
                file(path, Entry::Whole, &None, Encoding::Plain)
            }
            (Places::Sandbox(root), other) => {
                debug_assert!(!place::is_file(other.kind()), "files have their own place");
                let path = Places::double(root, location);
                Adapter::File(FilePlace {
                    path,
                    entry: Entry::Whole,
                    mode: None,
                    encoding: Encoding::Plain,
                    bounds: Some(root.clone()),
                })
            }
            (Places::Base(_), SinkSettings::Command(settings)) => Adapter::Command(settings),
            (
                Places::Base(_),
                SinkSettings::Age(_)
                | SinkSettings::Vault(_)
                | SinkSettings::AwsSecretsManager(_)
                | SinkSettings::AwsSsm(_)
                | SinkSettings::GcpSecretManager(_)
                | SinkSettings::AzureKeyVault(_)
                | SinkSettings::Kubernetes(_)
                | SinkSettings::GithubActions(_)
                | SinkSettings::GitlabCi(_),
            ) => Adapter::Missing(format!("this build of gridkey has no `{}` sink", location.at.kind())),
        }
    }

    /// What a readable location holds.
    async fn held(&self, location: &SinkLocation) -> Result<Held, SinkError> {
        match self.adapter(location) {
            Adapter::Missing(message) => Err(SinkError::Unsupported(message)),
            Adapter::File(_) | Adapter::Command(_) if !location.at.is_readable() => {
                Err(SinkError::Unsupported(format!(
                    "a `{}` sink of this kind cannot be read",
                    location.at.kind()
                )))
            }
            Adapter::File(place) => Ok(self.files.get(place).await?),
            Adapter::Command(settings) => self.commands.read(settings).await,
        }
    }
}

#[async_trait]
impl SinkReader for Sinks {
    async fn observe(&self, location: &SinkLocation) -> SinkObservation {
        let missing = matches!(self.adapter(location), Adapter::Missing(_));
        if !missing && !location.at.is_readable() {
            return SinkObservation::WriteOnly;
        }
        let held = match self.adapter(location) {
            Adapter::File(place) => self.files.observe(place).await.map_err(SinkError::from),
            Adapter::Command(_) | Adapter::Missing(_) => self.held(location).await,
        };
        match held {
            Ok(held) => SinkObservation::Holds(held.content()),
            Err(error) => SinkObservation::Unreadable(error.to_string()),
        }
    }

    async fn caveats(&self, location: &SinkLocation) -> Vec<SinkCaveat> {
        match self.adapter(location) {
            Adapter::File(place) if location.at.is_readable() => self.files.caveats(place).await,
            Adapter::File(_) | Adapter::Command(_) | Adapter::Missing(_) => Vec::new(),
        }
    }

    /// A file is read as it was written, and so is what a command shows, as far as anybody can tell.
    fn lag(&self, _location: &SinkLocation) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl SinkWriter for Sinks {
    async fn check(&self, location: &SinkLocation) -> Result<(), SinkError> {
        match self.adapter(location) {
            Adapter::File(place) => Ok(self.files.check(place).await?),
            Adapter::Command(settings) => self.commands.check(settings),
            Adapter::Missing(message) => Err(SinkError::Unsupported(message)),
        }
    }

    async fn read(&self, location: &SinkLocation) -> Result<Option<Secret>, SinkError> {
        let held = self.held(location).await?;
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
    ) -> Result<(), PutError> {
        match self.adapter(location) {
            Adapter::File(place) => {
                // A double that never tells what it holds cannot compare either.
                let replaces = location.at.is_readable().then(|| replaces.clone());
                let put = Put { secret: Zeroizing::new(secret.expose().to_string()), replaces };
                self.files.put(place, put).await.map_err(PutError::from)
            }
            Adapter::Command(settings) => self.commands.put(settings, secret, replaces).await,
            Adapter::Missing(message) => Err(PutError::Refused(message)),
        }
    }

    async fn remove(&self, location: &SinkLocation) -> Result<(), SinkError> {
        match self.adapter(location) {
            Adapter::File(place) => {
                if let SinkSettings::Command(settings) = &*location.at {
                    command::removal(settings)?;
                }
                Ok(self.files.remove(place).await?)
            }
            Adapter::Command(settings) => self.commands.remove(settings).await,
            Adapter::Missing(message) => Err(SinkError::Unsupported(message)),
        }
    }

    fn deadline(&self) -> Duration {
        command::DEADLINE
    }
}

impl From<FileError> for SinkError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Refused(message) | FileError::NoRoom(message) | FileError::Unclear(message) => {
                Self::Failed(message)
            }
        }
    }
}

impl From<FileError> for PutError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Refused(message) => Self::Refused(message),
            FileError::NoRoom(message) => Self::NoRoom(message),
            FileError::Unclear(message) => Self::Unclear(message),
        }
    }
}
