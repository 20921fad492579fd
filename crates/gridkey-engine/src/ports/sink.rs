//! Sinks, as the engine sees them: one object that knows how to reach every location.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::{Known, Receipt, SinkLocation};

use crate::secret::Secret;

/// Looks at locations. All that planning needs.
#[async_trait]
pub trait SinkReader: Send + Sync {
    /// Which key the location holds; the secret itself does not leave the adapter.
    ///
    /// `known` is what gridkey wrote there last. Where the service still shows that version, it tells which key is there
    /// without a right to read secrets. A location that never tells its value is `WriteOnly`, unless the service is sure that
    /// this version is there, or that another is.
    async fn observe(&self, location: &SinkLocation, known: Option<&Known>) -> SinkObservation;

    /// What a write would bring with it there, as far as it can be told without one.
    async fn caveats(&self, _location: &SinkLocation) -> Vec<SinkCaveat> {
        Vec::new()
    }

    /// How long reads of this sink may trail its writes.
    fn lag(&self, location: &SinkLocation) -> Duration;
}

/// Changes locations.
#[async_trait]
pub trait SinkWriter: SinkReader {
    /// Whether the location can be reached and written, without writing it.
    async fn check(&self, location: &SinkLocation) -> Result<Readiness, SinkError>;

    /// The secret itself, where the sink can be read; `None` where the location is empty or holds no
    /// SendGrid key.
    async fn read(&self, location: &SinkLocation) -> Result<Option<Secret>, SinkError>;

    /// Writes the secret, and gives the service's own version of it. Putting the same secret again changes nothing.
    ///
    /// `replaces` is what the location is expected to hold now; a sink that can tell refuses where it
    /// holds something else, unless that is the very key to be written. `known` is what gridkey wrote there last: a sink
    /// that nobody can read may tell by it whether somebody else has written since.
    async fn put(
        &self,
        location: &SinkLocation,
        secret: &Secret,
        replaces: &SinkContent,
        known: Option<&Known>,
    ) -> Result<Option<Receipt>, PutError>;

    /// Clears the location; clearing an empty one changes nothing. A sink that cannot remove leaves the
    /// value and says so with [`SinkFault::Unsupported`]. A document that others share is not deleted.
    async fn remove(&self, location: &SinkLocation) -> Result<(), SinkError>;

    /// The longest that one call to a location can be under way, with every try again.
    fn deadline(&self, location: &SinkLocation) -> Duration;
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// A write was proven to be allowed, as far as anything but a write proves it.
    Proven,
    /// Nothing stands against it, and why that is no proof.
    Plausible(String),
}

/// A sink that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    pub fault: SinkFault,
    /// What happened, and where; never a secret.
    pub message: String,
    /// What to do about it: for a permission that is missing, which.
    pub help: Option<String>,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkFault {
    /// No answer that means anything.
    Unreachable,
    /// No credential, or one that the service does not know.
    Unauthenticated,
    /// The credential may not do that.
    Forbidden,
    /// What the location is in is not there: a mount, a namespace, a project, a repository.
    ContainerMissing,
    /// It was deleted, and the service remembers it and keeps its name.
    Remembered,
    /// It holds something else than expected.
    Conflict,
    /// A name, size or type that the service does not take.
    Invalid,
    /// Too many requests, for longer than there is time.
    Throttled,
    /// This build, or this kind of sink, cannot do that.
    Unsupported,
    /// Anything else.
    Failed,
}

impl SinkError {
    pub fn new(fault: SinkFault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), help: None }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(SinkFault::Failed, message)
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(SinkFault::Unsupported, message)
    }

    /// What happened and what to do about it, where only one text fits.
    pub fn with_help(self) -> String {
        super::in_one_text(self.message, self.help)
    }

    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl SinkFault {
    /// Whether a service that answers this surely did nothing.
    pub fn is_definite(self) -> bool {
        match self {
            Self::Unauthenticated
            | Self::Forbidden
            | Self::ContainerMissing
            | Self::Remembered
            | Self::Conflict
            | Self::Invalid
            | Self::Throttled
            | Self::Unsupported => true,
            Self::Unreachable | Self::Failed => false,
        }
    }
}

/// A put that was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Surely nothing was written.
    #[error("{0}")]
    Refused(SinkError),
    /// Surely nothing was written, for want of space; nothing else will fit either.
    #[error("{0}")]
    NoRoom(SinkError),
    /// It may have been written.
    #[error("the outcome is unclear: {0}")]
    Unclear(SinkError),
}

impl PutError {
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused(SinkError::failed(message))
    }

    pub fn unclear(message: impl Into<String>) -> Self {
        Self::Unclear(SinkError::failed(message))
    }
}
