//! What every kind of sink can do with one location.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::{Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError};
use gridkey_engine::secret::Secret;

use crate::format::Held;

/// One location of one kind of sink.
///
/// *Guarantees*, of every adapter: no error, log, argument, address or header but that of authorisation holds a secret;
/// other fields of a document, and what is said of it besides (tags, labels, types), stay as they are; nothing is called
/// empty whose container was not seen to be there; a container that gridkey did not make is not deleted.
#[async_trait]
pub(crate) trait Adapter: Send + Sync {
    /// Whether a put would be taken, without writing anything.
    async fn check(&self) -> Result<Readiness, SinkError>;

    /// The value, where the kind shows it.
    async fn held(&self) -> Result<Held, SinkError>;

    /// Which key is there; by the receipt where the service tells its version and the value may not be read.
    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let _ = known;
        Ok(self.held().await?.content())
    }

    /// What a write would bring with it.
    async fn caveats(&self) -> Vec<SinkCaveat> {
        Vec::new()
    }

    /// Writes a secret, over what is expected to be there or over that very secret; nothing else.
    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError>;

    /// Clears the location. A location that is empty is clear.
    async fn remove(&self) -> Result<(), SinkError>;

    /// How long reads may trail writes.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    /// The longest that one call may take, tries again included; it is ended then.
    fn deadline(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// A secret, and what is expected to be where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Put<'a> {
    pub secret: &'a Secret,
    pub replaces: &'a SinkContent,
    /// What gridkey wrote there last.
    pub known: Option<&'a Known>,
}
