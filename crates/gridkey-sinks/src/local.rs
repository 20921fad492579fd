//! Sinks on this machine: files and commands.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::CommandSettings;
use gridkey_core::{Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError};
use zeroize::Zeroizing;

use crate::adapter::{self, Adapter};
use crate::command::{self, Commands};
use crate::file::{self, FileError, FilePlace, Files};
use crate::format::Held;

/// A place in a file that other programs read.
pub(crate) struct FileAdapter<'a> {
    pub files: &'a Files,
    pub place: FilePlace,
    /// Whether what it holds may be looked at: the double of a sink that never tells does not.
    pub is_readable: bool,
    /// Whether it tells by its version that it was written since: the double of a sink whose service does.
    pub has_versions: bool,
    /// Whether it says which key it has, whatever that is.
    pub tells_key: bool,
    /// Whether a value can be taken away again: the double of a sink that cannot does not.
    pub can_remove: Result<(), SinkError>,
}

/// A command that stores secrets.
pub(crate) struct CommandAdapter<'a> {
    pub commands: &'a Commands,
    pub settings: &'a CommandSettings,
}

#[async_trait]
impl Adapter for FileAdapter<'_> {
    async fn check(&self) -> Result<Readiness, SinkError> {
        self.files.check(self.place.clone()).await?;
        Ok(Readiness::Proven)
    }

    async fn held(&self) -> Result<Held, SinkError> {
        Ok(self.files.get(self.place.clone()).await?)
    }

    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let content = self.files.observe(self.place.clone()).await?.content();
        Ok(match content {
            SinkContent::Key(id) if !self.tells_key && known.is_none_or(|known| known.id != id) => {
                SinkContent::Other
            }
            content @ (SinkContent::Empty | SinkContent::Key(_) | SinkContent::Other) => content,
        })
    }

    async fn caveats(&self) -> Vec<SinkCaveat> {
        match self.is_readable {
            true => self.files.caveats(self.place.clone()).await,
            false => Vec::new(),
        }
    }

    async fn put(&self, put: adapter::Put<'_>) -> Result<Option<Receipt>, PutError> {
        // A double that never tells what it holds cannot compare either.
        let replaces = self.is_readable.then(|| put.replaces.clone());
        let id = put.secret.key_id().filter(|_| self.has_versions);
        let put = file::Put { secret: Zeroizing::new(put.secret.expose().to_string()), replaces };
        self.files.put(self.place.clone(), put).await?;
        Ok(id.map(|id| Receipt::new(id.as_str())))
    }

    async fn remove(&self) -> Result<(), SinkError> {
        self.can_remove.clone()?;
        Ok(self.files.remove(self.place.clone()).await?)
    }

    /// A disk answers soon, and other processes edit for a moment.
    fn deadline(&self) -> Duration {
        command::DEADLINE
    }
}

#[async_trait]
impl Adapter for CommandAdapter<'_> {
    /// That the program is there; what it does nobody knows before it is run.
    async fn check(&self) -> Result<Readiness, SinkError> {
        self.commands.check(self.settings)?;
        Ok(Readiness::Plausible("only that its programs are there; a command is not tried out".to_string()))
    }

    async fn held(&self) -> Result<Held, SinkError> {
        self.commands.read(self.settings).await
    }

    async fn put(&self, put: adapter::Put<'_>) -> Result<Option<Receipt>, PutError> {
        self.commands.put(self.settings, put.secret, put.replaces).await?;
        Ok(None)
    }

    async fn remove(&self) -> Result<(), SinkError> {
        self.commands.remove(self.settings).await
    }

    fn deadline(&self) -> Duration {
        command::DEADLINE
    }
}

impl From<FileError> for SinkError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Refused(message) | FileError::NoRoom(message) | FileError::Unclear(message) => {
                Self::failed(message)
            }
        }
    }
}

impl From<FileError> for PutError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Refused(message) => Self::refused(message),
            FileError::NoRoom(message) => Self::NoRoom(SinkError::failed(message)),
            FileError::Unclear(message) => Self::unclear(message),
        }
    }
}
