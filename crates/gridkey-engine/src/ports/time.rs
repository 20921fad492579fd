//! Time, as the engine sees it: durations only. What time it is, SendGrid says.

use std::time::Duration;

use async_trait::async_trait;

/// Measures and waits. Tests hand in one whose time passes at once.
#[async_trait]
pub trait Timer: Send + Sync {
    /// A monotonic clock, since some fixed moment.
    fn elapsed(&self) -> Duration;

    async fn sleep(&self, duration: Duration);
}
