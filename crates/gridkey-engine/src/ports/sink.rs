//! Sinks, as the engine sees them: one object that knows how to reach every location.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::SinkLocation;
use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};

use crate::secret::Secret;

/// Looks at locations. All that planning needs.
#[async_trait]
pub trait SinkReader: Send + Sync {
    /// Which key the location holds; the secret itself does not leave the adapter.
    async fn observe(&self, location: &SinkLocation) -> SinkObservation;

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
    async fn check(&self, location: &SinkLocation) -> Result<(), SinkError>;

    /// The secret itself, where the sink can be read; `None` where the location is empty or holds no
    /// SendGrid key.
    async fn read(&self, location: &SinkLocation) -> Result<Option<Secret>, SinkError>;

    /// Writes the secret. Putting the same secret again changes nothing.
    ///
    /// `replaces` is what the location is expected to hold now; a sink that can tell refuses where it
    /// holds something else, unless that is the very key to be written.
    async fn put(
        &self,
        location: &SinkLocation,
        secret: &Secret,
        replaces: &SinkContent,
    ) -> Result<(), PutError>;

    /// Clears the location; clearing an empty one changes nothing. A sink that cannot remove leaves the
    /// value and says so with [`SinkError::Unsupported`].
    async fn remove(&self, location: &SinkLocation) -> Result<(), SinkError>;

    /// The longest that one call can be under way.
    fn deadline(&self) -> Duration;
}

/// A sink that could not be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    #[error("{0}")]
    Failed(String),
    /// This build, or this kind of sink, cannot do that.
    #[error("{0}")]
    Unsupported(String),
}

/// A put that was not confirmed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PutError {
    /// Surely nothing was written.
    #[error("{0}")]
    Refused(String),
    /// Surely nothing was written, for want of space; nothing else will fit either.
    #[error("{0}")]
    NoRoom(String),
    /// It may have been written.
    #[error("the outcome is unclear: {0}")]
    Unclear(String),
}
