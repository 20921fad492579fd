//! What is told of deliveries: programs and servers.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::hook::{Delivered, HookSettings};

use super::sink::SinkError;

/// Runs hooks.
#[async_trait]
pub trait HookRunner: Send + Sync {
    /// Tells of a delivery, and returns once that has ended well.
    async fn run(&self, does: &HookSettings, delivered: &Delivered) -> Result<(), HookError>;

    /// Whether a hook can be run at all, as far as that is known without running it.
    async fn check(&self, _does: &HookSettings) -> Result<(), HookError> {
        Ok(())
    }

    /// Whether nothing is run, as things are only tried out.
    fn is_sandboxed(&self) -> bool {
        false
    }

    /// The longest that one call can be under way, with every try again.
    fn deadline(&self, does: &HookSettings) -> Duration;
}

/// A hook that did not end well, or of which that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HookError {
    /// What happened; a lower-case fragment without secrets.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl HookError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// What happened and what to do about it, where only one text fits.
    pub fn with_help(self) -> String {
        super::in_one_text(self.message, self.help)
    }
}

impl From<SinkError> for HookError {
    /// What hooks share with sinks: credentials, connections.
    fn from(error: SinkError) -> Self {
        Self { message: error.message, help: error.help }
    }
}
