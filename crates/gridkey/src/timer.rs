//! The machine's own time, for the engine.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use gridkey_engine::ports::Timer;

/// Monotonic time since it was made.
pub struct SystemTimer(Instant);

impl Default for SystemTimer {
    fn default() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Timer for SystemTimer {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
