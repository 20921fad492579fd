//! Time for the client, so that tests need not sleep.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;

/// Measures, tells and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// The wall clock, for answers without a `Date` header.
    fn now(&self) -> Timestamp;
    async fn sleep(&self, duration: Duration);
}

/// The machine's own.
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
